"""PyTorch checkpoints from elsewhere, opened without running anything that is in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from posetrack.errors import WeightsError

__all__ = ["open_checkpoint"]


class _Ignored:
    """Stands for a bookkeeping object inside a checkpoint; it takes what it is given and does nothing."""

    def __init__(self, *arguments: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


_SCALAR = np.float64(0).__reduce__()[0]
"""numpy's function that makes a number of its bytes; numpy moved its home between versions."""

_ALLOWED: list[Any] = [
    np.dtype,
    np.dtypes.Float64DType,
    np.dtypes.Float32DType,
    np.dtypes.Int64DType,
    (_SCALAR, "numpy.core.multiarray.scalar"),
    (_SCALAR, "numpy._core.multiarray.scalar"),
    (_Ignored, "mmengine.logging.history_buffer.HistoryBuffer"),
]
"""What published checkpoints hold beside tensors, by name: numpy's numbers, and mmengine's training log,
which is read into a stand-in that ignores it. Everything else that torch does not take for data is
refused."""


def open_checkpoint(path: Path) -> dict[str, Tensor]:
    """The state dict in the checkpoint at `path`: bare, or under `state_dict` or `model` beside other things.

    Opened with `weights_only=True`, so that nothing in the file is run. WeightsError for a file that is
    truncated, holds objects that are not data, or holds no state dict.
    """
    try:
        with torch.serialization.safe_globals(_ALLOWED):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its readers meet in a damaged file
        raise WeightsError(f"{path}: {_what_is_wrong(error)}") from error
    return _state_dict(content, path)


def _what_is_wrong(error: Exception) -> str:
    text = str(error)
    refused = re.search(r"(?:GLOBAL|class|Global|function)\s+[`']?([\w.]+)", text)
    if "weights_only" in text.lower() and refused and "archive" not in text:
        return (
            f"holds an object ({refused[1]}) that could run code, so it is not opened; if you trust "
            "its maker, save the bare state_dict with the program that made it, and import that"
        )
    return "damaged or truncated, or no PyTorch checkpoint; copy or download it again"


def _state_dict(content: object, path: Path) -> dict[str, Tensor]:
    for key in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping):
        kind = type(content).__name__
        raise WeightsError(f"{path}: holds {kind}, not named tensors; give a file with a state_dict")
    state = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
    if not state:
        raise WeightsError(f"{path}: holds no tensors by name; give a file with a state_dict")
    return state
