"""The estimator: what it sees, what it gives, who is beside whom, and networks that give no numbers."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from torch import nn
from weight_rule import by_rule

from posetrack.cores import pool
from posetrack.errors import WeightsError
from posetrack.fused import can_fuse
from posetrack.pose.estimator import PoseEstimator, person_scores
from posetrack.pose.network import PoseArchitecture, build_pose_network
from posetrack.pose.spec import PoseInput, PoseSpec
from posetrack.skeleton import COCO17, POSETRACK18, convert
from posetrack.types import Boxes
from posetrack.weights.files import build_network, load_weights

ARCHITECTURE = PoseArchitecture("mobilenet_v2", 17, (32, 24, 16))
SPEC = PoseSpec(ARCHITECTURE, PoseInput(64, 64, "RGB", (127.5,) * 3, (127.5,) * 3, False), COCO17)


class Lights(nn.Module):
    """A pose network that sees: heatmap j is how bright the picture is there, j // 2 telling the plane.

    Its heatmaps are means of 4 x 4 input pixels, as an unbiased network's are.
    """

    def __init__(self) -> None:
        super().__init__()
        self.final_layer = nn.Identity()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return nn.functional.avg_pool2d(images, 4)[:, [min(j // 6, 2) for j in range(17)]]


def _boxes(*rows: tuple[float, float, float, float]) -> Boxes:
    return Boxes(np.float32(rows).reshape(-1, 4), np.linspace(0.5, 1, len(rows)).astype(np.float32))


def _noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (120, 160, 3), np.uint8)


@pytest.fixture(scope="module")
def network():
    return by_rule(build_pose_network(ARCHITECTURE))


@pytest.mark.parametrize("order", ["RGB", "BGR"])
def test_planes_arrive_in_the_order_and_scale_that_the_spec_says(order):
    wants = PoseInput(64, 64, order, (10.0, 20.0, 30.0), (1.0, 2.0, 4.0), True)
    spec = replace(SPEC, input=wants)
    picture = np.empty((120, 160, 3), np.uint8)
    picture[:] = 60, 120, 240
    poses = PoseEstimator(Lights(), spec)(picture, _boxes((50, 40, 90, 80)))
    planes = (60, 120, 240) if order == "RGB" else (240, 120, 60)
    expected = [(level - mean) / std for level, mean, std in zip(planes, wants.mean, wants.std, strict=True)]
    np.testing.assert_allclose(poses.keypoints[0, [0, 6, 12], 2], expected, rtol=1e-6)


@pytest.mark.parametrize("flip_test", [False, True])
def test_a_light_is_found_where_it_is(flip_test):
    """Boxes of several images and sizes; the light is a blurred spot in the upright frame."""
    spec = replace(SPEC, input=PoseInput(64, 64, "RGB", (0,) * 3, (255,) * 3, True))
    estimator = PoseEstimator(Lights(), spec, flip_test=flip_test, decoding="dark")
    y, x = np.mgrid[:120, :160]
    lights = [(70.0, 55.0), (101.0, 62.0)]
    pictures = [
        np.repeat(255 * np.exp(-((x - u) ** 2 + (y - v) ** 2) / 60), 3).reshape(120, 160, 3).astype(np.uint8)
        for u, v in lights
    ]
    boxes = [_boxes((50, 35, 90, 80), (45, 40, 100, 90)), _boxes((80, 40, 120, 90))]
    for light, poses in zip(lights, estimator.estimate(pictures, boxes), strict=True):
        assert np.abs(poses.keypoints[..., :2] - light).max() < 0.6  # a heatmap pixel is 3 to 5 pixels here


def test_a_mirrored_picture_gives_the_mirrored_pose_with_a_flip_test(network):
    """Unbiased crops: the picture's mirror is the flip test's other half, so left and right change places exactly."""
    spec = replace(SPEC, input=replace(SPEC.input, unbiased=True))
    estimator = PoseEstimator(network, spec, flip_test=True, decoding="quarter")
    picture, boxes = _noise(0), _boxes((30, 20, 94, 84))
    mirrored = Boxes(np.float32([[159 - 94, 20, 159 - 30, 84]]), boxes.scores)
    there = estimator(picture, boxes).keypoints
    back = estimator(np.ascontiguousarray(picture[:, ::-1]), mirrored).keypoints[:, list(COCO17.flip_order)]
    np.testing.assert_allclose(back[..., 2], there[..., 2], atol=1e-4)
    np.testing.assert_allclose(159 - back[..., 0], there[..., 0], atol=1e-3)
    np.testing.assert_allclose(back[..., 1], there[..., 1], atol=1e-3)


@pytest.mark.skipif(not can_fuse(), reason="this torch or processor has no packed convolutions")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_pose_depends_on_its_image_and_box_alone(network, precision):
    if precision == "bf16" and not can_fuse(torch.bfloat16):
        pytest.skip("this processor does not multiply bf16")
    estimator = PoseEstimator(network, SPEC, precision=precision)
    images = [_noise(0), _noise(1), _noise(2)]
    corners = np.random.default_rng(3).uniform(0, 80, (11, 2))
    rows = np.concatenate([corners, corners + 40], 1)
    boxes = [_boxes(*rows[:7]), Boxes.empty(), _boxes(*rows[7:])]
    with pool(2) as threads:
        together = estimator.estimate(images, boxes, threads.map)
        alone = list(threads.map(lambda i: estimator(images[0], boxes[0][i : i + 1]), range(7)))
    assert [len(poses) for poses in together] == [7, 0, 4]
    for i, poses in enumerate(alone):
        np.testing.assert_array_equal(poses.keypoints[0], together[0].keypoints[i])
        np.testing.assert_array_equal(poses.scores[0], together[0].scores[i])
    np.testing.assert_array_equal(together[2].boxes, boxes[2].xyxy)


def test_batches_may_be_spread_over_threads(network):
    estimator = PoseEstimator(network, SPEC, batch=2)
    images, boxes = [_noise(0)], [_boxes(*((i, i, i + 60, i + 60) for i in range(7)))]
    with ThreadPoolExecutor(2) as threads:
        spread = estimator.estimate(images, boxes, threads.map)[0]
    np.testing.assert_allclose(spread.keypoints, estimator.estimate(images, boxes)[0].keypoints, atol=1e-3)


def test_nobody_is_asked_for(network):
    estimator = PoseEstimator(network, SPEC)
    assert estimator.estimate([], []) == []
    poses = estimator(_noise(0), Boxes.empty())
    assert poses.keypoints.shape == (0, 17, 3)
    assert len(poses) == 0


def test_the_callers_network_stays_as_it_was(network):
    before = {key: value.clone() for key, value in network.state_dict().items()}
    PoseEstimator(network, SPEC, precision="fp32")
    after = network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(value):
    network = build_pose_network(ARCHITECTURE)
    with torch.no_grad():
        network.deconv_layers[3].weight[1, 2, 0, 0] = value
    with pytest.raises(WeightsError, match=r"deconv_layers\.3\.weight"):
        PoseEstimator(network, SPEC)


def test_heatmaps_that_are_no_numbers_are_an_error():
    class Overflows(Lights):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return super().forward(images) * float("inf")

    with pytest.raises(WeightsError, match="not numbers"):
        PoseEstimator(Overflows(), SPEC)(_noise(0), _boxes((10, 10, 60, 60)))


def test_boxes_that_are_no_numbers_are_refused(network):
    with pytest.raises(ValueError, match="finite"):
        PoseEstimator(network, SPEC)(_noise(0), _boxes((10, 10, float("nan"), 60)))


def test_unknown_decodings_are_refused(network):
    with pytest.raises(ValueError, match="no decoding 'half'"):
        PoseEstimator(network, SPEC, decoding="half")
    assert PoseEstimator(network, SPEC).decoding == "quarter"
    assert PoseEstimator(network, replace(SPEC, input=replace(SPEC.input, unbiased=True))).decoding == "dark"


@pytest.mark.parametrize(
    ("scores", "box", "person"),
    [
        ([0.2, 0.5, 0.7], 0.5, 0.3),  # 0.2 is not above 0.2
        ([0.1, 0.0, -0.3], 1.0, 0.0),
        ([1.2, 1.4, 0.1], 1.0, 1.0),
        ([0.9, 0.9, 0.9], 0.0, 0.0),
    ],
)
def test_a_persons_score_is_the_mean_of_its_joints_above_the_threshold_times_the_boxs(scores, box, person):
    joints = np.zeros((1, 3, 3), np.float32)
    joints[0, :, 2] = scores
    assert person_scores(joints, np.float32([box]))[0] == pytest.approx(person, abs=1e-6)


@pytest.fixture(scope="module")
def shipped():
    weights = load_weights("pose")
    return build_network(weights), PoseSpec.from_metadata(weights.metadata)


def test_the_starters_heatmaps_are_the_recorded_ones(shared, shipped):
    if shipped[1].input.height != 128 or shipped[1].architecture.deconv_filters != (128, 128, 128):
        pytest.skip("the shipped network is no longer the starter")
    images = torch.from_numpy(np.random.default_rng(0).standard_normal((1, 3, 128, 96)).astype(np.float32))
    with torch.inference_mode(), np.load(shared / "weights" / "check.npz") as recorded:
        np.testing.assert_allclose(shipped[0](images), recorded["pose_heatmaps"], atol=1e-4)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_shipped_network_puts_joints_on_people(shared, shipped, precision):
    """Four women on boards, true boxes: 0.70 here; with left and right swapped it would be 0.15."""
    folder = shared / "data/posetrack/bonn_060470979"
    labels = json.loads((folder / "060470979_posetrack18.json").read_text())
    estimator = PoseEstimator(*shipped, precision=precision)
    found = []
    for image in labels["images"][::10]:
        people = [a for a in labels["annotations"] if a["image_id"] == image["id"]]
        truth = np.float32([a["keypoints"] for a in people]).reshape(-1, 17, 3)
        x, y, w, h = np.float32([a["bbox"] for a in people]).T
        picture = np.ascontiguousarray(cv2.imread(str(folder / image["file_name"]))[..., ::-1])
        poses = estimator(picture, Boxes(np.stack([x, y, x + w, y + h], 1), np.ones(len(x), np.float32)))
        joints = convert(poses.keypoints, COCO17, POSETRACK18)[0]
        seen = (truth[..., 2] > 0) & (joints[..., 2] > 0)
        seen[:, :5] = False  # the head is told by other points there
        distance = ((joints[..., :2] - truth[..., :2]) ** 2).sum(-1)
        spread = 2 * (2 * np.float32(POSETRACK18.sigmas)) ** 2 * (0.53 * w * h)[:, None]
        found += [np.exp(-d / s)[v].mean() for d, s, v in zip(distance, spread, seen, strict=True) if v.any()]
    assert np.mean(found) > 0.6
