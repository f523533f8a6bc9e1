"""Files in object stores and on other remote file systems (s3://, gs://, sftp:// ...): fsspec, the extra `remote`.

What FFmpeg reads itself (http, rtsp ...) is none of it. Files are read in ranges, as they are asked for; what is
written appears whole under its name or not at all. fsspec is imported when the first such name is used.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import platformdirs

from posetrack.errors import InputError, OutputError, PosetrackError

__all__ = ["LIVE_SCHEMES", "RemoteFile", "Shelf", "find", "is_remote", "local_name", "read_bytes"]

LIVE_SCHEMES = frozenset({"rtsp", "rtsps", "rtmp", "rtmps", "rtp", "udp", "srt", "tcp"})
_FFMPEGS_OWN = LIVE_SCHEMES | {"file", "ftp", "hls", "http", "https", "mms", "mmsh", "mmst", "pipe", "rtmpe", "rtmpt"}
_BLOCK = 4 << 20
"""Bytes read ahead at a time: a request costs an object store about as long as a megabyte."""
_WHOLE = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "oci"})
"""Stores in which an object appears when its last byte is there; elsewhere a file is renamed to its final name."""
_INSTALLS = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
    "sftp": "paramiko",
}


def is_remote(name: str) -> bool:
    """Whether a source or target is one for fsspec."""
    return "://" in name and name.split("://")[0].lower() not in _FFMPEGS_OWN


def local_name(name: str) -> str:
    """The path of a file:// URL; other names as they are."""
    return url2pathname(urlsplit(name).path) if name.lower().startswith("file://") else name


class RemoteFile:
    """A remote file, open for reading at any place; InputError where it is absent, not for us, or breaks off.

    One that can only be read from its begin to its end is fetched first.
    """

    def __init__(self, url: str) -> None:
        self.name, self._broken = url, False
        with _told(url, InputError, "read"):
            system, path = _system(url)
            self._file: IO[bytes] = system.open(path, "rb", block_size=_BLOCK)
            if not self._file.seekable():
                with self._file as stream:
                    self._file = tempfile.TemporaryFile()  # noqa: SIM115
                    shutil.copyfileobj(stream, self._file)
            self.size = self._file.seek(0, os.SEEK_END)
            self._file.seek(0)

    def read(self, size: int = -1) -> bytes:
        """The next `size` bytes, or what is left; nothing more once it broke off, which FFmpeg would ask for again."""
        if self._broken:
            return b""
        self._broken = True
        with _told(self.name, InputError, "read"):
            data = self._file.read(size)
        self._broken = False
        return data

    def seek(self, place: int, whence: int = 0) -> int:
        """Go to a place; gives it, in bytes from the begin."""
        with _told(self.name, InputError, "read"):
            return self._file.seek(place, whence)

    def tell(self) -> int:
        """Where the next byte comes from."""
        return self._file.tell()

    def __del__(self) -> None:
        with suppress(Exception):  # not even opened, or the program ends
            self._file.close()


def read_bytes(url: str) -> bytes:
    """All of a remote file."""
    with _told(url, InputError, "read"):
        system, path = _system(url)
        return bytes(system.cat_file(path))


def find(url: str) -> list[str] | None:
    """The files in a remote folder or those that a pattern fits, as URLs; None where `url` is the name of a file."""
    with _told(url, InputError, "listed"):
        system, path = _system(url)
        if re.search(r"[*?\[]", path):
            found = [name for name, about in system.glob(path, detail=True).items() if about["type"] == "file"]
        elif system.isdir(path):
            found = [about["name"] for about in system.ls(path, detail=True) if about["type"] == "file"]
        else:
            return None
        return [system.unstrip_protocol(name) for name in found]


class Shelf:
    """A remote folder that results are put on as soon as they are whole.

    Meanwhile they are made in `folder` on this machine, always the same for the same `url`, so that an interrupted run
    can go on. `url` may also be that of the one .json file to be made.
    """

    def __init__(self, url: str) -> None:
        self.url, _, self.file = url.rpartition("/") if url.endswith(".json") else (url.rstrip("/"), "", "")
        home = os.environ.get("POSETRACK_HOME")
        cache = Path(home) if home else platformdirs.user_cache_path("posetrack", appauthor=False)
        self.folder = cache / "remote" / hashlib.sha256(self.url.encode()).hexdigest()[:16]

    @property
    def output(self) -> Path:
        """Where results are made: the folder, or the one file."""
        return self.folder / self.file if self.file else self.folder

    def place(self, path: Path) -> str:
        """The URL of what is made at `path`."""
        return f"{self.url}/{path.name}"

    def names(self) -> set[str]:
        """What is on the shelf; OutputError where that cannot be told."""
        with _told(self.url, OutputError, "listed"):
            system, folder = _system(self.url)
            try:
                return {name.rstrip("/").rpartition("/")[2] for name in system.ls(folder, detail=False)}
            except FileNotFoundError:
                return set()

    def fetch(self, path: Path) -> None:
        """Bring what is made at `path` back from the shelf, if it is there and not here."""
        if not path.exists() and path.name in self.names():
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh = path.with_name(path.name + ".new")
            fresh.write_bytes(read_bytes(self.place(path)))
            os.replace(fresh, path)

    def put(self, path: Path, *, overwrite: bool = False, keep: bool = False) -> None:
        """Put the file at `path` on the shelf, and remove it here unless it is to `keep`.

        OutputError where it exists there and `overwrite` is not set, or it cannot be written; it is kept here then.
        """
        url = self.place(path)
        if not path.exists():
            raise OutputError(
                f"{path}: was made on another machine; set POSETRACK_HOME to a folder that all machines see"
            )
        try:
            with _told(url, OutputError, "written"):
                _put(path, url, overwrite)
        except OutputError as error:
            raise OutputError(f"{error}; the result is kept as {path}") from error
        if not keep:
            path.unlink()


def _put(path: Path, url: str, overwrite: bool) -> None:
    system, name = _system(url)
    if not overwrite and system.exists(name):
        raise _Refused("has come to exist meanwhile", "allow --overwrite")
    if url.split("://")[0].lower() in _WHOLE:
        system.put_file(str(path), name)
        return
    parent = name.rpartition("/")[0]
    if parent:
        system.makedirs(parent, exist_ok=True)
    fresh = f"{name}.new"
    try:
        system.put_file(str(path), fresh)
        system.mv(fresh, name)
    except BaseException:
        with suppress(Exception):
            system.rm_file(fresh)
        raise


def _system(url: str) -> tuple[Any, str]:
    """fsspec's file system for a URL, and the name in it."""
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise _Refused("is remote, and fsspec is not installed", "pip install 'posetrack[remote]'") from error
    scheme = url.split("://")[0].lower()
    try:
        system, name = url_to_fs(url)
    except ImportError as error:
        package = _INSTALLS.get(scheme)
        wants = f"pip install {package}" if package else " ".join(str(error).split())
        raise _Refused(f"needs a package for {scheme}://", wants) from error
    except ValueError as error:
        raise _Refused(f"{scheme}:// is no protocol that fsspec knows", "check the address") from error
    system.invalidate_cache()
    return system, name


class _Refused(Exception):
    """What is wrong with a URL, and what to do; it never leaves this room."""


@contextmanager
def _told(url: str, kind: type[PosetrackError], done: str) -> Iterator[None]:
    """Errors of any store as `kind`, in one line: their drivers raise what they like."""
    try:
        yield
    except PosetrackError:
        raise
    except _Refused as problem:
        what, todo = problem.args
        raise kind(f"{url}: {what}; {todo}") from problem.__cause__
    except FileNotFoundError as error:
        what = "place" if done == "written" else "file"
        raise kind(f"{url}: there is no such {what} in the store; check the name") from error
    except PermissionError as error:
        raise kind(f"{url}: cannot be {done}, the store denies it; check your credentials and its rights") from error
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise kind(f"{url}: cannot be {done} ({reason[:200]}); check the address and the network") from error
