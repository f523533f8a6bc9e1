"""A detector that learns: its loss, frozen and fused parts that make a step cheap, its weights back as they were."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from posetrack.backbone import MOBILENET_LEVELS, MobileNetBody
from posetrack.cspnet import CspPyramid, DistanceProposals
from posetrack.detector import DetectorArchitecture, PyramidMobileNet, build_detector
from posetrack.fused import RELU6, can_fuse, conv_activation, fuse_activations
from posetrack.pose.network import fold_batch_norms
from posetrack.train.detector_losses import detector_losses

__all__ = ["LearningDetector"]


class _ActivatedConvolution(torch.autograd.Function):
    """A convolution and its ReLU6 on the CPU, in the type of its input.

    Depthwise ones compute their gradient in fp32: in bf16 oneDNN takes several times as long.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, stride: Any, padding: Any, groups: int) -> Tensor:
        w, b = weight.to(x.dtype), bias.to(x.dtype)
        if can_fuse(x.dtype) and x.device.type == "cpu":
            y = conv_activation(x, w, b, stride, padding, groups, RELU6)
        else:
            y = functional.conv2d(x, w, b, stride, padding, 1, groups).clamp_(0, 6)
        ctx.save_for_backward(x, weight, y)
        ctx.shape = stride, padding, groups
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, y = ctx.saved_tensors
        stride, padding, groups = ctx.shape
        gradient = torch.ops.aten.hardtanh_backward(gradients[0], y, 0.0, 6.0)
        dtype = torch.float32 if groups > 1 else x.dtype
        to_x, to_weight, to_bias = torch.ops.aten.convolution_backward(
            gradient.to(dtype), x.to(dtype), weight.to(dtype), [len(weight)],
            stride, padding, [1, 1], False, [0, 0], groups, [True, True, True],
        )  # fmt: skip
        return to_x.to(x.dtype), to_weight.to(weight.dtype), to_bias.to(weight.dtype), None, None, None


class _ActivatedConv2d(nn.Module):
    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.weight, self.bias = convolution.weight, convolution.bias
        self.shape = convolution.stride, convolution.padding, convolution.groups

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))
        y = _ActivatedConvolution.apply(x, self.weight, self.bias, *self.shape)
        return cast(Tensor, y)


def _activate(network: nn.Module) -> None:
    """Every convolution that a ReLU6 follows as one function with it; names and parameters stay."""
    for module in list(network.modules()):
        names = [name for name, child in module.named_children() if not isinstance(child, nn.Identity)]
        for name, following in pairwise(names):
            first = module._modules[name]
            if isinstance(first, nn.Conv2d) and isinstance(module._modules[following], nn.ReLU6):
                module._modules[name], module._modules[following] = _ActivatedConv2d(first), nn.Identity()


class _LearningBody(MobileNetBody):
    """MobileNetV2 with its batch norms folded, which learns from module `frozen` on.

    The frozen front goes image by image, which keeps its large maps in the cache.
    """

    def __init__(self, body: MobileNetBody, frozen: int) -> None:
        super().__init__()
        self.load_state_dict(body.state_dict())
        fold_batch_norms(self)
        _activate(self)
        for module in list(self)[:frozen]:
            module.requires_grad_(False)
        self.frozen = frozen

    def levels(self, images: Tensor) -> list[Tensor]:
        with torch.no_grad():
            parts = torch.split(images, 1 if images.device.type == "cpu" else len(images))
            fronts = [self._stretch(part, 0, self.frozen) for part in parts]
            maps = [torch.cat(level) for level in zip(*fronts, strict=True)]
        return maps[:-1] + self._stretch(maps[-1], self.frozen, len(self))[:-1]

    def _stretch(self, x: Tensor, first: int, end: int) -> list[Tensor]:
        """The levels within modules `first` to `end`, and what the last of these gives."""
        maps = []
        for i in range(first, end):
            x = self[i](x)
            if i in MOBILENET_LEVELS:
                maps.append(x)
        return [*maps, x]


class LearningDetector(nn.Module):
    """A detector that gives its loss: what the loop trains.

    Batch norms keep their statistics (batches are small); MobileNetV2's are folded, its first `frozen` modules fixed.
    Of the CSP detector only the box head learns.
    """

    def __init__(self, architecture: DetectorArchitecture, frozen: int = 4, regions: int = 48) -> None:
        super().__init__()
        self.architecture, self.frozen = architecture, frozen
        self.network = build_detector(architecture)
        self.network.to(memory_format=torch.channels_last)
        self.network.roi_heads.fg_bg_sampler.batch_size_per_image = regions
        self.network.roi_heads.fg_bg_sampler.positive_fraction = 1 / 3
        if isinstance(self.network.rpn, DistanceProposals):
            self.network.rpn.after = 200
        else:
            self.network.rpn._pre_nms_top_n["training"] = 400
            self.network.rpn._post_nms_top_n["training"] = 200

    def start_from(self, state: Mapping[str, Tensor]) -> list[str]:
        """Load what fits of `state`, make the body ready to learn, and give the names that fitted.

        `state` may be a whole detector, a body with its pyramid, or a body alone, a pose network's for instance.
        """
        own = self.network.state_dict()
        fitting = {}
        for name, value in state.items():
            for key in (name, f"backbone.{name}", f"backbone.body.{name}"):
                if key in own and own[key].shape == value.shape:
                    fitting[key] = value.float()
        self.network.load_state_dict(fitting, strict=False)
        self._prepare()
        return sorted(fitting)

    def _prepare(self) -> None:
        backbone = self.network.backbone
        if isinstance(backbone, PyramidMobileNet):
            backbone.body = _LearningBody(backbone.body, self.frozen)
        elif isinstance(backbone, CspPyramid):
            # its proposals come trained and give no losses: what they read must stay as it is
            for part in (backbone, self.network.rpn):
                part.requires_grad_(False)
                if can_fuse(torch.bfloat16):
                    fuse_activations(part)
        self.network.to(memory_format=torch.channels_last)

    def train(self, mode: bool = True) -> LearningDetector:
        """Training mode for everything but batch norms."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def forward(self, batch: tuple[Tensor, list[Tensor], list[Tensor]]) -> Tensor:
        """The summed loss of images (N, H, W, 3) uint8, people's boxes and ignored boxes."""
        images, people, ignored = batch
        transform = self.network.transform
        x = images.permute(0, 3, 1, 2).float() / 255
        mean, std = (
            torch.tensor(v, device=x.device)[:, None, None] for v in (transform.image_mean, transform.image_std)
        )
        x = (x - mean) / std
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))
        losses = detector_losses(self.network, x, people, ignored)
        return torch.stack(list(losses.values())).sum()

    def plain_state(self) -> dict[str, Tensor]:
        """The weights under the names of `build_detector`; folded batch norms come back as identities with a bias."""
        mine = self.network.state_dict()
        state = build_detector(self.architecture).state_dict()
        state = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
        for key in state:
            if key in mine:
                state[key] = mine[key].detach().float().cpu()
        return _unfolded(state, mine) if isinstance(self.network.backbone, PyramidMobileNet) else state


def _unfolded(state: dict[str, Tensor], mine: dict[str, Tensor]) -> dict[str, Tensor]:
    for key in [key for key in state if key.endswith("running_var") and key not in mine]:
        norm = key.removesuffix(".running_var")
        parent, _, index = norm.rpartition(".")
        state[f"{norm}.weight"] = torch.ones_like(state[key])
        state[f"{norm}.bias"] = mine[f"{parent}.{int(index) - 1}.bias"].detach().float().cpu()
        state[f"{norm}.running_mean"] = torch.zeros_like(state[key])
        state[key] = torch.ones_like(state[key])
    return state
