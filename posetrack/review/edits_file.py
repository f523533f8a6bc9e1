"""The small file beside the tracks that holds the corrections: one a line, added at once, never rewritten.

    {"format":"posetrack-edits","version":1,"tracks":{"name":"clip.tracks.json","bytes":81234,"sha256":"..."}}
    {"verb":"swap","ids":[3,7],"frame":120}
    {"verb":"undo"}
    {"verb":"redo"}

Undoing is a line, too. So a crash loses at most the line that was being written, and the file tells all that happened.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from posetrack.errors import FormatError, OutputError
from posetrack.results.trajectories import file_sha256
from posetrack.review.edits import Relabelling
from posetrack.review.presence import Presence
from posetrack.review.verbs import VERBS, Edit, edit_record, parse_edit

__all__ = ["EDITS_VERSION", "EditsFile", "EditsRecord", "edits_path", "read_edits"]

EDITS_VERSION = 1
_FORMAT = "posetrack-edits"
_STEPS = ("undo", "redo")

Step = Edit | str
"""An edit, "undo" or "redo"."""


def edits_path(tracks: str | Path) -> Path:
    """Where the edits of a result file lie: clip.edits.jsonl beside clip.tracks.json."""
    path = Path(tracks)
    name = path.name.removesuffix(".json").removesuffix(".tracks")
    return path.with_name(f"{name}.edits.jsonl")


@dataclass(frozen=True)
class EditsRecord:
    """What an edits file says.

    `name`, `bytes` and `sha256` tell the result file that it belongs to; `steps` are the edits, undos and redos with
    the numbers of their lines; `length` is how many bytes of the file are whole lines, `cut` whether more
    follow.
    """

    path: Path
    name: str
    bytes: int | None
    sha256: str
    steps: tuple[tuple[int, Step], ...]
    length: int
    cut: bool

    def check(self, tracks: str | Path, sha256: str) -> None:
        """FormatError when the edits belong to another result file than `tracks`, which has this hash."""
        if self.sha256 != sha256:
            raise FormatError(
                f"{self.path}: these are edits of another result ({self.name}, SHA-256 {self.sha256[:12]}...), not of "
                f"{tracks} ({sha256[:12]}...); give the result that they were made on"
            )


def read_edits(path: str | Path) -> EditsRecord:
    """Read an edits file; FormatError that names file, line and field when it is none.

    A last line without its end was being written when the program was stopped: it is left out (`cut`).
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FormatError(f"{path}: cannot be read ({error.strerror})") from error
    length = data.rfind(b"\n") + 1
    lines = data[:length].split(b"\n")[:-1]
    if not lines:
        raise FormatError(f"{path}: {'empty' if not data else 'not an edits file'}")
    tracks = _parse_head(lines[0], path)
    steps = tuple((n, _parse_step(_loads(line, path, n), f"{path} line {n}")) for n, line in enumerate(lines[1:], 2))
    return EditsRecord(path, tracks["name"], tracks.get("bytes"), tracks["sha256"], steps, length, length < len(data))


def _loads(line: bytes, path: Path, number: int) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise FormatError(f"{path} line {number}, column {error.colno}: not JSON ({error.msg})") from error


def _parse_head(line: bytes, path: Path) -> Mapping[str, Any]:
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        record = None
    if not isinstance(record, dict) or record.get("format") != _FORMAT:
        raise FormatError(f'{path}: not an edits file (no "format": "{_FORMAT}" in its first line)')
    version = record.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise FormatError(f"{path}, version: {version!r} is not a version number")
    if version > EDITS_VERSION:
        raise FormatError(
            f"{path}, version: {version} is newer than this posetrack reads ({EDITS_VERSION}); update posetrack"
        )
    tracks = record.get("tracks")
    if not isinstance(tracks, dict) or not all(isinstance(tracks.get(key), str) for key in ("name", "sha256")):
        raise FormatError(f"{path}, tracks: the name and the sha256 of the result file are wanted")
    return tracks


def _parse_step(record: Any, where: str) -> Step:
    if isinstance(record, dict) and record.get("verb") in _STEPS and len(record) == 1:
        return str(record["verb"])
    try:
        return parse_edit(record)
    except ValueError as error:
        hint = "" if isinstance(record, dict) and record.get("verb") in VERBS else ", undo, redo"
        raise FormatError(f"{where}, {error}{hint}") from error


class EditsFile:
    """The edits of one result file as they are made: what is in force, and the file that keeps them.

    `presence` and `names` are those of the result file `tracks`; `sha256` gives its hash and is asked only when it is
    needed: before the first line is written, by `verify`, and when there is a file already, before the first change.
    The file is made with the first edit. One that is there is read and replayed; FormatError says where it is damaged,
    or which of its edits makes no sense. Not for several threads at once.
    """

    def __init__(
        self,
        path: str | Path,
        tracks: str | Path,
        presence: Presence,
        names: Mapping[int, str] | None = None,
        sha256: Callable[[], str] | None = None,
    ) -> None:
        self.path, self.tracks = Path(path), Path(tracks)
        self._sha256 = sha256 or (lambda: file_sha256(tracks))
        self._states = [Relabelling.start(presence, names)]
        self._edits: list[Edit] = []
        self._undone: list[tuple[Edit, Relabelling]] = []
        self._record = read_edits(path) if self.path.exists() else None
        self._length = self._record.length if self._record else 0
        self._size = self.path.stat().st_size if self._record else 0
        self._verified = False
        if self._record:
            self._check_size(self._record)
            for line, step in self._record.steps:
                try:
                    self._take(step)
                except ValueError as error:
                    raise FormatError(f"{path} line {line}: {error}") from error

    @property
    def state(self) -> Relabelling:
        """Who is shown under which id now."""
        return self._states[-1]

    @property
    def edits(self) -> tuple[Edit, ...]:
        """The edits in force, oldest first; what was undone is not among them."""
        return tuple(self._edits)

    @property
    def undone(self) -> tuple[Edit, ...]:
        """The edits that can be redone, the next one last."""
        return tuple(edit for edit, _ in self._undone)

    @property
    def cut(self) -> bool:
        """Whether the file that was found ended in half a line, which is lost."""
        return self._record is not None and self._record.cut

    def sha256(self) -> str:
        """The hash of the result file."""
        return self._sha256()

    def apply(self, edit: Edit) -> Relabelling:
        """Make an edit and keep it; ValueError that says why when it makes no sense now, OutputError as for `undo`."""
        return self._keep(edit)

    def undo(self) -> Relabelling:
        """Take the last edit back; ValueError when there is none.

        OutputError when the file cannot be written or was changed by another program, FormatError when it turns out to
        belong to another result file; the edits in force are then as before.
        """
        return self._keep("undo")

    def redo(self) -> Relabelling:
        """Make the edit again that was undone last; ValueError when there is none, errors as `undo`."""
        return self._keep("redo")

    def verify(self) -> None:
        """FormatError when the file that was found belongs to another result file; this asks for the hash."""
        if self._record and not self._verified:
            self._record.check(self.tracks, self.sha256())
        self._verified = True

    def _check_size(self, record: EditsRecord) -> None:
        """Tell edits of another result file at once, where its size tells."""
        size = self.tracks.stat().st_size
        if record.bytes is not None and record.bytes != size:
            raise FormatError(
                f"{self.path}: these are edits of another result ({record.name}, {record.bytes} bytes), not of "
                f"{self.tracks} ({size} bytes); give the result that they were made on"
            )

    def _keep(self, step: Step) -> Relabelling:
        before = (list(self._states), list(self._edits), list(self._undone))
        state = self._take(step)
        try:
            self.verify()
            self._append(step)
        except BaseException:
            self._states, self._edits, self._undone = before
            raise
        return state

    def _take(self, step: Step) -> Relabelling:
        if step == "undo":
            if not self._edits:
                raise ValueError("there is nothing to undo")
            self._undone.append((self._edits.pop(), self._states.pop()))
        elif step == "redo":
            if not self._undone:
                raise ValueError("there is nothing to redo")
            edit, state = self._undone.pop()
            self._edits.append(edit)
            self._states.append(state)
        else:
            assert not isinstance(step, str)
            self._states.append(self.state.apply(step))
            self._edits.append(step)
            self._undone.clear()
        return self.state

    def _append(self, step: Step) -> None:
        line = orjson.dumps({"verb": step} if isinstance(step, str) else edit_record(step)) + b"\n"
        try:
            if self._size:
                self._add(line)
            else:
                self._begin(self._head() + line)
        except OSError as error:
            raise OutputError(f"{self.path}: cannot be written ({error.strerror}); the edit is not kept") from error

    def _head(self) -> bytes:
        tracks = {"name": self.tracks.name, "bytes": self.tracks.stat().st_size, "sha256": self.sha256()}
        return orjson.dumps({"format": _FORMAT, "version": EDITS_VERSION, "tracks": tracks}) + b"\n"

    def _begin(self, data: bytes) -> None:
        """Make the file with its first lines: whole or not at all."""
        if self.path.exists():
            raise OutputError(f"{self.path} has come to exist meanwhile; open the tracks again")
        fresh = self.path.with_name(self.path.name + ".new")
        try:
            with fresh.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(fresh, self.path)
        finally:
            fresh.unlink(missing_ok=True)
        self._size = self._length = len(data)

    def _add(self, line: bytes) -> None:
        """Add a line behind the whole lines; nothing of it stays when that fails."""
        with self.path.open("r+b", buffering=0) as file:
            if file.seek(0, os.SEEK_END) != self._size:
                raise OutputError(f"{self.path} was changed by another program; open the tracks again")
            try:
                file.truncate(self._length)
                file.seek(self._length)
                if file.write(line) != len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(file.fileno())
                self._length += len(line)
            finally:
                self._size = file.truncate(self._length)
