"""Files and folders in, sequences to score out: truth and prediction frame by frame, in the same joints."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from posetrack.errors import FormatError, InputError
from posetrack.evaluate.people import NO_SCORE, Doubles, Pair, People
from posetrack.evaluate.polygons import inside_any
from posetrack.results.labels import LabelledSequence
from posetrack.results.native import read_tracks
from posetrack.results.posefile import read_labels
from posetrack.skeleton import POSETRACK17, POSETRACK18, Skeleton, convert
from posetrack.types import FrameResult

__all__ = ["Loaded", "Side", "load_poses", "matching_files", "pair_up", "read_side", "side_of_results"]


@dataclass(frozen=True, eq=False)
class Loaded:
    """Sequences to score, and what there is to say about how they were read."""

    pairs: list[Pair]
    notes: list[str]


@dataclass(frozen=True, eq=False)
class Side:
    """One file, truth or prediction, in its own joints."""

    path: Path
    skeleton: Skeleton
    names: tuple[str, ...]
    labelled: NDArray[np.bool_]
    occupied: NDArray[np.bool_]
    ignore: dict[int, list[Doubles]]
    people: People
    unscored: int = 0


def matching_files(prediction: Path, truth: Path, patterns: tuple[str, ...]) -> list[tuple[Path, Path]]:
    """(prediction, truth) files: one of each, or those of two folders that share a name.

    Names are compared up to the first dot, so that clip.tracks.json goes with clip.json. Raises InputError for what
    is not there, or a truth without prediction.
    """
    for path in (prediction, truth):
        if not path.exists():
            raise InputError(f"{path}: no such file or folder")
    if truth.is_file():
        return [(_only_file(prediction, truth, patterns), truth)]
    truths = _files(truth, patterns)
    if not truths:
        raise InputError(f"{truth}: no {' or '.join(patterns)} in this folder; give the folder that holds the truth")
    if prediction.is_file():
        if len(truths) > 1:
            raise InputError(
                f"{prediction}: one file for {len(truths)} of truth in {truth}; give a folder, or one truth"
            )
        return [(prediction, truths[0])]
    return [(_only_file(prediction, path, patterns), path) for path in truths]


def _files(folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    return sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})


def _stem(path: Path) -> str:
    return path.name.split(".")[0]


def _only_file(prediction: Path, truth: Path, patterns: tuple[str, ...]) -> Path:
    if prediction.is_file():
        return prediction
    same = [path for path in _files(prediction, patterns) if path.name == truth.name]
    found = same or [path for path in _files(prediction, patterns) if _stem(path) == _stem(truth)]
    if len(found) != 1:
        how = "no prediction" if not found else f"{len(found)} predictions ({', '.join(p.name for p in found)})"
        raise InputError(f"{prediction}: {how} for {truth.name}; name it {_stem(truth)}.json")
    return found[0]


def load_poses(prediction: Path, truth: Path, *, protocol: str = "every-frame", fill_missing: bool = False) -> Loaded:
    """The sequences of two files or folders of poses, truth's ignore regions applied.

    Counted are the frames that the truth labels; `protocol` 'poseval' counts those where it has a rectangle.
    `fill_missing` takes frames that the prediction leaves out for empty, and pairs by image name; otherwise frames
    pair by position and their numbers must agree. Raises FormatError that names file, frame and remedy.
    """
    notes: dict[str, None] = {}
    pairs = []
    unscored = 0
    for guess_path, true_path in matching_files(prediction, truth, ("*.json",)):
        guess = read_side(guess_path)
        pair, said = pair_up(read_side(true_path), guess, protocol, fill_missing=fill_missing)
        pairs.append(pair)
        unscored += guess.unscored
        notes.update(dict.fromkeys(said))
    if unscored:
        notes[f"{unscored} predicted joints have no score and rank last"] = None
    return Loaded(pairs, list(notes))


def pair_up(true: Side, guess: Side, protocol: str, *, fill_missing: bool = False) -> tuple[Pair, list[str]]:
    """Truth and prediction of one sequence side by side, and what there is to say about it; as `load_poses`."""
    converted, derived = _in_joints(guess, true.skeleton)
    notes = [f"{', '.join(derived)}: derived, because {guess.skeleton.name} predictions lack them"] if derived else []
    return _paired(true, _in_frames_of(true, converted, fill_missing), protocol), notes


def read_side(path: Path) -> Side:
    """One file of poses, truth or prediction: PoseTrack17 or 18, COCO labels or results, or posetrack's own."""
    with path.open("rb") as file:
        head = file.read(400).replace(b" ", b"")
    if b'"format":"posetrack"' in head:
        reader = read_tracks(path)
        return side_of_results(path, reader, reader.header.skeleton)
    return _of_labels(read_labels(path))


def _of_labels(sequence: LabelledSequence) -> Side:
    """What a PoseTrack or COCO file holds. PoseTrack18 becomes the 17 form, as in poseval: no ears."""
    frames = sequence.frames
    if not frames:
        raise FormatError(f"{sequence.path}: no frame in it; write the images of the sequence as well")
    keypoints = np.concatenate([frame.keypoints for frame in frames])
    heads = np.concatenate([frame.heads for frame in frames])
    sides = heads[:, 2:] - heads[:, :2]
    people = People.of(
        np.repeat(np.arange(len(frames)), [len(frame) for frame in frames]),
        np.concatenate([frame.ids for frame in frames]),
        keypoints[..., :2],
        joint_scores=np.where(np.isnan(keypoints[..., 2]), NO_SCORE, keypoints[..., 2]),
        boxes=np.concatenate([frame.boxes for frame in frames]),
        scores=np.nan_to_num(np.concatenate([frame.scores for frame in frames]), nan=1.0),
        heads=0.6 * np.sqrt(sides[:, 0] * sides[:, 0] + sides[:, 1] * sides[:, 1]),
    )
    skeleton, posed = sequence.skeleton, people
    if skeleton is POSETRACK18:
        skeleton = POSETRACK17
        posed = people.joints([POSETRACK18.index(joint) for joint in skeleton.joints])
    elif skeleton is POSETRACK17:
        posed = people[people.present.any(axis=1)]  # poseval: a rectangle without points is nobody
    unscored = int((posed.present & (posed.joint_scores == NO_SCORE)).sum())
    return Side(
        path=sequence.path,
        skeleton=skeleton,
        names=tuple(frame.name or str(frame.index) for frame in frames),
        labelled=np.array([frame.labelled or len(frame) > 0 for frame in frames], bool),
        occupied=np.array([len(frame) > 0 for frame in frames], bool),
        ignore={i: list(frame.ignore) for i, frame in enumerate(frames) if frame.ignore},
        people=_with_boxes(posed),
        unscored=unscored,
    )


def side_of_results(path: Path, results: Iterable[FrameResult], skeleton: Skeleton) -> Side:
    """The people of posetrack's own results: every joint it has a place for, with its score."""
    frames, ids, points, boxes, scores = [], [], [], [], []
    names = []
    for position, result in enumerate(results):
        names.append(str(result.index))
        for person in result.people:
            frames.append(position)
            ids.append(person.id)
            points.append(person.keypoints)
            boxes.append(person.box)
            scores.append(person.score)
    keypoints = np.array(points, np.float64).reshape(-1, len(skeleton), 3)
    people = People.of(
        frames, ids, keypoints[..., :2], joint_scores=keypoints[..., 2],
        boxes=np.array(boxes, np.float64).reshape(-1, 4), scores=scores,
    )  # fmt: skip
    every = np.ones(len(names), bool)
    occupied = np.zeros(len(names), bool)
    occupied[people.frame] = True
    return Side(path, skeleton, tuple(names), every, occupied, {}, _with_boxes(people))


def _with_boxes(people: People) -> People:
    """Where a person has no box, the bounds of the joints."""
    bounds = np.where(np.isfinite(people.extent), people.extent, np.nan)
    known = np.asarray(np.isfinite(people.boxes).all(axis=1))
    return replace(people, boxes=np.where(known[:, None], people.boxes, bounds))


def _in_joints(side: Side, skeleton: Skeleton) -> tuple[Side, tuple[str, ...]]:
    """A side in the joints of `skeleton`, and the names of those that had to be derived."""
    if side.skeleton.joints == skeleton.joints:
        return side, ()
    people = side.people
    rows = np.concatenate([people.keypoints, people.joint_scores[..., None]], axis=2)
    converted, derived = convert(rows.astype(np.float32), side.skeleton, skeleton)
    if np.isnan(converted[..., 0]).all(axis=0).all():
        raise FormatError(f"{side.path}: its skeleton {side.skeleton.name} shares no joint with {skeleton.name}")
    doubles = converted.astype(np.float64)
    people = replace(people, keypoints=doubles[..., :2], joint_scores=doubles[..., 2])
    return replace(side, people=people), derived


def _in_frames_of(true: Side, guess: Side, fill_missing: bool) -> People:
    """The prediction's people, in the truth's frames."""
    if not fill_missing:
        if len(true.names) != len(guess.names):
            raise FormatError(
                f"{guess.path}: {len(guess.names)} frames, but {len(true.names)} in {true.path.name}; score the same "
                "frames (all of them, stride 1), or let missing ones count as empty with --missing empty"
            )
        return guess.people
    place = _places(true, guess)
    return People.of(
        [place[f] for f in guess.people.frame],
        *(getattr(guess.people, name) for name in ("id", "keypoints")),
        **{name: getattr(guess.people, name) for name in ("joint_scores", "boxes", "scores", "heads", "areas")},
    )


def _places(true: Side, guess: Side) -> list[int]:
    """For each frame of the prediction the truth's frame of that image name, or of that number."""
    keys: list[Callable[[str], str]] = [lambda name: name, lambda name: Path(name).name, _digits]
    for key in keys:
        known = {key(name): i for i, name in enumerate(true.names)}
        if len(known) == len(true.names) and all(key(name) in known for name in guess.names):
            return [known[key(name)] for name in guess.names]
    known = {name: i for i, name in enumerate(true.names)}
    stranger = next((i, name) for i, name in enumerate(guess.names) if name not in known)
    raise FormatError(
        f"{guess.path}: frame {stranger[0]} ({stranger[1]}) is not in {true.path.name}; predict the same images"
    )


def _digits(name: str) -> str:
    return Path(name).stem.rpartition("_")[2].lstrip("0") or "0"


def _paired(true: Side, guess: People, protocol: str) -> Pair:
    """Both sides over the frames that count, without what lies in the truth's ignore regions."""
    counted = true.occupied if protocol == "poseval" else true.labelled
    sides = []
    for people in (true.people, guess):
        people = people[counted[people.frame]]
        people = _outside(people, true.ignore)
        sides.append(people if protocol == "poseval" else people[people.present.any(axis=1)])
    return Pair(_stem(true.path), len(true.names), counted, true.skeleton, sides[0], sides[1], true.names)


def _outside(people: People, ignore: dict[int, list[Doubles]]) -> People:
    """Without the joints inside ignore regions; who has none left in such a frame goes (REFERENCE 5.1)."""
    drop = np.zeros(people.present.shape, bool)
    concerned = np.zeros(len(people), bool)
    for frame, polygons in ignore.items():
        first, last = np.searchsorted(people.frame, [frame, frame + 1])
        concerned[first:last] = True
        drop[first:last] = inside_any(people.keypoints[first:last], polygons)
    people = people.without_joints(drop)
    return people[~concerned | people.present.any(axis=1)]
