"""Who stays: by length, by number, by what they do, by where they are. Nothing here changes a joint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from posetrack.clean.stretches import Doubles, body_size, scenes
from posetrack.errors import FormatError, InputError
from posetrack.results.trajectories import Trajectories, Trajectory

__all__ = ["KEEP", "keep", "keep_ids", "max_people", "min_frames", "region", "seen_frames"]

_LONG_ENOUGH = 0.25
"""What part of the longest track's frames a track needs so as to be the largest, the most central or most moving."""

_APART = 0.5
"""Seconds over which it is looked how far joints went: longer than jitter lasts, shorter than a stride."""

_SEEN = 0.2
"""Joints scoring less don't count as moving."""


def seen_frames(person: Trajectory) -> int:
    """In how many frames somebody was seen: filled ones don't count."""
    return int((person.sources != "fill").sum())


def min_frames(tracks: Trajectories, frames: int) -> Trajectories:
    """The people seen in at least so many frames."""
    return _only(tracks, lambda person: seen_frames(person) >= frames)


def max_people(tracks: Trajectories, people: int) -> Trajectories:
    """At most so many people in every frame: those whose scores, summed over the whole video, are the highest.

    The rank is that of the track, so it does not change from frame to frame; equals go by the lower id. Somebody of a
    lower rank stays in the frames that are not full.
    """
    ranked = sorted(tracks.people, key=lambda person: (-float(person.scores.sum(dtype=np.float64)), person.id))
    places = np.full(len(tracks.times), people)
    chosen = []
    for person in ranked:
        free = places[person.rows] > 0
        places[person.rows[free]] -= 1
        chosen.append(person[free])
    return _with(tracks, chosen)


def region(tracks: Trajectories, x: float, y: float, width: float, height: float) -> Trajectories:
    """People in the frames in which the middle of their box lies in a rectangle (pixels), its edge included.

    Who leaves it is absent until they are back. Frames stay, if nobody is left in them.
    """
    chosen = []
    for person in tracks.people:
        middle = _middles(person)
        inside = np.all((middle >= (x, y)) & (middle <= (x + width, y + height)), axis=1)
        chosen.append(person[np.flatnonzero(inside)])
    return _with(tracks, chosen)


def keep_ids(tracks: Trajectories, ids: Sequence[int]) -> Trajectories:
    """The people of these ids; InputError that lists who there is when one is not there."""
    if missing := sorted(set(ids) - set(tracks.ids)):
        there = ", ".join(map(str, tracks.ids[:20])) + (" ..." if len(tracks.ids) > 20 else "")
        raise InputError(f"there is no person {missing[0]} to keep, only {there or 'nobody'}; choose one of them")
    return _only(tracks, lambda person: person.id in ids)


def keep(tracks: Trajectories, which: str) -> Trajectories:
    """One person (or nobody, where there is none): the one who is most of `which`, one of KEEP.

    'longest' is seen in the most frames. The others are judged among those seen in at least a quarter as many, so
    that a flash is never chosen: 'largest' has the largest box in the median, 'centre' has its middle nearest to the
    picture's in the median, 'most-moving' has joints that go farthest in half a second in the mean, in body sizes and
    in the picture: a camera that turns moves everybody. Equals go by the lower id. Raises FormatError for 'centre'
    where the file does not tell the size of the picture.
    """
    if not tracks.people:
        return tracks
    longest = max(map(seen_frames, tracks.people))
    candidates = [person for person in tracks.people if seen_frames(person) >= _LONG_ENOUGH * longest]
    best = min(candidates, key=lambda person: (-KEEP[which](tracks, person), person.id))
    return _only(tracks, lambda person: person.id == best.id)


def _length(tracks: Trajectories, person: Trajectory) -> float:
    return seen_frames(person)


def _largeness(tracks: Trajectories, person: Trajectory) -> float:
    return float(np.median(body_size(person.boxes)))


def _centrality(tracks: Trajectories, person: Trajectory) -> float:
    size = tracks.header.video.get("width"), tracks.header.video.get("height")
    if not all(isinstance(side, int | float) for side in size):
        raise FormatError("the file does not tell the picture's width and height; choose by another rule or by id")
    centre = (np.array(size, np.float64) - 1) / 2
    return -float(np.median(np.linalg.norm(_middles(person) - centre, axis=1)))


def _movement(tracks: Trajectories, person: Trajectory) -> float:
    """Body sizes that joints go in half a second, in the mean over joints and frames of one scene; 0 where unknown."""
    times, scene = tracks.times[person.rows], scenes(tracks)[person.rows]
    later = np.searchsorted(times, times + _APART - 1e-6)
    first = np.flatnonzero(later < len(times))
    later = later[first]
    near = (scene[first] == scene[later]) & (times[later] - times[first] < 2 * _APART)
    first, later = first[near], later[near]
    went = np.linalg.norm(person.keypoints[later, :, :2] - person.keypoints[first, :, :2], axis=2)
    went /= body_size(person.boxes)[first, None] * (times[later] - times[first])[:, None] / _APART
    seen = np.minimum(person.keypoints[first, :, 2], person.keypoints[later, :, 2]) >= _SEEN
    return float(went[seen].mean(dtype=np.float64)) if seen.any() else 0.0


KEEP: dict[str, Callable[[Trajectories, Trajectory], float]] = {
    "largest": _largeness, "longest": _length, "centre": _centrality, "most-moving": _movement,
}  # fmt: skip
"""The rules of `keep` by name: the higher, the better."""


def _middles(person: Trajectory) -> Doubles:
    return np.asarray((person.boxes[:, :2].astype(np.float64) + person.boxes[:, 2:]) / 2)


def _only(tracks: Trajectories, wanted: Callable[[Trajectory], bool]) -> Trajectories:
    return replace(tracks, people=tuple(person for person in tracks.people if wanted(person)))


def _with(tracks: Trajectories, people: Sequence[Trajectory]) -> Trajectories:
    """The tracks with `people` in place of theirs, by id; who is in no frame any more is not there."""
    left = sorted((person for person in people if len(person)), key=lambda person: person.id)
    return replace(tracks, people=tuple(left))
