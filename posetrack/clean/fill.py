"""Gaps of a track filled: joints and boxes between those before and after, marked as filled."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy.interpolate import PchipInterpolator

from posetrack.clean.stretches import Doubles, Integers, scenes
from posetrack.errors import FormatError
from posetrack.results.trajectories import Trajectories, Trajectory
from posetrack.types import Floats

__all__ = ["fill", "gaps"]


def gaps(tracks: Trajectories, person: Trajectory, longest: int) -> list[Integers]:
    """The rows of each gap of `person` that is at most `longest` frames long and lies within one scene."""
    scene = scenes(tracks)[person.rows]
    missing = np.diff(person.rows) - 1
    before = np.flatnonzero((missing > 0) & (missing <= longest) & (np.diff(scene) == 0))
    return [np.arange(person.rows[k] + 1, person.rows[k + 1]) for k in before]


def fill(tracks: Trajectories, frames: int = 5) -> Trajectories:
    """The same people, also in gaps of up to `frames` frames; never across a scene cut.

    Joints and boxes go in time along monotone cubics (pchip) from the two frames before the gap to the two after it; a
    joint that has no place on either side has none in the gap. Scores, of joints and of the person, are the lower of
    both ends. `sources` say "fill", and `raw` has no joint there. Frames that hold the person stay as they are.
    Raises FormatError where time does not pass in a gap.
    """
    people = tuple(_filled(person, gaps(tracks, person, frames), tracks.times) for person in tracks.people)
    return replace(tracks, people=people)


def _filled(person: Trajectory, missing: list[Integers], times: Doubles) -> Trajectory:
    if not missing:
        return person
    whole = _joined([person, *(_between(person, rows, times) for rows in missing)])
    return whole[np.argsort(whole.rows, kind="stable")]


def _joined(parts: list[Trajectory]) -> Trajectory:
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("rows", "keypoints", "raw", "boxes", "scores", "sources", "appearance")
    }
    return replace(parts[0], **columns)


def _between(person: Trajectory, rows: Integers, times: Doubles) -> Trajectory:
    """The person in the gap at `rows` alone."""
    n, (_, joints, _) = len(rows), person.keypoints.shape
    after = int(np.searchsorted(person.rows, rows[0]))
    near = _one_curve(person.rows, after)
    known, wanted = times[person.rows[near]], times[rows]
    if not (np.diff(np.concatenate([known[: after - near.start], wanted, known[after - near.start :]])) > 0).all():
        raise FormatError(f"person {person.id}: the times from row {rows[0] - 1} to {rows[-1] + 1} do not grow")
    nowhere = np.full((n, joints, 3), (np.nan, np.nan, 0), np.float32)
    keypoints = nowhere.copy()
    ends = person.keypoints[after - 1 : after + 1]
    placed = np.isfinite(ends[..., :2]).all(axis=(0, 2))
    keypoints[:, placed, :2] = _joints(known, person.keypoints[near][:, placed, :2], wanted)
    keypoints[:, placed, 2] = ends[:, placed, 2].min(axis=0)
    return replace(
        person, rows=rows, keypoints=keypoints, raw=nowhere,
        boxes=_boxes(known, person.boxes[near], wanted),
        scores=np.full(n, person.scores[after - 1 : after + 1].min()), sources=np.full(n, "fill", "<U8"),
        appearance=np.full((n, person.appearance.shape[1]), np.nan, np.float32),
    )  # fmt: skip


def _one_curve(rows: Integers, after: int) -> slice:
    """Two frames either side of the gap that ends at `rows[after]`; only one where there is another gap beyond it."""
    begin = after - 2 if after > 1 and rows[after - 1] - rows[after - 2] == 1 else after - 1
    end = after + 2 if after + 1 < len(rows) and rows[after + 1] - rows[after] == 1 else after + 1
    return slice(begin, end)


def _boxes(known: Doubles, boxes: Floats, wanted: Doubles) -> Floats:
    """Boxes between boxes: the corner and the sides go along curves, so that no side is ever negative."""
    corners, sides = boxes[:, :2], boxes[:, 2:] - boxes[:, :2]
    corner = _curve(known, corners, wanted)
    return np.concatenate([corner, corner + _curve(known, sides, wanted)], axis=1).astype(np.float32)


def _joints(known: Doubles, points: Floats, wanted: Doubles) -> Doubles:
    """Joints that are at `points` (k, J, 2) at times `known` (k,), some at some of them only, at `wanted` (n,)."""
    found = np.zeros((len(wanted), *points.shape[1:]))
    patterns, pattern_of = np.unique(np.isfinite(points).all(axis=2), axis=1, return_inverse=True)
    for number, here in enumerate(patterns.T):
        joints = pattern_of.ravel() == number
        found[:, joints] = _curve(known[here], points[here][:, joints], wanted)
    return found


def _curve(known: Doubles, values: Floats, wanted: Doubles) -> Doubles:
    """`values` (k, ...) at times `known` (k,), at the times `wanted` (n,): (n, ...)."""
    return np.asarray(PchipInterpolator(known, values.astype(np.float64), axis=0)(wanted))
