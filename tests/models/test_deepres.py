"""DeepRes and AudioSet's baseline: what their public descriptions fix; there is no code to run."""

import pytest
import torch

from models.errors import ModelError
from models.macs import num_params
from models.registry import create
from models.zoo.counts import compare


def small(name, *, input_size=(64, 0), **changes):
    torch.manual_seed(0)
    return create("model", f"{name}_laptop", 1, input_size, 3, **changes).eval()


def test_deepres_has_the_size_that_is_printed():
    [row] = compare("deepres")
    assert row.ours == 25_660_879
    assert round(row.ours / 1e6) == 26
    assert row.published.printed == "26 M"


def test_baselines_classifier_has_the_size_that_is_printed():
    with torch.device("meta"):
        model = create("model", "audioset_baseline", 1, (64, 0), 527)
    classifier = num_params(model.hidden) + num_params(model.head)
    assert round(classifier / 1e6, 1) == 2.6
    assert model.trunk.conv1.stride == (1, 1)


def test_attention_with_equal_scores_is_the_mean_of_the_steps_probabilities():
    model = small("deepres")
    torch.nn.init.zeros_(model.attention.weight)
    clip, frames, _ = model(torch.randn(2, 1, 64, 128))
    steps = frames[:, ::32].sigmoid()
    assert steps.shape[1] == 4
    torch.testing.assert_close(clip.sigmoid(), steps.mean(dim=1))


def test_attention_picks_the_step_with_the_highest_score():
    model = small("deepres")
    torch.nn.init.constant_(model.attention.weight, 1e3)
    clip, frames, _ = model(torch.randn(2, 1, 64, 128))
    # One step for all classes, whose weights are equal.
    distance = (frames[:, ::32] - clip[:, None]).abs().amax(dim=2)
    assert (distance.min(dim=1).values < 1e-4).all()


def test_patches_are_scored_by_themselves_and_averaged():
    model, features = small("audioset_baseline"), torch.randn(2, 1, 64, 60)
    clip, frames, _ = model(features)
    alone = torch.stack([model(features[..., i : i + 24])[0] for i in (0, 24)], dim=1)
    torch.testing.assert_close(frames[:, [0, 24]], alone, atol=1e-5, rtol=0)
    torch.testing.assert_close(clip.sigmoid(), alone.sigmoid().mean(dim=1))
    assert torch.equal(frames[:, 59], frames[:, 47])


def test_clip_shorter_than_a_patch_is_filled_up_with_zeros():
    model, features = small("audioset_baseline"), torch.randn(1, 1, 64, 15)
    whole = torch.nn.functional.pad(features, (0, 9))
    assert torch.equal(model(features).clip_logits, model(whole).clip_logits)
    with pytest.raises(ModelError, match="takes 12 frames or more, not 11; pad"):
        model(features[..., :11])


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("deepres", {"input_size": (64, 16)}, "32 or more"),
        ("deepres", {"depths": (1, 1)}, "four each"),
        ("audioset_baseline", {"input_size": (64, 8)}, "half a patch"),
        ("audioset_baseline", {"hidden_dim": 0}, "hidden_dim=0"),
    ],
    ids=str,
)
def test_sizes_that_do_not_fit_are_refused(name, changes, words):
    with pytest.raises(ModelError, match=words):
        small(name, **changes)
