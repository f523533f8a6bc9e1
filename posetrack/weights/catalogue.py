"""The catalogue: every published checkpoint that posetrack knows by name, from weights/manifest.toml."""

from __future__ import annotations

import difflib
import functools
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from posetrack.errors import WeightsError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Entry", "Kind", "Layout", "catalogue", "find_entry", "read_catalogue", "shipped_folder"]

Kind = Literal["pose", "detector"]
Layout = Literal["posetrack", "microsoft", "mmpose", "torchvision", "imported"]
"""Whose names a file's tensors have; posetrack's are shipped, imported ones lie in the cache."""


@dataclass(frozen=True)
class Entry:
    """One checkpoint: what it is, where it is got, and what its publisher says of it.

    `sha256` is whole, or the first digits that the publisher puts into the file name, or empty. `url` is
    empty for shipped files and for those that have no direct address. `architecture` and `input` are as in
    the metadata of a weights file; `parameters` in millions, `gflops` for one input, `size_mb` in 10^6 bytes.
    """

    name: str
    kind: Kind
    layout: Layout
    file: str
    architecture: Mapping[str, Any]
    input: Mapping[str, Any]
    licence: str
    source: str
    skeleton: str = ""
    url: str = ""
    sha256: str = ""
    size_mb: float = 0.0
    parameters: float = 0.0
    gflops: float = 0.0
    score: str = ""
    data: str = ""
    training_data: str = ""

    @property
    def shipped(self) -> bool:
        """Whether the file comes with posetrack."""
        return self.layout == "posetrack"


def shipped_folder() -> Path:
    """Where the shipped networks and the manifest lie: in the installed package, or in the checkout."""
    installed = Path(__file__).parents[1] / "shipped"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "weights"


@functools.cache
def catalogue() -> Mapping[str, Entry]:
    """The shipped manifest's entries by name, in its order."""
    return read_catalogue(shipped_folder() / "manifest.toml")


def read_catalogue(path: Path) -> dict[str, Entry]:
    """The entries of the manifest at `path` by name; WeightsError names the entry and field that is wrong."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path}: no readable manifest ({error}); install posetrack again") from None
    inputs = document.get("input", {})
    entries = {}
    for row in document.get("weights", []):
        entry = _entry(path, row, inputs)
        entries[entry.name] = entry
    return entries


def _entry(path: Path, row: dict[str, Any], inputs: dict[str, Any]) -> Entry:
    """One table of the manifest; `like` in its input names the shared table that it completes."""
    own = dict(row.get("input", {}))
    shared = inputs.get(own.pop("like", ""), {})
    values = {**row, "input": {**shared, **own}}
    try:
        return Entry(**values)
    except TypeError as error:
        said = str(error).split("__init__() ")[-1]
        raise WeightsError(f"{path}: weights '{row.get('name', '?')}': {said}") from None


def find_entry(name: str) -> Entry:
    """The entry called `name`; WeightsError with the nearest names when there is none."""
    entries = catalogue()
    if name in entries:
        return entries[name]
    near = difflib.get_close_matches(name, entries, 3, 0.6)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise WeightsError(f"no weights called '{name}' and no such file; {hint}`posetrack weights list` shows all")
