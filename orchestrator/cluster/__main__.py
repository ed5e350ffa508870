"""`python -m orchestrator.cluster check|nodes FILE`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from models.command import run_command
from orchestrator.cluster.check import SDKS, ClusterFile, check
from orchestrator.errors import ConfigError, OrchestratorError, printable

_EPILOG = """\
examples:
  python -m orchestrator.cluster check cluster/gpu.yaml
  python -m orchestrator.cluster nodes cluster/gpu.yaml

exit code: 0 fine, 1 nodes are still there, 2 a mistake that the message explains"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m orchestrator.cluster",
        description="Look at a cluster file before `ray up`, and at what is left after `ray down`.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="check|nodes")
    for name, words in (
        ("check", "hold a file against Ray's schema and our rules; say what `ray up` starts"),
        ("nodes", "list the nodes of a file's cluster that the provider still has"),
    ):
        command = commands.add_parser(name, help=words, description=words)
        command.add_argument("file", type=Path, metavar="FILE")
    options = parser.parse_args(argv)
    work = {"check": _check, "nodes": _nodes}[options.command]
    return run_command(lambda: work(options.file), mistakes=OrchestratorError)


def _check(path: Path) -> int:
    from orchestrator.cluster.startup import lines

    file, prepared, mistakes = check(path)
    if mistakes or prepared is None:
        head = "a mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        said = [f"  - line {mistake.line}: {mistake.text}" for mistake in mistakes]
        raise ConfigError("\n".join([f"{path} has {head}:", *said]))
    print(f"{path}: no mistake found")
    for line in lines(file, prepared):
        print(printable(line))
    return 0


def _nodes(path: Path) -> int:
    from ray.autoscaler._private.providers import _get_node_provider

    file = ClusterFile(path)
    name = str(file.config.get("cluster_name", ""))
    try:
        provider = _get_node_provider(dict(file.provider), name)
        nodes = provider.non_terminated_nodes({})
    except Exception as error:  # of whatever library the provider uses
        install = SDKS.get(file.kind, ("", ""))[1]
        way_out = f"`{install}`" if isinstance(error, ImportError) and install else "mend that"
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"cannot ask {file.kind} for nodes of {name!r} ({reason}); {way_out}"
        ) from error
    for node in nodes:
        print(f"{node}: {provider.node_tags(node).get('ray-user-node-type', '?')}")
    count = "1 node" if len(nodes) == 1 else f"{len(nodes)} nodes"
    are = "is" if len(nodes) == 1 else "are"
    print(f"{count} of {name!r} {are} there" if nodes else f"no node of {name!r} is left")
    return 1 if nodes else 0


if __name__ == "__main__":
    raise SystemExit(main())
