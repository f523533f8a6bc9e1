"""Who is who: how alike queued people and new poses are, and matching by it (the paper's section 4.2).

bbox         IoU of the boxes, newest entry of the queue
pose         OKS of the poses as they are, newest entry
flow         OKS with the joints carried to the new frame, newest entry
multi-flow   the same with every entry of the queue; an id's similarity is its best, older entries counting less
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from posetrack.geometry import area, iou
from posetrack.oks import oks, oks_of_pairs
from posetrack.propagation import Queued, located
from posetrack.types import Floats, Poses

__all__ = [
    "MATCHINGS",
    "SIMILARITIES",
    "JointTerms",
    "Similarity",
    "best_similarity",
    "greedy_match",
    "hungarian_match",
    "shape_similarity",
]

Matrix = NDArray[np.float64]

AGEING = 0.2
"""What an entry's similarity loses with each frame that it is older than the id's newest.

After two people were taken for one another once, the queue has both under either id: without it they go on changing
places for as long as the queue is (25 against 19 switches on noisy true poses).
"""
RECOVERY_RANGE = 0.5
"""Standard deviation of the moves that `shape_similarity` allows, in body sizes (the root of the box's area)."""


@dataclass(frozen=True)
class JointTerms:
    """How joints enter a similarity: their OKS `sigmas`, and what those at or under `threshold` count.

    A joint counts 1 when seen, `hidden_weight` when it only has a place, 0 when it has none; in a pair of poses a
    joint counts the product.
    """

    sigmas: tuple[float, ...]
    threshold: float
    hidden_weight: float

    def weights(self, keypoints: Floats) -> Floats:
        """What each joint (N, J) of `keypoints` (N, J, 3) counts."""
        seen = np.where(keypoints[..., 2] > self.threshold, 1, self.hidden_weight)
        return np.asarray(seen * located(keypoints), np.float32)

    def oks(self, queued: Floats, entry: Queued, poses: Poses) -> Matrix:
        """OKS (N, M) of an entry's joints `queued` (N, J, 3) with `poses`, over the mean area of their boxes."""
        weights = self.weights(queued)[:, None] * self.weights(poses.keypoints)[None]
        return oks(queued, poses.keypoints, _areas(entry, poses), self.sigmas, weights)


def _areas(entry: Queued, poses: Poses) -> Matrix:
    """Areas (N, M) of pairs, of a square pixel at least: people of whom one joint is known have boxes without any."""
    return np.maximum((area(entry.poses.boxes)[:, None] + area(poses.boxes)[None]) / 2, 1).astype(np.float64)


def _bbox(entry: Queued, poses: Poses, joints: JointTerms) -> Matrix:
    return iou(entry.poses.boxes, poses.boxes).astype(np.float64)


def _pose(entry: Queued, poses: Poses, joints: JointTerms) -> Matrix:
    return joints.oks(entry.poses.keypoints, entry, poses)


def _flow(entry: Queued, poses: Poses, joints: JointTerms) -> Matrix:
    return joints.oks(entry.carried, entry, poses)


def shape_similarity(entry: Queued, poses: Poses, joints: JointTerms) -> Matrix:
    """How alike (N, M) queued people and `poses` are in the shape of the pose and, loosely, in place.

    Their OKS after the carried pose was moved onto the new one (mean displacement of the joints), times a Gaussian of
    that move with a standard deviation of half the body's size (the root of its box's area).
    """
    weights = joints.weights(entry.carried)[:, None] * joints.weights(poses.keypoints)[None]
    total = np.maximum(weights.sum(axis=-1, keepdims=True), np.finfo(np.float32).tiny)
    carried, new = entry.carried[:, None, :, :2], poses.keypoints[None, :, :, :2]
    moves = (weights[..., None] * np.nan_to_num(new - carried)).sum(axis=2) / total
    areas = _areas(entry, poses)
    near = np.exp(-np.square(moves).sum(axis=-1) / (2 * RECOVERY_RANGE**2 * areas))
    return np.asarray(near * oks_of_pairs(carried + moves[:, :, None], new, areas, joints.sigmas, weights))


Similarity = Callable[[Queued, Poses, JointTerms], Matrix]
"""One entry's people against new poses: (N, M), 0..1."""
SIMILARITIES: dict[str, tuple[Similarity, int | None]] = {
    "bbox": (_bbox, 1),
    "pose": (_pose, 1),
    "flow": (_flow, 1),
    "multi-flow": (_flow, None),
}
"""By name: the similarity, and how many of the newest entries it looks at (None: all)."""


def best_similarity(
    function: Similarity, queue: Sequence[Queued], poses: Poses, joints: JointTerms
) -> tuple[NDArray[np.int64], Matrix]:
    """Track ids (K,) of the `queue` (newest entry first), ascending, and the similarity (K, M) of each with `poses`.

    It is the best of the id's entries; each frame that an entry is older than the id's newest takes a fifth off.
    """
    ages = np.repeat(np.arange(len(queue)), [len(entry) for entry in queue])
    if not len(ages):
        return np.zeros(0, np.int64), np.zeros((0, len(poses)))
    everyone = Queued.concatenate(queue)
    ids, rows = np.unique(everyone.ids, return_inverse=True)
    newest = np.full(len(ids), len(queue))
    np.minimum.at(newest, rows, ages)
    alike = function(everyone, poses, joints)  # in one call, where most of the time would go into ten
    best = np.zeros((len(ids), len(poses)))
    np.maximum.at(best, rows, alike * (1 - AGEING) ** (ages - newest[rows])[:, None])
    return ids, best


def greedy_match(similarity: Matrix, threshold: float) -> list[tuple[int, int]]:
    """Pairs (row, column) of `similarity` (K, M) above `threshold`, the highest first, each row and column once.

    Of equal similarities the lower row, then the lower column, comes first.
    """
    pairs: list[tuple[int, int]] = []
    rows, columns = np.nonzero(similarity > threshold)
    free_rows, free_columns = set(rows.tolist()), set(columns.tolist())
    for k in np.argsort(-similarity[rows, columns], kind="stable"):
        row, column = int(rows[k]), int(columns[k])
        if row in free_rows and column in free_columns:
            free_rows.remove(row)
            free_columns.remove(column)
            pairs.append((row, column))
    return pairs


def hungarian_match(similarity: Matrix, threshold: float) -> list[tuple[int, int]]:
    """Pairs (row, column) of `similarity` (K, M) above `threshold` whose sum is the highest, by row."""
    useful = np.where(similarity > threshold, similarity, 0)
    rows, columns = linear_sum_assignment(useful, maximize=True)
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if similarity[r, c] > threshold]


MATCHINGS: dict[str, Callable[[Matrix, float], list[tuple[int, int]]]] = {
    "greedy": greedy_match,
    "hungarian": hungarian_match,
}
