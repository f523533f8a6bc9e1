"""Weights opened by name and by path, written, and what is said of those that cannot be used."""

from __future__ import annotations

import pickle
import shutil
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from posetrack.detector import DetectorArchitecture, build_detector
from posetrack.errors import OutputError, WeightsError
from posetrack.pose.network import PoseArchitecture, count_gflops
from posetrack.pose.spec import PoseInput, PoseSpec
from posetrack.skeleton import COCO17
from posetrack.weights import load_weights, save_weights, shipped
from posetrack.weights.files import build_network
from posetrack.weights.foreign import Overrides, recognise_entry

GREYS = (123.675, 116.28, 103.53)
SPEC = PoseSpec(
    PoseArchitecture("resnet18"), PoseInput(64, 64, "RGB", GREYS, (58.4, 57.1, 57.4), False), COCO17
)


@pytest.fixture(scope="module")
def written(tmp_path_factory, resnet18):
    path = tmp_path_factory.mktemp("own") / "net.safetensors"
    save_weights(path, resnet18.state_dict(), SPEC.to_metadata(), torch.float32)
    return path


@pytest.fixture
def own(tmp_path, written):
    """A file of our own that a test may spoil."""
    return Path(shutil.copy(written, tmp_path))


def test_what_is_written_is_read(own, resnet18):
    weights = load_weights(own, "pose")
    assert (weights.kind, weights.architecture, weights.skeleton) == ("pose", SPEC.architecture, "coco17")
    assert PoseSpec.from_metadata(weights.metadata) == SPEC
    assert weights.input["height"] == 64
    assert float(weights.metadata["gflops"]) == pytest.approx(count_gflops(resnet18, 64, 64), abs=0.01)
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(build_network(weights)(images), resnet18(images))


def test_files_are_fp16_and_equal_states_give_equal_files(tmp_path, resnet18):
    for name in ("a", "b"):
        save_weights(tmp_path / name, resnet18.state_dict(), SPEC.to_metadata())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    state = load_file(tmp_path / "a")
    assert {value.dtype for value in state.values()} == {torch.float16}
    assert not any(key.endswith("num_batches_tracked") for key in state)


@pytest.mark.parametrize("kind", ["pose", "detector"])
def test_the_shipped_networks_load(kind):
    weights = load_weights(kind, kind)
    assert weights.path == shipped(kind)
    assert len(weights.sha256) == 64
    build_network(weights)


def test_a_network_of_the_other_kind():
    with pytest.raises(WeightsError, match="holds a person detector, not a pose network; give it as --detector"):
        load_weights("detector", "pose")


def test_a_name_stays_a_name_beside_a_file_that_is_called_so(tmp_path, monkeypatch):
    (tmp_path / "pose").write_text("notes on posture")
    monkeypatch.chdir(tmp_path)
    assert load_weights("pose").path == shipped("pose")


def test_names_that_are_not_here_say_how_to_get_them():
    with pytest.raises(WeightsError, match="`posetrack weights get fasterrcnn_resnet50_fpn_v2`"):
        load_weights("fasterrcnn_resnet50_fpn_v2", "detector")


@pytest.mark.parametrize("length", [0, 4, 100, 30_000, -1])
def test_truncated_files(own, length):
    own.write_bytes(own.read_bytes()[:length])
    with pytest.raises(WeightsError, match=r"empty|damaged|truncated") as raised:
        load_weights(own)
    assert str(own) in str(raised.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_no_numbers(own, value):
    state = load_file(own)
    state["layer2.0.bn1.bias"][3] = value
    save_file(state, own, SPEC.to_metadata())
    with pytest.raises(WeightsError, match=r"'layer2\.0\.bn1\.bias' holds NaN or infinity"):
        load_weights(own)


def test_what_overflows_is_not_written(tmp_path, resnet18):
    state = {**resnet18.state_dict(), "final_layer.bias": torch.full((17,), 1e6)}
    with pytest.raises(WeightsError, match=r"'final_layer\.bias'"):
        save_weights(tmp_path / "net.safetensors", state, SPEC.to_metadata())
    assert not list(tmp_path.glob("*net*"))


def test_a_missing_tensor_is_named(own):
    state = load_file(own)
    del state["bn1.bias"]
    save_file(state, own, SPEC.to_metadata())
    with pytest.raises(WeightsError, match=r"missing bn1\.bias$"):
        load_weights(own)


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({}, "does not say what network"),
        ({"kind": "body"}, "holds 'body'"),
        ({"kind": "pose"}, "'skeleton'"),
        ({**SPEC.to_metadata(), "architecture": "{"}, "'architecture'"),
        ({**SPEC.to_metadata(), "architecture": '{"body": "resnet18", "colour": 1}'}, "'colour'"),
        ({**SPEC.to_metadata(), "input": "{}"}, "'input'"),
        ({"kind": "detector"}, "'architecture'"),
        ({"kind": "detector", "architecture": '{"name": "yolo"}'}, "no detector 'yolo'"),
        ({"kind": "detector", "architecture": '{"lateral": 1}'}, "no 'lateral'"),
    ],
    ids=str,
)
def test_metadata_that_do_not_tell(tmp_path, metadata, said):
    path = tmp_path / "net.safetensors"
    save_file({"bn1.bias": torch.ones(64)}, path, metadata or None)
    with pytest.raises(WeightsError, match=said) as raised:
        load_weights(path)
    assert str(path) in str(raised.value)


def test_a_place_that_cannot_be_written(tmp_path, resnet18):
    with pytest.raises(OutputError, match="cannot be written"):
        save_weights(tmp_path / "absent" / "net", resnet18.state_dict(), SPEC.to_metadata())


def checkpoint(tmp_path, content, name="pose_resnet_18_256x192.pth.tar"):
    torch.save(content, tmp_path / name)
    return tmp_path / name


def test_a_checkpoint_of_a_training_run(tmp_path, resnet18):
    optimizer = torch.optim.Adam(resnet18.parameters())
    state = {f"module.{key}": value for key, value in resnet18.state_dict().items()}
    content = {"epoch": 3, "model": "pose_resnet", "state_dict": state, "optimizer": optimizer.state_dict()}
    weights = load_weights(checkpoint(tmp_path, content), "pose")
    assert weights.input == {
        "colour_order": "BGR", "mean": list(GREYS), "std": [58.395, 57.12, 57.375],
        "unbiased": False, "height": 256, "width": 192,
    }  # fmt: skip
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.allclose(build_network(weights)(images), resnet18(images), rtol=0, atol=1e-6)


def mmpose_1(network):
    heads = ("deconv_layers", "final_layer")
    return {f"{'head' if k.startswith(heads) else 'backbone'}.{k}": v for k, v in network.state_dict().items()}


def test_numbers_of_numpy_and_the_log_of_mmengine_do_no_harm(tmp_path, resnet18, monkeypatch):
    name = "mmengine.logging.history_buffer"
    module = types.ModuleType(name)
    module.HistoryBuffer = type("HistoryBuffer", (), {"__module__": name})
    for part in ("mmengine", "mmengine.logging", name):
        monkeypatch.setitem(sys.modules, part, module)
    loss = module.HistoryBuffer()
    loss.history = [1.0]
    log = {"loss": loss, "ap": np.float64(0.7), "step": np.int64(3)}
    content = {"message_hub": log, "meta": {"epoch": 1}, "state_dict": mmpose_1(resnet18)}
    path = checkpoint(tmp_path, content, "r_256x192.pth")
    for part in ("mmengine", "mmengine.logging", name):
        monkeypatch.delitem(sys.modules, part)
    weights = load_weights(path)
    assert weights.input["colour_order"] == "RGB"
    assert weights.architecture == PoseArchitecture("resnet18")


class Evil:
    """Runs a command when it is unpickled the unsafe way."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        import os

        return os.system, (f"touch {self.target}",)


@pytest.mark.parametrize("where", ["beside", "alone", "legacy", "bare pickle"])
def test_a_malicious_pickle_does_not_run(tmp_path, resnet18, where):
    target = tmp_path / "ran"
    content = Evil(target) if where == "alone" else {"state_dict": resnet18.state_dict(), "meta": Evil(target)}
    path = tmp_path / "net_256x192.pth"
    if where == "bare pickle":
        path.write_bytes(pickle.dumps(Evil(target), protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=where != "legacy")
    with pytest.raises(WeightsError) as raised:
        load_weights(path)
    assert not target.exists()
    assert str(path) in str(raised.value)
    if where != "bare pickle":
        assert "system) that could run code" in str(raised.value)
        assert "save the bare state_dict" in str(raised.value)


@pytest.mark.parametrize("content", [3, [torch.ones(1)], {"state_dict": {"epoch": 3}}, {}], ids=str)
def test_checkpoints_without_named_tensors(tmp_path, content):
    with pytest.raises(WeightsError, match="give a file with a state_dict"):
        load_weights(checkpoint(tmp_path, content))


@pytest.mark.parametrize("protocol", [True, False], ids=["zip", "legacy"])
def test_truncated_checkpoints(tmp_path, resnet18, protocol):
    path = tmp_path / "net_256x192.pth"
    torch.save(resnet18.state_dict(), path, _use_new_zipfile_serialization=protocol)
    path.write_bytes(path.read_bytes()[:40_000])
    with pytest.raises(WeightsError, match="damaged or truncated"):
        load_weights(path)


def test_a_checkpoint_with_nan(tmp_path, resnet18):
    state = {**resnet18.state_dict(), "bn1.bias": torch.full((64,), float("nan"))}
    with pytest.raises(WeightsError, match=r"'bn1\.bias' holds NaN"):
        load_weights(checkpoint(tmp_path, state))


def test_what_a_checkpoint_does_not_say_must_be_said(tmp_path, resnet18):
    path = checkpoint(tmp_path, resnet18.state_dict(), "final_state.pth.tar")
    with pytest.raises(WeightsError, match=r"weights import .* --size 256x192"):
        load_weights(path)
    said = Overrides(128, 96, "posetrack18", "RGB", (1, 2, 3), (4, 5, 6))
    weights = load_weights(path, overrides=said)
    assert weights.skeleton == "posetrack18"
    assert weights.input == {
        "colour_order": "RGB", "mean": [1, 2, 3], "std": [4, 5, 6], "unbiased": False, "height": 128, "width": 96,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("joints", "name", "skeleton"),
    [
        (17, "r_256x192.pth", "coco17"),
        (17, "res18_posetrack18_256x192.pth", "posetrack18"),
        (16, "r_256x256.pth", "mpii16"),
        (15, "r_256x192.pth", "posetrack17"),
    ],
)
def test_skeletons_go_by_the_number_of_joints_and_the_name(tmp_path, make_network, joints, name, skeleton):
    state = make_network("resnet18", joints).state_dict()
    assert load_weights(checkpoint(tmp_path, state, name)).skeleton == skeleton


def test_a_skeleton_of_another_number_of_joints(tmp_path, resnet18):
    with pytest.raises(WeightsError, match="gives 17 joints, skeleton mpii16 has 16"):
        load_weights(checkpoint(tmp_path, resnet18.state_dict()), overrides=Overrides(skeleton="mpii16"))


def test_a_number_of_joints_that_no_skeleton_has(tmp_path, make_network):
    with pytest.raises(WeightsError, match="no skeleton that posetrack knows has its 21 joints"):
        load_weights(checkpoint(tmp_path, make_network("resnet18", 21).state_dict()))


@pytest.mark.parametrize(
    ("called", "sha256", "name"),
    [
        ("pose_resnet_50_384x288.pth.tar", "", "microsoft-resnet50-coco-384x288"),
        ("pose_resnet_152_384x384.pth.tar", "", "microsoft-resnet152-mpii-384x384"),
        ("renamed.pth", "04af38ce" + "0" * 56, "mmpose-resnet50-coco-256x192"),
        ("td-hm_res50_8xb64-210e_coco-256x192-04af38ce_20220923.pth", "0" * 64, None),
        ("mine.pth", "0" * 64, None),
    ],
)
def test_published_files_are_known_by_their_hash_or_where_there_is_none_by_their_name(called, sha256, name):
    entry = recognise_entry(called, sha256)
    assert (entry and entry.name) == name


def test_a_file_that_only_is_called_like_a_published_one_gets_no_score(tmp_path, resnet18):
    weights = load_weights(checkpoint(tmp_path, resnet18.state_dict(), "pose_resnet_50_256x192.pth.tar"))
    assert "scores" not in weights.metadata


@pytest.mark.parametrize(
    ("name", "file", "size"),
    [
        ("fasterrcnn_mobilenet_v3_large_320_fpn", "fasterrcnn_mobilenet_v3_large_320_fpn-x.pth", 320),
        ("fasterrcnn_mobilenet_v3_large_fpn", "mine.pth", 800),
    ],
)
def test_torchvision_detectors_by_path(tmp_path, name, file, size):
    weights = load_weights(checkpoint(tmp_path, build_detector(name).state_dict(), file), "detector")
    assert weights.architecture == DetectorArchitecture(name)
    assert weights.input["min_size"] == size
    assert type(build_network(weights)).__name__ == "FasterRCNN"
