"""A result file as arrays, some hundred frames at a time: what looking for suspects works on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posetrack.review.presence import Numbers
from posetrack.types import Floats

__all__ = ["BLOCK", "Rows", "Window", "read_rows", "window_of"]

BLOCK = 128
"""Frames that are made into arrays at a time."""


@dataclass(frozen=True, eq=False)
class Rows:
    """The n people of F frames in a row, as they stand in the file.

    `frames` (F,) int64 numbers, `times` (F,) float64 seconds, `cuts` (F,) bool; `row` (n,) int64 in which of the F each
    of the n is; `ids` (n,) int64, `keypoints` (n, J, 3) float32 x, y in pixels and a score, NaN without a place;
    `boxes` (n, 4) float32 x, y, width, height; `looks` (n, D) float32, NaN where not looked at.
    """

    frames: Numbers
    times: NDArray[np.float64]
    cuts: NDArray[np.bool_]
    row: Numbers
    ids: Numbers
    keypoints: Floats
    boxes: Floats
    looks: Floats


def read_rows(records: Sequence[dict[str, Any]], joints: int) -> Rows:
    """Frames as they are parsed from the file, as arrays; ValueError when the numbers have another shape."""
    people = [person for record in records for person in record["people"]]
    looks = [person.get("appearance") for person in people]
    width = max((len(look) for look in looks if look), default=0)
    return Rows(
        np.array([record["index"] for record in records], np.int64),
        np.array([record["time"] for record in records], np.float64),
        np.array([bool(record.get("cut")) for record in records], np.bool_),
        np.repeat(np.arange(len(records)), [len(record["people"]) for record in records]),
        np.array([person["id"] for person in people], np.int64),
        np.array([person["keypoints"] for person in people], np.float32).reshape(-1, joints, 3),
        np.array([person["box"] for person in people], np.float32).reshape(-1, 4),
        _looks(looks, width),
    )


def _looks(looks: list[list[int] | None], width: int) -> Floats:
    found = np.full((len(looks), width), np.nan, np.float32)
    there = [n for n, look in enumerate(looks) if look and len(look) == width]
    if there:
        found[there] = np.array([looks[n] for n in there], np.float32)
    return found


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


def window_of(blocks: Sequence[Rows]) -> Window:
    """Blocks of frames that follow one another as one window."""
    starts = np.cumsum([0, *(len(block.frames) for block in blocks)])
    row = np.concatenate([block.row + start for block, start in zip(blocks, starts, strict=False)])
    ids, column = np.unique(np.concatenate([block.ids for block in blocks]), return_inverse=True)
    shape = (int(starts[-1]), len(ids))
    here = np.zeros(shape, np.bool_)
    here[row, column] = True
    keypoints, boxes = (
        _spread([getattr(block, field) for block in blocks], row, column, shape) for field in ("keypoints", "boxes")
    )
    width = max(block.looks.shape[1] for block in blocks)
    looks = [np.pad(b.looks, ((0, 0), (0, width - b.looks.shape[1])), constant_values=np.nan) for b in blocks]
    times = np.concatenate([block.times for block in blocks])
    return Window(
        np.concatenate([block.frames for block in blocks]),
        times if (np.diff(times) > 0).all() else np.arange(len(times)) / 25.0,
        np.cumsum(np.concatenate([block.cuts for block in blocks])),
        ids,
        here,
        keypoints,
        boxes,
        _spread(looks, row, column, shape),
    )


def _spread(parts: Sequence[Floats], row: Numbers, column: Numbers, shape: tuple[int, int]) -> Floats:
    values = np.concatenate(parts)
    spread = np.full((*shape, *values.shape[1:]), np.nan, np.float32)
    spread[row, column] = values
    return spread
