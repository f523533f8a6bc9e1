"""Writing a result file: a journal that survives any end, and an atomic finish.

While it is written, NAME.tracks.json is called NAME.tracks.json.part. Every frame goes to the system as soon
as it is known, so a killed program loses at most the line it was writing. NAME.tracks.json.part.state says up
to which byte the journal agrees with a state of the tracker; a resumed run cuts the journal there, takes that
state and goes on.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import orjson

from posetrack.errors import FormatError, OutputError
from posetrack.results.lines import (
    FRAMES_READ_WIDTH,
    Header,
    Summary,
    Track,
    header_record,
    write_frame,
    write_header,
    write_trailer,
)
from posetrack.results.reader import TrackReader
from posetrack.types import FrameResult

__all__ = ["Journal", "Resume", "journal_path", "resume_point", "write_tracks"]

_STATE_FORMAT = "posetrack-state"


@dataclass(frozen=True)
class Resume:
    """Where an interrupted run goes on.

    Frames numbered `next_frame` and above are still to be done, `frames` of them are; `state` is what the
    tracker kept, `offset` the bytes of the journal that agree with it.
    """

    next_frame: int
    frames: int
    state: dict[str, Any]
    offset: int


def journal_path(path: str | Path) -> Path:
    """What the result file `path` is called until it is finished."""
    return Path(f"{path}.part")


def _state_path(path: str | Path) -> Path:
    return Path(f"{path}.part.state")


def resume_point(path: str | Path, header: Header) -> Resume | None:
    """Where the interrupted writing of `path` can go on; None when it has to start at the first frame.

    A journal without a usable checkpoint (stopped before its first, or damaged) is removed, so that `Journal`
    starts anew. OutputError that names the first difference when it was begun with another video or other
    settings.
    """
    part = journal_path(path)
    if not part.is_file():
        return None
    try:
        begun = TrackReader(part).header
        record = orjson.loads(_state_path(path).read_bytes())
        point = Resume(record["next_frame"], record["frames"], record["state"], record["offset"])
        if part.stat().st_size < point.offset:
            raise ValueError("the journal is shorter than its checkpoint says")
    except (FormatError, OSError, ValueError, KeyError, TypeError):
        part.unlink(missing_ok=True)
        return None
    difference = _first_difference(header_record(begun), header_record(header))
    if difference:
        raise OutputError(f"{part}: begun with other settings ({difference}); repeat its options or use --overwrite")
    return point


def _first_difference(then: Any, now: Any, name: str = "") -> str:
    """'settings.queue_length was 10, is 5', or '' when both are equal."""
    if isinstance(then, dict) and isinstance(now, dict):
        for key in [*then, *(k for k in now if k not in then)]:
            inner = _first_difference(then.get(key), now.get(key), f"{name}.{key}" if name else key)
            if inner:
                return inner
        return ""
    if then == now:
        return ""
    was, new = (orjson.dumps(v).decode() for v in (then, now))
    return f"{name} was {was[:80]}, is {new[:80]}"


class Journal:
    """A result file being written; a context manager.

    Left without an exception it finishes the file: closing line, fsync, rename. Left with one it keeps the
    journal for a resumed run (unless no frame was written). `resume` is what `resume_point` gave. `overwrite`
    lets go of an earlier file or journal of that name; `names` are what people called the ids. The folder is made when
    it is not there.

    Raises OutputError when the place cannot be written, is full, or holds something already.
    """

    def __init__(
        self,
        path: str | Path,
        header: Header,
        *,
        resume: Resume | None = None,
        names: Mapping[int, str] | None = None,
        overwrite: bool = False,
    ) -> None:
        self.path = Path(path)
        self.part = journal_path(path)
        self._joints = len(header.skeleton)
        self._overwrite = overwrite
        self._names = dict(names or {})
        self._summary = Summary()
        start, self._frames_read_at = write_header(header)
        if not overwrite:
            self._refuse_existing(resume)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[bytes] = self.part.open("r+b" if resume else "w+b", buffering=0)
        except OSError as error:
            raise OutputError(f"{self.path}: cannot be written ({error.strerror}); choose another place") from error
        try:
            if resume:
                self._go_on(resume)
            else:
                _state_path(path).unlink(missing_ok=True)
                self._put(start)
        except BaseException:
            self._abandon()
            raise
        self._end = self._file.tell()

    def _refuse_existing(self, resume: Resume | None) -> None:
        if self.path.exists():
            raise OutputError(f"{self.path} exists already; choose another name or allow --overwrite")
        if resume is None and self.part.is_file() and _holds_frames(self.part):
            raise OutputError(f"{self.part} holds frames of an interrupted run; go on with --resume or use --overwrite")

    def _go_on(self, resume: Resume) -> None:
        """Cut the journal at the checkpoint and count what it holds so far."""
        self._file.truncate(resume.offset)
        self._file.seek(resume.offset)
        if resume.frames:
            # the checkpoint lies before the comma: a run that died while finishing has replaced it
            self._put(b",\n")
        for result in TrackReader(self.part):
            self._summary.add(result)
        if self._summary.frames != resume.frames:
            raise OutputError(f"{self.part}: not the journal its .state was made for; start anew with --overwrite")

    def write(self, result: FrameResult, line: bytes | None = None) -> None:
        """Add one frame; it is with the operating system when this returns.

        `line` is what lines.write_frame made of it elsewhere; then only ids and scores of its people are looked at.

        Raises OutputError when the disk is full or gone, ValueError for a frame that no result file may hold.
        """
        line = write_frame(result, self._joints) if line is None else line
        self._summary.add(result)
        self._put(line + b",\n")
        self._end = self._file.tell()

    def checkpoint(self, state: dict[str, Any], next_frame: int | None = None) -> None:
        """Note that the journal so far belongs to `state`, which a resumed run gets back.

        `state` holds JSON values or numpy arrays (back as lists; NaN as None, which numpy reads as NaN), or an
        orjson.Fragment of them; floats come back exactly. `next_frame` is the number from which frames are wanted; the
        last one's + 1 by default.
        """
        record = {
            "format": _STATE_FORMAT,
            "offset": self._end - (2 if self._summary.frames else 0),
            "frames": self._summary.frames,
            "next_frame": self._summary.last_index + 1 if next_frame is None else next_frame,
            "state": state,
        }
        target = _state_path(self.path)
        fresh = target.with_name(target.name + ".new")
        try:
            fresh.write_bytes(orjson.dumps(record, default=_as_list, option=orjson.OPT_SERIALIZE_NUMPY))
            os.replace(fresh, target)
        except OSError as error:
            fresh.unlink(missing_ok=True)
            raise self._failure(error) from error

    @property
    def frames(self) -> int:
        """How many frames the journal holds."""
        return self._summary.frames

    @property
    def tracks(self) -> tuple[Track, ...]:
        """The tracks of the frames so far."""
        return tuple(replace(track, name=self._names.get(track.id)) for track in self._summary.tracks)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._finish()
        else:
            self._abandon()

    def _abandon(self) -> None:
        """Leave the journal for a resumed run, if there is anything in it."""
        self._file.close()
        if not self._summary.frames:
            self.part.unlink(missing_ok=True)
            _state_path(self.path).unlink(missing_ok=True)

    def _finish(self) -> None:
        if self._summary.frames:
            self._file.seek(self._end - 2)
            self._file.truncate()
            self._put(b"\n")
        self._put(write_trailer(self.tracks))
        self._file.seek(self._frames_read_at)
        self._put(b"%d" % self._summary.frames + b" " * (FRAMES_READ_WIDTH - len(str(self._summary.frames))))
        try:
            os.fsync(self._file.fileno())
            self._file.close()
            if self.path.exists() and not self._overwrite:
                raise OutputError(f"{self.path} has come to exist meanwhile; the result is kept as {self.part}")
            os.replace(self.part, self.path)
        except OSError as error:
            raise self._failure(error) from error
        _state_path(self.path).unlink(missing_ok=True)

    def _put(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            self._file.close()
            raise self._failure(error) from error

    def _failure(self, error: OSError) -> OutputError:
        return OutputError(
            f"{self.part}: cannot be written ({error.strerror}); the frames in it are kept: "
            "make room, then go on with --resume"
        )


def _as_list(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be kept in a checkpoint")


def _holds_frames(part: Path) -> bool:
    try:
        return next(iter(TrackReader(part)), None) is not None
    except FormatError:
        return False


def write_tracks(
    path: str | Path,
    header: Header,
    frames: Iterable[FrameResult],
    *,
    names: Mapping[int, str] | None = None,
    overwrite: bool = False,
) -> tuple[Track, ...]:
    """Write a whole result file at once (what was made from another one) and give its tracks.

    `names` are what people called the ids.

    Raises OutputError as `Journal` does; nothing is left behind when `frames` fails.
    """
    journal = Journal(path, header, names=names, overwrite=overwrite)
    try:
        with journal:
            for result in frames:
                journal.write(result)
    except BaseException:
        journal.part.unlink(missing_ok=True)
        raise
    return journal.tracks
