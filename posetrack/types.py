"""The nouns that flow through posetrack: frozen records of numpy arrays.

Coordinates are pixels of the upright frame, x right and y down; the centre of the top-left pixel is (0, 0).
Boxes are x1, y1, x2, y2 here and x, y, width, height in files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Appearance", "Boxes", "Estimate", "Floats", "Frame", "FrameResult", "Image", "Look", "Person", "Poses", "Source",
]  # fmt: skip

Floats = NDArray[np.float32]
Image = NDArray[np.uint8]
Source = Literal["detector", "flow", "file", "fill"]
"""Where a person's box came from: the detector, the optical flow, a file given by the user, or a gap filled later."""

Appearance = NDArray[np.uint8]
"""How a person looks, (D,) uint8: colours of the clothes and proportions of the body (posetrack.appearance)."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a video.

    `index` counts the frames that the decoder gives, from 0; `time` is the presentation time in seconds;
    `image` is (H, W, 3) uint8 RGB, upright.
    """

    index: int
    time: float
    image: Image


@dataclass(frozen=True, eq=False)
class Boxes:
    """People's boxes in one frame: `xyxy` (N, 4) float32 in pixels, `scores` (N,) float32 in 0..1."""

    xyxy: Floats
    scores: Floats

    def __post_init__(self) -> None:
        if self.xyxy.ndim != 2 or self.xyxy.shape[1] != 4 or self.scores.shape != (len(self.xyxy),):
            raise ValueError(f"boxes want (N, 4) and (N,), not {self.xyxy.shape} and {self.scores.shape}")

    def __len__(self) -> int:
        return len(self.xyxy)

    def __getitem__(self, rows: Any) -> Boxes:
        """The boxes at `rows`: a slice, a mask or an index array."""
        return Boxes(self.xyxy[rows], self.scores[rows])

    @classmethod
    def empty(cls) -> Boxes:
        """No box at all."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))

    @classmethod
    def concatenate(cls, *parts: Boxes) -> Boxes:
        """All boxes of `parts`, in order."""
        return cls(np.concatenate([p.xyxy for p in parts]), np.concatenate([p.scores for p in parts]))


@dataclass(frozen=True, eq=False)
class Poses:
    """Poses of one frame, row by row.

    `keypoints` (N, J, 3) float32: x, y in pixels and a score; `boxes` (N, 4) float32 x1, y1, x2, y2;
    `scores` (N,) float32, one a person.
    """

    keypoints: Floats
    boxes: Floats
    scores: Floats

    def __post_init__(self) -> None:
        n = len(self.keypoints)
        if self.keypoints.ndim != 3 or self.keypoints.shape[2] != 3:
            raise ValueError(f"keypoints want (N, J, 3), not {self.keypoints.shape}")
        if self.boxes.shape != (n, 4) or self.scores.shape != (n,):
            raise ValueError(f"boxes {self.boxes.shape} and scores {self.scores.shape} do not fit {n} poses")

    def __len__(self) -> int:
        return len(self.keypoints)

    def __getitem__(self, rows: Any) -> Poses:
        """The poses at `rows`: a slice, a mask or an index array."""
        return Poses(self.keypoints[rows], self.boxes[rows], self.scores[rows])

    @classmethod
    def empty(cls, joints: int) -> Poses:
        """Nobody, in a skeleton of so many joints."""
        return cls(np.zeros((0, joints, 3), np.float32), np.zeros((0, 4), np.float32), np.zeros(0, np.float32))

    @classmethod
    def concatenate(cls, *parts: Poses) -> Poses:
        """All poses of `parts`, in order."""
        return cls(
            np.concatenate([p.keypoints for p in parts]),
            np.concatenate([p.boxes for p in parts]),
            np.concatenate([p.scores for p in parts]),
        )


Estimate = Callable[[Image, Boxes], Poses]
"""A pose estimator as the tracker sees it: an image and boxes in, one pose a box out, in the same order.

`Poses.scores` are the person scores: the mean score of the joints above 0.2, times the box score.
"""

Look = Callable[[Image, Poses], tuple[NDArray[np.uint8], NDArray[np.bool_]]]
"""How people look: an image and poses in, the appearance (N, D) of each out, and who has one (N,)."""


@dataclass(frozen=True, eq=False)
class Person:
    """One person in one frame.

    `id` is the track's number, from 1; `score` in 0..1; `box` (4,) float32 x1, y1, x2, y2;
    `keypoints` (J, 3) float32 x, y, score; `source` says where the box came from. `appearance` is there where it was
    looked at; `raw` (J, 3) are the joints as they were before they were cleaned, where they were.
    """

    id: int
    score: float
    box: Floats
    keypoints: Floats
    source: Source = "detector"
    appearance: Appearance | None = None
    raw: Floats | None = None


@dataclass(frozen=True, eq=False)
class FrameResult:
    """The people of one frame: what the tracker gives and a result file's line holds.

    `cut` says that a new scene begins here.
    """

    index: int
    time: float
    people: tuple[Person, ...] = field(default=())
    cut: bool = False
