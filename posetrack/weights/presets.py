"""Presets: which networks see, by one word, from quick to exact."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from posetrack.weights.cache import cached
from posetrack.weights.catalogue import Entry, find_entry

__all__ = ["PRESETS", "Preset", "absent"]


@dataclass(frozen=True)
class Preset:
    """A detector and a pose network by name, and whether poses are the mean with the mirrored picture's."""

    detector: str
    pose: str
    flip_test: bool
    about: str


PRESETS = {
    "fast": Preset("detector", "pose", False, "the shipped networks"),
    "balanced": Preset(
        "fasterrcnn_mobilenet_v3_large_fpn",
        "mmpose-resnet50-coco-256x192",
        False,
        "published networks that a CPU can bear",
    ),
    "accurate": Preset(
        "keypointrcnn_resnet50_fpn",
        "mmpose-resnet152-coco-384x288",
        True,
        "the best published networks, for a GPU",
    ),
}


def absent(preset: Preset, folder: Path | None = None) -> list[Entry]:
    """The entries of the catalogue that `preset` needs and that are neither shipped nor in the cache."""
    entries = [find_entry(preset.detector), find_entry(preset.pose)]
    return [entry for entry in entries if not entry.shipped and cached(entry.name, folder) is None]
