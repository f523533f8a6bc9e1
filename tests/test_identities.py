"""Identities on real motion: true poses tracked alone, with flow between given frames and without any picture."""

from __future__ import annotations

import importlib.util
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from posetrack.flow import make_flow
from posetrack.results.posefile import PoseFile, read_poses
from posetrack.skeleton import COCO17
from posetrack.tracker import PoseTracker, TrackerSettings
from posetrack.types import Boxes, Floats, Frame, Image, Poses


@pytest.fixture(scope="module")
def measuring() -> ModuleType:
    path = Path(__file__).parents[1] / "scripts" / "measure_identities.py"
    spec = importlib.util.spec_from_file_location("measure_identities", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def true_poses(shared: Path) -> PoseFile:
    return read_poses(shared / "data/posetrack/bonn_060470979/060470979_posetrack18.json")


@pytest.fixture(scope="module")
def pictures(shared: Path) -> list[Image]:
    files = sorted((shared / "data/posetrack/bonn_060470979/frames").glob("*.jpg"))
    return [np.ascontiguousarray(cv2.imread(str(file))[..., ::-1]) for file in files]


@pytest.fixture(scope="module")
def flows(pictures: list[Image]) -> list[Floats | None]:
    flow = make_flow("dis-fast")
    assert flow is not None
    return [None, *(flow(a, b) for a, b in pairwise(pictures))]


@pytest.mark.parametrize("every", [1, 2, 3])
def test_four_people_keep_their_ids_with_flow(
    true_poses: PoseFile, pictures: list[Image], flows: list[Floats | None], every: int
) -> None:
    """All 41 frames have the 4 people, each under one id, also where only flow carries them; in any order."""
    rng = np.random.default_rng(0)
    tracker = PoseTracker(true_poses.skeleton)
    owners: dict[int, int] = {}
    for index, (image, flow) in enumerate(zip(pictures, flows, strict=True)):
        poses, truth = true_poses.frames[index], true_poses.ids[index]
        order = rng.permutation(len(poses))
        given = poses[order] if index % every == 0 else Boxes.empty()
        people = tracker.step(Frame(index, index / 25, image), given, flow, None)
        assert [person.id for person in people] == [1, 2, 3, 4]
        for person in people:
            distances = np.linalg.norm(poses.keypoints[..., :2] - person.keypoints[:, :2], axis=-1)
            owner = int(truth[np.argmin(np.nanmedian(distances, axis=1))])
            assert owners.setdefault(person.id, owner) == owner
    assert len(set(owners.values())) == 4


def test_identity_switches_stay_within_bounds(shared: Path, measuring: ModuleType) -> None:
    """The issue's bounds on 40 sequences, one set of defaults; scripts/measure_identities prints the parts."""
    clean, noisy = measuring.measure(measuring.PARTS[0], shared / "data/posetrack/bonn_poses.zip", (1, 2, 3))
    assert clean <= 12
    assert noisy <= 28


def test_the_measure_counts_a_switch(measuring: ModuleType) -> None:
    """Two people change places between frames while nobody is looking: both are found under the other's id."""
    body = np.random.default_rng(0).uniform(0, 100, (17, 2))
    keypoints = np.array([np.c_[body + np.array([x, 0]), np.ones(17)] for x in (0, 300)], np.float32)
    boxes = np.array([(0, 0, 100, 100), (300, 0, 400, 100)], np.float32)
    poses = Poses(keypoints, boxes, np.ones(2, np.float32))
    ids = {0: np.array([5, 6]), 1: np.array([6, 5])}
    sequence = PoseFile(Path("made"), COCO17, {0: poses, 1: poses}, ids, 2, {})
    assert measuring.count_switches(sequence, TrackerSettings()) == 2
    assert measuring.count_switches(PoseFile(Path("made"), COCO17, {0: poses}, ids, 1, {}), TrackerSettings()) == 0
