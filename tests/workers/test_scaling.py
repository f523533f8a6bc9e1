"""The schedule in made-up time: what share of their time workers are at work, whatever this machine is doing."""

from __future__ import annotations

import heapq
from collections import defaultdict
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from posetrack.pipeline import PipelineSettings
from posetrack.runs import Job
from posetrack.skeleton import COCO17
from posetrack.sources import VideoInfo
from posetrack.types import FrameResult
from posetrack.workers.crew import Answer, Member
from posetrack.workers.driver import Order, run_jobs
from posetrack.workers.recipe import Recipe
from posetrack.workers.work import Ready, Seen, Survey, Tracked

OBSERVE, TRACK, HOP = 1.3, 0.06, 0.005
"""Seconds that a block takes to be looked at and to be tracked, as measured on a core, and a message's way."""


class CrewInTime:
    """Workers that answer after the time that their work would take."""

    cpus = 1.0

    def __init__(self, size: int) -> None:
        self.size, self.now, self.work = size, 0.0, 0.0
        self.free: dict[Member, float] = defaultdict(float)
        self.blocks: dict[int, range] = {}
        self.coming: list[tuple[float, int, Answer]] = []
        self._order = count()

    def device(self, wanted: str) -> str:
        return wanted

    def growth(self, workers: int) -> int:
        return 0

    def share(self, value: Any) -> Any:
        return value

    def hire(self) -> Member:
        return Member(next(self._order), None, 0)

    def dismiss(self, member: Member) -> None:
        pass

    def tell(self, *call: Any, group: str = "") -> None:
        pass

    def ask(self, member: Member, tag: Any, method: str, *arguments: Any, group: str = "observe") -> None:
        if method == "track":  # beside what is looked at, from which it takes the core
            self._answer(member, tag, self._tracked(arguments[0]), self.now + TRACK)
            self.free[member] += TRACK
            self.work += TRACK
        else:
            self._answer(member, tag, Ready(COCO17, {}, {}, "here"), self.now)

    def ask_parcel(self, member: Member, tag: Any, method: str, source: str, *arguments: Any) -> None:
        frames = 16 * Path(source).stat().st_size
        info = VideoInfo(source, 1280, 720, 25.0, frames / 25, frames)
        self._answer(member, tag, Survey(info, frames, range(frames)), self.now)

    def ask_observe(self, member: Member, tag: Any, ticket: int, source: str, part: Any, parcel: Any) -> None:
        self.blocks[ticket] = part.frames
        self.free[member] = max(self.now, self.free[member]) + OBSERVE
        self.work += OBSERVE
        self._answer(member, tag, Seen({}), self.free[member])

    def _tracked(self, ticket: int) -> Tracked:
        return Tracked.of([FrameResult(n, n / 25) for n in self.blocks.pop(ticket)], 17, {}, {})

    def _answer(self, member: Member, tag: Any, value: Any, time: float) -> None:
        heapq.heappush(self.coming, (time + HOP, next(self._order), Answer(member, tag, value)))

    def answers(self, patience: float) -> list[Answer]:
        self.now, _, answer = heapq.heappop(self.coming)
        return [answer]


def efficiency(workers: int, sizes: list[int], folder: Path) -> float:
    """The share of their time that workers are at work, on videos of so many blocks."""
    jobs = []
    for k, size in enumerate(sizes):
        video = folder / f"{k}.mp4"
        video.write_bytes(bytes(size))
        jobs.append(Job(str(video), folder / f"{k}.tracks.json"))
    crew = CrewInTime(workers)
    ends = list(run_jobs(crew, jobs, Order(Recipe(), PipelineSettings())))
    assert sum(ended.outcome.frames for ended in ends) == 16 * sum(sizes)
    return crew.work / workers / crew.now


@pytest.mark.parametrize("workers", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("blocks", [16, 40])
def test_a_mixture_keeps_all_busy_until_the_last_block(tmp_path, workers, blocks):
    long = workers * blocks // 3
    short = (workers * blocks - long) // 8
    assert efficiency(workers, [8] * short + [long], tmp_path) >= 0.95


@pytest.mark.parametrize("workers", [2, 4, 8])
def test_a_long_video_is_spread_over_all(tmp_path, workers):
    assert efficiency(workers, [workers * 30], tmp_path) >= 0.95


def test_many_short_ones_run_side_by_side(tmp_path):
    assert efficiency(8, [3] * 96, tmp_path) >= 0.95


def test_a_video_of_one_block_has_one_worker(tmp_path):
    assert efficiency(1, [1], tmp_path) >= 0.95
