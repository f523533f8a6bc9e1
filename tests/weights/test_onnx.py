"""ONNX out: equal to torch; ONNX in: other people's heatmap networks."""

from __future__ import annotations

import builtins

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from posetrack.cli.weights import weights as weights_command
from posetrack.errors import DeviceError, WeightsError
from posetrack.pose.estimator import PoseEstimator
from posetrack.pose.network import PoseArchitecture
from posetrack.pose.spec import PoseInput, PoseSpec
from posetrack.skeleton import COCO17
from posetrack.types import Boxes
from posetrack.weights import load_weights, save_weights
from posetrack.weights.files import build_network
from posetrack.weights.foreign import Overrides
from posetrack.weights.install import import_file
from posetrack.weights.onnx import TOLERANCE, OnnxHeatmaps

onnx = pytest.importorskip("onnx", reason="needs the extra posetrack[onnx]")
pytest.importorskip("onnxruntime", reason="needs the extra posetrack[onnx]")


GREYS = ((120.0, 110.0, 100.0), (58.0, 57.0, 56.0))
SPEC = PoseSpec(PoseArchitecture("resnet18"), PoseInput(64, 32, "BGR", *GREYS, False), COCO17)


@pytest.fixture(scope="module")
def original(tmp_path_factory, resnet18):
    """A weights file."""
    path = tmp_path_factory.mktemp("onnx") / "net.safetensors"
    save_weights(path, resnet18.state_dict(), SPEC.to_metadata())
    return load_weights(path)


@pytest.fixture(scope="module")
def exported(original):
    """The same network as the command line exports it."""
    pytest.importorskip("onnxscript", reason="needs the extra posetrack[onnx]")
    path = original.path.with_suffix(".onnx")
    done = CliRunner().invoke(weights_command, ["export", str(original.path), "--onnx", "-o", str(path)])
    assert (done.exit_code, done.stdout) == (0, f"{path}\n"), done.output
    return path


def test_an_exported_network_says_what_it_is(exported, original):
    weights = load_weights(exported, "pose")
    assert weights.metadata == original.metadata
    assert (weights.architecture, weights.input) == (original.architecture, original.input)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_an_exported_network_gives_what_torch_gives_for_any_number_of_pictures(exported, original, count):
    images = torch.randn(count, 3, 64, 32)
    with torch.inference_mode():
        wanted = build_network(original)(images)
    found = build_network(load_weights(exported))(images)
    assert torch.allclose(found, wanted, rtol=0, atol=TOLERANCE)


def test_an_exported_network_estimates_the_same_poses(exported, original):
    image = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
    boxes = Boxes(np.array([[10, 5, 60, 110], [40, 20, 150, 115]], np.float32), np.ones(2, np.float32))
    poses = []
    for weights in (original, load_weights(exported)):
        estimator = PoseEstimator(build_network(weights), PoseSpec.from_metadata(weights.metadata), flip_test=True)
        poses.append(estimator(image, boxes))
    assert np.allclose(poses[0].keypoints, poses[1].keypoints, rtol=0, atol=1e-3)


def heatmap_network(path, joints=17, batch="n", size=(64, 32), kind=None, stride=4, dim=4):
    """A 4x4 convolution of stride 4 as an ONNX file, as another program might write it."""
    kind = kind or onnx.TensorProto.FLOAT
    numbers = np.random.default_rng(0).normal(size=(joints, 3, stride, stride)).astype(
        np.float16 if kind == onnx.TensorProto.FLOAT16 else np.float32
    )  # fmt: skip
    height, width = size
    shape = [batch, joints, "h", "w"] if isinstance(height, str) else [batch, joints, height // 4, width // 4]
    nodes = [onnx.helper.make_node("Conv", ["input", "weight"], ["maps"], strides=[stride, stride])]
    if dim == 3:
        nodes.append(onnx.helper.make_node("Flatten", ["maps"], ["flat"], axis=2))
        shape = [batch, joints * 4]
    name = "maps" if dim == 4 else "flat"
    graph = onnx.helper.make_graph(
        nodes, "net",
        [onnx.helper.make_tensor_value_info("input", kind, [batch, 3, height, width])],
        [onnx.helper.make_tensor_value_info(name, kind, None if dim == 3 else shape)],
        [onnx.numpy_helper.from_array(numbers, "weight")],
    )  # fmt: skip
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(path))
    return torch.from_numpy(numbers.astype(np.float32))


@pytest.mark.parametrize("batch", ["n", 1, 4])
def test_a_foreign_network_runs_whatever_number_of_pictures_it_was_written_for(tmp_path, batch):
    weight = heatmap_network(tmp_path / "hrnet.onnx", batch=batch)
    network = OnnxHeatmaps(tmp_path / "hrnet.onnx")
    images = torch.randn(6, 3, 64, 32)
    wanted = torch.nn.functional.conv2d(images, weight, stride=4)
    assert torch.allclose(network(images), wanted, atol=1e-4)
    assert torch.allclose(network(images[:3]), wanted[:3], atol=1e-4)
    assert network(images.bfloat16()).dtype == torch.float32


def test_a_foreign_network_in_half_precision(tmp_path):
    weight = heatmap_network(tmp_path / "half.onnx", kind=onnx.TensorProto.FLOAT16)
    images = torch.randn(2, 3, 64, 32)
    wanted = torch.nn.functional.conv2d(images, weight, stride=4)
    assert torch.allclose(OnnxHeatmaps(tmp_path / "half.onnx")(images), wanted, atol=0.05)


@pytest.mark.parametrize(("joints", "skeleton"), [(17, "coco17"), (16, "mpii16"), (15, "posetrack17")])
def test_a_foreign_network_is_told_by_its_shapes(tmp_path, joints, skeleton):
    heatmap_network(tmp_path / "net.onnx", joints)
    weights = load_weights(tmp_path / "net.onnx", "pose")
    assert weights.skeleton == skeleton
    assert (weights.architecture.body, weights.architecture.joints) == ("onnx", joints)
    assert (weights.input["height"], weights.input["width"]) == (64, 32)
    assert weights.input["colour_order"] == "RGB"


def test_a_foreign_network_that_leaves_its_size_open(tmp_path):
    heatmap_network(tmp_path / "net.onnx", size=("height", "width"))
    with pytest.raises(WeightsError, match="--size 256x192"):
        load_weights(tmp_path / "net.onnx")
    assert load_weights(tmp_path / "net.onnx", overrides=Overrides(96, 64)).input["height"] == 96
    (tmp_path / "net.onnx").rename(tmp_path / "net_128x96.onnx")
    assert load_weights(tmp_path / "net_128x96.onnx").input["width"] == 96


def test_an_imported_onnx_file_keeps_what_was_said_of_it(tmp_path, home):
    heatmap_network(tmp_path / "net.onnx")
    said = Overrides(skeleton="posetrack18", colour_order="BGR", mean=(1, 2, 3))
    assert import_file(tmp_path / "net.onnx", "hrnet", said) == home / "hrnet.onnx"
    weights = load_weights("hrnet", "pose")
    assert (weights.skeleton, weights.input["colour_order"], weights.input["mean"]) == ("posetrack18", "BGR", [1, 2, 3])
    assert isinstance(build_network(weights), OnnxHeatmaps)


def test_other_interfaces_are_refused(tmp_path):
    heatmap_network(tmp_path / "simcc.onnx", dim=3)
    with pytest.raises(WeightsError, match="no heatmap network"):
        load_weights(tmp_path / "simcc.onnx")


def test_a_damaged_file(exported, tmp_path):
    (tmp_path / "net.onnx").write_bytes(exported.read_bytes()[:1000])
    with pytest.raises(WeightsError, match="no readable ONNX file") as raised:
        load_weights(tmp_path / "net.onnx")
    assert "\n" not in str(raised.value)


def test_pictures_of_another_size(tmp_path):
    heatmap_network(tmp_path / "net.onnx")
    with pytest.raises(WeightsError, match="cannot be run"):
        OnnxHeatmaps(tmp_path / "net.onnx")(torch.zeros(1, 3, 32, 32))


def test_without_the_extra(tmp_path, monkeypatch):
    heatmap_network(tmp_path / "net.onnx")
    real = builtins.__import__

    def absent(name, *rest):
        if name == "onnxruntime":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(DeviceError, match=r"pip install 'posetrack\[onnx\]'"):
        load_weights(tmp_path / "net.onnx")
