"""Poses and boxes as other tools' files hold them: one sequence of frames, before anything is made of it.

Ground truth and predictions alike. What a file doesn't say is NaN (or -1 for an id), so that each reader can
choose what to make of it. Coordinates stay in double precision: scores at a threshold must not depend on
rounding.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from posetrack.errors import FormatError
from posetrack.skeleton import SKELETONS, Skeleton

__all__ = [
    "LabelledFrame", "LabelledSequence", "Row", "frame_numbers", "gather", "joint_columns", "parse_json",
    "read_json", "wanted_id", "wanted_number", "wanted_numbers",
]  # fmt: skip

Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LabelledFrame:
    """The people of one image, row by row.

    `index` is the frame's number from 0, `name` the image's file name ('' if unknown), `labelled` False where
    the file says that nobody looked. `ids` (N,) int64, -1 for none; `keypoints` (N, J, 3) float64 x, y,
    score: (NaN, NaN, 0) for a joint without a place, score NaN where none is given; `scores` (N,) or NaN;
    `boxes` and `heads` (N, 4) x1, y1, x2, y2 or NaN; `ignore` polygons (P, 2) in which nothing counts.
    """

    index: int
    name: str
    labelled: bool
    ids: NDArray[np.int64]
    keypoints: Doubles
    scores: Doubles
    boxes: Doubles
    heads: Doubles
    ignore: tuple[Doubles, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, eq=False)
class LabelledSequence:
    """The frames of one file, by number. `has_ids` says whether any person carries an id."""

    path: Path
    skeleton: Skeleton
    frames: tuple[LabelledFrame, ...]
    width: int | None = None
    height: int | None = None

    @property
    def has_ids(self) -> bool:
        """Whether any person carries an id."""
        return any((frame.ids >= 0).any() for frame in self.frames)


@dataclass(frozen=True)
class Row:
    """One person while a file is being read; arrays as in `LabelledFrame`, without the first axis."""

    keypoints: Doubles
    id: int = -1
    score: float = np.nan
    box: Doubles = field(default_factory=lambda: np.full(4, np.nan))
    head: Doubles = field(default_factory=lambda: np.full(4, np.nan))


def gather(
    index: int, name: str, rows: Sequence[Row], joints: int, where: str, *, labelled: bool = True,
    ignore: tuple[Doubles, ...] = (),
) -> LabelledFrame:  # fmt: skip
    """One frame of `rows`; FormatError (beginning with `where`) when an id is given twice."""
    ids = [row.id for row in rows if row.id >= 0]
    if len(set(ids)) != len(ids):
        twice = next(id for id in ids if ids.count(id) > 1)
        raise FormatError(f"{where}: id {twice} is given to two people; make ids unique in each frame")
    return LabelledFrame(
        index,
        name,
        labelled,
        np.array([row.id for row in rows], np.int64),
        np.array([row.keypoints for row in rows], np.float64).reshape(-1, joints, 3),
        np.array([row.score for row in rows], np.float64),
        np.array([row.box for row in rows], np.float64).reshape(-1, 4),
        np.array([row.head for row in rows], np.float64).reshape(-1, 4),
        ignore,
    )


def read_json(path: str | Path) -> Any:
    """The JSON document in `path`, as `parse_json` has it; FormatError when there is none."""
    try:
        return parse_json(Path(path).read_bytes(), path)
    except OSError as error:
        raise FormatError(f"{path}: cannot be read ({error.strerror}); check the path") from error


def parse_json(data: bytes, path: str | Path) -> Any:
    """A JSON document; FormatError that names `path` and the place when it isn't one.

    NaN and Infinity, which are not JSON but which Python writes, get through, so that whoever checks the
    numbers can say in which frame they stand.
    """
    if not data.strip():
        raise FormatError(f"{path}: the file is empty; write or copy it again")
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        if b"NaN" in data or b"Infinity" in data:
            with suppress(ValueError):
                return json.loads(data)
        place = f"line {error.lineno}, column {error.colno}"
        raise FormatError(f"{path} {place}: not JSON ({error.msg}); write or copy it again") from error


_NUMBER = re.compile(r"(\d+)\D*$")


def frame_numbers(path: str | Path, names: Sequence[str], ids: Sequence[int], listed: bool) -> list[int]:
    """The frame number, from 0, of each image of a file.

    Images are numbered by the last digits of their names' stems, or by their ids where names have none (of
    PoseTrack's eleven-digit ids the last four count). Counting begins at 0 when there is an image 0,
    otherwise at 1; a file that lists its images without a gap from a higher number on (`listed`) is a piece
    of a video, and begins at its first image. FormatError when two images get one number.
    """
    found = [_NUMBER.search(Path(name).stem) for name in names]
    if found and all(found):
        numbers = [int(match[1]) for match in found if match]
    else:
        numbers = [id % 10_000 if id >= 10**10 else id for id in ids]
    if not numbers:
        return []
    first = min(numbers)
    if first > 1 and not (listed and max(numbers) - first == len(set(numbers)) - 1):
        first = 1
    if len(set(numbers)) != len(numbers):
        twice = next(n for n in numbers if numbers.count(n) > 1)
        raise FormatError(f"{path}: two images are number {twice}; keep one sequence in a file")
    return [number - first for number in numbers]


def wanted_id(value: Any, where: str) -> int:
    """A track or image id; FormatError when it isn't a whole number from 0."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise FormatError(f"{where}: {_shown(value)} is not an id; write whole numbers from 0")
    return value


def wanted_number(value: Any, where: str) -> float:
    """A finite number; FormatError otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise FormatError(f"{where}: {_shown(value)} is not a number; write one, or leave the field out")
    return float(value)


def wanted_numbers(value: Any, count: int | None, where: str) -> Doubles:
    """A flat list of `count` finite numbers (any count when None) as an array; FormatError otherwise."""
    plain = isinstance(value, list) and set(map(type, value)) <= {int, float}
    if not plain or (count is not None and len(value) != count):
        wanted = "numbers" if count is None else f"{count} numbers"
        raise FormatError(f"{where}: {wanted} are wanted, not {_shown(value)}")
    array = np.array(value, np.float64)
    if not np.isfinite(array).all():
        raise FormatError(f"{where}: NaN or infinite; a joint without a place is 0, 0, 0")
    return array


def joint_columns(names: Sequence[str], where: str) -> tuple[Skeleton, list[int]]:
    """The skeleton that holds the joints `names`, and the place in it of each.

    The one with the same order, or the same joints, or (a file that lacks some) the first that has them all.
    """
    known = list(SKELETONS.values())
    same = [s for s in known if s.joints == tuple(names)] or [s for s in known if set(s.joints) == set(names)]
    holding = same or [s for s in known if set(names) <= set(s.joints)]
    if not holding or not names or len(set(names)) != len(names):
        raise FormatError(
            f"{where}: no skeleton has just these joints: {', '.join(map(str, names))[:200]}; "
            f"posetrack knows {', '.join(SKELETONS)}"
        )
    return holding[0], [holding[0].index(name) for name in names]


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
