"""Sequences of tracked boxes to score: MOTChallenge text, or posetrack's own tracks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from posetrack.errors import FormatError, InputError
from posetrack.evaluate.load import Loaded, read_side
from posetrack.evaluate.people import Pair, People
from posetrack.results.mot import read_mot
from posetrack.skeleton import Skeleton

__all__ = ["box_files", "load_boxes"]

_NO_JOINTS = Skeleton("boxes", (), (), (), ())

_TRUTHS = ("*/gt/gt.txt", "*/gt.txt", "gt.txt", "gt/gt.txt")
"""Where a folder of MOTChallenge sequences keeps its truth: SEQUENCE/gt/gt.txt, or shorter."""


def box_files(prediction: Path, truth: Path) -> list[tuple[str, Path, Path]]:
    """(name, prediction, truth) of each sequence of two files or folders.

    A folder of truth holds SEQUENCE/gt/gt.txt, SEQUENCE/gt.txt or SEQUENCE.txt; the prediction of a sequence is
    SEQUENCE.txt, SEQUENCE/SEQUENCE.txt, SEQUENCE/test.txt or SEQUENCE.tracks.json. Raises InputError for what is
    not there.
    """
    for path in (prediction, truth):
        if not path.exists():
            raise InputError(f"{path}: no such file or folder")
    if truth.is_file():
        truths = {_sequence_name(truth): truth}
    else:
        found = [path for pattern in _TRUTHS for path in sorted(truth.glob(pattern))]
        found = found or sorted(truth.glob("*.txt"))
        truths = {_sequence_name(path): path for path in found}
    if not truths:
        raise InputError(f"{truth}: no truth in this folder; it wants SEQUENCE/gt/gt.txt or SEQUENCE.txt")
    if prediction.is_file():
        if len(truths) > 1:
            raise InputError(f"{prediction}: one file for {len(truths)} sequences of truth; give a folder")
        name, path = next(iter(truths.items()))
        return [(name, prediction, path)]
    return [(name, _prediction_of(name, prediction), path) for name, path in sorted(truths.items())]


def _sequence_name(truth: Path) -> str:
    if truth.stem != "gt":
        return truth.stem
    folder = truth.absolute().parent
    return folder.parent.name if folder.name == "gt" else folder.name


def _prediction_of(name: str, folder: Path) -> Path:
    names = (f"{name}.txt", f"{name}/{name}.txt", f"{name}/test.txt", f"{name}.tracks.json", f"{name}.json")
    for path in (folder / file for file in names):
        if path.is_file():
            return path
    raise InputError(f"{folder}: no prediction for {name}; name it {name}.txt")


def load_boxes(prediction: Path, truth: Path) -> Loaded:
    """The sequences of two files or folders of boxes. Frames pair by number, which the text counts from 1.

    Boxes of the truth whose seventh column is 0 don't count and are left out. Raises FormatError for boxes without
    identity.
    """
    notes: list[str] = []
    pairs = []
    for name, guess_path, true_path in box_files(prediction, truth):
        true, ignored = _boxes(true_path, is_truth=True)
        guess, _ = _boxes(guess_path, is_truth=False)
        if ignored:
            notes.append(f"{name}: {ignored} boxes of the truth are marked as not to be counted, and left out")
        last = max((int(people.frame.max()) for people in (true, guess) if len(people)), default=-1)
        pairs.append(Pair(name, last + 1, np.ones(last + 1, bool), _NO_JOINTS, true, guess))
    return Loaded(pairs, notes)


def _boxes(path: Path, *, is_truth: bool) -> tuple[People, int]:
    """The boxes of a file, and how many of them were left out."""
    if path.suffix == ".json":
        return read_side(path).people.joints([]), 0
    rows = read_mot(path)
    if not len(rows):
        raise FormatError(f"{path}: no boxes in it; write frame, id, left, top, width, height a line")
    counts = rows.scores != 0 if is_truth else np.ones(len(rows), bool)
    if (rows.ids[counts] < 0).any():
        frame = int(rows.frames[counts][rows.ids[counts] < 0][0]) + 1
        raise FormatError(f"{path}: frame {frame}: a box has id -1; tracking is scored, so every box needs an id")
    nothing = np.zeros((int(counts.sum()), 0, 2))
    people = People.of(rows.frames[counts], rows.ids[counts], nothing, boxes=rows.boxes[counts])
    return people, int((~counts).sum())
