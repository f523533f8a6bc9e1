"""posetrack run with networks from elsewhere: their checkpoints by path, by name, and as ONNX. Weights are random."""

from __future__ import annotations

import pytest
import torch
from click.testing import CliRunner
from clips import make_clip

from posetrack.cli import posetrack
from posetrack.detector import build_detector
from posetrack.pose.network import PoseArchitecture, build_pose_network
from posetrack.results.native import read_tracks


def command(*words: object) -> None:
    done = CliRunner().invoke(posetrack, [*map(str, words)])
    assert done.exit_code == 0, done.output


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("POSETRACK_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A clip of two frames, and where two people are in them."""
    place = tmp_path_factory.mktemp("clip")
    make_clip(place / "clip.mp4", 2, size=(160, 120))
    rows = [f"{frame},{person},{10 + 60 * person},10,50,100,0.9,-1,-1,-1" for frame in (1, 2) for person in (0, 1)]
    (place / "boxes.txt").write_text("\n".join(rows) + "\n")
    return place


def checkpoint(path, body, joints, prefix=""):
    torch.manual_seed(0)
    state = build_pose_network(PoseArchitecture(body, joints)).state_dict()
    state["final_layer.bias"] += 0.6  # so that joints count as seen
    torch.save({"state_dict": {prefix + key: value for key, value in state.items()}}, path)
    return path


def tracked(folder, tmp_path, *words):
    command("run", folder / "clip.mp4", "--detections", folder / "boxes.txt", "-o", tmp_path / "out",
            "--no-propagation", *words)  # fmt: skip
    reader = read_tracks(tmp_path / "out" / "clip.tracks.json")
    frames = list(reader)
    assert [[person.id for person in frame.people] for frame in frames] == [[1, 2], [1, 2]]
    assert {person.keypoints.shape[0] for frame in frames for person in frame.people} == {len(reader.header.skeleton)}
    return reader.header


@pytest.mark.parametrize(
    ("file", "body", "joints", "skeleton"),
    [
        ("pose_resnet_50_256x192.pth.tar", "resnet50", 17, "coco17"),
        ("pose_resnet_18_256x256.pth.tar", "resnet18", 16, "mpii16"),
        ("res18_posetrack18_128x96.pth", "resnet18", 17, "posetrack18"),
        ("res18_posetrack17_384x288.pth", "resnet18", 15, "posetrack17"),
    ],
)
def test_a_checkpoint_by_path(folder, tmp_path, file, body, joints, skeleton):
    header = tracked(folder, tmp_path, "--pose", checkpoint(tmp_path / file, body, joints, "module."))
    assert header.skeleton.name == skeleton
    assert header.settings["pose"]["name"] == file


def test_an_imported_checkpoint_by_name(folder, tmp_path):
    place = tmp_path / "elsewhere"
    file = checkpoint(tmp_path / "mine.pth", "resnet18", 17)
    command("weights", "import", file, "--as", "mine", "--size", "128x96", "--weights-dir", place)
    header = tracked(folder, tmp_path, "--pose", "mine", "--weights-dir", place)
    assert header.settings["pose"]["name"] == "mine"


def test_an_onnx_network(folder, tmp_path):
    onnx = pytest.importorskip("onnx", reason="needs the extra posetrack[onnx]")
    pytest.importorskip("onnxruntime", reason="needs the extra posetrack[onnx]")
    weight = onnx.numpy_helper.from_array(torch.randn(17, 3, 4, 4).numpy(), "weight")
    bias = onnx.numpy_helper.from_array(torch.ones(17).numpy(), "bias")
    sides = [onnx.helper.make_tensor_value_info(n, 1, s) for n, s in (("x", [1, 3, 64, 64]), ("y", [1, 17, 16, 16]))]
    node = onnx.helper.make_node("Conv", ["x", "weight", "bias"], ["y"], strides=[4, 4])
    graph = onnx.helper.make_graph([node], "hourglass", sides[:1], sides[1:], [weight, bias])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(tmp_path / "hourglass.onnx"))
    header = tracked(folder, tmp_path, "--pose", tmp_path / "hourglass.onnx", "--flip-test")
    assert header.settings["pose"]["name"] == "hourglass.onnx"


def test_a_detector_of_torchvision_by_path(folder, tmp_path):
    torch.manual_seed(0)
    torch.save(build_detector("fasterrcnn_mobilenet_v3_large_320_fpn").state_dict(), tmp_path / "detector_320.pth")
    command("run", folder / "clip.mp4", "--detector", tmp_path / "detector_320.pth", "-o", tmp_path / "out")
    reader = read_tracks(tmp_path / "out" / "clip.tracks.json")
    assert len(list(reader)) == 2
    assert reader.header.settings["detector"]["name"] == "detector_320.pth"
