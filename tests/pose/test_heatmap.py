"""Decoding and flip merging against the reference's numbers, and on maps whose tops are known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posetrack.pose.heatmap import DECODERS, decode, merge_flipped, peaks, to_image
from posetrack.skeleton import COCO17

REFERENCE = Path(__file__).parents[1] / "reference" / "decode"
NAMES = json.loads((REFERENCE / "cases.json").read_text())["names_in_order"]
SIZES = ["64x48", "96x72"]


@pytest.fixture(scope="module")
def recorded():
    with np.load(REFERENCE / "decode.npz") as file:
        return {key: file[key] for key in file.files}


def _gaussians(tops: np.ndarray, height: int, width: int, sigma: float) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    distance = (x - tops[..., :1, None]) ** 2 + (y - tops[..., 1:2, None]) ** 2
    return np.exp(-distance / (2 * sigma**2)).astype(np.float32)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("place", range(len(NAMES)), ids=NAMES)
def test_decoding_is_the_references(recorded, size, place):
    row, joint = divmod(place, 5)
    maps = recorded[f"{size}/heatmaps"][row : row + 1]
    centre, crop = recorded[f"{size}/center"][row : row + 1], recorded[f"{size}/scale"][row : row + 1] * 200
    whole, fine = peaks(maps), decode(maps)
    np.testing.assert_array_equal(whole[0, joint, :2], recorded[f"{size}/argmax_xy"][row, joint])
    assert fine[0, joint, 2] == recorded[f"{size}/maxvals"][row, joint, 0]
    for joints, key in ((whole, "preds_post0"), (fine, "preds_post1")):
        found = to_image(joints, centre, crop, *maps.shape[2:])
        np.testing.assert_allclose(found[0, joint, :2], recorded[f"{size}/{key}"][row, joint], atol=1e-4)


@pytest.mark.parametrize("shift", [False, True])
def test_flip_merging_is_the_references(recorded, shift):
    name = "shift" if shift else "noshift"
    merged = merge_flipped(recorded["flip/output"], recorded["flip/output_flipped_raw"], COCO17.flip_order, shift=shift)
    np.testing.assert_allclose(merged, recorded[f"flip/{name}/merged"], atol=1e-6)
    np.testing.assert_allclose(peaks(merged)[..., 2:], recorded[f"flip/{name}/maxvals"], atol=1e-6)


def test_the_recorded_flip_pairs_are_coco17s():
    pairs = json.loads((REFERENCE / "cases.json").read_text())["flip_pairs"]
    assert [tuple(pair) for pair in pairs] == list(COCO17.flip_pairs)


@pytest.mark.parametrize("joint", ["nose", "left_wrist", "right_wrist"])
def test_a_lit_pixel_mirrors_onto_the_other_side(joint):
    """The left wrist in the mirrored pass, four columns from the left edge, is the right one, as far from the right."""
    mirrored = np.zeros((1, 17, 8, 12), np.float32)
    mirrored[0, COCO17.index(joint), 5, 4] = 1
    for shift, column in ((False, 7), (True, 8)):
        merged = merge_flipped(np.zeros_like(mirrored), mirrored, COCO17.flip_order, shift=shift)
        other = COCO17.flip_order[COCO17.index(joint)]
        assert np.argwhere(merged).tolist() == [[0, other, 5, column]]
        assert merged.max() == 0.5


@pytest.mark.parametrize(("height", "width", "sigma"), [(64, 48, 2), (96, 72, 3), (32, 24, 1), (32, 24, 1.5)])
def test_dark_finds_the_tops_of_gaussians(height, width, sigma):
    tops = np.random.default_rng(0).uniform((8, 8), (width - 9, height - 9), (20, 17, 2))
    found = decode(_gaussians(tops, height, width, sigma), "dark")
    assert np.abs(found[..., :2] - tops).max() < 0.01
    assert np.abs(decode(_gaussians(tops, height, width, sigma))[..., :2] - tops).max() > 0.2  # the quarter's error


@pytest.mark.parametrize("method", DECODERS)
@given(st.integers(0, 2**32 - 1))
def test_decoding_goes_map_by_map_and_stays_by_the_maximum(method, seed):
    maps = np.random.default_rng(seed).standard_normal((3, 4, 20, 15)).astype(np.float32)
    maps[0, 0] = 0
    maps[0, 1] = -np.abs(maps[0, 1])
    together = decode(maps, method)
    for n in range(3):
        for j in range(4):
            np.testing.assert_array_equal(decode(maps[n : n + 1, j : j + 1], method)[0, 0], together[n, j])
    step = np.abs(together[..., :2] - peaks(maps)[..., :2])
    assert step.max() <= (0.25 if method == "quarter" else 1)
    assert not together[0, :2, :2].any()


@pytest.mark.parametrize("method", DECODERS)
def test_flat_maps_and_spikes_stay_where_they_are(method):
    maps = np.full((1, 2, 16, 12), 0.3, np.float32)
    maps[0, 1] = 0
    maps[0, 1, 7, 5] = 1
    np.testing.assert_array_equal(decode(maps, method)[0, 0], np.float32([0, 0, 0.3]))
    np.testing.assert_allclose(decode(maps, method)[0, 1], [5, 7, 1], atol=1e-6)


@pytest.mark.parametrize("method", DECODERS)
def test_nobody_is_nobody(method):
    assert decode(np.zeros((0, 17, 16, 12), np.float32), method).shape == (0, 17, 3)


def test_not_a_number_shows_in_the_score():
    maps = np.zeros((1, 1, 8, 8), np.float32)
    maps[0, 0, 3, 3] = np.nan
    assert np.isnan(peaks(maps)[0, 0, 2])
