"""What is scored: the people of one sequence as columns, and truth and prediction side by side.

Everything here is float64: the scores are to agree with the field's own tools to the last digits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posetrack.errors import FormatError
from posetrack.skeleton import Skeleton

__all__ = ["BODY_JOINTS", "NO_SCORE", "Doubles", "Integers", "Pair", "People", "chosen_joints", "gap", "same_frame"]

Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]

_PAIRS_AT_ONCE = 50_000
"""Pairs of people that are looked at together: bounds the memory, whatever the length of the sequence."""

NO_SCORE = -9999.0
"""The score of a predicted joint that has none, as poseval gives it: it ranks last."""

BODY_JOINTS = (
    "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
    "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class People:
    """Everybody in one sequence: a row for each person in each frame, rows ordered by frame.

    `frame` (N,) positions from 0; `id` (N,), -1 without identity; `keypoints` (N, J, 2) pixels, NaN where a joint
    is absent; `joint_scores` (N, J); `boxes` (N, 4) x1, y1, x2, y2, NaN where unknown; `scores` (N,) of the person;
    `heads` (N,) head sizes in pixels (poseval: 0.6 of the head box's diagonal) and `areas` (N,) in square pixels,
    NaN where unknown.
    """

    frame: Integers
    id: Integers
    keypoints: Doubles
    joint_scores: Doubles
    boxes: Doubles
    scores: Doubles
    heads: Doubles
    areas: Doubles

    def __len__(self) -> int:
        return len(self.frame)

    def __getitem__(self, rows: Any) -> People:
        """The rows at `rows`: a mask or an index array in growing order."""
        return People(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    @property
    def present(self) -> NDArray[np.bool_]:
        """Which joints are there, (N, J)."""
        return np.isfinite(self.keypoints[..., 0])

    @classmethod
    def of(
        cls,
        frame: Any,
        id: Any,
        keypoints: Any,
        *,
        joint_scores: Any = None,
        boxes: Any = None,
        scores: Any = None,
        heads: Any = None,
        areas: Any = None,
    ) -> People:
        """People from array-likes in any order of rows; what is not given is NaN, scores are 1.

        Rows are sorted by frame, and stay in the given order within one. `keypoints` is (N, J, 2).
        """
        order = np.argsort(np.asarray(frame, np.int64), kind="stable")
        n = len(order)
        points = np.asarray(keypoints, np.float64)
        points = points.reshape(n, points.shape[1] if points.ndim == 3 else 0, 2)

        def column(values: Any, shape: tuple[int, ...], default: float) -> Doubles:
            return np.full(shape, default) if values is None else np.asarray(values, np.float64).reshape(shape)

        people = cls(
            np.asarray(frame, np.int64),
            np.asarray(id, np.int64),
            points,
            column(joint_scores, points.shape[:2], 1.0),
            column(boxes, (n, 4), np.nan),
            column(scores, (n,), 1.0),
            column(heads, (n,), np.nan),
            column(areas, (n,), np.nan),
        )
        return people[order]

    @cached_property
    def extent(self) -> Doubles:
        """The box (N, 4) x1, y1, x2, y2 around the joints that are there; inside out where there is none."""
        low = np.where(np.isfinite(self.keypoints), self.keypoints, np.inf).min(axis=1, initial=np.inf)
        high = np.where(np.isfinite(self.keypoints), self.keypoints, -np.inf).max(axis=1, initial=-np.inf)
        return np.concatenate([low, high], axis=1)

    def without_joints(self, drop: NDArray[np.bool_]) -> People:
        """The same people with the joints of `drop` (N, J) absent."""
        return replace(self, keypoints=np.where(drop[..., None], np.nan, self.keypoints))

    def joints(self, numbers: Sequence[int]) -> People:
        """The same people with these joints only, in this order."""
        chosen = list(numbers)
        return replace(self, keypoints=self.keypoints[:, chosen], joint_scores=self.joint_scores[:, chosen])


@dataclass(frozen=True, eq=False)
class Pair:
    """Truth and prediction of one sequence, in the joints of `skeleton`.

    `frames` is the number of frames; `counted` (frames,) says which of them the truth labels. People of the others
    are in neither side. `frame_names` name frames for people to find (an image, or a number).
    """

    name: str
    frames: int
    counted: NDArray[np.bool_]
    skeleton: Skeleton
    truth: People
    prediction: People
    frame_names: tuple[str, ...] = ()

    def joints(self, numbers: Sequence[int]) -> Pair:
        """The same pair, scored over these joints of its skeleton."""
        names = tuple(self.skeleton.joints[i] for i in numbers)
        place = {old: new for new, old in enumerate(numbers)}
        edges = tuple((place[a], place[b]) for a, b in self.skeleton.edges if a in place and b in place)
        flips = tuple((place[a], place[b]) for a, b in self.skeleton.flip_pairs if a in place and b in place)
        sigmas = tuple(self.skeleton.sigmas[i] for i in numbers)
        skeleton = Skeleton(self.skeleton.name, names, edges, flips, sigmas)
        return replace(
            self, skeleton=skeleton, truth=self.truth.joints(numbers), prediction=self.prediction.joints(numbers)
        )

    def name_of(self, frame: int) -> str:
        """What to call a frame: its image, or its number."""
        return self.frame_names[frame] if frame < len(self.frame_names) else str(frame)


def chosen_joints(skeleton: Skeleton, wanted: str) -> list[int]:
    """Numbers of the joints that `wanted` names: 'body' (the 12 limb joints) or names with commas between.

    Raises FormatError that lists the joints there are.
    """
    names = BODY_JOINTS if wanted == "body" else [name.strip() for name in wanted.split(",")]
    unknown = [name for name in names if name not in skeleton.joints]
    if unknown:
        raise FormatError(
            f"no joint '{unknown[0]}' in {skeleton.name}; there are {', '.join(skeleton.joints)}, and 'body'"
        )
    return [i for i, joint in enumerate(skeleton.joints) if joint in names]


def same_frame(pair: Pair) -> Iterator[tuple[Integers, Integers]]:
    """All (truth row, prediction row) of people in the same frame, frame by frame, a bounded number at a time."""
    truths = np.bincount(pair.truth.frame, minlength=pair.frames)
    guesses = np.bincount(pair.prediction.frame, minlength=pair.frames)
    truth_start = np.concatenate([[0], np.cumsum(truths)])
    guess_start = np.concatenate([[0], np.cumsum(guesses)])
    total = np.concatenate([[0], np.cumsum(truths * guesses)])
    first = 0
    while first < pair.frames:
        last = max(int(np.searchsorted(total, total[first] + _PAIRS_AT_ONCE, side="right")) - 1, first + 1)
        rows = np.arange(truth_start[first], truth_start[last])
        partners = guesses[pair.truth.frame[rows]]
        truth_rows = np.repeat(rows, partners)
        within = np.arange(len(truth_rows)) - np.repeat(np.cumsum(partners) - partners, partners)
        yield truth_rows, guess_start[pair.truth.frame[truth_rows]] + within
        first = last


def gap(pair: Pair, truth: Integers, guess: Integers) -> Doubles:
    """How far apart people (E,) of both sides are at least, in pixels, joint to joint; infinite where one has none."""
    a, b = pair.truth.extent[truth], pair.prediction.extent[guess]
    apart = np.maximum(np.maximum(a[:, :2] - b[:, 2:], b[:, :2] - a[:, 2:]), 0)
    return np.asarray(np.hypot(apart[:, 0], apart[:, 1]))
