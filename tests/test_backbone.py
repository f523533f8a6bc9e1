"""The bodies: strides, channels and torchvision's parameter names."""

from __future__ import annotations

import pytest
import torch
from torchvision.models import mobilenet_v2, resnet18

from posetrack.backbone import MOBILENET_CHANNELS, RESNET_BLOCKS, MobileNetBody, bare_resnet


def test_mobilenets_levels_have_their_strides_and_channels():
    body = MobileNetBody().eval()
    images = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        maps = body.levels(images)
        assert torch.equal(maps[-1], body(images))
    shapes = [
        (channels, 64 // stride, 96 // stride)
        for channels, stride in zip(MOBILENET_CHANNELS, (4, 8, 16, 32), strict=True)
    ]
    assert [tuple(m.shape[1:]) for m in maps] == shapes


def test_mobilenets_names_are_torchvisions():
    ours = MobileNetBody().state_dict()
    theirs = {k.removeprefix("features."): v.shape for k, v in mobilenet_v2(weights=None).state_dict().items()}
    assert {key: value.shape for key, value in ours.items()}.items() <= theirs.items()
    assert len({key.split(".")[0] for key in ours}) == 18


@pytest.mark.parametrize("name", RESNET_BLOCKS)
def test_a_bare_resnet_has_no_classifier(name):
    with torch.device("meta"):
        body = bare_resnet(name)
    assert [child for child, _ in body.named_children()] == [
        "conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4",
    ]  # fmt: skip


def test_a_bare_resnets_names_are_torchvisions():
    with torch.device("meta"):
        ours, theirs = set(bare_resnet("resnet18").state_dict()), set(resnet18().state_dict())
    assert theirs - ours == {"fc.weight", "fc.bias"}
