"""Draw spectrograms and a model's use of them, with Matplotlib and without a display."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from models.introspection import InputChange, MovedKeys

DPI = 110
PANEL = (3.6, 1.9)
"""Width and height of one panel in inches."""
GROUPS = ("#e69f00", "#56b4e9", "#009e73", "#cc79a7", "#f0e442", "#d55e00", "#0072b2", "#ffffff")
"""Palette of Okabe and Ito, which color-blind readers can tell apart."""
KHZ = (8, 1, 4, 2, 0.5, 16, 0.25)
"""Frequencies on the vertical axis, the first of two that would touch."""

MAX_CLASSES = 8
MAX_CLASSES_OF_RECORDING = 16


@dataclass(frozen=True, kw_only=True)
class Shown:
    """The clips of a picture.

    Attributes:
        titles: Class and name of each clip.
        frame_s: Seconds from one frame to the next.
        seconds: Length of the longest clip; everything after it is padding.
        class_names: Name of each label.
        rows_hz: Frequency of each row in Hz; empty if rows are no bands of frequency.
    """

    titles: tuple[str, ...]
    frame_s: float
    seconds: float
    class_names: tuple[str, ...]
    rows_hz: tuple[float, ...] = ()


def draw_input(change: InputChange, shown: Shown, path: Path) -> None:
    """Draw clips before and after the input transform, and the difference on its own scale."""
    before, after = (x[:, 0].float().cpu().numpy() for x in (change.before, change.after))
    figure, axes = _grid(len(shown.titles), 3, ["before", "after", "difference"])
    reach = float(np.abs(after - before).max()) or 1.0
    for row, title in enumerate(shown.titles):
        low, high = _limits(before[row])
        for column, image in enumerate((before[row], after[row])):
            _spectrogram(axes[row, column], image, shown, vmin=low, vmax=high)
        drawn = _spectrogram(
            axes[row, 2], after[row] - before[row], shown, cmap="RdBu_r", vmin=-reach, vmax=reach
        )
        axes[row, 0].set_ylabel(f"{title}\n{_unit(shown)}", fontsize=7)
        figure.colorbar(drawn, ax=axes[row, 2], pad=0.02).ax.tick_params(labelsize=6)
    _save(figure, axes, path)


def draw_clip(features: NDArray[Any], shown: Shown, path: Path) -> None:
    """Draw one clip's (mels, frames) spectrogram; the picture list has its caption."""
    figure, axes = _grid(1, 1, [""])
    low, high = _limits(features)
    length_s = features.shape[1] * shown.frame_s
    whole = dataclasses.replace(shown, seconds=length_s)  # the padding is cut off, not marked
    _spectrogram(axes[0, 0], features, whole, vmin=low, vmax=high)
    axes[0, 0].set_xlim(0, min(shown.seconds, length_s))
    axes[0, 0].set_ylabel(_unit(shown), fontsize=8)
    _save(figure, axes, path)


def draw_keys(
    blocks: Sequence[MovedKeys], features: NDArray[Any], shown: Shown, path: Path
) -> None:
    """Draw the keys of deformable blocks over the spectrogram, with lines from their origins.

    Args:
        blocks: Deformable blocks, one per column.
        features: (batch, mels, frames) input of the model.
        shown: Clips of the picture.
        path: Path of the PNG.
    """
    figure, axes = _grid(len(shown.titles), len(blocks), [block.name for block in blocks])
    size = features.shape[1:]
    for row, title in enumerate(shown.titles):
        low, high = _limits(features[row])
        for column, block in enumerate(blocks):
            panel = axes[row, column]
            _spectrogram(panel, features[row], shown, cmap="gray", vmin=low, vmax=high)
            y0, x0 = _pixels(block.reference.numpy(), block.map_size, size, shown)
            for group, moved in enumerate(block.positions[row].numpy()):
                y, x = _pixels(moved, block.map_size, size, shown)
                color = GROUPS[group % len(GROUPS)]
                panel.plot([x0, x], [y0, y], color=color, linewidth=0.5, alpha=0.8)
                # A dark rim keeps points visible on loud parts.
                rim = {"markeredgecolor": "black", "markeredgewidth": 0.3}
                panel.plot(x, y, "o", color=color, markersize=2.4, **rim)
            panel.set_xlim(0, size[1] * shown.frame_s)
            panel.set_ylim(0, size[0])
        axes[row, 0].set_ylabel(f"{title}\n{_unit(shown)}", fontsize=7)
    _save(figure, axes, path)


def draw_events(events: NDArray[Any], features: NDArray[Any], shown: Shown, path: Path) -> None:
    """Draw the probability of the likeliest classes over time under each clip's spectrogram.

    Args:
        events: (batch, frames, classes) probabilities over the same time span as the features.
        features: (batch, mels, frames) input of the model.
        shown: Clips of the picture.
        path: Path of the PNG.
    """
    figure, axes = _grid(len(shown.titles), 2, ["spectrogram", "event map"])
    length_s = features.shape[2] * shown.frame_s
    for row, title in enumerate(shown.titles):
        low, high = _limits(features[row])
        _spectrogram(axes[row, 0], features[row], shown, vmin=low, vmax=high)
        axes[row, 0].set_ylabel(f"{title}\n{_unit(shown)}", fontsize=7)
        likeliest = [int(c) for c in np.argsort(-events[row].max(axis=0))[:MAX_CLASSES]]
        panel = axes[row, 1]
        drawn = _over_time(panel, events[row], likeliest, shown, row_s=length_s / events.shape[1])
        figure.colorbar(drawn, ax=panel, pad=0.02).ax.tick_params(labelsize=6)
    _save(figure, axes, path)


def draw_recording(
    pcm: NDArray[np.int16],
    rows: NDArray[np.float32],
    events: Sequence[tuple[float, float, str]],
    shown: Shown,
    sample_rate: int,
    path: Path,
) -> None:
    """Draw a recording's spectrogram, and below it the likeliest classes over time and the events.

    Args:
        pcm: (time,) samples.
        rows: (rows, classes) probabilities, a row every `shown.frame_s`.
        events: Onset and offset in seconds and class of each event, drawn as a frame.
        shown: Title, length and class names.
        sample_rate: Rate of the samples in Hz.
        path: Path of the PNG.
    """
    figure = Figure(figsize=(min(24.0, max(8.0, shown.seconds / 10)), 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True)
    above.set_title(shown.titles[0], fontsize=8)
    size = min(1024, len(pcm))
    with np.errstate(divide="ignore"):  # digital silence
        above.specgram(
            pcm.astype(np.float32), NFFT=size, noverlap=size // 2, Fs=sample_rate, cmap="magma"
        )
    above.set_facecolor("black")  # where the recording is silent
    above.yaxis.set_major_formatter(lambda hertz, _: f"{hertz / 1000:g}")
    above.set_ylabel("kHz", fontsize=7)
    named = {shown.class_names.index(name) for _, _, name in events}
    order = [int(c) for c in np.argsort(-rows.max(axis=0), kind="stable")]
    likeliest = sorted(order, key=lambda c: c not in named)[:MAX_CLASSES_OF_RECORDING]
    drawn = _over_time(below, rows, likeliest, shown, row_s=shown.frame_s)
    for onset, offset, name in events:
        label = shown.class_names.index(name)
        if label in likeliest:
            place = (onset, likeliest.index(label) + 0.06)
            below.add_patch(
                Rectangle(place, offset - onset, 0.88, fill=False, edgecolor="white", linewidth=1)
            )
    below.set_xlim(0, shown.seconds)
    figure.colorbar(drawn, ax=below, pad=0.01).ax.tick_params(labelsize=6)
    _save(figure, np.array([[above], [below]]), path)


def _grid(rows: int, columns: int, titles: Sequence[str]) -> tuple[Figure, NDArray[Any]]:
    figure = Figure(figsize=(PANEL[0] * columns, PANEL[1] * rows + 0.3), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=8)
    return figure, axes


def _spectrogram(axis: Axes, image: NDArray[Any], shown: Shown, **style: Any) -> Any:
    mels, frames = image.shape
    style = {"cmap": "magma", **style}
    extent = (0, frames * shown.frame_s, 0, mels)
    if marks := _khz(shown):
        axis.set_yticks(list(marks), [f"{khz:g}" for khz in marks.values()])
    if shown.seconds < (frames - 1) * shown.frame_s:
        axis.axvline(shown.seconds, color="white", linewidth=0.6, linestyle=":")
    return axis.imshow(
        image, origin="lower", aspect="auto", extent=extent, interpolation="nearest", **style
    )


def _unit(shown: Shown) -> str:
    return "kHz" if _khz(shown) else "row"


def _khz(shown: Shown) -> dict[float, float]:
    """Return place on the vertical axis -> round frequency in kHz, at least an eighth apart."""
    hertz = np.array(shown.rows_hz)
    places = np.arange(len(hertz)) + 0.5
    rising = np.isfinite(hertz)  # a row without a filter has no frequency
    marks = dict[float, float]()
    for khz in KHZ if rising.any() else ():
        if hertz[rising][0] <= 1000 * khz <= hertz[rising][-1]:
            place = float(np.interp(1000 * khz, hertz[rising], places[rising]))
            if all(abs(place - other) >= len(hertz) / 8 for other in marks):
                marks[place] = khz
    return marks


def _over_time(
    axis: Axes, rows: NDArray[Any], classes: Sequence[int], shown: Shown, *, row_s: float
) -> Any:
    """Draw (rows, classes) probabilities of some classes, a line each, the first on top."""
    drawn = axis.imshow(
        rows[:, classes].T,
        aspect="auto",
        cmap="viridis",
        vmin=0,
        vmax=1,
        extent=(0, len(rows) * row_s, len(classes), 0),
        interpolation="nearest",
    )
    axis.set_yticks(np.arange(len(classes)) + 0.5)
    axis.set_yticklabels([shown.class_names[c] for c in classes], fontsize=6)
    return drawn


def _limits(image: NDArray[Any]) -> tuple[float, float]:
    """Return the color limits, excluding the lowest percent, which is silence."""
    low, high = np.percentile(image, (1, 100))
    return float(low), float(high)


def _pixels(
    points: NDArray[Any], map_size: tuple[int, int], size: tuple[int, int], shown: Shown
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Turn (y, x) of tokens, at the centers of their patches, into mel bins and seconds."""
    token = (points + 1) / 2 * (np.array(map_size) - 1)
    y, x = ((token + 0.5) * np.array(size) / np.array(map_size)).T
    return y, x * shown.frame_s


def _save(figure: Figure, axes: NDArray[Any], path: Path) -> None:
    for axis in axes.flat:
        axis.tick_params(labelsize=6)
    for axis in axes[-1]:
        axis.set_xlabel("time in s", fontsize=7)
    figure.savefig(path, dpi=DPI, facecolor="white")
