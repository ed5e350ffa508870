"""The sweeps that come with the program, and the file of a new one.

python -m orchestrator.sweeps                              what they ask
python -m orchestrator.sweeps.adaptor_lambda --demo        run one
python -m orchestrator.sweeps new my_idea                  my_idea.py in this folder, to be edited
python -m orchestrator.sweeps new my_idea --like pretrain  the same, from one of them
"""

from __future__ import annotations

import argparse
import ast
import re
import shlex
import sys
from pathlib import Path

from models.command import run_command
from orchestrator.errors import ConfigError, OrchestratorError, unknown

NEW = '''\
# PYTHON_ARGCOMPLETE_OK
"""Does label smoothing help the small model?

Run:  python {name}.py --demo --dry-run     the trials, and what this many seeds can show
      python {name}.py --demo               laptop size, to its table
      python {name}.py --data-root DIR      full size, on audio of your own
"""

from orchestrator import Factor, Level, Plan, cli, one_at_a_time, recipes

# A level changes paths of the experiment: `epochs`, `model.deformable`, or a whole part, such as
# {{"transform": Component("adaptor", strength=0.2)}} or Component("my_module:MyTransform").
SMOOTHING = Factor(
    "smoothing",
    (Level("none"), Level("0.1", {{"loss.label_smoothing": 0.1}})),
)

PLAN = Plan(
    name="{name}",
    question="Does label smoothing help?",
    base=recipes.datar_tiny(),
    demo=recipes.datar_laptop(),
    arms=one_at_a_time(SMOOTHING, baseline="none"),
)

if __name__ == "__main__":
    cli.main(PLAN)
'''


def shipped() -> dict[str, Path]:
    """Return the sweeps that come with the program, name -> file."""
    files = sorted(Path(__file__).parent.glob("[!_]*.py"))
    return {path.stem: path for path in files}


def question(path: Path) -> str:
    """Return the first line of a sweep file's docstring."""
    return (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").partition("\n")[0]


def create(name: str, like: str | None) -> Path:
    """Write the file of a new sweep into the current folder.

    Args:
        name: Name of the sweep, and of its file without `.py`.
        like: Name of the shipped sweep to begin with; None for the smallest that there is.

    Raises:
        ConfigError: If the name is no module name, the file exists, or `like` is unknown.
    """
    name = name.removesuffix(".py")
    if not re.fullmatch(r"[a-z_][a-z0-9_]*", name):
        raise ConfigError(
            f"a sweep's name is made of lower-case letters, digits and _, such as my_idea; "
            f"got {name!r}"
        )
    if like is None:
        text = NEW.format(name=name)
    elif like in shipped():
        text = shipped()[like].read_text("utf-8").replace(f'name="{like}"', f'name="{name}"')
        text = text.replace(f"sweeps/{like}.py", f"{name}.py")
    else:
        raise ConfigError(unknown("sweep", like, shipped()))
    path = Path(f"{name}.py")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ConfigError(f"{path} exists; choose another name, or move it away") from None
    except OSError as error:
        raise ConfigError(f"cannot write {path.absolute()}: {error.strerror}") from None
    return path


def main() -> int:
    """List the sweeps, or write a new one."""
    parser = argparse.ArgumentParser(
        prog="python -m orchestrator.sweeps",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    new = parser.add_subparsers(dest="command").add_parser("new", help="write a new sweep's file")
    new.add_argument("name", metavar="NAME", help="its name; the file is NAME.py, here")
    new.add_argument("--like", metavar="SWEEP", help="begin with one that comes with the program")
    first, rest = sys.argv[1:2], sys.argv[2:]
    if first and first[0].removesuffix(".py") in shipped():
        module = f"orchestrator.sweeps.{first[0].removesuffix('.py')}"
        raise ConfigError(f"{first[0]} is run by: {shlex.join(['python', '-m', module, *rest])}")
    args = parser.parse_args()
    if args.command == "new":
        path = create(args.name, args.like)
        print(f"wrote {path}; next: python {path} --demo --dry-run")
        return 0
    for name, path in shipped().items():
        print(f"{name:20s} {question(path)}")
    print("\npython -m orchestrator.sweeps.NAME --demo runs one")
    return 0


if __name__ == "__main__":
    raise SystemExit(run_command(main, mistakes=OrchestratorError))
