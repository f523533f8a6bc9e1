"""Where ids probably switched: places in a result file that a person should look at first.

From frame to frame every person is carried along at the speed they had (or kept where they were, whichever fits), and
the poses found are compared with those expected, in sizes of the person. An id is suspect where another assignment fits
better than the one in the file:

    exchange    two people who both go on fit better the other way round
    jump        a person goes on where nobody expects them, maybe in the place of one who vanishes there
    birth       a new id begins where another one has just vanished

The score says how much better: 1 - (distance of the better assignment) / (distance of the one in the file).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from posetrack.review.expected import Doubles, Expected
from posetrack.review.presence import Numbers
from posetrack.review.windows import Rows, Window, frame_rows, window_of

__all__ = ["Kind", "Suspect", "SuspectFinder"]

Kind = Literal["exchange", "jump", "birth", "look", "short"]

BEHIND, AT_ONCE, AHEAD = 80, 256, 16
"""Frames that are looked at at once, and those before and after them that are seen then."""
LINKED = 1.0
"""Seconds for which a person is expected where they would go on."""
REBORN = 3.0
"""Seconds after which a birth has nothing more to do with a death."""
USUAL, UNSEEN = 0.05, 0.2
"""Distance in sizes of a person that a carried pose usually has from the one found, and more for a second unseen."""
FAR, FARTHER = 0.3, 0.3
"""Distance from which on a pose is unexpected, and more for a second unseen."""
NOTABLE = 0.08
"""Distance under which nobody is compared with others."""
APART = 6
"""Frames within which suspects of the same people are one."""
MOST = 2000
"""Suspects that are kept, the likeliest ones."""


@dataclass(frozen=True)
class Suspect:
    """A place where ids probably switched: the first frame that is wrong, whose, which kind, how likely (0..1).

    `ids` are those of the file. The first one is wrong from `frame` on; a second one is who that probably is.
    """

    frame: int
    ids: tuple[int, ...]
    kind: Kind
    score: float

    def record(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {**asdict(self), "ids": list(self.ids)}


class SuspectFinder:
    """Looks through a result file of so many `joints` frame by frame; memory does not grow with its length."""

    def __init__(self, joints: int) -> None:
        self._joints = joints
        self._frames: list[Rows] = []
        self._done = 0
        self._known: set[int] = set()
        self._found: list[tuple[float, int, Suspect]] = []
        self._count = 0

    def add(self, record: dict[str, Any]) -> None:
        """Look at one more frame as its record in the file; ValueError when its numbers have another shape."""
        self._frames.append(frame_rows(record, self._joints))
        if len(self._frames) == BEHIND + AT_ONCE + AHEAD:
            self._look(AHEAD)
            self._frames = self._frames[-BEHIND - AHEAD :]
            self._done = BEHIND

    def done(self) -> list[Suspect]:
        """The suspects, likeliest first; of several about the same people at the same moment the likeliest."""
        if self._frames:
            self._look(0)
        found = (suspect for _, _, suspect in self._found)
        return sorted(found, key=lambda one: (-one.score, one.frame, one.ids))

    def _look(self, ahead: int) -> None:
        """Look at the frames that were not looked at yet, but for the last ones."""
        window = window_of(self._frames)
        rows = np.arange(self._done, len(self._frames) - ahead)
        for suspect in _best(_suspects(Expected(window), rows, self._known), window):
            self._keep(suspect)
        self._known.update(window.ids[window.here[rows].any(axis=0)].tolist())

    def _keep(self, suspect: Suspect) -> None:
        self._count += 1
        entry = (suspect.score, -self._count, suspect)
        if len(self._found) < MOST:
            heapq.heappush(self._found, entry)
        else:
            heapq.heappushpop(self._found, entry)


def _suspects(expected: Expected, rows: Numbers, known: set[int]) -> Iterator[Suspect]:
    """The suspects of the frames `rows` of a window; `known` are the ids that were there before."""
    window = expected.window
    here, people = np.nonzero(window.here[rows])
    here = rows[here]
    linked = expected.age(here, people) <= LINKED
    here, people = here[linked], people[linked]
    own = expected.distances(here, people, people)
    yield from _exchanges(expected, here, people, own)
    yield from _jumps(expected, here, people, own)
    yield from _births(expected, rows, known)


def _exchanges(expected: Expected, rows: Numbers, people: Numbers, own: Doubles) -> Iterator[Suspect]:
    """Pairs of people who are nearer to each other's place than to their own."""
    window = expected.window
    place = np.full(window.here.shape, np.nan)
    place[rows, people] = own
    notable = own > NOTABLE
    r, p = rows[notable], people[notable]
    carried, sizes = expected.carried(r, p)
    gap = expected.centres[r] - expected.centres[expected.since[r, p], p][:, None]
    near = np.minimum(np.linalg.norm(gap, axis=-1), np.linalg.norm(gap - carried[:, None], axis=-1)) / sizes[:, None]
    which, q = np.nonzero(near < own[notable][:, None] + place[r])
    r, p = r[which], p[which]
    pairs = np.unique(np.stack([r, np.minimum(p, q), np.maximum(p, q)], axis=1)[p != q], axis=0)
    r, p, q = pairs.T
    usual = USUAL * 2 + UNSEEN * (_unseen(expected, r, p) + _unseen(expected, r, q))
    crossed = expected.distances(r, p, q) + expected.distances(r, q, p)
    score = 1 - (crossed + usual) / (place[r, p] + place[r, q] + usual)
    for n in np.flatnonzero(score > 0):
        yield _suspect(window, r[n], (p[n], q[n]), "exchange", score[n])


def _jumps(expected: Expected, rows: Numbers, people: Numbers, own: Doubles) -> Iterator[Suspect]:
    """People who are where nobody expects them, even if the picture moved, and who may have vanished there."""
    window = expected.window
    jumped = own > FAR
    r, p = rows[jumped], people[jumped]
    far = np.minimum(own[jumped], expected.distances(r, p, p, _shifts(expected, rows, people)[r]))
    unseen = _unseen(expected, r, p)
    usual = USUAL + UNSEEN * unseen
    score = 1 - (FAR + FARTHER * unseen + usual) / (far + usual)
    for n in np.flatnonzero(score > 0):
        gone = _gone(expected, r[n], LINKED)
        found = expected.distances(np.full(len(gone), r[n]), gone, np.full(len(gone), p[n]))
        ids = (p[n], gone[found.argmin()]) if len(gone) and found.min() < FAR else (p[n],)
        yield _suspect(window, r[n], ids, "jump", score[n])


def _gone(expected: Expected, row: int, seconds: float) -> Numbers:
    """Who is not there in `row`, but was a little while ago."""
    people = np.arange(len(expected.window.ids))
    recent = expected.age(np.full(len(people), row), people) <= seconds
    return np.flatnonzero(recent & ~expected.window.here[row])


def _shifts(expected: Expected, rows: Numbers, people: Numbers) -> Doubles:
    """How far the picture moved (F, 2) in pixels: the median of three people or more, otherwise 0."""
    window = expected.window
    moved = np.full((*window.here.shape, 2), np.nan)
    moved[rows, people] = expected.centres[rows, people] - expected.centres[expected.since[rows, people], people]
    shifts = np.zeros((len(window.frames), 2))
    enough = np.flatnonzero(np.isfinite(moved[..., 0]).sum(axis=1) >= 3)
    shifts[enough] = np.nanmedian(moved[enough], axis=1)
    return shifts


def _births(expected: Expected, rows: Numbers, known: set[int]) -> Iterator[Suspect]:
    """Ids that begin where another one has just vanished."""
    window = expected.window
    for p in np.flatnonzero(~np.isin(window.ids, sorted(known))):
        born = rows[window.here[rows, p]]
        if not len(born):
            continue
        gone = _gone(expected, born[0], REBORN)
        if not len(gone):
            continue
        r = np.full(len(gone), born[0])
        unseen = _unseen(expected, r, gone)
        usual = USUAL + UNSEEN * unseen
        score = 1 - (expected.distances(r, gone, np.full(len(gone), p)) + usual) / (FAR + FARTHER * unseen + usual)
        best = int(np.argmax(score))
        if score[best] > 0:
            yield _suspect(window, born[0], (int(p), gone[best]), "birth", score[best])


def _unseen(expected: Expected, rows: Numbers, people: Numbers) -> Doubles:
    """Seconds (n,) for which `people` were missing before `rows`, beyond the one frame that there always is."""
    times = expected.window.times
    return np.asarray(times[rows - 1] - times[expected.since[rows, people]])


def _suspect(window: Window, row: int, people: Iterable[int], kind: Kind, score: float) -> Suspect:
    return Suspect(int(window.frames[row]), tuple(int(window.ids[p]) for p in people), kind, round(float(score), 4))


def _best(suspects: Iterable[Suspect], window: Window) -> Iterator[Suspect]:
    """Of suspects that share people within a few frames the likeliest."""
    row = {int(frame): n for n, frame in enumerate(window.frames)}
    taken: dict[int, list[int]] = {}
    for suspect in sorted(suspects, key=lambda one: (-one.score, one.frame, one.ids)):
        place = row[suspect.frame]
        if not any(abs(place - other) <= APART for id in suspect.ids for other in taken.get(id, ())):
            for id in suspect.ids:
                taken.setdefault(id, []).append(place)
            yield suspect
