"""What several workers gain: stages of a worker, its waiting, 1 to N workers, and how much the driver can feed.

With `--simulate` decode, networks, flow and tracking are sleeps of the length that `--observe` and `--track` say (the
first part of the command measures them), and many workers share a process, so that 256 fit on any machine. Everything
else is real: Ray, the driver, its schedule, journals and checkpoints.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import click
import numpy as np

from posetrack.cores import core_count
from posetrack.networks import NetworkSettings
from posetrack.pipeline import PipelineSettings
from posetrack.runs import Job, versions
from posetrack.skeleton import COCO17
from posetrack.sources import VideoInfo
from posetrack.stored import Span
from posetrack.tracker import PoseTracker
from posetrack.types import Frame, FrameResult, Person, Poses
from posetrack.workers.crew import Crew
from posetrack.workers.driver import Order, Watcher, run_jobs
from posetrack.workers.recipe import Recipe
from posetrack.workers.work import Part, Ready, Seen, Survey, Tracked, Worker

SIZE = 1280, 720
TOGETHER = 32
"""Simulated workers that share a process."""


class Simulated:
    """A worker of one core that sleeps instead of working: `observe` and `track` seconds a block of 16 frames."""

    def __init__(self, observe: float, track: float, people: int, barrier: Barrier) -> None:
        self._barrier = barrier
        self._observe, self._track, self._tracked, self._looking = observe, track, 0.0, threading.Lock()
        self._blocks: dict[int, range] = {}
        self._people, self._state = _made_up(people)

    def prepare(self, recipe: Recipe, settings: PipelineSettings, threads: int) -> Ready:
        self._barrier.wait()
        return Ready(COCO17, {}, versions(), "here")

    def survey(self, source: str, span: Span) -> tuple[Survey, None]:
        frames = int(source.rsplit("-", 1)[1])
        info = VideoInfo(source, *SIZE, 25.0, frames / 25, frames)
        return Survey(info, frames, range(frames)), None

    def observe(self, ticket: int, source: str, part: Part, fetch: Any) -> Seen:
        with self._looking:
            self._work(self._observe * len(part.frames) / 16)
        self._blocks[ticket] = part.frames
        return Seen({"observe": self._observe})

    def track(self, ticket: int, state: bytes | None) -> Tracked:
        time.sleep(self._track)
        self._tracked += self._track
        results = [FrameResult(n, n / 25, self._people) for n in self._blocks.pop(ticket)]
        return Tracked.of(results, 17, self._state, {"track": self._track})

    def drop(self, ticket: int) -> None:
        self._blocks.pop(ticket, None)

    def _work(self, seconds: float) -> None:
        """Look for so long; tracking meanwhile takes the core from it."""
        begun, tracked = time.monotonic(), self._tracked
        while (left := begun + seconds + self._tracked - tracked - time.monotonic()) > 0:
            time.sleep(left)


def _made_up(people: int) -> tuple[tuple[Person, ...], dict[str, Any]]:
    """People, and the state of a tracker that has followed them."""
    chance = np.random.default_rng(0)
    keypoints = chance.uniform(0, 700, (people, 17, 3)).astype(np.float32)
    keypoints[..., 2] = 0.9
    boxes = np.tile(np.float32([100, 100, 300, 500]), (people, 1))
    poses = Poses(keypoints, boxes, np.full(people, 0.9, np.float32))
    tracker = PoseTracker(COCO17)
    for n in range(10):
        tracker.step(Frame(n, n / 25, np.zeros((1, 1, 3), np.uint8)), poses, None, None)
    found = [Person(k + 1, 0.9, boxes[k], keypoints[k]) for k in range(people)]
    return tuple(found), tracker.state()


class Barrier:
    """Lets workers begin together: `wait` returns when `count` of them have come."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder, self.count = folder, count

    def wait(self) -> None:
        (self.folder / f"{os.getpid()}-{id(self)}-{time.time_ns()}.here").touch()
        while len(list(self.folder.glob("*.here"))) < self.count:
            time.sleep(0.05)

    @property
    def begun(self) -> float:
        """When the last one came, in seconds since 1970."""
        return max(path.stat().st_mtime for path in self.folder.glob("*.here"))


class Together(Worker):
    """A real worker that begins together with the others."""

    def __init__(self, barrier: Barrier) -> None:
        super().__init__()
        self.barrier = barrier

    def prepare(self, recipe: Recipe, settings: PipelineSettings, threads: int) -> Ready:
        ready = super().prepare(recipe, settings, threads)
        self.barrier.wait()
        return ready


class Core(Watcher):
    """Notes the driver's own seconds of a core from the first video on."""

    begun_at = 0.0

    def begun(self, job: Job, expected: int | None) -> None:
        self.begun_at = self.begun_at or time.process_time()

    @property
    def seconds(self) -> float:
        return time.process_time() - self.begun_at


def timed(crew: Crew, jobs: list[Job], order: Order, barrier: Barrier) -> tuple[float, float, dict[str, float], int]:
    """Seconds from when all workers are ready, the driver's seconds of a core, seconds by stage, and frames."""
    stages: dict[str, float] = {}
    core = Core()
    frames = 0
    for ended in run_jobs(crew, jobs, order, core, stages):
        assert ended.outcome is not None, ended.error
        frames += ended.outcome.frames
    return time.time() - barrier.begun, core.seconds, stages, frames


def mixture(workers: int, blocks: int, folder: Path) -> list[Job]:
    """Short videos and a long one, `blocks` a worker; files as large as they are long.

    The long one is a third of all, but at most what eight workers do: tracking is in order, so that one video keeps no
    more workers busy than a block takes longer to look at than to track, whatever the driver does.
    """
    total = workers * blocks
    short = (total - min(total // 3, 8 * blocks)) // 8
    sizes = [8] * short + [total - 8 * short]
    jobs = [Job(str(folder / f"video{k}-{16 * n}"), folder / f"video{k}.tracks.json") for k, n in enumerate(sizes)]
    for job, size in zip(jobs, sizes, strict=True):
        with open(job.source, "wb") as file:
            file.truncate(size)
    return jobs


def scale_real(videos: tuple[str, ...], workers: list[int], end: float | None) -> Iterator[str]:
    """Real workers of one thread each on the CPU."""
    order = Order(Recipe(NetworkSettings(device="cpu")), PipelineSettings(), Span(None, end), overwrite=True, threads=1)
    first = 0.0
    for count in workers:
        with tempfile.TemporaryDirectory() as name:
            barrier = Barrier(Path(name), count)
            with Crew(count, cpus=1, gpus=0, kind=partial(Together, barrier)) as crew:
                jobs = [Job(video, Path(name) / f"{k}.tracks.json") for k, video in enumerate(videos)]
                wall, core, stages, frames = timed(crew, jobs, order, barrier)
        first = first or frames / wall / count
        yield (
            f"{count} workers of one thread: {frames / wall:.2f} frames/s, {frames / wall / first:.2f} times one; "
            f"driver {1000 * 16 * core / frames:.1f} ms of a core a block"
        )
        work = stages["decode"] + stages["observe"] + stages["track"]
        yield f"  a worker waits {100 * max(0.0, 1 - work / (wall * count)):.1f} % of the time"
        for stage, seconds in sorted(stages.items(), key=lambda each: -each[1]):
            yield f"  {stage:<9} {1000 * seconds / frames:8.2f} ms a frame {16 * seconds / frames:8.3f} s a block"


def scale_simulated(workers: list[int], observe: float, track: float, people: int, blocks: int) -> Iterator[str]:
    """Simulated workers, and what share of the ideal they reach."""
    for count in workers:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            barrier = Barrier(folder, count)
            kind = partial(Simulated, observe, track, people, barrier)
            together = min(count, TOGETHER)
            with Crew(count, cpus=0.01, gpus=0, kind=kind, together=together) as crew:
                jobs = mixture(count, blocks, folder)
                wall, core, _, frames = timed(crew, jobs, Order(Recipe(), PipelineSettings()), barrier)
        done = frames / 16
        ideal = f", {100 * done * (observe + track) / count / wall:.1f} % of ideal" if observe else ""
        yield (
            f"{count:4d} simulated workers: {done / wall:7.1f} blocks/s{ideal}; "
            f"driver {1000 * core / done:.2f} ms of a core a block, {100 * core / wall:.0f} % busy"
        )


@click.command()
@click.argument("videos", nargs=-1)
@click.option("--workers", default="1,2", show_default=True, help="Real workers, in turn; with VIDEOS.")
@click.option("--end", type=float, help="Seconds of each video to use.")
@click.option("--simulate", default="1,2,4,8,16,64", show_default=True, help="Simulated workers, in turn; '' for none.")
@click.option("--observe", default=1.3, show_default=True, help="Seconds of a simulated block, all but tracking.")
@click.option("--track", default=0.06, show_default=True, help="Seconds of a simulated block's tracking.")
@click.option("--people", default=8, show_default=True, help="People in each simulated frame.")
@click.option("--blocks", default=24, show_default=True, help="Blocks a simulated worker.")
@click.option("--limit", default="1,8,64,256", show_default=True, help="Simulated workers that take no time at all.")
def main(
    videos: tuple[str, ...], workers: str, end: float | None, simulate: str, observe: float, track: float, people: int,
    blocks: int, limit: str,
) -> None:  # fmt: skip
    """Scaling on VIDEOS with real networks, and with simulated ones."""
    load = os.getloadavg()[0]
    click.echo(f"{core_count()} cores, load {load:.1f} before; simulated: 720p, {people} people a frame")
    for line in scale_real(videos, numbers(workers), end) if videos else ():
        click.echo(line)
    for line in scale_simulated(numbers(simulate), observe, track, people, blocks):
        click.echo(line)
    if limit:
        click.echo("the driver's own limit, with workers that take no time:")
    for count in numbers(limit):
        for line in scale_simulated([count], 0, 0, people, max(4, 1024 // count)):
            click.echo(line)


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part]


if __name__ == "__main__":
    main()
