"""The bodies: torchvision's ResNets and MobileNetV2, cut for heatmaps and for a pyramid."""

from __future__ import annotations

from torch import Tensor, nn
from torchvision.models import mobilenet_v2, resnet

__all__ = ["MOBILENET_CHANNELS", "MOBILENET_LEVELS", "RESNET_BLOCKS", "MobileNetBody", "bare_resnet"]

RESNET_BLOCKS: dict[str, tuple[type[resnet.BasicBlock] | type[resnet.Bottleneck], list[int]]] = {
    "resnet18": (resnet.BasicBlock, [2, 2, 2, 2]),
    "resnet34": (resnet.BasicBlock, [3, 4, 6, 3]),
    "resnet50": (resnet.Bottleneck, [3, 4, 6, 3]),
    "resnet101": (resnet.Bottleneck, [3, 4, 23, 3]),
    "resnet152": (resnet.Bottleneck, [3, 8, 36, 3]),
}
"""Block and number of blocks a stage, as in He et al. 2016 table 1."""

MOBILENET_LEVELS = (3, 6, 13, 17)
"""The last module of MobileNetV2 at each of the strides 4, 8, 16 and 32."""

MOBILENET_CHANNELS = (24, 32, 96, 320)
"""Their channels."""


def bare_resnet(name: str) -> resnet.ResNet:
    """torchvision's ResNet `name` without its classifier and with random weights."""
    block, layers = RESNET_BLOCKS[name]
    body = resnet.ResNet(block, layers)
    del body.avgpool, body.fc
    return body


class MobileNetBody(nn.Sequential):
    """MobileNetV2 up to its 320 channels at stride 32: modules 0 to 17 of torchvision's `features`."""

    def __init__(self) -> None:
        super().__init__(*list(mobilenet_v2(weights=None).features)[:18])

    def levels(self, images: Tensor) -> list[Tensor]:
        """The feature maps of `images` (N, 3, H, W) at strides 4, 8, 16 and 32, finest first."""
        maps = []
        for i, module in enumerate(self):
            images = module(images)
            if i in MOBILENET_LEVELS:
                maps.append(images)
        return maps
