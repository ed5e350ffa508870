import pytest
import torch

import models
from models.chain import build_chain
from models.errors import ModelError
from models.output import Output
from models.registry import RegistryError

FRONTEND = ("kaldi_fbank", {"n_mels": 32, "num_frames": 64})
MODEL = ("datar_laptop", {"dims": (8, 8, 16, 16), "head_dim": 8, "groups": (1, 2)})
MASKED = ("spec_augment", {"freq_mask": 8, "time_mask": 16})


def chain(*, seed=0, augmentation=("none", {}), transform=("identity", {}), model=MODEL):
    return build_chain(
        frontend=FRONTEND,
        augmentation=augmentation,
        transform=transform,
        model=model,
        num_classes=3,
        seed=seed,
    )


def clips(count=3):
    return 0.1 * torch.randn(count, 8000, generator=torch.Generator().manual_seed(0))


def test_chain_turns_waveforms_into_logits():
    output = chain()(clips())
    assert isinstance(output, Output)
    assert output.clip_logits.shape == (3, 3)


@pytest.mark.parametrize("training", [True, False])
def test_batch_without_clips_is_refused(training):
    with pytest.raises(ModelError, match="no clip in the batch"):
        chain().train(training)(clips(0))


def test_chains_of_one_seed_are_equal_and_of_another_are_not():
    one, same, other = chain(seed=1), chain(seed=1), chain(seed=2)
    for name, value in one.state_dict().items():
        assert torch.equal(value, same.state_dict()[name])
    assert not torch.equal(one.model.head.weight, other.model.head.weight)


@pytest.mark.parametrize(
    "changes",
    [
        {"transform": ("adaptor", {})},
        {"transform": ("gaussian", {})},
        {"augmentation": MASKED},
        {"model": ("datar_laptop", MODEL[1] | {"deformable": False})},
        {"model": ("datar_laptop", MODEL[1] | {"stride": 2})},
    ],
    ids=str,
)
def test_arms_share_the_initial_weights_of_what_they_share(changes):
    baseline, arm = chain().state_dict(), chain(**changes).state_dict()
    shared = baseline.keys() & arm.keys()
    assert len(shared) > 50
    assert all(torch.equal(baseline[name], arm[name]) for name in shared)


def test_build_chain_leaves_the_global_generator_as_it_was():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    chain(transform=("adaptor", {}))
    assert torch.equal(torch.rand(3), expected)


def test_normalization_is_that_of_ast():
    built = chain().eval()
    raw = built.frontend(clips())
    torch.testing.assert_close(built.features(clips()), raw)
    built.set_normalization(-4.2677393, 4.5689974)
    torch.testing.assert_close(built.features(clips()), (raw + 4.2677393) / (2 * 4.5689974))
    with pytest.raises(ModelError, match="std=0"):
        built.set_normalization(0.0, 0.0)


def test_masks_take_the_normalized_value_of_padding():
    built = chain(augmentation=MASKED)
    built.set_normalization(-4.0, 2.0)
    features = built.features(clips(), torch.arange(3))
    changed = features != built.eval().features(clips())
    assert changed.any()
    assert (features[changed] == 1.0).all()
    # 8000 samples fill 48 of 64 frames.
    assert (built.features(clips())[..., 48:] == 1.0).all()


@pytest.mark.parametrize("transform", ["gaussian", "laplacian", "identity"])
def test_features_of_a_clip_depend_on_its_seed_and_not_on_its_batch(transform):
    built = chain(augmentation=MASKED, transform=(transform, {}))
    seeds = torch.tensor([11, 12, 13])
    batch = built.features(clips(), seeds)
    alone = built.features(clips()[1:2], seeds[1:2])
    assert torch.equal(alone[0], batch[1])
    assert torch.equal(built.features(clips(), seeds), batch)
    assert not torch.equal(built.features(clips(), seeds + 1), batch)


def test_training_without_seeds_follows_the_global_generator():
    built = chain(augmentation=MASKED)
    torch.manual_seed(0)
    first = built.features(clips())
    assert not torch.equal(built.features(clips()), first)
    torch.manual_seed(0)
    assert torch.equal(built.features(clips()), first)


def test_evaluation_does_not_augment_and_draws_nothing():
    built = chain(augmentation=MASKED, transform=("gaussian", {})).eval()
    state = torch.get_rng_state()
    assert torch.equal(built.features(clips()), built.features(clips(), torch.arange(3)))
    assert torch.equal(torch.get_rng_state(), state)


def test_features_in_autocast_stay_float32():
    built = chain(transform=("adaptor", {}))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        features = built.features(clips())
        assert built(clips()).clip_logits.isfinite().all()
    assert features.dtype == torch.float32
    assert torch.equal(features, built.features(clips()))


def test_a_model_that_does_not_fit_the_front_end_says_what_does():
    with pytest.raises(ModelError, match=r"multiples of 32, nearest \(64, 96\)"):
        build_chain(
            frontend=("kaldi_fbank", {"n_mels": 70, "num_frames": 98}),
            augmentation=("none", {}),
            transform=("identity", {}),
            model=MODEL,
            num_classes=3,
            seed=0,
        )


@pytest.mark.parametrize(
    ("model", "frontend", "words"),
    [
        (
            "htsat_laptop",
            ("mfcc", {}),
            r"40 rows .* 32\b.*rows are set by n_mfcc, its frames by num_",
        ),
        ("datar_laptop", ("log_spectrogram", {}), "set by n_fft and f_max, its frames by seconds"),
        ("kwt_laptop", ("log_spectrogram", {"seconds": 0.0}), "its frames by seconds and hop_"),
    ],
)
def test_misfit_names_the_arguments_that_this_front_end_has(model, frontend, words):
    with pytest.raises(ModelError, match=words) as caught:
        models.create_model(model, num_classes=3, frontend=frontend)
    assert "n_mels" not in str(caught.value)


def test_a_misspelt_link_or_argument_names_the_nearest():
    with pytest.raises(RegistryError, match="'adaptor'"):
        chain(transform=("adapter", {}))
    with pytest.raises(RegistryError, match="'strength'"):
        chain(transform=("adaptor", {"strenght": 0.2}))


def test_no_classes_are_refused():
    with pytest.raises(ModelError, match="num_classes=0"):
        models.create_model("datar_laptop", num_classes=0)


@pytest.mark.parametrize("num_classes", ["5", 5.0, True, None])
def test_classes_that_are_no_whole_number_are_refused(num_classes):
    with pytest.raises(ModelError, match=f"num_classes={num_classes!r}: a whole number"):
        models.create_model("kwt_laptop", num_classes=num_classes)


def test_front_end_by_its_name_alone_takes_its_defaults():
    named = models.create_model("cnn6_laptop", num_classes=5, frontend="htk_log_mel")
    assert named.frontend.output_size == (128, 0)
    with pytest.raises(RegistryError, match="did you mean 'log_mel'"):
        models.create_model("cnn6_laptop", num_classes=5, frontend="logmel")


@pytest.mark.parametrize("link", [{"name": "log_mel"}, {}, (), ("log_mel",), ("log_mel", 64)])
@pytest.mark.parametrize("kind", ["frontend", "transform"])
def test_link_that_is_no_pair_is_refused(kind, link):
    with pytest.raises(ModelError, match=rf"{kind}=.*: a pair \(name, arguments\)"):
        models.create_model("cnn6_laptop", num_classes=5, **{kind: link})


def test_create_model_builds_a_chain_with_the_familys_front_end():
    built = models.create_model("datar_laptop", num_classes=4, deformable=False)
    assert built(0.1 * torch.randn(1, 80000)).clip_logits.shape == (1, 4)
    assert built.frontend.output_size == built.model.input_size
    assert type(built.transform).__name__ == "Adaptor"
    assert models.num_params(built) == sum(p.numel() for p in built.parameters())
    assert "datar_laptop" in models.list_models()


@pytest.mark.slow
def test_a_training_chain_is_one_graph_to_the_compiler():
    model = ("datar_laptop", MODEL[1] | {"depths": (1, 1, 1, 1), "drop_path_rate": 0.0})
    built = chain(augmentation=MASKED, transform=("laplacian", {}), model=model)
    seeds = torch.arange(3)
    traced = torch.compile(built, backend="eager", fullgraph=True)
    torch.testing.assert_close(traced(clips(), seeds)[0], built(clips(), seeds)[0])


def test_matched_noise_of_a_chain_starts_from_the_weights_of_the_adaptor():
    adaptor = chain(seed=5, transform=("adaptor", {"strength": 0.2}))
    noise = chain(seed=5, transform=("matched_noise", {"strength": 0.2}))
    assert torch.equal(adaptor.transform.conv.weight, noise.transform.weight)
    assert torch.equal(adaptor.transform.conv.bias, noise.transform.bias)
    other = chain(seed=6, transform=("matched_noise", {"strength": 0.2}))
    assert not torch.equal(other.transform.weight, noise.transform.weight)
