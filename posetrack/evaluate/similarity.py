"""How alike a true and a predicted person are, 0..1: OKS, PCKh or box IoU. The ground of HOTA and IDF1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from posetrack.errors import FormatError
from posetrack.evaluate.people import Doubles, Integers, Pair, gap, same_frame
from posetrack.oks import oks_of_pairs

__all__ = ["SIMILARITIES", "Similar", "person_areas", "similar_people"]

_NOTHING = 1e-12
"""Below this two people have nothing to do with each other: far poses have an OKS like 1e-60."""

_FAR = 1e12
"""Where a joint that was not predicted is put: it counts as wrong, whatever the scale."""


@dataclass(frozen=True, eq=False)
class Similar:
    """Pairs of people of one frame that are alike at all, in the order of frames and rows.

    `truth` and `prediction` (E,) are rows of the two sides, `similarity` (E,) in 0..1.
    """

    truth: Integers
    prediction: Integers
    similarity: Doubles


def similar_people(pair: Pair, kind: str) -> Similar:
    """All pairs of a sequence with their similarity by `kind`, a key of SIMILARITIES."""
    measure = SIMILARITIES[kind](pair)
    parts = []
    for truth, guess in same_frame(pair):
        value = measure(truth, guess)
        alike = value > _NOTHING
        parts.append((truth[alike], guess[alike], value[alike]))
    if not parts:
        return Similar(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    return Similar(*(np.concatenate(column) for column in zip(*parts, strict=True)))


Measure = Callable[[Integers, Integers], Doubles]


def person_areas(pair: Pair) -> Doubles:
    """The area (N,) in square pixels that OKS uses for each true person: annotated, or that of the box, or of the
    bounds of the joints."""
    areas = pair.truth.areas
    sides = pair.truth.boxes[:, 2:] - pair.truth.boxes[:, :2]
    areas = np.where(np.isfinite(areas), areas, sides.prod(axis=1))
    points = pair.truth.keypoints
    spread = np.where(np.isfinite(points), points, -np.inf).max(axis=1, initial=-np.inf)
    spread = spread - np.where(np.isfinite(points), points, np.inf).min(axis=1, initial=np.inf)
    return np.where(np.isfinite(areas), areas, np.where(np.isfinite(spread), spread, 0).prod(axis=1))


def _oks(pair: Pair) -> Measure:
    areas = person_areas(pair)
    placed = np.where(pair.prediction.present[..., None], pair.prediction.keypoints, _FAR)
    # e^-28 is below _NOTHING: people further apart than this need no look at their joints
    reach = np.sqrt(28 * 2 * areas) * 2 * max(pair.skeleton.sigmas)

    def measure(truth: Integers, guess: Integers) -> Doubles:
        near = gap(pair, truth, guess) <= reach[truth]
        similarity = np.zeros(len(truth))
        true, guessed = truth[near], guess[near]
        similarity[near] = oks_of_pairs(pair.truth.keypoints[true], placed[guessed], areas[true], pair.skeleton.sigmas)
        return similarity

    return measure


def _pckh(pair: Pair) -> Measure:
    heads = np.where(pair.truth.heads > 0, pair.truth.heads, np.nan)
    if len(heads) and not np.isfinite(heads).any():
        raise FormatError(f"{pair.name}: no head sizes in the truth; use --similarity oks or iou")

    def measure(truth: Integers, guess: Integers) -> Doubles:
        true = pair.truth.keypoints[truth]
        offset = true - pair.prediction.keypoints[guess]
        distance = np.sqrt(offset[..., 0] ** 2 + offset[..., 1] ** 2) / heads[truth, None]
        labelled = np.isfinite(true[..., 0]).sum(axis=1)
        return np.asarray((distance <= 0.5).sum(axis=1) / np.maximum(labelled, 1))

    return measure


def _iou(pair: Pair) -> Measure:
    def measure(truth: Integers, guess: Integers) -> Doubles:
        a, b = pair.truth.boxes[truth], pair.prediction.boxes[guess]
        common = np.maximum(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 0).prod(axis=1)
        union = (a[:, 2:] - a[:, :2]).prod(axis=1) + (b[:, 2:] - b[:, :2]).prod(axis=1) - common
        return np.asarray(np.divide(common, union, out=np.zeros_like(common), where=union > 0))

    return measure


SIMILARITIES: dict[str, Callable[[Pair], Measure]] = {"oks": _oks, "pckh": _pckh, "iou": _iou}
"""By name: a sequence to a function of truth and prediction rows (E,) to similarities (E,)."""
