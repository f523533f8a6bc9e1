"""NanoDet-g under torchvision's box head: plain 3x3 convolutions, which CPUs and GPUs with matrix units do fast.

After RangiLyu/nanodet (Apache-2.0), `CspNet` with `PAN`: cross-stage blocks whose convolutions have a bias and a leaky
ReLU in place of norms (folded in the published weights), a pyramid of 128 channels that is summed down, then up, and
its head, which here proposes regions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.ops import clip_boxes_to_image, nms

__all__ = ["CSP_CHANNELS", "CspBody", "CspPyramid", "DistanceProposals", "RescoringHeads"]

CSP_CHANNELS = (128, 256, 512)
"""Channels of the body at strides 8, 16 and 32."""

SLOPE = 0.1

PERSON, BINS = 0, 11
"""Which class people are, and bins of each distance: 0 to 10 strides."""


def conv(channels: int, filters: int, stride: int = 1) -> nn.Sequential:
    """A 3x3 convolution with a bias and its leaky ReLU."""
    return nn.Sequential(nn.Conv2d(channels, filters, 3, stride, 1), nn.LeakyReLU(SLOPE, inplace=True))


class CspUnit(nn.Module):
    """Two convolutions to half the channels each, side by side in the result."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = conv(channels, channels // 2)
        self.second = conv(channels // 2, channels // 2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) of the same."""
        a = self.first(x)
        return torch.cat([self.second(a), a], 1)


class CspBlock(nn.Module):
    """Units between two convolutions; the first one's maps go around them: twice the channels come out."""

    def __init__(self, channels: int, units: int, stride: int) -> None:
        super().__init__()
        self.entry = conv(channels, channels, stride)
        self.units = nn.Sequential(*(CspUnit(channels) for _ in range(units)))
        self.exit = conv(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 2 x channels, H / stride, W / stride) of (N, channels, H, W)."""
        a = self.entry(x)
        return torch.cat([self.exit(self.units(a)), a], 1)


class CspBody(nn.Sequential):
    """The body: modules 0 to 5, of which the last three end at strides 8, 16 and 32."""

    def __init__(self) -> None:
        super().__init__(
            conv(3, 32, 2),
            nn.MaxPool2d(3, 2, 1),
            CspBlock(32, 1, 1),
            CspBlock(64, 2, 2),
            CspBlock(128, 2, 2),
            CspBlock(256, 3, 2),
        )


class CspPyramid(nn.Module):
    """The body under a pyramid that is summed down and up again."""

    def __init__(self, channels: int = 128) -> None:
        super().__init__()
        self.out_channels = channels
        self.body = CspBody()
        self.laterals = nn.ModuleList(nn.Conv2d(c, channels, 1) for c in CSP_CHANNELS)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Maps "0", "1", "2" (N, channels, H/s, W/s), s = 8, 16, 32, of images (N, 3, H, W)."""
        x = images
        levels = []
        for i, module in enumerate(self.body):
            x = module(x)
            if i >= len(self.body) - len(CSP_CHANNELS):
                levels.append(x)
        fine, middle, coarse = (lateral(level) for lateral, level in zip(self.laterals, levels, strict=True))
        middle = middle + _resized_to(coarse, middle)
        fine = fine + _resized_to(middle, fine)
        middle = middle + _resized_to(fine, middle)
        coarse = coarse + _resized_to(middle, coarse)
        return {"0": fine, "1": middle, "2": coarse}


def _resized_to(x: Tensor, other: Tensor) -> Tensor:
    return functional.interpolate(x, size=other.shape[-2:], mode="bilinear", align_corners=False)


class DistanceHead(nn.Module):
    """NanoDet's own head: at each place the logits of `classes`, then `BINS` bins of the distance to each box side."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            nn.Sequential(*conv(channels, channels), nn.Conv2d(channels, classes + 4 * BINS, 1)) for _ in CSP_CHANNELS
        )

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Maps (N, classes + 4 x BINS, H, W) of the pyramid's (N, channels, H, W)."""
        return [level(x) for level, x in zip(self.levels, features, strict=True)]


class DistanceProposals(nn.Module):
    """Regions without anchors, in the place of torchvision's region proposal network: what NanoDet would answer.

    The logit of people is the objectness of a place; its box are the distances to the four sides, each the mean of
    its bins. It comes trained and stays as it is: it gives no losses.
    """

    def __init__(self, channels: int, before: int, after: int, threshold: float = 0.7, classes: int = 80) -> None:
        super().__init__()
        self.head = DistanceHead(channels, classes)
        self.classes = classes
        self.before, self.after, self.threshold = before, after, threshold

    @torch.no_grad()
    def forward(
        self, images: ImageList, features: dict[str, Tensor], targets: object = None
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Boxes with objectness (P, 5) of each image, best first: at most `before` a level, `after` in all."""
        strides = [images.tensors.shape[-1] // x.shape[-1] for x in features.values()]
        maps = self.head(list(features.values()))
        proposals = []
        for i, size in enumerate(images.image_sizes):
            found = torch.cat([self._level(x[i].float(), stride) for x, stride in zip(maps, strides, strict=True)])
            boxes = clip_boxes_to_image(found[:, :4], size)
            found = torch.cat([boxes, found[:, 4:].sigmoid()], 1)[((boxes[:, 2:] - boxes[:, :2]) >= 1).all(1)]
            proposals.append(found[nms(found[:, :4], found[:, 4], self.threshold)[: self.after]])
        return proposals, {}

    def _level(self, x: Tensor, stride: int) -> Tensor:
        """The best boxes and their logits (P, 5) of a map (channels, H, W)."""
        width, flat = x.shape[2], x.flatten(1)
        logits, places = flat[PERSON].topk(min(self.before, flat.shape[1]))
        bins = flat[self.classes :, places].view(4, BINS, -1).softmax(1)
        distances = stride * (bins * torch.arange(BINS, device=x.device)[:, None]).sum(1)
        centre = stride * (torch.stack([places % width, places // width]) + 0.5)
        return torch.cat([centre - distances[:2], centre + distances[2:], logits[None]]).T


class RescoringHeads(RoIHeads):  # type: ignore[misc]  # torchvision is untyped
    """torchvision's box head after proposals that know their own objectness.

    A person's score is the geometric mean of objectness and of what the head says, as in Zhou, Koltun and Kraehenbuehl
    2021 (probabilistic two-stage detection).
    """

    def forward(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        image_shapes: list[tuple[int, int]],
        targets: list[dict[str, Tensor]] | None = None,
    ) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
        """As in torchvision, of proposals (P, 5)."""
        boxes = [proposal[:, :4] for proposal in proposals]
        if self.training:
            result: tuple[list[dict[str, Tensor]], dict[str, Tensor]]
            result = super().forward(features, boxes, image_shapes, targets)
            return result
        logits, deltas = self.box_predictor(self.box_head(self.box_roi_pool(features, boxes, image_shapes)))
        counts = [len(box) for box in boxes]
        objectness = torch.cat([proposal[:, 4] for proposal in proposals])
        scores = (logits.softmax(-1)[:, 1] * objectness).sqrt().split(counts)
        moved = self.box_coder.decode(deltas, boxes)[:, 1].split(counts)
        parts = zip(moved, scores, image_shapes, strict=True)
        return [self._kept(clip_boxes_to_image(box, size), score) for box, score, size in parts], {}

    def _kept(self, boxes: Tensor, scores: Tensor) -> dict[str, Tensor]:
        rows = (scores > self.score_thresh) & ((boxes[:, 2:] - boxes[:, :2]) >= 1e-2).all(1)
        boxes, scores = boxes[rows], scores[rows]
        rows = nms(boxes, scores, self.nms_thresh)[: self.detections_per_img]
        labels = torch.ones(len(rows), dtype=torch.int64, device=boxes.device)
        return {"boxes": boxes[rows], "labels": labels, "scores": scores[rows]}
