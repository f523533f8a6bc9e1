"""Join the tracks of one person across an absence: somebody who was hidden, left and returned, or whom the flow lost.

    pairs (a ends, b begins later) -> evidence -> the best assignment of ends to beginnings -> those without a rival

First gaps of some frames, by motion and pose; then absences, which want clothes to be sure. Two in the same clothes
are told apart by place alone: where it does not, both ids stay. Wrong joins are worse than missed ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from posetrack.appearance import alike
from posetrack.clean.ends import Ends, ends_of, look_evidence, place_evidence, size_evidence
from posetrack.geometry import iou
from posetrack.results.trajectories import Trajectories, Trajectory
from posetrack.types import Floats

__all__ = ["Joined", "stitch"]

SHORT = 0.5
"""Seconds of a gap that motion and pose alone bridge, before anything else is looked at."""
BLIND = 1.5
"""Seconds of absence after which somebody is known by the look alone, if at all."""
SURE = 2.5
"""Log odds by which a join must be better than all that could be in its place."""
DOUBT = 0.7
"""Log odds that are missing where nobody looked: joins by motion alone must be better by so much."""
LOOK, LOOK_ALONE = 1.0, 3.0
"""Log odds that a look must give after BLIND seconds, and across a cut; before, none that speaks against it."""
GLIMPSE = 3
"""Frames of a track that is too short to tell of anybody after more than a SHORT gap."""
ABOUT = 1.5
"""Body sizes within which somebody else in the same clothes could have taken the place: the look says nothing then."""
DOUBLE_IOU, DOUBLE_FRAMES = 0.6, 10
"""Whose first or last frames, so many, lie over somebody else of the same look is a double of that one."""


@dataclass(frozen=True)
class Joined:
    """Track `joined` became part of `kept`; `gap` seconds lie between its first sight and the last one before."""

    kept: int
    joined: int
    gap: float


@dataclass(frozen=True, eq=False)
class _Pairs:
    """P pairs: `ends` (P,) and `begins` (P,) by row, `evidence` (P,) and whether they may be joined at all."""

    ends: NDArray[np.int64]
    begins: NDArray[np.int64]
    evidence: NDArray[np.float64]
    allowed: NDArray[np.bool_]

    def __getitem__(self, rows: NDArray[np.bool_]) -> _Pairs:
        return _Pairs(self.ends[rows], self.begins[rows], self.evidence[rows], self.allowed[rows])


def stitch(tracks: Trajectories, seconds: float = 10.0) -> tuple[Trajectories, list[Joined]]:
    """Give tracks of the same person the id of the oldest of them, across absences of at most `seconds`.

    What is joined never shares a frame, and no joint, box or look changes. Also gives what was joined, by time. Raises
    ValueError unless `seconds` is a number from 0 on.
    """
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"an absence lasts a number of seconds from 0 on, not {seconds}")
    people = sorted((person for person in tracks.people if len(person)), key=lambda person: (person.rows[0], person.id))
    joins: list[Joined] = []
    for longest in (min(SHORT, seconds), seconds):
        found = _chosen(_pairs(tracks, people, seconds, longest))
        people = _merged(people, found, tracks.times, joins)
    nobody = [person for person in tracks.people if not len(person)]
    kept = {join.joined: join.kept for join in joins}
    told = [replace(join, kept=_oldest(join.kept, kept)) for join in joins]
    starts = {person.id: tracks.times[person.rows[0]] for person in tracks.people if len(person)}
    return (
        replace(tracks, people=tuple(sorted([*people, *nobody], key=lambda person: person.id))),
        sorted(told, key=lambda join: (starts[join.joined], join.joined)),
    )


def _oldest(id: int, kept: dict[int, int]) -> int:
    while id in kept:
        id = kept[id]
    return id


def _pairs(tracks: Trajectories, people: Sequence[Trajectory], reach: float, longest: float) -> _Pairs:
    """All (one who ends, one who begins up to `reach` seconds later) with the evidence that they are one.

    Gaps up to `longest` may be joined; the others compete.
    """
    if len(people) < 2:
        return _Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.bool_))
    picture = _picture(tracks)
    ends, begins = (ends_of(tracks, people, picture, first) for first in (False, True))
    a, b = _candidates(ends, begins, reach)
    gaps = begins.times[b] - ends.times[a]
    lasting = np.array([len(person) >= GLIMPSE for person in people])
    crowd = _Crowd.of(people)
    doubles = crowd.doubles(people, ends, False)[a] | crowd.doubles(people, begins, True)[b]
    free = ((lasting[a] & lasting[b]) | (gaps <= SHORT)) & ~doubles
    a, b, gaps = a[free], b[free], gaps[free]
    scenes = np.cumsum(tracks.cuts)
    same_scene = scenes[ends.rows[a]] == scenes[begins.rows[b]]
    look = look_evidence(ends, begins, a, b)
    seen = np.where(same_scene, place_evidence(ends, begins, a, b, picture) + size_evidence(ends, begins, a, b), -1)
    evidence = seen + np.nan_to_num(look, nan=-DOUBT)
    blind = same_scene & (gaps <= BLIND)
    fits = np.where(blind, ~(look < 0), look >= np.where(same_scene, LOOK, LOOK_ALONE))
    fits &= ~crowd.same_clothes(ends, begins, a, b, look) | (blind & (seen - DOUBT >= SURE))
    named = np.array([_two_names(people[i], people[j]) for i, j in zip(a, b, strict=True)], np.bool_)
    return _Pairs(a, b, evidence, fits & ~named & (gaps <= longest + 1e-9))[evidence > 0]


def _two_names(a: Trajectory, b: Trajectory) -> bool:
    """Whether a person called them differently."""
    return a.name is not None and b.name is not None and a.name != b.name


def _picture(tracks: Trajectories) -> tuple[float, float]:
    """Width and height: the video's, or as far as people go."""
    width, height = (tracks.header.video.get(name) for name in ("width", "height"))
    if width and height:
        return float(width), float(height)
    boxes = np.concatenate([person.boxes for person in tracks.people])
    right, bottom = np.maximum(boxes[:, 2:].max(axis=0), 1)
    return float(right), float(bottom)


def _candidates(ends: Ends, begins: Ends, reach: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows (P,) of ends and of beginnings after them, at most `reach` seconds; both in order of beginnings."""
    order = np.argsort(begins.rows, kind="stable")
    times = begins.times[order]
    first = np.searchsorted(begins.rows[order], ends.rows, side="right")
    last = np.searchsorted(times, ends.times + reach + 1e-9, side="right")
    counts = np.maximum(last - first, 0)
    a = np.repeat(np.arange(len(counts)), counts)
    within = np.arange(len(a)) - np.repeat(np.cumsum(counts) - counts, counts)
    return a, order[first[a] + within]


@dataclass(frozen=True, eq=False)
class _Crowd:
    """Everybody in every frame, in order of frames: `rows` (M,), `who` (M,) by place in the people, `boxes` (M, 4)."""

    rows: NDArray[np.int64]
    who: NDArray[np.int64]
    boxes: Floats

    @classmethod
    def of(cls, people: Sequence[Trajectory]) -> _Crowd:
        rows = np.concatenate([person.rows for person in people])
        order = np.argsort(rows, kind="stable")
        who = np.repeat(np.arange(len(people)), [len(person) for person in people])
        return cls(rows[order], who[order], np.concatenate([person.boxes for person in people])[order])

    def between(self, first: int, last: int) -> slice:
        """Where the frames `first` to `last` are."""
        return slice(*np.searchsorted(self.rows, [first, last + 1]))

    def doubles(self, people: Sequence[Trajectory], ends: Ends, first: bool) -> NDArray[np.bool_]:
        """Who (N,) begins, or ends, as a second pose of somebody there: on the same place with the same look."""
        doubles = np.zeros(len(people), np.bool_)
        for k, person in enumerate(people):
            window = person[:DOUBLE_FRAMES] if first else person[-DOUBLE_FRAMES:]
            here = self.between(window.rows[0], window.rows[-1])
            near = (iou(window.boxes, self.boxes[here]) > DOUBLE_IOU) & (window.rows[:, None] == self.rows[here])
            others, counts = np.unique(self.who[here][np.nonzero(near)[1]], return_counts=True)
            doubles[k] = any(
                other != k and not np.any(alike(ends.looks[[k]], ends.looks[[other]]) < 0.5)
                for other in others[2 * counts > len(window)].tolist()
            )
        return doubles

    def same_clothes(
        self, ends: Ends, begins: Ends, a: NDArray[np.int64], b: NDArray[np.int64], look: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Which pairs (P,) of alike `look` had a third one in the same clothes about where they ended or began."""
        found = np.zeros(len(a), np.bool_)
        for pair in np.flatnonzero(look > 0):
            end, begin = a[pair], b[pair]
            here = self.between(ends.rows[end] + 1, begins.rows[begin] - 1)
            middles = (self.boxes[here, :2] + self.boxes[here, 2:]) / 2
            near = [
                np.linalg.norm(middles - (box[:2] + box[2:]) / 2, axis=1) < ABOUT * size
                for box, size in ((ends.boxes[end], ends.sizes[end]), (begins.boxes[begin], begins.sizes[begin]))
            ]
            others = np.unique(self.who[here][near[0] | near[1]])
            others = others[(others != end) & (others != begin)]
            found[pair] = len(others) and bool((alike(begins.looks[[begin]], ends.looks[others]) > 0.5).any())
        return found


def _chosen(pairs: _Pairs) -> list[tuple[int, int]]:
    """The pairs of the best assignment that nothing comes near, found group by group of those that compete."""
    if not len(pairs.ends):
        return []
    count = int(max(pairs.ends.max(), pairs.begins.max())) + 1
    graph = coo_matrix((np.ones(len(pairs.ends)), (pairs.ends, count + pairs.begins)), shape=(2 * count, 2 * count))
    group = connected_components(graph, directed=False)[1][pairs.ends]
    found = []
    for each in np.unique(group):
        found += _best(pairs[group == each])
    return found


def _best(pairs: _Pairs) -> list[tuple[int, int]]:
    """The sure pairs of one group: those without which the best assignment would lose at least SURE."""
    ends, row = np.unique(pairs.ends, return_inverse=True)
    begins, column = np.unique(pairs.begins, return_inverse=True)
    gain = np.zeros((len(ends), len(begins)))
    gain[row, column] = pairs.evidence
    may = np.zeros(gain.shape, np.bool_)
    may[row, column] = pairs.allowed
    total, chosen = _assigned(gain)
    sure = []
    for i, j in chosen:
        if may[i, j]:
            without = gain.copy()
            without[i, j] = 0
            if total - _assigned(without)[0] >= SURE:
                sure.append((int(ends[i]), int(begins[j])))
    return sure


def _assigned(gain: NDArray[np.float64]) -> tuple[float, list[tuple[int, int]]]:
    """The greatest sum of gains, each row and column used once, and the pairs that give it."""
    rows, columns = linear_sum_assignment(gain, maximize=True)
    pairs = [(i, j) for i, j in zip(rows.tolist(), columns.tolist(), strict=True) if gain[i, j] > 0]
    return float(sum(gain[i, j] for i, j in pairs)), pairs


def _merged(
    people: Sequence[Trajectory], pairs: list[tuple[int, int]], times: NDArray[np.float64], joins: list[Joined]
) -> list[Trajectory]:
    """The people with each pair's second part in its first; `joins` takes note."""
    after = dict(pairs)
    later = set(after.values())
    merged = []
    for k, person in enumerate(people):
        if k in later:
            continue
        parts, last = [person], k
        while last in after:
            last = after[last]
            gap = float(times[people[last].rows[0]] - times[parts[-1].rows[-1]])
            joins.append(Joined(person.id, people[last].id, round(gap, 6)))
            parts.append(people[last])
        merged.append(_concatenated(parts))
    return merged


def _concatenated(parts: Sequence[Trajectory]) -> Trajectory:
    """One trajectory of parts in the order of time, with the first one's id and the first name there is."""
    if len(parts) == 1:
        return parts[0]
    fields = ("rows", "keypoints", "raw", "boxes", "scores", "sources", "appearance")
    joined: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in fields}
    return replace(parts[0], **joined, name=next((part.name for part in parts if part.name is not None), None))
