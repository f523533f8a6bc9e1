"""Average precision per joint as PoseTrack scores it (poseval's evaluateAP; REFERENCE 5.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posetrack.evaluate.joints import JointPairs, assign_poses
from posetrack.evaluate.people import Doubles, Integers, Pair

__all__ = ["Curve", "JointDetections", "average_precision", "detections_of", "precision_recall"]


@dataclass(frozen=True, eq=False)
class JointDetections:
    """Every predicted joint with its score and whether it is right, and how many there are to find.

    `scores`, `right` and `joint` are (D,), in the order of frames and rows; `labelled` (J,) counts true joints.
    """

    scores: Doubles
    right: NDArray[np.bool_]
    joint: Integers
    labelled: Integers


@dataclass(frozen=True, eq=False)
class Curve:
    """Precision over recall of one joint, at falling scores.

    `found` (S,) counts the true joints found down to a score, of `labelled` ones; `precision` (S,) in 0..1.
    """

    found: Integers
    precision: Doubles
    scores: Doubles
    labelled: int

    @property
    def recall(self) -> Doubles:
        """Recall (S,) in 0..1; NaN when there is nothing to find."""
        return np.asarray(self.found / (self.labelled or np.nan))


def detections_of(pair: Pair, near: JointPairs) -> JointDetections:
    """The predicted joints of a sequence, judged: right when the pose belongs to a person whose joint is near.

    `near` are the pairs of joints near enough (joint_pairs). A joint that the person's truth does not label is
    wrong, as in poseval.
    """
    owner = assign_poses(pair, near)
    right = np.zeros(pair.prediction.present.shape, bool)
    mine = owner[near.prediction] == near.truth
    right[near.prediction[mine], near.joint[mine]] = True
    row, joint = np.nonzero(pair.prediction.present)
    return JointDetections(
        pair.prediction.joint_scores[row, joint],
        right[row, joint],
        joint,
        pair.truth.present.sum(axis=0, dtype=np.int64),
    )


def precision_recall(detections: Sequence[JointDetections], joint: int, *, ties: str) -> Curve:
    """The curve of one joint over all sequences.

    `ties` says what equal scores do: 'together' counts them as one step, so that the order of the file plays no
    part; 'poseval' takes the later one first, which is what its reversed sort does.
    """
    scores = np.concatenate([d.scores[d.joint == joint] for d in detections] or [np.zeros(0)])
    right = np.concatenate([d.right[d.joint == joint] for d in detections] or [np.zeros(0, bool)])
    labelled = sum(int(d.labelled[joint]) for d in detections)
    order = np.argsort(scores, kind="stable")[::-1]
    found = np.cumsum(right[order], dtype=np.int64)
    precision = found / np.arange(1, len(order) + 1)
    ordered = scores[order]
    steps = np.ones(len(ordered), bool)
    if ties == "together":
        steps[:-1] = np.diff(ordered) != 0
    return Curve(found[steps], precision[steps], ordered[steps], labelled)


def _area(curve: Curve) -> float:
    """The area under the precision envelope over recall, all points (recall 1 is reached at precision 0)."""
    envelope = np.maximum.accumulate(curve.precision[::-1])[::-1]
    if not curve.labelled:
        return float("nan")
    # summed in whole joints and divided once, so that perfect is exactly 1
    return float(np.sum(np.diff(curve.found, prepend=0) * envelope) / curve.labelled)


def average_precision(
    detections: Sequence[JointDetections], joints: int, *, protocol: str = "every-frame"
) -> tuple[Doubles, Doubles, Doubles]:
    """AP, and precision and recall where all detections are taken, in percent: (J,) each.

    NaN is a joint that the truth never labels. By `protocol` 'poseval' such a joint has precision 0, and all three
    are 0 where it isn't predicted either; then equal scores go in poseval's order (see `precision_recall`).
    """
    poseval = protocol == "poseval"
    values = np.full((3, joints), np.nan)
    for j in range(joints):
        curve = precision_recall(detections, j, ties="poseval" if poseval else "together")
        if not poseval and not sum(d.labelled[j] for d in detections):
            continue
        if not len(curve.found):
            values[:, j] = 0
        else:
            values[:, j] = _area(curve), curve.precision[-1], curve.recall[-1]
    return values[0] * 100, values[1] * 100, values[2] * 100
