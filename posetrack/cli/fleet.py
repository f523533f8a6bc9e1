"""All inputs of `posetrack run`, in this process or by workers, and what is told of each."""

from __future__ import annotations

import time
import webbrowser
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from posetrack.cli.progress import frame_progress
from posetrack.cli.status import FleetProgress, Status
from posetrack.delivery import delivered, on_shelf
from posetrack.errors import PosetrackError
from posetrack.results.runlist import RUN_LIST, Line, RunList
from posetrack.runs import Ended, Job, Outcome, Report, Show, render_tracks, run_job
from posetrack.types import FrameResult
from posetrack.workers.driver import Order, Watcher, run_jobs

if TYPE_CHECKING:
    from posetrack.pipeline import Sight
    from posetrack.remote import Shelf

__all__ = ["run_all", "wants_crew"]


def wants_crew(options: dict[str, Any]) -> bool:
    """Whether the options ask for more than this process."""
    return bool(options["ray"]) or (options["workers"] or 1) > 1


def run_all(jobs: list[Job], order: Order, options: dict[str, Any]) -> list[Job]:
    """Do `jobs` and tell of each; gives those that failed. An error of the only job is raised."""
    crew = wants_crew(options) and not jobs[0].without_video
    failed = []
    with ExitStack() as stack:
        told = _Told(stack.enter_context(_status(len(jobs), crew, options)), _run_list(jobs, options, stack))
        do = _onto_shelf if options["shelf"] else _by_crew if crew else _here
        for ended in do(jobs, order, options, told):
            if ended.outcome is not None:
                _tell(ended.job, ended.outcome, options)
                continue
            failed.append(ended.job)
            if len(jobs) == 1 and ended.error is not None:
                raise ended.error
            click.echo(f"error: {' '.join(str(ended.error).split())}", err=True)
    return failed


def _status(inputs: int, crew: bool, options: dict[str, Any]) -> Status:
    if crew:
        return FleetProgress(inputs, options["status_json"], options["quiet"])
    return Status(inputs, options["status_json"])


def _run_list(jobs: list[Job], options: dict[str, Any], stack: ExitStack) -> RunList | None:
    """The index of the folder that the results go to, where there are several."""
    folder: Path | None = options["output"]
    if folder is None or folder.suffix == ".json":
        return None
    if options["shelf"]:
        options["shelf"].fetch(folder / RUN_LIST)
    if len(jobs) < 2 and not (folder / RUN_LIST).exists():
        return None
    if options["shelf"]:  # when the list is closed
        stack.callback(options["shelf"].put, folder / RUN_LIST, overwrite=True, keep=True)
    return stack.enter_context(RunList(folder))


class _Told(Watcher):
    """What goes on, told to the status and to the index."""

    def __init__(self, status: Status, runs: RunList | None) -> None:
        self.status, self.runs = status, runs

    def begun(self, job: Job, expected: int | None) -> None:
        self.status.begun(job, expected)
        self._note(job, Line(job.source, job.output.name, "running"))

    def tracked(self, job: Job, results: list[FrameResult]) -> None:
        self.status.tracked(job, results)

    def ended(self, ended: Ended) -> None:
        job, outcome = ended.job, ended.outcome
        self.status.ended(ended)
        if outcome is None:
            self.spoiled(ended)
        elif not outcome.skipped or self.runs is None or not self.runs.is_done(job.output.name):
            seconds = None if outcome.skipped else round(ended.seconds, 1)
            self._note(job, Line(job.source, job.output.name, "done", outcome.frames, outcome.tracks, seconds))

    def spoiled(self, ended: Ended) -> None:
        """The index learns that there is no result."""
        said = " ".join(str(ended.error).split())
        line = Line(ended.job.source, ended.job.output.name, "failed", seconds=round(ended.seconds, 1), error=said)
        self._note(ended.job, line)

    def workers(self, ready: int, busy: int, wanted: int) -> None:
        self.status.workers(ready, busy, wanted)

    def _note(self, job: Job, line: Line) -> None:
        if self.runs is not None:
            self.runs.note(line)


def _onto_shelf(jobs: list[Job], order: Order, options: dict[str, Any], told: _Told) -> Iterator[Ended]:
    """The jobs, done here or by workers, and what came of them put where it belongs."""
    shelf: Shelf = options["shelf"]
    over, waiting = on_shelf(shelf, jobs, draw=order.draw, resume=order.resume, overwrite=order.overwrite)
    for ended in over:
        told.ended(ended)
        yield ended
    if waiting:
        for ended in (_by_crew if wants_crew(options) else _here)(waiting, order, options, told):
            put = delivered(ended, shelf, draw=order.draw, overwrite=order.overwrite)
            if put.error is not ended.error:
                told.spoiled(put)
            yield put


def _by_crew(jobs: list[Job], order: Order, options: dict[str, Any], told: Watcher) -> Iterator[Ended]:
    """The jobs, done by workers."""
    from posetrack.workers.crew import Crew

    gpus = 0 if options["gpus_per_worker"] is None and order.recipe.device == "cpu" else options["gpus_per_worker"]
    with Crew(options["workers"], options["ray"], cpus=options["cpus_per_worker"], gpus=gpus) as crew:
        yield from run_jobs(crew, jobs, order, told)


def _here(jobs: list[Job], order: Order, options: dict[str, Any], told: Watcher) -> Iterator[Ended]:
    """The jobs, one after another, in this process."""
    told.workers(1, 1, 1)
    sight, said = order.recipe.make(order.threads)
    with _live(options) if options["show"] else nullcontext() as show:
        for job in jobs:
            begun = time.monotonic()
            outcome, problem = None, None
            try:
                outcome = _track(job, sight, said, order, options, told, show)
            except (PosetrackError, OSError) as error:
                problem = error
            ended = Ended(job, outcome, problem, time.monotonic() - begun)
            told.ended(ended)
            yield ended


@contextmanager
def _live(options: dict[str, Any]) -> Iterator[Show]:
    """The page that shows the run as it goes."""
    from posetrack.review.live import serve_live

    def tell(address: str) -> None:
        click.echo(f"live: {address}", err=True)
        if not options["no_browser"]:
            webbrowser.open(address)

    with serve_live(options["trails"], tell) as live:
        yield live.show


def _track(
    job: Job, sight: Sight, said: dict[str, Any], order: Order, options: dict[str, Any], told: Watcher,
    show: Show | None,
) -> Outcome:  # fmt: skip
    """One input through the pipeline, with progress; then, on request, its annotated video."""
    name, quiet = Path(job.source).name, options["quiet"]
    with frame_progress(name, quiet) as watch:

        def watched(expected: int | None) -> Report:
            told.begun(job, expected)
            report = watch(expected)

            def both(result: FrameResult) -> None:
                report(result)
                told.tracked(job, [result])

            return both

        outcome = run_job(
            job, sight, order.settings, said, span=order.span, resume=order.resume, overwrite=order.overwrite,
            watch=watched, show=show,
        )  # fmt: skip
    if order.draw and not (outcome.skipped and job.video.exists()):
        with frame_progress(f"drawing {name}", quiet) as watch:
            overwrite = order.overwrite or order.resume
            render_tracks(job.output, job.source, job.video, overwrite=overwrite, trails=order.trails, watch=watch)
    return outcome


def _tell(job: Job, outcome: Outcome, options: dict[str, Any]) -> None:
    """Where the results lie, on stdout; warnings on stderr."""
    for warning in outcome.warnings:
        click.echo(f"warning: {warning}", err=True)
    if options["quiet"]:
        return
    place = options["shelf"].place if options["shelf"] else str
    said = f"{outcome.frames} frames, {outcome.tracks} people"
    if outcome.skipped:
        said = f"done already: {said}" if outcome.frames else "done already"
    click.echo(f"{place(job.output)}  {said}")
    if options["render"]:
        click.echo(place(job.video))
