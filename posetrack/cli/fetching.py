"""Downloads as a user sees them: bytes, speed and time to go; and the question before one."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from posetrack.errors import WeightsError
from posetrack.weights.cache import how_to_get
from posetrack.weights.catalogue import Entry, catalogue
from posetrack.weights.listing import state_of

__all__ = ["fetch", "offer_download"]

_PLAIN_EVERY = 10.0
"""Seconds between two plain lines about a download."""


def fetch(entries: Iterable[Entry], folder: Path | None = None) -> Iterator[Path]:
    """The files of `entries`, downloaded with progress where they are not in the cache `folder` yet."""
    from posetrack.weights.install import get_weights

    for entry in entries:
        with _progress(entry.name) as report:
            yield get_weights(entry.name, folder, report, _say_waiting)


def offer_download(names: Iterable[str], folder: Path | None = None) -> None:
    """Fetch those of `names` that the catalogue has and this machine lacks, if the user at the terminal agrees.

    Without a terminal nothing is fetched: WeightsError with the command that does it. Names of files and
    unknown names are left alone.
    """
    known = [catalogue()[name] for name in names if name in catalogue()]
    absent = [entry for entry in known if state_of(entry, folder) == "no" and not entry.shipped]
    if not absent:
        return
    for entry in absent:
        if not entry.url:
            raise WeightsError(f"{entry.name} is not on this machine; {how_to_get(entry)}")
    said = " and ".join(f"{entry.name} ({entry.size_mb:.0f} MB)" for entry in absent)
    place = f" --weights-dir {folder}" if folder else ""
    command = f"`posetrack weights get {' '.join(entry.name for entry in absent)}{place}`"
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise WeightsError(f"not on this machine: {said}; get it with {command}")
    if not click.confirm(f"{said} not on this machine. Download now?", default=True, err=True):
        raise WeightsError(f"not on this machine: {said}; get it later with {command}")
    for path in fetch(absent, folder):
        click.echo(f"fetched {path}", err=True)


def _say_waiting() -> None:
    click.echo("another process is fetching it; waiting for that one", err=True)


@contextmanager
def _progress(name: str) -> Iterator[Callable[[int, int | None], None]]:
    """A live bar on a terminal, a line now and then elsewhere."""
    if not sys.stderr.isatty():
        yield _plain(name)
        return
    from rich import progress
    from rich.console import Console

    with progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as live:
        task = live.add_task(name, total=None)
        yield lambda done, total: live.update(task, completed=done, total=total)


def _plain(name: str) -> Callable[[int, int | None], None]:
    begun = said = time.monotonic()
    first: int | None = None

    def report(done: int, total: int | None) -> None:
        nonlocal said, first
        first = done if first is None else first
        now = time.monotonic()
        if now - said < _PLAIN_EVERY:
            return
        said = now
        speed = (done - first) / (now - begun)
        of, left = (f" of {total / 1e6:.0f}", "") if total else ("", "")
        if total and speed > 0:
            left = f", {(total - done) / speed:.0f} s to go"
        click.echo(f"{name}: {done / 1e6:.0f}{of} MB{left}", err=True)

    return report
