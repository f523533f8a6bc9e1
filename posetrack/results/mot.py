"""MOTChallenge text: one box a line, as frame, id, left, top, width, height, confidence and what follows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from posetrack.errors import FormatError
from posetrack.results.lines import Header
from posetrack.results.output import new_file
from posetrack.results.rounding import rounded, rounded_box
from posetrack.types import FrameResult

__all__ = ["MotBoxes", "parse_mot", "read_mot", "write_mot"]

_SEPARATOR = re.compile(r"\s*,\s*|\s+")


@dataclass(frozen=True, eq=False)
class MotBoxes:
    """The lines of a MOTChallenge file, ordered by frame.

    `frames` (N,) int64 counted from 0 (the file's number - 1); `ids` (N,) int64, -1 for none; `boxes` (N, 4)
    float64 x1, y1, x2, y2 as written, nothing subtracted (as TrackEval reads them; motmetrics takes 1 off
    left and top); `scores` (N,) the seventh column: confidence, or in ground truth the flag that is 0 where a
    box doesn't count; `rest` (N, 3) the columns after it, NaN where there are none: class and visibility, or
    a place in the world.
    """

    path: Path
    frames: NDArray[np.int64]
    ids: NDArray[np.int64]
    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    rest: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.frames)


def read_mot(path: str | Path) -> MotBoxes:
    """A MOTChallenge file: results, detections or ground truth, columns parted by commas or spaces.

    Raises FormatError that names file and line: too few columns, what is no number, an id twice in a frame.
    """
    try:
        text = Path(path).read_text("utf-8")
    except OSError as error:
        raise FormatError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: not a text; name a MOTChallenge file") from error
    return parse_mot(path, text)


def parse_mot(path: str | Path, text: str) -> MotBoxes:
    """As `read_mot`, of a text that has been read."""
    rows: list[list[float]] = []
    seen: dict[tuple[float, float], int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        row = _row(line, f"{path} line {number}")
        frame, identity = row[0], row[1]
        if identity >= 0 and seen.setdefault((frame, identity), number) != number:
            raise FormatError(
                f"{path} line {number}: id {identity:.0f} is in frame {frame:.0f} already (line "
                f"{seen[frame, identity]}); make ids unique in each frame"
            )
        rows.append(row)
    table = np.array(rows, np.float64).reshape(-1, 10)
    table = table[np.argsort(table[:, 0], kind="stable")]
    boxes = np.concatenate([table[:, 2:4], table[:, 2:4] + table[:, 4:6]], axis=1)
    frames, ids = table[:, 0].astype(np.int64) - 1, np.maximum(table[:, 1], -1).astype(np.int64)
    return MotBoxes(Path(path), frames, ids, boxes, table[:, 6], table[:, 7:])


def _row(line: str, where: str) -> list[float]:
    """Ten numbers; what a line leaves out behind the box is confidence 1 and NaN."""
    cells = _SEPARATOR.split(line.strip().rstrip(","))
    try:
        values = [float(cell) for cell in cells[:10]]
    except ValueError as error:
        raise FormatError(f"{where}: {error}; columns are frame, id, left, top, width, height, confidence") from error
    if len(values) < 6:
        raise FormatError(f"{where}: {len(values)} columns; at least frame, id, left, top, width, height are wanted")
    if not np.isfinite(values).all():
        raise FormatError(f"{where}: NaN or infinite; write numbers")
    if values[0] < 1 or values[0] % 1 or values[1] % 1:
        raise FormatError(f"{where}: frame and id are whole numbers, and frames are counted from 1")
    if values[4] < 0 or values[5] < 0:
        raise FormatError(f"{where}: width and height below 0; boxes are left, top, width, height")
    return values + [1.0] * (len(values) == 6) + [np.nan] * (10 - max(len(values), 7))


def write_mot(
    path: str | Path, header: Header, frames: Iterable[FrameResult], *, overwrite: bool = False
) -> tuple[str, ...]:
    """Boxes and ids as MOTChallenge text: frame number + 1, id, left, top, width, height, score, -1, -1, -1.

    Joints find no place in it. Raises OutputError when the file cannot be written.
    """
    with new_file(path, overwrite=overwrite) as file:
        for frame in frames:
            for person in frame.people:
                box = ",".join(f"{value:.2f}" for value in rounded_box(person.box))
                score = rounded(person.score, 4)
                file.write(f"{frame.index + 1},{person.id},{box},{score},-1,-1,-1\n".encode())
    return ("boxes only: MOTChallenge text has no joints",)
