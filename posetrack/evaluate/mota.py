"""MOTA, MOTP, precision and recall per joint, as poseval computes them (evaluateTracking; REFERENCE 5.4).

Every kind of joint is tracked for itself: identities are judged joint by joint, so a tracker that exchanges limbs
between people keeps its MOTA.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from posetrack.evaluate.clear import Candidates, extra_rows, keep_pairs, switches
from posetrack.evaluate.joints import JointPairs
from posetrack.evaluate.people import Doubles, Pair, People

__all__ = ["JointClear", "clear_joints", "mota_scores", "used_frames"]


@dataclass(frozen=True, eq=False)
class JointClear:
    """Counts of one or more sequences, (J,) each.

    `distance` sums the distances of the pairs made, in head sizes; `distance_all_rows` those of every row that
    today's motmetrics writes: also each pair near enough, and hand-overs.
    """

    objects: Doubles
    misses: Doubles
    false_positives: Doubles
    switches: Doubles
    matches: Doubles
    distance: Doubles
    distance_all_rows: Doubles

    def __add__(self, other: JointClear) -> JointClear:
        return replace(self, **{n: getattr(self, n) + getattr(other, n) for n in self.__dataclass_fields__})


def used_frames(pair: Pair, protocol: str) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The frames (frames,) that count as they are, and those that count as one object missed and one invented.

    By default every labelled frame counts as it is. poseval leaves out the last, and replaces those where nobody is
    labelled or nobody predicted.
    """
    if protocol != "poseval":
        return pair.counted, np.zeros(pair.frames, bool)
    used = pair.counted.copy()
    used[np.flatnonzero(used)[-1:]] = False
    occupied = np.zeros((2, pair.frames), bool)
    occupied[0, pair.truth.frame] = True
    occupied[1, pair.prediction.frame] = True
    both = occupied.all(axis=0)
    return used & both, used & ~both


def clear_joints(pair: Pair, near: JointPairs, *, protocol: str = "every-frame") -> JointClear:
    """CLEAR counts per joint of one sequence; `near` are the pairs of joints near enough (joint_pairs)."""
    used, replaced = used_frames(pair, protocol)
    fake = np.full(len(pair.skeleton), float(replaced.sum()))
    candidates = _candidates(pair, near[used[pair.truth.frame[near.truth]]])
    matches = keep_pairs(candidates, "motmetrics")
    joints = len(pair.skeleton)

    def per_joint(pairs: Candidates, values: Doubles | NDArray[np.bool_]) -> Doubles:
        return np.bincount(pairs.object % joints, weights=values, minlength=joints).astype(np.float64)

    made = per_joint(matches, np.ones(len(matches)))
    objects = pair.truth.present[used[pair.truth.frame]].sum(axis=0)
    guesses = pair.prediction.present[used[pair.prediction.frame]].sum(axis=0)
    distance = per_joint(matches, matches.cost)
    extra = per_joint(matches, matches.cost * extra_rows(matches))
    return JointClear(
        objects=objects + fake,
        misses=objects - made + fake,
        false_positives=guesses - made + fake,
        switches=per_joint(matches, switches(matches)),
        matches=made,
        distance=distance,
        distance_all_rows=distance + extra + per_joint(candidates, candidates.cost),
    )


def _candidates(pair: Pair, near: JointPairs) -> Candidates:
    """Near joints as candidates: each joint of a person is an object of its own."""
    joints = len(pair.skeleton)

    def identity(people: People) -> NDArray[np.int64]:
        return np.asarray(np.unique(people.id, return_inverse=True)[1], np.int64)

    return Candidates(
        pair.truth.frame[near.truth],
        near.truth * joints + near.joint,
        near.prediction * joints + near.joint,
        identity(pair.truth)[near.truth] * joints + near.joint,
        identity(pair.prediction)[near.prediction] * joints + near.joint,
        near.distance,
    )


def mota_scores(counts: JointClear, *, protocol: str = "every-frame") -> dict[str, Doubles]:
    """MOTA, MOTP in both readings, precision and recall in percent, (J,) each.

    NaN for joints that the truth never labels, and precision where nothing is predicted; MOTP is 0 where nothing is
    matched. By `protocol` 'poseval' joints that are never labelled have a MOTP of 0, and a precision.

    `motp_matched` is 100 (1 - mean distance of the pairs), the published kind; `motp_all_rows` is what poseval prints
    with today's motmetrics, about 100 (1 - 2 mean distance).
    """
    objects = np.where(counts.objects > 0, counts.objects, np.nan)
    answers = counts.false_positives + counts.matches
    wrong = counts.misses + counts.switches + counts.false_positives

    def motp(distance: Doubles) -> Doubles:
        mean = np.divide(distance, counts.matches, out=np.ones_like(distance), where=counts.matches > 0)
        return np.asarray(100 * (1 - mean))

    scores = {
        "mota": 100 * (1 - wrong / objects),
        "motp_matched": motp(counts.distance),
        "motp_all_rows": motp(counts.distance_all_rows),
        "precision": 100 * (counts.matches / np.where(answers > 0, answers, np.nan)),
        "recall": 100 * (counts.matches / objects),
    }
    if protocol == "poseval":
        return scores
    return {name: np.where(counts.objects > 0, values, np.nan) for name, values in scores.items()}
