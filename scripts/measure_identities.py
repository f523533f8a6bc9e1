"""Identity switches on true poses without pictures, and what each part of the tracker contributes.

Sequences are PoseTrack18 files in a folder or zip; their poses, ids removed, are tracked alone, as `posetrack run
--poses` does without a video. A switch is a person found under another id than the last time. "Noisy" drops 30 % of
the poses at random and moves every joint by a normal 3 % of the body's size (the root of its box's area): mean of the
seeds.
"""

from __future__ import annotations

import json
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click
import numpy as np

from posetrack import matching, propagation
from posetrack.results.posefile import PoseFile, read_poses
from posetrack.tracker import PoseTracker, TrackerSettings
from posetrack.types import Frame, Poses

NOTHING = np.zeros((1, 1, 3), np.uint8)
DROPPED, MOVED = 0.3, 0.03


@dataclass(frozen=True)
class Part:
    """One change to the tracker: settings, or what stands in for a name of a module while it is measured.

    `flags`: joints that the truth calls hidden have the score 0; read as poses they all count as seen.
    """

    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    stands_in: tuple[tuple[Any, str, Any], ...] = ()
    flags: bool = False


def _queued_area(entry: propagation.Queued, poses: Poses) -> Any:
    area = np.maximum(matching.area(entry.poses.boxes), 1)[:, None]
    return np.repeat(area, len(poses), axis=1).astype(np.float64)


def _even_sigmas(weights: Any) -> Any:
    return lambda a, b, areas, sigmas, w=None: weights(a, b, areas, [float(np.mean(sigmas))] * len(sigmas), w)


PARTS = (
    Part("as it is"),
    Part("no second round", {"recovery_threshold": 1.0}),
    Part("second round from 0.3", {"recovery_threshold": 0.3}),
    Part("second round from 0.5", {"recovery_threshold": 0.5}),
    Part("older entries count as much", stands_in=((matching, "AGEING", 0.0),)),
    Part("older entries count less, 0.4 a frame", stands_in=((matching, "AGEING", 0.4),)),
    Part("no velocity", {"motion": "none"}),
    Part("no velocity, no second round", {"motion": "none", "recovery_threshold": 1.0}),
    Part("velocity not smoothed", stands_in=((propagation, "SMOOTHING", 1.0),)),
    Part("velocity smoothed more, 0.5", stands_in=((propagation, "SMOOTHING", 0.5),)),
    Part("similarity threshold 0.02", {"similarity_threshold": 0.02}),
    Part("similarity threshold 0.05", {"similarity_threshold": 0.05}),
    Part("similarity threshold 0.2", {"similarity_threshold": 0.2}),
    Part("similarity threshold 0.3", {"similarity_threshold": 0.3}),
    Part("L_Q 1", {"queue_length": 1}),
    Part("L_Q 5", {"queue_length": 5}),
    Part("L_Q 20", {"queue_length": 20}),
    Part("area of the queued person alone", stands_in=((matching, "_areas", _queued_area),)),
    Part("hungarian", {"matching": "hungarian"}),
    Part("all joints' sigmas alike", stands_in=((matching, "oks", _even_sigmas(matching.oks)),)),
    Part("hidden joints count 0.3", flags=True),
    Part("hidden joints don't count", {"hidden_weight": 0.0}, flags=True),
    Part("similarity flow", {"similarity": "flow"}),
    Part("similarity pose", {"similarity": "pose"}),
    Part("similarity bbox", {"similarity": "bbox"}),
)


def read_sequences(path: Path, flags: bool = False) -> dict[str, PoseFile]:
    """The sequences of a folder or zip of PoseTrack18 files, by name."""
    if not path.is_dir():
        with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(path) as archive:
            archive.extractall(folder)
            return read_sequences(Path(folder), flags)
    files = sorted(path.glob("*.json"))
    return {file.stem: with_flags(read_poses(file), file) if flags else read_poses(file) for file in files}


def with_flags(sequence: PoseFile, file: Path) -> PoseFile:
    """`sequence` with the flags of its file as the joints' scores; who has an x, y is told by them."""
    annotations = json.loads(file.read_text())["annotations"]
    flags = {}
    for annotation in annotations:
        values = np.array(annotation["keypoints"], np.float32).reshape(-1, 3)
        flags[np.sort(values[:, :2][values[:, :2].any(axis=1)], axis=0).tobytes()] = values
    frames = {}
    for index, poses in sequence.frames.items():
        keypoints = poses.keypoints.copy()
        for pose in keypoints:
            here = np.isfinite(pose[:, 0])
            values = flags[np.sort(pose[here, :2], axis=0).tobytes()]
            seen = {row.tobytes() for row in values[values[:, 2] > 0, :2]}
            pose[:, 2] = [row.tobytes() in seen for row in pose[:, :2]]
        frames[index] = replace(poses, keypoints=keypoints)
    return replace(sequence, frames=frames)


def spoilt(poses: Poses, rng: np.random.Generator) -> tuple[Poses, Any]:
    """`poses` with their joints moved, and the rows of those that are not dropped."""
    size = np.sqrt(np.prod(poses.boxes[:, 2:] - poses.boxes[:, :2], axis=1))
    keypoints = poses.keypoints.copy()
    keypoints[..., :2] += rng.normal(0, MOVED, keypoints[..., :2].shape) * size[:, None, None]
    return replace(poses, keypoints=keypoints), np.flatnonzero(rng.random(len(poses)) >= DROPPED)


def count_switches(sequence: PoseFile, settings: TrackerSettings, rng: np.random.Generator | None = None) -> int:
    """How often a person gets another id than it last had; the poses are spoilt if there is an `rng`."""
    tracker = PoseTracker(sequence.skeleton, settings)
    last: dict[int, int] = {}
    switches = 0
    for index in range(sequence.length):
        poses = sequence.frames.get(index, Poses.empty(len(sequence.skeleton)))
        ids = sequence.ids.get(index, np.zeros(0, np.int64))
        if rng is not None:
            poses, rows = spoilt(poses, rng)
            poses, ids = poses[rows], ids[rows]
        who = {pose.tobytes(): int(i) for pose, i in zip(poses.keypoints, ids, strict=True)}
        for person in tracker.step(Frame(index, 0.0, NOTHING), poses, None, None):
            truth = who[person.keypoints.tobytes()]
            switches += last.get(truth, person.id) != person.id
            last[truth] = person.id
    return switches


def count_all(sequences: dict[str, PoseFile], settings: TrackerSettings, seed: int | None) -> int:
    """The switches of all `sequences`, clean or, with a `seed`, noisy: the same noise whatever else is measured."""
    return sum(
        count_switches(
            sequence, settings, None if seed is None else np.random.default_rng([seed, zlib.crc32(name.encode())])
        )
        for name, sequence in sequences.items()
    )


def measure(part: Part, path: Path, seeds: Sequence[int]) -> tuple[int, float]:
    """Switches of `part`: clean, and noisy in the mean of the `seeds`."""
    sequences = read_sequences(path, part.flags)
    settings = TrackerSettings(**part.settings)
    with ExitStack() as stack:
        for change in part.stands_in:
            stack.enter_context(patch.object(*change))
        clean = count_all(sequences, settings, None)
        return clean, float(np.mean([count_all(sequences, settings, seed) for seed in seeds]))


def _measured(job: tuple[int, Path, Sequence[int]]) -> tuple[int, float]:
    return measure(PARTS[job[0]], *job[1:])


@click.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--seeds", default=3, show_default=True, help="How many noisy runs.")
@click.option("--workers", default=2, show_default=True, help="Processes.")
def main(path: Path, seeds: int, workers: int) -> None:
    """Print the table of switches for the sequences at PATH."""
    jobs = [(i, path, tuple(range(1, seeds + 1))) for i in range(len(PARTS))]
    print(f"{'identity switches':40} clean  noisy ({seeds} seeds)")
    with ProcessPoolExecutor(workers) as pool:
        results: Iterator[tuple[int, float]] = pool.map(_measured, jobs)
        for part, (clean, noisy) in zip(PARTS, results, strict=True):
            print(f"{part.name:40} {clean:5d}  {noisy:5.1f}", flush=True)


if __name__ == "__main__":
    main()
