"""Weights opened by name or by path, and written: every file checked before anything is built from it.

The metadata of a weights file, all strings: `kind` ("pose" or "detector"), `architecture` (JSON of
PoseArchitecture or DetectorArchitecture), `input` (JSON: size, colour order, mean, deviation), `skeleton`,
`training_data`, `licence`, `started_from`, `source`, `scores` (JSON), `gflops` (written by `save_weights`).
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from posetrack.detector import DetectorArchitecture, build_detector
from posetrack.errors import OutputError, WeightsError
from posetrack.pose.network import PoseArchitecture, build_pose_network, count_gflops
from posetrack.pose.spec import PoseSpec
from posetrack.weights.cache import read_pin, verify
from posetrack.weights.catalogue import Kind, catalogue, shipped_folder
from posetrack.weights.containers import container, read_metadata, sha256_of, with_metadata
from posetrack.weights.foreign import UNSAID, Overrides, read_foreign
from posetrack.weights.importers import check_state
from posetrack.weights.onnx import OnnxHeatmaps, onnx_metadata

__all__ = ["Weights", "build_network", "load_weights", "save_weights", "shipped"]

_SUFFIXES = (".safetensors", ".pth", ".pt", ".tar", ".onnx")


@dataclass(frozen=True, eq=False)
class Weights:
    """The weights of one network, checked: finite, float32, and just those that its architecture wants.

    `name` is what the user called them, `sha256` that of the file at `path`. `state` is empty for an ONNX
    file, which is its own network. `metadata` is the file's own, or made up for a checkpoint from elsewhere.
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
    name_or_path: str | Path,
    kind: Kind | None = None,
    folder: Path | None = None,
    overrides: Overrides = UNSAID,
) -> Weights:
    """The weights called `name_or_path`: "pose" or "detector" (shipped), a name in the cache, or a file.

    Files are safetensors of posetrack, PyTorch checkpoints of the authors, mmpose and torchvision (recognised
    from their keys, opened without running what is in them), and ONNX heatmap networks. `kind` is what is
    wanted, `folder` the cache (see posetrack.weights.cache), `overrides` what a foreign file does not say.
    WeightsError for a file that is absent, damaged, changed since it was checked, of another kind, or holds
    NaN.
    """
    name = str(name_or_path)
    if _is_path(name):
        weights = _open(name, Path(name), overrides)
    else:
        path, digest = verify(name, folder)
        pin = read_pin(name, folder)
        weights = _open(name, path, overrides, digest, pin.metadata if pin else {})
    if kind and weights.kind != kind:
        words = {"pose": "a pose network", "detector": "a person detector"}
        raise WeightsError(
            f"{weights.path}: holds {words[weights.kind]}, not {words[kind]}; give it as --{weights.kind}"
        )
    return weights


def _is_path(name: str) -> bool:
    """Whether a file is meant; a name of the catalogue stays one even beside a file that is called so."""
    if name in catalogue():
        return False
    return Path(name).is_file() or "/" in name or os.sep in name or Path(name).suffix in _SUFFIXES


def _open(
    name: str, path: Path, overrides: Overrides, digest: str = "", unsaid: Mapping[str, str] = MappingProxyType({})
) -> Weights:
    """The weights at `path`, whose `digest` may be known; `unsaid` is what an ONNX file does not say of itself."""
    packing = container(path)
    if packing == "onnx":
        metadata = dict(unsaid) or onnx_metadata(OnnxHeatmaps(path), path.name, overrides)
        kind, architecture = _declared(metadata, path)
        return Weights(name, path, kind, architecture, {}, metadata, digest or sha256_of(path))
    if packing == "safetensors":
        return _open_own(name, path, digest or sha256_of(path))
    foreign = read_foreign(path, overrides)
    check_finite(foreign.state, path)
    digest = foreign.metadata["source_sha256"]
    return Weights(name, path, foreign.kind, foreign.architecture, foreign.state, foreign.metadata, digest)


def _open_own(name: str, path: Path, digest: str) -> Weights:
    metadata = read_metadata(path)
    kind, architecture = _declared(metadata, path)
    try:
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: damaged ({error}); copy or download it again") from None
    check_state(state, architecture, str(path))
    state = {key: value.float() if value.is_floating_point() else value for key, value in state.items()}
    check_finite(state, path)
    return Weights(name, path, kind, architecture, state, metadata, digest)


def _declared(metadata: Mapping[str, str], path: Path) -> tuple[Kind, PoseArchitecture | DetectorArchitecture]:
    """Kind and architecture by a file's metadata."""
    kind = metadata.get("kind", "")
    if kind == "pose":
        return "pose", PoseSpec.from_metadata(metadata, str(path)).architecture
    if kind != "detector":
        holds = f"holds '{kind}'" if kind else "does not say what network it holds"
        raise WeightsError(
            f"{path}: {holds}; posetrack reads its own safetensors files, others must be imported from the "
            "original checkpoint with `posetrack weights import`"
        )
    try:
        return "detector", DetectorArchitecture.from_json(json.loads(metadata["architecture"]))
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise WeightsError(f"{path}: its 'architecture' cannot be read ({error}); get the file again") from None
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from None


def check_finite(state: Mapping[str, Tensor], path: Path) -> None:
    """WeightsError that names the first tensor with NaN or infinity in it."""
    floats = {key: value for key, value in state.items() if value.is_floating_point()}
    bad = [key for key, value in floats.items() if not bool(torch.isfinite(value).all())]
    if bad:
        more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        raise WeightsError(f"{path}: '{bad[0]}'{more} holds NaN or infinity; the weights are damaged, get them again")


def build_network(weights: Weights) -> nn.Module:
    """The network of `weights` in eval mode, in float32 on the CPU; an ONNX file's runs in onnxruntime."""
    if weights.path.suffix == ".onnx":
        return OnnxHeatmaps(weights.path).eval()
    if isinstance(weights.architecture, PoseArchitecture):
        network: nn.Module = build_pose_network(weights.architecture)
    else:
        network = build_detector(weights.architecture)
    # only batch counters can be absent, which inference ignores: everything else was checked on opening
    network.load_state_dict(weights.state, strict=False)
    return network.eval()


def _cost(metadata: Mapping[str, str]) -> dict[str, str]:
    """What one picture costs a pose network, for the list of networks, which loads no torch."""
    if metadata["kind"] != "pose":
        return {}
    spec = PoseSpec.from_metadata(metadata)
    gflops = count_gflops(build_pose_network(spec.architecture), spec.input.height, spec.input.width)
    return {"gflops": f"{gflops:.2f}"}


def save_weights(
    path: Path,
    state: Mapping[str, Tensor],
    metadata: Mapping[str, str],
    dtype: torch.dtype = torch.float16,
) -> None:
    """Write `state` (floats as `dtype`, without batch counters) and `metadata` to `path`, whole or not at
    all.

    WeightsError when a value is not finite in `dtype` or the metadata name no network, OutputError when the
    file cannot be written.
    """
    plain = {
        key: value.detach().cpu().to(dtype if value.is_floating_point() else value.dtype).contiguous().clone()
        for key, value in sorted(state.items())
        if not key.endswith("num_batches_tracked")
    }
    check_finite(plain, path)
    _declared(metadata, path)
    content = with_metadata(save(plain), {**metadata, **_cost(metadata)})
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
            temporary = Path(folder) / path.name
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror})") from None
