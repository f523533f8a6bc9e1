"""People carried from frame to frame: by flow, and where there is none by their velocity."""

from __future__ import annotations

import json

import numpy as np
import pytest

from posetrack.propagation import (
    Queued,
    coast,
    flow_boxes,
    latest_velocities,
    located,
    propagate,
    settle,
    velocities,
)
from posetrack.types import Floats, Poses

NAN = np.nan


def pose(*joints: tuple[float, float, float]) -> Floats:
    return np.array([joints], np.float32)


def queued(keypoints: Floats, ids: list[int] | None = None, velocity: tuple[float, float] = (0, 0)) -> Queued:
    n = len(keypoints)
    poses = Poses(keypoints, np.zeros((n, 4), np.float32), np.ones(n, np.float32))
    return Queued(
        np.array(ids or range(1, n + 1)),
        poses,
        keypoints,
        np.ones(n, np.float32),
        np.full((n, 2), velocity, np.float32),
    )


def uniform(dx: float, dy: float, width: int = 20, height: int = 10) -> Floats:
    return np.full((height, width, 2), (dx, dy), np.float32)


@pytest.mark.parametrize(
    ("joint", "where"),
    [
        ((5, 5, 0.9), (7, 6, 0.9)),
        ((5.5, 3.25, 0.1), (7.5, 4.25, 0.1)),
        ((17.5, 5, 0.9), (19.5, 6, 0.9)),
        ((17.6, 5, 0.9), (NAN, NAN, 0)),  # the picture ends at 19.5
        ((5, 8.6, 0.9), (NAN, NAN, 0)),
        ((30, 5, 0.9), (NAN, NAN, 0)),  # was outside already
        ((NAN, NAN, 0), (NAN, NAN, 0)),
    ],
)
def test_a_joint_moves_with_the_flow_until_it_leaves(
    joint: tuple[float, float, float], where: tuple[float, float, float]
) -> None:
    carried = propagate([queued(pose(joint))], uniform(2, 1), {})[0].carried[0, 0]
    assert carried == pytest.approx(np.array(where), nan_ok=True)


def test_flow_is_read_between_pixels_and_chained() -> None:
    ramp = uniform(0, 0)
    ramp[:, :, 0] = np.arange(20) / 4  # a joint at x moves by x / 4
    (entry,) = propagate(propagate([queued(pose((6, 5, 1)))], ramp, {}), ramp, {})
    assert entry.carried[0, 0] == pytest.approx([6 * 1.25**2, 5, 1])
    assert entry.poses.keypoints[0, 0] == pytest.approx([6, 5, 1])


def test_without_flow_people_go_on_by_their_latest_velocity() -> None:
    entry = coast(coast(queued(pose((5, 5, 1)), velocity=(1, 0))))
    assert entry.carried[0, 0] == pytest.approx([5, 5, 1])
    assert settle(entry, {1: np.float32([3, -1])}).carried[0, 0] == pytest.approx([11, 3, 1])
    (flowed,) = propagate([entry], uniform(0.5, 0), {1: np.float32([3, -1])})
    assert flowed.carried[0, 0] == pytest.approx([11.5, 3, 1])
    assert flowed.coasted == 0


def test_velocity_is_the_median_smoothed_over_the_frames_between() -> None:
    before = queued(pose((0, 0, 1), (10, 0, 1), (20, 0, 1), (0, 0, 0)), velocity=(5, 0))
    now = pose((20, 0, 1), (30, 0, 1), (90, 40, 1), (7, 7, 1))  # one joint jumps, one was absent
    empty = queued(np.zeros((0, 4, 3), np.float32))
    speed = velocities(np.array([1]), now, [empty, before])
    assert speed[0] == pytest.approx([5 + 0.7 * (10 - 5), 0])
    assert velocities(np.array([2]), now, [before]).tolist() == [[0, 0]]
    assert velocities(np.array([1]), now * np.float32([NAN, NAN, 0]), [before])[0] == pytest.approx([5, 0])


def test_the_newest_velocity_counts() -> None:
    old, new = queued(pose((0, 0, 1)), velocity=(1, 1)), queued(pose((0, 0, 1)), velocity=(2, 2))
    assert latest_velocities([new, old])[1].tolist() == [2, 2]


def test_flow_boxes_are_enlarged_bounds_with_fading_scores() -> None:
    entry = queued(np.concatenate([pose((0, 0, 0.9), (100, 200, 0.3), (500, 500, 0.1)), pose(*[(1, 1, 0.1)] * 3)]))
    boxes = flow_boxes(entry, 0.2)
    assert boxes.xyxy[0] == pytest.approx([-7.5, -15, 107.5, 215])
    assert boxes.scores == pytest.approx([0.9, 0])
    assert np.isnan(boxes.xyxy[1]).all()


def test_a_joint_has_a_place_or_has_none() -> None:
    joints = np.array([[1, 2, 0], [0, 0, 0], [0, 0, 0.5], [NAN, NAN, 0], [0, 3, 0]], np.float32)
    assert located(joints).tolist() == [True, False, True, False, True]


def test_an_entry_survives_json() -> None:
    keypoints = np.random.default_rng(0).normal(size=(3, 4, 3)).astype(np.float32)
    keypoints[1, 2] = (NAN, NAN, 0)
    entry = coast(queued(keypoints, [3, 1, 7], (0.1, 1 / 3)))
    back = Queued.from_json(json.loads(json.dumps(entry.to_json(), allow_nan=False)), 4)
    for name in ("ids", "carried", "box_scores", "velocities"):
        assert getattr(back, name).tobytes() == getattr(entry, name).tobytes()
        assert getattr(back, name).dtype == getattr(entry, name).dtype
    assert back.poses.keypoints.tobytes() == keypoints.tobytes()
    assert back.coasted == 1
    nobody = Queued.from_json(queued(keypoints[:0]).to_json(), 4)
    assert nobody.poses.keypoints.shape == (0, 4, 3)
