"""The pose network against the reference's outputs, names and parameter counts, and the published costs."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from weight_rule import by_rule, numbers

from posetrack.pose.network import PoseArchitecture, build_pose_network, count_gflops, fold_batch_norms

REFERENCE = Path(__file__).parents[1] / "reference" / "network"
CASES = json.loads((REFERENCE / "cases.json").read_text())
ARCHITECTURES = {
    "r50_256x192": PoseArchitecture("resnet50"),
    "r18_128x96": PoseArchitecture("resnet18"),
    "r34_64x64_j16": PoseArchitecture("resnet34", joints=16),
    "r18_64x64_k333": PoseArchitecture("resnet18", deconv_kernels=(3, 3, 3)),
    "r18_64x64_k222": PoseArchitecture("resnet18", deconv_kernels=(2, 2, 2)),
    "r18_64x64_k44_f128_64": PoseArchitecture("resnet18", deconv_filters=(128, 64), deconv_kernels=(4, 4)),
    "r18_64x64_fck3_bias": PoseArchitecture("resnet18", final_kernel=3, deconv_bias=True),
    "r50caffe_64x64": PoseArchitecture("resnet50", stride_first=True),
}
LIGHT = PoseArchitecture("mobilenet_v2", 17, (32, 24, 16))
LATERALS = PoseArchitecture("mobilenet_v2", 17, (32, 24, 16), laterals=True)


@pytest.mark.parametrize("name", CASES)
def test_outputs_are_the_references(name):
    case = CASES[name]
    network = by_rule(build_pose_network(ARCHITECTURES[name]))
    images = torch.from_numpy(numbers(f"input:{name}").standard_normal(case["input_shape"]).astype(np.float32))
    with torch.inference_mode():
        plain, folded = network(images), fold_batch_norms(copy.deepcopy(network))(images)
    with np.load(REFERENCE / "outputs.npz") as recorded:
        expected = recorded[name]
    step = case["step"]  # the larger maps are recorded at every third pixel
    np.testing.assert_allclose(plain[:, :, ::step, ::step], expected, atol=1e-4)
    np.testing.assert_allclose(folded[:, :, ::step, ::step], expected, atol=1e-4)
    assert sum(p.numel() for p in network.parameters()) == case["params"]


@pytest.mark.parametrize(
    ("depth", "parameters"),
    [(18, 15_376_721), (34, 25_484_881), (50, 33_999_697), (101, 52_991_825), (152, 68_635_473)],
)
def test_names_and_sizes_are_those_of_the_published_checkpoints(depth, parameters):
    layout = json.loads((REFERENCE / "state_dict_layout.json").read_text())[str(depth)]["keys"]
    with torch.device("meta"):
        network = build_pose_network(PoseArchitecture(f"resnet{depth}"))
    assert {key: list(tensor.shape) for key, tensor in network.state_dict().items()} == layout
    assert sum(p.numel() for p in network.parameters()) == parameters


@pytest.mark.parametrize(("depth", "published"), [(50, 8.9), (101, 12.4), (152, 15.7)])
def test_gflops_are_the_published_ones(depth, published):
    """Counted 8.99, 12.38 and 15.76, which the published table cuts off or rounds."""
    with torch.device("meta"):
        network = build_pose_network(PoseArchitecture(f"resnet{depth}"))
    assert count_gflops(network, 256, 192) == pytest.approx(published, abs=0.1)


def test_counting_leaves_the_network_as_it_is():
    network = build_pose_network(LIGHT).eval()
    before = count_gflops(network, 64, 64)
    assert count_gflops(fold_batch_norms(network), 64, 64) == before
    assert all(parameter.device.type == "cpu" for parameter in network.parameters())
    assert not network.training


@pytest.mark.parametrize("architecture", [LIGHT, LATERALS, PoseArchitecture("resnet18"), PoseArchitecture("resnet50")])
def test_folding_changes_nothing_but_time(architecture):
    network = by_rule(build_pose_network(architecture))
    images = torch.from_numpy(numbers("fold").standard_normal((2, 3, 64, 96)).astype(np.float32))
    with torch.inference_mode():
        expected = network(images)
        folded = fold_batch_norms(network)(images)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    np.testing.assert_allclose(folded, expected, atol=1e-4)


@pytest.mark.parametrize("architecture", [LIGHT, LATERALS])
def test_the_light_network_gives_heatmaps_at_a_quarter(architecture):
    network = build_pose_network(architecture).eval()
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 96, 64)).shape == (1, 17, 24, 16)
    assert architecture.stride == 4


def test_laterals_add_only_their_own_parameters():
    light, laterals = (set(build_pose_network(a).state_dict()) for a in (LIGHT, LATERALS))
    assert laterals - light == {f"laterals.{i}.{part}" for i in range(3) for part in ("weight", "bias")}
    assert light <= laterals


def test_the_head_starts_as_the_reference_starts_it():
    network = build_pose_network(PoseArchitecture("resnet18"))
    for module in (network.deconv_layers[0], network.final_layer):
        assert float(module.weight.detach().std()) == pytest.approx(0.001, rel=0.05)
    assert not network.final_layer.bias.any()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"body": "resnet51"}, "no body"),
        ({"deconv_filters": (256,)}, "one entry"),
        ({"deconv_filters": (), "deconv_kernels": ()}, "one entry"),
        ({"deconv_kernels": (4, 4, 5)}, "deconv_kernels"),
        ({"laterals": True}, "laterals"),
        ({"final_kernel": 2}, "final_kernel"),
        ({"body": "resnet18", "stride_first": True}, "stride_first"),
    ],
)
def test_architectures_that_cannot_be_are_refused(wrong, says):
    with pytest.raises(ValueError, match=says):
        PoseArchitecture(**wrong)
