"""A result file person by person: what cleaning, editing and plotting work on.

Memory grows with the people seen, not with frames x ids as in native.Tracks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from posetrack.results.journal import write_tracks
from posetrack.results.lines import Header, Track
from posetrack.results.reader import read_tracks
from posetrack.skeleton import Skeleton
from posetrack.types import Floats, FrameResult, Person

__all__ = ["Trajectories", "Trajectory", "file_sha256", "read_trajectories", "write_trajectories"]


@dataclass(frozen=True, eq=False)
class Trajectory:
    """One identity, in the n frames that hold it.

    `rows` (n,) int64, ascending, are places in the frames of `Trajectories`. `keypoints` (n, J, 3) float32 x, y in
    pixels and a score, NaN, NaN, 0 for a joint without a place; `boxes` (n, 4) float32 x1, y1, x2, y2; `scores` (n,)
    float32; `sources` (n,) str, as Person.source. `raw` (n, J, 3) are the joints as they were before they were cleaned,
    equal to `keypoints` where they never were. `appearance` (n, D) float32, NaN in frames where it was not looked at; D
    is 0 where it never was. `name` is what a person called it.
    """

    id: int
    rows: NDArray[np.int64]
    keypoints: Floats
    raw: Floats
    boxes: Floats
    scores: Floats
    sources: NDArray[np.str_]
    appearance: Floats
    name: str | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, chosen: slice | NDArray[np.bool_] | NDArray[np.int64]) -> Trajectory:
        """The same identity in the `chosen` ones of its n frames."""
        return replace(
            self, rows=self.rows[chosen], keypoints=self.keypoints[chosen], raw=self.raw[chosen],
            boxes=self.boxes[chosen], scores=self.scores[chosen], sources=self.sources[chosen],
            appearance=self.appearance[chosen],
        )  # fmt: skip

    @property
    def cleaned(self) -> NDArray[np.bool_]:
        """In which frames (n,) `keypoints` differ from `raw`."""
        same = (self.keypoints == self.raw) | (np.isnan(self.keypoints) & np.isnan(self.raw))
        return np.asarray(~same.all(axis=(1, 2)), np.bool_)


@dataclass(frozen=True, eq=False)
class Trajectories:
    """A whole result file: F frames, and the `people` in them by id.

    `indices` (F,) int64 frame numbers; `times` (F,) float64 seconds; `cuts` (F,) bool, where a new scene begins.
    """

    header: Header
    indices: NDArray[np.int64]
    times: NDArray[np.float64]
    cuts: NDArray[np.bool_]
    people: tuple[Trajectory, ...]

    @property
    def skeleton(self) -> Skeleton:
        """The order of the joints."""
        return self.header.skeleton

    @property
    def ids(self) -> tuple[int, ...]:
        """Who there is, ascending."""
        return tuple(person.id for person in self.people)

    @property
    def names(self) -> dict[int, str]:
        """What people called the ids that have a name."""
        return {person.id: person.name for person in self.people if person.name is not None}

    def frames(self) -> Iterator[FrameResult]:
        """The frames again, people by id."""
        reached = [0] * len(self.people)
        order = sorted(range(len(self.people)), key=lambda n: self.people[n].id)
        cleaned = [person.cleaned for person in self.people]
        for row, (index, time, cut) in enumerate(zip(self.indices, self.times, self.cuts, strict=True)):
            here = []
            for n in order:
                track, k = self.people[n], reached[n]
                if k < len(track) and track.rows[k] == row:
                    here.append(_person(track, k, bool(cleaned[n][k])))
                    reached[n] += 1
            yield FrameResult(int(index), float(time), tuple(here), bool(cut))


def _person(track: Trajectory, k: int, cleaned: bool) -> Person:
    looked_at = track.appearance.shape[1] > 0 and not np.isnan(track.appearance[k]).any()
    return Person(
        track.id, float(track.scores[k]), track.boxes[k], track.keypoints[k],
        str(track.sources[k]),  # type: ignore[arg-type]
        np.rint(track.appearance[k]).astype(np.uint8) if looked_at else None,
        track.raw[k] if cleaned else None,
    )  # fmt: skip


def read_trajectories(path: str | Path) -> Trajectories:
    """Read a result file, or a journal's whole lines; FormatError when it is something else."""
    reader = read_tracks(path)
    places: list[tuple[int, float, bool]] = []
    seen: dict[int, list[tuple[int, Person]]] = {}
    for row, frame in enumerate(reader):
        places.append((frame.index, frame.time, frame.cut))
        for person in frame.people:
            seen.setdefault(person.id, []).append((row, person))
    names = {track.id: track.name for track in reader.tracks}
    looks = (p.appearance for entries in seen.values() for _, p in entries if p.appearance is not None)
    width = max((len(look) for look in looks), default=0)
    people = tuple(_trajectory(id, seen[id], width, names.get(id)) for id in sorted(seen))
    return Trajectories(
        reader.header,
        np.array([index for index, _, _ in places], np.int64),
        np.array([time for _, time, _ in places], np.float64),
        np.array([cut for _, _, cut in places], np.bool_),
        people,
    )


def _trajectory(id: int, entries: Sequence[tuple[int, Person]], width: int, name: str | None) -> Trajectory:
    people = [person for _, person in entries]
    looks = np.full((len(people), width), np.nan, np.float32)
    for k, person in enumerate(people):
        if person.appearance is not None:
            looks[k, : len(person.appearance)] = person.appearance
    return Trajectory(
        id,
        np.array([row for row, _ in entries], np.int64),
        np.stack([person.keypoints for person in people]),
        np.stack([person.keypoints if person.raw is None else person.raw for person in people]),
        np.stack([person.box for person in people]),
        np.array([person.score for person in people], np.float32),
        np.array([person.source for person in people], "<U8"),
        looks,
        name,
    )


def write_trajectories(path: str | Path, tracks: Trajectories, *, overwrite: bool = False) -> tuple[Track, ...]:
    """Write `tracks` as a result file and give its list of tracks; OutputError as `write_tracks`."""
    return write_tracks(path, tracks.header, tracks.frames(), names=tracks.names, overwrite=overwrite)


def file_sha256(path: str | Path) -> str:
    """The SHA-256 of a file, for the history of what is made from it."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
