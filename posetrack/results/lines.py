"""The lines of a result file: what a frame, a person and the header look like as JSON, written and read.

Coordinates are rounded to hundredths of a pixel, scores to four decimals, times to microseconds. A joint that
has no place is [null, null, 0.0] in the file and (NaN, NaN, 0) in the arrays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, get_args

import numpy as np
import orjson
from numpy.typing import NDArray

from posetrack.errors import FormatError
from posetrack.results.rounding import rounded, rounded_box, rounded_joints
from posetrack.skeleton import Skeleton
from posetrack.types import Appearance, Floats, FrameResult, Person, Source

__all__ = [
    "FRAMES_READ_WIDTH", "VERSION", "Header", "Summary", "Track", "header_record", "parse_frame",
    "parse_header", "parse_tracks", "write_frame", "write_header", "write_trailer",
]  # fmt: skip

VERSION = 1
FRAMES_READ_WIDTH = 10
"""Bytes kept for the number of frames, which is known only at the end and is then written in place."""

_SOURCES = get_args(Source)
_FRAME_FIELDS = {"index", "time", "people", "cut"}
_PERSON_FIELDS = {"id", "score", "box", "from", "keypoints"}
_PERSON_EXTRAS = {"appearance", "raw"}


@dataclass(frozen=True)
class Header:
    """What a result file says before its frames.

    `generator` versions by name, `video` what was read (path, width, height, fps, duration ...; `frames_read`
    when it comes from a finished file), `skeleton` the order of the joints, `settings` every option in force.
    `history` tells, oldest first, what was done to the tracks since they were made: the command, its parent file with
    SHA-256, and the operations. All hold JSON values only.
    """

    generator: dict[str, Any]
    video: dict[str, Any]
    skeleton: Skeleton
    settings: dict[str, Any]
    history: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Track:
    """One identity in the whole file: first and last frame number, how many frames hold it, mean score.

    `name` is what a person called it, if anyone did.
    """

    id: int
    first: int
    last: int
    frames: int
    mean_score: float
    name: str | None = None


class Summary:
    """The tracks of the frames added so far, and checks that ids and frame numbers make sense.

    Scores are summed in whole ten-thousandths, as they are written, so the order of adding does not matter.
    """

    def __init__(self) -> None:
        self.frames = 0
        self.last_index = -1
        self._tracks: dict[int, tuple[int, int, int, int]] = {}

    def add(self, result: FrameResult) -> None:
        """Count one more frame; ValueError for a frame number that does not grow or an id given twice."""
        if result.index <= self.last_index:
            raise ValueError(f"index: {result.index} comes after {self.last_index}; frame numbers must grow")
        ids = [person.id for person in result.people]
        if len(set(ids)) != len(ids):
            twice = next(i for i in ids if ids.count(i) > 1)
            raise ValueError(f"people: id {twice} is given to two people of frame {result.index}")
        for person in result.people:
            first, _, frames, total = self._tracks.get(person.id, (result.index, 0, 0, 0))
            score = int(np.rint(person.score * 1e4))
            self._tracks[person.id] = (first, result.index, frames + 1, total + score)
        self.frames += 1
        self.last_index = result.index

    @property
    def tracks(self) -> tuple[Track, ...]:
        """One `Track` an id, by id."""
        return tuple(
            Track(id, first, last, frames, round(total / (frames * 10_000), 4))
            for id, (first, last, frames, total) in sorted(self._tracks.items())
        )


def header_record(header: Header) -> dict[str, Any]:
    """The header as JSON values, `frames_read` left out: what must be equal for a run to go on."""
    video = {key: value for key, value in header.video.items() if key != "frames_read"}
    parts = {"generator": header.generator, "video": video, "skeleton": asdict(header.skeleton)}
    record: dict[str, Any] = {**parts, "settings": header.settings}
    if header.history:
        record["history"] = list(header.history)
    return dict(orjson.loads(orjson.dumps(record)))


def write_header(header: Header) -> tuple[bytes, int]:
    """The lines before the frames, and the place in them where the number of frames goes."""
    parts = {name: orjson.dumps(part) for name, part in header_record(header).items()}
    video = parts["video"][:-1] + (b"," if parts["video"] != b"{}" else b"")
    start = b'{"format":"posetrack","version":%d,"generator":%b,\n' % (VERSION, parts["generator"])
    start += b'"video":%b"frames_read":' % video
    blank = b"null".ljust(FRAMES_READ_WIDTH)
    rest = b'},\n"skeleton":%b,\n"settings":%b,\n' % (parts["skeleton"], parts["settings"])
    if header.history:
        rest += b'"history":%b,\n' % parts["history"]
    rest += b'"frames":[\n'
    return start + blank + rest, len(start)


def write_trailer(tracks: tuple[Track, ...]) -> bytes:
    """The line after the frames."""
    records = [{key: value for key, value in asdict(track).items() if value is not None} for track in tracks]
    return b'],"tracks":%b,"complete":true}\n' % orjson.dumps(records)


def write_frame(result: FrameResult, joints: int) -> bytes:
    """One frame as a line without its end; ValueError for what is no number or of another shape."""
    record: dict[str, Any] = {"index": int(result.index), "time": _number(result.time, 6, "time")}
    if result.cut:
        record["cut"] = True
    record["people"] = [_person_record(person, joints) for person in result.people]
    return orjson.dumps(record)


def _person_record(person: Person, joints: int) -> dict[str, Any]:
    if person.id < 1:
        raise ValueError(f"id {person.id}: ids are counted from 1")
    box = rounded_box(person.box)
    if box.shape != (4,) or not np.isfinite(box).all() or (box[2:] < 0).any():
        raise ValueError(f"id {person.id}: {person.box} is no box")
    record = {
        "id": int(person.id),
        "score": _number(person.score, 4, f"id {person.id}: score"),
        "box": box.tolist(),
        "from": person.source,
        "keypoints": _keypoint_rows(person.keypoints, joints, person.id),
    }
    if person.raw is not None:
        record["raw"] = _keypoint_rows(person.raw, joints, person.id)
    if person.appearance is not None:
        record["appearance"] = person.appearance.tolist()
    return record


def _keypoint_rows(keypoints: Floats, joints: int, id: int) -> list[list[float | None]]:
    if keypoints.shape != (joints, 3):
        raise ValueError(f"id {id}: keypoints of shape {keypoints.shape}, not ({joints}, 3)")
    values = rounded_joints(keypoints)
    rows: list[list[float | None]] = values.tolist()
    for joint in np.flatnonzero(np.isnan(values[:, 0])):
        rows[joint][:2] = [None, None]
    return rows


def _number(value: float, decimals: int, what: str) -> float:
    if not np.isfinite(value):
        raise ValueError(f"{what} is {value}")
    return rounded(value, decimals)


def parse_header(record: Any, where: str) -> Header:
    """The header of a whole or cut-off document; FormatError that begins with `where`."""
    if not isinstance(record, dict) or record.get("format") != "posetrack":
        raise FormatError(f'{where}: not a posetrack result (no "format": "posetrack" at its start)')
    version = record.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise FormatError(f"{where}, version: {version!r} is not a version number")
    if version > VERSION:
        raise FormatError(
            f"{where}, version: {version} is newer than this posetrack reads ({VERSION}); update posetrack"
        )
    for field in ("generator", "video", "skeleton", "settings"):
        if not isinstance(record.get(field), dict):
            raise FormatError(f"{where}, {field}: an object is wanted, not {_shown(record.get(field))}")
    frames_read = record["video"].get("frames_read")
    if frames_read is not None and not _is_count(frames_read):
        raise FormatError(f"{where}, video.frames_read: {_shown(frames_read)} is not a number of frames")
    skeleton = _parse_skeleton(record["skeleton"], where)
    history = record.get("history", [])
    if not isinstance(history, list) or not all(isinstance(entry, dict) for entry in history):
        raise FormatError(f"{where}, history: a list of objects is wanted, not {_shown(history)}")
    return Header(record["generator"], record["video"], skeleton, record["settings"], tuple(history))


def _parse_skeleton(record: Mapping[str, Any], where: str) -> Skeleton:
    joints = record.get("joints")
    if not isinstance(joints, list) or not joints or not all(isinstance(j, str) for j in joints):
        raise FormatError(f"{where}, skeleton.joints: a list of names is wanted, not {_shown(joints)}")
    if not isinstance(record.get("name"), str):
        raise FormatError(f"{where}, skeleton.name: a name is wanted, not {_shown(record.get('name'))}")
    for field in ("edges", "flip_pairs"):
        pairs = record.get(field)
        if not isinstance(pairs, list) or not all(_is_pair(pair, len(joints)) for pair in pairs):
            raise FormatError(f"{where}, skeleton.{field}: pairs of numbers below {len(joints)} are wanted")
    sigmas = record.get("sigmas")
    if not isinstance(sigmas, list) or [_is_number(s) and s > 0 for s in sigmas] != [True] * len(joints):
        raise FormatError(f"{where}, skeleton.sigmas: {len(joints)} numbers above 0 are wanted")
    edges, flip_pairs = (tuple((a, b) for a, b in record[field]) for field in ("edges", "flip_pairs"))
    return Skeleton(record["name"], tuple(joints), edges, flip_pairs, tuple(sigmas))


def parse_frame(record: Any, joints: int, where: str) -> FrameResult:
    """One frame of a result file; FormatError that begins with `where` and names the field."""
    _check_fields(record, _FRAME_FIELDS, {"index", "time", "people"}, where)
    if not _is_count(record["index"]):
        raise FormatError(f"{where}, index: {_shown(record['index'])} is not a frame number")
    if not _is_number(record["time"]):
        raise FormatError(f"{where}, time: {_shown(record['time'])} is not a time in seconds")
    if not isinstance(record.get("cut", True), bool):
        raise FormatError(f"{where}, cut: {_shown(record['cut'])} is neither true nor false")
    if not isinstance(record["people"], list):
        raise FormatError(f"{where}, people: a list is wanted, not {_shown(record['people'])}")
    people = tuple(_parse_person(person, joints, f"{where}, people[{i}]") for i, person in enumerate(record["people"]))
    return FrameResult(record["index"], float(record["time"]), people, record.get("cut", False))


def _parse_person(record: Any, joints: int, where: str) -> Person:
    _check_fields(record, _PERSON_FIELDS | _PERSON_EXTRAS, _PERSON_FIELDS, where)
    if not _is_count(record["id"]) or record["id"] < 1:
        raise FormatError(f"{where}.id: {_shown(record['id'])} is not an id (whole numbers from 1)")
    if not _is_number(record["score"]):
        raise FormatError(f"{where}.score: {_shown(record['score'])} is not a number")
    if record["from"] not in _SOURCES:
        raise FormatError(f"{where}.from: {_shown(record['from'])} is none of {', '.join(_SOURCES)}")
    box = _numbers(record["box"], (4,), f"{where}.box")
    if np.isnan(box).any() or (box[2:] < 0).any():
        raise FormatError(f"{where}.box: {_shown(record['box'])} is not x, y, width, height")
    box[2:] += box[:2]
    keypoints = _parse_keypoints(record["keypoints"], joints, f"{where}.keypoints")
    raw = _parse_keypoints(record["raw"], joints, f"{where}.raw") if "raw" in record else None
    looks = _parse_appearance(record["appearance"], f"{where}.appearance") if "appearance" in record else None
    return Person(record["id"], float(record["score"]), _float32(box), keypoints, record["from"], looks, raw)


def _parse_keypoints(record: Any, joints: int, where: str) -> Floats:
    keypoints = _numbers(record, (joints, 3), where)
    absent = np.isnan(keypoints)
    if absent.any() and not _absent_joints_are_whole(keypoints, absent):
        raise FormatError(f"{where}: a joint without a place is [null, null, 0]")
    return _float32(keypoints)


def _parse_appearance(record: Any, where: str) -> Appearance:
    if not isinstance(record, list) or not record or not all(_is_count(value) and value < 256 for value in record):
        raise FormatError(f"{where}: whole numbers from 0 to 255 are wanted, not {_shown(record)}")
    return np.array(record, np.uint8)


def _absent_joints_are_whole(keypoints: NDArray[np.float64], absent: NDArray[np.bool_]) -> bool:
    here = absent[:, 0]
    return bool((here == absent[:, 1]).all() and not absent[:, 2].any() and (keypoints[here, 2] == 0).all())


def _numbers(value: Any, shape: tuple[int, ...], where: str) -> NDArray[np.float64]:
    """Nested lists of numbers (null becomes NaN) as an array of `shape`; FormatError otherwise."""
    try:
        found = np.array(value) if isinstance(value, list) else None
    except ValueError:  # rows of several lengths
        found = None
    if found is not None and found.dtype == object and all(v is None or _is_number(v) for v in found.flat):
        found = found.astype(np.float64)
    if found is None or found.shape != shape or found.dtype.kind not in "fiu":
        raise FormatError(f"{where}: {' x '.join(map(str, shape))} numbers are wanted, not {_shown(value)}")
    return found.astype(np.float64)


def _float32(values: NDArray[np.float64]) -> Floats:
    return values.astype(np.float32)


def parse_tracks(record: Any, where: str) -> tuple[Track, ...]:
    """The list of tracks at the end of a result file; FormatError that begins with `where`."""
    if not isinstance(record, list):
        raise FormatError(f"{where}, tracks: a list is wanted, not {_shown(record)}")
    fields = {"id", "first", "last", "frames", "mean_score"}
    for i, track in enumerate(record):
        _check_fields(track, fields | {"name"}, fields, f"{where}, tracks[{i}]")
        if not isinstance(track.get("name", ""), str):
            raise FormatError(f"{where}, tracks[{i}].name: {_shown(track['name'])} is not a name")
        for field in fields - {"mean_score"}:
            if not _is_count(track[field]):
                raise FormatError(f"{where}, tracks[{i}].{field}: {_shown(track[field])} is not a whole number")
        if not _is_number(track["mean_score"]):
            raise FormatError(f"{where}, tracks[{i}].mean_score: {_shown(track['mean_score'])} is not a number")
    return tuple(Track(**track) for track in record)


def _check_fields(record: Any, known: set[str], wanted: set[str], where: str) -> None:
    if not isinstance(record, dict):
        raise FormatError(f"{where}: an object is wanted, not {_shown(record)}")
    if missing := sorted(wanted - record.keys()):
        raise FormatError(f"{where}: '{missing[0]}' is missing")
    if unknown := sorted(record.keys() - known):
        raise FormatError(f"{where}: '{unknown[0]}' is not a field of this format")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_pair(value: Any, joints: int) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(_is_count(v) and v < joints for v in value)


def _shown(value: Any) -> str:
    """A short picture of a value for a message of one line."""
    text = orjson.dumps(value, default=str).decode()
    return text if len(text) <= 60 else text[:57] + "..."
