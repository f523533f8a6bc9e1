"""torchvision's four Faster R-CNN losses, with regions that take no part in them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import fastrcnn_loss
from torchvision.ops import box_iou

from posetrack.cspnet import DistanceProposals

__all__ = ["detector_losses", "share_inside"]


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
    losses: dict[str, Tensor]
    if isinstance(network.rpn, DistanceProposals):
        found, losses = network.rpn(shapes, features)
        proposals = [boxes[:, :4] for boxes in found]
    else:
        proposals, losses = _rpn_losses(network.rpn, shapes, features, targets, ignored)
    proposals = [_regarded(p, t["boxes"], i) for p, t, i in zip(proposals, targets, ignored, strict=True)]
    heads = network.roi_heads
    proposals, _, labels, regression = heads.select_training_samples(proposals, targets)
    pooled = heads.box_head(heads.box_roi_pool(features, proposals, shapes.image_sizes))
    logits, deltas = heads.box_predictor(pooled)
    if not len(logits):  # everything is ignored
        losses["class"] = 0 * logits.sum()
    else:
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
