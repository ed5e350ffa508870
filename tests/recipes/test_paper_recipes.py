"""Papers' recipes against rates, draws, masks and mixing computed by hand from their sources."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import soundfile
import torch

from models.registry import create
from orchestrator import Plan, leave_one_out, recipes
from orchestrator.data.mixup import Mixup
from orchestrator.data.samplers import clip_weights
from orchestrator.design.validation import mistakes_of_plan
from orchestrator.experiment.identity import complete
from orchestrator.experiment.overrides import override
from orchestrator.metrics.targets import Targets
from orchestrator.recipes.__main__ import main
from orchestrator.training.evaluate import build_waveform_augmentation
from orchestrator.training.optimizers import build_schedule

PAPERS = recipes.PAPERS


def rate(name: str, *, steps_per_epoch: int):
    recipe = complete(PAPERS[name].build())
    parameter = torch.nn.Parameter(torch.zeros(2, 2))
    optimizer = create(
        "optimizer", recipe.optimizer.name, [("w", parameter)], **recipe.optimizer.arguments
    )
    return build_schedule(
        recipe.schedule,
        num_steps=steps_per_epoch * recipe.epochs,
        peak=optimizer.param_groups[0]["lr"],
        steps_per_epoch=steps_per_epoch,
    )


def rates_by_epoch(name: str, steps_per_epoch: int = 2000) -> list[float]:
    """The rate at the last step of every epoch."""
    schedule = rate(name, steps_per_epoch=steps_per_epoch)
    epochs = PAPERS[name].build().epochs
    return [schedule(epoch * steps_per_epoch - 1) for epoch in range(1, epochs + 1)]


def test_ast_audioset_rates_are_those_of_its_log():
    assert rates_by_epoch("ast_audioset") == pytest.approx([1e-5, 1e-5, 5e-6, 2.5e-6, 1.25e-6])
    schedule = rate("ast_audioset", steps_per_epoch=170_000)
    # Step s of 1000 has s / 1000 of the rate, a new one every 50 steps.
    seen = [schedule(s) for s in (0, 49, 50, 99, 500, 549, 999, 1000, 340_000)]
    assert seen == pytest.approx([0, 0, 5e-7, 5e-7, 5e-6, 5e-6, 9.5e-6, 1e-5, 5e-6])


def test_ast_balanced_rates_halve_after_10_15_and_20_epochs():
    expected = [5e-5] * 10 + [2.5e-5] * 5 + [1.25e-5] * 5 + [6.25e-6] * 5
    assert rates_by_epoch("ast_audioset_balanced") == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "peak", "epochs"), [("ast_esc50", 1e-5, 25), ("ast_speech_commands", 2.5e-4, 30)]
)
def test_ast_rates_fall_by_15_percent_from_the_fifth_epoch_on(name, peak, epochs):
    # Five epochs at the peak, then 0.85, 0.7225, 0.614125, ...
    made = rates_by_epoch(name)
    assert len(made) == epochs
    assert made[:8] == pytest.approx([peak] * 5 + [0.85 * peak, 0.7225 * peak, 0.614125 * peak])
    assert made[-1] == pytest.approx(peak * 0.85 ** (epochs - 5))


@pytest.mark.parametrize("name", ["htsat_audioset", "htsat_esc50", "htsat_speech_commands"])
def test_htsat_rates_are_those_of_its_code(name):
    # 1e-3 times 0.02, 0.05, 0.1 (epochs 0 to 2), 0.1 to 10, 0.05 to 20, 0.02 to 30, 0.03 after.
    expected = [2e-5, 5e-5, *[1e-4] * 9, *[5e-5] * 10, *[2e-5] * 10, *[3e-5] * 69]
    assert rates_by_epoch(name) == pytest.approx(expected)


def test_htsat_rates_of_the_paper_are_a_level():
    changes = PAPERS["htsat_audioset"].quirks["rates of the code, not of the paper"]
    schedule = override(recipes.htsat_audioset(), changes).schedule
    made = build_schedule(schedule, num_steps=1000, peak=1e-3, steps_per_epoch=10)
    seen = [made(10 * epoch) for epoch in (0, 1, 2, 9, 10, 19, 20, 99)]
    assert seen == pytest.approx([5e-5, 1e-4, 2e-4, 2e-4, 1e-4, 1e-4, 5e-5, 5e-5])


def test_psla_rates_halve_every_five_epochs():
    expected = [1e-4 * 0.5**k for k in (*[0] * 10, *[1] * 5, *[2] * 5, *[3] * 5, *[4] * 5)]
    assert rates_by_epoch("psla_audioset") == pytest.approx(expected)
    balanced = rates_by_epoch("psla_audioset_balanced")
    assert balanced[34:46:5] == pytest.approx([1e-3, 5e-4, 2.5e-4])
    assert balanced[-1] == pytest.approx(1e-3 * 0.5**5)


def test_panns_rate_is_constant():
    assert set(rates_by_epoch("panns_cnn14")) == {1e-3}


def test_datar_and_kwt_rates_warm_up_and_follow_a_cosine():
    schedule = rate("datar_vggsound", steps_per_epoch=20)
    # 1000 steps, 50 of warm-up; half way down from 1e-5 to 1e-7 after 475 more.
    seen = [schedule(s) for s in (0, 24, 49, 524, 999)]
    assert seen == pytest.approx([2e-7, 5e-6, 1e-5, 5.05e-6, 1e-7])
    # 84,843 clips in batches of 512 are 166 steps an epoch: the warm-up is ten epochs of 141.
    schedule = rate("kwt_1", steps_per_epoch=166)
    assert schedule(1661) == pytest.approx(1e-3) and schedule(830) == pytest.approx(5e-4, rel=1e-3)
    assert schedule(23_405) == pytest.approx(1e-5)


def step(name: str) -> tuple[float, float]:
    """A decayed matrix and vector after a step at rate 0.1, from 1, with gradients of 0."""
    recipe = complete(PAPERS[name].build())
    arguments = {**recipe.optimizer.arguments, "learning_rate": 0.1, "weight_decay": 0.05}
    parameters = [(n, torch.nn.Parameter(torch.ones(s))) for n, s in (("m", (1, 1)), ("v", (1,)))]
    optimizer = create("optimizer", recipe.optimizer.name, parameters, **arguments)
    for _, parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    return parameters[0][1].item(), parameters[1][1].item()


def test_decay_is_adams_in_ast_and_decoupled_on_all_parameters_in_htsat():
    # Adam: the gradient is 0.05, and a first step is the rate whatever the gradient.
    assert step("ast_audioset") == pytest.approx((0.9, 0.9), abs=1e-5)
    # AdamW: 1 - 0.1 * 0.05, vectors too.
    assert step("htsat_audioset") == pytest.approx((0.995, 0.995))
    assert complete(recipes.ast_audioset()).optimizer.arguments["beta1"] == 0.95
    assert complete(recipes.ast_audioset()).optimizer.arguments["weight_decay"] == 5e-7
    assert complete(recipes.panns_cnn14()).optimizer.arguments["amsgrad"]


SAMPLERS = {
    "ast_audioset": "weighted",
    "ast_audioset_balanced": "each_once",
    "ast_esc50": "each_once",
    "ast_speech_commands": "each_once",
    "htsat_audioset": "balanced",
    "htsat_esc50": "each_once",
    "htsat_speech_commands": "each_once",
    "panns_cnn14": "class_cycles",
    "psla_audioset": "weighted",
    "psla_audioset_balanced": "each_once",
}
# Weight of a clip of a class with 1 of 4 clips over one with 3 of 4: 3.01 / 1.01.
RATIO = {"weighted": 2.98020, "balanced": 3.0, "class_cycles": 3.0, "each_once": 1.0}


@pytest.mark.parametrize("name", SAMPLERS)
def test_draws_of_a_recipe_have_the_frequencies_of_its_paper(name):
    recipe = complete(PAPERS[name].build())
    assert recipe.sampler.name == SAMPLERS[name]
    targets = Targets.of_labels([0, 0, 0, 1], num_classes=2)
    sampler = create("sampler", recipe.sampler.name, targets, **recipe.sampler.arguments)
    counts = np.bincount(sampler(20_000, seed=0, epoch=1), minlength=4)
    assert counts[3] / counts[:3].mean() == pytest.approx(RATIO[SAMPLERS[name]], rel=0.06)
    if SAMPLERS[name] == "weighted":
        weights = clip_weights(targets, **recipe.sampler.arguments)
        assert weights[3] / weights[0] == pytest.approx(3.01 / 1.01)


MIXUPS = {  # probability, Beta's parameter, what is mixed, whether labels are
    "ast_audioset": (0.5, 10, "waveform", True),
    "ast_audioset_balanced": (0.5, 10, "waveform", True),
    "ast_esc50": (0.0, 0, "", False),
    "ast_speech_commands": (0.6, 10, "waveform", True),
    "htsat_audioset": (1.0, 0.5, "features", False),
    "htsat_esc50": (0.0, 0, "", False),
    "htsat_speech_commands": (0.0, 0, "", False),
    "panns_cnn14": (1.0, 1, "features", True),
    "psla_audioset": (0.5, 10, "waveform", True),
    "psla_audioset_balanced": (0.5, 10, "waveform", True),
    "datar_kinetics_sounds": (0.0, 0, "", False),
    "kwt_1": (0.0, 0, "", False),
}


@pytest.mark.parametrize("name", MIXUPS)
def test_mixup_of_a_recipe_has_the_weights_of_its_paper(name):
    share, alpha, on, labels = MIXUPS[name]
    recipe = complete(PAPERS[name].build())
    mixup: Mixup = create("mixup", recipe.mixup.name, **recipe.mixup.arguments)
    draws = np.zeros(20_000 * mixup.draws_per_clip, np.int64)
    made = mixup(draws, num_clips=9, batch_size=recipe.batch_size, seed=1, epoch=1)
    assert (mixup.on, mixup.mixes_labels, len(made.weight)) == (on, labels, 20_000)
    mixed = made.weight[made.weight != 1]
    assert len(mixed) / 20_000 == pytest.approx(share, abs=0.012)
    if alpha:
        assert mixed.mean() == pytest.approx(0.5, abs=0.01)
        assert mixed.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.06)


MASKS = {  # widest run of hidden mels and of hidden frames, and number of runs
    "ast_audioset": (47, 191, 1),
    "ast_esc50": (23, 95, 1),
    "ast_speech_commands": (47, 47, 1),
    "psla_audioset": (47, 191, 1),
    "htsat_audioset": (7, 63, 2),
    "panns_cnn14": (7, 63, 2),
    "kwt_1": (6, 24, 2),
    "datar_vggsound": (47, 191, 1),
}


@pytest.mark.parametrize("name", MASKS)
def test_masks_of_a_recipe_have_the_sizes_of_its_paper(name):
    mels, frames, runs = MASKS[name]
    part = complete(PAPERS[name].build()).augmentation
    quiet = {"noise": 0.0, "roll": 0} if "noise" in part.arguments else {}
    augment = create("augmentation", part.name, **{**part.arguments, **quiet})
    made = augment(
        torch.ones(400, 1, 60, 260), clip_seeds=torch.arange(400), padding=torch.tensor(0.0)
    )
    hidden = made[:, 0] == 0
    for rows, widest in ((hidden.all(dim=2), mels), (hidden.all(dim=1), frames)):
        starts = (rows[:, 1:] & ~rows[:, :-1]).sum(dim=1) + rows[:, 0]
        assert starts.max().item() == runs
        width = rows.sum(dim=1).max().item()
        assert 0.9 * runs * widest - 2 < width <= runs * widest


def test_recipe_keeps_the_papers_average_of_weights():
    def averaging(name):
        part = complete(PAPERS[name].build()).averaging
        return part.name, part.arguments.get("first"), part.arguments.get("first_twice")

    assert averaging("ast_audioset") == ("epoch_mean", 1, False)
    assert averaging("ast_audioset_balanced") == ("epoch_mean", 6, False)
    assert averaging("psla_audioset") == ("epoch_mean", 16, True)
    assert averaging("psla_audioset_balanced") == ("epoch_mean", 41, True)
    assert averaging("ast_esc50")[0] == averaging("htsat_audioset")[0] == "none"


def test_clips_are_joined_to_themselves_until_they_fill_ten_seconds():
    recipe = complete(recipes.htsat_esc50())
    repeated = create("frontend", recipe.frontend.name, **recipe.frontend.arguments)
    plain = create("frontend", "log_mel")
    clip = 0.1 * torch.randn(1, 160_000)
    torch.testing.assert_close(repeated(clip), plain(torch.cat([clip, clip], dim=1)))
    assert repeated(clip).shape[-1] == 1001
    # A second of a word is heard ten times; what is longer than ten seconds is cut.
    assert repeated(clip[:, :32_000]).shape[-1] == repeated(clip.repeat(1, 3)).shape[-1] == 1001


def test_noise_and_roll_are_those_of_ast():
    augment = create("augmentation", "noisy_spec_augment", freq_mask=0, time_mask=0, roll=0)
    flat = augment(
        torch.zeros(4000, 1, 4, 25), clip_seeds=torch.arange(4000), padding=torch.tensor(0.0)
    )
    # U1 * U2 / 10: mean 0.025, largest below 0.1; U2 is one number per clip, so that a clip's
    # largest of 100 values is nearly U2 / 10, with mean 0.05.
    assert flat.mean().item() == pytest.approx(0.025, abs=0.001) and 0 <= flat.min() < flat.max()
    assert 0.099 < flat.max().item() < 0.1
    assert flat.flatten(1).max(dim=1).values.mean().item() == pytest.approx(0.0495, abs=0.002)
    roll = create("augmentation", "noisy_spec_augment", freq_mask=0, time_mask=0, noise=0.0)
    one = torch.zeros(8000, 1, 1, 40)
    one[..., 20] = 1
    places = roll(one, clip_seeds=torch.arange(8000), padding=torch.tensor(0.0)).argmax(dim=3)
    shifts, counts = (places.flatten() - 20).unique(return_counts=True)
    assert shifts.tolist() == list(range(-10, 10))
    assert counts.min() > 300 and counts.max() < 500  # 400 are expected of each


def test_clips_of_audioset_are_evaluated_at_the_ten_shifts_of_htsat():
    made = [round(32000 * by) for by in complete(recipes.htsat_audioset()).test_shifts_s]
    assert made == [0, -100, -300, -600, -1000, -1500, -2100, -2800, -3600, -4500]
    for other in (recipes.htsat_esc50, recipes.htsat_speech_commands):
        assert complete(other()).test_shifts_s == (0.0,)


@pytest.mark.parametrize(
    ("recipe", "volumes"), [(recipes.kwt_2, (0.0, 0.1)), (recipes.res15, (0.1, 0.1))]
)
def test_words_are_shifted_and_get_a_background_as_in_the_keyword_models(recipe, volumes, tmp_path):
    soundfile.write(tmp_path / "hum.wav", np.full(20_000, 0.5), 16000)
    part = complete(recipe(background=tmp_path)).waveform_augmentation
    words = torch.zeros(500, 16000)
    words[:, 8000] = 1.0

    def augmented(**changes):
        augment = build_waveform_augmentation(part.replace(**changes), sample_rate=16000)
        lengths = torch.full((500,), 16000)
        return augment(words, clip_seeds=torch.arange(500), num_samples=lengths)

    # Up to 100 ms at 16 kHz are 1600 samples, either way.
    shifts = augmented(stretch=0.0, background=None).argmax(dim=1) - 8000
    assert -1600 <= shifts.min() < -1580 and 1580 < shifts.max() <= 1600
    assert shifts.double().std().item() == pytest.approx(3201 / 12**0.5, rel=0.05)
    levels = augmented(stretch=0.0)[:, 0] / 0.5
    assert (levels > 0).float().mean().item() == pytest.approx(0.8, abs=0.05)
    heard = levels[levels > 0]
    assert heard.min().item() == pytest.approx(volumes[0], abs=2e-3)
    assert heard.max().item() == pytest.approx(volumes[1], abs=2e-3)
    assert part.arguments["stretch"] == (0.15 if recipe is recipes.kwt_2 else 0.0)
    assert complete(recipe()).waveform_augmentation.arguments["background"] is None


@pytest.mark.parametrize("name", PAPERS)
def test_every_quirk_is_a_level_that_changes_the_recipe(name):
    recipe = PAPERS[name]
    base = complete(recipe.build())
    assert getattr(recipes, name) is recipe.build and recipe.source and recipe.quirks
    arms = leave_one_out(recipe.quirks)
    plan = Plan(name="quirks", question="What is each worth?", base=base, arms=arms, seeds=(0,))
    assert mistakes_of_plan(plan) == []
    assert len({plan.experiment(arm).id for arm in arms}) == len(recipe.quirks) + 1


def test_recipe_is_laid_over_another_base_in_one_line():
    base = complete(recipes.datar_laptop())
    made = override(base, PAPERS["ast_esc50"].training)
    own = complete(recipes.ast_esc50())
    assert (made.model, made.frontend, made.dataset) == (base.model, base.frontend, base.dataset)
    assert dataclasses.replace(
        made, model=own.model, frontend=own.frontend, dataset=own.dataset
    ) == dataclasses.replace(own, fold=base.fold, seed=base.seed)


def test_command_lists_all_recipes_and_shows_one(capsys):
    assert main([]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in PAPERS)
    assert main(["htsat_audioset"]) == 0
    shown = capsys.readouterr().out
    assert "reversed_batch" in shown and "mixup.labels=True" in shown and "sed_model.py" in shown
    assert main(["htsat_audioste"]) == 2
    assert "did you mean 'htsat_audioset'" in capsys.readouterr().err
