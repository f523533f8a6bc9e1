"""How far a long command is: a live line on a terminal, a plain line now and then elsewhere. All on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from posetrack.types import FrameResult

__all__ = ["FrameProgress", "frame_progress"]

_PLAIN_EVERY = 15.0
"""Seconds between two plain lines."""


class FrameProgress:
    """Frames of one video as they are done; a context manager.

    `total` is about how many will come, None where nobody knows. `quiet` shows nothing.
    """

    def __init__(self, name: str, total: int | None, quiet: bool = False) -> None:
        self._name, self._total, self._quiet = name, total, quiet
        self._frames = self._people = 0
        self._begun = self._said = time.monotonic()
        self._live: Progress | None = None
        if not quiet and sys.stderr.isatty():
            self._live = Progress(
                SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
                TextColumn("{task.fields[speed]}"), TimeRemainingColumn(), TextColumn("{task.fields[people]}"),
                console=Console(stderr=True), transient=True,
            )  # fmt: skip
            self._task = self._live.add_task(name, total=total, speed="", people="")

    def __enter__(self) -> FrameProgress:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def advance(self, people: int) -> None:
        """One more frame is done, with so many people."""
        self._frames += 1
        self._people += people
        if self._live:
            self._live.update(
                self._task, advance=1, speed=f"{self.speed:.1f} frames/s", people=f"{people} people"
            )
        elif not self._quiet and time.monotonic() - self._said > _PLAIN_EVERY:
            self._said = time.monotonic()
            click.echo(self._plain(), err=True)

    @property
    def speed(self) -> float:
        """Frames a second so far."""
        return self._frames / max(time.monotonic() - self._begun, 1e-9)

    def _plain(self) -> str:
        of = f" of about {self._total}" if self._total else ""
        left = f", {max(self._total - self._frames, 0) / self.speed:.0f} s left" if self._total else ""
        mean = self._people / self._frames
        return f"{self._name}: {self._frames}{of} frames, {mean:.1f} people a frame, {self.speed:.1f} frames/s{left}"


@contextmanager
def frame_progress(name: str, quiet: bool = False) -> Iterator[Callable[[int | None], Callable[[FrameResult], None]]]:
    """Progress that begins when it is told about how many frames will come; see posetrack.runs.Watch."""
    with ExitStack() as stack:

        def watch(total: int | None) -> Callable[[FrameResult], None]:
            progress = stack.enter_context(FrameProgress(name, total, quiet))
            return lambda result: progress.advance(len(result.people))

        yield watch
