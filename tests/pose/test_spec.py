"""What a weights file says of its network: there and back, and every way in which it can be wrong."""

from __future__ import annotations

import json

import pytest

from posetrack.errors import WeightsError
from posetrack.pose.network import PoseArchitecture
from posetrack.pose.spec import PoseInput, PoseSpec
from posetrack.skeleton import COCO17, MPII16

INPUT = PoseInput(128, 96, "RGB", (127.5, 127.5, 127.5), (127.5, 127.5, 127.5), False)
LIGHT = PoseArchitecture("mobilenet_v2", 17, (128, 96, 64), laterals=True)


@pytest.mark.parametrize(
    "spec",
    [
        PoseSpec(LIGHT, INPUT, COCO17),
        PoseSpec(PoseArchitecture(joints=16), PoseInput(256, 192, "BGR", (0, 0, 0), (1, 1, 1), True), MPII16),
    ],
)
def test_metadata_there_and_back(spec):
    metadata = spec.to_metadata()
    assert all(isinstance(value, str) for value in metadata.values())
    assert PoseSpec.from_metadata(metadata) == spec


def test_architecture_fields_with_a_default_may_be_missing():
    metadata = PoseSpec(LIGHT, INPUT, COCO17).to_metadata()
    metadata["architecture"] = '{"body": "mobilenet_v2", "deconv_filters": [128, 96, 64], "laterals": true}'
    assert PoseSpec.from_metadata(metadata).architecture == LIGHT


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("kind", "detector", "'kind' is 'detector'"),
        ("kind", None, "'kind' is None"),
        ("skeleton", None, "lack 'skeleton'"),
        ("skeleton", "coco18", "unknown skeleton 'coco18'"),
        ("skeleton", "mpii16", "has 16 joints"),
        ("architecture", None, "lack 'architecture'"),
        ("architecture", "{", "'architecture' is not JSON"),
        ("architecture", "[]", "'architecture' is not a JSON object"),
        ("architecture.body", "resnet51", "no body 'resnet51'"),
        ("architecture.body", 50, "'body' is a name"),
        ("architecture.deconv_filters", [256, 0, 256], "'deconv_filters' is a list of whole numbers above 0"),
        ("architecture.laterals", 1, "'laterals' is true or false"),
        ("architecture.colour", "red", "unknown field 'colour'"),
        ("input.height", None, "'input' lacks 'height'"),
        ("input.height", 100, "multiples of 32"),
        ("input.height", 128.0, "'height' is a whole number"),
        ("input.width", True, "'width' is a whole number"),
        ("input.colour_order", "GRB", "RGB or BGR"),
        ("input.mean", [1, 2], "'mean' is three numbers"),
        ("input.std", [1, 1, 0], "std is above 0"),
        ("input.std", [1, 1, float("nan")], "'std' is three numbers"),
        ("input.unbiased", "false", "'unbiased' is true or false"),
    ],
)
def test_what_is_wrong_is_named(key, value, says):
    metadata = PoseSpec(LIGHT, INPUT, COCO17).to_metadata()
    key, _, part = key.partition(".")
    if part:
        entries = json.loads(metadata[key]) | {part: value}
        value = json.dumps({name: entry for name, entry in entries.items() if entry is not None})
    if value is None:
        del metadata[key]
    else:
        metadata[key] = value
    with pytest.raises(WeightsError, match=f"^pose.safetensors: .*{says}"):
        PoseSpec.from_metadata(metadata, "pose.safetensors")
