"""TRC, the marker files of OpenSim: one file a person, joints as markers in a plane."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from posetrack.errors import FormatError
from posetrack.results.native import Tracks
from posetrack.results.output import new_file
from posetrack.results.rounding import rounded

__all__ = ["Markers", "read_trc", "write_trc"]


@dataclass(frozen=True, eq=False)
class Markers:
    """What a TRC file holds: `names` of M markers, `times` (F,) seconds, `places` (F, M, 3) x, y, z or NaN,
    `units`."""

    names: tuple[str, ...]
    times: NDArray[np.float64]
    places: NDArray[np.float64]
    units: str


def write_trc(
    path: str | Path, tracks: Tracks, *, pixel_size: float = 1.0, overwrite: bool = False
) -> tuple[list[Path], tuple[str, ...]]:
    """One file for each track, NAME.idN.trc for NAME.trc, from its first frame to its last.

    x to the right and y up, in millimetres from the bottom-left pixel; `pixel_size` is how many millimetres a
    pixel is. z is 0. Joints without a place are empty cells, which OpenSim reads as missing. Gives the files
    made and what had to be assumed. Raises FormatError when the height of the picture isn't known,
    OutputError when a file cannot be written.
    """
    height = tracks.header.video.get("height")
    if not isinstance(height, int):
        raise FormatError("TRC wants the height of the picture, to point y up: the result's header has none")
    base = Path(path)
    base = base.with_suffix("") if base.suffix == ".trc" else base
    made = []
    for column, id in enumerate(tracks.ids):
        target = base.with_name(f"{base.name}.id{id}.trc")
        seen = np.flatnonzero(~np.isnan(tracks.scores[:, column]))
        if not len(seen):
            continue
        rows = slice(int(seen[0]), int(seen[-1]) + 1)
        xy = tracks.keypoints[rows, column, :, :2].astype(np.float64)
        places = np.stack([xy[..., 0], height - 1 - xy[..., 1], np.where(np.isnan(xy[..., 0]), np.nan, 0)], -1)
        _write_one(target, tracks, rows, places * pixel_size, overwrite)
        made.append(target)
    rate = f"a pixel counts as {pixel_size:g} mm (--pixel-size), y points up, z is 0"
    return made, (rate,)


def _write_one(path: Path, tracks: Tracks, rows: slice, places: NDArray[np.float64], overwrite: bool) -> None:
    names = tracks.skeleton.joints
    rate = f"{_rate(tracks):.6g}"
    count = len(places)
    with new_file(path, overwrite=overwrite) as file:
        lines = [
            f"PathFileType\t4\t(X/Y/Z)\t{path.name}",
            "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames",
            f"{rate}\t{rate}\t{count}\t{len(names)}\tmm\t{rate}\t1\t{count}",
            "Frame#\tTime\t" + "\t\t\t".join(names) + "\t\t",
            "\t\t" + "\t".join(f"X{n}\tY{n}\tZ{n}" for n in range(1, len(names) + 1)),
            "",
        ]
        for n, (time, markers) in enumerate(zip(tracks.times[rows], places, strict=True), 1):
            cells = ("" if np.isnan(value) else f"{value:.4f}" for value in markers.ravel() + 0.0)
            lines.append(f"{n}\t{rounded(time, 6):.6f}\t" + "\t".join(cells))
        file.write("\n".join([*lines, ""]).encode())


def _rate(tracks: Tracks) -> float:
    """Frames a second in the file, which a stride makes fewer than the video's."""
    steps = np.diff(tracks.times)
    median = float(np.median(steps)) if len(steps) else 0.0
    return 1 / median if median > 0 else float(tracks.header.video.get("fps") or 1.0)


def read_trc(path: str | Path) -> Markers:
    """The markers of a TRC file; FormatError that names file and line."""
    try:
        lines = Path(path).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"{path}: not a TRC file that can be read ({error})") from error
    if len(lines) < 5 or not lines[0].startswith("PathFileType"):
        raise FormatError(f"{path}: not a TRC file (no PathFileType at its start)")
    settings = dict(zip(lines[1].split("\t"), lines[2].split("\t"), strict=False))
    names = tuple(name for name in lines[3].split("\t")[2:] if name)
    times, places = [], []
    for number, line in enumerate(lines[5:], 6):
        if not line.strip():
            continue
        cells = line.split("\t")
        try:
            times.append(float(cells[1]))
            values = [float(cell) if cell.strip() else np.nan for cell in cells[2 : 2 + 3 * len(names)]]
        except (ValueError, IndexError) as error:
            raise FormatError(f"{path} line {number}: {error}") from error
        if len(values) != 3 * len(names):
            raise FormatError(f"{path} line {number}: {len(values)} values for {len(names)} markers")
        places.append(values)
    shape = (-1, len(names), 3)
    return Markers(names, np.array(times), np.array(places, np.float64).reshape(shape), settings.get("Units", ""))
