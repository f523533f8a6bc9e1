"""Reference lengths by name: what a joint's error is measured in."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from posetrack.errors import FormatError
from posetrack.evaluate.people import Doubles, Pair

__all__ = ["REFERENCES", "complete_lengths", "reference_lengths"]


def _between(pair: Pair, a: str, b: str) -> Doubles:
    points = pair.truth.keypoints
    if a not in pair.skeleton.joints or b not in pair.skeleton.joints:
        return np.full(len(points), np.nan)
    offset = points[:, pair.skeleton.index(a)] - points[:, pair.skeleton.index(b)]
    return np.asarray(np.sqrt(np.square(offset).sum(axis=1)))


def _sides(pair: Pair) -> Doubles:
    return pair.truth.boxes[:, 2:] - pair.truth.boxes[:, :2]


REFERENCES: dict[str, Callable[[Pair], Doubles]] = {
    "head": lambda pair: pair.truth.heads,
    "head-segment": lambda pair: _between(pair, "head_top", "head_bottom"),
    "torso": lambda pair: _between(pair, "left_shoulder", "right_hip"),
    "box": lambda pair: _sides(pair).max(axis=1, initial=0),
    "box-diagonal": lambda pair: np.sqrt(np.square(_sides(pair)).sum(axis=1)),
}
"""Pixels (N,) of each true person, NaN where unknown: `head` 0.6 of the head box's diagonal (PCKh, MPII and
PoseTrack), `head-segment` head_top to head_bottom, `torso` left_shoulder to right_hip (PDJ, FLIC), `box` the box's
longer side (Yang and Ramanan's PCK), `box-diagonal`."""

_REMEDY = "choose another length with --reference " + "|".join(REFERENCES)


def reference_lengths(pair: Pair, name: str) -> Doubles:
    """The length (N,) of each true person by `name`; FormatError when the truth cannot give it to anybody."""
    lengths = REFERENCES[name](pair)
    if len(lengths) and not np.isfinite(lengths).any():
        raise FormatError(f"{pair.name}: the truth has no {name} lengths (nobody has one); {_REMEDY}")
    return lengths


def complete_lengths(pair: Pair, name: str) -> tuple[Doubles, int]:
    """A length (N,) for every true person, and how many of them are estimated.

    One without would match nothing, however good the prediction. Theirs is the part of the box's diagonal that it is
    for the others of the sequence (the median), or the others' median where there is no box. FormatError when nobody
    has one.
    """
    lengths = reference_lengths(pair, name)
    known = np.asarray(lengths > 0)
    if known.all() or not known.any():
        return lengths, 0
    diagonal = REFERENCES["box-diagonal"](pair)
    boxed = diagonal > 0
    part = np.median((lengths / np.where(boxed, diagonal, np.nan))[known & boxed]) if (known & boxed).any() else 0
    estimate = np.where(boxed & (part > 0), part * diagonal, np.median(lengths[known]))
    return np.where(known, lengths, estimate), int((~known).sum())
