"""PoseTrack's own files, of 2018 (one COCO-like file a sequence) and of 2017 (annolist), read and written."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from posetrack.errors import FormatError
from posetrack.results.coco import parse_annotations
from posetrack.results.labels import (
    Doubles,
    LabelledFrame,
    LabelledSequence,
    Row,
    frame_numbers,
    gather,
    parse_json,
    read_json,
    wanted_id,
    wanted_number,
)
from posetrack.results.lines import Header
from posetrack.results.output import new_file
from posetrack.results.rounding import rounded, rounded_box, rounded_joints
from posetrack.skeleton import POSETRACK17, POSETRACK18, Skeleton, convert
from posetrack.types import FrameResult, Person

__all__ = [
    "parse_posetrack17", "read_posetrack", "read_posetrack_folder", "write_posetrack17", "write_posetrack18",
]  # fmt: skip


def read_posetrack(path: str | Path) -> LabelledSequence:
    """One PoseTrack file, of 2017 or 2018, truth or prediction.

    In the 2018 form hidden joints are there, ears as the file has them. `heads` are given in truth only.
    Raises FormatError that names file, frame and field.
    """
    return _parse(path, read_json(path))


def _parse(path: str | Path, document: Any) -> LabelledSequence:
    if isinstance(document, dict) and "annolist" in document:
        return parse_posetrack17(path, document)
    return parse_annotations(path, document)


def read_posetrack_folder(path: str | Path) -> Iterator[LabelledSequence]:
    """Every PoseTrack file of a folder or a zip archive, by name; FormatError when there is none.

    `path` of each sequence is the file's own (in an archive: archive/name).
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(path.glob("*.json"))
        if not files:
            raise FormatError(f"{path}: no .json in this folder; name the one that holds the sequences")
        yield from map(read_posetrack, files)
        return
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(name for name in archive.namelist() if name.endswith(".json"))
            if not names:
                raise FormatError(f"{path}: no .json in this archive")
            for name in names:
                yield _parse(path / name, parse_json(archive.read(name), path / name))
    except (OSError, zipfile.BadZipFile) as error:
        raise FormatError(f"{path}: neither a folder nor a zip archive ({error})") from error


def parse_posetrack17(path: str | Path, document: Any) -> LabelledSequence:
    """The 2017 form: annolist > annorect > annopoints > point, every scalar in a list of one."""
    images = document.get("annolist") if isinstance(document, dict) else None
    if not isinstance(images, list) or not all(isinstance(image, dict) for image in images):
        raise FormatError(f"{path}, annolist: a list of images is wanted; is this a PoseTrack17 file?")
    names = [_image_name(image, f"{path}, annolist[{i}]") for i, image in enumerate(images)]
    numbers = _image_numbers(path, images, names)
    frames = [
        _frame17(image, number, name, f"{path}, frame {number} ({name})")
        for image, number, name in zip(images, numbers, names, strict=True)
    ]
    return LabelledSequence(Path(path), POSETRACK17, tuple(sorted(frames, key=lambda frame: frame.index)))


def _image_name(image: Mapping[str, Any], where: str) -> str:
    entry = _single(image.get("image"), f"{where}.image")
    name = _single(entry.get("name"), f"{where}.image.name") if isinstance(entry, dict) else None
    if not isinstance(name, str):
        raise FormatError(f"{where}.image: a name is wanted")
    return name


def _image_numbers(path: str | Path, images: list[Mapping[str, Any]], names: list[str]) -> list[int]:
    """`imgnum` - 1 where every image has one of its own, otherwise what the names say."""
    given = [_single(image.get("imgnum"), f"{path}, annolist.imgnum") for image in images]
    numbers = [n for n in given if isinstance(n, int) and n >= 1]
    if len(set(numbers)) == len(images):
        return [n - 1 for n in numbers]
    return frame_numbers(path, names, list(range(len(names))), listed=True)


def _frame17(image: Mapping[str, Any], index: int, name: str, where: str) -> LabelledFrame:
    rectangles = _list(image.get("annorect"), f"{where}, annorect")
    rows = [_person17(rect, f"{where}, annorect[{i}]") for i, rect in enumerate(rectangles)]
    regions = _list(image.get("ignore_regions"), f"{where}, ignore_regions")
    ignore = tuple(_polygon(region, f"{where}, ignore_regions") for region in regions)
    labelled = bool(_single(image.get("is_labeled", 1), f"{where}, is_labeled"))
    return gather(index, name, rows, len(POSETRACK17), where, labelled=labelled, ignore=ignore)


def _person17(rectangle: Any, where: str) -> Row:
    if not isinstance(rectangle, dict):
        raise FormatError(f"{where}: an object is wanted")
    keypoints = np.full((len(POSETRACK17), 3), np.nan)
    keypoints[:, 2] = 0
    seen: set[int] = set()
    for annopoints in _list(rectangle.get("annopoints"), f"{where}.annopoints"):
        points = _list(annopoints.get("point") if isinstance(annopoints, dict) else None, f"{where}.annopoints.point")
        for i, point in enumerate(points):
            number, joint = _point(point, f"{where}.annopoints.point[{i}]")
            if number in seen:
                raise FormatError(f"{where}.annopoints: joint {number} is given twice; give each once")
            seen.add(number)
            keypoints[number] = joint
    identity, score = (_single(rectangle.get(field), f"{where}.{field}") for field in ("track_id", "score"))
    return Row(
        keypoints,
        -1 if identity is None else wanted_id(identity, f"{where}.track_id"),
        np.nan if score is None else wanted_number(score, f"{where}.score"),
        head=_head(rectangle, where),
    )


def _point(point: Any, where: str) -> tuple[int, tuple[float, float, float]]:
    if not isinstance(point, dict):
        raise FormatError(f"{where}: an object is wanted")
    number = wanted_id(_single(point.get("id"), f"{where}.id"), f"{where}.id")
    if number >= len(POSETRACK17):
        raise FormatError(f"{where}.id: there is no joint {number}; PoseTrack17 has 0 to 14")
    x, y = (wanted_number(_single(point.get(axis), f"{where}.{axis}"), f"{where}.{axis}") for axis in "xy")
    score = _single(point.get("score"), f"{where}.score")
    return number, (x, y, np.nan if score is None else wanted_number(score, f"{where}.score"))


def _head(rectangle: Mapping[str, Any], where: str) -> Doubles:
    corners = [_single(rectangle.get(field), f"{where}.{field}") for field in ("x1", "y1", "x2", "y2")]
    if any(corner is None for corner in corners):
        return np.full(4, np.nan)
    return np.array([wanted_number(corner, f"{where}, head box") for corner in corners])


def _polygon(region: Any, where: str) -> Doubles:
    points = _list(region.get("point") if isinstance(region, dict) else None, f"{where}.point")
    flat = [
        wanted_number(_single(point.get(axis), where) if isinstance(point, dict) else None, where)
        for point in points
        for axis in "xy"
    ]
    return np.array(flat, np.float64).reshape(-1, 2)


def _single(value: Any, where: str) -> Any:
    """What a list of one holds; a bare value is taken as it is, nothing as None."""
    if not isinstance(value, list):
        return value
    if len(value) > 1:
        raise FormatError(f"{where}: one value is wanted, not {len(value)}")
    return value[0] if value else None


def _list(value: Any, where: str) -> list[Any]:
    """A list; nothing and a bare object count as lists of none and one."""
    if value is None:
        return []
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, list):
        raise FormatError(f"{where}: a list is wanted")
    return value


def write_posetrack18(
    path: str | Path, header: Header, frames: Iterable[FrameResult], *, overwrite: bool = False
) -> tuple[str, ...]:
    """Predictions in the PoseTrack18 form: every frame an image, every person an annotation.

    Joints without a place are 0, 0, 0. `frame_index` in the images, which other tools leave aside, is the
    frame's own number. Says what was derived and what PoseTrack's tools would not take. Raises OutputError
    when the file cannot be written.
    """
    sequence, video = _sequence(header)
    images: list[dict[str, Any]] = []
    notes = _Notes(header.skeleton, POSETRACK18)
    with new_file(path, overwrite=overwrite) as file:
        file.write(b'{"annotations":[')
        separator = b"\n"
        for frame in frames:
            image = 10**10 + sequence * 10_000 + frame.index
            name = f"images/{video}/{frame.index:06d}.jpg"
            images.append({"id": image, "frame_id": image, "frame_index": frame.index, "file_name": name})
            for n, person in enumerate(frame.people):
                entry = {"id": image * 100 + n, "image_id": image, **_annotation18(person, header.skeleton)}
                file.write(separator + orjson.dumps(entry))
                separator = b",\n"
                notes.see(person)
        for image_record in images:
            image_record |= {"vid_id": f"{sequence:06d}", "nframes": len(images), "is_labeled": True}
        category = {"id": 1, "name": "person", "supercategory": "person", "keypoints": POSETRACK18.joints,
                    "skeleton": [[a + 1, b + 1] for a, b in POSETRACK18.edges]}  # fmt: skip
        file.write(b'\n],\n"categories":%b,\n"images":[' % orjson.dumps([category]))
        file.write(b",".join(b"\n" + orjson.dumps(record) for record in images) + b"\n]}\n")
    return notes.lines


def _annotation18(person: Person, skeleton: Skeleton) -> dict[str, Any]:
    joints = rounded_joints(convert(person.keypoints, skeleton, POSETRACK18)[0])
    present = np.isfinite(joints[:, 0])
    flat = np.column_stack([np.nan_to_num(joints[:, :2]), present]).ravel().tolist()
    return {
        "track_id": person.id, "category_id": 1, "keypoints": flat, "scores": joints[:, 2].tolist(),
        "score": rounded(person.score, 4), "bbox": rounded_box(person.box).tolist(),
    }  # fmt: skip


def _sequence(header: Header) -> tuple[int, str]:
    """Number and name of the sequence, from the video's name; poseval wants both in the folder of the
    images."""
    stem = Path(str(header.video.get("path") or "video")).stem
    number = re.match(r"\d{1,6}(?!\d)", stem)
    return (int(number[0]) if number else 1), stem


def write_posetrack17(
    path: str | Path, header: Header, frames: Iterable[FrameResult], *, overwrite: bool = False
) -> tuple[str, ...]:
    """Predictions in the PoseTrack17 form, one entry a frame; joints without a place are left out.

    Boxes find no place in it: its rectangles are heads. `imgnum` is the frame's number + 1. Says what was
    derived and what poseval would not take. Raises OutputError when the file cannot be written.
    """
    _, video = _sequence(header)
    notes = _Notes(header.skeleton, POSETRACK17)
    with new_file(path, overwrite=overwrite) as file:
        file.write(b'{"annolist":[')
        separator = b"\n"
        for frame in frames:
            rectangles = [_rectangle17(person, header.skeleton) for person in frame.people]
            name = f"images/{video}/{frame.index + 1:08d}.jpg"
            entry = {"image": [{"name": name}], "imgnum": [frame.index + 1], "annorect": rectangles}
            file.write(separator + orjson.dumps(entry))
            separator = b",\n"
            for person in frame.people:
                notes.see(person)
        file.write(b"\n]}\n")
    return notes.lines


def _rectangle17(person: Person, skeleton: Skeleton) -> dict[str, Any]:
    joints = rounded_joints(convert(person.keypoints, skeleton, POSETRACK17)[0])
    points = [
        {"id": [number], "x": [x], "y": [y], "score": [score]}
        for number, (x, y, score) in enumerate(joints.tolist())
        if np.isfinite(x)
    ]
    return {
        "track_id": [person.id],
        "score": [rounded(person.score, 4)],
        "annopoints": [{"point": points}] if points else [],
    }


class _Notes:
    """What a writer has to say: joints that were derived or are missing, ids that PoseTrack's tools
    refuse."""

    def __init__(self, source: Skeleton, target: Skeleton) -> None:
        nobody = np.zeros((len(source), 3), np.float32)
        converted, derived = convert(nobody, source, target)
        absent = [joint for joint, x in zip(target.joints, converted[:, 0], strict=True) if np.isnan(x)]
        self._said = [f"{', '.join(derived)}: derived from the nose and the shoulders"] if derived else []
        self._said += [f"{', '.join(absent)}: not in {source.name}, written as absent"] if absent else []
        self._highest = 0

    def see(self, person: Person) -> None:
        """Note the id of one more person."""
        self._highest = max(self._highest, person.id)

    @property
    def lines(self) -> tuple[str, ...]:
        """One line for each thing to say."""
        if self._highest >= 10_000:
            return (*self._said, f"ids up to {self._highest}: poseval takes none above 9999")
        return tuple(self._said)
