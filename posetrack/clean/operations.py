"""What can be done to tracks, in the order in which it was asked for, and written down in the result."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from posetrack.clean.fill import fill, gaps
from posetrack.clean.filters import FILTERS, Filter
from posetrack.clean.select import keep, keep_ids, max_people, min_frames, region
from posetrack.clean.smooth import smooth
from posetrack.clean.stretches import LONGEST_GAP, jitter
from posetrack.errors import OutputError
from posetrack.results.journal import journal_path
from posetrack.results.reader import read_tracks
from posetrack.results.trajectories import Trajectories, file_sha256, read_trajectories, write_trajectories

__all__ = [
    "Cleaned", "Operation", "apply", "clean_file", "filling", "keeping", "keeping_ids", "limiting", "requiring",
    "restricting", "smoothing", "stitching",
]  # fmt: skip


@dataclass(frozen=True)
class Operation:
    """One thing to do to tracks: its name, every parameter in force (JSON values), and the function that does it.

    The function gives the new tracks and, in words, what it did.
    """

    name: str
    parameters: dict[str, Any]
    function: Callable[[Trajectories], tuple[Trajectories, str]]

    @property
    def record(self) -> dict[str, Any]:
        """How a result file's history tells it."""
        return {"name": self.name, **self.parameters}


def smoothing(filter: Filter, by_score: bool = True) -> Operation:
    """`smooth` with one of FILTERS."""

    def function(tracks: Trajectories) -> tuple[Trajectories, str]:
        smoothed = smooth(tracks, filter, by_score=by_score)
        before, after = jitter(tracks), jitter(smoothed)
        if not before > 0:
            return smoothed, "no jitter to be seen in them"
        return smoothed, f"jitter {before:.3g} -> {after:.3g} body sizes/s^2 ({100 * (after / before - 1):+.0f} %)"

    name = next(name for name, kind in FILTERS.items() if isinstance(filter, kind))
    parameters = {"filter": name, **asdict(filter), "by_score": by_score, "longest_gap": LONGEST_GAP}
    return Operation("smooth", parameters, function)


def filling(frames: int) -> Operation:
    """`fill` of gaps of up to so many frames."""

    def function(tracks: Trajectories) -> tuple[Trajectories, str]:
        filled = fill(tracks, frames)
        count = sum(len(gaps(tracks, person, frames)) for person in tracks.people)
        return filled, f"{count} gaps filled with {_poses(filled) - _poses(tracks)} poses"

    return Operation("fill", {"frames": frames}, function)


def requiring(frames: int) -> Operation:
    """`min_frames`."""
    return _selecting("min-frames", {"frames": frames}, lambda tracks: min_frames(tracks, frames))


def limiting(people: int) -> Operation:
    """`max_people`."""
    return _selecting("max-people", {"people": people}, lambda tracks: max_people(tracks, people))


def keeping(which: str) -> Operation:
    """`keep` by one of its rules."""
    return _selecting("keep", {"which": which}, lambda tracks: keep(tracks, which))


def keeping_ids(ids: Sequence[int]) -> Operation:
    """`keep_ids`."""
    return _selecting("keep", {"ids": sorted(set(ids))}, lambda tracks: keep_ids(tracks, ids))


def restricting(x: float, y: float, width: float, height: float) -> Operation:
    """`region`."""
    parameters = {"x": x, "y": y, "width": width, "height": height}
    return _selecting("region", parameters, lambda tracks: region(tracks, x, y, width, height))


def stitching(seconds: float) -> Operation:
    """`posetrack.clean.stitch.stitch` across absences of up to so many seconds."""
    from posetrack.clean.stitch import stitch  # looks want OpenCV, which nothing else here does

    def function(tracks: Trajectories) -> tuple[Trajectories, str]:
        stitched, joined = stitch(tracks, seconds)
        said = ", ".join(f"{join.joined} is {join.kept} after {join.gap:.3g} s" for join in joined)
        return stitched, f"{len(joined)} joins{': ' if said else ''}{said}"

    return Operation("stitch", {"seconds": seconds}, function)


def _selecting(name: str, parameters: dict[str, Any], select: Callable[[Trajectories], Trajectories]) -> Operation:
    def function(tracks: Trajectories) -> tuple[Trajectories, str]:
        left = select(tracks)
        return left, f"{_poses(tracks) - _poses(left)} poses left out"

    return Operation(name, parameters, function)


def _poses(tracks: Trajectories) -> int:
    return sum(map(len, tracks.people))


def apply(tracks: Trajectories, operations: Sequence[Operation]) -> tuple[Trajectories, tuple[str, ...]]:
    """The tracks after the `operations`, one after another, and a line on what each did."""
    notes = []
    for operation in operations:
        before, (tracks, note) = tracks, operation.function(tracks)
        settings = " ".join(f"{key}={value}" for key, value in operation.parameters.items())
        notes.append(f"{operation.name} {settings}: {len(before.people)} -> {len(tracks.people)} people, {note}")
    return tracks, tuple(notes)


@dataclass(frozen=True)
class Cleaned:
    """The file made, people before and after, and a line on what each operation did."""

    path: Path
    before: int
    after: int
    frames: int
    notes: tuple[str, ...]


def clean_file(
    tracks: str | Path, output: str | Path, operations: Sequence[Operation], *, overwrite: bool = False
) -> Cleaned:
    """Apply `operations` to the result file `tracks` and write `output`, a file or a folder that is there.

    The new file's header tells them, with the parent's name and SHA-256, after what was done to the parent. Raises
    FormatError for a file that is no result, OutputError for an `output` that is the input, cannot be written or holds
    something, and what the operations raise.
    """
    path, target = Path(tracks), Path(output)
    if target.is_dir():
        target = target / path.name.removesuffix(".part")
    if any(_same(path, place) for place in (target, journal_path(target))):
        raise OutputError(f"{target}: cleaning does not change {path} itself; give -o another name")
    if target.exists() and not overwrite:
        raise OutputError(f"{target} exists already; choose another name or allow --overwrite")
    given = read_trajectories(path)
    parent = {"name": path.name, "sha256": file_sha256(path)}
    done, notes = apply(given, operations)
    entry = {"command": "clean", "parent": parent, "operations": [operation.record for operation in operations]}
    header = replace(done.header, history=(*given.header.history, entry))
    write_trajectories(target, replace(done, header=header), overwrite=overwrite)
    if not read_tracks(path).complete:
        notes = (f"{path}: not finished; its {len(given.times)} frames so far were taken", *notes)
    return Cleaned(target, len(given.people), len(done.people), len(done.times), notes)


def _same(one: Path, other: Path) -> bool:
    """Whether both are one file, also through links."""
    return one.exists() and other.exists() and os.path.samefile(one, other)
