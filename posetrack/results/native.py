"""posetrack's own result file: written through a journal, read as a stream or as arrays.

The format is that of schema.json beside this file. lines.py knows its lines, journal.py writes and reader.py
reads it; this is their door, and the file as arrays.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from posetrack.errors import FormatError
from posetrack.results.journal import Journal, Resume, journal_path, resume_point, write_tracks
from posetrack.results.lines import Header, Track
from posetrack.results.reader import TrackReader, read_tracks
from posetrack.skeleton import Skeleton
from posetrack.types import Floats, FrameResult, Person

__all__ = [
    "Header", "Journal", "Resume", "Track", "TrackReader", "Tracks", "journal_path", "load", "read_tracks",
    "resume_point", "write_tracks",
]  # fmt: skip


@dataclass(frozen=True, eq=False)
class Tracks:
    """A whole result file as arrays: F frames x T tracks x J joints, NaN where a track is not in a frame.

    `ids` (T,) int64, ascending; `indices` (F,) int64 frame numbers; `times` (F,) float64 seconds; `cuts` (F,)
    bool; `keypoints` (F, T, J, 3) float32 x, y in pixels and a score; `boxes` (F, T, 4) float32 x1, y1, x2,
    y2; `scores` (F, T) float32; `sources` (F, T) str, '' where absent.
    """

    ids: NDArray[np.int64]
    indices: NDArray[np.int64]
    times: NDArray[np.float64]
    cuts: NDArray[np.bool_]
    keypoints: Floats
    boxes: Floats
    scores: Floats
    sources: NDArray[np.str_]
    header: Header

    @property
    def skeleton(self) -> Skeleton:
        """The order of the joints."""
        return self.header.skeleton

    def frames(self) -> Iterator[FrameResult]:
        """The frames again, people by id; for `write_tracks`."""
        for f, (index, time, cut) in enumerate(zip(self.indices, self.times, self.cuts, strict=True)):
            people = tuple(
                Person(
                    int(self.ids[t]), float(self.scores[f, t]), self.boxes[f, t], self.keypoints[f, t],
                    str(self.sources[f, t]),  # type: ignore[arg-type]
                )
                for t in np.flatnonzero(~np.isnan(self.scores[f]))
            )  # fmt: skip
            yield FrameResult(int(index), float(time), people, bool(cut))


def load(path: str | Path) -> Tracks:
    """Read a result file, or a journal's whole lines, into arrays; FormatError when it is something else.

    The arrays are dense: for long videos with many people stream with `read_tracks`.
    """
    reader = read_tracks(path)
    ids = np.array([track.id for track in reader.tracks], np.int64)
    column = {int(id): t for t, id in enumerate(ids)}
    count = reader.header.video.get("frames_read") if reader.complete else None
    tracks = _nobody(ids, sum(1 for _ in reader) if count is None else count, reader.header)
    for row, result in enumerate(reader):
        if row >= len(tracks.indices):
            continue  # the reader says at its end that the count is wrong
        tracks.indices[row], tracks.times[row], tracks.cuts[row] = result.index, result.time, result.cut
        for person in result.people:
            if person.id not in column:
                raise FormatError(f"{path}, tracks: no entry for id {person.id}")
            place = row, column[person.id]
            tracks.keypoints[place], tracks.boxes[place] = person.keypoints, person.box
            tracks.scores[place], tracks.sources[place] = person.score, person.source
    return tracks


def _nobody(ids: NDArray[np.int64], frames: int, header: Header) -> Tracks:
    """Arrays of the right shape with nothing in them."""
    shape = (frames, len(ids))
    return Tracks(
        ids=ids,
        indices=np.zeros(frames, np.int64),
        times=np.zeros(frames),
        cuts=np.zeros(frames, np.bool_),
        keypoints=np.full((*shape, len(header.skeleton), 3), np.nan, np.float32),
        boxes=np.full((*shape, 4), np.nan, np.float32),
        scores=np.full(shape, np.nan, np.float32),
        sources=np.zeros(shape, "<U8"),
        header=header,
    )
