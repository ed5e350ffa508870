"""Lists the papers' recipes: `python -m orchestrator.recipes`, one in full: `... NAME`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from models.command import run_command
from orchestrator.errors import ConfigError, OrchestratorError, unknown
from orchestrator.experiment.identity import complete
from orchestrator.recipes import PAPERS
from orchestrator.recipes.recipe import TRAINING, Recipe
from orchestrator.terminal.text import grid, laid_out, terminal_width

_EPILOG = """\
examples:
  python -m orchestrator.recipes                 every recipe: model, data, published number
  python -m orchestrator.recipes htsat_audioset  one in full: settings, source, quirks

in a sweep:
  base=recipes.htsat_audioset()                                     the recipe itself
  arms=leave_one_out(recipes.PAPERS["htsat_audioset"].quirks)       each of its quirks undone
  Arm(name="as AST", changes=recipes.PAPERS["ast_esc50"].training)  laid over another base"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 2 for an unknown name."""
    parser = argparse.ArgumentParser(
        prog="python -m orchestrator.recipes",
        description="List the papers' recipes.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", nargs="?", default="", help="a recipe, to see all of it")
    options = parser.parse_args(argv)
    return run_command(lambda: _print(options.name), mistakes=OrchestratorError)


def _print(name: str) -> int:
    if name and name not in PAPERS:
        raise ConfigError(unknown("recipe", name, PAPERS))
    print(_in_full(PAPERS[name]) if name else _listed(), end="")
    return 0


def _listed() -> str:
    rows = [(r.name, r.build().model.name, r.data, r.published) for r in PAPERS.values()]
    heads = ("recipe", "model", "data", "published")
    return laid_out(grid(rows, heads=heads, whole=(0,)), width=terminal_width())


def _in_full(recipe: Recipe) -> str:
    made = complete(recipe.build())
    settings = ("frontend", "transform", "model", *TRAINING)
    rows = [(name, str(getattr(made, name))) for name in settings]
    facts = [
        *(("data", recipe.data), ("source", recipe.source), ("published", recipe.published)),
        *((("starts from", recipe.weights),) if recipe.weights else ()),
        *((("differs", recipe.differs),) if recipe.differs else ()),
    ]
    quirks = [
        (name, ", ".join(f"{path}={value}" for path, value in changes.items()))
        for name, changes in recipe.quirks.items()
    ]
    doc = (recipe.build.__doc__ or "").partition("\n")[0]
    return "\n".join(
        [
            f"{recipe.name}: {doc}\n",
            laid_out(grid(facts, indent=2), width=terminal_width()),
            laid_out(grid(rows, indent=2), width=terminal_width()),
            "quirks, and what undoes each:",
            laid_out(grid(quirks, indent=2), width=terminal_width()),
        ]
    )


if __name__ == "__main__":
    raise SystemExit(main())
