"""Which predicted joints lie at true ones, and which predicted pose belongs to which person (REFERENCE 5.2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posetrack.evaluate.people import Doubles, Integers, Pair, gap, same_frame

__all__ = ["JointPairs", "assign_poses", "joint_pairs"]


@dataclass(frozen=True, eq=False)
class JointPairs:
    """Pairs of a true and a predicted joint of one kind that lie near each other, frame by frame.

    `truth` and `prediction` (E,) are rows of the two sides, `joint` (E,) the joint's number, `distance` (E,) in
    reference lengths.
    """

    truth: Integers
    prediction: Integers
    joint: Integers
    distance: Doubles

    def __len__(self) -> int:
        return len(self.truth)

    def __getitem__(self, rows: NDArray[np.bool_]) -> JointPairs:
        """The pairs where `rows` (E,) is true."""
        return JointPairs(self.truth[rows], self.prediction[rows], self.joint[rows], self.distance[rows])


def joint_pairs(pair: Pair, threshold: float = 0.5, lengths: Doubles | None = None) -> JointPairs:
    """All pairs of joints at most `threshold` reference lengths apart.

    `lengths` (N,) of the true people are head sizes unless given. People whose length is 0 or unknown have none.
    """
    reference = pair.truth.heads if lengths is None else lengths
    usable = np.where(reference > 0, reference, np.nan)
    parts = []
    for truth, guess in same_frame(pair):
        close = gap(pair, truth, guess) <= usable[truth] * threshold * (1 + 1e-9)
        truth, guess = truth[close], guess[close]
        offset = pair.truth.keypoints[truth] - pair.prediction.keypoints[guess]
        squared = offset[..., 0] * offset[..., 0] + offset[..., 1] * offset[..., 1]
        # a wide net first, then the distance as poseval rounds it: joints exactly at the threshold are close calls
        near = np.square(usable[truth] * threshold) * (1 + 1e-9)
        edge, joint = np.nonzero(squared <= near[:, None])
        distance = np.sqrt(squared[edge, joint]) / usable[truth[edge]]
        close = distance <= threshold
        parts.append((truth[edge][close], guess[edge][close], joint[close], distance[close]))
    if not parts:
        none = np.zeros(0, np.int64)
        return JointPairs(none, none, none, np.zeros(0))
    return JointPairs(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def assign_poses(pair: Pair, pairs: JointPairs) -> Integers:
    """For each predicted pose the row of the person it belongs to, or -1 (N,).

    A pose claims the person of whom it hits the greatest share of labelled joints; of the poses that claim one
    person the best share gets it, and the others get nobody. Ties go to the first row. (poseval, assignGTmulti)
    """
    owner = np.full(len(pair.prediction), -1, np.int64)
    if not len(pairs):
        return owner
    guesses = len(pair.prediction)
    key = pairs.truth * guesses + pairs.prediction
    # the joints of two people stand together: runs instead of a sort
    starts = np.flatnonzero(np.append(True, np.diff(key) != 0))
    hits = np.diff(np.append(starts, len(key)))
    truth, guess = pairs.truth[starts], pairs.prediction[starts]
    share = hits / pair.truth.present.sum(axis=1)[truth]
    claims = _first_of_each(guess, np.lexsort((truth, -share, guess)))
    winners = claims[_first_of_each(truth[claims], np.lexsort((guess[claims], -share[claims], truth[claims])))]
    owner[guess[winners]] = truth[winners]
    return owner


def _first_of_each(groups: Integers, order: Integers) -> Integers:
    """The first entry of every group, where `order` sorts by group and then by merit."""
    ordered = groups[order]
    first = np.ones(len(order), bool)
    first[1:] = ordered[1:] != ordered[:-1]
    return order[first]
