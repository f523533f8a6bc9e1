"""Reading posetrack's own result file: strict, and frame by frame.

The file is one JSON document with one frame a line. A document that another program has laid out differently
is read too, then all at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson

from posetrack.errors import FormatError
from posetrack.results.lines import Header, Summary, Track, parse_frame, parse_header, parse_tracks
from posetrack.types import FrameResult

__all__ = ["TrackReader", "read_tracks"]

_FRAMES_BEGIN = re.compile(rb'"frames"\s*:\s*\[\s*$')
_FRAMES_END = re.compile(rb"\n[ \t]*\]")
_COMPLETE = re.compile(rb'"complete"\s*:\s*true\s*\}\s*$')
_HEADER_LINES = 64
_HEADER_LINE_BYTES = 1 << 24


class TrackReader:
    """A result file, read frame by frame; iterate it as often as you like.

    `header` is read at once, frames as they are asked for, so memory does not depend on the length. A journal
    (NAME.part) is read as far as its whole lines go. Every frame is checked; FormatError names file, line and
    field.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._document: dict[str, Any] | None = None
        self._start, self._first_line = 0, 1
        try:
            self.header = self._read_header()
        except OSError as error:
            raise FormatError(f"{path}: cannot be read ({error.strerror})") from error

    def _read_header(self) -> Header:
        with self.path.open("rb") as file:
            head = b""
            for number in range(1, _HEADER_LINES):
                line = file.readline(_HEADER_LINE_BYTES)
                head += line
                if number == 1 and not line.lstrip().startswith(b"{"):
                    raise FormatError(f"{self.path}: {'empty' if not line else 'not a posetrack result'}")
                if _FRAMES_BEGIN.search(line):
                    self._start, self._first_line = file.tell(), number + 1
                    return parse_header(_loads(head + b"]}", str(self.path)), str(self.path))
        self._document = _loads(self.path.read_bytes(), str(self.path))
        header = parse_header(self._document, str(self.path))
        if not isinstance(self._document, dict) or not isinstance(self._document.get("frames"), list):
            raise FormatError(f"{self.path}, frames: a list is wanted")
        return header

    @property
    def is_journal(self) -> bool:
        """Whether this is the unfinished file of a run that is going on or was interrupted."""
        return self.path.name.endswith(".part")

    def __iter__(self) -> Iterator[FrameResult]:
        seen = Summary()
        joints = len(self.header.skeleton)
        for where, record in self.records():
            result = parse_frame(record, joints, where)
            try:
                seen.add(result)
            except ValueError as error:
                raise FormatError(f"{where}, {error}") from error
            yield result
        if self.complete:
            self._check_against(seen)

    def _check_against(self, seen: Summary) -> None:
        said = self.header.video.get("frames_read")
        if said is not None and said != seen.frames:
            raise FormatError(f"{self.path}, video.frames_read: {said}, but the file holds {seen.frames} frames")
        for said_track, track in zip(self.tracks, seen.tracks, strict=False):
            if replace(said_track, name=None) != track:
                raise FormatError(f"{self.path}, tracks: the entry of id {said_track.id} does not fit the frames")
        if len(self.tracks) != len(seen.tracks):
            raise FormatError(
                f"{self.path}, tracks: {len(self.tracks)} entries, but {len(seen.tracks)} ids in the frames"
            )

    def records(self) -> Iterator[tuple[str, Any]]:
        """Each frame as parsed JSON that nobody has checked, with the words that say where it stands.

        Ten times as fast as iterating; FormatError for what is no JSON or is cut off.
        """
        if self._document is not None:
            for i, record in enumerate(self._document["frames"]):
                yield f"{self.path} frames[{i}]", record
            return
        comma = True
        with self.path.open("rb") as file:
            file.seek(self._start)
            for number, line in enumerate(file, self._first_line):
                where, text = f"{self.path} line {number}", line.strip()
                if text.startswith(b"]"):
                    if comma and number > self._first_line:
                        raise FormatError(f"{where}: a comma too many before the end of the frames")
                    return
                if self.is_journal and not line.endswith(b"\n"):
                    return  # the line that was being written when the program was stopped
                if not comma:
                    raise FormatError(f"{where}: no comma after the frame before it")
                comma = text.endswith(b",")
                yield where, _loads(text[:-1] if comma else text, where)
        if not self.is_journal:
            raise FormatError(f"{self.path}: ends in the midst of its frames; it was cut off, copy it again")

    @cached_property
    def _end(self) -> dict[str, Any] | None:
        """What follows the frames; None in a journal."""
        if self._document is not None:
            return self._document if self._document.get("complete") is True else None
        size = self.path.stat().st_size
        length = 1 << 16
        with self.path.open("rb") as file:
            while True:
                begin = max(self._start - 1, size - length)
                file.seek(begin)
                tail = file.read()
                if not _COMPLETE.search(tail[-256:]):
                    return None
                found = list(_FRAMES_END.finditer(tail))
                if found:
                    return dict(_loads(b'{"frames":[' + tail[found[-1].start() :], f"{self.path}, its last line"))
                if begin < self._start:
                    return None
                length *= 4

    @property
    def complete(self) -> bool:
        """Whether the run that wrote the file came to its end."""
        return self._end is not None

    @cached_property
    def tracks(self) -> tuple[Track, ...]:
        """One entry an id: from the end of the file, or counted from the frames of a journal."""
        if self._end is not None:
            return parse_tracks(self._end.get("tracks"), str(self.path))
        seen = Summary()
        for result in self:
            seen.add(result)
        return seen.tracks


def _loads(text: bytes, where: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise FormatError(f"{where}, column {error.colno}: not JSON ({error.msg})") from error


def read_tracks(path: str | Path) -> TrackReader:
    """Open a result file, or the journal of a run that is going on; FormatError when it is something else."""
    return TrackReader(path)
