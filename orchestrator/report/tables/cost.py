"""The table of what each arm cost."""

from __future__ import annotations

from orchestrator.analysis.summary import Summary
from orchestrator.report.tables.table import Column, Table
from orchestrator.report.wording.numbers import NONE, align, durations, rates


def cost_table(summary: Summary) -> Table:
    """Return times, throughput, memory and restarts per arm."""
    costs = [arm.cost for arm in summary.arms]
    names = [arm.name for arm in summary.arms]

    def column(key: str, title: str, texts: list[str], unit: str = "") -> Column:
        return Column(key=key, title=title, unit=unit, texts=align(texts))

    set_up = [f"{100 * c.set_up_s / c.seconds:.0f}" if c and c.seconds else NONE for c in costs]
    memory = [f"{c.peak_memory_mb:.0f}" if c and c.peak_memory_mb else NONE for c in costs]
    restarts = [str(c.attempts - c.num_trials) if c else NONE for c in costs]
    devices = [", ".join(c.devices) if c else NONE for c in costs]
    return Table.of(
        [
            Column(key="arm", title="arm", texts=names),
            column("total", "total device time", durations([c and c.total_s for c in costs])),
            column("trial", "a trial", durations([c and c.seconds for c in costs]), "median"),
            column("set_up", "set-up", set_up, "%"),
            column(
                "rate", "training", rates([c and c.clips_per_s for c in costs]), "clips/s, median"
            ),
            column("memory", "peak memory", memory, "MB"),
            column("restarts", "restarts", restarts),
            Column(key="device", title="device", texts=devices),
        ],
        key="cost",
        title="What it cost",
        baseline=names.index(summary.plan.baseline) if summary.plan.baseline in names else -1,
        notes=(
            "Totals count every trial with a record, failed ones too; a trial that another sweep "
            "trained is counted in both.",
        ),
    )
