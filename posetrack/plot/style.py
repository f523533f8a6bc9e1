"""How plots look: their colours, lines and fonts, and how they are written to disk, the same bytes each time."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from posetrack.errors import DeviceError
from posetrack.plot.series import Series
from posetrack.render import track_colour
from posetrack.results.output import new_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "DASHES", "GREY", "INK", "PAPER", "SIDE_INK", "Shade", "Strokes", "chosen_style", "save", "strokes", "track_ink",
    "write_frame",
]  # fmt: skip

Shade = tuple[float, float, float]

INK: Shade = (0.13, 0.13, 0.15)
PAPER: Shade = (1.0, 1.0, 1.0)
SIDE_INK: dict[str, Shade] = {"left": (0.05, 0.47, 0.72), "right": (0.85, 0.40, 0.02), "middle": INK}
"""render.SIDES (blue, orange) as dark as lines on white paper want it; they keep apart for every kind of vision."""

GREY: Shade = (0.4, 0.4, 0.43)
DASHES = (0, (2.4, 1.7))
"""How filled gaps are drawn."""

_NOTE_CHARACTERS = 18.5
"""Letters of small print that an inch holds."""

_CONTRAST = 3.2
"""The least contrast to white of a track's line (WCAG asks 3 for graphics)."""

_STYLE: dict[str, Any] = {
    "font.family": ["DejaVu Sans"], "font.size": 8.5, "text.parse_math": False, "axes.unicode_minus": True,
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": (0.55, 0.55, 0.58), "axes.linewidth": 0.7,
    "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 9, "axes.titlepad": 4,
    "axes.grid": True, "grid.color": (0.9, 0.9, 0.91), "grid.linewidth": 0.6, "axes.axisbelow": True,
    "xtick.color": (0.35, 0.35, 0.38), "ytick.color": (0.35, 0.35, 0.38), "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.major.size": 3, "ytick.major.size": 3, "lines.linewidth": 1.3, "lines.solid_capstyle": "round",
    "legend.frameon": False, "legend.fontsize": 8, "figure.facecolor": PAPER, "savefig.dpi": 150,
    "svg.hashsalt": "posetrack", "svg.fonttype": "none", "pdf.fonttype": 42, "agg.path.chunksize": 10_000,
}  # fmt: skip

_WRITTEN: dict[str, dict[str, Any]] = {
    ".png": {"metadata": {"Software": "posetrack"}},
    ".jpg": {"pil_kwargs": {"quality": 80, "optimize": True}},
    ".svg": {"metadata": {"Date": None, "Creator": "posetrack"}},
    ".pdf": {"metadata": {"CreationDate": None, "Creator": "posetrack", "Producer": None}},
}
"""What goes into a file of each kind besides the picture: no date, so that the same plot is the same bytes."""


@contextmanager
def chosen_style() -> Iterator[None]:
    """matplotlib with the look of posetrack's plots, whatever the user's own settings are; DeviceError without it."""
    try:
        import matplotlib
    except ImportError as error:
        raise DeviceError(
            "plots need matplotlib; install it with: pip install 'posetrack[plots]' (--to csv works without it)"
        ) from error
    with matplotlib.rc_context(), warnings.catch_warnings():
        # a name in a script that DejaVu lacks is drawn as boxes; SVG keeps it as text
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        matplotlib.rcdefaults()
        for name, value in _STYLE.items():
            matplotlib.rcParams[name] = value  # type: ignore[index]
        yield


def save(figure: Figure, path: Path, *, overwrite: bool = False) -> None:
    """Write a figure in the format of the path's suffix (.png, .jpg, .svg or .pdf); OutputError when it
    cannot be written or exists."""
    suffix = path.suffix.lower()
    with new_file(path, overwrite=overwrite) as file:
        figure.savefig(file, format=suffix[1:], **_WRITTEN[suffix])


def track_ink(track: int) -> Shade:
    """A track's colour (render.track_colour), darkened until it can be read on white."""
    colour = np.array(track_colour(track)) / 255
    while 1.05 / (0.05 + _luminance(colour)) < _CONTRAST:
        colour *= 0.96
    red, green, blue = (round(float(part), 4) for part in colour)
    return red, green, blue


def _luminance(colour: NDArray[np.float64]) -> float:
    """Relative luminance of sRGB (WCAG 2)."""
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


@dataclass(frozen=True, eq=False)
class Strokes:
    """A series as lines: `solid`, `dashed` (filled gaps) and `dots` (values that stand alone), each (m, 2) x, y with
    NaN rows between the lines."""

    solid: NDArray[np.float64]
    dashed: NDArray[np.float64]
    dots: NDArray[np.float64]


def strokes(points: NDArray[np.float64], series: Series, breaks: NDArray[np.bool_] | None = None) -> Strokes:
    """The lines through `points` (n, 2) of a series: broken at gaps, cuts, NaN, and before each of `breaks` (n,)."""
    here = np.asarray(np.isfinite(points).all(axis=1))
    joined = here[1:] & here[:-1] & (np.diff(series.stretch) == 0)
    if breaks is not None:
        joined &= ~breaks[1:]
    filled = joined & (series.filled[1:] | series.filled[:-1])
    alone = here & ~np.append(joined, False) & ~np.insert(joined, 0, False)
    return Strokes(_lines(points, joined & ~filled), _lines(points, filled), points[alone])


def _lines(points: NDArray[np.float64], joined: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The points of all runs of `joined` neighbours, a NaN row behind each run."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], joined, [False]]).astype(np.int8)))
    parts = [part for a, b in edges.reshape(-1, 2) for part in (points[a : b + 1], np.full((1, 2), np.nan))]
    return np.concatenate(parts) if parts else np.zeros((0, 2))


def write_frame(figure: Figure, title: str, notes: str, handles: Sequence[Any]) -> None:
    """The title above a figure at the left, the legend of `handles` at the right, and `notes` in small print below."""
    figure.suptitle(title, x=0.01, ha="left", fontsize=10.5, fontweight="bold")
    if handles:
        figure.legend(handles=handles, loc="outside upper right", ncols=len(handles), handletextpad=0.5)
    lines = textwrap.wrap(notes, int(_NOTE_CHARACTERS * figure.get_figwidth()))
    figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=7, color=GREY)
