"""The loop that feeds a crew: blocks out, people in, in order, into the journals."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import orjson

from posetrack.errors import DeviceError, InputError, PosetrackError
from posetrack.pipeline import PipelineSettings
from posetrack.results.native import Journal, resume_point
from posetrack.runs import Ended, Job, Outcome, finished, make_header
from posetrack.stored import Span
from posetrack.types import FrameResult
from posetrack.video import Inexact
from posetrack.workers.crew import Answer, Crew, Member
from posetrack.workers.recipe import Recipe
from posetrack.workers.schedule import RETRIES, Item, Post, Schedule, Video
from posetrack.workers.work import Fed, Ready, Seen, Survey, Tracked

__all__ = ["Order", "Watcher", "run_jobs"]

_PATIENCE = 0.5
"""Seconds without an answer after which the driver looks around."""
_FAILED_STARTS = 5
"""Workers that end before their networks stand, one after another, until the driver gives up."""


@dataclass(frozen=True)
class Order:
    """What is to be done with every video; the options of a plain run (runs.run_job)."""

    recipe: Recipe
    settings: PipelineSettings
    span: Span = field(default_factory=Span)
    resume: bool = False
    overwrite: bool = False
    draw: bool = False
    trails: float = 0.0
    threads: int | None = None


class Watcher:
    """Told what goes on; this one does nothing."""

    def begun(self, job: Job, expected: int | None) -> None:
        """A video is worked on; about so many frames of it are to come."""

    def tracked(self, job: Job, results: list[FrameResult]) -> None:
        """The next block of a video is in its journal."""

    def ended(self, ended: Ended) -> None:
        """A video is over."""

    def workers(self, ready: int, busy: int, wanted: int) -> None:
        """So many workers are there and so many of them busy, of those that are wanted."""


def run_jobs(
    crew: Crew, jobs: Iterable[Job], order: Order, watcher: Watcher | None = None,
    stages: dict[str, float] | None = None,
) -> Iterator[Ended]:  # fmt: skip
    """Do `jobs` with the workers of `crew`; each is given as soon as it is over, in whatever order.

    The result files have the bytes of plain runs. `stages` gathers the seconds that workers spend on each stage. Raises
    what keeps every worker from starting (WeightsError, DeviceError); what is wrong with one video is in its `Ended`.
    """
    driver = _Driver(crew, jobs, order, watcher or Watcher(), {} if stages is None else stages)
    try:
        yield from driver.run()
    finally:
        driver.stop()


def _size(job: Job) -> int:
    try:
        return Path(job.source).stat().st_size
    except OSError:  # no file, or none at all
        return 0


@dataclass
class _Task:
    """What the driver keeps of an open video: its journal, the tracker's state, and when it was begun."""

    begun: float = field(default_factory=time.monotonic)
    journal: Journal | None = None
    state: bytes | None = None
    outcome: Outcome = field(default_factory=Outcome)
    error: Exception | None = None
    """What ends the video when all before it is tracked."""


class _Driver:
    def __init__(
        self, crew: Crew, jobs: Iterable[Job], order: Order, watcher: Watcher, stages: dict[str, float]
    ) -> None:
        self.crew, self.order, self.watcher, self.stages = crew, order, watcher, stages
        self.jobs = sorted(jobs, key=_size, reverse=True)  # long ones first, that none is left over at the end
        self.schedule = Schedule()
        self.tasks: dict[Video, _Task] = {}
        self.posts: dict[Member, Post] = {}
        self.recipe: Any = None
        self.ready: Ready | None = None
        self.failed_starts = 0
        self.looked = 0.0
        self.over: list[Ended] = []

    # -- the loop ----------------------------------------------------------------------------------------------------

    def run(self) -> Iterator[Ended]:
        for job in self.jobs:
            self._open_or_skip(job)
            yield from self._given_over()
        if not self.schedule.todo:
            return
        self.recipe = self.crew.share(self.order.recipe.on(self.crew.device(self.order.recipe.device)))
        for _ in range(self.crew.size):
            self._hire()
        while self.schedule.todo or self.schedule.open:
            for answer in self.crew.answers(_PATIENCE):
                self._take(answer)
            self._send_all()
            self._look_around()
            yield from self._given_over()

    def stop(self) -> None:
        """Leave what is not done for another run, and let the workers go."""
        for task in self.tasks.values():
            if task.journal is not None:
                task.journal.__exit__(KeyboardInterrupt, None, None)
        for member in self.posts:
            self.crew.dismiss(member)

    def _open_or_skip(self, job: Job) -> None:
        """A finished result is left alone when the run only goes on."""
        if not (self.order.resume and job.output.exists() and not self.order.overwrite):
            self.schedule.todo.append((job, "survey"))
        elif self.order.draw and not job.video.exists():
            self.schedule.todo.append((job, "draw"))
        else:
            try:
                self.over.append(Ended(job, finished(job), None, 0.0))
            except PosetrackError as error:
                self.over.append(Ended(job, None, error, 0.0))

    def _given_over(self) -> Iterator[Ended]:
        over, self.over = self.over, []
        for ended in over:
            self.watcher.ended(ended)
            yield ended

    def _look_around(self) -> None:
        now = time.monotonic()
        if now - self.looked < _PATIENCE:
            return
        self.looked = now
        for _ in range(self.crew.growth(len(self.posts))):
            self._hire()
        ready = self.schedule.ready
        self.watcher.workers(len(ready), sum(post.is_busy for post in ready), len(self.posts))

    # -- out ---------------------------------------------------------------------------------------------------------

    def _hire(self) -> None:
        member = self.crew.hire()
        post = Post(member)
        self.posts[member] = post
        self.schedule.posts.append(post)
        threads = self.order.threads or max(1, int(self.crew.cpus))
        self.crew.ask(member, None, "prepare", self.recipe, self.order.settings, threads)

    def _send_all(self) -> None:
        for post, item in self.schedule.assign():
            self._send(post.member, item)
        for post, item in self.schedule.unwanted:
            self.crew.tell(post.member, "drop", item.ticket)
        self.schedule.unwanted.clear()

    def _send(self, member: Member, item: Item) -> None:
        video, span = item.video, self.order.span
        source = video.job.source
        if item.kind == "survey":
            self.tasks.setdefault(video, _Task())
            self.crew.ask_parcel(member, item, "survey", source, span)
        elif item.kind == "feed":
            after = None if item.number < 0 else item.number
            self.crew.ask_parcel(member, item, "feed", source, span, after, group="feed")
        elif item.kind == "draw":
            self.tasks.setdefault(video, _Task())
            overwrite = self.order.overwrite or self.order.resume
            self.crew.ask(member, item, "draw", video.job, self.order.trails, overwrite)
        else:
            self.crew.ask_observe(member, item, item.ticket, source, item.part, item.parcel)

    def _pass_token(self, video: Video) -> None:
        """Have the video's next block tracked, if it was seen; or end the video, if there is none."""
        task = self.tasks[video]
        head = video.blocks[0] if video.blocks else None
        if head is not None and head.state == "held" and head.post is not None:
            head.state = "tracking"
            head.post.held.remove(head)
            head.post.tracks.append(head)
            self.crew.ask(head.post.member, head, "track", head.ticket, task.state, group="track")
        elif head is None and task.error is not None:
            self._fail(video, task.error)
        elif video.is_done and task.journal is not None:
            self._finish(video, task)

    # -- in ----------------------------------------------------------------------------------------------------------

    def _take(self, answer: Answer) -> None:
        post = self.posts.get(answer.member)
        if post is None:
            return  # it was noted already that this worker is gone
        item: Item | None = answer.tag
        trouble = answer.trouble
        if trouble is not None and trouble.kind in ("died", "broke"):
            only = [item] if trouble.kind == "broke" and item is not None else None
            self._lose(post, trouble.cause, only)
        elif item is None:
            self._take_ready(post, answer)
        else:
            post.forget(item)
            if item.state == "gone":
                self.crew.tell(answer.member, "drop", item.ticket)
            else:
                try:
                    self._take_item(post, item, answer)
                except (PosetrackError, OSError) as error:
                    self._fail(item.video, error)

    def _take_ready(self, post: Post, answer: Answer) -> None:
        if answer.trouble is not None and answer.trouble.error is not None:
            raise answer.trouble.error
        ready: Ready = answer.value
        self.ready = self.ready or ready
        for name, ours, theirs in (
            ("versions", self.ready.versions, ready.versions), ("settings", self.ready.said, ready.said),
        ):  # fmt: skip
            other = [key for key in ours if theirs.get(key) != ours[key]]
            if other:
                key = other[0]
                raise DeviceError(
                    f"the workers on {self.ready.node} and {ready.node} would not give the same bytes: {name}, {key} "
                    f"is {ours[key]} and {theirs.get(key)}; make them alike, or choose --device and --precision"
                )
        post.ready, post.overlaps = True, ready.said.get("device", "cpu") != "cpu"
        self.failed_starts = 0

    def _take_item(self, post: Post, item: Item, answer: Answer) -> None:
        video, trouble = item.video, answer.trouble
        if trouble is not None and (trouble.kind == "lost" or isinstance(trouble.error, Inexact)):
            self._again(item, lost=trouble.kind == "lost")
        elif trouble is not None:
            video.end_before(item)
            self.schedule.forget_gone()
            self.tasks[video].error = trouble.error
            self._pass_token(video)
        else:
            self._TAKE[item.kind](self, post, item, answer)

    def _again(self, item: Item, lost: bool) -> None:
        """What an item was to work on is gone with a node, or not what it should be."""
        video = item.video
        if item.part is not None and lost:
            video.give_back(item)
            video.survey = video.survey or Item(video, "survey")
        else:
            video.rewind(item)
            self.schedule.forget_gone()

    def _take_survey(self, post: Post, item: Item, answer: Answer) -> None:
        survey: Survey = answer.value
        video, task, size = item.video, self.tasks[item.video], self.order.settings.block
        video.survey = None
        self.schedule.absolve(item)
        if survey.info.kind == "live":
            raise InputError(f"{video.job.source}: a live source comes only once; run it without --workers and --ray")
        if task.journal is not None:
            video.index = answer.parcel  # the table was lost with a node; all else is known
            return
        self._begin(video, task, survey)
        if survey.frames is None:
            video.set_feed(size, video.tracked_until)
        else:
            video.set_index(survey.frames, size, answer.parcel)
        self._pass_token(video)

    def _begin(self, video: Video, task: _Task, survey: Survey) -> None:
        """Open the journal, where an earlier run left off if there was one."""
        order, ready = self.order, self.ready
        assert ready is not None
        header = make_header(survey.info, ready.skeleton, ready.said, order.span, order.settings)
        point = resume_point(video.job.output, header) if order.resume and not order.overwrite else None
        if point is not None:
            video.tracked_until, task.state = point.state["last"], orjson.dumps(point.state["tracker"])
            video.proof = point.state["last"], point.state.get("time", -1.0)
        task.journal = Journal(video.job.output, header, resume=point, overwrite=order.overwrite)
        done = point.frames if point else 0
        self.watcher.begun(video.job, None if survey.expected is None else max(0, survey.expected - done))

    def _take_feed(self, post: Post, item: Item, answer: Answer) -> None:
        fed: Fed = answer.value
        self.schedule.absolve(item)
        item.video.add_fed(fed.frames, answer.parcel)
        self._warn(item.video, fed.warnings)
        self._pass_token(item.video)

    def _take_block(self, post: Post, item: Item, answer: Answer) -> None:
        if isinstance(answer.value, Seen):
            self._count(answer.value.seconds)
            self._warn(item.video, answer.value.warnings)
            item.state = "held"
            post.held.append(item)
            if item.part is None:
                item.parcel = None  # let go of the pictures: the worker has them
        else:
            self._write(item, answer.value)
        self._pass_token(item.video)

    def _write(self, item: Item, tracked: Tracked) -> None:
        video, task = item.video, self.tasks[item.video]
        assert task.journal is not None
        self._count(tracked.seconds)
        results = tracked.results
        for result, line in zip(results, tracked.lines, strict=True):
            task.journal.write(result, line)
        last = results[-1]
        state = {"last": last.index, "time": last.time, "tracker": orjson.Fragment(tracked.state)}
        task.journal.checkpoint(state, next_frame=last.index + 1)
        task.state, video.tracked_until = tracked.state, last.index
        video.blocks.popleft()
        self.schedule.absolve(item)
        self.watcher.tracked(video.job, results)

    def _take_draw(self, post: Post, item: Item, answer: Answer) -> None:
        self.schedule.absolve(item)
        self._end(item.video, self.tasks[item.video].outcome, None)

    _TAKE: ClassVar = {"survey": _take_survey, "feed": _take_feed, "block": _take_block, "draw": _take_draw}

    def _count(self, seconds: dict[str, float]) -> None:
        for stage, spent in seconds.items():
            self.stages[stage] = self.stages.get(stage, 0.0) + spent

    def _warn(self, video: Video, warnings: tuple[str, ...]) -> None:
        said = self.tasks[video].outcome.warnings
        said += [warning for warning in warnings if warning not in said]

    # -- ends --------------------------------------------------------------------------------------------------------

    def _finish(self, video: Video, task: _Task) -> None:
        assert task.journal is not None
        journal, task.journal = task.journal, None
        journal.__exit__(None, None, None)
        task.outcome.frames, task.outcome.tracks = journal.frames, len(journal.tracks)
        if self.order.draw:
            video.draw = Item(video, "draw")
        else:
            self._end(video, task.outcome, None)

    def _fail(self, video: Video, error: Exception) -> None:
        task = self.tasks[video]
        if task.journal is not None:
            task.journal.__exit__(type(error), error, None)
        self._end(video, None, error)

    def _end(self, video: Video, outcome: Outcome | None, error: Exception | None) -> None:
        task = self.tasks.pop(video)
        self.schedule.close(video)
        self.over.append(Ended(video.job, outcome, error, time.monotonic() - task.begun))

    def _lose(self, post: Post, cause: str, only: list[Item] | None) -> None:
        """A worker is gone: what it had is done again, and what it was at is under suspicion."""
        self.schedule.posts.remove(post)
        del self.posts[post.member]
        self.crew.dismiss(post.member)
        if not post.ready:
            self._count_failed_start(cause)
        for item in only or post.suspects:
            if item.state != "gone" and item.video.strike(item, cause):
                said = f"{item.name} ended its worker {RETRIES + 1} times (at last: {cause}); leave this input out"
                self._fail(item.video, InputError(f"{item.video.job.source}: {said}"))
        for item in post.items:
            item.video.give_back(item)
        self.schedule.forget_gone()
        self._hire()

    def _count_failed_start(self, cause: str) -> None:
        self.failed_starts += 1
        if self.failed_starts >= _FAILED_STARTS and not self.schedule.ready:
            raise DeviceError(f"{_FAILED_STARTS} workers in a row ended before they could work ({cause})")
