"""Views and disturbances: labels follow the pixels, none means none, the generator alone decides."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posetrack.pose.crop import PADDING, crop_affines, fit_boxes
from posetrack.skeleton import COCO17
from posetrack.train.augment import Augmentation, View, choose_view, disturb, view_matrix
from posetrack.train.crops import look
from posetrack.train.data import CropCache

NONE = Augmentation.none()
SIZE = (192, 128)


def _joints(weight=1.0):
    rng = np.random.default_rng(1)
    return np.concatenate([rng.uniform(40, 160, (17, 2)), np.full((17, 1), weight)], 1).astype(np.float32)


def test_an_untouched_view_is_the_crop_of_inference():
    box = np.array([30, 40, 90, 200], np.float32)
    view = choose_view(np.random.default_rng(0), box, _joints(), 128 / 192, PADDING, NONE)
    centres, sizes = fit_boxes(box[None], *SIZE)
    np.testing.assert_allclose(
        view_matrix(view, SIZE), crop_affines(centres, sizes, *SIZE, unbiased=True)[0], atol=1e-4
    )


def test_a_rotated_view_turns_as_crops_do():
    view = View((60.0, 120.0), 150.0, 30.0, False)
    wanted = crop_affines(
        np.array([[60, 120]], np.float32), np.array([[150, 225]], np.float32), *SIZE, rotations=30.0, unbiased=True
    )
    np.testing.assert_allclose(view_matrix(view, SIZE), wanted[0], atol=1e-9)


@given(st.floats(-60, 60), st.floats(50, 300), st.floats(0, 100), st.floats(0, 100))
def test_a_flipped_view_is_the_mirror_of_the_view(rotation, width, x, y):
    plain, flipped = (view_matrix(View((50.0, 60.0), width, rotation, f), SIZE) for f in (False, True))
    there, mirrored = plain @ [x, y, 1], flipped @ [x, y, 1]
    np.testing.assert_allclose(mirrored, [SIZE[1] - 1 - there[0], there[1]], atol=1e-6)


def _dot(x, y):
    """A cache of one grey person with a bright dot at (x, y), which is the left wrist."""
    rows, columns = np.mgrid[:240, :200]
    dot = 255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 3.0**2))
    pixels = np.repeat(dot[..., None], 3, 2).astype(np.uint8)
    joints = np.zeros((1, 17, 3), np.float32)
    joints[0, 9] = x, y, 1
    return CropCache(
        pixels.reshape(-1), np.zeros(1, np.int64), np.array([[240, 200]], np.int32),
        np.array([[50, 40, 150, 200]], np.float32), joints,
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(12))
def test_the_label_follows_its_pixel(seed):
    how = replace(Augmentation(), colour=0, blur=0, low_resolution=0, occlusion=0)
    crop, joints = look(np.random.default_rng(seed), _dot(97.3, 121.8), 0, SIZE, how)
    seen = np.flatnonzero(joints[:, 2])
    assert len(seen) == 1
    assert seen[0] in (9, COCO17.flip_order[9])
    light = crop[..., 0].astype(float)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    middle = [(light * columns).sum() / light.sum(), (light * rows).sum() / light.sum()]
    np.testing.assert_allclose(joints[seen[0], :2], middle, atol=0.3)


def test_strength():
    plain = Augmentation()
    assert plain.times(1) == plain
    assert plain.times(0) == NONE
    assert set(NONE.__dict__.values()) == {0}
    strong = plain.times(2)
    assert (strong.rotation, strong.flip, strong.colour) == (2 * plain.rotation, plain.flip, 1.0)


def test_the_generator_alone_decides():
    looks = [look(np.random.default_rng(5), _dot(90, 120), 0, SIZE, Augmentation()) for _ in range(2)]
    assert np.array_equal(looks[0][0], looks[1][0])
    assert np.array_equal(looks[0][1], looks[1][1])


def test_half_a_body_is_half_as_high():
    joints = _joints()
    joints[:11, 1], joints[11:, 1] = np.linspace(40, 90, 11), np.linspace(110, 200, 6)
    box = np.array([30, 30, 170, 210], np.float32)
    how = replace(NONE, half_body=1.0)
    views = [choose_view(np.random.default_rng(s), box, joints, 128 / 192, 1.0, how) for s in range(20)]
    assert {view.centre[1] < 100 for view in views} == {True, False}
    joints[8:, 2] = 0
    joints[0, 2] = 0
    whole = choose_view(np.random.default_rng(0), box, joints, 128 / 192, 1.0, how)
    assert whole.centre == (100, 120)


def test_nothing_disturbs_when_nothing_is_asked():
    crop = np.random.default_rng(0).integers(0, 256, (96, 64, 3)).astype(np.uint8)
    assert np.array_equal(disturb(np.random.default_rng(0), crop, NONE), crop)


@pytest.mark.parametrize("kind", ["colour", "blur", "low_resolution", "occlusion"])
def test_each_disturbance_changes_the_crop_and_keeps_its_form(kind):
    crop = np.random.default_rng(0).integers(0, 256, (96, 64, 3)).astype(np.uint8)
    before = crop.copy()
    changed = disturb(np.random.default_rng(1), crop, replace(NONE, **{kind: 1.0}))
    assert changed.shape == crop.shape
    assert changed.dtype == np.uint8
    assert not np.array_equal(changed, crop)
    assert np.array_equal(crop, before)
