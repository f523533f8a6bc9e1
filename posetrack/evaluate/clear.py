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
from scipy.optimize import linear_sum_assignment

from posetrack.evaluate.matching import components, dense
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
    for edges in rest:
        last = [before.of(edge) for edge in edges]
        here = candidates[edges]
        made = _as_motmetrics(here, last) if convention == "motmetrics" else _as_trackeval(here, last)
        for place in made:
            before.note(edges[place])
        chosen[edges[made]] = True
    return candidates[chosen]


class _Before:
    """The frame and hypothesis that an object was last paired with, before the frame of an edge."""

    def __init__(self, candidates: Candidates, alone: NDArray[np.bool_]) -> None:
        self._all = candidates
        self._noted: dict[int, tuple[int, int]] = {}
        frames = int(candidates.frame.max(initial=0)) + 1
        key = candidates.object * frames + candidates.frame
        certain = np.flatnonzero(alone)
        certain = certain[np.argsort(key[certain], kind="stable")]
        place = np.searchsorted(key[certain], key, side="left") - 1
        found = certain[place] if len(certain) else np.zeros(len(key), np.int64)
        same = (place >= 0) & (candidates.object[found] == candidates.object)
        self._certain = np.where(same, found, -1)

    def of(self, edge: int) -> tuple[int, int]:
        """(frame, hypothesis) of the last pair; (-1, -1) when there is none."""
        noted = self._noted.get(int(self._all.object[edge]), (-1, -1))
        certain = int(self._certain[edge])
        if certain < 0 or self._all.frame[certain] < noted[0]:
            return noted
        return int(self._all.frame[certain]), int(self._all.hypothesis[certain])

    def note(self, edge: int) -> None:
        """Remember that this edge was made a pair."""
        self._noted[int(self._all.object[edge])] = (int(self._all.frame[edge]), int(self._all.hypothesis[edge]))


def _as_motmetrics(here: Candidates, last: list[tuple[int, int]]) -> list[int]:
    """Places of the pairs made in one component: earlier pairs first, then the cheapest of the most."""
    made: list[int] = []
    taken: set[int] = set()
    for place, (_, hypothesis) in enumerate(last):
        guess, truth = int(here.prediction[place]), int(here.truth[place])
        if here.hypothesis[place] == hypothesis and guess not in taken:
            made.append(place)
            taken.update((guess, -1 - truth))
    free = [
        place
        for place in range(len(here))
        if int(here.prediction[place]) not in taken and -1 - int(here.truth[place]) not in taken
    ]
    if len(free) < 2:
        return made + free
    left, right = here.truth[free], here.prediction[free]
    pairs = min(len(set(left.tolist())), len(set(right.tolist())))
    never = 2 * pairs * (float(here.cost[free].max()) + 1) + 1
    return made + _solved(left, right, here.cost[free], never, np.array(free))


def _as_trackeval(here: Candidates, last: list[tuple[int, int]]) -> list[int]:
    """Places of the pairs made in one component: the greatest similarity with the bonus of the frame before."""
    frame = int(here.frame[0])
    kept = np.array([then == frame - 1 for then, _ in last]) & (here.hypothesis == [h for _, h in last])
    gain = _BONUS * kept + (1 - here.cost)
    return _solved(here.truth, here.prediction, -gain, 0.0, np.arange(len(here)))


def _solved(
    left: Integers, right: Integers, cost: Doubles, never: float, places: Integers
) -> list[int]:
    """Those of `places` that the cheapest assignment takes, where a pair that is no edge costs `never`."""
    matrix, row, column = dense(left, right, cost, never)
    partner = np.full(len(matrix), -1)
    rows, columns = linear_sum_assignment(matrix)
    partner[rows] = columns
    return [int(place) for place in places[partner[row] == column]]


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
    return exists & (previous != matches.hypothesis)


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
    owner[made], owned[made] = _previous_in_group(
        matches.hypothesis[made], matches.frame[made], matches.object[made]
    )
    transferred = made & owned & (owner != matches.object)
    return (switched & ~seen).astype(np.int64) + transferred + (transferred & ~had_one)
