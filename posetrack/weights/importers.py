"""Foreign state dicts renamed to ours: the reference implementation's, mmpose's 0.x and 1.x, torchvision's.

Plain functions from dict to dict (REFERENCE 4.3, 4.4). What a network is, is told from names and shapes;
every key that is missing, unexpected or of another shape is named in the error.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from posetrack.detector import DetectorArchitecture, build_detector
from posetrack.errors import WeightsError
from posetrack.pose.network import PoseArchitecture, build_pose_network
from posetrack.weights.catalogue import Kind, Layout

__all__ = ["Imported", "check_state", "import_state", "recognise_detector", "recognise_pose"]

State = Mapping[str, Tensor]
Architecture = PoseArchitecture | DetectorArchitecture


@dataclass(frozen=True, eq=False)
class Imported:
    """A foreign state dict after renaming: its tensors by our names, float ones in float32."""

    layout: Layout
    architecture: Architecture
    state: dict[str, Tensor]

    @property
    def kind(self) -> Kind:
        """'pose' or 'detector'."""
        return "pose" if isinstance(self.architecture, PoseArchitecture) else "detector"


def import_state(state: State, where: str = "state dict") -> Imported:
    """Our form of a foreign `state`, recognised from its keys and shapes.

    `where` names the file in errors. WeightsError for an unknown layout, or one that lists every missing,
    unexpected and misshapen key.
    """
    state = {key.removeprefix("module."): value for key, value in state.items()}
    layout = _layout(state, where)
    ours = _RENAMED[layout](state)
    found = recognise_detector(ours) if layout == "torchvision" else recognise_pose(ours, where)
    check_state(ours, found, where)
    return Imported(layout, found, {key: _plain(value) for key, value in ours.items() if not _counts(key)})


def _layout(state: State, where: str) -> Layout:
    def has(*starts: str) -> bool:
        return any(key.startswith(starts) for key in state)

    if has("roi_heads.", "rpn."):
        return "torchvision"
    if has("keypoint_head.", "head.deconv_layers.", "head.final_layer."):
        return "mmpose"
    if has("deconv_layers.", "final_layer."):
        return "microsoft"
    example = ", ".join(list(state)[:3])
    raise WeightsError(
        f"{where}: a network that posetrack does not know (its first keys are {example}); it imports Simple "
        "Baselines pose networks (the authors', mmpose's) and torchvision's Faster R-CNN and Keypoint R-CNN"
    )


def _from_mmpose(state: State) -> dict[str, Tensor]:
    """mmpose 0.x `backbone.` and `keypoint_head.`, 1.x `backbone.` and `head.`: pure renaming."""
    return {
        re.sub(r"^(backbone|keypoint_head|head)\.", "", key): value
        for key, value in state.items()
        if not key.startswith("data_preprocessor.")
    }


def _from_torchvision(state: State) -> dict[str, Tensor]:
    """Today's names; files of torchvision's early versions lack one level in the pyramid and the RPN."""
    renamed = {}
    for key, value in state.items():
        key = re.sub(r"^(backbone\.fpn\.(?:inner|layer)_blocks\.\d+)\.(weight|bias)$", r"\1.0.\2", key)
        renamed[re.sub(r"^rpn\.head\.conv\.(weight|bias)$", r"rpn.head.conv.0.0.\1", key)] = value
    return renamed


_RENAMED: dict[Layout, Callable[[State], dict[str, Tensor]]] = {
    "microsoft": dict,
    "mmpose": _from_mmpose,
    "torchvision": _from_torchvision,
}


def _counts(key: str) -> bool:
    """Whether `key` only counts training batches; files of old PyTorch versions lack it, inference ignores
    it."""
    return key.endswith("num_batches_tracked")


def _plain(value: Tensor) -> Tensor:
    return value.detach().float().contiguous() if value.is_floating_point() else value.detach().contiguous()


_BODIES = {
    (2, False): "resnet18",
    (6, False): "resnet34",
    (6, True): "resnet50",
    (23, True): "resnet101",
    (36, True): "resnet152",
}
"""The body by the number of blocks in layer3, and whether they are bottlenecks."""


def recognise_pose(state: State, where: str = "state dict") -> PoseArchitecture:
    """The ResNet, transposed convolutions and joints of a pose network's `state` in our names.

    Told by majority of what the keys say, so that one missing or misshapen key is named later and not
    mistaken for another architecture. WeightsError when the body is no ResNet of the paper.
    """
    blocks = {found[0] for key in state if (found := re.match(r"layer\d\.\d+\.", key))}
    bottlenecks = sum(f"{block}conv3.weight" in state for block in blocks)
    third = sum(block.startswith("layer3.") for block in blocks)
    body = _BODIES.get((third, 2 * bottlenecks > len(blocks)))
    if body is None:
        raise WeightsError(
            f"{where}: its body is no ResNet-18, 34, 50, 101 or 152 ({third} blocks in layer3); "
            "export it to ONNX with its own program and give the .onnx file"
        )
    numbers = [int(found[1]) for key in state if (found := re.match(r"deconv_layers\.(\d+)\.", key))]
    stages = range(max(numbers, default=6) // 3 + 1)
    filters, kernels = zip(*(_deconv(state, stage) for stage in stages), strict=True)
    joints, kernel = _final(state, filters[-1])
    biased = all(f"deconv_layers.{3 * stage}.bias" in state for stage in stages)
    return PoseArchitecture(body, joints, filters, kernels, final_kernel=kernel, deconv_bias=biased)


def _final(state: State, channels: int) -> tuple[int, int]:
    """Joints and kernel of the last convolution; its bias tells the joints where the weight fits no kernel."""
    weight, bias = state.get("final_layer.weight"), _lengths(state, "final_layer.bias")
    if weight is not None and tuple(weight.shape[1:]) in [(channels, 1, 1), (channels, 3, 3)]:
        return weight.shape[0], weight.shape[3]
    return _most(bias) or 17, 1


def _deconv(state: State, stage: int) -> tuple[int, int]:
    """Filters and kernel of transposed convolution `stage`."""
    norm = f"deconv_layers.{3 * stage + 1}"
    votes = _lengths(state, f"{norm}.weight", f"{norm}.bias", f"{norm}.running_mean", f"{norm}.running_var")
    weight = state.get(f"deconv_layers.{3 * stage}.weight")
    if weight is None or weight.dim() != 4 or weight.shape[3] not in (2, 3, 4):
        return _most(votes) or 256, 4
    return _most([weight.shape[1], *votes]), weight.shape[3]


def _lengths(state: State, *keys: str) -> list[int]:
    """The first dimension of each of `keys` that is there and has one."""
    return [value.shape[0] for key in keys if (value := state.get(key)) is not None and value.dim() > 0]


def _most(votes: Iterable[int]) -> int:
    return next((value for value, _ in Counter(votes).most_common(1)), 0)


def recognise_detector(state: State) -> DetectorArchitecture:
    """torchvision's variant of a detector's `state`.

    The two MobileNetV3 variants have the same keys and shapes: they are told apart by the file, so this gives
    the one of 800 pixels.
    """
    if any(key.startswith("roi_heads.keypoint_head.") for key in state):
        name = "keypointrcnn_resnet50_fpn"
    elif any(key.startswith("roi_heads.box_head.0.") for key in state):
        name = "fasterrcnn_resnet50_fpn_v2"
    elif any(key.startswith("backbone.body.layer1.") for key in state):
        name = "fasterrcnn_resnet50_fpn"
    else:
        name = "fasterrcnn_mobilenet_v3_large_fpn"
    usual = 2 if name.startswith("keypoint") else 91
    scores = "roi_heads.box_predictor.cls_score"
    classes = _most(_lengths(state, f"{scores}.weight", f"{scores}.bias")) or usual
    return DetectorArchitecture(name, None if classes == usual else classes)


def check_state(state: State, architecture: Architecture, where: str) -> None:
    """WeightsError that names every key of `state` that the network lacks, misses or has in another shape."""
    wanted = _shapes(architecture)
    given = {key: tuple(value.shape) for key, value in state.items() if not _counts(key)}
    faults = [f"missing {key}" for key in wanted if key not in given]
    faults += [f"unexpected {key}" for key in given if key not in wanted]
    faults += [
        f"misshapen {key}: {list(given[key])} where {list(wanted[key])} belongs"
        for key in wanted
        if key in given and given[key] != wanted[key]
    ]
    if faults:
        name = architecture.body if isinstance(architecture, PoseArchitecture) else architecture.name
        raise WeightsError(f"{where}: does not fit {name}: {'; '.join(faults)}")


@functools.cache
def _shapes(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor that the network must get."""
    with torch.device("meta"):
        network: nn.Module = (
            build_pose_network(architecture)
            if isinstance(architecture, PoseArchitecture)
            else build_detector(architecture)
        )
    return {key: tuple(value.shape) for key, value in network.state_dict().items() if not _counts(key)}
