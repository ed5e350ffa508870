# Everything a fresh machine needs: make, git, Python 3.11 or newer with pip.
#   make demo                 from nothing to a table, a page and an MLflow database
#   make demo DATA=DIR        the same on a folder of your own audio; ARGS= adds to the command line,
#                             such as ARGS="--dataset folder:label=species"
#   make test                 the default test suite, in four processes, since tests also wait
#   make test-slow            the tests that take long
#   make lint                 format, lint and type checks
#   make docs                 the pages, in docs-site/index.html

STORE ?= store
DATA ?=
ARGS ?=
SWEEP ?= sweeps/adaptor_lambda.py
PYTHON ?= python3
PROCESSES ?= 4

UV := $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)
READY := .venv/.ready

.PHONY: demo test test-slow docs lint format lock clean

demo: $(READY)
	.venv/bin/python $(SWEEP) --demo --store "$(STORE)" $(if $(DATA),--data-root "$(DATA)") $(ARGS)

test: $(READY)
	.venv/bin/python -m pytest -n $(PROCESSES) -m "not slow and not gpu"

test-slow: $(READY)
	.venv/bin/python -m pytest -n $(PROCESSES) -m "slow and not gpu"

# A broken link or a missing reference fails. Nothing is fetched, here or by whoever reads them.
docs: $(READY)
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --quiet --strict

lint: $(READY)
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/pyright

format: $(READY)
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

# Versions and hashes, no addresses: the registry is the one that the environment sets.
lock: $(UV)
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-annotate --no-header --group dev pyproject.toml \
		-o requirements.lock

# Compiled at once, since every worker imports torch, and some machines keep no bytecode.
$(READY): requirements.lock pyproject.toml setup.py $(UV)
	$(UV) venv --quiet --allow-existing --python $(PYTHON) .venv
	$(UV) pip sync --quiet --compile-bytecode --python .venv/bin/python \
		--require-hashes requirements.lock
	$(UV) pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation -e .
	@touch $@

.tools/bin/uv:
	$(PYTHON) -m venv .tools
	.tools/bin/pip install --quiet --disable-pip-version-check "uv>=0.5"

clean:
	rm -rf .venv .tools build docs-site *.egg-info
