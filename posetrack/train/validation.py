"""What a pose network in training is worth: loss and OKS AP on people with true boxes, cut out once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from posetrack.pose.crop import crop_affines, fit_boxes, transform, warp
from posetrack.pose.estimator import person_scores
from posetrack.pose.heatmap import decode, merge_flipped, to_image
from posetrack.skeleton import COCO17
from posetrack.train.data import LabelledPerson, Shard, people_of
from posetrack.train.score import average_precision, result_row
from posetrack.train.targets import heatmaps, joints_mse, sigma_for, to_heatmap
from posetrack.types import Floats

__all__ = ["Validation"]


@dataclass(frozen=True, eq=False)
class Validation:
    """The people of a set as inference cuts them out, with their heatmaps, and where they came from."""

    shard: Shard
    people: list[LabelledPerson]
    images: Tensor
    target: Tensor
    weight: Tensor
    centres: Floats
    sizes: Floats

    @classmethod
    def cut(cls, shard: Shard, height: int, width: int, stride: int) -> Validation:
        """The labelled people of `shard` in unbiased crops of `height` x `width`."""
        people = people_of(shard)
        centres, sizes = fit_boxes(np.array([p.box for p in people]), height, width)
        affines = crop_affines(centres, sizes, height, width, unbiased=True)
        images = np.empty((len(people), height, width, 3), np.uint8)
        rows: dict[Any, list[int]] = {}
        for i, person in enumerate(people):
            rows.setdefault(person.image_id, []).append(i)
        for image_id, where in rows.items():
            images[where] = warp(shard.picture(image_id), affines[where], height, width)
        joints = np.array([p.joints for p in people])
        joints[..., :2] = to_heatmap(transform(affines, joints[..., :2]).astype(np.float32), stride)
        shape = (height // stride, width // stride)
        target, weight = (torch.from_numpy(part) for part in heatmaps(joints, shape, sigma_for(shape[0])))
        return cls(shard, people, torch.from_numpy(images), target, weight, centres, sizes)

    @torch.no_grad()
    def figures(self, network: Callable[[Tensor], Tensor]) -> dict[str, float]:
        """`val_loss`, `ap`, `ap50`, `ap75`, `ar` with flip test and `ap_no_flip`.

        `network` gives heatmaps (N, J, h, w) of crops (N, H, W, 3) uint8, both on the CPU.
        """
        plain, mirrored = (
            torch.cat([network(part) for part in torch.split(images, 64)])
            for images in (self.images, self.images.flip(2))
        )
        merged = merge_flipped(plain.numpy(), mirrored.numpy(), COCO17.flip_order, shift=False)
        alone = average_precision(self.shard, self._results(plain.numpy()))
        return {
            "val_loss": float(joints_mse(plain, self.target, self.weight)),
            **average_precision(self.shard, self._results(merged)), "ap_no_flip": alone["ap"],
        }  # fmt: skip

    def _results(self, maps: Floats) -> list[dict[str, Any]]:
        height, width = maps.shape[2:]
        joints = to_image(decode(maps, "dark"), self.centres, self.sizes, height, width, unbiased=True)
        scores = person_scores(joints, np.ones(len(joints), np.float32))
        return [
            result_row(person.image_id, found, score)
            for person, found, score in zip(self.people, joints, scores, strict=True)
        ]
