"""The ways that people went, over the picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from posetrack.plot.series import Series
from posetrack.plot.style import DASHES, GREY, INK, PAPER, strokes, track_ink, write_frame
from posetrack.types import Image

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_paths"]

_LONG_SIDE = 8.0
"""Inches of the picture's longer side."""
_PAPER_SHARE = 0.42
"""How much white is laid over the picture, so that the paths stand out."""

Numbers = NDArray[np.float64]


def draw_paths(
    series: Sequence[Series], size: tuple[int, int], scale: float, background: Image | None, title: str, notes: str
) -> Figure:
    """A figure of paths: x and y `series` in turns, over `background` (H, W, 3) or on white, `size` width, height.

    `scale` is how many units of the series a pixel is. A ring is where a path starts and a disc where it ends, with id
    and name beside it; paths are broken at gaps and cuts, filled gaps are dashed. `title` goes above and `notes` below.
    """
    from matplotlib.figure import Figure

    width, height = size
    inches = _LONG_SIDE / max(size)
    figure = Figure(figsize=(max(width * inches, 4.5) + 0.7, height * inches + 1.1), layout="constrained")
    axes = figure.subplots()
    left, right, bottom, top = (side * scale for side in (-0.5, width - 0.5, height - 0.5, -0.5))
    if background is not None:
        light = background.astype(np.float32) * (1 - _PAPER_SHARE) + 255 * _PAPER_SHARE
        axes.imshow(light.astype(np.uint8), extent=(left, right, bottom, top), interpolation="bilinear", zorder=0)
    axes.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
    axes.grid(background is None)
    axes.spines[["top", "right"]].set_visible(True)
    unit = series[0].unit if series else "px"
    axes.set(xlabel=f"x, {unit}", ylabel=f"y, {unit}")
    pairs = list(zip(series[::2], series[1::2], strict=True))
    thin = float(np.clip(1.6 - 0.02 * len(pairs), 0.9, 1.6))
    for across, down in pairs:
        _draw_path(axes, across, down, thin)
    if not any(np.isfinite(across.values).any() for across, _ in pairs):
        axes.text(0.5, 0.5, "nobody is seen", transform=axes.transAxes, ha="center", va="center", color=INK)
    _write_labels(axes, pairs, size, scale)
    write_frame(figure, title, notes, _handles(any(one.filled.any() for one in series)))
    return figure


def _rim(width: float) -> list[Any]:
    from matplotlib.patheffects import Normal, Stroke

    return [Stroke(linewidth=width, foreground=PAPER, alpha=0.85), Normal()]


def _draw_path(axes: Axes, across: Series, down: Series, width: float) -> None:
    points = np.column_stack([across.values, down.values])
    drawn, colour = strokes(points, across), track_ink(across.id)
    style: dict[str, Any] = {"color": colour, "linewidth": width, "path_effects": _rim(width + 1.2)}
    axes.plot(*drawn.solid.T, gid=f"id{across.id}-{across.of}-path", **style)
    axes.plot(*drawn.dashed.T, linestyle=DASHES, **style)
    axes.plot(*drawn.dots.T, linestyle="none", marker=".", markersize=3, color=colour)
    ends = points[np.isfinite(points).all(axis=1)]
    if len(ends):
        mark: dict[str, Any] = {"marker": "o", "linestyle": "none", "path_effects": _rim(2.2)}
        axes.plot(*ends[:1].T, markersize=5, markerfacecolor=PAPER, markeredgecolor=colour, markeredgewidth=1.3, **mark)
        axes.plot(*ends[-1:].T, markersize=5.5, markerfacecolor=colour, markeredgecolor=colour, **mark)


def _write_labels(axes: Axes, pairs: Sequence[tuple[Series, Series]], size: tuple[int, int], scale: float) -> None:
    """Ids and names beside the ends of the paths, moved about until they don't lie on each other; joints where there
    are several a person."""
    font = float(np.clip(9.5 - 0.08 * len(pairs), 6.0, 9.0))
    unit = max(size) / (_LONG_SIDE * 72) * scale
    several = len(pairs) > len({across.id for across, _ in pairs})
    taken = np.zeros((0, 4))
    for across, down in pairs:
        points = np.column_stack([across.values, down.values])
        points = points[np.isfinite(points).all(axis=1)]
        if not len(points):
            continue
        text = f"{across.label} {across.of.replace('_', ' ')}" if several else across.label
        room = np.array([0.62 * font * len(text), 1.15 * font]) * unit
        corner = _free_place(points[-1], room, unit, np.array(size) * scale, taken)
        taken = np.concatenate([taken, [[*corner, *(corner + room)]]])
        x, y = (corner + room / 2).tolist()
        axes.text(
            x, y, text, fontsize=font, fontweight="bold", color=track_ink(across.id), ha="center", va="center",
            zorder=5, bbox={"boxstyle": "round,pad=0.12", "facecolor": PAPER, "alpha": 0.75, "linewidth": 0},
        )  # fmt: skip


def _free_place(end: Numbers, room: Numbers, unit: float, size: Numbers, taken: Numbers) -> Numbers:
    """The top-left corner of a label by the `end` of a path: the first place on widening rings that covers none of
    those `taken` (m, 4), else the one that covers least."""
    turns = np.array([0, -1, 1, -2, 2, -3, 3, 4]) * np.pi / 4
    around = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    corners = np.concatenate([end + around * (room / 2 + 6 * unit * ring) - room / 2 for ring in range(1, 6)])
    corners = np.clip(corners, 0, np.maximum(size - room, 0))
    sides = np.minimum(corners[:, None] + room, taken[:, 2:]) - np.maximum(corners[:, None], taken[:, :2])
    covered = np.prod(np.maximum(sides, 0), axis=2).sum(axis=1)
    return np.asarray(corners[int(np.argmin(covered))])


def _handles(filled: bool) -> list[Any]:
    """The legend: start, end, and filled gaps where there are any."""
    from matplotlib.lines import Line2D

    ring = Line2D([], [], marker="o", linestyle="none", markerfacecolor=PAPER, markeredgecolor=GREY, label="start")
    disc = Line2D([], [], marker="o", linestyle="none", color=GREY, label="end")
    return [ring, disc] + ([Line2D([], [], color=GREY, linestyle=DASHES, label="filled gap")] if filled else [])
