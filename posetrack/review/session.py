"""One review: a result file, its video, its edits, and what the page may ask of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Any

from posetrack.errors import PosetrackError
from posetrack.results.trajectories import file_sha256
from posetrack.review.edits_file import EditsFile, edits_path
from posetrack.review.pieces import FrameLines, pack
from posetrack.review.presence import Presence
from posetrack.review.proxy import Film, find_video
from posetrack.review.replay import write_edited
from posetrack.review.server import Query, Reply, Site, as_json, page_files
from posetrack.review.survey import Survey, survey
from posetrack.review.verbs import Edit, edit_record, parse_edit

__all__ = ["Session"]

_ANCHORS = 200


class Session:
    """Answers the review page of the result file `tracks` and its `video`; see `site`.

    Frames can be asked for at once. A thread of its own, which begins with `start`, reads who is where (edits can be
    made from then on), and then the timeline's stretches and the suspects. Raises FormatError for what is no result or
    not of this video, InputError for a video that cannot be read.
    """

    def __init__(self, tracks: str | Path, video: str | None = None) -> None:
        self.tracks = Path(tracks)
        self._lines = FrameLines(tracks)
        self._film = Film(find_video(self.tracks, self._lines.header, video))
        self._lock = threading.Lock()
        self._edits: EditsFile | None = None
        self._version = 0
        self._said = ""
        self._presence: Presence | None = None
        self._survey: Survey | None = None
        self._hash: Future[str] = Future()
        self._share = 0.0
        self._warnings: list[str] = []
        self._export: dict[str, Any] | None = None

    def site(self) -> Site:
        """What the server of this review has."""
        gets = {
            "about": self._about, "state": self._state, "frames": self._frames, "survey": self._surveyed,
            "video": self._video,
        }  # fmt: skip
        posts = {"edit": self._edit, "export": self._start_export, "proxy": self._make_proxy}
        return Site(page_files("review.html"), gets, posts)

    def start(self) -> None:
        """Begin to look through the file."""
        threading.Thread(target=self._noted(self._look_through), name="survey", daemon=True).start()

    def _noted(self, work: Callable[..., None]) -> Callable[..., None]:
        """`work`, with what it raises told to the page."""

        def run(*arguments: object) -> None:
            try:
                work(*arguments)
            except (PosetrackError, OSError, ValueError) as error:
                self._warnings.append(" ".join(str(error).split()))

        return run

    def _look_through(self) -> None:
        """Who is where first, which edits need; then the timeline's stretches and the suspects; then the hash."""
        self._presence = self._lines.presence()
        edits = self._open_edits(self._presence)
        with self._lock:
            self._edits = edits
            self._version += 1
        if edits.cut:
            self._warnings.append(f"{edits.path.name} ended in half a line: a correction that was not finished")
        threading.Thread(target=self._noted(self._check), args=(edits,), name="hash", daemon=True).start()
        frames = max(1, self._lines.header.video.get("frames_read") or 1)

        def watch(done: int) -> None:
            self._share = min(0.99, done / frames)

        self._survey = survey(self.tracks, watch)
        self._share = 1.0

    def _check(self, edits: EditsFile) -> None:
        """The hash of the tracks, which says whether the edits found are theirs."""
        try:
            self._hash.set_result(file_sha256(self.tracks))
        except OSError as error:
            self._hash.set_exception(error)
        edits.verify()

    def _open_edits(self, presence: Presence) -> EditsFile:
        """The edits as they are in their file now."""
        names = {track.id: track.name for track in self._lines.tracks if track.name is not None}
        return EditsFile(edits_path(self.tracks), self.tracks, presence, names, self._hash.result)

    def _about(self, _: Query) -> Reply:
        """What does not change while the page is open."""
        lines, video = self._lines, self._lines.header.video
        return as_json({
            "name": self.tracks.name, "span": lines.span, "first": lines.first, "last": lines.last,
            "anchors": self._anchors(), "fps": video.get("fps") or 25,
            "stride": lines.header.settings.get("stride") or 1,
            "width": video.get("width") or 1280, "height": video.get("height") or 720,
            "skeleton": asdict(lines.header.skeleton), "tracks": [asdict(track) for track in lines.tracks],
        })  # fmt: skip

    def _anchors(self) -> list[tuple[int, float]]:
        """Numbers and times of frames here and there, between which the page takes time to go evenly."""
        (first, _), (last, _) = self._lines.first, self._lines.last
        numbers = {first + (last - first) * n // _ANCHORS for n in range(_ANCHORS)}
        return [*dict(self._lines.place_of(number) for number in sorted(numbers)).items(), self._lines.last]

    def _frames(self, query: Query) -> Reply:
        """A piece by its number or a time in it; X-Piece tells number, those beside it, and when the next begins."""
        lines = self._lines
        number = lines.piece_at(float(query["time"])) if "time" in query else int(query["piece"])
        place = lines.neighbours(number)
        body = pack(lines.piece(number), len(lines.header.skeleton))
        return Reply(body, "application/octet-stream", headers={"X-Piece": as_json((number, *place)).body.decode()})

    def _surveyed(self, _: Query) -> Reply:
        if self._survey is None:
            return as_json({"error": "the file is still being looked through"}, 409)
        suspects = [suspect.record() for suspect in self._survey.suspects]
        return as_json({"tracks": self._survey.timeline["tracks"], "suspects": suspects})

    def _video(self, _: Query) -> Reply:
        played = self._film.played
        if played is None:
            return as_json({"error": "there is no video"}, 404)
        return Reply(file=played[0], kind=played[1])

    def _state(self, _: Query) -> Reply:
        return as_json(self._news())

    def _news(self) -> dict[str, Any]:
        """What changes: the edits, how far the survey and the video are, an export, warnings."""
        with self._lock:
            edits = self._edits and self._edits_record(self._edits)
        return {
            "survey": self._share, "video": self._film.record(), "edits": edits, "export": self._export,
            "warnings": self._warnings,
        }  # fmt: skip

    def _edits_record(self, edits: EditsFile) -> dict[str, Any]:
        made, undone = edits.edits, edits.undone
        return {
            "version": self._version, "said": self._said, "table": edits.state.table(), "count": len(made),
            "file": edits.path.name, "undo": in_words(made[-1]) if made else None,
            "redo": in_words(undone[-1]) if undone else None,
        }  # fmt: skip

    def _edit(self, record: Mapping[str, Any]) -> Reply:
        """Make a correction, undo or redo; it is in the edits file when this is answered."""
        with self._lock:
            if self._edits is None:
                return as_json({"error": "the file is still being looked through"}, 409)
            try:
                self._said = self._take(self._edits, record)
            except ValueError as error:
                return as_json({"error": str(error)}, 409)
            self._version += 1
        return as_json(self._news())

    def _take(self, edits: EditsFile, record: Mapping[str, Any]) -> str:
        if record.get("verb") == "undo":
            words = in_words(edits.edits[-1]) if edits.edits else ""
            edits.undo()
            return f"Undone: {words}"
        if record.get("verb") == "redo":
            edits.redo()
            return f"Redone: {in_words(edits.edits[-1])}"
        edit = parse_edit(dict(record))
        edits.apply(edit)
        words = in_words(edit)
        return words[0].upper() + words[1:]

    def _start_export(self, _: Mapping[str, Any]) -> Reply:
        """Write the corrected tracks to a new file, in a thread of its own."""
        with self._lock:
            if self._edits is None or self._presence is None:
                return as_json({"error": "the file is still being looked through"}, 409)
            if not self._edits.edits:
                return as_json({"error": "there are no corrections: the tracks are as they were"}, 409)
            if self._export and self._export["share"] < 1:
                return as_json({"error": "an export is on its way"}, 409)
            number = 1 + (self._export["number"] if self._export else 0)
            self._export = {"number": number, "share": 0.0, "name": free_name(self.tracks).name}
            frozen = self._open_edits(self._presence)
        threading.Thread(target=self._write, args=(frozen, self._export), name="export").start()
        return as_json(self._news())

    def _write(self, edits: EditsFile, job: Mapping[str, Any]) -> None:
        try:
            write_edited(edits, self.tracks.with_name(job["name"]))
            self._export = {**job, "share": 1.0}
        except (PosetrackError, OSError) as error:
            self._export = {**job, "share": 1.0, "error": " ".join(str(error).split())}

    def _make_proxy(self, _: Mapping[str, Any]) -> Reply:
        """The browser could not play the video."""
        self._film.make_proxy()
        return as_json(self._news())


def free_name(tracks: Path) -> Path:
    """NAME.edited.tracks.json beside the tracks, or NAME.edited-2.tracks.json ...: the first that does not exist."""
    name = tracks.name.removesuffix(".part").removesuffix(".json").removesuffix(".tracks")
    names = (f"{name}.edited{'' if n == 1 else f'-{n}'}.tracks.json" for n in count(1))
    return next(path for path in map(tracks.with_name, names) if not path.exists())


def in_words(edit: Edit) -> str:
    """What an edit does, in a few words."""
    record = edit_record(edit)
    match record["verb"]:
        case "swap":
            return f"swap {record['ids'][0]} and {record['ids'][1]} from frame {record['frame']} on"
        case "merge":
            return f"merge {record['id']} into {record['into']}"
        case "split":
            return f"split {record['id']} at frame {record['frame']}"
        case "delete":
            part = f" from frame {record['first']} on" if "first" in record else ""
            return f"delete {record['id']}{part}"
    return f"call {record['id']} {record['name']}" if record["name"] else f"take the name of {record['id']} away"
