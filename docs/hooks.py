"""Pages that are made from the code while MkDocs builds: commands, parts, tables, other files."""

from __future__ import annotations

import argparse
import contextlib
import os
import posixpath
import re
import runpy
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from unittest import mock

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
SWEEP = "sweeps/adaptor_lambda.py"
COPIES = {
    "cluster.md": "cluster/README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "measured/gpu.md": "tests/benchmarks/gpu/README.md",
    "measured/doctor.md": "tests/benchmarks/doctor/doctor.md",
    **{
        f"measured/{name}.md": f"tests/benchmarks/stats/{name}.md"
        for name in ("error_rates", "tie_break", "recordings", "half_splits", "aggregate")
    },
}
"""Page -> the file of the repository that it shows."""

SINGULAR = {"class_weights": "class weights"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that no file of `docs/` has."""
    made = {page: text() for page, text in generated().items()}
    made |= {page: _copied(path) for page, path in COPIES.items()}
    for page, text in made.items():
        files.append(File.generated(config, page, content=text))
    return files


def generated() -> dict[str, Callable[[], str]]:
    """Return the pages that are made from the code, page -> function that makes its text."""
    return {
        "reference/commands.md": _commands,
        "reference/parts.md": _parts,
        "reference/recipes.md": _recipes,
        "reference/metrics.md": _metrics,
        "reference/layouts.md": _layouts,
        "reference/zoo.md": _zoo,
    }


def on_page_markdown(markdown: str, *, page: Page, **_: object) -> str:
    """Turn links to files of the repository that have a page into links to that page.

    The sources link to the files, so that their links work in the repository, too.
    """
    folder = posixpath.dirname(page.file.src_uri)
    pages = {
        posixpath.relpath(f"../{path}", folder or "."): posixpath.relpath(name, folder or ".")
        for name, path in COPIES.items()
    }
    return re.sub(
        r"(?<=\]\()[^)#\s]+", lambda link: pages.get(link.group(), link.group()), markdown
    )


def _copied(path: str) -> str:
    """Return a file's text without its links to files that have no page."""
    return re.sub(r"\[([^]]+)\]\((?!https?:|#)[^)]*\)", r"\1", (ROOT / path).read_text())


class _Parser(BaseException):
    """Carries the parser of a command out of it."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.parser = parser


def _parser(words: list[str]) -> argparse.ArgumentParser:
    """Return the parser of a command, `FILE` or `-m MODULE`, without running more of it."""

    def stop(parser: argparse.ArgumentParser, *_: object, **__: object) -> None:
        raise _Parser(parser)

    hook = sys.excepthook
    try:
        with (
            mock.patch.object(argparse.ArgumentParser, "parse_known_args", stop),
            mock.patch.object(sys, "argv", [words[-1]]),
            contextlib.chdir(ROOT),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore", RuntimeWarning)  # a module that was imported before
            if words[0] == "-m":
                runpy.run_module(words[1], run_name="__main__", alter_sys=True)
            else:
                runpy.run_path(words[0], run_name="__main__")
    except _Parser as found:
        return found.parser
    finally:
        sys.excepthook = hook
    raise RuntimeError(f"{' '.join(words)} reads no command line")


def modules() -> list[str]:
    """List the modules that are commands, by the names that users type."""
    named = {
        f"orchestrator.{path.stem}"
        for path in ROOT.glob("orchestrator/*.py")
        if path.stem != "__init__" and '__name__ == "__main__"' in path.read_text()
    }
    rooms = {f"orchestrator.{path.parent.name}" for path in ROOT.glob("orchestrator/*/__main__.py")}
    return ["models", "orchestrator.sweeps", *sorted(named | rooms)]


def _commands() -> str:
    lines = [
        "# Commands",
        "",
        "What `--help` prints, made when these pages were built.",
        "",
        *_helped(f"python {SWEEP}", _parser([SWEEP])),
    ]
    for module in modules():
        parser = _parser(["-m", module])
        if parser.prog in (f"python -m {module}", module):  # else it has another name
            lines += _helped(f"python -m {module}", parser)
    return "\n".join(lines)


def _helped(name: str, parser: argparse.ArgumentParser, level: int = 2) -> Iterator[str]:
    with mock.patch.dict(os.environ, COLUMNS="92"):
        text = parser.format_help()
    text = text.replace(f"usage: {Path(SWEEP).name}", f"usage: python {SWEEP}")
    yield from (f"{'#' * level} {name}", "", "```text", text.rstrip(), "```", "")
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, inner in action.choices.items():
                yield from _helped(f"{name} {word}", inner, level + 1)


def _table(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(
        "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in line) + " |"
        for line in lines
    )


def _parts() -> str:
    from models.registry import catalog

    lines = [
        "# Parts by name",
        "",
        "What `Component(NAME, ...)` takes, by the field of an experiment. An argument with `=`",
        "has that default; a part of your own is named `module:Class`. `python -m models NAME`",
        "shows a model in full.",
        "",
    ]
    for kind, entries in catalog().items():
        lines += [f"## {SINGULAR.get(kind, kind.replace('_', ' '))}", ""]
        rows = [
            (
                f"`{entry.name}`",
                entry.summary,
                ", ".join(
                    f"`{a.name}`" if a.required else f"`{a.name}={a.default!r}`"
                    for a in entry.arguments.values()
                ),
            )
            for entry in entries.values()
        ]
        lines += [_table(("name", "what it is", "arguments"), rows), ""]
    return "\n".join(lines)


def _recipes() -> str:
    from orchestrator.experiment.identity import complete
    from orchestrator.recipes import PAPERS

    lines = [
        "# Recipes of papers",
        "",
        "Each is a function of `orchestrator.recipes` that returns a complete experiment, trained",
        'as the paper\'s code trains. `leave_one_out(recipes.PAPERS["NAME"].quirks)` undoes its',
        "quirks one by one. `python -m orchestrator.recipes NAME` shows every setting.",
        "",
    ]
    for name, recipe in PAPERS.items():
        made = complete(recipe.build())
        facts = [
            ("model", f"`{made.model}`"),
            ("data", recipe.data),
            ("published", recipe.published),
            ("source", recipe.source),
            ("starts from", recipe.weights),
            ("differs", recipe.differs),
            ("epochs, batch size", f"{made.epochs}, {made.batch_size}"),
            *((f"quirk: {quirk}", f"undone by `{dict(c)}`") for quirk, c in recipe.quirks.items()),
        ]
        lines += [f"## {name}", "", _table(("", ""), (row for row in facts if row[1])), ""]
    return "\n".join(lines)


def _metrics() -> str:
    from orchestrator.metrics.catalog import METRICS

    rows = [
        (
            f"`{metric.key}`",
            metric.title,
            "larger" if metric.direction.value.startswith("max") else "smaller",
            ", ".join(kind.value.replace("_", " ") for kind in metric.kinds),
            "yes" if metric.chance else "",
            "yes" if metric.by_frame else "",
            ", ".join(f"`{word}`" for word in metric.takes),
        )
        for metric in METRICS.values()
    ]
    heads = ("key", "title", "better", "clips have", "chance level", "by frame", "takes")
    text = (
        "# Metrics\n\n"
        "For `Plan(metric=...)` and `python -m orchestrator.report SWEEP --metric KEY`.\n"
        "A metric by frame scores predictions over time: it takes a model with a frame head and\n"
        "clips with events. What a metric takes stands in its key:\n"
        "`val/event_f1(threshold=validation,median_s=0.45)`.\n\n"
    )
    return f"{text}{_table(heads, rows)}\n"


def _layouts() -> str:
    from orchestrator.data.layouts import LAYOUTS, PUBLISHED, layout_of

    rows = [
        (f"`{name}`", layout_of(name).TITLE, "yes" if name in PUBLISHED else "") for name in LAYOUTS
    ]
    text = (
        "# Layouts of folders\n\n"
        "What is recognized below `--data-root`, in the order in which it is tried. The\n"
        "official list of a published data set wins over the folders around it.\n"
        "[Your own data](../how-to/data.md) says what each reads.\n\n"
    )
    return f"{text}{_table(('layout', 'what it is', 'published data set'), rows)}\n"


def _zoo() -> str:
    from models.zoo.cards import CARDS
    from models.zoo.describe import describe_all
    from models.zoo.show import amount

    described = describe_all()
    lines = [
        "# Models and their cards",
        "",
        "Counts are computed here, for the input that stands beside them, without front end and",
        "transform; published numbers carry the conditions that are known of them.",
        "`python -m models --compare` prints the papers' own counts beside ours.",
        "",
    ]
    for card in CARDS.values():
        paper = card.paper
        models = [m for m in described if m.paper and m.paper in (paper, *card.papers.values())]
        rows = [
            (
                f"`{m.name}`",
                m.summary,
                amount(m.num_params),
                amount(m.macs.total),
                f"{m.input_size[0]} x {m.input_size[1]}, {m.seconds} s at {m.sample_rate} Hz",
            )
            for m in models
        ]
        lines += [
            f"## {paper.name}",
            "",
            f"*{paper.title}*, {paper.place}. Authors' code: {paper.code}, license: "
            f"{paper.license}.",
            "",
            _table(("model", "what it is", "parameters", "MACs", "input"), rows),
            "",
        ]
        if card.weights:
            rows = [
                (f"`{w.name}`", f"`{w.model}`", ", ".join(w.trained_on), w.license, w.remark)
                for w in card.weights
            ]
            heads = ("published weights", "model", "trained on", "license", "remark")
            lines += [_table(heads, rows), ""]
        if card.results:
            rows = [
                (
                    f"`{r.model}`" + (f", {r.form}" if r.form else ""),
                    r.conditions.dataset,
                    r.short(),
                    ", ".join(r.conditions.pretraining or ()) or _unknown(r.conditions.pretraining),
                    r.conditions.epochs or "not stated",
                    (r.conditions.selection or "not stated").replace("_", " "),
                    f"{r.source.paper}, {r.source.place}",
                )
                for r in card.results
            ]
            heads = ("model", "data", "published", "pretrained on", "epochs", "epoch", "where")
            lines += [_table(heads, rows), ""]
    return "\n".join(lines)


def _unknown(pretraining: tuple[str, ...] | None) -> str:
    return "not stated" if pretraining is None else "nothing"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Name the commit that the pages describe."""
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT
    )
    if done.returncode == 0:
        config.copyright = f"Built from {done.stdout.strip()}."
    return config
