"""One video through all of it, in blocks of frames (DESIGN section 2).

    frames -> blocks -> observe: boxes, poses on them, flow between neighbours     stateless, made ahead
                     -> tracker.step, frame by frame                               in order, light

`observe` needs nothing but its frames, so decoding, networks, flow and tracking overlap, and what comes out does not
depend on how.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from posetrack.appearance import describe
from posetrack.blocks import Block, ahead, blocks
from posetrack.cores import core_count, single_threaded_opencv
from posetrack.flow import CUT_THRESHOLD, Glance, cut_score, gray, make_flow
from posetrack.geometry import nms
from posetrack.skeleton import Skeleton
from posetrack.tracker import PoseTracker, TrackerSettings
from posetrack.types import Boxes, Estimate, Floats, Frame, FrameResult, Image, Poses

__all__ = ["Motion", "Observation", "PipelineSettings", "Sight", "follow", "make_motion", "observe", "reuse", "step"]


class Sight(Protocol):
    """Finds people in frames, and the poses of boxes that something else has found."""

    skeleton: Skeleton
    estimates: bool
    """Whether `estimate` can be asked; otherwise poses come from a file alone."""

    def find(self, frames: list[Frame]) -> list[Boxes] | list[Poses]:
        """The people of each frame, as boxes or as whole poses."""
        ...

    def estimate(self, images: list[Image], boxes: list[Boxes]) -> list[Poses]:
        """One pose a box, image by image, all in one pass."""
        ...


@dataclass(frozen=True)
class PipelineSettings:
    """How frames are worked on; what the tracker does with them stands in `tracker`.

    `detect_every` N looks for people in every Nth frame only and leaves the frames between to flow boxes.
    `flow` is a name of flow.FLOWS; `cut` the score from which on a frame begins a new scene (flow.cut_score); `block`
    the frames in one batch.
    """

    detect_every: int = 1
    flow: str = "dis-fast"
    cut: float = CUT_THRESHOLD
    block: int = 16
    tracker: TrackerSettings = field(default_factory=TrackerSettings)


@dataclass(frozen=True, eq=False)
class Observation:
    """What can be told of a frame without knowing who is who.

    `people` are the boxes found (or poses, from a file); `poses` those estimated on the boxes that stay after NMS
    among themselves (None: none were asked for); `flow` (H, W, 2) float32 leads here from the frame before, None
    where a scene begins.
    """

    frame: Frame
    people: Boxes | Poses
    poses: Poses | None
    flow: Floats | None
    cut: bool


Moved = tuple[Floats | None, bool]
"""The flow that leads from the frame before, and whether a new scene begins."""
STILL: Moved = (None, False)
Motion = Callable[[Block, ThreadPoolExecutor], list[Future[Moved]]]


def make_motion(settings: PipelineSettings) -> Motion:
    """The function that has a pool look at how a block's frames move, each from the one before it."""
    flow = make_flow(settings.flow)

    def see(frame: Frame) -> tuple[Image, Glance]:
        return gray(frame.image), Glance.of(frame.image)

    def move(before: Future[tuple[Image, Glance]] | None, frame: Future[tuple[Image, Glance]]) -> Moved:
        if before is None or flow is None:
            return STILL
        (old, old_glance), (new, new_glance) = before.result(), frame.result()
        if old.shape != new.shape or cut_score(old_glance, new_glance) >= settings.cut:
            return None, True
        return flow(old, new), False

    def motion(block: Block, pool: ThreadPoolExecutor) -> list[Future[Moved]]:
        if flow is None:
            return [pool.submit(lambda: STILL) for _ in block.frames]
        # each frame is seen once; a pool begins things in order, so nothing waits for what can't have begun
        before = None if block.before is None else pool.submit(see, block.before)
        seen = [before, *(pool.submit(see, frame) for frame in block.frames)]
        return [pool.submit(move, old, new) for old, new in pairwise(seen) if new is not None]

    return motion


def observe(
    block: Block, sight: Sight, motion: Motion, settings: PipelineSettings, pool: ThreadPoolExecutor
) -> list[Observation]:
    """Everything stateless about a block: people, their poses in one pass, and flow (in `pool`, beside them)."""
    moved = motion(block, pool)
    looked_at = [frame for frame in block.frames if frame.index % settings.detect_every == 0]
    people: Sequence[Boxes | Poses] = sight.find(looked_at)
    found = dict(zip((frame.index for frame in looked_at), people, strict=True))
    poses = _estimate_all(looked_at, found, sight, settings.tracker.nms_iou)
    nobody = Boxes.empty() if sight.estimates else Poses.empty(len(sight.skeleton))
    return [
        Observation(frame, found.get(frame.index, nobody), poses.get(frame.index), *move.result())
        for frame, move in zip(block.frames, moved, strict=True)
    ]


def _estimate_all(
    frames: list[Frame], found: dict[int, Boxes | Poses], sight: Sight, nms_iou: float
) -> dict[int, Poses]:
    """Poses of the boxes that stay after NMS among themselves, all frames in one pass, by frame number.

    The tracker's NMS ranks the detector's boxes before those of the flow, so these are the ones that it keeps.
    """
    boxes = {
        index: people[nms(people.xyxy, people.scores, nms_iou)]
        for index, people in found.items()
        if isinstance(people, Boxes) and len(people)
    }
    images = [frame.image for frame in frames if frame.index in boxes]
    return dict(zip(boxes, sight.estimate(images, list(boxes.values())), strict=True)) if boxes else {}


def reuse(poses: Poses | None, sight: Sight) -> Estimate:
    """An estimate that answers from `poses` for the boxes they were made on, and asks `sight` for the others."""
    rows = {} if poses is None else {box.tobytes(): row for row, box in enumerate(poses.boxes)}

    def estimate(image: Image, boxes: Boxes) -> Poses:
        known = np.array([rows.get(box.tobytes(), -1) for box in boxes.xyxy], np.int64)
        fresh = known < 0
        if poses is None or fresh.all():
            return sight.estimate([image], [boxes])[0]
        if not fresh.any():
            return poses[known]
        both = Poses.concatenate(poses, sight.estimate([image], [boxes[fresh]])[0])
        known[fresh] = len(poses) + np.arange(fresh.sum())
        return both[known]

    return estimate


def follow(
    frames: Iterable[Frame],
    sight: Sight,
    tracker: PoseTracker,
    settings: PipelineSettings,
    before: Frame | None = None,
) -> Generator[list[tuple[Frame, FrameResult]], None, None]:
    """The people of `frames`, a block at a time; after each one the tracker stands at the block's end.

    `before` is the frame ahead of the first one, where a run goes on; it is not tracked again.
    """
    motion = make_motion(settings)
    with single_threaded_opencv(), ThreadPoolExecutor(core_count()) as pool:
        read = ahead(blocks(frames, settings.block, before))
        for seen in ahead(observe(block, sight, motion, settings, pool) for block in read):
            yield [(each.frame, step(tracker, each, sight)) for each in seen]


def step(tracker: PoseTracker, seen: Observation, sight: Sight) -> FrameResult:
    """The people of the next frame, which the tracker takes in."""
    estimate = reuse(seen.poses, sight) if sight.estimates else None

    def look(image: Image, poses: Poses) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        return describe(image, poses.keypoints, poses.boxes, sight.skeleton)

    people = tracker.step(seen.frame, seen.people, seen.flow, estimate, seen.cut, look)
    return FrameResult(seen.frame.index, seen.frame.time, tuple(people), seen.cut)
