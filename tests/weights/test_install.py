"""Files imported into the cache, by published and by own names."""

from __future__ import annotations

import json

import pytest
import torch

from posetrack.detector import build_detector
from posetrack.errors import WeightsError
from posetrack.weights import load_weights
from posetrack.weights.cache import read_pin, remove
from posetrack.weights.files import build_network
from posetrack.weights.foreign import Overrides
from posetrack.weights.install import get_weights, import_file
from posetrack.weights.listing import known_weights


@pytest.fixture
def file(tmp_path, resnet18):
    torch.save(resnet18.state_dict(), tmp_path / "trained.pth")
    return tmp_path / "trained.pth"


def test_an_imported_file_is_used_by_its_name(file, home, resnet18):
    path = import_file(file, "mine", Overrides(64, 64, colour_order="RGB"))
    assert path == home / "mine.safetensors"
    weights = load_weights("mine", "pose")
    assert (weights.path, weights.input["colour_order"], weights.input["height"]) == (path, "RGB", 64)
    assert weights.metadata["source_file"] == "trained.pth"
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.allclose(build_network(weights)(images), resnet18(images), rtol=0, atol=1e-6)
    assert [listed.entry.name for listed in known_weights() if listed.here == "yes"] == ["mine"]


def test_a_changed_import_is_not_loaded(file):
    path = import_file(file, "mine", Overrides(64, 64))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="changed since it was checked"):
        load_weights("mine")


def test_a_name_is_taken_once_and_free_again_after_removal(file):
    import_file(file, "mine", Overrides(64, 64))
    with pytest.raises(WeightsError, match="is there already"):
        import_file(file, "mine", Overrides(64, 64))
    remove("mine")
    assert read_pin("mine") is None
    import_file(file, "mine", Overrides(64, 64))


def test_our_own_files_can_be_imported(file, tmp_path):
    exported = tmp_path / "exported.safetensors"
    exported.write_bytes(import_file(file, "mine", Overrides(64, 64)).read_bytes())
    assert import_file(exported, "again").read_bytes() == exported.read_bytes()


def test_a_published_name_takes_only_the_published_file(tmp_path, home):
    torch.save(build_detector("fasterrcnn_mobilenet_v3_large_fpn").state_dict(), tmp_path / "x.pth")
    with pytest.raises(WeightsError, match=r"not the published .* begins with .*, not fb6a3cc7"):
        import_file(tmp_path / "x.pth", "fasterrcnn_mobilenet_v3_large_fpn")
    assert not home.exists()


def test_what_cannot_be_imported_leaves_nothing(tmp_path, home):
    torch.save({"a": torch.ones(1)}, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match="does not know"):
        import_file(tmp_path / "x.pth", "mine")
    assert [p.name for p in home.iterdir()] == [".mine.lock"]


def test_a_published_network_from_server_to_heatmaps(web, make_network, tmp_path, monkeypatch):
    name, file = "microsoft-resnet50-coco-256x192", "pose_resnet_50_256x192.pth.tar"
    network = make_network("resnet50")
    torch.save(network.state_dict(), tmp_path / file)
    web.files[file] = (tmp_path / file).read_bytes()
    web.faults, web.at = ["cut", 503], 50_000_000
    monkeypatch.setenv("POSETRACK_MIRROR", web.address)
    seen = []
    get_weights(name, report=lambda done, total: seen.append(done))
    assert seen[-1] == len(web.files[file])
    assert web.asked[-1][1].startswith("bytes=")
    weights = load_weights(name, "pose")
    assert weights.metadata["licence"] == "MIT"
    assert json.loads(weights.metadata["scores"]) == {"data": "COCO val2017", "published": "AP 70.4"}
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.allclose(build_network(weights)(images), network(images), rtol=0, atol=1e-6)


def test_a_published_name_with_another_network_in_it(web, make_network, tmp_path, monkeypatch, home):
    file = "pose_resnet_50_256x256.pth.tar"
    torch.save(make_network("resnet18").state_dict(), tmp_path / file)
    web.files[file] = (tmp_path / file).read_bytes()
    monkeypatch.setenv("POSETRACK_MIRROR", web.address)
    with pytest.raises(WeightsError, match="holds resnet18, which microsoft-resnet50-mpii-256x256 is not"):
        get_weights("microsoft-resnet50-mpii-256x256")
    assert not [p for p in home.iterdir() if not p.name.endswith(".lock")]
