"""The person detector: torchvision's Faster R-CNN, all its variants, and a light one for one class.

`build_detector` makes the bare network, `Detector` is numpy in and numpy out. The paper's is `fasterrcnn_resnet50_fpn`
or better; the shipped default is the same `FasterRCNN` on MobileNetV2 with a pyramid of three levels.

A frame goes through alone on the CPU: what oneDNN gives for a picture differs in the last bits with the size of the
batch that it travels in, and results must not depend on how a video was cut into blocks. On a GPU pictures of one
size go in batches of a fixed size, the last one filled up.

The light network is trained on pictures made smaller by averaging, and gets such (which is quick, and no detail of a
large frame falls between the pixels); torchvision's get torchvision's bilinear ones.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, cast

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import detection
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from posetrack.backbone import MOBILENET_CHANNELS, MOBILENET_LEVELS, MobileNetBody
from posetrack.cspnet import CspPyramid, DistanceProposals, RescoringHeads
from posetrack.errors import WeightsError
from posetrack.fused import can_fuse, fuse_activations
from posetrack.packed import pack_convolutions
from posetrack.pose.network import fold_batch_norms
from posetrack.precision import working_dtype
from posetrack.types import Boxes, Image

__all__ = ["CSP", "DETECTORS", "LIGHT", "Detector", "DetectorArchitecture", "build_detector"]

LIGHT = "fasterrcnn_mobilenet_v2_fpn"
CSP = "fasterrcnn_cspnet_pan"
"""The names of the light detectors: on MobileNetV2, and on NanoDet-g's body and pyramid."""

PERSON = 1
"""The class of people in COCO's numbering and in a network that knows nothing else."""

_TORCHVISION: dict[str, Callable[..., FasterRCNN]] = {
    "fasterrcnn_resnet50_fpn_v2": detection.fasterrcnn_resnet50_fpn_v2,
    "fasterrcnn_resnet50_fpn": detection.fasterrcnn_resnet50_fpn,
    "fasterrcnn_mobilenet_v3_large_fpn": detection.fasterrcnn_mobilenet_v3_large_fpn,
    "fasterrcnn_mobilenet_v3_large_320_fpn": detection.fasterrcnn_mobilenet_v3_large_320_fpn,
    "keypointrcnn_resnet50_fpn": detection.keypointrcnn_resnet50_fpn,
}

DETECTORS = (LIGHT, CSP, *_TORCHVISION)
"""Every name that `build_detector` knows."""

_ZERO_EPSILON = ("fasterrcnn_resnet50_fpn", "keypointrcnn_resnet50_fpn")
"""Variants whose published weights were trained with batch norms without epsilon (torchvision sets it on loading)."""


@dataclass(frozen=True)
class DetectorArchitecture:
    """What a detector is built from; the defaults are the light one's.

    `classes` counts the background (None: what torchvision's published weights have). The rest describes the light
    detectors only: the short and the long side of their input in pixels, one tuple of `anchors` (square roots of
    areas, in pixels of the input) a pyramid level and the last level's max-pool and their ratios of height to width
    (MobileNetV2's; the other has none), the `pyramid`'s channels and the box head's `hidden` units, proposals before
    NMS (a level) and after, the IoU of the last NMS;
    boxes smaller than `canonical` pixels are pooled from the finest level, twice as large ones from the next but one,
    with `samples` x `samples` points for each of 7 x 7 cells.
    """

    name: str = LIGHT
    classes: int | None = None
    min_size: int = 320
    max_size: int = 576
    anchors: tuple[tuple[float, ...], ...] = ((12, 20), (32, 52), (84, 132), (200, 300))
    ratios: tuple[float, ...] = (1.0, 2.0, 3.2)
    pyramid: int = 64
    hidden: int = 256
    proposals: tuple[int, int] = (300, 100)
    nms: float = 0.5
    canonical: int = 224
    samples: int = 2

    def __post_init__(self) -> None:
        if self.name not in DETECTORS:
            raise ValueError(f"no detector '{self.name}'; there are {', '.join(DETECTORS)}")

    def to_json(self) -> dict[str, Any]:
        """The fields that matter to this architecture, as JSON has them."""
        if self.name == LIGHT:
            return asdict(self)
        if self.name == CSP:
            return {key: value for key, value in asdict(self).items() if key not in ("anchors", "ratios")}
        return {"name": self.name} if self.classes is None else {"name": self.name, "classes": self.classes}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> DetectorArchitecture:
        """The architecture that `to_json` wrote; a field it does not know or cannot use is a WeightsError."""
        unknown = set(record) - {f.name for f in fields(cls)}
        if unknown:
            raise WeightsError(f"a detector has no '{sorted(unknown)[0]}'; this file needs a newer posetrack")
        try:
            return cls(**{key: _tuples(value) for key, value in record.items()})
        except (TypeError, ValueError) as error:
            raise WeightsError(f"this detector's architecture cannot be built: {error}") from None


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value


def build_detector(architecture: DetectorArchitecture | str = LIGHT) -> FasterRCNN:
    """The Faster R-CNN of a name or an architecture, with fresh weights (nothing is downloaded).

    torchvision's variants keep the parameter names, classes and input sizes of the published weights.
    """
    if isinstance(architecture, str):
        architecture = DetectorArchitecture(architecture)
    if architecture.name in (LIGHT, CSP):
        return _light(architecture)
    build = _TORCHVISION[architecture.name]
    network = build(weights=None, weights_backbone=None, num_classes=architecture.classes, progress=False)
    if architecture.name in _ZERO_EPSILON:
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = 0.0
    return network


class PyramidMobileNet(nn.Module):
    """MobileNetV2 at strides 8, 16 and 32 under a feature pyramid, with a fourth level by max-pooling."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.out_channels = channels
        self.body = MobileNetBody()
        self.fpn = FeaturePyramidNetwork(list(MOBILENET_CHANNELS[1:]), channels, LastLevelMaxPool())

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Maps "0", "1", "2", "pool" (N, channels, H/s, W/s), s = 8, 16, 32, 64, of images (N, 3, H, W)."""
        levels = self.body.levels(images)[-3:]
        return cast(dict[str, Tensor], self.fpn(OrderedDict((str(i), x) for i, x in enumerate(levels))))


def _light(architecture: DetectorArchitecture) -> FasterRCNN:
    """FasterRCNN on MobileNetV2; on the CSP body with its own proposals in the place of anchors."""
    mobile = architecture.name == LIGHT
    levels = len(MOBILENET_LEVELS) - 1
    if mobile and len(architecture.anchors) != levels + 1:
        raise ValueError(f"anchors want {levels + 1} levels, not {len(architecture.anchors)}")
    channels, hidden = architecture.pyramid, architecture.hidden
    before, after = architecture.proposals
    network = FasterRCNN(
        PyramidMobileNet(channels) if mobile else CspPyramid(channels),
        min_size=architecture.min_size,
        max_size=architecture.max_size,
        image_mean=[0.5, 0.5, 0.5] if mobile else [0.485, 0.456, 0.406],
        image_std=[0.5, 0.5, 0.5] if mobile else [0.229, 0.224, 0.225],
        rpn_anchor_generator=AnchorGenerator(architecture.anchors, (architecture.ratios,) * len(architecture.anchors)),
        box_roi_pool=MultiScaleRoIAlign(
            [str(i) for i in range(levels)], 7, architecture.samples, canonical_scale=architecture.canonical
        ),
        box_head=TwoMLPHead(channels * 49, hidden),
        box_predictor=FastRCNNPredictor(hidden, architecture.classes or 2),
        rpn_pre_nms_top_n_test=before,
        rpn_post_nms_top_n_test=after,
        box_nms_thresh=architecture.nms,
    )
    if not mobile:
        network.rpn = DistanceProposals(channels, before, after)
        heads = network.roi_heads
        network.roi_heads = RescoringHeads(
            heads.box_roi_pool, heads.box_head, heads.box_predictor,
            0.5, 0.5, 64, 1 / 3, None, heads.score_thresh, heads.nms_thresh, heads.detections_per_img,
        )  # fmt: skip
    return network


class Detector:
    """Finds people in images with a Faster R-CNN, which it takes over: folds, converts and moves it.

    `precision` is 'auto', 'fp32', 'bf16' or 'fp16' (see `working_dtype`); RoI pooling, NMS and the last layers stay
    in fp32. Boxes under `threshold` are dropped. NaN or infinity in the weights is a WeightsError.
    """

    def __init__(
        self, network: FasterRCNN, device: torch.device | str = "cpu", precision: str = "auto", threshold: float = 0.5
    ) -> None:
        self.device = torch.device(device)
        self.dtype = working_dtype(self.device, precision)
        self.light = isinstance(network.backbone, (PyramidMobileNet, CspPyramid))
        self.batch = 1 if self.device.type == "cpu" else 8
        _check(network)
        self.network = _prepared(network, self.dtype, self.device, self.light).to(self.device)
        self.network.roi_heads.score_thresh = threshold
        mean, std = (
            torch.tensor(values, device=self.device)[:, None, None]
            for values in (self.network.transform.image_mean, self.network.transform.image_std)
        )
        self._gain, self._offset = 1 / (255 * std), mean / std

    def detect(self, images: list[Image]) -> list[Boxes]:
        """People of each image (H, W, 3) uint8 RGB, best score first; the same whatever images come along."""
        groups: dict[tuple[int, ...], list[int]] = {}
        for i, image in enumerate(images):
            groups.setdefault(image.shape, []).append(i)
        found: list[Boxes] = [Boxes.empty()] * len(images)
        for rows in groups.values():
            for start in range(0, len(rows), self.batch):
                part = rows[start : start + self.batch]
                filled = part + part[-1:] * (self.batch - len(part))
                for i, boxes in zip(part, self._forward([images[j] for j in filled]), strict=False):
                    found[i] = boxes
        return found

    @torch.inference_mode()
    def _forward(self, images: list[Image]) -> list[Boxes]:
        height, width = images[0].shape[:2]
        inputs, size = self._input(images)
        features = self.network.backbone(inputs)
        sizes = [size] * len(images)
        proposals, _ = self.network.rpn(ImageList(inputs, sizes), features)
        results, _ = self.network.roi_heads(features, proposals, sizes)
        scale = np.array([width / size[1], height / size[0]] * 2, np.float32)
        return [_people(result, scale) for result in results]

    def _input(self, images: list[Image]) -> tuple[Tensor, tuple[int, int]]:
        """Resized, normalised, padded with zeros to whole strides as torchvision does it; the size without padding."""
        transform = self.network.transform
        height, width = images[0].shape[:2]
        size = _resized(height, width, transform.min_size[-1], transform.max_size)
        x = _shrunk(images, size, self.device) if self.light else _interpolated(images, size, self.device)
        # both resizing and normalising are affine, so the smaller picture is normalised
        x = x.mul_(self._gain).sub_(self._offset)
        x = functional.pad(x, (0, -size[1] % transform.size_divisible, 0, -size[0] % transform.size_divisible))
        return x.contiguous(memory_format=torch.channels_last), size


def _resized(height: int, width: int, min_size: int, max_size: int) -> tuple[int, int]:
    """Height and width that torchvision's transform gives a picture."""
    scale = min(min_size / min(height, width), max_size / max(height, width))
    return max(1, math.floor(height * scale)), max(1, math.floor(width * scale))


def _shrunk(images: list[Image], size: tuple[int, int], device: torch.device) -> Tensor:
    """Images as (N, 3, *size) fp32 of 0..255, averaged where they shrink to half or less, else linear."""
    how = cv2.INTER_AREA if 2 * size[0] <= images[0].shape[0] else cv2.INTER_LINEAR
    small = np.stack([cv2.resize(image, size[::-1], interpolation=how) for image in images])
    return torch.from_numpy(small).to(device).permute(0, 3, 1, 2).float()


def _interpolated(images: list[Image], size: tuple[int, int], device: torch.device) -> Tensor:
    """Images as (N, 3, *size) fp32 of 0..255, bilinear without averaging: torchvision's own."""
    x = torch.from_numpy(np.stack(images)).to(device).permute(0, 3, 1, 2).float()
    return functional.interpolate(x, size=size, mode="bilinear", align_corners=False)


def _people(result: dict[str, Tensor], scale: np.ndarray[Any, Any]) -> Boxes:
    xyxy, scores = result["boxes"].float().cpu().numpy(), result["scores"].float().cpu().numpy()
    rows = np.flatnonzero(result["labels"].cpu().numpy() == PERSON)
    rows = rows[np.argsort(-scores[rows], kind="stable")]
    return Boxes(np.ascontiguousarray(xyxy[rows] * scale), np.ascontiguousarray(scores[rows]))


def _check(network: nn.Module) -> None:
    for name, value in network.state_dict().items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise WeightsError(
                f"the detector's weights are damaged: '{name}' holds NaN or infinity; get the file again"
            )


class _Reduced(nn.Module):
    """A part of the network that computes in a smaller type, between fp32 inputs and outputs."""

    def __init__(self, part: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.part = part.to(dtype)
        self.dtype = dtype

    def forward(self, inputs: Any) -> Any:
        return _cast(self.part(_cast(inputs, self.dtype)), torch.float32)


def _cast(values: Any, dtype: torch.dtype) -> Any:
    if isinstance(values, Tensor):
        return values.to(dtype)
    if isinstance(values, Mapping):
        return OrderedDict((key, _cast(value, dtype)) for key, value in values.items())
    return type(values)(_cast(value, dtype) for value in values)


def _prepared(network: FasterRCNN, dtype: torch.dtype, device: torch.device, light: bool) -> FasterRCNN:
    """The network for inference: no keypoint head, batch norms folded, channels last, heavy parts in `dtype`."""
    network.roi_heads.keypoint_roi_pool = None
    fold_batch_norms(network)
    network.to(memory_format=torch.channels_last)
    parts = [(network, "backbone"), (network.rpn, "head"), (network.roi_heads, "box_head")]
    for parent, name in parts if dtype != torch.float32 else []:
        setattr(parent, name, _Reduced(getattr(parent, name), dtype))
    if device.type == "cpu" and can_fuse(dtype):
        if light:
            # laid out for pictures of 4:3; others give the same values
            short = network.transform.min_size[-1]
            example = torch.zeros(1, 3, -(-short // 32) * 32, -(-short // 24) * 32)
            pack_convolutions(network.backbone, example.contiguous(memory_format=torch.channels_last))
        fuse_activations(network)
    return network.requires_grad_(False)
