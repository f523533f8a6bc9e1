"""Foreign state dicts: every layout gives the network that it was made of, every wrong key is named."""

from __future__ import annotations

import functools
import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from posetrack.detector import DetectorArchitecture, build_detector
from posetrack.errors import WeightsError
from posetrack.pose.network import PoseArchitecture, build_pose_network
from posetrack.weights.catalogue import catalogue
from posetrack.weights.importers import import_state, recognise_detector, recognise_pose


def bare(state):
    return dict(state)


def data_parallel(state):
    return {f"module.{key}": value for key, value in state.items()}


def mmpose_0(state):
    return {_side(key, "keypoint_head"): value for key, value in state.items()}


def mmpose_1(state):
    preprocessor = {"data_preprocessor.mean": torch.zeros(3, 1, 1), "data_preprocessor.std": torch.ones(3, 1, 1)}
    return {**preprocessor, **{_side(key, "head"): value for key, value in state.items()}}


def without_counters(state):
    return {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}


def _side(key, head):
    return f"{head}.{key}" if key.startswith(("deconv_layers", "final_layer")) else f"backbone.{key}"


LAYOUTS = [bare, data_parallel, mmpose_0, mmpose_1, without_counters]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_an_imported_network_gives_what_the_original_gives(resnet18, layout):
    imported = import_state(layout(resnet18.state_dict()))
    assert imported.layout == ("mmpose" if "mmpose" in layout.__name__ else "microsoft")
    network = build_pose_network(imported.architecture)
    network.load_state_dict(imported.state, strict=False)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.allclose(network.eval()(images), resnet18(images), rtol=0, atol=1e-6)


ARCHITECTURES = [
    PoseArchitecture("resnet18"),
    PoseArchitecture("resnet34", 16),
    PoseArchitecture("resnet50"),
    PoseArchitecture("resnet101", 15),
    PoseArchitecture("resnet152", 17),
    PoseArchitecture("resnet50", 17, (256, 256), (4, 4)),
    PoseArchitecture("resnet50", 17, (128, 64, 32), (2, 3, 4)),
    PoseArchitecture("resnet18", 17, final_kernel=3, deconv_bias=True),
]


@functools.cache
def _meta_state(architecture):
    with torch.device("meta"):
        return build_pose_network(architecture).state_dict()


def meta_state(architecture):
    """Names and shapes of a network's tensors, without numbers."""
    return dict(_meta_state(architecture))


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=str)
def test_architectures_are_recognised_from_shapes(architecture):
    assert recognise_pose(meta_state(architecture)) == architecture


def test_published_layouts_are_recognised(shared):
    layouts = json.loads((shared / "reference" / "network" / "state_dict_layout.json").read_text())
    for depth, layout in layouts.items():
        state = {key: torch.empty(shape, device="meta") for key, shape in layout["keys"].items()}
        assert import_state(state).architecture == PoseArchitecture(f"resnet{depth}")


KEYS = [key for key in meta_state(PoseArchitecture("resnet18")) if not key.endswith("num_batches_tracked")]


@settings(max_examples=25)
@given(st.sampled_from(KEYS), st.sampled_from(LAYOUTS))
def test_any_missing_key_is_named(key, layout):
    state = meta_state(PoseArchitecture("resnet18"))
    del state[key]
    with pytest.raises(WeightsError, match=rf"^net: does not fit resnet18: missing {key}$"):
        import_state(layout(state), "net")


@settings(max_examples=25)
@given(st.sampled_from(KEYS), st.sampled_from([(), (3,), (1, 2, 3, 4), (7, 64, 5, 5)]))
def test_any_misshapen_key_is_named_with_both_shapes(key, shape):
    state = meta_state(PoseArchitecture("resnet18"))
    right = list(state[key].shape)
    state[key] = torch.empty(shape, device="meta")
    with pytest.raises(WeightsError) as raised:
        import_state(state, "net")
    assert f"misshapen {key}: {list(shape)} where {right} belongs" in str(raised.value)


@pytest.mark.parametrize("key", ["layer1.0.conv3.bias", "visibility.weight", "deconv_layers.3.bias"])
def test_an_unexpected_key_is_named(key):
    state = {**meta_state(PoseArchitecture("resnet18")), key: torch.empty(4, device="meta")}
    with pytest.raises(WeightsError, match=f"unexpected {key}"):
        import_state(state, "net")


def test_all_faults_are_named_at_once():
    state = meta_state(PoseArchitecture("resnet18"))
    del state["conv1.weight"]
    state["extra"] = torch.empty(1, device="meta")
    state["final_layer.bias"] = torch.empty(3, device="meta")
    with pytest.raises(WeightsError) as raised:
        import_state(state, "net")
    assert str(raised.value) == (
        "net: does not fit resnet18: missing conv1.weight; unexpected extra; "
        "misshapen final_layer.bias: [3] where [17] belongs"
    )


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"fc.weight": torch.ones(1)}, "its first keys are fc.weight"),
        ({"final_layer.weight": torch.ones(17, 32, 1, 1), "stage2.0.weight": torch.ones(1)}, "no ResNet-18"),
    ],
)
def test_other_networks_are_refused_with_what_can_be_done(state, said):
    with pytest.raises(WeightsError, match=said):
        import_state(state)


TORCHVISION = [entry.name for entry in catalogue().values() if entry.layout == "torchvision"]


@pytest.mark.parametrize("name", TORCHVISION)
def test_detectors_are_recognised(name):
    with torch.device("meta"):
        state = build_detector(name).state_dict()
    found = recognise_detector(state)
    assert found.name == name.replace("_320", "")  # the same tensors: the file's name or hash tells
    assert import_state(state).architecture == found


def test_a_detector_of_other_classes():
    with torch.device("meta"):
        state = build_detector(DetectorArchitecture("fasterrcnn_resnet50_fpn", 2)).state_dict()
    assert recognise_detector(state) == DetectorArchitecture("fasterrcnn_resnet50_fpn", 2)


def early_torchvision(state):
    """The names of torchvision's first years, when pyramid and RPN had one level less."""
    names = {key: key.replace("rpn.head.conv.0.0.", "rpn.head.conv.") for key in state}
    for key in state:
        if "fpn.inner_blocks" in key or "fpn.layer_blocks" in key:
            names[key] = key.replace(".0.weight", ".weight").replace(".0.bias", ".bias")
    return {names[key]: value for key, value in state.items()}


@pytest.mark.parametrize("layout", [bare, without_counters, early_torchvision, data_parallel])
def test_an_imported_detector_gives_what_the_original_gives(layout):
    torch.manual_seed(0)
    detector = build_detector("fasterrcnn_mobilenet_v3_large_320_fpn").eval()
    if layout is early_torchvision:
        detector = build_detector("fasterrcnn_resnet50_fpn").eval()
    state = layout(detector.state_dict())
    imported = import_state(state)
    assert imported.layout == "torchvision"
    other = build_detector(imported.architecture).eval()
    other.load_state_dict(imported.state, strict=False)
    images = torch.rand(1, 3, 96, 96)
    with torch.inference_mode():
        ours, theirs = (net.rpn.head(list(net.backbone(images).values())) for net in (other, detector))
        pooled = torch.rand(3, *detector.roi_heads.box_head.fc6.weight.shape[1:])
        for a, b in zip([*ours[0], *ours[1]], [*theirs[0], *theirs[1]], strict=True):
            assert torch.allclose(a, b, rtol=0, atol=1e-6)
        a, b = (net.roi_heads.box_predictor(net.roi_heads.box_head(pooled)) for net in (other, detector))
        assert torch.allclose(a[0], b[0], rtol=0, atol=1e-6)
        assert torch.allclose(a[1], b[1], rtol=0, atol=1e-6)


def test_a_missing_key_of_a_detector_is_named():
    with torch.device("meta"):
        state = build_detector("fasterrcnn_resnet50_fpn").state_dict()
    del state["rpn.head.cls_logits.bias"]
    with pytest.raises(WeightsError, match=r"fasterrcnn_resnet50_fpn: missing rpn.head.cls_logits.bias$"):
        import_state(state, "net")


def test_half_precision_becomes_float32(resnet18):
    state = {k: v.half() if v.is_floating_point() else v for k, v in resnet18.state_dict().items()}
    assert {value.dtype for value in import_state(state).state.values()} == {torch.float32}
