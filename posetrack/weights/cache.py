"""The cache: published weights by name, downloaded once, imported, pinned, and checked when they are used.

    FOLDER/NAME.safetensors    the weights in posetrack's form (NAME.onnx for an imported ONNX network)
    FOLDER/NAME.pin.json       hashes of the published file and of ours; stays when the weights are removed
    FOLDER/.NAME.part          a download on its way
    FOLDER/.NAME.lock          keeps other processes from doing the same at the same time

The folder is `--weights-dir`, else POSETRACK_HOME/weights, else the platform's cache. POSETRACK_MIRROR (a web
address or a folder that holds the published files) is asked instead of the publishers; POSETRACK_OFFLINE=1
never touches the network.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import platformdirs

from posetrack.errors import OutputError, WeightsError
from posetrack.weights.catalogue import Entry, catalogue, find_entry, shipped_folder
from posetrack.weights.containers import sha256_of

__all__ = [
    "Pin",
    "cache_folder",
    "cached",
    "find",
    "get",
    "install",
    "locked",
    "read_pin",
    "remove",
    "verify",
]

Report = Callable[[int, int | None], None]
Convert = Callable[[Path, Path, Entry], None]
"""Makes NAME.safetensors (second) of a published file (first)."""
Make = Callable[[Path, Path], "dict[str, str] | None"]
"""Makes the cached file (second) of another (first); gives what that does not say of itself."""

_NAME = re.compile(r"[A-Za-z0-9][\w.+-]*")
_SUFFIXES = (".safetensors", ".onnx")


@dataclass(frozen=True)
class Pin:
    """What was once found right: the published file's name, SHA-256 and size, and our file's."""

    source_file: str
    source_sha256: str
    source_size: int
    sha256: str
    size: int
    metadata: dict[str, str] = field(default_factory=dict)
    """What an ONNX file does not say of itself; empty for safetensors, which carry it."""


def cache_folder(folder: Path | None = None) -> Path:
    """Where cached weights lie: `folder` if given, else by POSETRACK_HOME, else the platform's cache
    folder."""
    if folder:
        return folder
    if home := os.environ.get("POSETRACK_HOME"):
        return Path(home).expanduser() / "weights"
    return platformdirs.user_cache_path("posetrack", appauthor=False) / "weights"


def cached(name: str, folder: Path | None = None) -> Path | None:
    """The file of the weights called `name` in the cache, None when they are not there."""
    paths = [cache_folder(folder) / f"{name}{suffix}" for suffix in _SUFFIXES]
    return next((path for path in paths if path.is_file()), None)


def find(name: str, folder: Path | None = None) -> Path:
    """The file of the weights called `name`, shipped or in the cache; WeightsError says how to get absent
    ones."""
    if name in catalogue() and catalogue()[name].shipped:
        return shipped_folder() / catalogue()[name].file
    if path := cached(name, folder):
        return path
    entry = find_entry(name)
    if entry.url:
        raise WeightsError(f"{name} is not on this machine ({entry.size_mb:.0f} MB); {how_to_get(entry)}")
    raise WeightsError(f"{name} is not on this machine; {how_to_get(entry)}")


def how_to_get(entry: Entry) -> str:
    """The command that brings absent weights to this machine."""
    if entry.url:
        return f"get it with `posetrack weights get {entry.name}`"
    return (
        f"it has no direct address: fetch {entry.file} ({entry.source}) by hand, then "
        f"`posetrack weights import {entry.file} --as {entry.name}`"
    )


def known_names(folder: Path | None = None) -> list[str]:
    """The names in the cache, sorted, those that the user gave among them."""
    place = cache_folder(folder)
    found = place.iterdir() if place.is_dir() else []
    return sorted(p.stem for p in found if p.suffix in _SUFFIXES and _NAME.fullmatch(p.stem))


def check_name(name: str) -> None:
    """WeightsError when `name` cannot be the name of imported weights."""
    if not _NAME.fullmatch(name) or Path(name).suffix in (*_SUFFIXES, ".pth", ".pt", ".tar"):
        raise WeightsError(f"'{name}' cannot be a name for weights; use letters, digits, '-', '_' and '.'")
    if name in catalogue() and catalogue()[name].shipped:
        raise WeightsError(f"'{name}' is the name of shipped weights; choose another")


def read_pin(name: str, folder: Path | None = None) -> Pin | None:
    """What is known for certain of the weights called `name`; None before their first download or import."""
    path = cache_folder(folder) / f"{name}.pin.json"
    try:
        return Pin(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise WeightsError(f"{path}: damaged ({error}); delete it and get {name} again") from None


@contextmanager
def locked(name: str, folder: Path, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Keeps other processes from changing `name` in `folder`; `waiting` is called once if one of them is at
    it."""
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / f".{name}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if waiting:
                waiting()
            lock.acquire()
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror}); choose another --weights-dir") from None
    try:
        yield
    finally:
        lock.release()


def _unwritable(folder: Path, error: OSError) -> OutputError:
    return OutputError(f"{folder}: cannot be written ({error.strerror}); choose another --weights-dir")


def get(
    name: str,
    convert: Convert,
    folder: Path | None = None,
    report: Report | None = None,
    waiting: Callable[[], None] | None = None,
) -> Path:
    """The file of the weights called `name`, downloaded and imported first when it is not in the cache.

    `convert` makes a weights file of the published one. Several processes that ask at once download once.
    Nothing lies under the final name before it is whole and checked. WeightsError, OutputError say what
    stopped it.
    """
    entry = find_entry(name)
    place = cache_folder(folder)
    if entry.shipped:
        return shipped_folder() / entry.file
    with locked(name, place, waiting):
        if path := cached(name, place):
            return path
        part = place / f".{name}.part"
        _bring(entry, part, read_pin(name, place), report)
        try:
            return install(name, part, lambda source, target: convert(source, target, entry), place, entry.file)
        finally:
            part.unlink(missing_ok=True)


def _bring(entry: Entry, part: Path, pin: Pin | None, report: Report | None) -> None:
    """The published file of `entry` at `part`, checked by its pin or by what the manifest has of its hash."""
    sha256 = pin.source_sha256 if pin else entry.sha256
    mirror = os.environ.get("POSETRACK_MIRROR", "")
    if mirror and "://" not in mirror:
        _copy(Path(mirror).expanduser() / entry.file, part, sha256)
        return
    url = f"{mirror.rstrip('/')}/{entry.file}" if mirror else entry.url
    if not url:
        raise WeightsError(f"{entry.name}: {how_to_get(entry)}")
    if os.environ.get("POSETRACK_OFFLINE", "") not in ("", "0"):
        raise WeightsError(
            f"{entry.name} is not on this machine and POSETRACK_OFFLINE is set; get {url} elsewhere, then "
            f"`posetrack weights import {entry.file} --as {entry.name}`"
        )
    from posetrack.weights.download import fetch

    fetch(url, part, sha256, report)


def _copy(source: Path, part: Path, sha256: str) -> None:
    if not source.is_file():
        raise WeightsError(f"{source}: not in the mirror; copy it there, or unset POSETRACK_MIRROR")
    try:
        shutil.copyfile(source, part)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise _unwritable(part.parent, error) from None
    if not sha256_of(part).startswith(sha256):
        found = sha256_of(part)
        part.unlink()
        raise WeightsError(f"{source}: its SHA-256 begins with {found[:8]}, not {sha256[:8]}; copy it again")


def install(
    name: str,
    source: Path,
    make: Make,
    folder: Path,
    source_file: str,
    suffix: str = ".safetensors",
) -> Path:
    """Make NAME.safetensors in `folder` of the checked file `source`, and pin both.

    The caller holds the lock of `name`.
    """
    temporary, final = folder / f".{name}.new{suffix}", folder / f"{name}{suffix}"
    try:
        unsaid = make(source, temporary) or {}
        before, after = source.stat().st_size, temporary.stat().st_size
        pin = Pin(source_file, sha256_of(source), before, sha256_of(temporary), after, unsaid)
        note = folder / f".{name}.pin.new"
        note.write_text(json.dumps(asdict(pin), indent=1) + "\n", encoding="utf-8")
        note.replace(folder / f"{name}.pin.json")
        temporary.replace(final)
    except OSError as error:
        raise _unwritable(folder, error) from None
    finally:
        temporary.unlink(missing_ok=True)
    return final


def remove(name: str, folder: Path | None = None) -> int:
    """Delete the weights called `name` from the cache; the bytes that this frees. The pin stays.

    WeightsError for shipped weights and for those that are not there.
    """
    if name in catalogue() and catalogue()[name].shipped:
        raise WeightsError(f"{name} is shipped with posetrack and stays")
    place = cache_folder(folder)
    path = cached(name, place)
    if path is None:
        raise WeightsError(f"{name} is not in {place}; `posetrack weights list` shows what is")
    with locked(name, place):
        size = path.stat().st_size
        path.unlink(missing_ok=True)
        if name not in catalogue():
            (place / f"{name}.pin.json").unlink(missing_ok=True)
    return size


def verify(name: str, folder: Path | None = None) -> tuple[Path, str]:
    """The file of `name` and its SHA-256, which was found to be the pinned one; WeightsError otherwise."""
    path = find(name, folder)
    digest = sha256_of(path)
    if path.parent == shipped_folder():
        wanted = catalogue()[name].sha256 or digest
    else:
        pin = read_pin(name, folder)
        if pin is None:
            raise WeightsError(f"{path}: was never checked (it has no {name}.pin.json); get or import it again")
        wanted = pin.sha256
    if digest != wanted:
        again = f"`posetrack weights remove {name}` and get it again"
        raise WeightsError(f"{path}: changed since it was checked; {again}")
    return path, digest
