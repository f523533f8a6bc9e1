"""The index of a folder of results: `runs.jsonl`, one line an input, so that it greps and any program reads it.

    {"input": "a/clip.mp4", "output": "clip.tracks.json", "state": "done", "frames": 250, "people": 4,
     "seconds": 31.2, "error": null}

Lines are added while a run goes on (the last one of an output counts) and put in order, one an output, at its end.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import orjson

from posetrack.errors import OutputError

__all__ = ["RUN_LIST", "Line", "RunList"]

RUN_LIST = "runs.jsonl"


@dataclass(frozen=True)
class Line:
    """What came of one input. `output` is the result's name in the folder; `people` the number of tracks."""

    input: str
    output: str
    state: Literal["running", "done", "failed", "interrupted"]
    frames: int | None = None
    people: int | None = None
    seconds: float | None = None
    error: str | None = None


class RunList:
    """The index of `folder`, which is made if need be; a context manager.

    Left, it is written anew, with `interrupted` for what was begun and not ended. Raises OutputError where it cannot be
    written. What is in it already stays; a line that is torn or of another kind is dropped.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / RUN_LIST
        self._lines: dict[str, Line] = {}
        self._begun: set[str] = set()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._read()
            self._file = self.path.open("ab")
            if self._file.tell() and not self._whole:
                self._file.write(b"\n")
        except OSError as error:
            raise OutputError(f"{self.path}: cannot be written ({error.strerror}); choose another place") from error

    def _read(self) -> None:
        text = self.path.read_bytes() if self.path.exists() else b""
        self._whole = text.endswith(b"\n")
        for row in text.splitlines():
            try:
                line = Line(**orjson.loads(row))
            except (orjson.JSONDecodeError, TypeError):
                continue
            self._lines[line.output] = line

    def is_done(self, output: str) -> bool:
        """Whether the list says of an output that it is done."""
        return output in self._lines and self._lines[output].state == "done"

    def note(self, line: Line) -> None:
        """Add what is now so of an output."""
        if line.state == "running":
            self._begun.add(line.output)
        else:
            self._begun.discard(line.output)
        self._lines[line.output] = line
        self._file.write(_row(line))
        self._file.flush()

    def __enter__(self) -> RunList:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()
        for output in self._begun:
            self._lines[output] = Line(self._lines[output].input, output, "interrupted")
        fresh = self.path.with_name(self.path.name + ".new")
        fresh.write_bytes(b"".join(map(_row, self._lines.values())))
        os.replace(fresh, self.path)


def _row(line: Line) -> bytes:
    return orjson.dumps(asdict(line)) + b"\n"
