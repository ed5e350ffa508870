"""Write a trained model to files that other programs run.

python -m orchestrator.export 3f2a --format torch               a trial, by the beginning of its id
python -m orchestrator.export SWEEP/ARM --format onnx           the arm's best seed
python -m orchestrator.export SWEEP/ARM --format huggingface    a folder to load or to share
python -m orchestrator.export SWEEP --format mlflow --register NAME    every arm's best seed

A model goes from waveforms (batch, samples) in [-1, 1] at its sample rate, as long as the training
clips (--window), to logits, and those over time where it has them. The batch has any size.

torch        a program of torch.export (.pt2): torch.export.load(FILE).module()(waveform)
onnx         for onnxruntime; rate, classes and trial in its metadata
huggingface  config.json, model.safetensors and a model card: orchestrator.load_model(FOLDER)
mlflow       in the trial's run, from waveforms to class probabilities, with signature and example

Every file is loaded again and must give the same numbers, to 1e-4, as the model in float32: on
made-up audio, and on held-out clips where their pack is in the store. Nothing else is kept.

Tried with torch 2.11 and onnxruntime 1.32: the laptop size of every family with initial weights,
and frozen models. All are exported as torch, where the same batch gives the same numbers to 3e-7,
of the families to the bit; and as onnx, where a logit differs by at most

  ast 5e-7         audioset_baseline 2e-7   cnn6 4e-7      cnn14_decision_level_att 2e-7
  datar 4e-7       datar_pp 9e-7            deepres 2e-7   erann 3e-8
  htsat 4e-7       kwt 7e-8                 psla 2e-7      res15, and triplet 6e-8
  slowfast 1e-8    talnet 5e-7              vggsound_resnet 4e-7

Trained on ESC-10, DATAR, AST, HTS-AT and PANNs differ by up to 2e-5 as onnx. What an exporter
cannot take is refused with its reason; huggingface takes every model.
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.command import completing, run_command
from orchestrator.errors import ConfigError, OrchestratorError
from orchestrator.predict.choice import choose
from orchestrator.store import Store
from orchestrator.terminal.text import visible

if TYPE_CHECKING:
    from orchestrator.predict.exported import Exported

ENDINGS = {"torch": ".pt2", "onnx": ".onnx", "huggingface": ""}
"""Format of a file or folder -> the ending of its name."""


def main(
    argv: Sequence[str] | None = None,
    *,
    log_model: Callable[..., tuple[str, dict[str, float]]] | None = None,
) -> int:
    """Run the command line.

    Args:
        argv: Arguments; None takes those of the process.
        log_model: The format `mlflow`, which lies in a room above.

    Returns:
        The exit code.
    """
    args = completing(_parser()).parse_args(argv)
    return run_command(lambda: _run(args, log_model), mistakes=OrchestratorError)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m orchestrator.export",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "model", metavar="MODEL", help="TRIAL, SWEEP/ARM, SWEEP (all arms) or a checkpoint's file"
    )
    parser.add_argument("--format", choices=(*ENDINGS, "mlflow"), required=True)
    parser.add_argument(
        "--output",
        default="",
        metavar="PATH",
        help="file, or folder of huggingface; default: named like the trial, here",
    )
    parser.add_argument("--store", default="store", help="folder or URI (default: %(default)s)")
    parser.add_argument(
        "--epoch",
        choices=("last", "best"),
        help="whose weights; default: the epoch that the sweep reports, or the last",
    )
    parser.add_argument(
        "--window",
        type=float,
        metavar="S",
        help="length of the input in seconds; default: that of the training clips",
    )
    tracking = parser.add_argument_group("mlflow")
    tracking.add_argument("--register", default="", metavar="NAME", help="as a new version of NAME")
    tracking.add_argument(
        "--tracking-uri",
        default="",
        help="address of the server (default: $MLFLOW_TRACKING_URI, else SQLite in the store)",
    )
    return parser


def _run(args: argparse.Namespace, log_model: Callable[..., Any] | None) -> int:
    if args.format != "mlflow" and (args.register or args.tracking_uri):
        raise ConfigError("--register and --tracking-uri are of --format mlflow")
    if args.format == "mlflow" and args.output:
        raise ConfigError("--format mlflow writes to the server; leave --output out")
    if args.format == "onnx" and (missing := _missing("onnx", "onnxruntime", "onnxscript")):
        raise ConfigError(
            f"--format onnx needs {' and '.join(missing)}, which are not installed: "
            "pip install 'audio-ablation-orchestrator[export]'"
        )
    from orchestrator.predict.exported import prepare

    names = _names(args)
    if args.output and len(names) > 1:
        raise ConfigError(
            f"{args.model} has {len(names)} arms, and --output is one; give SWEEP/ARM"
        )
    for name in names:
        exported = prepare(choose(name, place=args.store, epoch=args.epoch), window_s=args.window)
        if args.format == "mlflow":
            assert log_model is not None
            place, found = log_model(
                exported, tracking_uri=args.tracking_uri, register=args.register
            )
        else:
            place, found = _written(exported, args)
        apart = ", ".join(f"{value:.2g} on {audio}" for audio, value in found.items())
        print(
            f"{visible(exported.choice.model.source)}: {visible(place)}\n"
            f"  input (batch, {exported.num_samples}) at {exported.sample_rate} Hz, "
            f"{exported.choice.model.chain.num_classes} classes; largest difference {apart}",
            flush=True,
        )
        if (shifts := exported.choice.model.experiment.test_shifts_s) != (0.0,):
            print(
                f"  the trial's stored predictions are means over test_shifts_s={shifts}; this "
                "model predicts a clip as it is"
            )
    return 0


def _missing(*packages: str) -> list[str]:
    return [name for name in packages if importlib.util.find_spec(name) is None]


def _names(args: argparse.Namespace) -> list[str]:
    """Return what is exported: each arm of a sweep, or the model as given."""
    if not Path(args.model).exists():
        store = Store.open(args.store, create=False)
        if args.model in store.sweeps():
            return [f"{args.model}/{arm.name}" for arm in store.require_plan(args.model).arms]
    return [args.model]


def _written(exported: Exported, args: argparse.Namespace) -> tuple[str, dict[str, float]]:
    """Write a file or folder beside its place, check it there, and move it in."""
    from orchestrator.predict.formats import WRITERS

    ending = ENDINGS[args.format]
    model = exported.choice.model
    epoch = f"-{exported.choice.epoch}" if exported.choice.epoch else ""
    place = Path(args.output or f"{model.trial or 'model'}{epoch}{ending}")
    if place.is_dir() and (ending or any(place.iterdir())):
        raise ConfigError(f"{place} is a folder that is there already; give another --output")
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=".export-") as scratch:
        path = Path(scratch) / place.name
        found = WRITERS[args.format](exported, path)
        if place.is_dir():
            place.rmdir()
        shutil.move(path, place)
    return str(place), found
