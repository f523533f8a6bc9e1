"""Single poses: PCK, PCKh and PDJ with their curves and areas, PCP strict and loose.

Each true person is compared with at most one prediction of the frame, the pairing of the greatest total OKS; true
joints of people who have none count as missed.

- PCK(t): the share of labelled joints at most t reference lengths off; PCKh is that by head sizes, PDJ by torsos.
- PCP: the share of limbs found: strict, both ends within half the limb's length; loose, the mean of both ends'
  errors within it (Ferrari 2008 and its later reading; Pishchulin 2012 compares them).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from posetrack.evaluate.matching import best_assignment
from posetrack.evaluate.people import Doubles, Pair
from posetrack.evaluate.reference import reference_lengths
from posetrack.evaluate.similarity import Similar

__all__ = ["LIMBS", "JointErrors", "PckCurve", "joint_errors", "pck", "pcp", "pcp_scores"]

LIMBS = tuple(
    (f"{side}_{name}", f"{side}_{a}", f"{side}_{b}")
    for name, a, b in (
        ("upper_arm", "shoulder", "elbow"), ("lower_arm", "elbow", "wrist"),
        ("upper_leg", "hip", "knee"), ("lower_leg", "knee", "ankle"),
    )
    for side in ("left", "right")
)  # fmt: skip
"""The limbs of PCP: name, and its two joints."""


@dataclass(frozen=True, eq=False)
class JointErrors:
    """Distances in pixels (N, J) of the true joints to those of the prediction paired with each person.

    NaN where the truth has no label, infinite where nothing was predicted.
    """

    pixels: Doubles


def joint_errors(pair: Pair, similar: Similar) -> JointErrors:
    """How far off the true joints of a sequence are; `similar` by OKS says who goes with whom."""
    best = best_assignment(similar.truth, similar.prediction, similar.similarity)
    pixels = np.full(pair.truth.present.shape, np.inf)
    rows, guesses = similar.truth[best], similar.prediction[best]
    offset = pair.truth.keypoints[rows] - pair.prediction.keypoints[guesses]
    pixels[rows] = np.nan_to_num(np.sqrt(np.square(offset).sum(axis=2)), nan=np.inf)
    pixels[~pair.truth.present] = np.nan
    return JointErrors(pixels)


@dataclass(frozen=True, eq=False)
class PckCurve:
    """Labelled joints within each threshold: `hits` (T, J) of `labelled` (J,); summed over sequences."""

    thresholds: Doubles
    hits: Doubles
    labelled: Doubles

    def __add__(self, other: PckCurve) -> PckCurve:
        return replace(self, hits=self.hits + other.hits, labelled=self.labelled + other.labelled)

    @property
    def percent(self) -> Doubles:
        """PCK (T, J) in percent, NaN for joints that are never labelled."""
        return np.asarray(100 * self.hits / np.where(self.labelled > 0, self.labelled, np.nan))

    @property
    def total(self) -> Doubles:
        """PCK (T,) over all labelled joints, in percent."""
        return np.asarray(100 * self.hits.sum(axis=1) / max(self.labelled.sum(), 1))

    @property
    def area(self) -> float:
        """AUC in percent: the mean of the total over the thresholds above 0."""
        above = self.thresholds > 0
        return float(self.total[above].mean())


def pck(pair: Pair, errors: JointErrors, reference: str, thresholds: Doubles) -> PckCurve:
    """The PCK curve of one sequence; people without that reference length don't count."""
    lengths = reference_lengths(pair, reference)
    usable = lengths > 0
    relative = errors.pixels[usable] / lengths[usable, None]
    first = np.searchsorted(thresholds, np.nan_to_num(relative, nan=np.inf))  # the first threshold that it keeps
    joints = len(pair.skeleton)
    cell = first * joints + np.arange(joints)
    hits = np.bincount(cell.ravel(), minlength=(len(thresholds) + 1) * joints).reshape(-1, joints)
    labelled = np.isfinite(pair.truth.keypoints[usable, :, 0]).sum(axis=0)
    return PckCurve(thresholds, np.cumsum(hits[:-1], axis=0).astype(float), labelled.astype(float))


def pcp(pair: Pair, errors: JointErrors, fraction: float = 0.5) -> Doubles:
    """Counts (L, 3) of limbs: found strictly, found loosely, labelled; one row for each of LIMBS."""
    counts = np.zeros((len(LIMBS), 3))
    for row, (_, first, second) in enumerate(LIMBS):
        if first not in pair.skeleton.joints or second not in pair.skeleton.joints:
            continue
        a, b = pair.skeleton.index(first), pair.skeleton.index(second)
        length = np.sqrt(np.square(pair.truth.keypoints[:, a] - pair.truth.keypoints[:, b]).sum(axis=1))
        labelled = np.isfinite(length)
        ends = errors.pixels[labelled][:, [a, b]]
        reach = fraction * length[labelled]
        strict = (ends <= reach[:, None]).all(axis=1).sum()
        loose = (ends.mean(axis=1) <= reach).sum()
        counts[row] = strict, loose, labelled.sum()
    return counts


def pcp_scores(counts: Doubles) -> tuple[dict[str, float], dict[str, float]]:
    """PCP in percent by limb and in `total`, strict and loose; limbs that are never labelled are NaN."""
    labelled = np.where(counts[:, 2] > 0, counts[:, 2], np.nan)
    total = max(counts[:, 2].sum(), 1)
    strict, loose = (
        {limb[0]: float(100 * c / n) for limb, c, n in zip(LIMBS, counts[:, k], labelled, strict=True)}
        | {"total": float(100 * counts[:, k].sum() / total)}
        for k in (0, 1)
    )
    return strict, loose
