"""Poses of people in boxes: crops, the network, joints in image pixels."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from posetrack.errors import WeightsError
from posetrack.packed import pack_convolutions
from posetrack.pose.crop import crop_affines, fit_boxes, warp
from posetrack.pose.heatmap import DECODERS, decode, merge_flipped, to_image
from posetrack.pose.network import PoseMobileNet, PoseResNet, fold_batch_norms
from posetrack.pose.spec import PoseSpec
from posetrack.precision import working_dtype
from posetrack.types import Boxes, Floats, Image, Poses

__all__ = ["JOINT_THRESHOLD", "PoseEstimator", "Spread", "person_scores"]

JOINT_THRESHOLD = 0.2
"""Joints whose scores are not above this don't count in a person's score (REFERENCE 2.6)."""

_CPU_BATCH, _GPU_BATCH = 8, 64
"""Crops in one forward pass: on a CPU more are hardly faster and more memory."""


Spread = Callable[[Callable[[slice], Floats], Iterable[slice]], Iterable[Floats]]
"""Calls a function on each of several things and gives the results in order: `map`, or a thread pool's."""


class PoseEstimator:
    """A pose network (build_pose_network's, or an ONNX file's) made ready for inference.

    `precision` is 'fp32', 'bf16', 'fp16' or 'auto' (see `working_dtype`); the last layer, whose values are
    compared, is always fp32, and TF32 is off. `flip_test` averages with the mirrored crops. `decoding` is a
    name of posetrack.pose.heatmap.DECODERS; None takes 'dark' where the network is unbiased, else 'quarter'.

    `batch` crops go through the network at a time. On the CPU, with one thread an op (posetrack.cores), packed
    convolutions (posetrack.packed) make the bits of a pose depend on its image and box alone. Where they are not to
    be had, and on GPUs, the last bits also depend on how many people are estimated together.

    WeightsError where weights or heatmaps are not finite numbers.
    """

    def __init__(
        self,
        network: nn.Module,
        spec: PoseSpec,
        device: torch.device | str = "cpu",
        precision: str = "fp32",
        *,
        flip_test: bool = False,
        decoding: Literal["quarter", "dark"] | None = None,
        batch: int | None = None,
    ) -> None:
        self.spec = spec
        self.device = torch.device(device)
        self.dtype = working_dtype(self.device, precision)
        self.flip_test = flip_test
        self.decoding = decoding or ("dark" if spec.input.unbiased else "quarter")
        if self.decoding not in DECODERS:
            raise ValueError(f"no decoding '{decoding}'; there are {', '.join(DECODERS)}")
        self.batch = batch or (_CPU_BATCH if self.device.type == "cpu" else _GPU_BATCH)
        if not isinstance(network, (PoseResNet, PoseMobileNet)):
            self.dtype = torch.float32  # an ONNX file's network chooses its own
        self.network = _prepared(network, self.dtype, self.device)
        if self.device.type == "cpu":
            crops = torch.zeros(self.batch, 3, spec.input.height, spec.input.width, dtype=self.dtype)
            pack_convolutions(self.network, crops.contiguous(memory_format=torch.channels_last))
        self._mean, self._std = (  # of a row of pixels, so that normalising goes through memory in order
            torch.tensor(values, device=self.device).repeat(spec.input.width)
            for values in (spec.input.mean, spec.input.std)
        )

    def __call__(self, image: Image, boxes: Boxes) -> Poses:
        """One pose for each of `boxes` in `image` (H, W, 3) uint8 RGB, in their order."""
        return self.estimate([image], [boxes])[0]

    def estimate(self, images: Sequence[Image], boxes: Sequence[Boxes], spread: Spread = map) -> list[Poses]:
        """Poses of all people of all `images`, one for each box of each image, in their order.

        Images are (H, W, 3) uint8 RGB. Keypoints are in pixels of the image, with the maximum of their
        heatmap as score; the person's score is that of `person_scores`. `spread` maps batches to joints as
        `map` does, perhaps over threads. ValueError where boxes are not finite.
        """
        if not images:
            return []
        wants = self.spec.input
        fits = [fit_boxes(found.xyxy, wants.height, wants.width) for found in boxes]
        centres, sizes = (np.concatenate(parts) for parts in zip(*fits, strict=True))
        owners = [image for image, found in zip(images, boxes, strict=True) for _ in range(len(found))]
        rows = [slice(start, start + self.batch) for start in range(0, len(owners), self.batch)]
        parts = spread(lambda row: self._joints(owners[row], centres[row], sizes[row]), rows)
        nobody = np.zeros((0, len(self.spec.skeleton), 3), np.float32)
        joints = np.concatenate([nobody, *parts])
        ends = np.cumsum([len(found) for found in boxes])[:-1]
        return [
            Poses(part, found.xyxy, person_scores(part, found.scores))
            for part, found in zip(np.split(joints, ends), boxes, strict=True)
        ]

    def _joints(self, images: list[Image], centres: Floats, sizes: Floats) -> Floats:
        """Joints (N, J, 3) in image pixels of N people, at most a batch, each in one of `images`."""
        wants = self.spec.input
        affines = crop_affines(centres, sizes, wants.height, wants.width, unbiased=wants.unbiased)
        crops = np.empty((len(images), wants.height, wants.width, 3), np.uint8)
        for image, affine, crop in zip(images, affines, crops, strict=True):
            warp(image, affine[None], wants.height, wants.width, out=crop[None])
        heatmaps = self._heatmaps(crops)
        found = decode(heatmaps, self.decoding)
        joints = to_image(found, centres, sizes, *heatmaps.shape[2:], unbiased=wants.unbiased)
        if not np.isfinite(joints).all():
            raise WeightsError(
                "the pose network gives values that are not numbers; try --precision fp32 or other weights"
            )
        return joints

    def _heatmaps(self, crops: Image) -> Floats:
        """Heatmaps (N, J, H, W) float32 of crops (N, height, width, 3), a flip test merged in."""
        planes = crops if self.spec.input.colour_order == "RGB" else np.ascontiguousarray(crops[..., ::-1])
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            rows = torch.from_numpy(planes).to(self.device).flatten(2).float()
            images = rows.sub_(self._mean).div_(self._std).to(self.dtype).view(planes.shape).permute(0, 3, 1, 2)
            heatmaps = _to_numpy(self.network(images))
            if not self.flip_test:
                return heatmaps
            mirrored = _to_numpy(self.network(images.flip(-1).contiguous(memory_format=torch.channels_last)))
        return merge_flipped(heatmaps, mirrored, self.spec.skeleton.flip_order, shift=not self.spec.input.unbiased)


def person_scores(joints: Floats, box_scores: Floats, threshold: float = JOINT_THRESHOLD) -> Floats:
    """People's scores (N,) in 0..1: mean score of the joints above `threshold`, times the box score.

    `joints` are (N, J, 3); 0 where no joint is strictly above (REFERENCE 2.6).
    """
    above = joints[..., 2] > threshold
    total = np.where(above, joints[..., 2], 0).sum(1)
    means = total / np.maximum(above.sum(1), 1)
    return np.asarray((means * box_scores).clip(0, 1), np.float32)


def _to_numpy(heatmaps: Tensor) -> Floats:
    return np.asarray(heatmaps.float().contiguous().cpu().numpy())


class _InFloat32(nn.Module):
    """A layer in fp32 behind others in a shorter type."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, inputs: Tensor) -> Tensor:
        result: Tensor = self.layer(inputs.float())
        return result


def _prepared(network: nn.Module, dtype: torch.dtype, device: torch.device) -> nn.Module:
    """A copy for inference: batch norms folded, channels last, all but the last layer in `dtype`."""
    for name, tensor in network.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise WeightsError(f"the pose weights are damaged: '{name}' holds values that are not numbers")
    ready = fold_batch_norms(copy.deepcopy(network))
    if dtype != torch.float32:
        last = cast(nn.Module, ready.final_layer)
        ready.final_layer = nn.Identity()
        ready.to(dtype=dtype)
        ready.final_layer = _InFloat32(last)
    return ready.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
