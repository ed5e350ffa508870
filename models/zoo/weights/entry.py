"""What is known of one published file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

IMAGES = (
    "of images: a start for training on sound. Statistics of the features of the training clips "
    "go to chain.set_normalization(mean, std)"
)
"""The remark on weights of ImageNet."""


@dataclass(frozen=True, kw_only=True)
class Weights:
    """One published file.

    Attributes:
        name: what `load_pretrained` is called with.
        model: the registered model that it fits.
        arguments: what the model is built with, where it differs from the defaults.
        num_classes: of the file's head.
        trained_on: data sets, first to last.
        frontend: name and arguments of the features it expects; empty for weights of images.
        statistics: mean and deviation for `Chain.set_normalization`, where it expects them.
        filename: the authors' name of the file, and its name in the cache.
        url: what is fetched; empty where a person has to fetch it.
        page: where a person finds it.
        licence: of the weights.
        remark: what a user must know or do besides building and loading; empty for nothing.
        md5: 32 hex digits, or empty.
        sha256: 64 hex digits, or the first 8 or more of them, or empty.
        size: bytes, or 0 where it is not known.
    """

    name: str
    model: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    num_classes: int
    trained_on: tuple[str, ...]
    frontend: tuple[str, Mapping[str, Any]] = ("", {})
    statistics: tuple[float, float] | None = None
    filename: str
    url: str = ""
    page: str
    licence: str
    remark: str = ""
    md5: str = ""
    sha256: str = ""
    size: int = 0
