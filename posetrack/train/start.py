"""Where training starts from: whatever of a weights file fits the network."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from posetrack.errors import WeightsError
from posetrack.weights.checkpoints import open_checkpoint

__all__ = ["start_from"]

_PREFIXES = ("module.", "backbone.", "keypoint_head.", "head.", "model.", "features.")
"""What other projects put before the names of body and head."""


def start_from(network: nn.Module, path: Path) -> list[str]:
    """Give `network` what fits, by name and shape, of the weights at `path`; the names that it took.

    `path` is a safetensors file or a PyTorch checkpoint (opened without running what is in it) of a whole
    network, an ImageNet classifier, or a body alone. WeightsError when it is not there or nothing in it fits.
    """
    if not path.exists():
        raise WeightsError(f"{path}: no such weights to start from")
    try:
        state = load_file(path) if path.suffix == ".safetensors" else open_checkpoint(path)
    except SafetensorError as error:
        raise WeightsError(f"{path}: damaged ({error}); copy or download it again") from error
    own = network.state_dict()
    fitting: dict[str, Tensor] = {}
    for name, value in state.items():
        for prefix in _PREFIXES:
            name = name.removeprefix(prefix)
        for key in (name, f"body.{name}"):
            if key in own and own[key].shape == value.shape:
                fitting[key] = value.to(own[key].dtype)
    if not any(value.ndim > 1 for value in fitting.values()):
        raise WeightsError(f"{path}: nothing in it fits {type(network).__name__}; is it of another body?")
    network.load_state_dict(fitting, strict=False)
    return sorted(fitting)
