"""Crops against the reference's numbers, and by pixels that are lit on purpose."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posetrack.pose.crop import crop_affines, fit_boxes, invert, transform, warp
from posetrack.pose.heatmap import decode, to_image

REFERENCE = Path(__file__).parents[1] / "reference" / "crop"
CASES = {case["key"]: case for case in json.loads((REFERENCE / "cases.json").read_text())}
OPENCV_5 = int(cv2.__version__.split(".")[0]) >= 5


def _picture() -> np.ndarray:
    """The image rule of the recorded crops: 240 rows, 320 columns (shared/reference/README.md)."""
    y, x, c = np.mgrid[:240, :320, :3]
    return ((3 * x + 5 * y + 40 * c + 90 * ((x // 8 + y // 8) % 2)) % 256).astype(np.uint8)


def _fitted(case: dict) -> tuple[np.ndarray, np.ndarray, int, int]:
    x, y, w, h = case["box_xywh"]
    width, height = case["size_wh"]
    return *fit_boxes(np.array([[x, y, x + w, y + h]], np.float32), height, width), height, width


@pytest.mark.parametrize("key", CASES)
def test_geometry_is_the_references(key):
    case = CASES[key]
    centres, sizes, height, width = _fitted(case)
    np.testing.assert_allclose(centres[0], case["center"], atol=1e-4)
    np.testing.assert_allclose(sizes[0] / 200, case["scale"], rtol=1e-6)
    affine = crop_affines(centres, sizes, height, width, rotations=case["rotation"])
    np.testing.assert_allclose(affine[0], case["M"], atol=1e-4)
    np.testing.assert_allclose(invert(affine)[0], case["Minv"], atol=1e-4)
    heatmap = crop_affines(centres, sizes, height // 4, width // 4)
    np.testing.assert_allclose(invert(heatmap)[0], case["M_heatmap_to_image"], atol=1e-4)


@pytest.mark.parametrize("key", [key for key in CASES if key.startswith("256x192")])
def test_crops_are_the_references(key):
    """The recorded pictures hold every second pixel.

    OpenCV 4 rounds positions to 1/32 pixel, which is up to 8 grey levels and less than 0.5 on average (REFERENCE
    2.2); OpenCV 5 interpolates exactly.
    """
    case = CASES[key]
    centres, sizes, height, width = _fitted(case)
    affines = crop_affines(centres, sizes, height, width, rotations=case["rotation"])
    crop = warp(_picture(), affines, height, width)[0, ::2, ::2].astype(int)
    with np.load(REFERENCE / "crops.npz") as recorded:
        four, five = recorded[f"opencv4/{key}"], recorded[f"opencv5/{key}"]
    same, other = (five, four) if OPENCV_5 else (four, five)
    assert np.abs(crop - same).max() <= 1
    assert np.abs(crop - other).max() <= 8
    assert np.abs(crop - other).mean() < 0.5


def test_a_rotation_turns_the_picture_counter_clockwise():
    """A lit pixel right of the centre comes to lie above it after a quarter turn."""
    picture = np.zeros((101, 101, 3), np.uint8)
    picture[50, 80] = 255
    affine = crop_affines(np.float32([[50, 50]]), np.float32([[100, 100]]), 100, 100, rotations=90)
    crop = warp(picture, affine, 100, 100)[0, :, :, 0]
    assert np.argwhere(crop > 200).tolist() == [[20, 50]]


def test_rotations_may_differ_from_crop_to_crop():
    centres, sizes = np.zeros((3, 2), np.float32), np.full((3, 2), 100, np.float32)
    together = crop_affines(centres, sizes, 64, 48, rotations=[0, 30, -45])
    for i, rotation in enumerate((0, 30, -45)):
        alone = crop_affines(centres[i : i + 1], sizes[i : i + 1], 64, 48, rotations=rotation)
        np.testing.assert_array_equal(together[i], alone[0])


@pytest.mark.parametrize("unbiased", [False, True])
def test_grids_of_four_and_one_fit_each_other(unbiased):
    """x_heatmap is x_input / 4 in biased crops and (x_input + 0.5) / 4 - 0.5 in unbiased ones."""
    centres, sizes = np.float32([[31.7, 44.2]]), np.float32([[60, 80]])
    points = np.random.default_rng(0).uniform(0, 80, (1, 9, 2))
    fine = transform(crop_affines(centres, sizes, 128, 96, unbiased=unbiased), points)
    coarse = transform(crop_affines(centres, sizes, 32, 24, unbiased=unbiased), points)
    shift = 0.5 if unbiased else 0.0
    np.testing.assert_allclose(coarse, (fine + shift) / 4 - shift, atol=1e-9)


def test_an_unbiased_crop_of_the_mirrored_image_is_the_mirrored_crop():
    picture = _picture()
    boxes = np.float32([[40.3, 31.2, 120.9, 200.1], [200, 10, 330, 90]])
    mirrored = np.stack([319 - boxes[:, 2], boxes[:, 1], 319 - boxes[:, 0], boxes[:, 3]], 1)

    def crops(image: np.ndarray, xyxy: np.ndarray, unbiased: bool) -> np.ndarray:
        affines = crop_affines(*fit_boxes(xyxy, 128, 96), 128, 96, unbiased=unbiased)
        return warp(np.ascontiguousarray(image), affines, 128, 96).astype(int)

    for unbiased, most in ((True, 1.0), (False, 255.0)):
        difference = crops(picture, boxes, unbiased) - crops(picture[:, ::-1], mirrored, unbiased)[:, :, ::-1]
        assert np.abs(difference).mean() <= most
    assert np.abs(difference).mean() > 5  # the biased crop is not, which is why its flip test shifts


@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize("rotation", [0, 30])
def test_a_lit_pixel_comes_back_to_where_it_was(unbiased, rotation):
    """Image to crop by the warp, then back by the inverse affine: the light's centroid returns to 0.01 pixels.

    The crop enlarges, so that the bilinear spot of one pixel is drawn finely enough for its centroid to be exact.
    """
    picture = np.zeros((90, 110, 3), np.uint8)
    picture[40, 61] = 250
    centres, sizes = np.float32([[55.3, 42.8]]), np.float32([[24, 32]])
    affine = crop_affines(centres, sizes, 512, 384, rotations=rotation, unbiased=unbiased)
    light = warp(picture, affine, 512, 384)[0, :, :, 0].astype(float)
    y, x = np.mgrid[:512, :384]
    spot = np.array([[[(light * x).sum(), (light * y).sum()]]]) / light.sum()
    np.testing.assert_allclose(transform(invert(affine), spot)[0, 0], [61, 40], atol=0.01)


@pytest.mark.parametrize(("unbiased", "shift"), [(False, 0.0), (True, 0.5)])
def test_crop_heatmap_and_image_agree(unbiased, shift):
    """A perfect network's heatmap, a Gaussian where the crop shows the joint, decodes to the joint's place."""
    joints = np.random.default_rng(1).uniform(30, 70, (1, 17, 2))
    centres, sizes = np.float32([[48.3, 52.1]]), np.float32([[60, 80]])
    in_crop = transform(crop_affines(centres, sizes, 256, 192, unbiased=unbiased), joints)
    in_map = (in_crop + shift) / 4 - shift
    y, x = np.mgrid[:64, :48]
    maps = np.exp(-((x - in_map[..., :1, None]) ** 2 + (y - in_map[..., 1:, None]) ** 2) / 8).astype(np.float32)
    found = to_image(decode(maps, "dark"), centres, sizes, 64, 48, unbiased=unbiased)
    np.testing.assert_allclose(found[..., :2], joints, atol=0.01)


@given(st.floats(-50, 400), st.floats(-50, 400), st.floats(0, 500), st.floats(0, 500), st.booleans())
def test_boxes_lie_in_their_crops_and_there_and_back_is_nothing(x, y, w, h, unbiased):
    box = np.float32([[x, y, x + w, y + h]])
    centres, sizes = fit_boxes(box, 256, 192)
    assert sizes[0, 0] / sizes[0, 1] == pytest.approx(0.75, rel=1e-5)
    assert (sizes[0] * (1 + 1e-5) + 1e-3 >= 1.25 * (box[0, 2:] - box[0, :2])).all()
    affine = crop_affines(centres, sizes, 256, 192, unbiased=unbiased)
    corners = box.reshape(1, 2, 2)
    inside = transform(affine, corners)
    assert (inside > -1).all()
    assert (inside < [193, 257]).all()
    np.testing.assert_allclose(transform(invert(affine), inside), corners, atol=1e-3)


def test_empty_boxes_have_a_crop_and_boxes_that_are_none_are_refused():
    centres, sizes = fit_boxes(np.float32([[5, 5, 5, 5], [9, 9, 3, 3]]), 128, 96)
    assert (sizes > 0).all()
    assert np.isfinite(crop_affines(centres, sizes, 128, 96)).all()
    assert fit_boxes(np.zeros((0, 4), np.float32), 128, 96)[0].shape == (0, 2)
    with pytest.raises(ValueError, match="finite"):
        fit_boxes(np.float32([[0, 0, np.nan, 5]]), 128, 96)


def test_crops_are_drawn_into_what_is_given():
    affines = crop_affines(*fit_boxes(np.float32([[0, 0, 90, 120], [5, 5, 50, 60]]), 64, 64), 64, 64)
    into = np.full((2, 64, 64, 3), 7, np.uint8)
    assert warp(_picture(), affines, 64, 64, out=into) is into
    np.testing.assert_array_equal(into, warp(_picture(), affines, 64, 64))
