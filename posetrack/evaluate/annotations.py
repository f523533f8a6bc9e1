"""PoseTrack17 and PoseTrack18 JSON as poseval reads it, in float64 (REFERENCE 5.1, 5.5, 5.6)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import orjson

from posetrack.errors import FormatError
from posetrack.evaluate.people import Doubles, People
from posetrack.skeleton import POSETRACK17

__all__ = ["NO_SCORE", "Annotations", "parse_posetrack", "read_json"]

NO_SCORE = -9999.0
"""The score of a predicted joint that has none, as poseval gives it."""

_JOINTS = len(POSETRACK17)
_OTHER_NAMES = {"neck": "head_bottom"}


@dataclass(frozen=True, eq=False)
class Annotations:
    """One file: the people of its frames in PoseTrack17's 15 joints.

    `names` (an image a frame), `labelled` (frames,) or None where the file doesn't say, `ignore` polygons by frame,
    `occupied` the frames that hold a rectangle, whether or not it has points. `videos` counts the videos in the
    file; `people` are those of the first. `unscored` counts joints without a score.
    """

    path: Path
    names: tuple[str, ...]
    labelled: tuple[bool | None, ...]
    ignore: dict[int, list[Doubles]]
    occupied: frozenset[int]
    people: People
    videos: int = 1
    unscored: int = 0


def read_json(path: Path) -> Any:
    """The JSON document in a file; FormatError when it is empty or not JSON (NaN is not)."""
    data = path.read_bytes()
    if not data.strip():
        raise FormatError(f"{path}: the file is empty; write it again")
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        hint = "; NaN and Infinity are not JSON: leave such joints out" if b"NaN" in data or b"Infinity" in data else ""
        raise FormatError(f"{path}: not JSON ({error}){hint}") from error


def parse_posetrack(document: Any, path: Path) -> Annotations:
    """The annotations in a PoseTrack17 or PoseTrack18 document.

    Raises FormatError that names file and frame: an id that is not a whole number or is given twice in a frame, a
    coordinate that is no number, joints without a name, a frame that is not listed.
    """
    if isinstance(document, dict) and isinstance(document.get("annolist"), list):
        return _parse_17(document["annolist"], path)
    if isinstance(document, dict) and {"images", "annotations"} <= document.keys():
        return _parse_18(document, path)
    kind = f"an object with {', '.join(list(document)[:4])}" if isinstance(document, dict) else "a list"
    raise FormatError(
        f"{path}: neither PoseTrack17 (annolist) nor PoseTrack18 (images, annotations) but {kind}; "
        "convert it with: posetrack export --to posetrack18"
    )


@dataclass
class _Rows:
    """People gathered row by row."""

    path: Path
    frame: list[int] = field(default_factory=list)
    id: list[int] = field(default_factory=list)
    keypoints: list[Doubles] = field(default_factory=list)
    boxes: list[list[float]] = field(default_factory=list)
    heads: list[list[float]] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    unscored: int = 0

    def people(self, names: tuple[str, ...]) -> People:
        rows = np.array(self.keypoints).reshape(-1, _JOINTS, 3)
        heads = np.array(self.heads).reshape(-1, 4)
        sides = heads[:, 2:] - heads[:, :2]
        present = np.isfinite(rows[..., :2])
        if np.any(present[..., 0] != present[..., 1]):
            bad = int(np.flatnonzero((present[..., 0] != present[..., 1]).any(axis=1))[0])
            raise _fault(self.path, self.frame[bad], names, "a joint has only one coordinate; leave it out")
        self._refuse_twice(names)
        return People.of(
            self.frame,
            self.id,
            rows[..., :2],
            joint_scores=rows[..., 2],
            boxes=np.array(self.boxes).reshape(-1, 4),
            scores=self.scores,
            heads=0.6 * np.sqrt(sides[:, 0] * sides[:, 0] + sides[:, 1] * sides[:, 1]),
        )

    def _refuse_twice(self, names: tuple[str, ...]) -> None:
        seen: set[tuple[int, int]] = set()
        for pair in zip(self.frame, self.id, strict=True):
            if pair in seen and pair[1] >= 0:
                raise _fault(
                    self.path, pair[0], names, f"track id {pair[1]} is given to two people; ids are one a person"
                )
            seen.add(pair)


def _fault(path: Path, frame: int, names: tuple[str, ...], what: str) -> FormatError:
    name = f" ({names[frame]})" if frame < len(names) else ""
    return FormatError(f"{path}: frame {frame}{name}: {what}")


def _number(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{what} is {value!r}, not a number; leave such a joint or person out")
    return float(value)


def _track_id(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"track_id is {value!r}, not a whole number from 0; number the tracks")
    return value


def _only(value: Any, what: str) -> Any:
    """PoseTrack17 puts every value into a list of one."""
    if not isinstance(value, list) or len(value) != 1:
        raise ValueError(f"{what} is {value!r}, not a list of one value")
    return value[0]


def _parse_17(frames: list[Any], path: Path) -> Annotations:
    rows = _Rows(path)
    names = tuple(_name_17(frame, i) for i, frame in enumerate(frames))
    labelled: list[bool | None] = []
    ignore: dict[int, list[Doubles]] = {}
    occupied = set()
    for i, frame in enumerate(frames):
        try:
            flag = frame.get("is_labeled")
            labelled.append(None if flag is None else bool(_only(flag, "is_labeled")))
            if regions := [_region_17(r) for r in frame.get("ignore_regions") or []]:
                ignore[i] = regions
            people = frame.get("annorect") or []
            if people:
                occupied.add(i)
            for person in people:
                _add_17(rows, i, person)
        except (ValueError, AttributeError, KeyError, TypeError) as error:
            raise _fault(path, i, names, str(error)) from error
    return Annotations(
        path, names, tuple(labelled), ignore, frozenset(occupied), rows.people(names), unscored=rows.unscored
    )


def _name_17(frame: Any, number: int) -> str:
    try:
        return str(frame["image"][0]["name"])
    except (KeyError, IndexError, TypeError):
        return str(number)


def _region_17(region: Any) -> Doubles:
    return np.array(
        [[_number(_only(p["x"], "x"), "x"), _number(_only(p["y"], "y"), "y")] for p in region["point"]]
    )


def _add_17(rows: _Rows, frame: int, person: Any) -> None:
    """One rectangle; one without `annopoints/point` is no person."""
    points = person.get("annopoints")
    points = points[0] if points else None
    if not points or "point" not in points:
        return
    keypoints = np.full((_JOINTS, 3), np.nan)
    for point in points["point"]:
        joint = _only(point["id"], "id")
        if not isinstance(joint, int) or not 0 <= joint < _JOINTS:
            raise ValueError(f"joint id {joint!r}; PoseTrack17 has joints 0 to {_JOINTS - 1}")
        if np.isfinite(keypoints[joint, 0]):
            continue  # poseval takes the first of a kind
        score = point.get("score")
        rows.unscored += score is None
        keypoints[joint] = (
            _number(_only(point["x"], "x"), "x"),
            _number(_only(point["y"], "y"), "y"),
            NO_SCORE if score is None else _number(_only(score, "score"), "score"),
        )
    head = [person.get(side) for side in ("x1", "y1", "x2", "y2")]
    rows.frame.append(frame)
    rows.id.append(_track_id(_only(person["track_id"], "track_id")) if "track_id" in person else -1)
    rows.keypoints.append(keypoints)
    rows.boxes.append([np.nan] * 4)
    rows.heads.append([np.nan if side is None else _number(_only(side, "x1"), "x1") for side in head])
    score = person.get("score")
    rows.scores.append(1.0 if score is None else _number(_only(score, "score"), "score"))


def _parse_18(document: dict[str, Any], path: Path) -> Annotations:
    try:
        slots = _slots(document, path)
        images = document["images"]
        videos = list(dict.fromkeys(_video(image) for image in images))
        images = [image for image in images if _video(image) == videos[0]]
    except (AttributeError, KeyError, TypeError) as error:
        raise FormatError(f"{path}: not PoseTrack18: {type(error).__name__} {error}") from error
    names = tuple(str(image.get("file_name", image["id"])) for image in images)
    place = {image["id"]: i for i, image in enumerate(images)}
    rows = _Rows(path)
    known = {image["id"] for image in document["images"]}
    for i, person in _by_frame(document["annotations"], place, known, path):
        try:
            _add_18(rows, i, person, slots)
        except (ValueError, AttributeError, KeyError, TypeError) as error:
            raise _fault(path, i, names, str(error)) from error
    ignore = {i: r for i, image in enumerate(images) if (r := _regions_18(image))}
    labelled = tuple(image.get("is_labeled") for image in images)
    people = rows.people(names)
    return Annotations(
        path, names, labelled, ignore, frozenset(people.frame.tolist()), people, len(videos), rows.unscored
    )


def _video(image: dict[str, Any]) -> str:
    """The video of an image: the folder's name up to the first underscore, as poseval has it."""
    return PurePosixPath(str(image.get("file_name", ""))).parent.name.split("_")[0]


def _slots(document: dict[str, Any], path: Path) -> list[int]:
    """For every slot of `keypoints` the number of the PoseTrack17 joint, -1 for those it lacks (ears)."""
    categories = document.get("categories") or []
    if len(categories) != 1 or not isinstance(categories[0].get("keypoints"), list):
        raise FormatError(f"{path}: wants one category, 'person', that names its keypoints")
    names = [_OTHER_NAMES.get(name, name) for name in categories[0]["keypoints"]]
    missing = [joint for joint in POSETRACK17.joints if joint not in names]
    if missing:
        raise FormatError(
            f"{path}: the skeleton of its category lacks {', '.join(missing)}; PoseTrack has 15 joints: "
            "convert it with: posetrack export --to posetrack18"
        )
    return [POSETRACK17.index(name) if name in POSETRACK17.joints else -1 for name in names]


def _by_frame(
    annotations: list[Any], place: dict[Any, int], known: set[Any], path: Path
) -> Iterator[tuple[int, Any]]:
    for number, person in enumerate(annotations):
        image = person.get("image_id") if isinstance(person, dict) else None
        if image in place:
            yield place[image], person
        elif image not in known:
            raise FormatError(f"{path}: annotation {number} belongs to image {image!r}, which `images` doesn't list")


def _regions_18(image: dict[str, Any]) -> list[Doubles]:
    xs, ys = image.get("ignore_regions_x") or [], image.get("ignore_regions_y") or []
    return [np.array([x, y], np.float64).T for x, y in zip(xs, ys, strict=True)]


def _add_18(rows: _Rows, frame: int, person: dict[str, Any], slots: list[int]) -> None:
    values = person["keypoints"]
    if len(values) != 3 * len(slots):
        raise ValueError(f"{len(values)} keypoint values; its category wants {3 * len(slots)}")
    if any(type(v) is not float and type(v) is not int for v in values):
        bad = next(v for v in values if isinstance(v, bool) or not isinstance(v, int | float))
        raise ValueError(f"a keypoint value is {bad!r}, not a number; write 0, 0, 0 for an absent joint")
    given = np.array(values, np.float64).reshape(-1, 3)
    scores = person.get("scores") or []
    if scores and len(scores) != len(slots):
        raise ValueError(f"{len(scores)} joint scores for {len(slots)} joints")
    absent = ~given.any(axis=1)
    given[:, 2] = [_number(s, "scores") for s in scores] if scores else NO_SCORE
    given[absent] = np.nan
    keypoints = np.full((_JOINTS + 1, 3), np.nan)
    keypoints[slots] = given  # slot -1, the ears, falls into the spare row
    rows.unscored += 0 if scores else int((~absent).sum())
    rows.frame.append(frame)
    rows.id.append(_track_id(person["track_id"]) if "track_id" in person else -1)
    rows.keypoints.append(keypoints[:_JOINTS])
    rows.boxes.append(_corners(person.get("bbox")))
    rows.heads.append(_corners(person.get("bbox_head")))
    rows.scores.append(_number(person.get("score", 1.0), "score"))


def _corners(xywh: Any) -> list[float]:
    if not xywh:
        return [np.nan] * 4
    x, y, width, height = (_number(v, "a box") for v in xywh)
    return [x, y, x + width, y + height]
