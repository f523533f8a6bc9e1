"""Scenes: boxes follow the pixels through every change, and what cannot be seen does not teach."""

from __future__ import annotations

import json
import zipfile

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posetrack.train.data import Shard
from posetrack.train.scenes import (
    Picture,
    Scene,
    SceneSet,
    SceneSettings,
    blur,
    compose,
    flip,
    machine_boxes,
    pictures_of,
    place,
    recolour,
    resize,
)

PLAIN = SceneSettings(size=96, min_size=96, max_size=160, mosaic=0, recolour=0, blur=0)


def boxes(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, 4)


def lit(height: int, width: int, box: tuple[int, int, int, int]) -> Scene:
    """A black picture with one white person."""
    image = np.zeros((height, width, 3), np.uint8)
    x1, y1, x2, y2 = box
    image[y1:y2, x1:x2] = 255
    return Scene(image, boxes(box))


def bright(image: np.ndarray) -> np.ndarray:
    """Where the white is: x1, y1, x2, y2."""
    ys, xs = np.nonzero(image[..., 1] > 190)
    return np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])


@given(st.integers(0, 10_000))
def test_the_box_stays_on_the_person(seed):
    scene = lit(70, 110, (30, 20, 60, 55))
    drawn = compose([scene], PLAIN, np.random.default_rng(seed))
    assert drawn.image.shape == (96, 96, 3)
    assert drawn.image.dtype == np.uint8
    if len(drawn.people):
        assert np.abs(bright(drawn.image) - drawn.people[0]).max() <= 1.5
    else:
        assert len(drawn.ignored) <= 1


@given(st.integers(0, 10_000))
def test_a_mosaic_keeps_everyone_in_their_window(seed):
    scenes = [lit(70, 110, (30, 20, 60, 55))] * 4
    drawn = compose(scenes, PLAIN, np.random.default_rng(seed))
    everyone = np.concatenate([drawn.people, drawn.ignored])
    assert len(drawn.people) <= 4
    assert (everyone >= 0).all()
    assert (everyone <= 96).all()
    for x1, y1, x2, y2 in np.round(drawn.people).astype(int):
        inside = drawn.image[y1 + 2 : y2 - 2, x1 + 2 : x2 - 2]
        assert inside.size == 0 or inside.min() > 150


def test_a_seed_draws_the_same_scene():
    scene, settings = lit(70, 110, (30, 20, 60, 55)), SceneSettings(size=96, recolour=1, blur=1)
    a, b = (compose([scene] * 4, settings, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(a.image, b.image)
    assert np.array_equal(a.people, b.people)


def test_mirrored_twice_is_the_same():
    scene = Scene(
        np.random.default_rng(0).integers(0, 256, (20, 31, 3), np.uint8), boxes((2, 3, 9, 15)), boxes((0, 0, 5, 5))
    )
    once, twice = flip(scene), flip(flip(scene))
    assert np.array_equal(once.people, boxes((22, 3, 29, 15)))
    assert np.array_equal(twice.image, scene.image)
    assert np.array_equal(twice.people, scene.people)
    assert np.array_equal(twice.ignored, scene.ignored)


@pytest.mark.parametrize(("x", "y"), [(2.0, 2.0), (0.5, 0.5), (1.5, 0.7)])
def test_resize_moves_boxes_with_pixels(x, y):
    scene = resize(lit(80, 100, (20, 10, 60, 50)), x, y)
    assert scene.image.shape == (round(80 * y), round(100 * x), 3)
    assert np.abs(bright(scene.image) - scene.people[0]).max() <= 1


@pytest.mark.parametrize(
    ("person", "clear", "ignored"),
    [
        ((10, 10, 40, 60), 1, 0),  # whole
        ((-10, 10, 40, 60), 1, 0),  # four fifths
        ((-40, 10, 10, 60), 0, 1),  # a fifth: too little to learn from, too much to call it nobody
        ((-50, 10, -5, 60), 0, 0),  # outside
        ((10, 10, 12.5, 13), 0, 1),  # tiny
    ],
)
def test_little_of_a_person_becomes_ignored(person, clear, ignored):
    scene = Scene(np.zeros((96, 96, 3), np.uint8), boxes(person))
    placed = place([scene], [(0, 0, 96, 96)], PLAIN, np.random.default_rng(0))
    assert (len(placed.people), len(placed.ignored)) == (clear, ignored)


def test_changes_of_colour_leave_boxes_alone():
    scene = lit(40, 50, (10, 10, 30, 30))
    for seed in range(20):
        for change in (recolour, blur):
            changed = change(scene, np.random.default_rng(seed))
            assert changed.image.shape == scene.image.shape
            assert changed.image.dtype == np.uint8
            assert np.array_equal(changed.people, scene.people)


@pytest.fixture
def shard(tmp_path) -> Shard:
    path = tmp_path / "few.zip"
    images = [{"id": i, "file_name": f"{i}.png", "width": 40, "height": 30, "set": f"set{i}"} for i in (1, 2, 3)]
    annotations = [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [5, 5, 10, 20], "iscrowd": 0},
        {"id": 2, "image_id": 1, "category_id": 1, "bbox": [20, 0, 20, 30], "iscrowd": 1},
        {"id": 3, "image_id": 2, "category_id": 1, "bbox": [5, 5, 0, 20], "iscrowd": 0},
    ]
    others = [
        {"image_id": 2, "bbox": [1, 2, 3, 4], "score": 0.9},
        {"image_id": 2, "bbox": [10, 2, 3, 4], "score": 0.2},
    ]
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("annotations.json", json.dumps({"images": images, "annotations": annotations}))
        file.writestr("boxes/few.json", json.dumps(others))
        for i in (1, 2, 3):
            file.writestr(f"images/{i}.png", cv2.imencode(".png", np.full((30, 40, 3), 40 * i, np.uint8))[1].tobytes())
    return Shard(path)


def test_pictures_of_a_shard(shard):
    first, second, third = pictures_of(shard, {"set2": 3.0}, machine_boxes(shard.path, "boxes/few.json"))
    assert np.array_equal(first.people, boxes((5, 5, 15, 25)))
    assert np.array_equal(first.ignored, boxes((20, 0, 40, 30)))
    assert np.array_equal(second.people, boxes((1, 2, 4, 6)))  # the box without a width is nobody
    assert np.array_equal(second.ignored, boxes((10, 2, 13, 6)))
    assert len(third.people) == len(third.ignored) == 0
    assert (first.weight, second.weight) == (1.0, 3.0)


def test_pictures_are_drawn_by_weight(shard):
    pictures = [
        Picture(p.shard, p.image_id, p.people, p.ignored, w) for p, w in zip(pictures_of(shard), (1, 3, 0), strict=True)
    ]
    scenes = SceneSet(pictures)
    rng = np.random.default_rng(0)
    shades = [int(scenes.draw(rng).image[0, 0, 0]) for _ in range(400)]
    assert set(shades) == {40, 80}
    assert 0.68 < shades.count(80) / 400 < 0.82
