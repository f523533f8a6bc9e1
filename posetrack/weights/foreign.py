"""A checkpoint from elsewhere: opened, renamed, and told what it wants to be shown.

What the file does not say comes from the user, the catalogue, or the file's name, in this order.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from posetrack.detector import DetectorArchitecture
from posetrack.errors import WeightsError
from posetrack.pose.network import PoseArchitecture
from posetrack.skeleton import find_skeleton
from posetrack.weights.catalogue import Entry, Kind, catalogue
from posetrack.weights.checkpoints import open_checkpoint
from posetrack.weights.containers import sha256_of
from posetrack.weights.importers import Imported, import_state

__all__ = [
    "IMAGENET", "UNSAID", "Foreign", "Overrides", "read_foreign", "recognise_entry", "size_in", "skeleton_of",
]  # fmt: skip

IMAGENET = {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]}
"""Mean and deviation of ImageNet's red, green and blue, in 0..255."""

_BY_JOINTS = {15: "posetrack17", 16: "mpii16", 17: "coco17"}
_SMALL = "fasterrcnn_mobilenet_v3_large_320_fpn"


@dataclass(frozen=True)
class Overrides:
    """What a user says of a checkpoint that does not say it: input size in pixels, skeleton, planes, grey
    levels."""

    height: int | None = None
    width: int | None = None
    skeleton: str | None = None
    colour_order: str | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None

    def of_input(self) -> dict[str, Any]:
        """Those that were said and belong to `input`."""
        return {key: value for key, value in asdict(self).items() if value is not None and key != "skeleton"}


UNSAID = Overrides()
"""Nothing but what the file, its name and the catalogue say."""


@dataclass(frozen=True, eq=False)
class Foreign:
    """A checkpoint in our form: architecture, float32 state by our names, and the metadata of a weights
    file."""

    kind: Kind
    architecture: PoseArchitecture | DetectorArchitecture
    state: dict[str, Tensor]
    metadata: dict[str, str]


def read_foreign(path: Path, overrides: Overrides = UNSAID, entry: Entry | None = None, called: str = "") -> Foreign:
    """The checkpoint at `path`, which is catalogue `entry` if given, and was published as `called`.

    WeightsError when it is damaged, of an unknown or unfitting network, or nothing tells what it must be
    shown.
    """
    called = called or path.name
    imported = import_state(open_checkpoint(path), where=str(path))
    digest = sha256_of(path)
    if entry and not _fits(imported, entry):
        raise WeightsError(f"{path}: holds {_body(imported)}, which {entry.name} is not; get the right file")
    entry = entry or recognise_entry(called, digest)
    entry = entry if entry and _fits(imported, entry) else None
    metadata = {"kind": imported.kind, "source_file": called, "source_sha256": digest}
    if entry:
        metadata |= {"source": entry.source, "licence": entry.licence, "training_data": entry.training_data}
        metadata |= {"scores": json.dumps({"data": entry.data, "published": entry.score})}
    if isinstance(imported.architecture, DetectorArchitecture):
        detector = _detector(imported.architecture, entry, called)
        return Foreign("detector", detector, imported.state, metadata | _detector_metadata(detector))
    pose = replace(imported.architecture, stride_first="caffe" in called.lower())
    skeleton = overrides.skeleton or (entry.skeleton if entry else None)
    metadata |= {
        "architecture": json.dumps(asdict(pose)),
        "skeleton": skeleton_of(pose.joints, called, path, skeleton),
        "input": json.dumps(_pose_input(imported, entry, called, path, overrides)),
    }
    return Foreign("pose", pose, imported.state, metadata)


def recognise_entry(called: str, sha256: str) -> Entry | None:
    """The catalogue's entry of a file: by its hash, or by its name where the publisher gave no hash."""
    entries = catalogue().values()
    by_hash = (entry for entry in entries if entry.sha256 and sha256.startswith(entry.sha256))
    by_name = (entry for entry in entries if not entry.sha256 and not entry.shipped and entry.file == called)
    return next(by_hash, None) or next(by_name, None)


def _body(imported: Imported) -> str:
    """The name of the network: the pose network's body, or the detector."""
    architecture = imported.architecture
    return architecture.body if isinstance(architecture, PoseArchitecture) else architecture.name


def _fits(imported: Imported, entry: Entry) -> bool:
    """Whether the network is that of `entry`; the two MobileNetV3 detectors cannot be told apart by it."""
    wanted = str(entry.architecture.get("body") or entry.architecture.get("name"))
    return imported.kind == entry.kind and _body(imported) == wanted.replace("_320", "")


def _detector(architecture: DetectorArchitecture, entry: Entry | None, called: str) -> DetectorArchitecture:
    """The two MobileNetV3 variants differ in nothing but the size of their input: the file tells which it
    is."""
    small = entry.architecture["name"] == _SMALL if entry else "_320" in called
    if small and architecture.name == "fasterrcnn_mobilenet_v3_large_fpn":
        return DetectorArchitecture(_SMALL, architecture.classes)
    return architecture


def _detector_metadata(architecture: DetectorArchitecture) -> dict[str, str]:
    shortest, longest = (320, 640) if architecture.name == _SMALL else (800, 1333)
    record = {"min_size": shortest, "max_size": longest, "colour_order": "RGB"}
    return {"architecture": json.dumps(architecture.to_json()), "input": json.dumps(record)}


def _pose_input(
    imported: Imported, entry: Entry | None, called: str, path: Path, overrides: Overrides
) -> dict[str, Any]:
    """Size, colour order, mean and deviation. The authors' networks want blue first under red's constants."""
    order = "BGR" if imported.layout == "microsoft" else "RGB"
    record: dict[str, Any] = {"colour_order": order, **IMAGENET, "unbiased": False}
    if size := size_in(called):
        record |= {"height": size[0], "width": size[1]}
    record |= {**(entry.input if entry else {}), **overrides.of_input()}
    if "height" not in record or "width" not in record:
        raise WeightsError(
            f"{path}: nothing tells the size of its input; say it once with `posetrack weights import {path} "
            "--as NAME --size 256x192` (height x width) and use that name"
        )
    return record


def size_in(called: str) -> tuple[int, int] | None:
    """Height and width in a file's name like `pose_resnet_50_256x192.pth.tar`."""
    found = re.search(r"(?<!\d)(\d{2,4})x(\d{2,4})(?!\d)", called)
    return (int(found[1]), int(found[2])) if found else None


def skeleton_of(joints: int, called: str, path: Path, said: str | None) -> str:
    """The skeleton of a network that gives so many joints: what is `said`, else by number and name."""
    guess = "posetrack18" if joints == 17 and "posetrack" in called.lower() else _BY_JOINTS.get(joints)
    name = said or guess
    if not name:
        raise WeightsError(f"{path}: no skeleton that posetrack knows has its {joints} joints")
    if len(find_skeleton(name)) != joints:
        wanted = len(find_skeleton(name))
        raise WeightsError(f"{path}: gives {joints} joints, skeleton {name} has {wanted}; say --skeleton")
    return name
