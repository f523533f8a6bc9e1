"""Corrections made lasting: a result file and its edits become a new result file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from posetrack.errors import FormatError, OutputError
from posetrack.results.lines import FRAMES_READ_WIDTH, Header, Summary, Track, write_header, write_trailer
from posetrack.results.output import new_file
from posetrack.results.reader import TrackReader, read_tracks
from posetrack.results.trajectories import file_sha256
from posetrack.review.edits import Relabelling
from posetrack.review.edits_file import EditsFile, read_edits
from posetrack.review.presence import presence_of
from posetrack.review.records import frame_records
from posetrack.review.verbs import edit_record
from posetrack.types import FrameResult, Person

__all__ = ["edit_tracks", "write_edited"]

_NOWHERE = np.zeros(0, np.float32)


Watch = Callable[[int | None], Callable[[FrameResult], None]]
"""Told about how many frames will come, gives what is then called with each one written (ids and scores only)."""


def edit_tracks(
    tracks: str | Path,
    edits: str | Path,
    output: str | Path,
    *,
    overwrite: bool = False,
    watch: Watch | None = None,
) -> EditsFile:
    """Replay the edits file `edits` on the result file `tracks` into a new result file, and give the edits.

    Memory does not grow with the length. Raises FormatError when either file is damaged, when the edits belong to
    another result file or make no sense, and OutputError as `write_edited`.
    """
    reader = read_tracks(tracks)
    sha256 = file_sha256(tracks)
    read_edits(edits).check(tracks, sha256)
    names = {track.id: track.name for track in reader.tracks if track.name is not None}
    replayed = EditsFile(edits, tracks, presence_of(reader), names, lambda: sha256)
    write_edited(replayed, output, overwrite=overwrite, watch=watch)
    return replayed


def write_edited(
    edits: EditsFile, output: str | Path, *, overwrite: bool = False, watch: Watch | None = None
) -> tuple[Track, ...]:
    """Write what the edits in force make of their result file as a new one, and give its tracks.

    Only ids and names differ, people deleted are left out, and the history tells the edits and the hash of the file
    that they were made on. Raises FormatError when that is damaged or unfinished, OutputError when `output` cannot be
    written, exists (unless `overwrite`) or is that very file.
    """
    reader = read_tracks(edits.tracks)
    if not reader.complete:
        raise FormatError(f"{edits.tracks}: is not finished; go on with posetrack run --resume, then edit it")
    if Path(output).resolve() == edits.tracks.resolve():
        raise OutputError(f"{output}: is the result that is being edited, which stays as it is; choose another name")
    edits.verify()
    entry = {
        "command": "edit",
        "parent": {"name": edits.tracks.name, "sha256": edits.sha256()},
        "operations": [edit_record(edit) for edit in edits.edits],
    }
    header = replace(reader.header, history=(*reader.header.history, entry))
    frames = _watched(_relabelled(reader, edits.state), watch, reader.header.video.get("frames_read"))
    return _write(output, header, frames, edits.state.names, overwrite)


def _relabelled(reader: TrackReader, state: Relabelling) -> Iterator[tuple[dict[str, Any], FrameResult]]:
    """The frames of a result file with the people under the ids that they are shown under, and what counts of them."""
    for frame, ids, record in frame_records(reader):
        if not state.moved.keys().isdisjoint(ids):
            shown = [(state.shown(person["id"], frame), person) for person in record["people"]]
            record["people"] = [{**person, "id": id} for id, person in shown if id is not None]
        try:
            people = tuple(Person(one["id"], one["score"], _NOWHERE, _NOWHERE) for one in record["people"])
            yield record, FrameResult(frame, 0.0, people)
        except KeyError as error:
            raise FormatError(f"{reader.path}, frame {frame}: somebody has no {error}") from error


def _watched(
    frames: Iterator[tuple[dict[str, Any], FrameResult]], watch: Watch | None, total: int | None
) -> Iterator[tuple[dict[str, Any], FrameResult]]:
    """The same, told to who watches."""
    tell = watch(total) if watch else None
    for record, counted in frames:
        yield record, counted
        if tell:
            tell(counted)


def _write(
    output: str | Path,
    header: Header,
    frames: Iterator[tuple[dict[str, Any], FrameResult]],
    names: Mapping[int, str],
    overwrite: bool,
) -> tuple[Track, ...]:
    """A result file of frames as JSON values, in the very bytes that Journal gives."""
    summary = Summary()
    start, frames_read_at = write_header(header)
    with new_file(output, overwrite=overwrite) as file:
        file.write(start)
        for record, counted in frames:
            file.write((b",\n" if summary.frames else b"") + orjson.dumps(record))
            summary.add(counted)
        tracks = tuple(replace(track, name=names.get(track.id)) for track in summary.tracks)
        file.write((b"\n" if summary.frames else b"") + write_trailer(tracks))
        file.seek(frames_read_at)
        file.write(b"%d" % summary.frames + b" " * (FRAMES_READ_WIDTH - len(str(summary.frames))))
        file.flush()
        os.fsync(file.fileno())
    return tracks
