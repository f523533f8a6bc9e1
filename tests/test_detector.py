"""The detector: torchvision's networks unchanged, the light one as recorded, and the same boxes however frames come."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import nn
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from posetrack.cores import pool
from posetrack.detector import (
    CSP,
    DETECTORS,
    LIGHT,
    Detector,
    DetectorArchitecture,
    _resized,
    build_detector,
)
from posetrack.errors import WeightsError

SMALL = DetectorArchitecture(min_size=64, max_size=128)
SMALL_CSP = DetectorArchitecture(CSP, min_size=64, max_size=128, pyramid=32, canonical=112)
CPU = torch.device("cpu")

PARAMETERS = {  # REFERENCE 4.4
    "fasterrcnn_resnet50_fpn_v2": 43_712_278,
    "fasterrcnn_resnet50_fpn": 41_755_286,
    "fasterrcnn_mobilenet_v3_large_fpn": 19_386_354,
    "fasterrcnn_mobilenet_v3_large_320_fpn": 19_386_354,
    "keypointrcnn_resnet50_fpn": 59_137_258,
}


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def lively(network: nn.Module, seed: int = 0, contrast: float = 20) -> nn.Module:
    """`network` with batch norms that do something, and outputs that differ from place to place."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values, low, high in ((module.running_var, 0.5, 1.5), (module.weight.data, 0.8, 1.2)):
                values.uniform_(low, high, generator=generator)
            for values in (module.running_mean, module.bias.data):
                values.uniform_(-0.1, 0.1, generator=generator)
    network.roi_heads.box_predictor.cls_score.weight.data.mul_(contrast)
    network.roi_heads.box_predictor.cls_score.bias.data[1] += 3  # people everywhere
    return network.eval()


def light(architecture: DetectorArchitecture = SMALL, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return lively(build_detector(architecture))


def starter(shared, **sizes) -> nn.Module:
    network = build_detector(DetectorArchitecture(**sizes))
    state = load_file(shared / "weights" / "detector-starter.safetensors")
    network.load_state_dict({key: value.float() for key, value in state.items()}, strict=True)
    return network.eval()


@pytest.fixture(scope="module")
def street(shared) -> np.ndarray:
    frame = shared / "data" / "posetrack" / "bonn_060470979" / "frames" / "00001.jpg"
    return np.ascontiguousarray(cv2.imread(str(frame))[..., ::-1])


@pytest.mark.parametrize("name", PARAMETERS)
def test_torchvision_variants_have_the_published_size(name):
    with torch.device("meta"):
        network = build_detector(name)
    # torchvision counts frozen batch norms as no parameters where its published weights had them
    counted = [
        p.numel()
        for n, p in network.named_parameters()
        if name.endswith("v2")
        or not ("backbone.body" in n and (".bn" in n or "downsample.1" in n or _norm(network, n)))
    ]
    assert sum(counted) == PARAMETERS[name]


def _norm(network: nn.Module, parameter: str) -> bool:
    return isinstance(network.get_submodule(parameter.rpartition(".")[0]), nn.BatchNorm2d)


def test_every_name_is_built():
    assert set(DETECTORS) == {LIGHT, CSP, *PARAMETERS}
    with pytest.raises(ValueError, match="fasterrcnn_resnet50_fpn_v2"):
        build_detector("fasterrcnn_resnet51_fpn")


@torch.inference_mode()
def test_the_starter_gives_what_was_recorded(shared, street):
    network = starter(shared)
    network.roi_heads.score_thresh, network.roi_heads.detections_per_img = 0.02, 60
    result = network([torch.from_numpy(street).permute(2, 0, 1).float() / 255])[0]
    recorded = np.load(shared / "weights" / "check.npz")
    assert np.abs(result["boxes"].numpy() - recorded["detector_boxes"]).max() < 1e-2
    assert np.abs(result["scores"].numpy() - recorded["detector_scores"]).max() < 1e-4


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_people_are_found_in_either_precision(shared, street, precision):
    found = Detector(starter(shared), precision=precision, threshold=0.5).detect([street])[0]
    recorded = np.load(shared / "weights" / "check.npz")
    people = recorded["detector_scores"] > 0.5
    assert len(found) == people.sum() == 4
    assert np.abs(found.xyxy - recorded["detector_boxes"][people]).max() < 3


@pytest.mark.parametrize(
    ("name", "contrast"), [("fasterrcnn_mobilenet_v3_large_320_fpn", 20), ("keypointrcnn_resnet50_fpn", 0.1)]
)
@torch.inference_mode()
def test_detector_equals_torchvision(name, contrast):
    torch.manual_seed(1)
    network = lively(build_detector(name), contrast=contrast)
    network.transform.min_size, network.transform.max_size = (96,), 160
    network.rpn._post_nms_top_n["testing"] = 40
    network.roi_heads.score_thresh = 0.1
    image = picture(120, 150)
    raw = network([torch.from_numpy(image).permute(2, 0, 1).float() / 255])[0]
    people = raw["labels"] == 1
    found = Detector(network, precision="fp32", threshold=0.1).detect([image])[0]
    assert len(found) == int(people.sum()) > 0
    # features of random weights are a hundred times those of trained ones, and so are their rounding errors
    assert np.allclose(found.xyxy, raw["boxes"][people].numpy(), atol=0.05)
    assert np.allclose(found.scores, raw["scores"][people].numpy(), atol=1e-4)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("architecture", [SMALL, SMALL_CSP])
def test_boxes_do_not_depend_on_company(architecture, precision):
    detector = Detector(light(architecture), precision=precision, threshold=0.05)
    images = [picture(90, 120, 1), picture(64, 50, 2), picture(90, 120, 3), picture(90, 120, 4)]
    together = detector.detect(images)
    assert sum(len(boxes) for boxes in together) > 4
    for image, boxes in zip(images, together, strict=True):
        alone = detector.detect([image])[0]
        assert alone.xyxy.tobytes() == boxes.xyxy.tobytes()
        assert alone.scores.tobytes() == boxes.scores.tobytes()
    assert detector.detect([]) == []


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_frames_at_once_give_what_they_give_one_by_one(precision):
    detector = Detector(light(SMALL_CSP), precision=precision, threshold=0.05)
    images = [picture(60 + 10 * (i % 3), 90, i) for i in range(9)]
    with pool(3) as threads:
        at_once = list(threads.map(lambda image: detector.detect([image])[0], images))
        one_by_one = threads.submit(lambda: [detector.detect([image])[0] for image in images]).result()
    for a, b in zip(at_once, one_by_one, strict=True):
        assert a.xyxy.tobytes() == b.xyxy.tobytes()
        assert a.scores.tobytes() == b.scores.tobytes()


def test_boxes_are_sorted_inside_the_image_and_above_the_threshold():
    image = picture(90, 120)
    all_of_them = Detector(light(), precision="fp32", threshold=0.05).detect([image])[0]
    middle = float(np.median(all_of_them.scores))
    some = Detector(light(), precision="fp32", threshold=middle).detect([image])[0]
    assert (np.diff(all_of_them.scores) <= 0).all()
    assert 0 < len(some) < len(all_of_them)
    assert np.array_equal(some.xyxy, all_of_them.xyxy[: len(some)])
    assert (all_of_them.xyxy >= 0).all()
    assert (all_of_them.xyxy <= [120, 90, 120, 90]).all()
    assert all_of_them.xyxy.dtype == all_of_them.scores.dtype == np.float32


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 900), (900, 2), (33, 47)])
def test_odd_sizes_go_through(height, width):
    boxes = Detector(light(), threshold=0.05).detect([picture(height, width)])[0]
    assert (boxes.xyxy <= np.array([width, height, width, height], np.float32) + 1e-3).all()


@given(st.integers(8, 700), st.integers(8, 700), st.sampled_from([(320, 576), (384, 640), (800, 1333)]))
def test_sizes_are_torchvisions(height, width, sides):
    transform = GeneralizedRCNNTransform(*sides, [0.0] * 3, [1.0] * 3).eval()
    scaled = transform.resize(torch.zeros(1, height, width))[0]
    assert _resized(height, width, *sides) == tuple(scaled.shape[-2:])


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_damaged_weights_are_refused(bad):
    network = light()
    network.rpn.head.cls_logits.weight.data[0, 0] = bad
    with pytest.raises(WeightsError, match=r"rpn\.head\.cls_logits\.weight"):
        Detector(network)


@pytest.mark.parametrize(
    "architecture", [DetectorArchitecture(), SMALL, SMALL_CSP, *(DetectorArchitecture(name, 2) for name in PARAMETERS)]
)
def test_architecture_survives_json(architecture):
    assert DetectorArchitecture.from_json(architecture.to_json()) == architecture


@pytest.mark.parametrize(
    ("record", "what"),
    [({"name": "yolo"}, "no detector 'yolo'"), ({"name": LIGHT, "wings": 2}, "has no 'wings'"), ({"name": 3}, "3")],
)
def test_unknown_architectures_are_refused(record, what):
    with pytest.raises(WeightsError, match=what):
        DetectorArchitecture.from_json(record)


def test_wrong_number_of_levels_is_refused():
    with pytest.raises(ValueError, match="4 levels"):
        build_detector(DetectorArchitecture(anchors=((8,), (16,))))
