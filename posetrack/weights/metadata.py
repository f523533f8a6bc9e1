"""The metadata of a checkpoint from elsewhere: from the catalogue, the file's name, and what the user says."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from posetrack.detector import DetectorArchitecture
from posetrack.errors import WeightsError
from posetrack.pose.network import PoseArchitecture
from posetrack.skeleton import find_skeleton
from posetrack.weights.catalogue import Entry, catalogue
from posetrack.weights.importers import Imported

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "metadata_for", "recognise_entry"]

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)
"""Mean and deviation of ImageNet's red, green and blue, in 0..255."""

_BY_JOINTS = {15: "posetrack17", 16: "mpii16", 17: "coco17"}


def recognise_entry(path: Path, sha256: str) -> Entry | None:
    """The catalogue's entry that the file is: by the start of its hash, or by its name."""
    for entry in catalogue().values():
        if entry.sha256 and sha256.startswith(entry.sha256):
            return entry
    return next((entry for entry in catalogue().values() if entry.file == path.name), None)


def metadata_for(
    imported: Imported, path: Path, sha256: str, overrides: Mapping[str, Any]
) -> tuple[PoseArchitecture | DetectorArchitecture, dict[str, str]]:
    """Architecture and metadata of an imported checkpoint at `path`.

    `overrides` (`height`, `width`, `skeleton`, `colour_order`, `mean`, `std`) go before the catalogue, the
    catalogue before the file's name. WeightsError when nothing tells a pose network's input size.
    """
    entry = recognise_entry(path, sha256)
    common = {"kind": imported.kind, "source_file": path.name, "source_sha256": sha256}
    if entry and entry.kind == imported.kind:
        common |= {"source": entry.source, "licence": entry.licence, "training_data": entry.training_data}
        common |= {"scores": json.dumps({entry.data: entry.score})}
    else:
        entry = None
    if isinstance(imported.architecture, DetectorArchitecture):
        return _detector(imported.architecture, entry, path, common)
    record = _pose_input(imported, entry, path, overrides)
    skeleton = _skeleton(imported.architecture.joints, entry, path, overrides)
    architecture = json.dumps(asdict(imported.architecture))
    return imported.architecture, {
        **common, "architecture": architecture, "skeleton": skeleton, "input": json.dumps(record),
    }  # fmt: skip


def _detector(
    architecture: DetectorArchitecture, entry: Entry | None, path: Path, common: dict[str, str]
) -> tuple[DetectorArchitecture, dict[str, str]]:
    """The two MobileNetV3 variants differ in nothing but the size of their input: the file tells which it is."""
    small = "fasterrcnn_mobilenet_v3_large_320_fpn"
    named = entry.architecture["name"] if entry else (small if "_320" in path.name else "")
    if architecture.name == "fasterrcnn_mobilenet_v3_large_fpn" and named == small:
        architecture = DetectorArchitecture(small, architecture.classes)
    sizes = {small: (320, 640)}.get(architecture.name, (800, 1333))
    record = {"min_size": sizes[0], "max_size": sizes[1], "colour_order": "RGB"}
    return architecture, {
        **common, "architecture": json.dumps(architecture.to_json()), "input": json.dumps(record),
    }  # fmt: skip


def _pose_input(
    imported: Imported, entry: Entry | None, path: Path, overrides: Mapping[str, Any]
) -> dict[str, Any]:
    """Size, colour order, mean and deviation. The authors' networks want blue first, with red's constants first."""
    record: dict[str, Any] = {
        "colour_order": "BGR" if imported.layout == "microsoft" else "RGB",
        "mean": list(IMAGENET_MEAN), "std": list(IMAGENET_STD), "unbiased": False,
    }  # fmt: skip
    size = re.search(r"(?<!\d)(\d{2,4})x(\d{2,4})(?!\d)", path.name)
    if size:
        record |= {"height": int(size[1]), "width": int(size[2])}
    if entry:
        record |= dict(entry.input)
    record |= {key: value for key, value in overrides.items() if key in _INPUT_FIELDS and value is not None}
    if "height" not in record or "width" not in record:
        raise WeightsError(
            f"{path}: nothing tells the size of its input; say it once with "
            f"`posetrack weights import {path} --as NAME --size 256x192` and use that name"
        )
    return record


_INPUT_FIELDS = ("height", "width", "colour_order", "mean", "std", "unbiased")


def _skeleton(joints: int, entry: Entry | None, path: Path, overrides: Mapping[str, Any]) -> str:
    named = re.search(r"posetrack", path.name, re.IGNORECASE)
    guess = "posetrack18" if joints == 17 and named else _BY_JOINTS.get(joints, "")
    name = overrides.get("skeleton") or (entry.skeleton if entry else guess)
    if not name:
        raise WeightsError(f"{path}: {joints} joints are no skeleton that posetrack knows")
    if len(find_skeleton(name)) != joints:
        raise WeightsError(f"{path}: the network has {joints} joints, skeleton {name} has {len(find_skeleton(name))}")
    return str(name)
