"""Where in a window another assignment of ids fits better than the one in the file; see posetrack.review.suspects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np

from posetrack.review.expected import Doubles, Expected
from posetrack.review.looks import Looks
from posetrack.review.presence import Numbers
from posetrack.review.windows import Window

__all__ = ["Doubt", "Kind", "births", "changed_looks", "misplaced"]

Kind = Literal["exchange", "jump", "birth", "look", "short"]

LINKED = 1.0
"""Seconds for which a person is expected where they would go on."""
REBORN = 3.0
"""Seconds after which a birth has nothing more to do with a death."""
USUAL, UNSEEN = 0.05, 0.2
"""Distance in sizes of a person that a carried pose usually has from the one found, and more for a second unseen."""
FAR, FARTHER = 0.3, 0.3
"""Distance from which on a pose is unexpected, and more for a second unseen."""
AT_EDGE = 0.5
"""What a jump counts at the edge of the picture, where people are guessed from a part."""
CHAOS = 256
"""Doubts of one kind in a window that are looked at."""
NOTABLE = 0.08
"""Distance under which nobody is compared with others."""
LOOK_STEP = 8
"""Frames from one comparison of looks to the next; where they differ the frames between are compared, too."""
LOOK_DIFFERS, LOOK_PRIOR = -2.0, -3.0
"""Log odds that somebody is still the same, from which down looks alone make a suspect; and those that looks are held
against, because people hardly ever switch."""
LOOK_WEIGHT = 0.5
"""What the log odds of looks count beside places: they are not independent of the light."""


class Doubt(NamedTuple):
    """In the row `row` of a window, of the columns `people`."""

    row: int
    people: tuple[int, ...]
    kind: Kind
    score: float


def misplaced(expected: Expected, looks: Looks, rows: Numbers) -> Iterator[Doubt]:
    """Exchanges and jumps in `rows`."""
    window = expected.window
    here, people = np.nonzero(window.here[rows])
    here = rows[here]
    known = expected.age(here, people) <= LINKED
    here, people = here[known], people[known]
    own = expected.distances(here, people, people)
    yield from _exchanges(expected, looks, here, people, own)
    yield from _jumps(expected, looks, here, people, own)


def _exchanges(expected: Expected, looks: Looks, rows: Numbers, people: Numbers, own: Doubles) -> Iterator[Doubt]:
    """Pairs of people who are nearer to each other's place than to their own."""
    window = expected.window
    place = np.full(window.here.shape, np.nan)
    place[rows, people] = own
    r, p, q = _near_pairs(expected, rows, people, own, place).T
    usual = USUAL * 2 + UNSEEN * (_unseen(expected, r, p) + _unseen(expected, r, q))
    crossed = expected.distances(r, p, q) + expected.distances(r, q, p)
    score = 1 - (crossed + usual) / (place[r, p] + place[r, q] + usual)
    best = np.zeros(window.here.shape)
    for people_of_pair in (p, q):
        np.maximum.at(best, (r, people_of_pair), score)
    for n in _likeliest(np.where((score == best[r, p]) & (score == best[r, q]), score, 0)):
        pair = np.array([p[n], q[n]])
        same = looks.same(r[n], pair, pair)
        evidence = (same[0, 1] + same[1, 0] - same[0, 0] - same[1, 1]) / 2
        yield Doubt(int(r[n]), (int(p[n]), int(q[n])), "exchange", _weighed(score[n], evidence))


def _likeliest(scores: Doubles) -> Numbers:
    """Which scores are above 0: of so many that all is chaos only the highest."""
    chosen = np.flatnonzero(scores > 0)
    return chosen[np.argsort(-scores[chosen], kind="stable")[:CHAOS]]


def _near_pairs(expected: Expected, rows: Numbers, people: Numbers, own: Doubles, place: Doubles) -> Numbers:
    """Rows and pairs (n, 3) of people who may be nearer to each other's place, as far as their centres tell."""
    notable = own > NOTABLE
    r, p = rows[notable], people[notable]
    carried, sizes = expected.carried(r, p)
    gap = expected.centres[r] - expected.centres[expected.since[r, p], p][:, None]
    near = np.minimum(np.linalg.norm(gap, axis=-1), np.linalg.norm(gap - carried[:, None], axis=-1)) / sizes[:, None]
    which, q = np.nonzero(near < own[notable][:, None] + place[r])
    r, p = r[which], p[which]
    return np.unique(np.stack([r, np.minimum(p, q), np.maximum(p, q)], axis=1)[p != q], axis=0)


def _jumps(expected: Expected, looks: Looks, rows: Numbers, people: Numbers, own: Doubles) -> Iterator[Doubt]:
    """People who are where nobody expects them, even if the picture moved, and who may have vanished there."""
    jumped = own > FAR
    r, p = rows[jumped], people[jumped]
    shifts = _shifts(expected, rows, people)[r]
    far = np.minimum(own[jumped], expected.distances(r, p, p, shifts))
    far = np.minimum(far, expected.box_distances(r, p, shifts))
    unseen = _unseen(expected, r, p)
    usual = USUAL + UNSEEN * unseen
    score = 1 - (FAR + FARTHER * unseen + usual) / (far + usual)
    score *= np.where(expected.at_edge(r, p) | expected.at_edge(expected.since[r, p], p), AT_EDGE, 1)
    for n in _likeliest(score):
        one = np.array([p[n]])
        gone = _gone(expected, r[n], LINKED)
        found = expected.distances(np.full(len(gone), r[n]), gone, np.full(len(gone), p[n]))
        who = (int(p[n]), int(gone[found.argmin()])) if len(gone) and found.min() < FAR else (int(p[n]),)
        yield Doubt(int(r[n]), who, "jump", _weighed(score[n], -looks.same(r[n], one, one)[0, 0]))


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


def births(expected: Expected, looks: Looks, rows: Numbers, new: Numbers) -> Iterator[Doubt]:
    """Of the people `new`, who are first seen in `rows`, those who begin where somebody has just vanished."""
    for p in new:
        row = int(np.argmax(expected.window.here[:, p]))
        gone = _gone(expected, row, REBORN)
        if row not in rows or not len(gone):
            continue
        r = np.full(len(gone), row)
        unseen = _unseen(expected, r, gone)
        usual = USUAL + UNSEEN * unseen
        score = 1 - (expected.distances(r, gone, np.full(len(gone), p)) + usual) / (FAR + FARTHER * unseen + usual)
        best = int(np.argmax(score))
        if score[best] > 0:
            evidence = looks.same(row, gone[best : best + 1], np.array([p]))[0, 0]
            yield Doubt(row, (int(p), int(gone[best])), "birth", _weighed(score[best], evidence))


def changed_looks(looks: Looks, window: Window, rows: Numbers) -> Iterator[Doubt]:
    """People who look like somebody else all of a sudden, and who that may be."""
    everybody = np.arange(len(window.ids))
    for row in rows[::LOOK_STEP] if looks.any else ():
        differs = np.diag(looks.same(row, everybody, everybody)) < LOOK_DIFFERS
        for p in everybody[differs]:
            one = np.array([p])
            around = np.arange(max(row - LOOK_STEP, rows[0]), min(row + LOOK_STEP, rows[-1]) + 1)
            odds = np.array([looks.same(place, one, one)[0, 0] for place in around])
            worst = int(around[odds.argmin()])
            likest = int(np.argmax(looks.same(worst, everybody, one)[:, 0]))
            who = (int(p), likest) if looks.same(worst, np.array([likest]), one)[0, 0] > -LOOK_DIFFERS else (int(p),)
            yield Doubt(worst, who, "look", float(1 / (1 + np.exp(odds.min() - LOOK_PRIOR))))


def _unseen(expected: Expected, rows: Numbers, people: Numbers) -> Doubles:
    """Seconds (n,) for which `people` were missing before `rows`, beyond the one frame that there always is."""
    times = expected.window.times
    return np.asarray(times[rows - 1] - times[expected.since[rows, people]])


def _weighed(score: float, evidence: float) -> float:
    """A score 0..1 with what looks say about it, as log odds."""
    return float(1 / (1 + (1 - score) / score * np.exp(-LOOK_WEIGHT * evidence)))
