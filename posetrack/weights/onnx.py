"""ONNX: pose networks written for other programs, and other people's heatmap networks run here.

A heatmap network takes pictures (N, 3, H, W) and gives heatmaps (N, J, h, w), J joints of a skeleton that
posetrack knows: HRNet, CPN, an hourglass do. onnxruntime is an extra.
"""

from __future__ import annotations

import copy
import json
import tempfile
import threading
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from posetrack.errors import DeviceError, OutputError, WeightsError
from posetrack.pose.network import PoseArchitecture
from posetrack.weights.foreign import IMAGENET, UNSAID, Overrides, size_in, skeleton_of

__all__ = ["TOLERANCE", "OnnxHeatmaps", "export_onnx", "onnx_metadata"]

TOLERANCE = 1e-4
"""How far the heatmaps of an exported network may be from torch's, where their peaks are near 1."""


def _runtime() -> ModuleType:
    try:
        import onnxruntime
    except ImportError:
        raise DeviceError("ONNX networks need onnxruntime: pip install 'posetrack[onnx]'") from None
    runtime: ModuleType = onnxruntime
    return runtime


class OnnxHeatmaps(nn.Module):
    """The heatmap network in the ONNX file at `path`, called like a torch network.

    It computes in the type of the file, on CUDA where the pictures are there and onnxruntime can, else on the
    CPU with one core a call (posetrack.cores). WeightsError for a damaged file or one with another interface.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.final_layer = nn.Identity()
        self._sessions: dict[str, Any] = {}
        self._lock = threading.Lock()
        inputs, outputs = self._session("cpu").get_inputs(), self._session("cpu").get_outputs()
        heatmaps = [output for output in outputs if len(output.shape) == 4]
        if len(inputs) != 1 or len(inputs[0].shape) != 4 or not heatmaps:
            shapes = [list(each.shape) for each in (*inputs, *outputs)]
            raise WeightsError(
                f"{path}: no heatmap network: it wants one input (N, 3, H, W) and an output (N, J, h, w), "
                f"the file has {shapes}"
            )
        self._input, self._output = inputs[0], heatmaps[0].name
        self._joints = heatmaps[0].shape[1]
        self._type = np.float16 if "float16" in self._input.type else np.float32

    def __deepcopy__(self, memo: dict[int, Any]) -> OnnxHeatmaps:
        """Itself: nothing in it changes."""
        return self

    def _session(self, device: str) -> Any:
        with self._lock:
            if device not in self._sessions:
                self._sessions[device] = _open_session(self.path, device)
            return self._sessions[device]

    @property
    def metadata(self) -> dict[str, str]:
        """What its maker wrote into the file; posetrack's own exports tell all that a weights file tells."""
        return dict(self._session("cpu").get_modelmeta().custom_metadata_map)

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of its pictures, None where the file leaves them open."""
        height, width = self._input.shape[2:]
        return (height, width) if isinstance(height, int) and isinstance(width, int) else None

    def joints(self, height: int, width: int) -> int:
        """How many heatmaps it gives."""
        if isinstance(self._joints, int):
            return self._joints
        return int(self(torch.zeros(1, 3, height, width)).shape[1])

    def forward(self, images: Tensor) -> Tensor:
        """Heatmaps (N, J, h, w) float32 of images (N, 3, H, W), normalised as its maker wants them."""
        session = self._session(images.device.type)
        batch = images.detach().float().cpu().numpy().astype(self._type)
        fixed = self._input.shape[0] if isinstance(self._input.shape[0], int) else len(batch)
        try:
            parts = [self._run(session, batch[i : i + fixed], fixed) for i in range(0, len(batch), max(fixed, 1))]
        except Exception as error:  # onnxruntime's own errors have no common public class
            raise WeightsError(f"{self.path}: cannot be run ({str(error).splitlines()[0]})") from error
        return torch.from_numpy(np.concatenate(parts)).to(images.device)

    def _run(self, session: Any, batch: NDArray[Any], fixed: int) -> NDArray[np.float32]:
        """One call; a file with a fixed number of pictures gets it, filled up with empty ones."""
        filled = np.concatenate([batch, np.zeros((fixed - len(batch), *batch.shape[1:]), batch.dtype)])
        (heatmaps,) = session.run([self._output], {self._input.name: filled})
        return np.asarray(heatmaps[: len(batch)], np.float32)


def _open_session(path: Path, device: str) -> Any:
    runtime = _runtime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    wanted = ["CUDAExecutionProvider"] if device == "cuda" else []
    providers = [name for name in (*wanted, "CPUExecutionProvider") if name in runtime.get_available_providers()]
    try:
        return runtime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # as above
        raise WeightsError(f"{path}: no readable ONNX file ({str(error).splitlines()[0]}); get it again") from error


def onnx_metadata(network: OnnxHeatmaps, called: str, overrides: Overrides = UNSAID) -> dict[str, str]:
    """The metadata of a weights file for `network`, published as `called`.

    What neither the file nor `overrides` says is what most such networks have: RGB with ImageNet's mean and
    deviation; the skeleton goes by the number of joints. WeightsError when nothing tells the size.
    """
    said = network.metadata if network.metadata.get("kind") == "pose" else {}
    usual = {"colour_order": "RGB", **IMAGENET, "unbiased": False}
    record: dict[str, Any] = json.loads(said["input"]) if "input" in said else usual
    if size := network.size or size_in(called):
        record |= {"height": size[0], "width": size[1]}
    record |= overrides.of_input()
    if "height" not in record or "width" not in record:
        raise WeightsError(f"{network.path}: nothing tells the size of its pictures; import it with --size 256x192")
    joints = network.joints(record["height"], record["width"])
    skeleton = skeleton_of(joints, called, network.path, overrides.skeleton or said.get("skeleton"))
    unsaid = {"kind": "pose", "source_file": called}
    unsaid["architecture"] = json.dumps(asdict(PoseArchitecture("onnx", joints)))
    return {**(said or unsaid), "input": json.dumps(record), "skeleton": skeleton}


def export_onnx(network: nn.Module, metadata: Mapping[str, str], path: Path) -> float:
    """Write the pose `network` to `path` as ONNX, for any number of pictures of the size that `metadata` tells.

    Returns the largest difference of its heatmaps from torch's, where their peaks are near 1; WeightsError
    when that is above `TOLERANCE`. `metadata` travels inside the file. OutputError when it cannot be
    written, DeviceError without the extra.
    """
    runtime = _runtime()
    record = json.loads(metadata["input"])
    size = record["height"], record["width"]
    try:
        import onnx
        import onnxscript  # noqa: F401  torch's exporter needs it
    except ImportError as error:
        raise DeviceError(f"export needs {error.name}: pip install 'posetrack[onnx]'") from None
    network = copy.deepcopy(network).eval()
    with tempfile.TemporaryDirectory(prefix="posetrack-") as folder:
        file = Path(folder) / "network.onnx"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter's talk about its own versions
            torch.onnx.export(
                network,
                (torch.zeros(2, 3, *size),),
                str(file),
                input_names=["images"],
                output_names=["heatmaps"],
                dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
                dynamo=True,
                external_data=False,
                verbose=False,
            )
        model = onnx.load(str(file))
        onnx.helper.set_model_props(model, dict(metadata))
        content = model.SerializeToString()
    difference = _difference(network, runtime.InferenceSession(content), size)
    if not difference <= TOLERANCE:
        raise WeightsError(f"{path}: the exported network differs from torch's by {difference:.1e}; not written")
    try:
        temporary = path.with_name(f".{path.name}.new")
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror})") from None
    return difference


def _difference(network: nn.Module, session: Any, size: tuple[int, int]) -> float:
    """The largest difference for one and for three pictures of noise; values above 1 count relatively."""
    generator = torch.Generator().manual_seed(0)
    worst = 0.0
    for count in (1, 3):
        images = torch.randn(count, 3, *size, generator=generator)
        with torch.inference_mode():
            wanted = network(images).numpy()
        (found,) = session.run(None, {"images": images.numpy()})
        worst = max(worst, float(np.abs(found - wanted).max() / max(1.0, np.abs(wanted).max())))
    return worst
