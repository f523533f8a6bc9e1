"""The two networks on one device, made from the names or files that a user gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import torch

from posetrack.cores import core_count, pool
from posetrack.detector import Detector
from posetrack.errors import DeviceError
from posetrack.pose.estimator import PoseEstimator
from posetrack.pose.spec import PoseSpec
from posetrack.types import Boxes, Frame, Image, Poses
from posetrack.weights import Weights, load_weights
from posetrack.weights.files import build_network

__all__ = ["NetworkSettings", "Networks", "find_device", "load_networks"]


@dataclass(frozen=True)
class NetworkSettings:
    """Which networks, where and how they run.

    `detector` and `pose` are names or files; `device` is auto, cpu, cuda[:N] or mps; `precision` auto, fp32, bf16 or
    fp16; `score` is the detector's threshold (0.5 is the paper's). `flip_test` averages the mirrored pass; `decode` is
    quarter or dark, or auto: what suits the weights. `weights_dir` is where fetched ones lie (weights.cache).
    """

    detector: str = "detector"
    pose: str = "pose"
    device: str = "auto"
    precision: str = "auto"
    score: float = 0.5
    flip_test: bool = False
    decode: Literal["auto", "quarter", "dark"] = "auto"
    weights_dir: Path | None = None


def find_device(name: str) -> torch.device:
    """The device called `name`; auto takes CUDA, then MPS, then the CPU. DeviceError when it isn't there."""
    if name == "auto":
        kinds = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
        return torch.device(next((kind for kind, there in kinds.items() if there), "cpu"))
    kind, _, number = name.partition(":")
    count = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}.get(kind)
    if count is None or (number and not number.isdigit()):
        raise DeviceError(f"there is no device '{name}'; devices are auto, cpu, cuda, cuda:N and mps")
    if count == 0:
        raise DeviceError(f"this machine has no {kind} device that torch can use; choose --device cpu")
    if number and int(number) >= count:
        raise DeviceError(f"there is no device '{name}'; this machine has {kind}:0 to {kind}:{count - 1}")
    return torch.device(name)


class Networks:
    """The detector, or boxes from a file in its place, and the pose network, on one device.

    `detector` is a Detector or boxes by frame number. On the CPU frames, and batches of people, are spread over
    `threads` threads of one core each (posetrack.cores), which are `pool`: others may compute in it too.
    """

    estimates = True

    def __init__(
        self, detector: Detector | Mapping[int, Boxes], estimator: PoseEstimator, threads: int | None = None
    ) -> None:
        self.detector = detector
        self.estimator = estimator
        self.skeleton = estimator.spec.skeleton
        self.on_cpu = estimator.device.type == "cpu"
        self.pool = pool((threads or core_count()) if self.on_cpu else 1)

    def find(self, frames: list[Frame]) -> list[Boxes]:
        """The boxes of each frame, best first."""
        if not isinstance(self.detector, Detector):
            return [self.detector.get(frame.index, Boxes.empty()) for frame in frames]
        images = [frame.image for frame in frames]
        parts = [[image] for image in images] if self.on_cpu else [images]
        return [boxes for part in self.pool.map(self.detector.detect, parts) for boxes in part]

    def estimate(self, images: list[Image], boxes: list[Boxes]) -> list[Poses]:
        """The poses of all boxes of all images in one pass."""
        return self.estimator.estimate(images, boxes, self.pool.map)


def load_networks(
    settings: NetworkSettings, detections: Mapping[int, Boxes] | None = None, threads: int | None = None
) -> tuple[Networks, dict[str, Any]]:
    """The networks that `settings` ask for, and what a result file says of them: name, SHA-256, precision.

    With `detections`, boxes by frame number, there is no detector. Raises WeightsError for weights that cannot be
    used and DeviceError for a device that isn't there.
    """
    device = find_device(settings.device)
    weights = load_weights(settings.pose, "pose", settings.weights_dir)
    precision = "fp32" if weights.path.suffix == ".onnx" else settings.precision  # an ONNX file has its own
    decoding = None if settings.decode == "auto" else settings.decode
    estimator = PoseEstimator(
        cast(Any, build_network(weights)), PoseSpec.from_metadata(weights.metadata, str(weights.path)), device,
        precision, flip_test=settings.flip_test, decoding=decoding,
    )  # fmt: skip
    said = {
        "pose": _identity(weights), "flip_test": settings.flip_test, "decode": estimator.decoding,
        "device": device.type, "precision": str(estimator.dtype).removeprefix("torch."),
    }  # fmt: skip
    if detections is not None:
        return Networks(detections, estimator, threads), said
    weights = load_weights(settings.detector, "detector", settings.weights_dir)
    detector = Detector(cast(Any, build_network(weights)), device, settings.precision, settings.score)
    said = {"detector": _identity(weights), "detector_score": settings.score, **said}
    return Networks(detector, estimator, threads), said


def _identity(weights: Weights) -> dict[str, str]:
    """Weights in a header; a file by its name alone, so that equal runs give equal files wherever it lies."""
    return {"name": Path(weights.name).name, "sha256": weights.sha256}
