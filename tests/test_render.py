"""People drawn on frames: the right colours in the right places, and nothing else touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import make_clip, number, picture

from posetrack.render import SIDES, Trails, annotate, draw_people, track_colour
from posetrack.skeleton import COCO17, SKELETONS
from posetrack.types import FrameResult, Person
from posetrack.video import VideoWriter, open_video

GRAY = np.full((240, 320, 3), 128, np.uint8)


def person(track: int = 1, x: float = 100, y: float = 60, size: float = 100, score: float = 0.9) -> Person:
    """Somebody whose joints lie on a circle within a box of `size`."""
    angles = np.arange(len(COCO17)) / len(COCO17) * 2 * np.pi
    joints = np.stack([x + size * (0.5 + 0.4 * np.cos(angles)), y + size * (0.5 + 0.4 * np.sin(angles))], 1)
    keypoints = np.column_stack([joints, np.full(len(joints), score)]).astype(np.float32)
    return Person(track, score, np.array([x, y, x + size, y + size], np.float32), keypoints)


def near(image: Any, joint: Any, colour: tuple[int, int, int]) -> bool:
    x, y = np.rint(joint[:2]).astype(int)
    return bool(np.abs(image[y, x].astype(int) - colour).max() < 40)


def test_joints_have_the_colour_of_their_side() -> None:
    somebody = person(size=200, x=20, y=20)
    drawn = draw_people(GRAY, [somebody], COCO17)
    for joint, name in zip(somebody.keypoints, COCO17.joints, strict=True):
        side = name.split("_")[0] if "_" in name else "middle"
        assert near(drawn, joint, SIDES[side]), name


def test_what_scores_low_or_is_nowhere_is_left_out() -> None:
    somebody = person()
    somebody.keypoints[:, 2] = 0.1
    without = draw_people(GRAY, [somebody], COCO17)
    assert np.array_equal(without[70:150, 110:190], GRAY[70:150, 110:190])
    assert not np.array_equal(draw_people(GRAY, [somebody], COCO17, threshold=0.05), without)
    somebody.keypoints[:, 2] = 0.9
    somebody.keypoints[:, 0] = np.nan
    assert np.array_equal(draw_people(GRAY, [somebody], COCO17), without)


def test_the_picture_itself_is_not_touched_and_nobody_changes_nothing() -> None:
    image = GRAY.copy()
    image.setflags(write=False)
    assert not np.array_equal(draw_people(image, [person()], COCO17), image)
    assert np.array_equal(draw_people(image, [], COCO17, Trails()), GRAY)
    assert np.array_equal(draw_people(image[:, ::-1], [], COCO17), GRAY)


@pytest.mark.parametrize(
    "box", [(-1e7, -1e7, 1e7, 1e7), (-50, -50, -10, -10), (315, 235, 400, 300), (10, 10, 10, 10), (np.nan,) * 4]
)
def test_people_beyond_the_picture_are_no_trouble(box: tuple[float, ...]) -> None:
    somebody = person()
    far = Person(1, 0.9, np.array(box, np.float32), somebody.keypoints * np.float32(1e6))
    assert draw_people(GRAY, [far, somebody], COCO17).shape == GRAY.shape


@pytest.mark.parametrize("size", [(1, 1), (24, 16), (256, 340), (1080, 1920)])
def test_pictures_of_every_size_can_be_drawn_on(size: tuple[int, int]) -> None:
    image = np.zeros((*size, 3), np.uint8)
    assert draw_people(image, [person(), person(12345)], COCO17).shape == image.shape


@pytest.mark.parametrize("name", SKELETONS)
def test_every_skeleton_can_be_drawn(name: str) -> None:
    skeleton = SKELETONS[name]
    keypoints = np.random.default_rng(0).uniform((10, 10, 0.5), (300, 200, 1), (len(skeleton), 3))
    somebody = Person(1, 0.9, np.array([10, 10, 300, 200], np.float32), keypoints.astype(np.float32))
    assert not np.array_equal(draw_people(GRAY, [somebody], skeleton), GRAY)


def test_the_order_of_people_does_not_matter() -> None:
    people = [person(n, 30 * n, 10 * n, 60 + 20 * n) for n in range(1, 5)]
    drawn = draw_people(GRAY, people, COCO17)
    np.testing.assert_array_equal(draw_people(GRAY, people[::-1], COCO17), drawn)


def test_colours_of_tracks_are_fixed_and_neighbours_differ() -> None:
    assert [track_colour(n) for n in (1, 2, 3)] == [track_colour(n) for n in (1, 2, 3)]
    colours = np.array([track_colour(n) for n in range(1, 1001)])
    assert colours.min() >= 0
    assert colours.max() <= 255
    for apart in range(1, 6):
        assert np.abs(colours[apart:] - colours[:-apart]).sum(axis=1).min() > 60
    image = draw_people(GRAY, [person(7)], COCO17)
    assert near(image, (100, 120), track_colour(7))


def test_trails_follow_forget_and_clear() -> None:
    trails = Trails(length=5)
    for n in range(20):
        trails.feed([person(1, x=10 * n)] + [person(2)] * (n < 12), COCO17)
    assert list(trails.points) == [1]
    assert len(trails.points[1]) == 5
    hips = person(1, x=190).keypoints[[COCO17.index("left_hip"), COCO17.index("right_hip")], :2]
    assert trails.points[1][-1] == pytest.approx(tuple(hips.mean(axis=0)))
    trails.feed([person(3, score=0.1)], COCO17)
    assert trails.points[3][-1] == (150, 110)
    drawn = draw_people(GRAY, [person(1, x=190)], COCO17, trails)
    assert not np.array_equal(drawn, draw_people(GRAY, [person(1, x=190)], COCO17))
    trails.clear()
    assert trails.points == {}


def test_frames_are_annotated_that_have_results(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", 12, size=(320, 240))
    results = [FrameResult(n, n / 25, (person(),), cut=n == 6) for n in (2, 4, 6, 8, 40)]
    trails = Trails()
    with open_video(clip) as video, VideoWriter.like(video.info, tmp_path / "out.mp4") as writer:
        assert annotate(video, results, writer, COCO17, trails) == 4
    with open_video(tmp_path / "out.mp4") as video:
        frames = list(video)
    assert np.diff([frame.time for frame in frames]) == pytest.approx(2 / 25)
    assert len(trails.points[1]) == 2
    plain = picture(2, 320, 240)
    assert np.abs(frames[0].image[100:160, 100:200].astype(int) - plain[100:160, 100:200]).mean() > 10
    assert [number(frame.image) & 0b11 for frame in frames] == [2, 0, 2, 0]
