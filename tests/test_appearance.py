"""Looks: the same clothes are alike wherever they are, others are not, and who cannot be seen has none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from dressed import BLUE, GREEN, RED, Dressed, drawn, poses_of
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from posetrack.appearance import LOOK_SIZE, alike, describe
from posetrack.skeleton import COCO17, SKELETONS, Skeleton
from posetrack.types import Poses

ANNE = Dressed(100)
SKELETON = st.sampled_from(sorted(SKELETONS))


def looks(*people: Dressed, skeleton: Skeleton = COCO17, light: float = 1.0) -> np.ndarray:
    poses = poses_of(*people, skeleton=skeleton)
    found, known = describe(drawn(*people, light=light), poses.keypoints, poses.boxes, skeleton)
    assert known.all()
    assert found.dtype == np.uint8
    return found


@pytest.mark.parametrize("name", SKELETONS)
def test_clothes_are_known_again_in_every_skeleton(name: str) -> None:
    skeleton = SKELETONS[name]
    first = looks(ANNE, Dressed(300, GREEN), skeleton=skeleton)
    again = looks(Dressed(200, GREEN, height=90), replace(ANNE, x=380, height=160), skeleton=skeleton)
    same = alike(first, again)
    assert same[0, 1] > 0.95
    assert same[1, 0] > 0.95
    assert max(same[0, 0], same[1, 1]) < 0.2


@pytest.mark.parametrize(
    ("shirt", "trousers", "low", "high"),
    [
        (RED, (60, 60, 70), 0.95, 1),
        (RED, (75, 75, 85), 0.8, 1),
        (RED, (200, 200, 205), 0, 0.2),
        (GREEN, (60, 60, 70), 0, 0.2),
        (BLUE, (190, 180, 60), 0, 0.01),
    ],
)
def test_the_more_differs_the_less_alike(shirt: tuple, trousers: tuple, low: float, high: float) -> None:
    value = alike(looks(ANNE), looks(Dressed(300, shirt, trousers)))[0, 0]
    assert low <= value <= high


@pytest.mark.parametrize("light", [0.7, 0.85, 1.2])
def test_light_changes_little(light: float) -> None:
    dim = looks(ANNE, Dressed(300, GREEN), light=light)
    same = alike(looks(ANNE, Dressed(300, GREEN)), dim)
    assert np.diag(same).min() > 0.7
    assert max(same[0, 1], same[1, 0]) < 0.2


def test_each_part_has_its_own_colours() -> None:
    parts = looks(Dressed(100, (20, 20, 20), (235, 235, 235)))[0, : 5 * 12].reshape(5, 12)
    dark, bright = parts[:, 8:10].sum(axis=1), parts[:, 10:].sum(axis=1)
    assert dark[:3].min() > 150  # both halves of the torso, and the upper arms
    assert bright[3:].min() > 240


def test_black_and_white_are_not_alike() -> None:
    black, white = Dressed(100, (25, 25, 25)), Dressed(300, (235, 235, 235))
    assert alike(looks(black), looks(white))[0, 0] < 0.1


@pytest.mark.parametrize(
    "person",
    [
        Dressed(-10),  # most of whom is outside
        Dressed(100, height=30),
        Dressed(-500),
    ],
)
def test_who_is_outside_or_tiny_has_no_look(person: Dressed) -> None:
    poses = poses_of(person)
    found, known = describe(drawn(ANNE), poses.keypoints, poses.boxes, COCO17)
    assert not known.any()
    assert not found.any()


@pytest.mark.parametrize("joint", ["left_shoulder", "right_hip"])
@pytest.mark.parametrize("hidden", [(50, 50, 0.05), (np.nan, np.nan, 0), (0, 0, 0)])
def test_a_torso_that_is_not_seen_has_no_look(joint: str, hidden: tuple) -> None:
    poses = poses_of(ANNE)
    poses.keypoints[0, COCO17.index(joint)] = hidden
    assert not describe(drawn(ANNE), poses.keypoints, poses.boxes, COCO17)[1].any()


def test_of_people_behind_a_desk_the_upper_torso_is_enough() -> None:
    poses = poses_of(ANNE)
    poses.keypoints[0, COCO17.index("left_hip") :, 2] = 0.15
    found, known = describe(drawn(ANNE), poses.keypoints, poses.boxes, COCO17)
    assert known.all()
    assert found[0, :12].any()
    assert not found[0, 12:24].any()  # the lower torso
    assert not found[0, 36:60].any()  # the legs
    assert alike(found, looks(ANNE))[0, 0] > 0.8


def test_who_stands_behind_somebody_has_no_look() -> None:
    behind, front = replace(ANNE, y=50), Dressed(110, GREEN)
    poses = poses_of(behind, front)
    found, known = describe(drawn(behind, front), poses.keypoints, poses.boxes, COCO17)
    assert known.tolist() == [False, True]
    assert alike(found[1:], looks(front))[0, 0] > 0.9


def test_a_skeleton_without_a_torso_gives_no_looks() -> None:
    face = Skeleton("face", ("left_eye", "right_eye"), ((0, 1),), ((0, 1),), (0.1, 0.1))
    found, known = describe(drawn(ANNE), np.ones((3, 2, 3), np.float32), np.ones((3, 4), np.float32), face)
    assert found.shape == (3, LOOK_SIZE)
    assert not known.any()


def test_nobody() -> None:
    empty = Poses.empty(17)
    found, known = describe(drawn(), empty.keypoints, empty.boxes, COCO17)
    assert found.shape == (0, LOOK_SIZE)
    assert known.shape == (0,)
    assert alike(found, looks(ANNE)).shape == (0, 1)


def test_a_look_is_of_one_person_alone() -> None:
    crowd = [ANNE, Dressed(230, GREEN), Dressed(380, BLUE)]
    together = looks(*crowd)
    picture = drawn(*crowd)
    for person, look in zip(crowd, together, strict=True):
        poses = poses_of(person)
        assert np.array_equal(describe(picture, poses.keypoints, poses.boxes, COCO17)[0][0], look)


def test_a_mean_of_looks_is_a_look() -> None:
    several = looks(ANNE, replace(ANNE, x=250, height=100), replace(ANNE, x=380, height=150))
    mean = several.mean(axis=0, keepdims=True)
    assert alike(mean, several).min() > 0.95
    assert alike(mean, looks(Dressed(200, GREEN)))[0, 0] < 0.2
    half_seen = np.concatenate([several, np.zeros_like(several)]).mean(axis=0, keepdims=True)
    assert 0.5 < alike(half_seen, several).min() < alike(mean, several).min()


def test_what_says_nothing_is_even() -> None:
    nothing = np.zeros((1, LOOK_SIZE))
    assert alike(nothing, nothing) == 0.5
    assert alike(nothing, looks(ANNE)) == 0.5


values = st.floats(-1e6, 1e6, width=32) | st.just(float("nan"))


@given(arrays.arrays(np.float32, (3, 17, 3), elements=values), arrays.arrays(np.float32, (3, 4), elements=values))
def test_any_joints_give_looks_or_none(keypoints: np.ndarray, boxes: np.ndarray) -> None:
    found, known = describe(drawn(ANNE), keypoints, boxes, COCO17)
    assert found.any(axis=1).tolist() == known.tolist()


@given(arrays.arrays(np.uint8, (4, LOOK_SIZE)), arrays.arrays(np.uint8, (3, LOOK_SIZE)))
def test_likeness_is_symmetric_and_a_chance(a: np.ndarray, b: np.ndarray) -> None:
    same = alike(a, b)
    assert same.shape == (4, 3)
    assert ((same >= 0) & (same <= 1)).all()
    assert np.allclose(same, alike(b, a).T)
