"""What a detector learns: torchvision's four Faster R-CNN losses, with regions that take no part in them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import fastrcnn_loss
from torchvision.ops import box_iou

from posetrack.backbone import MOBILENET_LEVELS, MobileNetBody
from posetrack.cspnet import CspPyramid
from posetrack.detector import Detector, DetectorArchitecture, PyramidMobileNet, build_detector
from posetrack.fused import RELU6, can_fuse, conv_activation, fuse_activations
from posetrack.pose.network import fold_batch_norms
from posetrack.train.scenes import SceneSet, SceneSettings, compose

__all__ = ["DetectorTask", "LearningDetector", "detector_losses", "share_inside"]


def share_inside(boxes: Tensor, regions: Tensor) -> Tensor:
    """The largest share of each box (N, 4) that lies within one of the regions (M, 4): (N,) in 0..1."""
    if not len(regions):
        return boxes.new_zeros(len(boxes))
    low = torch.maximum(boxes[:, None, :2], regions[None, :, :2])
    high = torch.minimum(boxes[:, None, 2:], regions[None, :, 2:])
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1).clamp(min=1e-6)
    return ((high - low).clamp(min=0).prod(2) / area[:, None]).amax(1)


def detector_losses(
    network: FasterRCNN, images: Tensor, people: list[Tensor], ignored: list[Tensor]
) -> dict[str, Tensor]:
    """Faster R-CNN's losses for normalised `images` (N, 3, H, W), `people` and `ignored` boxes in their pixels.

    Neither an anchor nor a proposal that lies with half of itself or more in an ignored region is background.
    """
    features = network.backbone(images)
    size = (images.shape[2], images.shape[3])
    shapes = ImageList(images, [size] * len(images))
    targets = [
        {"boxes": boxes, "labels": torch.ones(len(boxes), dtype=torch.int64, device=boxes.device)} for boxes in people
    ]
    proposals, losses = _rpn_losses(network.rpn, shapes, features, targets, ignored)
    proposals = [_regarded(p, t["boxes"], i) for p, t, i in zip(proposals, targets, ignored, strict=True)]
    heads = network.roi_heads
    proposals, _, labels, regression = heads.select_training_samples(proposals, targets)
    pooled = heads.box_head(heads.box_roi_pool(features, proposals, shapes.image_sizes))
    logits, deltas = heads.box_predictor(pooled)
    if len(logits):
        losses["class"], losses["box"] = fastrcnn_loss(logits.float(), deltas.float(), labels, regression)
    return losses


def _rpn_losses(
    rpn: Any, images: ImageList, features: dict[str, Tensor], targets: list[dict[str, Tensor]], ignored: list[Tensor]
) -> tuple[list[Tensor], dict[str, Tensor]]:
    objectness, deltas = rpn.head(list(features.values()))
    anchors = rpn.anchor_generator(images, list(features.values()))
    counts = [o.shape[1] * o.shape[2] * o.shape[3] for o in objectness]
    objectness, deltas = _flat(objectness, 1), _flat(deltas, 4)
    decoded = rpn.box_coder.decode(deltas.detach(), anchors).view(len(anchors), -1, 4)
    proposals, _ = rpn.filter_proposals(decoded, objectness, images.image_sizes, counts)
    labels, matched = rpn.assign_targets_to_anchors(anchors, targets)
    for label, boxes, regions in zip(labels, anchors, ignored, strict=True):
        label[(label == 0) & (share_inside(boxes, regions) >= 0.5)] = -1
    if not any(bool((label >= 0).any()) for label in labels):  # everything is ignored
        return proposals, {"objectness": 0 * objectness.sum()}
    goals = rpn.box_coder.encode(matched, anchors)
    loss, box_loss = rpn.compute_loss(objectness, deltas, labels, goals)
    return proposals, {"objectness": loss, "proposal": box_loss}


def _flat(maps: list[Tensor], values: int) -> Tensor:
    """Maps (N, A x values, H, W) of all levels as (N x all anchors, values), in fp32, in the anchors' order."""
    rows = []
    for x in maps:
        n, _, h, w = x.shape
        rows.append(x.float().view(n, -1, values, h, w).permute(0, 3, 4, 1, 2).reshape(n, -1, values))
    return torch.cat(rows, 1).reshape(-1, values)


def _regarded(proposals: Tensor, people: Tensor, ignored: Tensor) -> Tensor:
    """Proposals without those in ignored regions that meet nobody."""
    if not len(ignored):
        return proposals
    away = share_inside(proposals, ignored) >= 0.5
    if len(people):
        away &= box_iou(proposals, people).amax(1) < 0.5
    return proposals[~away]


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
    """

    def __init__(self, architecture: DetectorArchitecture, frozen: int = 4, regions: int = 48) -> None:
        super().__init__()
        self.architecture, self.frozen = architecture, frozen
        self.network = build_detector(architecture)
        self.network.to(memory_format=torch.channels_last)
        self.network.roi_heads.fg_bg_sampler.batch_size_per_image = regions
        self.network.roi_heads.fg_bg_sampler.positive_fraction = 1 / 3
        self.network.rpn._pre_nms_top_n["training"] = 400
        self.network.rpn._post_nms_top_n["training"] = 200

    def start_from(self, state: dict[str, Tensor]) -> None:
        """Load plain weights, then make the body ready to learn."""
        self.network.load_state_dict({key: value.float() for key, value in state.items()})
        backbone = self.network.backbone
        if isinstance(backbone, PyramidMobileNet):
            backbone.body = _LearningBody(backbone.body, self.frozen)
        elif isinstance(backbone, CspPyramid):
            for module in list(backbone.body)[: self.frozen]:
                module.requires_grad_(False)
                if can_fuse(torch.bfloat16):
                    fuse_activations(module)
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


class DetectorTask:
    """The loop's task: scenes in, the four losses, scores by `validate_with` of the detector as users run it."""

    def __init__(
        self,
        network: LearningDetector,
        scenes: SceneSet,
        settings: SceneSettings,
        batch_size: int,
        seed: int,
        validate_with: Callable[[Detector], dict[str, float]],
        notes: dict[str, str] | None = None,
    ) -> None:
        self.network = network
        self.scenes, self.settings = scenes, settings
        self.batch_size, self.seed = batch_size, seed
        self.validate_with = validate_with
        self.notes = notes or {}

    def groups(self) -> list[dict[str, Any]]:
        """What comes pretrained at a part of the rate: MobileNetV2 at 0.4, the CSP body and pyramid at 0.2."""
        backbone = self.network.network.backbone
        csp = isinstance(backbone, CspPyramid)
        known = {id(p) for p in (backbone if csp else backbone.body).parameters()}
        learning = [p for p in self.network.parameters() if p.requires_grad]
        old = {"params": [p for p in learning if id(p) in known], "factor": 0.2 if csp else 0.4}
        return [old, {"params": [p for p in learning if id(p) not in known]}]

    def batch(self, step: int, rank: int, world: int) -> Any:
        """Scenes of batch number `step`; the losses' own sampling is seeded with it too."""
        rng = np.random.default_rng((self.seed, step, rank))
        drawn = []
        for _ in range(self.batch_size // world):
            count = 4 if rng.random() < self.settings.mosaic else 1
            drawn.append(compose([self.scenes.draw(rng) for _ in range(count)], self.settings, rng))
        return (
            torch.from_numpy(np.stack([scene.image for scene in drawn])),
            [torch.from_numpy(scene.people) for scene in drawn],
            [torch.from_numpy(scene.ignored) for scene in drawn],
        )

    def to_device(self, batch: Any, device: torch.device) -> Any:
        """The batch on `device`."""
        images, people, ignored = batch
        return images.to(device), [b.to(device) for b in people], [b.to(device) for b in ignored]

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Scores of the detector as it will be exported, in its default precision."""
        learned = cast(LearningDetector, network)
        plain = build_detector(learned.architecture)
        plain.load_state_dict({key: value.half().float() for key, value in learned.plain_state().items()})
        return self.validate_with(Detector(plain, threshold=0.01))

    def describe(self) -> dict[str, Any]:
        """Architecture, frozen modules and scenes' settings."""
        return {
            "kind": "detector",
            "architecture": json.dumps(self.network.architecture.to_json()),
            "frozen": self.network.frozen,
            "scenes": json.dumps(asdict(self.settings)),
            "batch_size": self.batch_size,
        }

    def export(self, network: nn.Module, path: Path, figures: dict[str, float]) -> None:
        """fp16 safetensors with metadata."""
        learned = cast(LearningDetector, network)
        state = {key: value.half().contiguous() for key, value in learned.plain_state().items()}
        transform = learned.network.transform
        metadata = {
            "kind": "detector",
            "architecture": json.dumps(learned.architecture.to_json()),
            "input": json.dumps(
                {
                    "min_size": transform.min_size[-1],
                    "max_size": transform.max_size,
                    "colour_order": "RGB",
                    "mean": [255 * v for v in transform.image_mean],
                    "std": [255 * v for v in transform.image_std],
                }
            ),
            "scores": json.dumps({key: round(value, 4) for key, value in figures.items()}),
            **self.notes,
        }
        part = path.with_name(path.name + ".part")
        save_file(state, part, metadata)
        part.replace(path)
