"""The manifest: complete, and true to the networks that it names."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from torchvision.models import detection

from posetrack.detector import DETECTORS
from posetrack.errors import WeightsError
from posetrack.pose.network import PoseArchitecture, build_pose_network, count_gflops
from posetrack.skeleton import find_skeleton
from posetrack.weights.catalogue import catalogue, find_entry, read_catalogue
from posetrack.weights.listing import known_weights
from posetrack.weights.presets import PRESETS, absent

PUBLISHED = [entry for entry in catalogue().values() if not entry.shipped]
POSE = [entry for entry in PUBLISHED if entry.kind == "pose"]


@pytest.mark.parametrize("entry", PUBLISHED, ids=lambda entry: entry.name)
def test_everything_is_said_of_every_published_network(entry):
    assert all([entry.file, entry.licence, entry.source, entry.score, entry.data, entry.training_data])
    assert min(entry.size_mb, entry.parameters, entry.gflops) > 0
    assert entry.input["colour_order"] in ("RGB", "BGR")
    if entry.url:
        assert entry.url.startswith("https://")
        assert entry.url.endswith("/" + entry.file)
        assert re.fullmatch(r"[0-9a-f]{8}([0-9a-f]{56})?", entry.sha256)
        assert entry.sha256[:8] in entry.file
    else:
        assert entry.layout == "microsoft"


@pytest.mark.parametrize("entry", POSE, ids=lambda entry: entry.name)
def test_names_say_what_the_network_is(entry):
    publisher, body, _, size = entry.name.split("-")
    assert entry.layout == publisher
    assert entry.architecture["body"] == body
    assert size == f"{entry.input['height']}x{entry.input['width']}"
    assert len(find_skeleton(entry.skeleton)) == entry.architecture.get("joints", 17)
    assert entry.input["colour_order"] == ("BGR" if publisher == "microsoft" else "RGB")


@pytest.mark.parametrize("body", ["resnet50", "resnet101", "resnet152"])
def test_parameters_and_operations_are_those_of_the_network(body):
    network = build_pose_network(PoseArchitecture(body))
    parameters = sum(p.numel() for p in network.parameters()) / 1e6
    gflops = count_gflops(network, 128, 96)
    for entry in (entry for entry in POSE if entry.architecture["body"] == body):
        area = entry.input["height"] * entry.input["width"] / (128 * 96)
        assert entry.parameters == pytest.approx(parameters, abs=0.06)
        assert entry.size_mb == pytest.approx(4 * parameters, rel=0.01)
        assert entry.gflops == pytest.approx(gflops * area, rel=0.03)


def test_hashes_and_files_are_different():
    hashes = [entry.sha256 for entry in PUBLISHED if entry.sha256]
    assert len(set(hashes)) == len(hashes)
    files = [entry.file for entry in PUBLISHED]
    assert len(set(files)) == len(files)


def test_every_detector_of_torchvision_is_known():
    torchvision = {name for name in DETECTORS if hasattr(detection, name)}
    assert {e.name for e in PUBLISHED if e.kind == "detector"} == torchvision


def test_a_wrong_name_brings_the_nearest():
    with pytest.raises(WeightsError, match=r"did you mean .*mmpose-resnet50-coco-256x192"):
        find_entry("mmpose-resnet50-coco-256x19")
    with pytest.raises(WeightsError, match="`posetrack weights list`"):
        find_entry("???")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[weights]\n", "no readable manifest"),
        ('[[weights]]\nname = "x"\n', "'x': missing"),
        ('[[weights]]\nname = "x"\ncolour = 1\n', "'x': got an unexpected keyword argument 'colour'"),
    ],
)
def test_a_damaged_manifest_is_named(tmp_path, text, said):
    (tmp_path / "manifest.toml").write_text(text)
    with pytest.raises(WeightsError, match=said):
        read_catalogue(tmp_path / "manifest.toml")


def test_presets_name_networks_of_the_catalogue():
    for preset in PRESETS.values():
        assert find_entry(preset.detector).kind == "detector"
        assert find_entry(preset.pose).kind == "pose"
    assert absent(PRESETS["fast"]) == []
    assert [entry.name for entry in absent(PRESETS["accurate"])] == [
        "keypointrcnn_resnet50_fpn",
        "mmpose-resnet152-coco-384x288",
    ]


def test_shipped_networks_are_listed_as_their_files_tell():
    shipped = [listed for listed in known_weights() if listed.here == "shipped"]
    assert [listed.entry.name for listed in shipped] == ["pose", "detector"]
    for listed in shipped:
        assert listed.entry.parameters > 1
        assert listed.entry.score
        assert listed.entry.architecture


def test_listing_loads_no_torch():
    code = "import sys, posetrack.weights.listing as l; l.known_weights(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
