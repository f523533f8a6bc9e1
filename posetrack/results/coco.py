"""COCO files: labels (images, annotations, categories; PoseTrack18 is a dialect of them) and lists of
results."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from posetrack.errors import FormatError
from posetrack.results.labels import (
    Doubles,
    LabelledFrame,
    LabelledSequence,
    Row,
    frame_numbers,
    gather,
    joint_columns,
    read_json,
    wanted_id,
    wanted_number,
    wanted_numbers,
)
from posetrack.results.lines import Header
from posetrack.results.output import new_file
from posetrack.results.rounding import rounded, rounded_joints
from posetrack.skeleton import COCO17, Skeleton, convert
from posetrack.types import FrameResult

__all__ = ["parse_annotations", "parse_results", "read_coco", "write_coco"]


def read_coco(path: str | Path) -> LabelledSequence:
    """A COCO file of either kind: labels with images, or a list of keypoint or box results.

    Frames are numbered by `labels.frame_numbers`. Raises FormatError that names file, frame and field.
    """
    document = read_json(path)
    return parse_results(path, document) if isinstance(document, list) else parse_annotations(path, document)


def parse_annotations(path: str | Path, document: Any) -> LabelledSequence:
    """Labels or predictions with `images`, `annotations` and `categories` (COCO, PoseTrack18).

    A joint at 0, 0 with flag 0 is absent; a hidden joint (flag 0, but a place) is there. Crowds become
    regions to ignore. People of other categories than 'person' are left out. One video a file.
    """
    images, annotations = (_objects(path, document, field) for field in ("images", "annotations"))
    person, skeleton, columns = _person_category(path, document)
    if len({str(image["vid_id"]) for image in images if "vid_id" in image}) > 1:
        raise FormatError(f"{path}, images: several vid_id; keep one sequence in a file")
    ids = [wanted_id(image.get("id"), f"{path}, images[{i}].id") for i, image in enumerate(images)]
    names = [str(image.get("file_name", "")) for image in images]
    if len(set(ids)) != len(ids):
        raise FormatError(f"{path}, images: an id is given to two images; make ids unique")
    numbers = _own_numbers(images) or frame_numbers(path, names, ids, listed=True)
    people: dict[int, list[tuple[str, Mapping[str, Any]]]] = defaultdict(list)
    where = {id: f"{path}, frame {n} ({name or id})" for id, n, name in zip(ids, numbers, names, strict=True)}
    for i, annotation in enumerate(annotations):
        image = annotation.get("image_id")
        if not isinstance(image, int) or image not in where:
            raise FormatError(f"{path}, annotations[{i}].image_id: there is no image {image!r}")
        if person is None or annotation.get("category_id", person) == person:
            people[image].append((f"{where[image]}, annotations[{i}]", annotation))
    frames = []
    for id, number, name, image in sorted(zip(ids, numbers, names, images, strict=True), key=lambda x: x[1]):
        crowds = [_box(a, "bbox", at) for at, a in people[id] if a.get("iscrowd") == 1]
        rows = [_row(a, skeleton, columns, at) for at, a in people[id] if a.get("iscrowd") != 1]
        ignore = (*_ignore_regions(image, where[id]), *(_corners(box) for box in crowds))
        labelled = bool(image.get("is_labeled", True))
        frames.append(gather(number, name, rows, len(skeleton), where[id], labelled=labelled, ignore=ignore))
    sizes = {(image.get("width"), image.get("height")) for image in images}
    width, height = sizes.pop() if len(sizes) == 1 else (None, None)
    return LabelledSequence(Path(path), skeleton, tuple(frames), width, height)


def _objects(path: str | Path, document: Any, field: str) -> list[Mapping[str, Any]]:
    found = document.get(field) if isinstance(document, dict) else None
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise FormatError(f"{path}, {field}: a list of objects is wanted; is this a COCO or PoseTrack18 file?")
    return found


def _person_category(path: str | Path, document: Any) -> tuple[int | None, Skeleton, list[int]]:
    """The category id of people (None: all are), their skeleton, and where in it the file's joints go."""
    categories = _objects(path, document, "categories") if document.get("categories") else []
    person = next((c for c in categories if c.get("name") == "person"), categories[0] if len(categories) == 1 else None)
    if categories and person is None:
        raise FormatError(f"{path}, categories: there is no 'person'; posetrack reads people only")
    names = (person or {}).get("keypoints") or COCO17.joints
    skeleton, columns = joint_columns(names, f"{path}, categories.keypoints")
    return (person or {}).get("id"), skeleton, columns


def _own_numbers(images: list[Mapping[str, Any]]) -> list[int]:
    """The frame numbers that posetrack itself writes into the images of its exports."""
    numbers = [image.get("frame_index") for image in images]
    known = [n for n in numbers if isinstance(n, int) and n >= 0]
    return known if len(set(known)) == len(images) else []


def _row(annotation: Mapping[str, Any], skeleton: Skeleton, columns: list[int], where: str) -> Row:
    keypoints = np.full((len(skeleton), 3), np.nan)
    keypoints[:, 2] = 0
    if annotation.get("keypoints"):
        keypoints[columns] = _joints(annotation, len(columns), where)
    identity = annotation.get("track_id")
    score = annotation.get("score")
    return Row(
        keypoints,
        -1 if identity is None else wanted_id(identity, f"{where}.track_id"),
        np.nan if score is None else wanted_number(score, f"{where}.score"),
        _box(annotation, "bbox", where),
        _box(annotation, "bbox_head", where),
    )


def _joints(annotation: Mapping[str, Any], count: int, where: str) -> Doubles:
    """x, y and score (NaN if the file gives none, 0 for an absent joint) of `count` joints."""
    values = wanted_numbers(annotation["keypoints"], 3 * count, f"{where}.keypoints").reshape(count, 3)
    flags = values[:, 2].copy()
    if annotation.get("scores"):
        values[:, 2] = wanted_numbers(annotation["scores"], count, f"{where}.scores")
    elif np.isin(flags, (0, 1, 2)).all():
        values[:, 2] = np.nan
    values[(values[:, 0] == 0) & (values[:, 1] == 0) & (flags == 0)] = (np.nan, np.nan, 0)
    return values


def _box(record: Mapping[str, Any], field: str, where: str) -> Doubles:
    """x1, y1, x2, y2 of a field with x, y, width, height; NaN when it isn't there."""
    if not record.get(field):
        return np.full(4, np.nan)
    x, y, width, height = wanted_numbers(record[field], 4, f"{where}.{field}")
    if width < 0 or height < 0:
        raise FormatError(f"{where}.{field}: width and height below 0; boxes are x, y, width, height")
    return np.array([x, y, x + width, y + height])


def _corners(box: Doubles) -> Doubles:
    return box[[0, 1, 2, 1, 2, 3, 0, 3]].reshape(4, 2)


def _ignore_regions(image: Mapping[str, Any], where: str) -> list[Doubles]:
    xs, ys = (image.get(f"ignore_regions_{axis}") or [] for axis in "xy")
    if xs and not isinstance(xs[0], list):
        xs, ys = [xs], [ys]  # one region, written without its outer list
    if len(xs) != len(ys) or any(len(x) != len(y) for x, y in zip(xs, ys, strict=True)):
        raise FormatError(f"{where}, ignore_regions_x and _y: not as many y as x")
    place = f"{where}, ignore_regions"
    return [np.stack([wanted_numbers(v, None, place) for v in (x, y)], 1) for x, y in zip(xs, ys, strict=True)]


def parse_results(path: str | Path, document: Any) -> LabelledSequence:
    """A list of COCO results: keypoints (17 x x, y, score), boxes, or both, by `image_id`.

    Frames that hold nobody are not in such a file and so not in what is read.
    """
    if not isinstance(document, list) or not all(isinstance(entry, dict) for entry in document):
        raise FormatError(f"{path}: a list of objects with image_id is wanted; is this a COCO results file?")
    people: dict[int, list[tuple[int, Mapping[str, Any]]]] = defaultdict(list)
    for i, entry in enumerate(document):
        if "keypoints" not in entry and "bbox" not in entry:
            raise FormatError(f"{path}, entry {i}: neither keypoints nor bbox; is this a COCO results file?")
        people[wanted_id(entry.get("image_id"), f"{path}, entry {i}.image_id")].append((i, entry))
    if len({id // 10_000 for id in people if id >= 10**10}) > 1:
        raise FormatError(f"{path}: image_id of several PoseTrack sequences; keep one sequence in a file")
    ids = sorted(people)
    frames: list[LabelledFrame] = []
    columns = list(range(len(COCO17)))
    for id, number in zip(ids, frame_numbers(path, [], ids, listed=False), strict=True):
        where = f"{path}, frame {number} (image {id})"
        rows = [
            _row({**entry, "scores": _thirds(entry)}, COCO17, columns, f"{where}, entry {i}")
            for i, entry in people[id]
            if entry.get("category_id", 1) == 1
        ]
        frames.append(gather(number, "", rows, len(COCO17), where))
    return LabelledSequence(Path(path), COCO17, tuple(frames))


def _thirds(entry: Mapping[str, Any]) -> list[Any]:
    """In results the third number of a joint is its score, whatever its value."""
    keypoints = entry.get("keypoints")
    return keypoints[2::3] if isinstance(keypoints, list) else []


def write_coco(
    path: str | Path, header: Header, frames: Iterable[FrameResult], *, overwrite: bool = False
) -> tuple[str, ...]:
    """COCO keypoint results: one entry a person, with the `track_id` that COCO's own tools leave aside.

    `image_id` is the frame's number + 1. Joints without a place are 0, 0, 0. Says what had to be derived.
    Raises OutputError when the file cannot be written.
    """
    missing = [joint for joint in COCO17.joints if joint not in header.skeleton.joints]
    with new_file(path, overwrite=overwrite) as file:
        first = True
        for frame in frames:
            for person in frame.people:
                joints, _ = convert(person.keypoints, header.skeleton, COCO17)
                flat = np.nan_to_num(rounded_joints(joints)).ravel().tolist()
                entry = {"image_id": frame.index + 1, "category_id": 1, "keypoints": flat}
                entry |= {"score": rounded(person.score, 4), "track_id": person.id}
                file.write((b"[\n" if first else b",\n") + orjson.dumps(entry))
                first = False
        file.write(b"[]\n" if first else b"\n]\n")
    return (f"{', '.join(missing)}: not in {header.skeleton.name}, written as absent",) if missing else ()
