"""Network weights: files, the catalogue of published ones, their cache, importers and ONNX.

Nothing here imports torch before weights are opened, so that the catalogue can be listed at once.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from posetrack.weights.files import Weights, load_weights, save_weights, shipped

__all__ = ["Weights", "load_weights", "save_weights", "shipped"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'posetrack.weights' has no attribute '{name}'")
    return getattr(importlib.import_module("posetrack.weights.files"), name)
