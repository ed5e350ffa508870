"""Blocks that compute their activations again: the same numbers to the bit, from less memory."""

import copy
import gc
import weakref
from collections import Counter

import pytest
import torch
from torch import nn

import models
from models.registry import create
from orchestrator.data import open_pack
from orchestrator.errors import ConfigError
from orchestrator.execution.trial import TrialCheckpoints, TrialRun
from orchestrator.experiment.config import Component, Runtime
from orchestrator.records import Status
from orchestrator.training.activation_checkpointing import blocks, checkpoint_activations
from orchestrator.training.data_parallel import Group
from orchestrator.training.trainer import Trainer
from tests import tiny
from tests.collectives import Collectives

torch.set_num_threads(1)
SMALL = {
    "ast_laptop": {},
    "cnn14": {"dims": (4, 8, 8, 16, 16, 16)},
    "cnn6_laptop": {},
    "datar_laptop": {"drop_path_rate": 0.3},
    "datar_pp_laptop": {},
    "erann_laptop": {},
    "htsat_laptop": {},
    "kwt_laptop": {},
    "psla_laptop": {},
    "slowfast_laptop": {},
    "vggsound_resnet_laptop": {},
}
LARGE_STEMS = {"vggsound_resnet_laptop"}  # most is kept before the first block


def trained(chain, waveform, *, precision):
    """What two training steps compute, the next random number, and the bytes that one keeps."""
    optimizer = torch.optim.AdamW(chain.parameters(), 1e-3)
    kept: dict[int, int] = {}  # of one step: an address means one storage until the backward pass
    parameters = {p.untyped_storage().data_ptr() for p in chain.parameters()}
    results = []

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    torch.manual_seed(0)
    for _ in range(2):
        kept.clear()
        optimizer.zero_grad()
        with (
            torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
            torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"),
        ):
            output = chain(waveform, torch.arange(len(waveform)))
            loss = output.clip_logits.float().square().sum()
        loss.backward()
        optimizer.step()
        results.append(loss.detach())
        results += [p.grad for p in chain.parameters() if p.grad is not None]
    results += [*chain.state_dict().values(), torch.rand(3)]
    return results, sum(kept.values())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", SMALL)
def test_model_that_computes_again_gives_the_same_bits_and_keeps_less(name, precision):
    plain = models.create_model(name, num_classes=5, **SMALL[name]).train()
    plain.set_normalization(-4.0, 4.0)
    again = copy.deepcopy(plain)
    assert checkpoint_activations(again.model) > 1
    waveform = 0.1 * torch.randn(
        4, plain.frontend.sample_rate, generator=torch.Generator().manual_seed(1)
    )
    expected, whole = trained(plain, waveform, precision=precision)
    results, kept = trained(again, waveform, precision=precision)
    assert plain.state_dict().keys() == again.state_dict().keys()
    assert all(one.equal(other) for one, other in zip(expected, results, strict=True))
    assert kept < (0.9 if name in LARGE_STEMS else 0.3) * whole
    with torch.no_grad():
        assert plain.eval()(waveform).clip_logits.equal(again.eval()(waveform).clip_logits)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("ast_base", {"Block": 12}),
        ("cnn14", {"ConvBlock": 6}),
        ("datar_tiny", {"Block": 12, "DownConv": 4}),
        ("htsat_tiny", {"SwinTransformerBlock": 12, "PatchMerging": 3}),
        ("psla_b0", {"InvertedResidual": 15}),
        ("resnet38", {"ResidualBlock": 16, "ConvBlock": 2}),
        ("vggsound_resnet50", {"Bottleneck": 16}),
    ],
)
def test_blocks_are_what_a_model_repeats(name, found):
    with torch.device("meta"):
        model = create("model", name, 1, (128, 512), 5)
    assert Counter(type(block).__name__ for block in blocks(model)) == found


def test_model_goes_with_its_last_reference():
    model = create("model", "ast_laptop", 1, (64, 128), 5)
    checkpoint_activations(model)
    model(torch.randn(2, 1, 64, 128)).clip_logits.sum().backward()
    gone = weakref.ref(model.blocks[0])
    gc.disable()
    try:
        del model
        assert gone() is None
    finally:
        gc.enable()


def test_model_without_repeated_blocks_is_refused():
    with pytest.raises(ConfigError, match=r"not made of repeated blocks.*accumulation_steps"):
        checkpoint_activations(nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3)))


NORMED = tiny.experiment(
    augmentation=Component("none"),
    frontend=Component("log_spectrogram", seconds=0.5, n_fft=256, hop_length=320),
    model=Component("vggsound_resnet_laptop"),
    epochs=2,
    accumulation_steps=2,
)


def losses_of_worker(store, name, activation_checkpointing):
    trainer = Trainer(
        NORMED,
        clips=open_pack(NORMED.dataset.arguments["fingerprint"], packs=store.packs_uri),
        checkpoints=TrialCheckpoints(store, name),
        group=Group(),
        activation_checkpointing=activation_checkpointing,
    )
    with Collectives() as seen:
        numbers = [(r.metrics["train/loss"], r.metrics["val/loss"]) for r in trainer.epochs()]
    return numbers, {k: v.clone() for k, v in trainer.chain.state_dict().items()}, len(seen.names)


def test_two_workers_with_shared_batch_norms_compute_the_same_bits_again(tmp_path, both):
    store = tiny.store_with_pack(tmp_path, NORMED)
    plain = both(losses_of_worker, store, "a" * 16, False)
    again = both(losses_of_worker, store, "b" * 16, True)
    for (numbers, state, count), (others, other_state, other_count) in zip(
        plain, again, strict=True
    ):
        assert numbers == others
        assert all(value.equal(other_state[name]) for name, value in state.items())
        assert other_count > count  # the statistics of a norm are gathered again, too


def test_trial_that_computes_again_has_the_record_of_one_that_does_not(tmp_path):
    experiment = tiny.experiment(model__drop_path_rate=0.2, epochs=2)
    records = []
    for name, again in (("plain", False), ("again", True)):
        store = tiny.store_with_pack(tmp_path / name, experiment)
        run = TrialRun(
            store=store,
            trial_id=experiment.id,
            experiment=experiment,
            runtime=Runtime(activation_checkpointing=again),
        )
        records.append(run.run())
    one, other = records
    assert one.status is other.status is Status.FINISHED, other.error
    assert one.predictions == other.predictions
    assert one.cost.macs == other.cost.macs
