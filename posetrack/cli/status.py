"""How far a run of many videos is: for a program, in a file; for a person, lines on stderr."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn

from posetrack.runs import Ended, Job
from posetrack.types import FrameResult

__all__ = ["FleetProgress", "Status"]

_EVERY = 1.0
"""Seconds between two writings of the status file."""
_PLAIN_EVERY = 15.0
"""Seconds between two sets of plain lines."""


@dataclass
class _Running:
    """A video that is worked on."""

    expected: int | None
    begun: float = field(default_factory=time.monotonic)
    frames: int = 0
    people: int = 0

    @property
    def speed(self) -> float:
        return self.frames / max(time.monotonic() - self.begun, 1e-9)


class Status:
    """Counts what it is told (see posetrack.workers.driver.Watcher) and keeps `file` up to date, if there is one.

    `total` is the number of inputs.
    """

    def __init__(self, total: int, file: Path | None = None) -> None:
        self.total, self.file = total, file
        self.running: dict[str, _Running] = {}
        self.done = self.failed = self.skipped = 0
        self.frames = 0
        self.ready = self.busy = self.wanted = 0
        self._expected: list[int] = []
        self._begun = time.monotonic()
        self._first: float | None = None
        self._written = 0.0

    # -- told ----------------------------------------------------------------------------------------------------------

    def begun(self, job: Job, expected: int | None) -> None:
        """A video is worked on; about so many frames are to come."""
        self.running[job.source] = _Running(expected)
        if expected is not None:
            self._expected.append(expected)
        self.touch()

    def tracked(self, job: Job, results: list[FrameResult]) -> None:
        """More frames of a video are done."""
        self._first = self._first or time.monotonic()
        video = self.running[job.source]
        video.frames += len(results)
        video.people += sum(len(result.people) for result in results)
        self.frames += len(results)
        self.touch()

    def ended(self, ended: Ended) -> None:
        """A video is over."""
        self.running.pop(ended.job.source, None)
        if ended.outcome is None:
            self.failed += 1
        elif ended.outcome.skipped:
            self.skipped += 1
        else:
            self.done += 1
        self.touch()

    def workers(self, ready: int, busy: int, wanted: int) -> None:
        """So many workers are there, and busy, of those wanted."""
        self.ready, self.busy, self.wanted = ready, busy, wanted
        self.touch()

    # -- tells ---------------------------------------------------------------------------------------------------------

    @property
    def speed(self) -> float:
        """Frames a second in all, since the first was done."""
        return self.frames / max(time.monotonic() - self._first, 1.0) if self._first else 0.0

    @property
    def left(self) -> float | None:
        """Seconds until all is done, if videos not yet looked at are as long as the others; None as yet."""
        if not self.speed or not self._expected:
            return None
        frames = sum(max(0, (video.expected or 0) - video.frames) for video in self.running.values())
        waiting = self.total - self.done - self.failed - self.skipped - len(self.running)
        return (frames + waiting * sum(self._expected) / len(self._expected)) / self.speed

    def record(self, state: str) -> dict[str, Any]:
        """All of it, for a program."""
        left = self.left
        return {
            "state": state,
            "inputs": {"all": self.total, "done": self.done, "failed": self.failed, "skipped": self.skipped,
                       "running": len(self.running)},
            "frames": self.frames, "frames_per_second": round(self.speed, 2),
            "seconds": round(time.monotonic() - self._begun, 1), "seconds_left": None if left is None else round(left),
            "workers": {"wanted": self.wanted, "ready": self.ready, "busy": self.busy},
            "running": [
                {"input": source, "frames": video.frames, "expected": video.expected, "people": video.people,
                 "frames_per_second": round(video.speed, 2)}
                for source, video in self.running.items()
            ],
        }  # fmt: skip

    def touch(self, state: str = "running") -> None:
        """Something has changed."""
        now = time.monotonic()
        if self.file is not None and (state != "running" or now - self._written >= _EVERY):
            self._written = now
            fresh = self.file.with_name(self.file.name + ".new")
            with suppress(OSError):  # a status that cannot be written must not end the run
                fresh.write_bytes(orjson.dumps(self.record(state), option=orjson.OPT_INDENT_2) + b"\n")
                os.replace(fresh, self.file)

    def __enter__(self) -> Status:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        interrupted = kind is not None and issubclass(kind, KeyboardInterrupt)
        self.touch("interrupted" if interrupted else "failed" if kind or self.failed else "done")


class FleetProgress(Status):
    """A line a running video and one for all: live on a terminal, now and then elsewhere. `quiet` shows nothing."""

    def __init__(self, total: int, file: Path | None = None, quiet: bool = False) -> None:
        super().__init__(total, file)
        self._quiet, self._said = quiet, time.monotonic()
        self._live: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        if not quiet and sys.stderr.isatty():
            self._live = Progress(
                SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
                TextColumn("{task.fields[said]}"), console=Console(stderr=True), transient=True,
            )  # fmt: skip
            self._all = self._live.add_task("all inputs", total=total, said="starting workers")

    def __enter__(self) -> FleetProgress:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if self._live:
            self._live.stop()
        super().__exit__(kind, *error)

    def touch(self, state: str = "running") -> None:
        """Something has changed."""
        super().touch(state)
        if self._live:
            self._draw(self._live)
        elif not self._quiet and time.monotonic() - self._said > _PLAIN_EVERY:
            self._said = time.monotonic()
            for source, video in self.running.items():
                of = f" of about {video.expected}" if video.expected else ""
                click.echo(f"{Path(source).name}: {video.frames}{of} frames, {video.speed:.1f} frames/s", err=True)
            click.echo(f"all: {self.done + self.skipped} of {self.total} inputs, {self._words()}", err=True)

    def _draw(self, live: Progress) -> None:
        for source in [source for source in self._tasks if source not in self.running]:
            live.remove_task(self._tasks.pop(source))
        for source, video in self.running.items():
            if source not in self._tasks:
                self._tasks[source] = live.add_task(Path(source).name, total=video.expected, said="")
            live.update(self._tasks[source], completed=video.frames, said=f"{video.speed:.1f} frames/s")
        live.update(self._all, completed=self.done + self.failed + self.skipped, said=self._words())

    def _words(self) -> str:
        left = "" if self.left is None else f", {self.left:.0f} s left"
        failed = f"{self.failed} failed, " if self.failed else ""
        return f"{failed}{self.speed:.1f} frames/s, {self.busy} of {self.ready} workers busy{left}"
