"""Poses from a file in place of the networks, and its frames where there is no video either."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from posetrack.errors import FormatError
from posetrack.results.posefile import PoseFile
from posetrack.sources import VideoInfo
from posetrack.types import Boxes, Frame, Image, Poses

__all__ = ["BareFrames", "Span", "StoredPoses"]


@dataclass(frozen=True)
class Span:
    """The part of a video to work on: from `start` to before `end` (seconds), each `stride`-th frame."""

    start: float | None = None
    end: float | None = None
    stride: int = 1


class StoredPoses:
    """Poses from a file in place of both networks."""

    estimates = False

    def __init__(self, file: PoseFile) -> None:
        self.file = file
        self.skeleton = file.skeleton

    def find(self, frames: list[Frame]) -> list[Poses]:
        """The poses that the file has for each frame, by its number."""
        return [self.file.frames.get(frame.index, Poses.empty(len(self.skeleton))) for frame in frames]

    def estimate(self, images: list[Image], boxes: list[Boxes]) -> list[Poses]:
        """Never asked: see `estimates`."""
        raise FormatError("poses from a file cannot be estimated anew")


class BareFrames:
    """The frames of a file of poses without its video: numbers and times, and a picture that is all black.

    Where the file has no times, frames are `BARE_RATE` a second.
    """

    def __init__(self, stored: PoseFile, span: Span, start_index: int = 0) -> None:
        self.warnings: list[str] = []
        self._span, self._start_index, self._times = span, start_index, stored.times
        width, height = stored.width or _reach(stored, 0), stored.height or _reach(stored, 1)
        self.info = VideoInfo(str(stored.path), width, height, BARE_RATE, None, stored.length, kind="poses")
        self.frames_expected: int | None = stored.length
        self._black = np.broadcast_to(np.zeros((1, 1, 3), np.uint8), (height, width, 3))

    def __iter__(self) -> Iterator[Frame]:
        first: int | None = None
        for index in range(self.frames_expected or 0):
            time = self._times.get(index, index / BARE_RATE)
            if time < (self._span.start or 0) or (self._span.end is not None and time >= self._span.end):
                continue
            first = index if first is None else first
            if index >= self._start_index and (index - first) % self._span.stride == 0:
                yield Frame(index, time, self._black)


BARE_RATE = 25.0


def _reach(stored: PoseFile, axis: int) -> int:
    """A width or height that holds all joints, for a file that doesn't say how large its pictures are."""
    return max((int(np.nanmax(poses.keypoints[..., axis])) + 2 for poses in stored.frames.values()), default=1)
