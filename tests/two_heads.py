"""A data set of clips with a verb and a noun each, of made-up sounds."""

import dataclasses

from orchestrator.data.entry import open_source
from orchestrator.data.source import Source, digest

HEADS = {"verb": 2, "noun": 3}
CLASS_NAMES = ("verb: rise", "verb: hold", "noun: tone", "noun: voice", "noun: noise")


def two_heads(
    root: str | None = None,
    *,
    clips_per_class: int = 10,
    sample_rate: int = 16000,
    fingerprint: str = "",
) -> Source:
    """Describe six kinds of sound as two verbs times three nouns."""
    kinds = {"num_classes": 6, "clips_per_class": clips_per_class, "num_folds": 2, "seconds": 0.5}
    source = open_source("synthetic", {**kinds, "sample_rate": sample_rate}, root=None)
    known = digest(["two_heads", source.fingerprint])
    return dataclasses.replace(
        source,
        name="two_heads",
        class_names=CLASS_NAMES,
        heads=HEADS,
        clips=tuple(
            dataclasses.replace(clip, label=(clip.label // 3, 2 + clip.label % 3))
            for clip in source.clips
        ),
        signature=known,
        fingerprint=known,
    )
