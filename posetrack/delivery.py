"""Results that belong on a remote shelf: what is there already, and what is put there when it is whole."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from posetrack.errors import OutputError
from posetrack.remote import Shelf
from posetrack.runs import Ended, Job, Outcome

__all__ = ["delivered", "on_shelf"]


def on_shelf(
    shelf: Shelf, jobs: Iterable[Job], *, draw: bool, resume: bool, overwrite: bool
) -> tuple[list[Ended], list[Job]]:
    """The jobs whose results are on the shelf already, and those that are to be done.

    With `resume` the former are done, otherwise they are refused; with `overwrite` there are none. A result whose video
    is still to be drawn is brought back for that.
    """
    jobs = list(jobs)
    there = set() if overwrite else shelf.names()
    over, waiting = [], []
    for job in jobs:
        if job.output.name not in there:
            waiting.append(job)
        elif not resume:
            problem = OutputError(f"{shelf.place(job.output)} exists already; choose another place, or --overwrite")
            over.append(Ended(job, None, problem, 0.0))
        elif draw and job.video.name not in there:
            shelf.fetch(job.output)
            waiting.append(job)
        else:
            over.append(Ended(job, Outcome(skipped=True), None, 0.0))
    return over, waiting


def delivered(ended: Ended, shelf: Shelf, *, draw: bool, overwrite: bool) -> Ended:
    """`ended` when its results are on the shelf, or with the error that kept them from it."""
    job, outcome = ended.job, ended.outcome
    if outcome is None:
        return ended
    try:
        for path in [job.output, job.video] if draw else [job.output]:
            shelf.put(path, overwrite=overwrite or outcome.skipped)
    except OutputError as problem:
        return replace(ended, outcome=None, error=problem)
    return ended
