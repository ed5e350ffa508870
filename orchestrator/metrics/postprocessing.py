"""What is done with predictions before they are scored: thresholds and median filters.

A metric takes them in its key, which a plan and every report name, as in
`val/event_f1(threshold=validation,median_s=0.45)`; several values, one per class, have `/` between
them, in the order of the data set's classes. No code is named, so a stored key runs nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from orchestrator.errors import ConfigError, shown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from orchestrator.metrics.predictions import Predictions

VALIDATION = "validation"

_FORM = re.compile(r"([^()]+)\(([^()]*)\)")


@dataclass(frozen=True, kw_only=True)
class PostProcessing:
    """How predictions become decisions.

    Attributes:
        threshold: Probability above which a class is there: one, one per class, or `validation`,
            one per class that gives the class its best F1 on the validation clips, counted as the
            metric counts.
        median_s: Length in seconds of the median filter over the rows of predictions over time: one
            or one per class, as in the baselines of DCASE's task 4. The filter has the odd number
            of rows nearest to it; one row filters nothing.
    """

    threshold: float | tuple[float, ...] | Literal["validation"] = 0.5
    median_s: float | tuple[float, ...] = 0.0

    @property
    def words(self) -> str:
        """What differs from a threshold of 0.5 without a filter, for a title."""
        parts: list[str] = []
        if self.threshold == VALIDATION:
            parts.append("thresholds from validation clips")
        elif isinstance(self.threshold, tuple):
            parts.append("thresholds by class")
        elif self.threshold != 0.5:
            parts.append(f"threshold {self.threshold:g}")
        if isinstance(self.median_s, tuple):
            low, high = min(self.median_s), max(self.median_s)
            parts.append(f"median filters of {low:g} to {high:g} s by class")
        elif self.median_s:
            parts.append(f"median filter of {self.median_s:g} s")
        return ", ".join(parts)


@dataclass(eq=False)
class Validation:
    """Predictions of a trial's validation clips, read when a metric asks for them.

    Attributes:
        load: Function that reads them; None if there are none.
        chosen: Key of a metric -> (classes,) thresholds that were chosen on them.
    """

    load: Callable[[], Predictions | None]
    chosen: dict[str, NDArray[np.float64]] = field(default_factory=dict[str, "NDArray[np.float64]"])


def post_processed(
    metric: str,
    *,
    threshold: float | Sequence[float] | Literal["validation"] | None = None,
    median_s: float | Sequence[float] | None = None,
) -> str:
    """Return the key of a metric with post-processing, for a plan or `--metric`.

    Args:
        metric: Key of a metric that takes it, such as `val/event_f1` or `val/macro_f1`.
        threshold: See `PostProcessing`; None leaves 0.5.
        median_s: See `PostProcessing`; None filters nothing.
    """

    def text(value: float | Sequence[float] | str) -> str:
        if isinstance(value, str):
            return value
        return "/".join(f"{x:g}" for x in ([value] if isinstance(value, int | float) else value))

    given = {"threshold": threshold, "median_s": median_s}
    stated = [f"{name}={text(value)}" for name, value in given.items() if value is not None]
    return f"{metric}({','.join(stated)})"


def parse(key: str) -> tuple[str, PostProcessing] | None:
    """Return the metric and the post-processing that a key names; None if it names none.

    Raises:
        ConfigError: The post-processing is not valid.
    """
    found = _FORM.fullmatch(key)
    if found is None:
        return None
    values: dict[str, float | tuple[float, ...] | str] = {}
    for setting in found[2].split(","):
        name, _, text = (part.strip() for part in setting.partition("="))
        if name not in ("threshold", "median_s") or name in values:
            raise ConfigError(
                f"metric {shown(key)}: {setting.strip()!r} is no post-processing; give "
                "threshold=..., median_s=... or both, once each"
            )
        values[name] = _value(key, name, text)
    return found[1].strip(), PostProcessing(**values)  # type: ignore[arg-type]


def _value(key: str, name: str, text: str) -> float | tuple[float, ...] | str:
    if name == "threshold" and text == VALIDATION:
        return text
    try:
        numbers = tuple(map(float, text.split("/")))
    except ValueError:
        numbers = (math.nan,)
    fits = (0 < x < 1 if name == "threshold" else 0 <= x < math.inf for x in numbers)
    if not all(fits):
        valid = "between 0 and 1, or validation" if name == "threshold" else "in seconds, from 0 on"
        raise ConfigError(
            f"metric {shown(key)}: {name} is {text!r}; give a number {valid}, or one per class "
            "with / between them"
        )
    return numbers[0] if len(numbers) == 1 else numbers
