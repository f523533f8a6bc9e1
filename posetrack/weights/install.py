"""Weights brought into the cache: downloaded by name, or imported from a file."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import torch

from posetrack.errors import WeightsError
from posetrack.weights import cache
from posetrack.weights.catalogue import Entry, catalogue
from posetrack.weights.containers import container, sha256_of
from posetrack.weights.files import load_weights, save_weights
from posetrack.weights.foreign import UNSAID, Overrides, read_foreign
from posetrack.weights.onnx import OnnxHeatmaps, onnx_metadata

__all__ = ["get_weights", "import_file"]


def get_weights(
    name: str,
    folder: Path | None = None,
    report: Callable[[int, int | None], None] | None = None,
    waiting: Callable[[], None] | None = None,
) -> Path:
    """The file of the weights called `name`, downloaded first when it is not here (see cache.get)."""
    return cache.get(name, _convert, folder, report, waiting)


def _convert(source: Path, target: Path, entry: Entry) -> None:
    foreign = read_foreign(source, UNSAID, entry, entry.file)
    save_weights(target, foreign.state, foreign.metadata, torch.float32)


def import_file(path: Path, name: str, overrides: Overrides = UNSAID, folder: Path | None = None) -> Path:
    """Put the weights file at `path` into the cache as `name`; the new file.

    `name` may be one of the catalogue, then `path` must be that very file (by its hash, where one is known).
    `overrides` says what the file does not. WeightsError as for load_weights, and when `name` is taken.
    """
    cache.check_name(name)
    place = cache.cache_folder(folder)
    if there := cache.cached(name, place):
        raise WeightsError(f"{there} is there already; `posetrack weights remove {name}` first, or choose another name")
    packing = container(path)
    entry = catalogue().get(name)
    if entry:
        _check_published(path, entry)

    def make(source: Path, target: Path) -> dict[str, str] | None:
        if packing == "torch":
            foreign = read_foreign(source, overrides, entry, path.name)
            save_weights(target, foreign.state, foreign.metadata, torch.float32)
            return None
        shutil.copyfile(source, target)
        if packing == "onnx":
            return onnx_metadata(OnnxHeatmaps(target), path.name, overrides)
        load_weights(target)
        return None

    suffix = ".onnx" if packing == "onnx" else ".safetensors"
    with cache.locked(name, place):
        return cache.install(name, path, make, place, path.name, suffix)


def _check_published(path: Path, entry: Entry) -> None:
    digest = sha256_of(path)
    if not digest.startswith(entry.sha256):
        raise WeightsError(
            f"{path}: not the published {entry.file}: its SHA-256 begins with {digest[:8]}, not "
            f"{entry.sha256[:8]}; copy it again, or import it under a name of your own"
        )
