"""A result file as arrays, some hundred frames at a time: what looking for suspects works on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posetrack.review.presence import Numbers
from posetrack.types import Floats

__all__ = ["Rows", "Window", "frame_rows", "window_of"]

USUAL_RATE = 25.0
"""Frames a second where times don't tell."""

_flat = chain.from_iterable


@dataclass(frozen=True, eq=False)
class Rows:
    """The n people of one frame, as they stand in the file.

    `frame` is its number, `time` in seconds, `cut` says that a scene begins; `ids` (n,) int64, `keypoints` (n, J, 3)
    float32 x, y in pixels and a score, NaN without a place; `boxes` (n, 4) float32 x, y, width, height; `looks`
    (n, D) float32, NaN where not looked at.
    """

    frame: int
    time: float
    cut: bool
    ids: Numbers
    keypoints: Floats
    boxes: Floats
    looks: Floats


def frame_rows(record: dict[str, Any], joints: int) -> Rows:
    """A frame as it is parsed from the file, as arrays; ValueError when the numbers have another shape."""
    people = record["people"]
    looks = [person.get("appearance") or () for person in people]
    width = max(map(len, looks), default=0)
    missing = (np.nan,) * width
    return Rows(
        record["index"],
        float(record["time"]),
        bool(record.get("cut")),
        np.array([person["id"] for person in people], np.int64),
        np.fromiter(_flat(_flat(person["keypoints"] for person in people)), np.float32).reshape(len(people), joints, 3),
        np.fromiter(_flat(person["box"] for person in people), np.float32).reshape(len(people), 4),
        np.fromiter(_flat(look or missing for look in looks), np.float32).reshape(len(people), width),
    )


@dataclass(frozen=True, eq=False)
class Window:
    """F frames in a row and the P people in them; NaN where somebody is absent.

    `frames` (F,) int64 numbers; `times` (F,) float64 seconds; `scenes` (F,) int64 grow with each cut; `ids` (P,) int64,
    ascending; `here` (F, P) bool; `keypoints` (F, P, J, 3) float32; `boxes` (F, P, 4) float32 x, y, width, height;
    `looks` (F, P, D) float32.
    """

    frames: Numbers
    times: NDArray[np.float64]
    scenes: Numbers
    ids: Numbers
    here: NDArray[np.bool_]
    keypoints: Floats
    boxes: Floats
    looks: Floats


def window_of(frames: Sequence[Rows]) -> Window:
    """Frames that follow one another as one window."""
    row = np.repeat(np.arange(len(frames)), [len(frame.ids) for frame in frames])
    ids, column = np.unique(np.concatenate([frame.ids for frame in frames]), return_inverse=True)
    place = row, column
    here = np.zeros((len(frames), len(ids)), np.bool_)
    here[place] = True
    width = max(frame.looks.shape[1] for frame in frames)
    looks = [f.looks if f.looks.shape[1] == width else _widened(f.looks, width) for f in frames]
    times = np.array([frame.time for frame in frames])
    return Window(
        np.array([frame.frame for frame in frames], np.int64),
        times if (np.diff(times) > 0).all() else np.arange(len(times)) / USUAL_RATE,
        np.cumsum([frame.cut for frame in frames]),
        ids,
        here,
        _spread([frame.keypoints for frame in frames], place, here.shape),
        _spread([frame.boxes for frame in frames], place, here.shape),
        _spread(looks, place, here.shape),
    )


def _widened(looks: Floats, width: int) -> Floats:
    return np.pad(looks, ((0, 0), (0, width - looks.shape[1])), constant_values=np.nan)


def _spread(parts: Sequence[Floats], place: tuple[Numbers, Numbers], shape: tuple[int, int]) -> Floats:
    values = np.concatenate(parts)
    spread = np.full((*shape, *values.shape[1:]), np.nan, np.float32)
    spread[place] = values
    return spread
