"""What kind of file this is, told from its first bytes, and the strict reading of safetensors headers."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from posetrack.errors import WeightsError

__all__ = ["Container", "container", "read_header", "read_metadata", "sha256_of", "with_metadata"]

Container = Literal["safetensors", "torch", "onnx"]

_LARGEST_HEADER = 100_000_000
"""The format's own limit for a safetensors header, in bytes."""


def container(path: Path) -> Container:
    """How the weights file at `path` is packed; WeightsError says what it is when it is none."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(512)
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such weights file") from None
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror})") from None
    if size == 0:
        raise WeightsError(f"{path}: the file is empty; copy or download it again")
    if len(head) > 8 and head[8:9] == b"{" and struct.unpack("<Q", head[:8])[0] < _LARGEST_HEADER:
        return "safetensors"
    if head.startswith((b"PK\x03\x04", b"\x80\x02")) or head[257:262] == b"ustar":
        return "torch"
    if path.suffix == ".onnx" and head[:1] == b"\x08":
        return "onnx"
    raise WeightsError(f"{path}: {_guess(head, path)}")


def _guess(head: bytes, path: Path) -> str:
    """What a file that holds no weights seems to be, and what to do."""
    start = head.lstrip()[:64].lower()
    if head.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the weights; fetch the file itself with `git lfs pull`"
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "a web page, not weights; the download went wrong, get the file again"
    if path.suffix == ".safetensors":
        return "no safetensors file (its header is damaged); copy or download it again"
    return "no weights file; posetrack reads .safetensors, PyTorch checkpoints (.pth, .pt, .tar) and .onnx"


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata in the header of the safetensors file at `path`, without its tensors and without torch.

    WeightsError for a file that is no safetensors file or is shorter or longer than its header says.
    """
    if container(path) != "safetensors":
        raise WeightsError(f"{path}: no safetensors file; `posetrack weights import` makes one of it")
    header, end = _header_and_end(path)
    size = path.stat().st_size
    if size < end:
        raise WeightsError(f"{path}: truncated, {size} of {end} bytes; copy or download it again")
    if size > end:
        raise WeightsError(f"{path}: {size - end} bytes more than its header says; copy or download it again")
    metadata = header.get("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise WeightsError(f"{path}: the metadata in its header is damaged; copy or download it again")
    return dict(metadata)


def read_header(path: Path) -> dict[str, object]:
    """The header of the safetensors file at `path`: dtype, shape and place of each tensor, and `__metadata__`."""
    return _header_and_end(path)[0]


def _header_and_end(path: Path) -> tuple[dict[str, object], int]:
    """The parsed header, and where the file must end by what it says."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(length))
        tensors = [value for key, value in header.items() if key != "__metadata__"]
        return header, 8 + length + max((int(tensor["data_offsets"][1]) for tensor in tensors), default=0)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        raise WeightsError(f"{path}: its header is truncated or damaged; copy or download it again") from None


def with_metadata(content: bytes, metadata: Mapping[str, str]) -> bytes:
    """The safetensors file `content`, which has no metadata, with `metadata` in its header.

    The library itself writes them in another order each time; here equal weights are equal files.
    """
    (length,) = struct.unpack("<Q", content[:8])
    header = {"__metadata__": dict(sorted(metadata.items())), **json.loads(content[8 : 8 + length])}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + content[8 + length :]


def sha256_of(path: Path) -> str:
    """The SHA-256 of the file at `path`, in hex."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
