"""A worker: networks on one device, and the blocks that it has seen and not yet tracked. Knows nothing of Ray."""

from __future__ import annotations

import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
import orjson

from posetrack.blocks import Block, blocks
from posetrack.cores import pool
from posetrack.pipeline import Motion, Observation, PipelineSettings, Sight, make_motion, observe, step
from posetrack.results.lines import write_frame
from posetrack.runs import Job, render_tracks, versions
from posetrack.skeleton import Skeleton
from posetrack.sources import VideoInfo
from posetrack.stored import Span
from posetrack.tracker import PoseTracker
from posetrack.types import Boxes, Frame, FrameResult, Image, Person, Poses
from posetrack.video import BlockReader, FrameIndex, Inexact, VideoReader, build_index, open_video
from posetrack.workers.recipe import Recipe

__all__ = ["Fed", "Part", "Ready", "Seen", "Survey", "Tracked", "Worker"]


@dataclass(frozen=True)
class Ready:
    """What a worker says when its networks stand. `said` and `versions` must be the same on all workers."""

    skeleton: Skeleton
    said: dict[str, Any]
    versions: dict[str, str]
    node: str


@dataclass(frozen=True)
class Survey:
    """What is known of a video before its frames are looked at.

    `frames` are the numbers of those that will come, None where only a decode from the start tells (`why`);
    `expected` about how many.
    """

    info: VideoInfo
    expected: int | None
    frames: range | None
    why: str = ""


@dataclass(frozen=True)
class Part:
    """Frames of one block, by number, and the number of the one before them, None at the start of a video.

    `time`: of the frame before, where it was decoded by an earlier run: a table of frames that has another is not true.
    """

    frames: range
    before: int | None
    time: float | None = None


@dataclass(frozen=True)
class Fed:
    """A block was decoded: the numbers of its frames; None at the end, with what the reader complained of."""

    frames: range | None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Seen:
    """A block was looked at: seconds by stage, and what the reader complained of."""

    seconds: dict[str, float]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Tracked:
    """A block's people as the lines of a result file, frame by frame; ids and scores; the tracker's state, as JSON.

    Written here, all of it costs the driver a tenth of what records of arrays would.
    """

    lines: list[bytes]
    frames: list[tuple[int, float]]
    people: list[list[tuple[int, float]]]
    state: bytes
    seconds: dict[str, float]

    @classmethod
    def of(cls, results: list[FrameResult], joints: int, state: dict[str, Any], seconds: dict[str, float]) -> Tracked:
        """What the driver has to know of `results`."""
        return cls(
            [write_frame(result, joints) for result in results],
            [(result.index, result.time) for result in results],
            [[(person.id, person.score) for person in result.people] for result in results],
            orjson.dumps(state, option=orjson.OPT_SERIALIZE_NUMPY),
            seconds,
        )

    @property
    def results(self) -> list[FrameResult]:
        """Frames and people, by id and score alone."""
        return [
            FrameResult(*frame, tuple(Person(id, score, _NO_BOX, _NO_JOINTS) for id, score in people))
            for frame, people in zip(self.frames, self.people, strict=True)
        ]


_NO_BOX, _NO_JOINTS = np.zeros(4, np.float32), np.zeros((0, 3), np.float32)


@dataclass
class _Feeding:
    """A video that is decoded in order."""

    reader: VideoReader
    blocks: Iterator[Block]


@dataclass
class _Stages:
    """Seconds by stage since the last `take`; a worker's stages run in several threads."""

    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    @contextmanager
    def time(self, name: str) -> Iterator[None]:
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - begun


class _Timed:
    """A sight that notes how long it looks."""

    def __init__(self, sight: Sight, stages: _Stages) -> None:
        self._sight, self._stages = sight, stages
        self.skeleton, self.estimates = sight.skeleton, sight.estimates

    def find(self, frames: list[Frame]) -> list[Boxes] | list[Poses]:
        with self._stages.time("detector"):
            return self._sight.find(frames)

    def estimate(self, images: list[Image], boxes: list[Boxes]) -> list[Poses]:
        with self._stages.time("poses"):
            return self._sight.estimate(images, boxes)


class Worker:
    """Holds the networks, and what it saw of the blocks that wait for their turn to be tracked.

    `observe` and `track` may be called from two threads at once: a token must not wait until a block is observed.
    """

    def __init__(self) -> None:
        self._held: dict[int, list[Observation]] = {}
        self._readers: dict[str, BlockReader] = {}
        self._fed: dict[str, tuple[tuple[Span, int | None], _Feeding]] = {}
        self._decoding, self._looking, self._feeding = (threading.Lock() for _ in range(3))

    def prepare(self, recipe: Recipe, settings: PipelineSettings, threads: int) -> Ready:
        """Load the networks onto the device, with `threads` threads of one core each on the CPU.

        Raises WeightsError and DeviceError as `Recipe.make` does.
        """
        cv2.setNumThreads(1)
        self._settings = settings
        self._sight, said = recipe.make(threads)
        self._motion: Motion = make_motion(settings)
        self._pool, self._steps = _shared(self._sight, threads)
        if said.get("device", "cpu") == "cpu":  # there decoding ahead would only take the core from the networks
            self._decoding = self._looking
        return Ready(self._sight.skeleton, said, versions(), socket.gethostname())

    def survey(self, source: str, span: Span) -> tuple[Survey, FrameIndex | None]:
        """What is known of a video, and the table by which its frames can be sought, if that is exact.

        Raises InputError for what is no video.
        """
        with open_video(source, span.start, span.end, span.stride) as reader:
            info, expected = reader.info, reader.frames_expected
        index = "it is live" if info.kind == "live" else build_index(source)
        if isinstance(index, str):
            return Survey(info, expected, None, index), None
        frames = index.numbers(span.start, span.end, span.stride)
        if not frames:
            with open_video(source, span.start, span.end, span.stride) as reader:
                next(iter(reader))  # raises what a plain run raises
        return Survey(info, len(frames), frames), index

    def observe(self, ticket: int, source: str, part: Part | None, fetch: Callable[[], FrameIndex | Block]) -> Seen:
        """Decode a `part` of a video and look at it; what was seen is kept under `ticket`.

        `fetch` gives the table of its frames; or, without a `part`, the decoded block itself. Raises InputError, and
        Inexact where the table is not true.
        """
        stages = _Stages()
        with self._decoding, stages.time("decode"):
            block = self._decode(source, part, fetch) if part else _own(fetch())
        with self._looking, stages.time("observe"):
            seen = observe(block, _Timed(self._sight, stages), self._motion, self._settings, self._pool)
        self._held[ticket] = seen
        reader = self._readers.get(source)
        return Seen(dict(stages.seconds), tuple(reader.warnings) if reader else ())

    def _decode(self, source: str, part: Part, fetch: Callable[[], FrameIndex | Block]) -> Block:
        if source not in self._readers:
            for other in list(self._readers):
                self._readers.pop(other).close()
            index = fetch()
            assert isinstance(index, FrameIndex)
            self._readers[source] = BlockReader(source, index)
        first = part.frames.start if part.before is None else part.before
        if part.before is None:
            self._readers[source].prove(range(first))  # before --start: the numbers of all that follow depend on it
        frames = self._readers[source].read(range(first, part.frames.stop, part.frames.step))
        if part.time is not None and frames[0].time != part.time:
            raise Inexact(f"{source}: frame {part.before} was at {part.time} s in an earlier run")
        return Block(frames, None) if part.before is None else Block(frames[1:], frames[0])

    def feed(self, source: str, span: Span, after: int | None) -> tuple[Fed, Block | None]:
        """The next block behind frame `after` of a video that cannot be sought; None at the end.

        Called with the last frame of the block before, it reads on; with another, it begins anew. Raises InputError
        where the video can no longer be read.
        """
        with self._feeding:
            if self._fed.get(source, (None, None))[0] != (span, after):
                self._begin_feeding(source, span, after)
            feeding = self._fed[source][1]
            block = next(feeding.blocks, None)
            if block is None:
                self.stop_feeding(source)
                return Fed(None, tuple(feeding.reader.warnings)), None
            frames = [frame.index for frame in block.frames]
            self._fed[source] = ((span, frames[-1]), feeding)
            return Fed(range(frames[0], frames[-1] + 1, span.stride)), block

    def _begin_feeding(self, source: str, span: Span, after: int | None) -> None:
        self.stop_feeding(source)
        reader = open_video(source, span.start, span.end, span.stride, after or 0)
        frames = iter(reader)
        before = None if after is None else next(frames, None)
        feeding = _Feeding(reader, blocks(frames, self._settings.block, before))
        self._fed[source] = ((span, after), feeding)

    def stop_feeding(self, source: str) -> None:
        """Close a video that was fed."""
        if source in self._fed:
            self._fed.pop(source)[1].reader.close()

    def track(self, ticket: int, state: bytes | None) -> Tracked:
        """The people of the block kept under `ticket`, going on from the tracker's `state` behind the one before."""
        stages = _Stages()
        with stages.time("track"):
            tracker = PoseTracker(self._sight.skeleton, self._settings.tracker)
            if state is not None:
                tracker.restore(orjson.loads(state))
            results = [step(tracker, seen, self._steps) for seen in self._held[ticket]]
        self.drop(ticket)
        return Tracked.of(results, len(self._sight.skeleton), tracker.state(), dict(stages.seconds))

    def drop(self, ticket: int) -> None:
        """Let go of a block that is wanted no more."""
        self._held.pop(ticket, None)

    def draw(self, job: Job, trails: float, overwrite: bool) -> int:
        """The annotated video of a finished job; frames in it."""
        with self._looking:
            return render_tracks(job.output, job.source, job.video, overwrite=overwrite, trails=trails)


def _shared(sight: Sight, threads: int) -> tuple[ThreadPoolExecutor, Sight]:
    """The threads for the flow, and what sees the people while tracking.

    On the CPU flow and networks share their threads, so that a worker of one core takes one core. Tracking has its own,
    since it would wait behind a whole block in theirs.
    """
    if not sight.estimates:
        return ThreadPoolExecutor(threads), sight
    from posetrack.networks import Networks  # here, since poses from a file do without torch

    assert isinstance(sight, Networks)
    steps = Networks(sight.detector, sight.estimator, threads)
    return (sight.pool if sight.on_cpu else pool(threads)), steps


def _own(block: FrameIndex | Block) -> Block:
    """A block in this process's memory: what comes from another one lies in memory that may only be read."""
    assert isinstance(block, Block)
    frames = [replace(frame, image=frame.image.copy()) for frame in block.frames]
    return Block(frames, block.before)
