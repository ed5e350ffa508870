"""A laptop-size trial beside the same trial at another commit, on the same core in turns.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.training.bench_trial --before COMMIT

Prints the table of `trial.md`. Every run trains a trial of `sweeps/adaptor_lambda.py --demo` in a
process of its own, after one that is not counted. Rows are CPU seconds of the process, since a wall
clock counts what else the machine does; forward (of the model alone), loss, backward and optimizer
are those of training. `share` is their sum over all that the training epochs took, without the loss
and with it.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
ROWS = (
    "whole trial",
    "set-up",
    "front end",
    "forward",
    "loss",
    "backward",
    "optimizer",
    "evaluation",
    "training epochs",
)


def measure(root: str) -> dict[str, float]:
    """Train the trial with the packages below a folder; return row -> CPU seconds."""
    import torch

    import orchestrator
    from orchestrator.execution.launch import with_pack
    from orchestrator.execution.options import parse
    from orchestrator.execution.prepare import prepare
    from orchestrator.execution.trial import TrialRun
    from orchestrator.store import Store
    from orchestrator.training import trainer as loop

    assert orchestrator.__file__ is not None and orchestrator.__file__.startswith(root)
    torch.set_num_threads(1)
    spec = importlib.util.spec_from_file_location("sweep", f"{root}/sweeps/adaptor_lambda.py")
    assert spec is not None and spec.loader is not None
    sweep: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sweep)
    spent = dict.fromkeys(ROWS, 0.0)

    def timed(row: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def inner(*given: Any, **options: Any) -> Any:
            started = time.process_time()
            try:
                return call(*given, **options)
            finally:
                spent[row] += time.process_time() - started

        return inner

    Trainer: Any = loop.Trainer
    build, init = loop.build, Trainer.__init__

    def built(*given: Any, **options: Any) -> Any:
        chain = build(*given, **options)
        chain.frontend.forward = timed("front end", chain.frontend.forward)
        forward, in_training = chain.model.forward, timed("forward", chain.model.forward)
        chain.model.forward = lambda *given: (in_training if chain.training else forward)(*given)
        return chain

    def started(self: Any, *given: Any, **options: Any) -> None:
        init(self, *given, **options)
        self.loss = timed("loss", self.loss)
        self.optimizer.step = timed("optimizer", self.optimizer.step)

    loop.build = built
    Trainer.__init__ = timed("set-up", started)
    Trainer._train_epoch = timed("training epochs", Trainer._train_epoch)
    Trainer._evaluate = timed("evaluation", Trainer._evaluate)
    loop.clip_gradients = timed("optimizer", loop.clip_gradients)
    tensor: Any = torch.Tensor
    tensor.backward = timed("backward", tensor.backward)
    with tempfile.TemporaryDirectory() as folder:
        options = parse(["--demo", "--store", folder], description="")
        trials = with_pack(prepare(sweep.PLAN, options)).plan.trials()
        store = Store.open(folder)
        for trial in trials[-1], trials[0]:  # the first warms up
            spent |= dict.fromkeys(ROWS, 0.0)
            run = TrialRun(store=store, trial_id=trial.id, experiment=trial.experiment).run
            record = timed("whole trial", run)()
            assert record.status == "finished", record.error
    return spent


def in_process(root: str) -> dict[str, float]:
    """Call `measure` in a process of its own, which imports what lies below `root`."""
    environment = {**os.environ, "PYTHONPATH": root}
    command = [sys.executable, __file__, "--child", root]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", default="HEAD", help="commit to compare with")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each (%(default)s)")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure(options.child)))
        return
    with tempfile.TemporaryDirectory() as folder:
        before = f"{folder}/before"
        git = ("git", "-C", str(ROOT), "worktree")
        subprocess.run([*git, "add", "--quiet", "--detach", before, options.before], check=True)
        try:
            runs = [(in_process(before), in_process(str(ROOT))) for _ in range(options.repeats)]
        finally:
            subprocess.run([*git, "remove", "--force", before], check=True)
    print("| CPU seconds, median (spread) | before | now | ratio |")
    print("|:--|--:|--:|--:|")
    for row in ROWS:
        old, new = ([run[side][row] for run in runs] for side in (0, 1))
        ratio = statistics.median(old) / statistics.median(new) if statistics.median(new) else 0
        print(f"| {row} | {_cell(old)} | {_cell(new)} | {f'{ratio:.2f}' if ratio else ''} |")
    steps = ("forward", "backward", "optimizer")
    for name, parts in (("share", steps), ("share with the loss", (*steps, "loss"))):
        shares = [
            statistics.median(
                sum(run[side][part] for part in parts) / run[side]["training epochs"]
                for run in runs
            )
            for side in (0, 1)
        ]
        print(f"| {name} | {100 * shares[0]:.1f} % | {100 * shares[1]:.1f} % | |")


def _cell(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({max(values) - min(values):.2f})"


if __name__ == "__main__":
    main()
