"""The numbers of the papers, in the order of their tables; see `models.zoo.published`.

Read from DATAR (arXiv 2312.16228) and HTS-AT (2202.00874) themselves; from the authors' code, logs
and read-me of AST (2104.01778, YuanGongND/ast 31088be), PANNs (1912.10211, qiuqiangkong/
audioset_tagging_cnn d2f4b8c) and DAT (2201.00520, LeapLabTHU/DAT 797f187).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from models.zoo.published.events import htsat, panns
from models.zoo.published.keywords import early, erann, keywords
from models.zoo.published.schema import Conditions, Result, Source
from models.zoo.published.spectrogram_nets import SPECTROGRAM_NETS

_IMAGENET = ("imagenet_1k",)
_BOTH = ("imagenet_1k", "audioset")


def _accuracies(values: Iterable[tuple[str, float]], **rest: Any) -> list[Result]:
    return [Result(metric=f"val/{kind}", value=value, unit="%", **rest) for kind, value in values]


def _tops(top1: float, top5: float, **rest: Any) -> list[Result]:
    return _accuracies((("top1", top1), ("top5", top5)), **rest)


def _map(value: float, **rest: Any) -> Result:
    return Result(metric="val/map", value=value, unit="", **rest)


def _datar() -> Iterable[Result]:
    def at(place: str) -> Source:
        return Source(paper="DATAR", arxiv="2312.16228", place=place)

    kinetics = Conditions(
        dataset="kinetics_sounds",
        num_train_clips=22_914,
        num_test_clips=1_585,
        protocol="own_split",
        sample_rate_hz=43_000,
        pretraining=_IMAGENET,
        epochs=300,
        num_models=1,
    )
    vggsound = replace(
        kinetics,
        dataset="vggsound",
        num_classes=309,
        num_train_clips=159_223,
        num_test_clips=12_790,
        epochs=50,
    )
    # Clips are of all verbs and nouns at once; 97 x 293 pairs make the actions.
    epic = replace(
        kinetics,
        dataset="epic_kitchens_100",
        num_train_clips=67_217,
        num_test_clips=9_668,
        epochs=100,
    )
    size = "the paper does not state the size of its backbone; DAT-T is assumed"
    quoted = "equal to the audio-only row of another paper, although the text says code was run"
    full: dict[str, Any] = dict(model="datar_tiny", form="deformable + adaptor", remark=size)
    ast: dict[str, Any] = dict(model="ast_base", quoted=True, remark=quoted)

    def of_ast(dataset: str, num_classes: int | None = None) -> Conditions:
        return Conditions(dataset=dataset, num_classes=num_classes)

    kinds = ("verb_top1", "noun_top1", "action_top1")
    yield from _tops(71.5, 90.5, conditions=kinetics, source=at("Table 1"), **full)
    yield from _tops(55.5, 80.2, conditions=vggsound, source=at("Table 2"), **full)
    numbers = zip(kinds, (48.7, 22.9, 16.3), strict=True)
    yield from _accuracies(numbers, conditions=epic, source=at("Table 3"), **full)
    yield from _tops(52.6, 71.5, conditions=of_ast("kinetics_sounds"), source=at("Table 1"), **ast)
    yield from _tops(52.3, 78.1, conditions=of_ast("vggsound", 309), source=at("Table 2"), **ast)
    numbers = zip(kinds, (44.3, 22.4, 13.0), strict=True)
    of_epic = of_ast("epic_kitchens_100")
    yield from _accuracies(numbers, conditions=of_epic, source=at("Table 3"), **ast)
    none = ("identity", {})
    for form, top1, top5, changes in (
        ("without deformable", 69.4, 86.6, {"model.deformable": False, "transform": none}),
        ("with deformable", 70.5, 89.9, {"transform": none}),
        ("deformable + N(0, 0.005)", 70.2, 90.1, {"transform": ("gaussian", {"scale": 0.005})}),
        ("deformable + L(0, 0.005)", 70.5, 89.6, {"transform": ("laplacian", {"scale": 0.005})}),
        ("deformable + adaptor λ=0.2", 70.5, 90.2, {"transform": ("adaptor", {"strength": 0.2})}),
        (
            "deformable + adaptor λ=0.005",
            71.5,
            90.5,
            {"transform": ("adaptor", {"strength": 0.005})},
        ),
    ):
        table4: dict[str, Any] = dict(full, form=form, changes=changes)
        yield from _tops(top1, top5, conditions=kinetics, source=at("Table 4"), **table4)


def _dat() -> Iterable[Result]:
    conditions = Conditions(
        dataset="imagenet_1k",
        num_classes=1000,
        num_test_clips=50_000,
        protocol="official_split",
        pretraining=(),
        epochs=300,
        num_models=1,
        test_views=1,
    )
    source = Source(paper="DAT", arxiv="2201.00520", place="read-me of LeapLabTHU/DAT 797f187")
    remark = "of images: what the published weights reach at 224 x 224"
    second = Source(paper="DAT++", arxiv="2309.01430", place="read-me of LeapLabTHU/DAT 32173fc")
    for size, top1 in (("tiny", 83.9), ("small", 84.6), ("base", 84.9)):
        yield from _accuracies(
            (("top1", top1),),
            model=f"datar_pp_{size}",
            form=f"DAT-{size[0].upper()}++",
            conditions=conditions,
            source=second,
            remark=remark,
        )
    for size, top1 in (("tiny", 82.0), ("small", 83.7), ("base", 84.0)):
        yield from _accuracies(
            (("top1", top1),),
            model=f"datar_{size}",
            form=f"DAT-{size[0].upper()}",
            conditions=conditions,
            source=source,
            remark=remark,
        )


def _ast() -> Iterable[Result]:
    audioset = Conditions(
        dataset="audioset",
        training_subset="full",
        num_classes=527,
        protocol="official_split",
        sample_rate_hz=16_000,
        pretraining=_IMAGENET,
        epochs=5,
        selection="last",
        averaged_checkpoints=5,
        num_models=1,
        test_views=1,
    )
    plain = replace(audioset, averaged_checkpoints=1)
    balanced = replace(audioset, training_subset="balanced", epochs=25, averaged_checkpoints=20)
    source = Source(paper="AST", arxiv="2104.01778", place="Section 3.1")
    rest: dict[str, Any] = dict(model="ast_base", source=source)
    yield _map(0.459, form="weights averaged", conditions=audioset, **rest)
    yield _map(0.448, form="last epoch", conditions=plain, **rest)
    yield _map(0.475, form="ensemble-S", conditions=replace(plain, num_models=3), **rest)
    yield _map(0.485, form="ensemble-M", conditions=replace(plain, num_models=6), **rest)
    yield _map(0.347, form="balanced", conditions=balanced, **rest)
    quoted = Source(paper="HTS-AT", arxiv="2202.00874", place="Table 1")
    scratch = Conditions(dataset="audioset", num_classes=527, pretraining=())
    yield _map(
        0.366, model="ast_base", form="scratch", conditions=scratch, source=quoted, quoted=True
    )
    esc50 = Conditions(
        dataset="esc50",
        num_classes=50,
        num_train_clips=1_600,
        num_test_clips=400,
        protocol="folds",
        num_folds=5,
        sample_rate_hz=16_000,
        epochs=25,
        # One epoch for all folds, chosen on the mean curve of the test folds.
        selection="best_on_test",
        averaged_checkpoints=1,
        num_models=1,
        test_views=1,
        spread_kind="std",
    )
    rest["source"] = replace(source, place="Section 3.2")
    for form, value, spread, pretraining in (
        ("AST-P", 95.6, 0.4, _BOTH),
        ("AST-S", 88.7, 0.7, _IMAGENET),
    ):
        conditions = replace(esc50, pretraining=pretraining, spread=spread)
        yield from _accuracies((("top1", value),), form=form, conditions=conditions, **rest)
    speech = replace(
        esc50,
        dataset="speech_commands_v2",
        num_classes=35,
        num_train_clips=84_843,
        num_test_clips=11_005,
        protocol="official_split",
        num_folds=None,
        epochs=30,
        selection="best_on_validation",
    )
    for form, value, spread, pretraining in (
        ("AST-S", 98.11, 0.05, _IMAGENET),
        ("AST-P", 97.88, 0.03, _BOTH),
    ):
        conditions = replace(speech, pretraining=pretraining, spread=spread)
        yield from _accuracies((("top1", value),), form=form, conditions=conditions, **rest)


RESULTS: tuple[Result, ...] = (
    *_datar(),
    *_dat(),
    *_ast(),
    *htsat(),
    *panns(),
    *SPECTROGRAM_NETS,
    *keywords(),
    *erann(),
    *early(),
)
"""Every published number."""
