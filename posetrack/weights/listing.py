"""What there is to choose from: the catalogue, the shipped networks, and what the user imported. Loads no torch."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

from posetrack.errors import WeightsError
from posetrack.weights.cache import cached, known_names, read_pin
from posetrack.weights.catalogue import Entry, Kind, catalogue, shipped_folder
from posetrack.weights.containers import read_header, read_metadata

__all__ = ["Here", "Listed", "known_weights", "state_of"]

Here = Literal["shipped", "yes", "no"]


@dataclass(frozen=True)
class Listed:
    """One network by name, and whether it is on this machine."""

    entry: Entry
    here: Here


def known_weights(folder: Path | None = None) -> list[Listed]:
    """Every network that has a name: shipped and published ones, then the user's own in the cache `folder`."""
    published = [Listed(_told_by_file(entry), state_of(entry, folder)) for entry in catalogue().values()]
    return [*published, *(Listed(entry, "yes") for entry in _own(folder))]


def state_of(entry: Entry, folder: Path | None = None) -> Here:
    """Whether the weights of `entry` are shipped, in the cache, or not here."""
    if entry.shipped:
        return "shipped" if (shipped_folder() / entry.file).is_file() else "no"
    return "yes" if cached(entry.name, folder) else "no"


def _told_by_file(entry: Entry) -> Entry:
    """A shipped network's entry as its file's header has it, since training replaces the file now and then."""
    path = shipped_folder() / entry.file
    return _described(entry, path, read_metadata(path)) if entry.shipped and path.is_file() else entry


def _own(folder: Path | None) -> Iterator[Entry]:
    """What the user imported under names of their own; damaged files among them are listed as such."""
    for name in known_names(folder):
        path = cached(name, folder)
        if name in catalogue() or path is None:
            continue
        entry = Entry(name, "pose", "imported", path.name, {}, {}, "", "damaged")
        try:
            pin = read_pin(name, folder)
            metadata = read_metadata(path) if path.suffix == ".safetensors" else (pin.metadata if pin else {})
            kind: Kind = "detector" if metadata.get("kind") == "detector" else "pose"
            source = f"imported {pin.source_file}" if pin else "unchecked"
            entry = replace(entry, kind=kind, licence=metadata.get("licence", ""), source=source)
            yield _described(entry, path, metadata)
        except WeightsError:
            yield entry


def _described(entry: Entry, path: Path, metadata: Mapping[str, str]) -> Entry:
    """`entry` with what the file at `path` and its `metadata` tell."""
    scores = json.loads(metadata.get("scores", "{}"))
    return replace(
        entry,
        architecture=json.loads(metadata.get("architecture", "{}")),
        input=json.loads(metadata.get("input", "{}")),
        skeleton=metadata.get("skeleton", ""),
        size_mb=path.stat().st_size / 1e6,
        parameters=_parameters(path) / 1e6 if path.suffix == ".safetensors" else 0.0,
        gflops=float(metadata.get("gflops", entry.gflops)),
        score=_score(scores),
        data=str(scores.get("data", "")),
    )


def _score(scores: Mapping[str, Any]) -> str:
    """The one figure that says most: as published, else AP, else AP50."""
    if "published" in scores:
        return str(scores["published"])
    name = next((name for name in ("ap", "ap50") if isinstance(scores.get(name), float)), "")
    return f"{name.upper()} {100 * scores[name]:.1f}" if name else ""


def _parameters(path: Path) -> int:
    """How many numbers training learned: all but the running statistics of batch norms."""
    tensors = cast(dict[str, Any], read_header(path))
    return sum(
        math.prod(tensor["shape"]) for key, tensor in tensors.items() if key != "__metadata__" and "running_" not in key
    )
