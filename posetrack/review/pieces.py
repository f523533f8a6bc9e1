"""Frames of a result in pieces: found by binary search in the file, packed for the page.

A result has one frame a line, and frame numbers and times grow, so a frame is found in some twenty looks at the file,
however long it is. A piece is the frames whose number divided by `span` is the same: up to 250 frames, fewer where
many people are in them, so that a piece is read in some hundredths of a second.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from posetrack.errors import FormatError
from posetrack.results.reader import read_tracks
from posetrack.review.presence import Presence, PresenceBuilder
from posetrack.types import Source

__all__ = ["FrameLines", "pack"]

_MOST_FRAMES, _LEAST_FRAMES = 250, 10
_MOST_BYTES = 600_000
"""Bytes of a piece in the file, about; 70 frames of 20 people."""

_SOURCES: dict[Source, int] = {"detector": 0, "flow": 1, "file": 2, "fill": 3}
_PLACE = re.compile(rb'\s*\{"index":(\d+),"time":(-?[\d.eE+-]+),')
_ID = re.compile(rb'\{"id":(\d+),')
_EARLY = 1e-6
"""Seconds: as exactly as times stand in the file."""


class FrameLines:
    """The frames of the result file `path`, any of them at once, without reading the others.

    `header` and `tracks` are the reader's; `begin` and `end` are the bytes between which the frames stand; `span` how
    many frame numbers a piece covers. FormatError for what is no result.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        reader = read_tracks(path)
        self.header, self.tracks = reader.header, reader.tracks
        self._data, self.begin = _lines(self.path)
        self.end = _end(self._data, self.begin)
        self.span = self._span()

    def _span(self) -> int:
        """How many numbers of frames make a piece, from the size of some lines here and there."""
        if self.end <= self.begin:
            return _MOST_FRAMES
        starts = {self._start(self.begin + (self.end - 1 - self.begin) * n // 16) for n in range(17)}
        mean = sum(self._next(start) - start for start in starts) / len(starts)
        frames = min(max(_MOST_BYTES / mean, _LEAST_FRAMES), _MOST_FRAMES)
        apart = (self.last[0] - self.first[0] + 1) / max(1.0, (self.end - self.begin) / mean)
        return max(1, round(frames * max(1.0, apart)))

    @property
    def first(self) -> tuple[int, float]:
        """Number and time of the first frame; 0, 0 without any."""
        return self._place(self.begin) if self.end > self.begin else (0, 0.0)

    @property
    def last(self) -> tuple[int, float]:
        """Number and time of the last frame; 0, 0 without any."""
        return self._place(self._before(self.end)) if self.end > self.begin else (0, 0.0)

    def piece_at(self, time: float) -> int:
        """The number of the piece with the last frame that is shown at `time` (seconds), or else with the first."""
        after = self._find(1, time + _EARLY)
        at = after if after == self.begin else self._before(after)
        return self._place(at)[0] // self.span if self.end > self.begin else 0

    def place_of(self, number: int) -> tuple[int, float]:
        """Number and time of the first frame with this number or more, else of the last one."""
        at = self._find(0, number)
        return self._place(at) if at < self.end else self.last

    def neighbours(self, number: int) -> tuple[int | None, int | None, float | None]:
        """The pieces with frames before and behind a piece, and when the one behind begins; None at the ends."""
        begin, end = self._find(0, number * self.span), self._find(0, (number + 1) * self.span)
        before = self._place(self._before(begin))[0] // self.span if begin > self.begin else None
        if end >= self.end:
            return before, None, None
        index, time = self._place(end)
        return before, index // self.span, time

    def piece(self, number: int) -> list[dict[str, Any]]:
        """The frames of a piece as JSON values; none beyond the file's ends."""
        begin = self._find(0, number * self.span)
        end = self._find(0, (number + 1) * self.span)
        return self._parsed(begin, end)

    def pieces(self) -> Iterator[list[dict[str, Any]]]:
        """All frames, a piece or so at a time."""
        begin = self.begin
        while begin < self.end:
            end = self._find(0, self._place(begin)[0] + self.span)
            yield self._parsed(begin, end)
            begin = end

    def presence(self) -> Presence:
        """Who is in which frames, from all lines, of which only the ids are read: some 700,000 poses a second.

        FormatError where frame numbers don't grow or an id is given twice in a frame.
        """
        builder, last, start = PresenceBuilder(), -1, self.begin
        while start < self.end:
            end = self._next(start)
            line = self._data[start:end]
            index, ids = self._place(start)[0], [int(id) for id in _ID.findall(line)]
            if len(ids) != line.count(b'"id"'):
                ids = [person["id"] for person in self._parsed(start, end)[0]["people"]]
            if index <= last or len(set(ids)) != len(ids):
                raise FormatError(f"{self.path}, frame {index} after {last}: numbers must grow, and ids be given once")
            builder.add(index, ids)
            start, last = end, index
        return builder.done()

    def _parsed(self, begin: int, end: int) -> list[dict[str, Any]]:
        text = self._data[begin:end].strip().removesuffix(b",")
        try:
            return list(orjson.loads(b"[%b]" % text))
        except orjson.JSONDecodeError as error:
            raise FormatError(f"{self.path}: damaged between bytes {begin} and {end} ({error.msg})") from error

    def _find(self, part: int, wanted: float) -> int:
        """Where the first frame begins whose number (part 0) or time (1) is `wanted` or more."""
        low, high = self.begin, self.end
        while low < high:
            middle = self._start((low + high) // 2)
            if self._place(middle)[part] < wanted:
                low = self._next(middle)
            else:
                high = middle
        return low

    def _start(self, offset: int) -> int:
        """Where the line begins in which the byte at `offset` stands."""
        newline = self._data.rfind(b"\n", self.begin, offset)
        return self.begin if newline < 0 else newline + 1

    def _next(self, start: int) -> int:
        newline = self._data.find(b"\n", start, self.end)
        return self.end if newline < 0 else newline + 1

    def _before(self, start: int) -> int:
        return self._start(start - 1)

    def _place(self, start: int) -> tuple[int, float]:
        """Number and time of the frame whose line begins at `start`."""
        if found := _PLACE.match(self._data[start : start + 80]):
            return int(found[1]), float(found[2])
        frames = self._parsed(start, self._next(start))
        try:
            return int(frames[0]["index"]), float(frames[0]["time"])
        except (IndexError, KeyError, TypeError, ValueError) as error:
            raise FormatError(f"{self.path}: no frame at byte {start}") from error


def _lines(path: Path) -> tuple[mmap.mmap | bytes, int]:
    """The file with a frame a line, and where the first one begins; laid out so in memory where it is not."""
    with path.open("rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    head = re.search(rb'"frames"\s*:\s*\[[ \t\r]*\n', data[: 1 << 24])
    if head is not None:
        return data, head.end()
    frames = orjson.loads(data[:])["frames"]
    return b"".join(orjson.dumps(frame) + b",\n" for frame in frames) + b"]", 0


def _end(data: mmap.mmap | bytes, begin: int) -> int:
    """Where the line begins that closes the frames; in a journal, the end of the last whole line."""
    start = max(0, begin - 1)
    closing = data.rfind(b"\n]", start)
    return max(begin, (data.rfind(b"\n", start) if closing < 0 else closing) + 1)


def pack(frames: Sequence[dict[str, Any]], joints: int) -> bytes:
    """Frames as bytes for the page (page/pieces.js unpacks them), all little-endian, F frames and P people in all.

    uint32 F, P, joints, whether there are raw joints; float64 times (F); int32 frame numbers (F), first person of each
    frame (F + 1), ids in the file (P); float32 scores (P), boxes (P, 4) x, y, width, height, keypoints (P, joints, 3)
    x, y, score, NaN where absent, raw joints (as these); uint8 cuts (F), sources (P) in the order of types.Source.
    FormatError for frames that are none.
    """
    try:
        return b"".join(_columns(frames, joints))
    except (KeyError, TypeError, ValueError) as error:
        where = f" {frames[0].get('index')}" if frames and isinstance(frames[0], dict) else ""
        raise FormatError(f"a frame from number{where} on is none ({error})") from error


def _columns(frames: Sequence[dict[str, Any]], joints: int) -> Iterator[bytes]:
    people = [person for frame in frames for person in frame["people"]]
    counts = np.array([len(frame["people"]) for frame in frames], np.int64)
    indices = np.array([frame["index"] for frame in frames], np.int64)
    ids = np.array([person["id"] for person in people], np.int64)
    has_raw = any("raw" in person for person in people)
    yield np.array([len(frames), len(people), joints, has_raw], "<u4").tobytes()
    yield np.array([frame["time"] for frame in frames], "<f8").tobytes()
    for whole in (indices, np.concatenate([[0], np.cumsum(counts)]), ids):
        yield whole.astype("<i4").tobytes()
    yield np.array([person["score"] for person in people], "<f4").tobytes()
    yield np.array([person["box"] for person in people], "<f4").reshape(-1, 4).tobytes()
    shape = (len(people), joints, 3)
    yield np.array([person["keypoints"] for person in people], "<f4").reshape(shape).tobytes()
    if has_raw:
        yield np.array([person.get("raw", person["keypoints"]) for person in people], "<f4").reshape(shape).tobytes()
    yield np.array([frame.get("cut", False) for frame in frames], np.uint8).tobytes()
    yield np.array([_SOURCES[person["from"]] for person in people], np.uint8).tobytes()
