"""Poses or boxes from anybody's file, by frame number, for the tracker: `--poses` and `--detections`.

The kind of file is told from its content: posetrack's own results, COCO labels and results, PoseTrack 2018
and 2017, and for boxes also MOTChallenge text. Frame numbers count the frames of the video from 0. Our own
files and PoseTrack17's `imgnum` give them; elsewhere they come from the digits in the images' names, or from
image ids, and begin with the image 0 if there is one and with the image 1 otherwise (`labels.frame_numbers`
has the rule).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from posetrack.errors import FormatError
from posetrack.geometry import bounds, enlarge
from posetrack.results.coco import parse_annotations, parse_results
from posetrack.results.labels import LabelledFrame, LabelledSequence, read_json
from posetrack.results.mot import read_mot
from posetrack.results.posetrack import parse_posetrack17
from posetrack.results.reader import TrackReader
from posetrack.skeleton import Skeleton
from posetrack.types import Boxes, Floats, FrameResult, Poses

__all__ = ["PoseFile", "read_detections", "read_labels", "read_poses"]

_KINDS = "posetrack results, COCO labels and results, PoseTrack18 and PoseTrack17"
_MARGIN = 0.15
"""How much larger than the bounds of its joints a box is where the file has none: as the tracker's flow
boxes."""


@dataclass(frozen=True, eq=False)
class PoseFile:
    """Poses by frame number.

    `frames` has the frames with people: joints without a place are (NaN, NaN, 0), scores 1 where the file
    gives none. `ids` has the ids of the same people, -1 for none; the tracker leaves them aside. `length` is
    one more than the highest frame number that the file knows of; `times` in seconds by frame number, empty
    where the file has none.
    """

    path: Path
    skeleton: Skeleton
    frames: dict[int, Poses]
    ids: dict[int, NDArray[np.int64]]
    length: int
    times: dict[int, float]
    width: int | None = None
    height: int | None = None


def read_poses(path: str | Path) -> PoseFile:
    """The poses of a file of any kind; FormatError when it is none of them, or has no joints."""
    kind = _kind(path)
    if kind == "native":
        return _own_poses(TrackReader(path))
    if kind == "text":
        raise FormatError(f"{path}: a text holds boxes, not poses; posetrack reads poses from {_KINDS}")
    sequence = read_labels(path)
    frames, ids = {}, {}
    for frame in sequence.frames:
        rows = np.flatnonzero(np.isfinite(frame.keypoints[:, :, 0]).any(axis=1))
        if len(rows):
            frames[frame.index], ids[frame.index] = _poses(frame, rows), frame.ids[rows]
    if not frames:
        raise FormatError(f"{path}: there is no joint in it; for boxes use --detections")
    length = sequence.frames[-1].index + 1
    return PoseFile(Path(path), sequence.skeleton, frames, ids, length, {}, sequence.width, sequence.height)


def read_detections(path: str | Path) -> dict[int, Boxes]:
    """The people's boxes of a file of any kind, by frame number; FormatError when it is none of them.

    Where people have joints only, the box is the bounds of the joints, 15 % larger. Scores are 1 where there
    are none.
    """
    kind = _kind(path)
    if kind == "native":
        return {frame.index: _own_boxes(frame) for frame in TrackReader(path)}
    if kind == "text":
        return _mot_boxes(path)
    found = {}
    for frame in read_labels(path).frames:
        boxes = _boxes(frame)
        rows = np.isfinite(boxes).all(axis=1)
        scores = np.where(np.isnan(frame.scores), 1, frame.scores)
        found[frame.index] = Boxes(boxes[rows], scores[rows].astype(np.float32))
    return found


def read_labels(path: str | Path) -> LabelledSequence:
    """COCO labels or results, PoseTrack18 or PoseTrack17, told apart by content; FormatError for anything
    else."""
    document = read_json(path)
    if isinstance(document, list):
        return parse_results(path, document)
    if isinstance(document, dict) and "annolist" in document:
        return parse_posetrack17(path, document)
    if isinstance(document, dict) and "annotations" in document:
        return parse_annotations(path, document)
    raise FormatError(f"{path}: JSON of an unknown kind; posetrack reads {_KINDS}")


def _kind(path: str | Path) -> str:
    """'native', 'text' or 'json', from the first bytes."""
    try:
        with Path(path).open("rb") as file:
            begin = file.read(4096).lstrip()
    except OSError as error:
        raise FormatError(f"{path}: cannot be read ({error.strerror}); name one file of poses or boxes") from error
    if begin.startswith(b"{") and b'"format"' in begin and b'"posetrack"' in begin:
        return "native"
    if begin[:1].isdigit():
        return "text"
    if begin and not begin.startswith((b"{", b"[")):
        raise FormatError(f"{path}: not a file of poses or boxes; posetrack reads {_KINDS}")
    return "json"


def _own_poses(reader: TrackReader) -> PoseFile:
    skeleton, video = reader.header.skeleton, reader.header.video
    frames, ids, times = {}, {}, {}
    for frame in reader:
        times[frame.index] = frame.time
        if frame.people:
            boxes = _own_boxes(frame)
            keypoints = np.stack([person.keypoints for person in frame.people])
            frames[frame.index] = Poses(keypoints, boxes.xyxy, boxes.scores)
            ids[frame.index] = np.array([person.id for person in frame.people], np.int64)
    length = max(times, default=-1) + 1
    size = (video.get("width"), video.get("height"))
    return PoseFile(reader.path, skeleton, frames, ids, length, times, *size)


def _own_boxes(frame: FrameResult) -> Boxes:
    if not frame.people:
        return Boxes.empty()
    scores = np.array([person.score for person in frame.people], np.float32)
    return Boxes(np.stack([person.box for person in frame.people]), scores)


def _mot_boxes(path: str | Path) -> dict[int, Boxes]:
    mot = read_mot(path)
    rows = {int(frame): mot.frames == frame for frame in np.unique(mot.frames)}
    return {
        frame: Boxes(mot.boxes[here].astype(np.float32), mot.scores[here].astype(np.float32))
        for frame, here in rows.items()
    }


def _poses(frame: LabelledFrame, rows: NDArray[np.int64]) -> Poses:
    keypoints = frame.keypoints[rows].copy()
    absent = np.isnan(keypoints[:, :, 0])
    keypoints[..., 2] = np.where(np.isnan(keypoints[..., 2]), 1, keypoints[..., 2])
    mean = np.where(absent, 0, keypoints[..., 2]).sum(1) / (~absent).sum(1)
    scores = np.where(np.isnan(frame.scores[rows]), mean, frame.scores[rows])
    return Poses(keypoints.astype(np.float32), _boxes(frame)[rows], scores.astype(np.float32))


def _boxes(frame: LabelledFrame) -> Floats:
    """The file's boxes, or the enlarged bounds of the joints; NaN where there is neither."""
    keypoints = frame.keypoints.astype(np.float32)
    keypoints[..., 2] = 1
    around = enlarge(bounds(keypoints, 0), _MARGIN)
    return np.where(np.isnan(frame.boxes), around, frame.boxes).astype(np.float32)
