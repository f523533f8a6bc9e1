"""Where the time goes: stages of the pipeline, and the pipeline against a plain loop, interleaved in one run.

The plain loop is what one would write first: a frame is decoded, detected, its flow and poses computed and its people
tracked and written before the next is touched, with the libraries' own threads. Both do the same work on the same
frames.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import click
import torch

from posetrack.cores import core_count
from posetrack.flow import gray, make_flow
from posetrack.networks import Networks, NetworkSettings, load_networks
from posetrack.pipeline import PipelineSettings, follow
from posetrack.results.native import Header, Journal
from posetrack.skeleton import COCO17
from posetrack.tracker import PoseTracker
from posetrack.types import FrameResult
from posetrack.video import open_video


class Stages:
    """Seconds of a core that each stage took, whichever thread it ran in."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._lock = threading.Lock()

    @contextmanager
    def time(self, name: str) -> Iterator[None]:
        begun = time.thread_time()
        yield
        with self._lock:
            self.seconds[name] += time.thread_time() - begun

    def wrap(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **settings: Any) -> Any:
            with self.time(name):
                return function(*arguments, **settings)

        return timed


def pipeline(video: str, end: float | None, networks: Networks, folder: Path) -> int:
    """The clip through posetrack's pipeline into a result file; frames."""
    settings = PipelineSettings()
    tracker = PoseTracker(networks.skeleton, settings.tracker)
    with open_video(video, None, end) as reader, Journal(folder / "a.json", _header(), overwrite=True) as journal:
        for block in follow(reader, networks, tracker, settings):
            for _, result in block:
                journal.write(result)
            journal.checkpoint(tracker.state())
        return journal.frames


def plain_loop(video: str, end: float | None, networks: Networks, folder: Path) -> int:
    """The same parts one after another, frame by frame; frames."""
    torch.set_num_threads(core_count())
    flow, tracker, before = make_flow("dis-fast"), PoseTracker(networks.skeleton), None
    with open_video(video, None, end) as reader, Journal(folder / "b.json", _header(), overwrite=True) as journal:
        for frame in reader:
            boxes = networks.detector.detect([frame.image])[0]
            moved = None if before is None else flow(before.image, frame.image)
            people = tracker.step(frame, boxes, moved, networks.estimator)
            journal.write(FrameResult(frame.index, frame.time, tuple(people)))
            before = frame
        return journal.frames


def _header() -> Header:
    return Header({}, {}, COCO17, {})


def stages(
    video: str, end: float | None, networks: Networks, folder: Path
) -> tuple[dict[str, float], float, float, int]:
    """Seconds of a core by stage, of all, the wall time and the frames of one run through the pipeline."""
    import posetrack.pipeline as rooms

    clock = Stages()
    original = networks.detector.detect, networks.estimator.network.forward
    rooms.make_flow = lambda name: clock.wrap("flow", make_flow(name))
    rooms.gray = clock.wrap("flow", gray)
    networks.detector.detect = clock.wrap("detector", networks.detector.detect)
    networks.estimator.network.forward = clock.wrap("pose network", networks.estimator.network.forward)
    begun, cpu = time.perf_counter(), time.process_time()
    frames = pipeline(video, end, networks, folder)
    wall, cpu = time.perf_counter() - begun, time.process_time() - cpu
    rooms.make_flow, rooms.gray = make_flow, gray
    networks.detector.detect, networks.estimator.network.forward = original
    return clock.seconds, cpu, wall, frames


@click.command()
@click.argument("video")
@click.option("--end", type=float, help="Seconds of the clip to use.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Runs of each, in turn.")
@click.option("--device", default="auto", show_default=True)
@click.option("--detector", default="detector", show_default=True)
@click.option("--pose", default="pose", show_default=True)
def main(video: str, end: float | None, rounds: int, device: str, detector: str, pose: str) -> None:
    """Time VIDEO."""
    networks, said = load_networks(NetworkSettings(detector, pose, device))
    assert isinstance(networks, Networks)
    machine = f"{said['device']}, {said['precision']}, {core_count()} cores, torch {torch.__version__}"
    click.echo(f"{Path(video).name}, {machine}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pipeline(video, min(end or 1, 1), networks, folder)  # warm up
        seconds, cpu, wall, frames = stages(video, end, networks, folder)
        other = cpu - sum(seconds.values())
        for stage, spent in [*seconds.items(), ("everything else", other)]:
            click.echo(f"  {stage:<16} {1000 * spent / frames:7.2f} ms of a core a frame  {100 * spent / cpu:5.1f} %")
        click.echo(f"  {frames} frames in {wall:.1f} s: {frames / wall:.1f} frames/s, {cpu / wall:.2f} cores busy")
        ours, plain = [], []
        for _ in range(rounds):
            for run, times in ((pipeline, ours), (plain_loop, plain)):
                begun = time.perf_counter()
                run(video, end, networks, folder)
                times.append(time.perf_counter() - begun)
    ratios = sorted(b / a for a, b in zip(ours, plain, strict=True))
    click.echo(
        f"  pipeline {frames / median(ours):.1f} frames/s, plain loop {frames / median(plain):.1f} frames/s: "
        f"{median(ratios):.2f} times as fast (of {rounds} pairs: {ratios[0]:.2f} to {ratios[-1]:.2f})"
    )


if __name__ == "__main__":
    main()
