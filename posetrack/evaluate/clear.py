"""CLEAR MOT: misses, false positives and switches of identity, as py-motmetrics and as TrackEval count them.

Both pair objects with hypotheses frame by frame, only pairs that are near enough, and favour the pair of before:

- `motmetrics` (which poseval uses): an object keeps the hypothesis that it last had, however long ago; the others
  are paired for as many pairs as possible, then the smallest total distance;
- `trackeval` (the MOTChallenge's): the greatest total similarity, where a pair of the frame before counts 1000 more.

Nearly all pairs compete with no other, so history decides only where several are near: these are solved one by
one, in the order of frames, and everything else is array work. (REFERENCE 5.4, 5.8)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from posetrack.evaluate.matching import cheapest, components
from posetrack.evaluate.people import Doubles, Integers

__all__ = ["Candidates", "Convention", "Matches", "extra_rows", "keep_pairs", "switches"]

Convention = Literal["motmetrics", "trackeval"]

_BONUS = 1000.0
"""What TrackEval adds to a pair's similarity when the frame before had it too."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """Pairs of an object and a hypothesis that are near enough, in the order of frames and rows.

    `frame` (E,); `truth` and `prediction` (E,) are numbers of the detections, unlike in every frame; `object` and
    `hypothesis` (E,) are their identities; `cost` (E,) is the distance (1 - similarity for TrackEval).
    """

    frame: Integers
    truth: Integers
    prediction: Integers
    object: Integers
    hypothesis: Integers
    cost: Doubles

    def __len__(self) -> int:
        return len(self.frame)

    def __getitem__(self, rows: NDArray[np.bool_] | Integers) -> Candidates:
        """The pairs at `rows`."""
        return Candidates(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


Matches = Candidates
"""The pairs that were made: at most one for a detection."""


def keep_pairs(candidates: Candidates, convention: Convention) -> Matches:
    """The pairs that CLEAR makes of `candidates`, in the order of frames."""
    chosen, rest = components(candidates.truth, candidates.prediction)
    before = _Before(candidates, chosen)
    make = _as_motmetrics if convention == "motmetrics" else _as_trackeval
    for edges in rest:
        made = make(_Crowd(edges, candidates, [before.of(edge) for edge in edges]))
        for place in made:
            before.note(edges[place])
            chosen[edges[place]] = True
    return candidates[chosen]


class _Crowd:
    """The candidates of one component as lists: their ends, costs, and which repeat the object's last pair."""

    def __init__(self, edges: list[int], candidates: Candidates, last: list[tuple[int, int]]) -> None:
        self.truth = candidates.truth[edges].tolist()
        self.prediction = candidates.prediction[edges].tolist()
        self.cost = candidates.cost[edges].tolist()
        hypotheses = candidates.hypothesis[edges].tolist()
        self.repeats = [h == then for h, (_, then) in zip(hypotheses, last, strict=True)]
        frame = int(candidates.frame[edges[0]])
        self.just_before = [when == frame - 1 for when, _ in last]


class _Before:
    """The frame and hypothesis that an object was last paired with, before the frame of an edge."""

    def __init__(self, candidates: Candidates, alone: NDArray[np.bool_]) -> None:
        self._all = candidates
        self._noted: dict[int, tuple[int, int]] = {}
        frames = int(candidates.frame.max(initial=0)) + 1
        asked = np.flatnonzero(~alone)
        certain = np.flatnonzero(alone)
        key = candidates.object * frames + candidates.frame
        certain = certain[np.argsort(key[certain], kind="stable")]
        place = np.searchsorted(key[certain], key[asked], side="left") - 1
        found = certain[place] if len(certain) else np.zeros(len(asked), np.int64)
        same = (place >= 0) & (candidates.object[found] == candidates.object[asked])
        self._certain = dict(zip(asked[same].tolist(), found[same].tolist(), strict=True))

    def of(self, edge: int) -> tuple[int, int]:
        """(frame, hypothesis) of the last pair; (-1, -1) when there is none."""
        noted = self._noted.get(int(self._all.object[edge]), (-1, -1))
        certain = self._certain.get(edge)
        if certain is None or self._all.frame[certain] < noted[0]:
            return noted
        return int(self._all.frame[certain]), int(self._all.hypothesis[certain])

    def note(self, edge: int) -> None:
        """Remember that this edge was made a pair."""
        self._noted[int(self._all.object[edge])] = (int(self._all.frame[edge]), int(self._all.hypothesis[edge]))


def _as_motmetrics(crowd: _Crowd) -> list[int]:
    """Places of the pairs made in one component: earlier pairs first, then the cheapest of the most."""
    made: list[int] = []
    truths: set[int] = set()
    guesses: set[int] = set()
    for place, repeats in enumerate(crowd.repeats):
        if repeats and crowd.prediction[place] not in guesses:
            made.append(place)
            truths.add(crowd.truth[place])
            guesses.add(crowd.prediction[place])
    free = [
        place
        for place, ends in enumerate(zip(crowd.truth, crowd.prediction, strict=True))
        if ends[0] not in truths and ends[1] not in guesses
    ]
    if not free:
        return made
    left, right, cost = ([column[p] for p in free] for column in (crowd.truth, crowd.prediction, crowd.cost))
    pairs = min(len(set(left)), len(set(right)))
    never = 2 * pairs * (max(cost) + 1) + 1
    return made + [free[place] for place in cheapest(left, right, cost, never)]


def _as_trackeval(crowd: _Crowd) -> list[int]:
    """Places of the pairs made in one component: the greatest similarity with the bonus of the frame before."""
    cost = [
        -(_BONUS * (repeats and just) + (1 - cost))
        for repeats, just, cost in zip(crowd.repeats, crowd.just_before, crowd.cost, strict=True)
    ]
    return cheapest(crowd.truth, crowd.prediction, cost, 0.0)


def _previous_in_group(group: Integers, frame: Integers, value: Integers) -> tuple[Integers, NDArray[np.bool_]]:
    """The `value` of the entry before in time of the same group, and whether there is one."""
    order = np.lexsort((frame, group))
    same = np.zeros(len(order), bool)
    same[1:] = group[order][1:] == group[order][:-1]
    shifted = np.empty(len(order), np.int64)
    shifted[1:] = value[order][:-1]
    previous = np.empty(len(order), np.int64)
    exists = np.empty(len(order), bool)
    previous[order], exists[order] = shifted, same
    return previous, exists & (len(order) > 0)


def switches(matches: Matches) -> NDArray[np.bool_]:
    """Which pairs give an object another hypothesis than it last had, however long ago."""
    if not len(matches):
        return np.zeros(0, bool)
    previous, exists = _previous_in_group(matches.object, matches.frame, matches.hypothesis)
    return np.asarray(exists & (previous != matches.hypothesis))


def extra_rows(matches: Matches) -> Integers:
    """How often motmetrics 1.1 and later writes a pair's distance beside the pair itself: (E,).

    ASCEND: a switch to a hypothesis that nobody had before; TRANSFER: a hypothesis changes hands; MIGRATE: it does,
    to an object that had none before. These rows enter poseval's MOTP. Kept pairs don't count as handing over.
    """
    if not len(matches):
        return np.zeros(0, np.int64)
    last, had_one = _previous_in_group(matches.object, matches.frame, matches.hypothesis)
    switched = had_one & (last != matches.hypothesis)
    _, seen = _previous_in_group(matches.hypothesis, matches.frame, matches.object)
    made = ~had_one | switched
    owner = np.zeros(len(matches), np.int64)
    owned = np.zeros(len(matches), bool)
    owner[made], owned[made] = _previous_in_group(matches.hypothesis[made], matches.frame[made], matches.object[made])
    transferred = made & owned & (owner != matches.object)
    return np.asarray((switched & ~seen).astype(np.int64) + transferred + (transferred & ~had_one))
