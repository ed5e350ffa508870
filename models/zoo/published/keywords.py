"""The numbers of the keyword models; see `models.zoo.published.results`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from models.zoo.published.schema import Conditions, Result, Source

_WORDS = Conditions(
    dataset="speech_commands_v2",
    num_classes=35,
    num_test_clips=11_005,
    protocol="official_split",
    sample_rate_hz=16_000,
    pretraining=(),
    num_models=1,
    test_views=1,
)
_TWELVE = replace(_WORDS, num_classes=12, num_test_clips=None)
_HTSAT = Source(paper="HTS-AT", arxiv="2202.00874", place="Table 2")


def keywords() -> Iterable[Result]:
    """Yield the numbers of the keyword models on Speech Commands V2."""
    rest: dict[str, Any] = dict(metric="val/top1", unit="%")
    paper = Source(paper="KWT", arxiv="2104.00769", place="Table 2")
    code = replace(paper, place="read-me of ARM-software/keyword-transformer 237e409")
    twelve = "ten words, silence and unknown; a mean of runs"
    for model, of_35, spread, of_12, one_run in (
        ("kwt_1", 96.95, None, 98.08, 97.7),
        ("kwt_2", 97.74, 0.03, 98.43, 98.2),
        ("kwt_3", 97.69, None, 98.56, 98.7),
    ):
        words = replace(_WORDS, spread=spread)
        yield Result(model=model, value=of_35, conditions=words, source=paper, **rest)
        yield Result(
            model=model, value=of_12, conditions=_TWELVE, source=paper, remark=twelve, **rest
        )
        single = replace(_TWELVE, num_runs=1)
        yield Result(model=model, value=one_run, conditions=single, source=code, **rest)
    triplet = Source(paper="Triplet loss for keywords", arxiv="2101.04792", place="results")
    remark = "on 64 log-mels"
    for value, conditions in ((97.0, _WORDS), (98.37, _TWELVE)):
        yield Result(
            model="res15_triplet",
            value=value,
            conditions=conditions,
            source=triplet,
            remark=remark,
            **rest,
        )
    quoted = Conditions(dataset="speech_commands_v2", num_classes=35)
    yield Result(
        model="res15_triplet",
        value=97.0,
        conditions=quoted,
        source=_HTSAT,
        quoted=True,
        **rest,
    )
    yield Result(
        model="kwt_2",
        value=97.3,
        conditions=replace(quoted, spread=0.03),
        source=_HTSAT,
        quoted=True,
        remark="KWT's own paper has 97.74 ± 0.03",
        **rest,
    )


def erann() -> Iterable[Result]:
    """Yield the numbers of ERANN (arXiv 2106.01621)."""
    source = Source(paper="ERANN", arxiv="2106.01621", place="results on AudioSet")
    audioset = Conditions(
        dataset="audioset",
        training_subset="full",
        num_classes=527,
        protocol="official_split",
        sample_rate_hz=44_100,
        pretraining=(),
        num_models=1,
    )
    for kind, value in (("map", 0.450), ("auc", 0.976), ("d_prime", 2.804)):
        yield Result(
            model="erann_1_6",
            metric=f"val/{kind}",
            value=value,
            unit="",
            conditions=audioset,
            source=source,
        )
    esc50 = Conditions(
        dataset="esc50",
        num_classes=50,
        num_train_clips=1_600,
        num_test_clips=400,
        protocol="folds",
        num_folds=5,
        sample_rate_hz=44_100,
        pretraining=("audioset",),
        num_models=1,
    )
    rest: dict[str, Any] = dict(model="erann_2_5", metric="val/top1", value=96.1, unit="%")
    place = "results on ESC-50"
    yield Result(conditions=esc50, source=replace(source, place=place), **rest)
    quoted = Conditions(dataset="esc50", num_classes=50)
    yield Result(conditions=quoted, source=_HTSAT, quoted=True, **rest)


def early() -> Iterable[Result]:
    """Yield the first rows of HTS-AT's Table 1: the baseline of AudioSet, and DeepRes."""
    rest: dict[str, Any] = dict(
        metric="val/map",
        unit="",
        conditions=Conditions(dataset="audioset"),
        source=replace(_HTSAT, place="Table 1"),
        quoted=True,
    )
    yield Result(
        model="audioset_baseline",
        value=0.314,
        remark="of Gemmeke et al. 2017: embeddings of a network whose data are not public",
        **rest,
    )
    yield Result(
        model="deepres", value=0.392, remark="of Ford et al. 2019, whose AUC is 0.971", **rest
    )
