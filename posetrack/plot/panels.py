"""Numbers over time as small multiples: one panel for each person and quantity, left and right in one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from posetrack.plot.series import MIDDLE, MIDDLES, Series, side_of
from posetrack.plot.style import DASHES, GREY, INK, SIDE_INK, strokes, track_ink, write_frame

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_panels"]

_DEGREES = (5, 10, 15, 30, 45, 60, 90)
"""Steps between ticks that people think angles in."""
_MINUTES = (10, 30, 60, 120, 300, 600, 1200, 1800, 3600)
_STEPS = (1, 2, 2.5, 5, 10)
_WIDTHS = {"left": 1.2, "right": 1.55, "middle": 1.3}
"""Left is drawn over right: where both are the same, right still shows on both sides of it."""

Kind = tuple[str, str]
"""What a panel shows, without its side: (knee, angle), (wrist, x)."""


def draw_panels(
    series: Sequence[Series], people: Sequence[tuple[int, str]], cuts: NDArray[np.float64], title: str, notes: str
) -> Figure:
    """A figure of series over time, for `people` (id, label), each with a colour of its own.

    Whichever there are more of, people or kinds of panels, are the rows. All share the time, and people share the scale
    of a kind. Left is blue and right orange as in drawn videos; filled gaps are dashed, `cuts` (times) are dotted
    lines. `title` goes above and `notes` below.
    """
    from matplotlib.figure import Figure

    if not series:
        figure = Figure(figsize=(7.0, 2.4), layout="constrained")
        figure.text(0.5, 0.5, "nobody is seen", ha="center", va="center", color=GREY)
        write_frame(figure, title, notes, [])
        return figure
    kinds = list(dict.fromkeys(_kind(one) for one in series))
    across = len(people) >= len(kinds)
    rows, columns = (len(people), len(kinds)) if across else (len(kinds), len(people))
    width = max(7.0, min(8.5, 3.2 * columns) if columns < 3 else 2.7 * columns)
    row_height = max(0.85, 1.3 - 0.04 * rows, 3.2 / rows)
    figure = Figure(figsize=(width, 1.0 + row_height * rows), layout="constrained")
    grid: Any = figure.subplots(rows, columns, sharex=True, squeeze=False)
    for n, (track, _) in enumerate(people):
        for k, kind in enumerate(kinds):
            axes = grid[n, k] if across else grid[k, n]
            _draw(axes, [one for one in series if one.id == track and _kind(one) == kind], cuts)
    for k, kind in enumerate(kinds):
        _share_scale(list(grid[:, k] if across else grid[k, :]), kind)
    _write_heads(grid, people, kinds, [_unit(series, kind) for kind in kinds], across)
    _label_time(grid[-1], series)
    write_frame(figure, title, notes, _handles(series))
    return figure


def _kind(one: Series) -> Kind:
    of = side_of(one.of)[1]
    return (MIDDLE if of in MIDDLES else of), one.quantity


def _unit(series: Sequence[Series], kind: Kind) -> str:
    return next(one.unit for one in series if _kind(one) == kind)


def _draw(axes: Axes, series: Sequence[Series], cuts: NDArray[np.float64]) -> None:
    """One panel: right under left."""
    for one in sorted(series, key=lambda one: side_of(one.of)[0] == "left"):
        side = side_of(one.of)[0]
        colour = track_ink(one.id) if _kind(one)[0] == MIDDLE else SIDE_INK[side]
        turns = np.abs(np.diff(one.values, prepend=one.values[:1])) > 180 if one.quantity == "angle" else None
        fine = float(np.clip(2500 / max(1, len(one.times)), 0.35, 1))
        drawn = strokes(np.column_stack([one.times, one.values]), one, turns)
        axes.plot(
            *drawn.solid.T, color=colour, linewidth=_WIDTHS[side] * fine, gid=f"id{one.id}-{one.of}-{one.quantity}"
        )
        axes.plot(*drawn.dashed.T, color=colour, linestyle=DASHES, linewidth=1.1)
        axes.plot(*drawn.dots.T, color=colour, linestyle="none", marker=".", markersize=4)
    for time in cuts:
        axes.axvline(time, color=GREY, linewidth=0.7, linestyle=":")
    if not any(np.isfinite(one.values).any() for one in series):
        axes.text(0.5, 0.5, "not seen", transform=axes.transAxes, ha="center", va="center", color=GREY)


def _share_scale(panels: Sequence[Axes], kind: Kind) -> None:
    """The same limits for everybody's panel of a kind; y points down, as in the picture."""
    from matplotlib.ticker import MaxNLocator, MultipleLocator

    values = np.concatenate([np.asarray(line.get_ydata()) for axes in panels for line in axes.lines if line.get_gid()])
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    least = {"angle": 20.0, "speed": 1e-3}.get(kind[1], 1e-3)
    slack = max((high - low) * 0.06, (least - (high - low)) / 2)
    low, high = (0.0 if kind[1] == "speed" else low - slack), high + slack
    if kind[1] == "angle" and kind[0] != "trunk":
        low, high = max(low, 0.0), min(high, 182.0)
    degrees = next((step for step in _DEGREES if high - low <= 4 * step), 90)
    for axes in panels:
        axes.set_ylim((high, low) if kind[1] == "y" else (low, high))
        axes.yaxis.set_major_locator(MultipleLocator(degrees) if kind[1] == "angle" else MaxNLocator(4, steps=_STEPS))


def _write_heads(
    grid: Any, people: Sequence[tuple[int, str]], kinds: Sequence[Kind], units: Sequence[str], across: bool
) -> None:
    """Who is in which row and what in which column, or the other way round, with its unit."""
    for n, (track, label) in enumerate(people):
        axes = grid[n, 0] if across else grid[0, n]
        axes.set_title(label, loc="left", color=track_ink(track), fontweight="bold")
    for k, (kind, unit) in enumerate(zip(kinds, units, strict=True)):
        words = "body" if kind[0] == MIDDLE else kind[0].replace("_", " ")
        words += "" if kind[1] == "angle" else f" {kind[1]}"
        unit = "degrees" if unit == "deg" else unit
        if across and len(people) > 1:
            grid[0, k].set_title(f"{words}, {unit}", loc="center" if k == 0 else "left", color=INK)
        else:
            grid[k, 0].set_ylabel(f"{words}\n{unit}")


def _label_time(bottom: Sequence[Axes], series: Sequence[Series]) -> None:
    from matplotlib.ticker import FuncFormatter, MultipleLocator

    times = np.concatenate([one.times for one in series])
    low, high = (float(times.min()), float(times.max())) if len(times) else (0.0, 1.0)
    slack = max(0.01 * (high - low), 0.02)
    step = next((step for step in _MINUTES if high - low <= 6 * step), 7200)
    for axes in bottom:
        axes.set_xlim(low - slack, high + slack)
        axes.set_xlabel("time, s" if high < 180 else "time, min:s")
        if high >= 180:
            axes.xaxis.set_major_locator(MultipleLocator(step))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda t, _: f"{int(t // 60)}:{t % 60:02.0f}"))


def _handles(series: Sequence[Series]) -> list[Any]:
    """The legend: sides, and filled gaps where there are any."""
    from matplotlib.lines import Line2D

    sides = sorted({side_of(one.of)[0] for one in series} & {"left", "right"})
    handles = [Line2D([], [], color=SIDE_INK[side], linewidth=1.8, label=side) for side in sides]
    if any(one.filled.any() for one in series):
        handles.append(Line2D([], [], color=GREY, linestyle=DASHES, linewidth=1.1, label="filled gap"))
    return handles
