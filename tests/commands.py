"""Commands as a user types them, in processes that begin with the slow imports done.

A server imports torch, Ray and MLflow once and forks for every command. A command has a process
of its own with its own folder, environment, streams and exit code, as from a shell; only what is
imported before it starts is different. So tests of what is imported start a real interpreter.
"""

from __future__ import annotations

import functools
import gc
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
IMPORTS = ("torch", "torchaudio", "timm", "ray.tune", "mlflow", "optuna", "scipy.stats")
# What belongs to the tests' own surroundings, not to the user whom they play. Readline, which
# pytest loads, tells the processes of pytest-xdist that they have a terminal of 80 columns.
PRIVATE = ("ORCHESTRATOR_", "MLFLOW_", "RAY_", "COLUMNS", "LINES")


def environment(**changes: str) -> dict[str, str]:
    """The environment of a user with a wide terminal, without settings of the program."""
    own = {key: value for key, value in os.environ.items() if not key.startswith(PRIVATE)}
    return own | {"COLUMNS": "120"} | changes


def run_command(
    words: Sequence[str | Path],
    *,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    timeout_s: float = 400,
    on_start: Callable[[int], None] = lambda pid: None,
) -> subprocess.CompletedProcess[str]:
    """Run `python WORDS...` to its end: a file or `-m MODULE`, and arguments.

    Args:
        words: what follows `python` on the command line.
        cwd: the folder to run in.
        env: the environment; None is that of `environment`.
        timeout_s: after so long the command is killed, and the test fails.
        on_start: called with the process id of the command once it runs.
    """
    words = [str(word) for word in words]
    return _server().run(words, cwd, env or environment(), timeout_s, on_start)


@functools.cache
def _server() -> _Server:
    return _Server()


class _Server:
    """A process that forks; it ends with this one, for nobody holds its standard input then."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.commands", *IMPORTS],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(
        self,
        words: list[str],
        cwd: Path,
        env: Mapping[str, str],
        timeout_s: float,
        on_start: Callable[[int], None],
    ) -> subprocess.CompletedProcess[str]:
        with tempfile.TemporaryDirectory() as folder:
            out, err = Path(folder, "out"), Path(folder, "err")
            job = {"words": words, "cwd": str(cwd), "env": dict(env)}
            self._tell(job | {"out": str(out), "err": str(err)})
            pid = self._hear()["pid"]
            timer = threading.Timer(timeout_s, os.killpg, (pid, signal.SIGKILL))
            timer.start()
            on_start(pid)
            code = self._hear()["code"]
            timer.cancel()
            return subprocess.CompletedProcess(words, code, out.read_text(), err.read_text())

    def _tell(self, job: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()

    def _hear(self) -> dict[str, int]:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


def _serve() -> dict[str, Any]:
    """Fork for every command until the input ends; return the command in the fork alone."""
    answers = os.fdopen(os.dup(1), "w")
    while line := sys.stdin.readline():
        pid = os.fork()
        if not pid:
            answers.close()
            return json.loads(line)
        print(json.dumps({"pid": pid}), file=answers, flush=True)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        print(json.dumps({"code": code}), file=answers, flush=True)
    raise SystemExit


def _become(job: dict[str, Any]) -> None:
    """Be the process of a command, from its folder to its exit code."""
    os.setsid()
    os.chdir(job["cwd"])
    os.environ.clear()
    os.environ.update(job["env"])
    new = os.O_CREAT | os.O_WRONLY | os.O_APPEND
    for number, path, flags in ((0, os.devnull, 0), (1, job["out"], new), (2, job["err"], new)):
        os.dup2(os.open(path, flags), number)
    file, *rest = job["words"]
    if file == "-m":
        sys.path[0] = job["cwd"]
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = str(Path(file).resolve().parent)
        sys.argv = [file, *rest]
        runpy.run_path(file, run_name="__main__")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        __import__(name)
    gc.freeze()  # else every command ends with a search of all that was imported
    assert threading.active_count() == 1, threading.enumerate()  # a fork has one thread
    _become(_serve())
