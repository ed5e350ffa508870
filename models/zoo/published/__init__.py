"""Published results as records: each number with the conditions that it was measured under.

A condition is None where the paper and its code are silent, so that it can be compared field by
field with what a trial recorded, and "not stated" is never taken for "the same". Counts that a
paper rounds ("2M clips") are None too. The numbers are in `models.zoo.published.results`.

Nothing heavy is imported here: sweeps and reports read published numbers from this module.
"""

from __future__ import annotations

from models.zoo.published.schema import Conditions, Protocol, Result, Selection, Source

__all__ = ["Conditions", "Protocol", "Result", "Selection", "Source", "published_results"]


def published_results(
    model: str | None = None,
    *,
    metric: str | None = None,
    dataset: str | None = None,
    form: str | None = None,
    quoted: bool | None = None,
) -> tuple[Result, ...]:
    """Return the published numbers that fit, in the order of the papers' tables.

    Args:
        model: registered name.
        metric: key, for example `val/top1`.
        dataset: as in `Conditions`.
        form: the paper's name of the form.
        quoted: False leaves out numbers that a paper took from another, True takes them alone.
    """
    from models.zoo.published.results import RESULTS

    asked = {"model": model, "metric": metric, "form": form, "quoted": quoted}
    return tuple(
        result
        for result in RESULTS
        if all(want is None or getattr(result, name) == want for name, want in asked.items())
        and (dataset is None or result.conditions.dataset == dataset)
    )
