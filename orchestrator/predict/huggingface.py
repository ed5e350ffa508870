"""A trained model as a folder in the layout of the Hugging Face Hub.

`config.json` says what the model is, `model.safetensors` holds its weights, and `README.md` is its
model card. `orchestrator.load_model(FOLDER)` reads it back; the weights carry what they were
trained as, and a `config.json` of another model is refused.
"""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import save

import orchestrator
from models.registry import TRAINED_AS
from models.zoo.cards import paper_of
from orchestrator.analysis.summary import summarize_arms
from orchestrator.errors import ConfigError
from orchestrator.metrics import METRICS, lookup
from orchestrator.predict.choice import Choice
from orchestrator.predict.exported import Exported
from orchestrator.predict.loading import CONFIG, WEIGHTS, config_of


def write_folder(exported: Exported, path: Path) -> None:
    """Write a model's folder.

    Args:
        exported: The model.
        path: Folder to create.

    Raises:
        ConfigError: The checkpoint is of a version that did not say what it was trained as.
    """
    model = exported.choice.model
    if "experiment" not in model.trained_as:
        raise ConfigError(
            f"{model.source} is of a version whose checkpoints did not say what they were trained "
            "as, which such a folder states; --format torch and onnx take it"
        )
    path.mkdir(parents=True)
    config = config_of(model.trained_as) | {
        "sampling_rate": exported.sample_rate,
        "num_samples": exported.num_samples,
        "library": "audio-ablation-orchestrator",
        "library_version": orchestrator.__version__,
    }
    (path / CONFIG).write_text(json.dumps(config, indent=2, ensure_ascii=False), encoding="utf-8")
    # Tensors that share storage are refused, and a chain's need not be contiguous.
    tensors = {name: value.clone().contiguous() for name, value in model.chain.state_dict().items()}
    metadata = {"format": "pt", TRAINED_AS: json.dumps(dict(model.trained_as), sort_keys=True)}
    (path / WEIGHTS).write_bytes(save(tensors, metadata=metadata))
    (path / "README.md").write_text(_card(exported), encoding="utf-8")


def _card(exported: Exported) -> str:
    choice, model = exported.choice, exported.choice.model
    name = model.experiment.model.name
    paper = paper_of(name)
    seconds = exported.num_samples / exported.sample_rate
    lines = [
        "---",
        "license: other",
        "license_name: see-below",
        "library_name: audio-ablation-orchestrator",
        "pipeline_tag: audio-classification",
        "tags: [audio-classification, sound-event-recognition]",
        "---",
        f"# {name}, trial {model.trial}",
        "",
        f"Classifies {seconds:g} s of mono audio at {exported.sample_rate} Hz into "
        f"{model.chain.num_classes} classes.",
        "",
        "| | |",
        "|---|---|",
        f"| architecture | {name}" + (f", {paper.title} ({paper.place})" if paper else "") + " |",
        f"| trial | {model.trial}, seed {model.experiment.seed}, fold {model.experiment.fold} |",
        *_rows(choice),
        "",
        "```python",
        "import orchestrator",
        "",
        "chain = orchestrator.load_model(FOLDER)  # in evaluation mode",
        "logits = chain(waveform).clip_logits     # waveform (batch, samples) in [-1, 1]",
        "chain.class_names                        # in the order of the logits",
        "```",
        "",
        "`python -m orchestrator.predict FOLDER recording.wav` takes recordings of any length and "
        "rate.",
        "",
        "The code is under Apache-2.0. What the weights may be used for also depends on the data "
        "and on the weights that training started from, both named above: state their license "
        "in place of `other` before you share this folder.",
        "",
    ]
    return "\n".join(lines)


def _rows(choice: Choice) -> list[str]:
    """Return rows about data, start and metrics, as far as they are known."""
    record = choice.record
    dataset = choice.model.experiment.dataset
    if record is None:
        return [
            f"| data | {dataset.name} |",
            "| metrics | not in the checkpoint's file; export the trial from its store |",
        ]
    data, epoch = record.data, choice.epoch or "last"
    rows = [
        f"| data | {data.get('name', dataset.name)}, {data.get('num_train')} clips to train and "
        f"{data.get('num_val')} to test, pack {data.get('fingerprint')} |",
        f"| started from | {data.get('initial') or 'random weights'} |",
        f"| code | {record.provenance.get('code', 'not recorded')} |",
    ]
    if choice.plan is None or choice.records is None:
        metrics = record.metrics_at(epoch)
        shown = (METRICS[key] for key in metrics if key in METRICS and key.startswith("val/"))
        values = ", ".join(
            f"{one.title} {one.scale * metrics[one.key]:.4g} {one.unit}".strip() for one in shown
        )
        return [*rows, f"| metrics | {values}; of one trial, so without an interval |"]
    plan, metric = choice.plan, lookup(choice.plan.metric)
    (arm,) = summarize_arms(plan, choice.records, metric=metric, only=[choice.arm])
    own = metric.scale * choice.records[record.id].metrics_at(epoch)[metric.key]
    rows += [
        f"| sweep | {plan.sweep}, arm {choice.arm}: {plan.question} |",
        f"| {metric.title} | {own:.4g} {metric.unit}; the best of the arm's trials, chosen on the "
        "clips that it is reported on, so it is too good |",
    ]
    if metric.key in arm.measures:
        over = arm.measures[metric.key].interval
        scope = "without an interval"
        if over.low is not None and over.high is not None:
            scope = (
                f"{100 * over.confidence:g} % interval {over.low:.4g} to {over.high:.4g} over "
                f"{over.replicate}s on the same data, not over other recordings"
            )
        rows.append(
            f"| mean of the arm | {over.mean:.4g} {metric.unit}, n {over.n} {over.replicate}s, "
            f"{scope} |"
        )
    return rows
