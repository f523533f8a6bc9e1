"""One file fetched over HTTP: resumed where it broke off, checked, and never under its final name before."""

from __future__ import annotations

import errno
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from posetrack.errors import OutputError, WeightsError
from posetrack.weights.containers import sha256_of

__all__ = ["Patience", "Report", "fetch"]

Report = Callable[[int, int | None], None]
"""Told the bytes that are there and, where known, how many there will be."""


@dataclass(frozen=True)
class Patience:
    """How long a server is waited for: seconds to connect and between two pieces, and fruitless tries in a
    row."""

    connect: float = 15.0
    read: float = 30.0
    tries: int = 5
    pause: float = 1.0


class _Interrupted(Exception):
    """The transfer broke off; what came so far is kept and continued."""


def fetch(
    url: str, part: Path, sha256: str = "", report: Report | None = None, patience: Patience = Patience()
) -> None:
    """Bring the file at `url` to `part`, continuing what is there, until its SHA-256 begins with `sha256`.

    A transfer that breaks off is resumed by range, or begun again where the server has no ranges; proxies are
    those of the environment. WeightsError names the address and the cause; after a wrong hash `part` is gone.
    OutputError when the disk is full.
    """
    resumed = part.exists()
    _transfer(url, part, report, patience)
    if resumed and not _matches(part, sha256):
        part.unlink()  # what was there may have been another file's beginning
        _transfer(url, part, report, patience)
    if not _matches(part, sha256):
        found, size = sha256_of(part), part.stat().st_size
        part.unlink()
        raise WeightsError(
            f"{url}: not the published file: its SHA-256 begins with {found[:8]}, not {sha256[:8]} "
            f"({size} bytes came); try again later, or set POSETRACK_MIRROR to another place that has it"
        )


def _matches(part: Path, sha256: str) -> bool:
    return not sha256 or sha256_of(part).startswith(sha256)


def _transfer(url: str, part: Path, report: Report | None, patience: Patience) -> None:
    """Try until the file is whole; give up after `patience.tries` tries that brought nothing new."""
    timeout = httpx.Timeout(patience.read, connect=patience.connect)
    fruitless, most = 0, _size(part)
    try:
        client = httpx.Client(timeout=timeout, follow_redirects=True, max_redirects=10)
    except (ImportError, ValueError) as error:
        raise WeightsError(f"the proxy that the environment names cannot be used ({error}); correct it") from None
    with client:
        while True:
            try:
                return _try(client, url, part, report)
            except (_Interrupted, httpx.TransportError) as error:
                fruitless = 0 if _size(part) > most else fruitless + 1
                most = max(most, _size(part))
                if fruitless >= patience.tries:
                    raise WeightsError(f"{url}: {_cause(error)}; check the connection and get it again") from None
                time.sleep(patience.pause * fruitless)


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _cause(error: Exception) -> str:
    if isinstance(error, httpx.ConnectTimeout | httpx.ConnectError):
        return "cannot be reached"
    if isinstance(error, httpx.TimeoutException):
        return "the server stopped sending"
    return f"the transfer broke off ({error})"


def _try(client: httpx.Client, url: str, part: Path, report: Report | None) -> None:
    """One request from where `part` ends to the end of the file."""
    start = _size(part)
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={start}-"} if start else {})}
    try:
        with client.stream("GET", url, headers=headers) as response:
            _check_answer(response, url)
            if response.status_code == 416:
                whole = response.headers.get("Content-Range", "") == f"bytes */{start}"
                if whole:
                    return
                part.unlink()
                raise _Interrupted("the server has no such range")
            if response.status_code != 206 or not _continues(response, start):
                start = 0
            _receive(response, part, start, report)
    except httpx.TooManyRedirects:
        raise WeightsError(
            f"{url}: the server only sends on to other addresses; set POSETRACK_MIRROR, or get the file another "
            "way and `posetrack weights import` it"
        ) from None
    except (httpx.InvalidURL, httpx.UnsupportedProtocol):
        raise WeightsError(f"{url}: no address that can be fetched; check POSETRACK_MIRROR") from None


def _check_answer(response: httpx.Response, url: str) -> None:
    code = response.status_code
    if code in (200, 206, 416):
        if urlsplit(url).scheme == "https" and response.url.scheme != "https":
            raise WeightsError(f"{url}: the server sends on to an unencrypted address; not followed")
        return
    if code in (408, 425, 429) or code >= 500:
        raise _Interrupted(f"the server answers {code} {response.reason_phrase}")
    raise WeightsError(
        f"{url}: the server answers {code} {response.reason_phrase}; the file may have moved: set "
        "POSETRACK_MIRROR, or get it another way and `posetrack weights import` it"
    )


def _continues(response: httpx.Response, start: int) -> bool:
    return str(response.headers.get("Content-Range", "")).startswith(f"bytes {start}-")


def _receive(response: httpx.Response, part: Path, start: int, report: Report | None) -> None:
    length = response.headers.get("Content-Length", "")
    total = start + int(length) if length.isdigit() else None
    done = start
    try:
        _check_room(part, (total or done) - done)
        with part.open("r+b" if start else "wb") as file:
            file.seek(start)
            for piece in response.iter_raw():
                file.write(piece)
                file.flush()  # what came is kept if this process ends here
                done += len(piece)
                if report:
                    report(done, total)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            part.unlink(missing_ok=True)
            raise OutputError(_no_room(part, total)) from None
        raise OutputError(
            f"{part.parent}: cannot be written ({error.strerror}); choose another --weights-dir"
        ) from None
    if total is not None and done != total:
        raise _Interrupted(f"{done} of {total} bytes came")


def _check_room(part: Path, wanted: int) -> None:
    if shutil.disk_usage(part.parent).free < wanted:
        raise OSError(errno.ENOSPC, "no space left")


def _no_room(part: Path, total: int | None) -> str:
    needs = f" for {total / 1e6:.0f} MB" if total else ""
    return f"{part.parent}: no room{needs} on this disk; free some, or choose another place with --weights-dir"
