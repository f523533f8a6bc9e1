"""Weights opened by name or by path, and written: every file checked before anything is built from it.

The metadata of a weights file, all strings: `kind` ("pose" or "detector"), `architecture` (JSON of PoseArchitecture
or DetectorArchitecture), `input` (JSON: size, colour order, mean, deviation), `skeleton`, `training_data`, `licence`,
`started_from`, `source`, `scores` (JSON).
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from posetrack.detector import DetectorArchitecture, build_detector
from posetrack.errors import OutputError, WeightsError
from posetrack.pose.network import PoseArchitecture, build_pose_network
from posetrack.weights.catalogue import Kind, find_entry, shipped_folder
from posetrack.weights.checkpoints import open_checkpoint
from posetrack.weights.containers import container, read_metadata, sha256_of
from posetrack.weights.importers import check_state, import_state
from posetrack.weights.metadata import metadata_for

__all__ = ["Weights", "build_network", "load_weights", "save_weights", "shipped"]


@dataclass(frozen=True, eq=False)
class Weights:
    """The weights of one network, checked: all tensors finite, float32, and those that its architecture wants.

    `name` is what the user called them, `sha256` that of the file at `path`. `state` is empty for an ONNX file, which
    is its own network. `metadata` is the file's own, or made up for a checkpoint from elsewhere.
    """

    name: str
    path: Path
    kind: Kind
    architecture: PoseArchitecture | DetectorArchitecture
    state: dict[str, Tensor]
    metadata: dict[str, str]
    sha256: str

    @property
    def input(self) -> dict[str, Any]:
        """What the network wants to be shown, as the metadata has it: size, colour order, mean, deviation."""
        return cast(dict[str, Any], json.loads(self.metadata["input"]))

    @property
    def skeleton(self) -> str:
        """The name of the skeleton that a pose network speaks; empty for a detector."""
        return self.metadata.get("skeleton", "")


def shipped(kind: Kind) -> Path:
    """The file of the pose network or the detector that comes with posetrack, in a checkout or installed."""
    return shipped_folder() / f"{kind}.safetensors"


def load_weights(
    name_or_path: str | Path, kind: Kind | None = None, overrides: Mapping[str, Any] | None = None
) -> Weights:
    """The weights called `name_or_path`: "pose" or "detector" (shipped), a name of the catalogue, or a file.

    Files are safetensors of posetrack, PyTorch checkpoints of the authors, mmpose and torchvision (recognised from
    their keys, opened without running what is in them), and ONNX heatmap networks. `kind` is what is wanted.
    `overrides` says what a foreign file does not: `height`, `width`, `skeleton`, `colour_order`, `mean`, `std`.
    WeightsError for a file that is absent, damaged, of another kind, or holds NaN.
    """
    path = _find(str(name_or_path))
    weights = _open(str(name_or_path), path, overrides or {})
    if kind and weights.kind != kind:
        words = {"pose": "a pose network", "detector": "a person detector"}
        raise WeightsError(f"{path}: holds {words[weights.kind]}, not {words[kind]}; give it as --{weights.kind}")
    return weights


def _find(name: str) -> Path:
    """The file that `name` means."""
    if Path(name).is_file() or os.sep in name or Path(name).suffix in _SUFFIXES:
        return Path(name)
    entry = find_entry(name)
    if entry.shipped:
        return shipped_folder() / entry.file
    raise WeightsError(f"{name} is not on this machine; get it with `posetrack weights get {name}`")


_SUFFIXES = (".safetensors", ".pth", ".pt", ".tar", ".onnx")


def _open(name: str, path: Path, overrides: Mapping[str, Any]) -> Weights:
    packing = container(path)
    if packing == "onnx":
        raise WeightsError(f"{path}: ONNX is not wired yet")
    if packing == "safetensors":
        return _open_own(name, path)
    return _open_foreign(name, path, overrides)


def _open_own(name: str, path: Path) -> Weights:
    metadata = read_metadata(path)
    kind, architecture = _declared(metadata, path)
    try:
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: damaged ({error}); copy or download it again") from None
    check_state(state, architecture, str(path))
    state = {key: value.float() if value.is_floating_point() else value for key, value in state.items()}
    _check_finite(state, path)
    return Weights(name, path, kind, architecture, state, metadata, sha256_of(path))


def _declared(metadata: Mapping[str, str], path: Path) -> tuple[Kind, PoseArchitecture | DetectorArchitecture]:
    """Kind and architecture by a file's metadata."""
    try:
        record = json.loads(metadata["architecture"])
        json.loads(metadata["input"])
        if metadata["kind"] == "pose":
            lists = {key: tuple(value) if isinstance(value, list) else value for key, value in record.items()}
            return "pose", PoseArchitecture(**lists)
        if metadata["kind"] == "detector":
            return "detector", DetectorArchitecture.from_json(record)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise WeightsError(
            f"{path}: its metadata does not say what network this is ({error}); "
            "posetrack reads its own safetensors files, others must be imported from the original checkpoint"
        ) from None
    raise WeightsError(f"{path}: holds '{metadata['kind']}', neither a pose network nor a detector")


def _open_foreign(name: str, path: Path, overrides: Mapping[str, Any]) -> Weights:
    imported = import_state(open_checkpoint(path), where=str(path))
    _check_finite(imported.state, path)
    digest = sha256_of(path)
    architecture, metadata = metadata_for(imported, path, digest, overrides)
    return Weights(name, path, imported.kind, architecture, imported.state, metadata, digest)


def _check_finite(state: Mapping[str, Tensor], path: Path) -> None:
    bad = [key for key, value in state.items() if value.is_floating_point() and not bool(torch.isfinite(value).all())]
    if bad:
        more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        raise WeightsError(f"{path}: '{bad[0]}'{more} holds NaN or infinity; the weights are damaged, get them again")


def build_network(weights: Weights) -> nn.Module:
    """The network of `weights` in eval mode, in float32 on the CPU."""
    if isinstance(weights.architecture, PoseArchitecture):
        network: nn.Module = build_pose_network(weights.architecture)
    else:
        network = build_detector(weights.architecture)
    network.load_state_dict(weights.state, strict=False)  # only batch counters can be absent: the rest is checked
    return network.eval()


def save_weights(
    path: Path, state: Mapping[str, Tensor], metadata: Mapping[str, str], dtype: torch.dtype = torch.float16
) -> None:
    """Write `state` (floats as `dtype`, without batch counters) and `metadata` to `path`, whole or not at all.

    WeightsError when a value is not finite in `dtype`, OutputError when the file cannot be written.
    """
    plain = {
        key: value.detach().cpu().to(dtype if value.is_floating_point() else value.dtype).contiguous().clone()
        for key, value in sorted(state.items())
        if not key.endswith("num_batches_tracked")
    }
    _check_finite(plain, path)
    _declared(metadata, path)
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
            temporary = Path(folder) / path.name
            save_file(plain, temporary, dict(sorted(metadata.items())))
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
    except (OSError, SafetensorError) as error:
        raise OutputError(f"{path}: cannot be written ({error})") from None


