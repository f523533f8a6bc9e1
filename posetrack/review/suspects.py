"""Where ids probably switched: places in a result file that a person should look at first.

From frame to frame every person is carried along at the speed they had (or kept where they were, whichever fits), and
the poses found are compared with those expected, in sizes of the person. An id is suspect where another assignment fits
better than the one in the file:

    exchange    two people who both go on fit better the other way round
    jump        a person goes on where nobody expects them, maybe in the place of one who vanishes there
    birth       a new id begins where another one has just vanished
    look        a person suddenly looks like somebody else (where looks are in the file)
    short       an id that is there for a moment only

The score says how much better: 1 - (distance of the better assignment) / (distance of the one in the file), and looks
raise or lower it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from posetrack.review.doubts import Doubt, Kind, births, changed_looks, misplaced
from posetrack.review.edits import Relabelling
from posetrack.review.expected import Expected
from posetrack.review.looks import Looks
from posetrack.review.presence import Numbers
from posetrack.review.windows import Rows, Window, frame_rows, window_of

__all__ = ["Kind", "Suspect", "SuspectFinder", "settled"]

BEHIND, AT_ONCE, AHEAD = 80, 256, 32
"""Frames that are looked at at once, and those before and after them that are seen then."""
LEAST_SCORE = 0.05
"""Less is no suspect."""
APART = 6
"""Frames within which suspects of the same people are one."""
MOST = 2000
"""Suspects that are kept, the likeliest ones."""
SHORT, SHORT_SCORE = 8, 0.15
"""Frames under which an id is short, and how suspect that is at most."""


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


def settled(suspect: Suspect, state: Relabelling) -> bool:
    """Whether the edits in force have changed what was suspect.

    Who goes on elsewhere has another id from there on than before; who is born has the id of who vanished; a short id
    is part of a longer one; or they are deleted.
    """
    one, *others = suspect.ids
    now = state.shown(one, suspect.frame)
    if now is None:
        return True
    if suspect.kind == "short":
        return len(state.spans(now)) > 1
    before = others[0] if suspect.kind == "birth" else one
    last = state.presence.before_frame(before, suspect.frame)
    was = None if last is None else state.shown(before, last)
    return was is None or (was == now) == (suspect.kind == "birth")


@dataclass
class _Life:
    """An id so far: the frame and the row of the file where it begins, the row where it ends, how many hold it."""

    frame: int
    begin: int
    end: int
    count: int = 0


class SuspectFinder:
    """Looks through a result file of so many `joints` frame by frame; memory grows with its ids, not its length.

    `picture` is its width and height in pixels, where they are known.
    """

    def __init__(self, joints: int, picture: tuple[float, float] | None = None) -> None:
        self._joints = joints
        self._picture = picture
        self._frames: list[Rows] = []
        self._done = 0
        self._lives: dict[int, _Life] = {}
        self._rows = 0
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
        for suspect in self._short():
            self._keep(suspect)
        found = (suspect for _, _, suspect in self._found)
        return sorted(found, key=lambda one: (-one.score, one.frame, one.ids))

    def _look(self, ahead: int) -> None:
        """Look at the frames that were not looked at yet, but for the last ones."""
        window = window_of(self._frames)
        rows = np.arange(self._done, len(self._frames) - ahead)
        new = np.array([n for n, id in enumerate(window.ids.tolist()) if id not in self._lives], np.int64)
        for doubt in _best(_doubts(Expected(window, self._picture), rows, new)):
            ids = tuple(int(window.ids[p]) for p in doubt.people)
            self._keep(Suspect(int(window.frames[doubt.row]), ids, doubt.kind, round(doubt.score, 4)))
        self._live(window, rows)

    def _live(self, window: Window, rows: Numbers) -> None:
        """Note who was there in `rows`."""
        here = window.here[rows]
        for n in np.flatnonzero(here.any(axis=0)):
            held = np.flatnonzero(here[:, n])
            begin = self._rows + int(held[0])
            life = self._lives.setdefault(int(window.ids[n]), _Life(int(window.frames[rows[held[0]]]), begin, begin))
            life.end = self._rows + int(held[-1])
            life.count += len(held)
        self._rows += len(rows)

    def _short(self) -> Iterator[Suspect]:
        """Ids that come and go within a moment, but for those at the ends of the file."""
        for id, life in self._lives.items():
            if life.count < SHORT and life.begin > 0 and life.end < self._rows - 1:
                yield Suspect(life.frame, (id,), "short", round(SHORT_SCORE * (1 - life.count / SHORT), 4))

    def _keep(self, suspect: Suspect) -> None:
        self._count += 1
        entry = (suspect.score, -self._count, suspect)
        if len(self._found) < MOST:
            heapq.heappush(self._found, entry)
        else:
            heapq.heappushpop(self._found, entry)


def _doubts(expected: Expected, rows: Numbers, new: Numbers) -> Iterator[Doubt]:
    """All doubts about the `rows` of a window; `new` are the people who were never seen before."""
    looks = Looks(expected.window)
    yield from misplaced(expected, looks, rows)
    yield from births(expected, looks, rows, new)
    yield from changed_looks(looks, expected.window, rows)


def _best(doubts: Iterable[Doubt]) -> Iterator[Doubt]:
    """Of doubts that share people within a few frames the likeliest."""
    taken: dict[int, list[int]] = {}
    for doubt in sorted(doubts, key=lambda one: (-one.score, one.row, one.people)):
        near = (abs(doubt.row - other) <= APART for p in doubt.people for other in taken.get(p, ()))
        if doubt.score >= LEAST_SCORE and not any(near):
            for p in doubt.people:
                taken.setdefault(p, []).append(doubt.row)
            yield doubt
