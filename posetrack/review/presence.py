"""Who is in which frames of a result file: all that relabelling needs to know of it.

Built in one pass, small beside the file: one number a frame and two a run of frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posetrack.results.reader import TrackReader
from posetrack.review.records import frame_records

__all__ = ["Numbers", "Presence", "PresenceBuilder", "presence_of"]

Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Presence:
    """The frames of a result file, and for each id the runs of frames that hold it.

    `frames` (F,) int64 are the frame numbers of the file, ascending. `runs` has for each id its first and last frame
    numbers (R,) int64 each, both inclusive: the id is in every frame of the file between them.
    """

    frames: Numbers
    runs: Mapping[int, tuple[Numbers, Numbers]]

    @property
    def ids(self) -> tuple[int, ...]:
        """Who there is, ascending."""
        return tuple(sorted(self.runs))

    def first(self, id: int) -> int:
        """The first frame that holds `id`."""
        return int(self.runs[id][0][0])

    def last(self, id: int) -> int:
        """The last frame that holds `id`."""
        return int(self.runs[id][1][-1])

    def from_frame(self, id: int, frame: int) -> int | None:
        """The first frame at or after `frame` that holds `id`; None when there is none."""
        starts, ends = self.runs[id]
        run = int(np.searchsorted(ends, frame))
        if run == len(ends):
            return None
        if starts[run] >= frame:
            return int(starts[run])
        return int(self.frames[np.searchsorted(self.frames, frame)])

    def before_frame(self, id: int, frame: int) -> int | None:
        """The last frame before `frame` that holds `id`; None when there is none."""
        starts, ends = self.runs[id]
        run = int(np.searchsorted(starts, frame)) - 1
        if run < 0:
            return None
        if ends[run] < frame:
            return int(ends[run])
        return int(self.frames[np.searchsorted(self.frames, frame) - 1])

    def between(self, id: int, first: int, last: int) -> tuple[Numbers, Numbers]:
        """The runs of `id` cut to the frames from `first` to `last`, which both hold it."""
        starts, ends = self.runs[id]
        chosen = slice(int(np.searchsorted(ends, first)), int(np.searchsorted(starts, last, side="right")))
        return np.maximum(starts[chosen], first), np.minimum(ends[chosen], last)


class PresenceBuilder:
    """A `Presence` as it grows, frame by frame."""

    def __init__(self) -> None:
        self._frames: list[int] = []
        self._open: dict[int, int] = {}
        self._runs: dict[int, tuple[list[int], list[int]]] = {}

    def add(self, frame: int, ids: Iterable[int]) -> None:
        """Count one more frame, of a number above all before it, and the ids in it."""
        here = set(ids)
        if here != self._open.keys():
            for id in self._open.keys() - here:
                self._close(id, self._frames[-1])
            for id in here - self._open.keys():
                self._open[id] = frame
        self._frames.append(frame)

    def _close(self, id: int, last: int) -> None:
        starts, ends = self._runs.setdefault(id, ([], []))
        starts.append(self._open.pop(id))
        ends.append(last)

    def done(self) -> Presence:
        """All that was added, as a `Presence`."""
        for id in tuple(self._open):
            self._close(id, self._frames[-1])
        runs = {
            id: (np.array(starts, np.int64), np.array(ends, np.int64))
            for id, (starts, ends) in sorted(self._runs.items())
        }
        return Presence(np.array(self._frames, np.int64), runs)


def presence_of(reader: TrackReader) -> Presence:
    """Who is in which frames of a result file, in one pass; FormatError when it is damaged."""
    builder = PresenceBuilder()
    for frame, ids, _ in frame_records(reader):
        builder.add(frame, ids)
    return builder.done()
