"""The pose network: a body, transposed convolutions that double its map, a 1x1 convolution to heatmaps.

Figure 1c of the paper and its section 3. ResNet bodies keep the parameter names of the published checkpoints
(`conv1 ... layer4`, `deconv_layers.N`, `final_layer`), so these load strictly. The light default puts
torchvision's MobileNetV2 under the same head.
"""

from __future__ import annotations

import copy
import itertools
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models import resnet

from posetrack.backbone import MOBILENET_CHANNELS, RESNET_BLOCKS, MobileNetBody, bare_resnet

__all__ = [
    "BODIES",
    "PoseArchitecture",
    "PoseMobileNet",
    "PoseResNet",
    "build_pose_network",
    "count_gflops",
    "fold_batch_norms",
]

BODIES = (*RESNET_BLOCKS, "mobilenet_v2")

_PADDING = {4: (1, 0), 3: (1, 1), 2: (0, 0)}
"""Padding and output padding with which a stride-2 transposed convolution exactly doubles a map."""


@dataclass(frozen=True)
class PoseArchitecture:
    """What a pose network is built from; the defaults are the paper's ResNet-50.

    `body` is one of BODIES, or "onnx" for a network that an ONNX file brings (posetrack.weights.onnx).
    `deconv_filters` and `deconv_kernels` have one entry a transposed convolution. `laterals` (MobileNetV2
    only) adds the body's finer maps, through 1x1 convolutions, to what the transposed convolutions give.
    `final_kernel` is 1 or 3. `stride_first` halves the map in a bottleneck's first convolution, as the
    published Caffe-style checkpoints do.
    """

    body: str = "resnet50"
    joints: int = 17
    deconv_filters: tuple[int, ...] = (256, 256, 256)
    deconv_kernels: tuple[int, ...] = (4, 4, 4)
    laterals: bool = False
    final_kernel: int = 1
    deconv_bias: bool = False
    stride_first: bool = False

    def __post_init__(self) -> None:
        if self.body not in (*BODIES, "onnx"):
            raise ValueError(f"no body '{self.body}'; there are {', '.join(BODIES)}")
        if len(self.deconv_filters) != len(self.deconv_kernels) or not self.deconv_filters:
            raise ValueError("deconv_filters and deconv_kernels want one entry a transposed convolution")
        if not set(self.deconv_kernels) <= set(_PADDING):
            raise ValueError(f"deconv_kernels are of {sorted(_PADDING)}, not {self.deconv_kernels}")
        if self.laterals and (self.body != "mobilenet_v2" or len(self.deconv_filters) != 3):
            raise ValueError("laterals go with mobilenet_v2 and three transposed convolutions")
        if self.final_kernel not in (1, 3):
            raise ValueError(f"final_kernel is 1 or 3, not {self.final_kernel}")
        if self.stride_first and self.body not in ("resnet50", "resnet101", "resnet152"):
            raise ValueError(f"stride_first wants bottlenecks, which {self.body} does not have")

    @property
    def stride(self) -> int:
        """Input pixels a heatmap pixel: 4 with three transposed convolutions."""
        return 32 >> len(self.deconv_filters)


def build_pose_network(architecture: PoseArchitecture) -> PoseResNet | PoseMobileNet:
    """The network with fresh weights: N(0, 0.001) in the head, as the reference starts it."""
    if architecture.body == "mobilenet_v2":
        return PoseMobileNet(architecture)
    return PoseResNet(architecture)


def _deconv_layers(channels: int, architecture: PoseArchitecture) -> list[nn.Module]:
    modules: list[nn.Module] = []
    for filters, kernel in zip(architecture.deconv_filters, architecture.deconv_kernels, strict=True):
        padding, output_padding = _PADDING[kernel]
        modules += [
            nn.ConvTranspose2d(channels, filters, kernel, 2, padding, output_padding, bias=architecture.deconv_bias),
            nn.BatchNorm2d(filters),
            nn.ReLU(inplace=True),
        ]
        channels = filters
    return modules


def _final_layer(architecture: PoseArchitecture) -> nn.Conv2d:
    kernel = architecture.final_kernel
    return nn.Conv2d(architecture.deconv_filters[-1], architecture.joints, kernel, padding=kernel // 2)


def _start_head(*parts: nn.Module) -> None:
    for part in parts:
        for module in part.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.normal_(module.weight, std=0.001)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)


class PoseResNet(nn.Module):
    """ResNet, transposed convolutions, heatmaps; parameters are named as in the published checkpoints."""

    def __init__(self, architecture: PoseArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        for name, module in bare_resnet(architecture.body).named_children():
            self.add_module(name, module)
        if architecture.stride_first:
            _move_strides(self)
        last = cast(resnet.BasicBlock | resnet.Bottleneck, cast(nn.Sequential, self.layer4)[-1])
        channels = (last.conv3 if isinstance(last, resnet.Bottleneck) else last.conv2).out_channels
        self.deconv_layers = nn.Sequential(*_deconv_layers(channels, architecture))
        self.final_layer = _final_layer(architecture)
        _start_head(self.deconv_layers, self.final_layer)

    def forward(self, images: Tensor) -> Tensor:
        """Heatmaps (N, J, H/4, W/4) of images (N, 3, H, W), normalised as the weights want them."""
        for part in self.children():
            images = part(images)
        return images


def _move_strides(network: nn.Module) -> None:
    for block in network.modules():
        if isinstance(block, resnet.Bottleneck):
            block.conv1.stride, block.conv2.stride = block.conv2.stride, block.conv1.stride


class PoseMobileNet(nn.Module):
    """MobileNetV2 under the same head; with `laterals`, finer maps of the body join each doubling."""

    def __init__(self, architecture: PoseArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.body = MobileNetBody()
        layers = _deconv_layers(MOBILENET_CHANNELS[-1], architecture)
        self.deconv_layers = nn.ModuleList(layers) if architecture.laterals else nn.Sequential(*layers)
        self.final_layer = _final_layer(architecture)
        _start_head(self.deconv_layers, self.final_layer)
        if architecture.laterals:
            self.laterals = nn.ModuleList(
                nn.Conv2d(channels, filters, 1)
                for channels, filters in zip(MOBILENET_CHANNELS[2::-1], architecture.deconv_filters, strict=True)
            )
            _start_head(self.laterals)

    def forward(self, images: Tensor) -> Tensor:
        """Heatmaps (N, J, H/4, W/4) of images (N, 3, H, W), normalised as the weights want them."""
        if not self.architecture.laterals:
            return cast(Tensor, self.final_layer(self.deconv_layers(self.body(images))))
        *finer, x = self.body.levels(images)
        for stage, (lateral, level) in enumerate(zip(self.laterals, reversed(finer), strict=True)):
            deconv, norm, relu = self.deconv_layers[3 * stage : 3 * stage + 3]
            x = relu(norm(deconv(x)) + lateral(level))
        return cast(Tensor, self.final_layer(x))


def count_gflops(network: nn.Module, height: int, width: int) -> float:
    """GFLOPs of one `height` x `width` input, counted as the published tables count (REFERENCE 4.1).

    These are the multiply-adds of convolutions only, each weight once an output pixel, in units of 2^30. A
    transposed convolution of stride 2 really does a quarter of what is counted for it here.
    """
    counted = copy.deepcopy(network).to("meta")
    total = 0

    def count(module: nn.Module, _: Any, output: Tensor) -> None:
        nonlocal total
        total += cast(Tensor, module.weight).numel() * output.shape[-2] * output.shape[-1]

    for module in counted.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            module.register_forward_hook(count)
    with torch.no_grad():
        counted.eval()(torch.empty(1, 3, height, width, device="meta"))
    return total / 2**30


def fold_batch_norms(network: nn.Module) -> nn.Module:
    """`network` in eval mode with every batch norm that follows a convolution folded into it, in place."""
    network.eval()
    for module in list(network.modules()):
        _fold_children(module)
    return network


def _fold_children(module: nn.Module) -> None:
    names = list(module._modules)
    for name, following in itertools.pairwise(names):
        first, second = module._modules[name], module._modules[following]
        if isinstance(first, (nn.Conv2d, nn.ConvTranspose2d)) and isinstance(second, nn.BatchNorm2d):
            transposed = isinstance(first, nn.ConvTranspose2d)
            module._modules[name] = fuse_conv_bn_eval(first, second, transpose=transposed)
            module._modules[following] = nn.Identity()
