"""Targets and losses against the reference's recorded numbers, and what a Gaussian at a joint must keep."""

import zlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from posetrack.pose.heatmap import decode
from posetrack.skeleton import COCO17
from posetrack.train.targets import (
    heatmaps,
    joints_mse,
    reference_heatmaps,
    sigma_for,
    to_heatmap,
)

CASES = [
    ("in192x256_hm48x64_s2", 2), ("in288x384_hm72x96_s3", 3), ("in192x256_hm48x64_s3", 3),
    ("in288x384_hm72x96_s2", 2), ("in256x256_hm64x64_s2", 2),
]  # fmt: skip


@pytest.mark.parametrize(("case", "sigma"), CASES)
def test_reference_targets(shared, case, sigma):
    recorded = np.load(shared / "reference/targets/targets.npz")
    joints, visible = recorded[f"{case}/joints"], recorded[f"{case}/vis"]
    target = recorded[f"{case}/target"]
    maps, weights = reference_heatmaps(joints, visible, target.shape[1:], (4, 4), sigma)
    np.testing.assert_allclose(maps, target, atol=1e-6)
    np.testing.assert_allclose(weights, recorded[f"{case}/weight"][:, 0], atol=1e-6)


def _drawn(name, shape, how):
    rng = np.random.default_rng(zlib.crc32(name.encode("ascii")))
    values = {
        "normal": lambda: rng.standard_normal(shape),
        "uniform": lambda: rng.uniform(0, 1, shape),
        "flags": lambda: rng.integers(0, 2, shape),
    }[how]()
    return torch.from_numpy(values.astype(np.float32))


def test_reference_loss():
    """The numbers of JointsMSELoss with and without target weights, reference/targets/loss.json."""
    output, target = _drawn("loss_out", (3, 4, 8, 6), "normal"), _drawn("loss_tgt", (3, 4, 8, 6), "uniform")
    weight = _drawn("loss_w", (3, 4, 1), "flags")[..., 0]
    assert float(joints_mse(output, target, weight)) == pytest.approx(0.3068154454231262, abs=1e-6)
    assert float(joints_mse(output, target, torch.ones(3, 4))) == pytest.approx(0.6187118887901306, abs=1e-6)


@pytest.mark.parametrize(("height", "sigma"), [(64, 2), (96, 3), (48, 1.5), (32, 1)])
def test_sigma_grows_with_the_map(height, sigma):
    assert sigma_for(height) == sigma


@given(st.floats(4, 27), st.floats(4, 43))
def test_a_decoded_target_is_its_joint(x, y):
    maps, weights = heatmaps(np.array([[[x, y, 1.0]]], np.float32), (48, 32), 1.5)
    assert weights[0, 0] == 1
    np.testing.assert_allclose(decode(maps, "dark")[0, 0, :2], [x, y], atol=0.06)


@given(st.floats(0, 31), st.floats(0, 47))
def test_a_mirrored_joint_has_the_mirrored_map(x, y):
    joint = np.array([[[x, y, 1.0]]], np.float32)
    mirrored = joint.copy()
    mirrored[..., 0] = 31 - mirrored[..., 0]
    np.testing.assert_allclose(
        heatmaps(joint, (48, 32), 1.5)[0][..., ::-1], heatmaps(mirrored, (48, 32), 1.5)[0], atol=1e-5
    )


@pytest.mark.parametrize(
    ("x", "y", "weight"),
    [(-0.4, 5, 1), (-0.6, 5, 0), (31.4, 5, 1), (31.6, 5, 0), (5, -0.6, 0), (5, 47.4, 1), (5, 48, 0)],
)
def test_a_joint_outside_the_crop_weighs_nothing(x, y, weight):
    assert heatmaps(np.array([[[x, y, 1.0]]], np.float32), (48, 32), 1.5)[1][0, 0] == weight


def test_heatmap_pixels_lie_in_the_middle_of_their_four_input_pixels():
    np.testing.assert_allclose(to_heatmap(np.array([1.5, 5.5, -0.5]), 4), [0, 1, -0.5])


def test_foreground_weighs_only_where_there_is_a_target():
    output, target = torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 4, 4)
    target[0, 0, 1, 1] = 1
    weight = torch.ones(1, 2)
    assert joints_mse(output, target, weight, 4) == pytest.approx(5 * float(joints_mse(output, target, weight)))
    output[0, 1, 2, 2] = 1
    more = joints_mse(output, target, weight, 4) - joints_mse(output, target, weight)
    assert float(more) == pytest.approx(4 * 0.5 / 32)


def test_unlabelled_joints_have_no_gradient():
    output = torch.zeros(2, len(COCO17), 8, 8, requires_grad=True)
    weight = torch.zeros(2, len(COCO17))
    weight[:, 5:] = 1
    target = torch.ones(2, len(COCO17), 8, 8)
    joints_mse(output, target, weight, 4).backward()
    assert output.grad[:, :5].abs().max() == 0
    assert output.grad[:, 5:].abs().min() > 0
