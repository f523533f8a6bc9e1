"""A web server for one page on one machine: loopback only, a secret in its address, nothing from elsewhere.

    http://127.0.0.1:PORT/TOKEN/            the page
    http://127.0.0.1:PORT/TOKEN/page.js     its own files, by name
    http://127.0.0.1:PORT/TOKEN/state       what `Site.gets` answers; `Site.posts` take JSON

Who doesn't know the token gets 403, and so does a request that another site sent or that came under another host's
name (which is how a foreign page would reach a loopback server), and every path that is not in the site.
"""

from __future__ import annotations

import os
import re
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import IO, Any
from urllib.parse import parse_qsl, urlsplit

import orjson

from posetrack.errors import InputError, PosetrackError

__all__ = ["LoopbackServer", "Query", "Reply", "Site", "as_json", "page_files"]

Query = Mapping[str, str]

_KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_RANGE = re.compile(r"bytes=(?=.*\d)(\d*)-(\d*)", re.ASCII)
_MOST_POSTED = 1 << 16
_CHUNK = 1 << 18
_NOTHING = "/"
"""No name of a site: names have no slashes."""


@dataclass(frozen=True)
class Reply:
    """What a request is answered with: `body`, or the `file`, of which parts can be asked for."""

    body: bytes = b""
    kind: str = "application/json"
    status: int = 200
    file: Path | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def as_json(value: Any, status: int = 200) -> Reply:
    """`value` as a JSON reply."""
    return Reply(orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY), status=status)


@dataclass(frozen=True)
class Site:
    """What a server has: the page's own files and functions, all by the last part of their address.

    `gets` are asked with the address's query, `posts` with the JSON object that was sent. A PosetrackError of theirs
    becomes {"error": its text} with status 409.
    """

    pages: Mapping[str, Reply]
    gets: Mapping[str, Callable[[Query], Reply]]
    posts: Mapping[str, Callable[[Mapping[str, Any]], Reply]] = field(default_factory=dict)


def page_files(start: str) -> dict[str, Reply]:
    """The files of posetrack/review/page by name; `start` (an HTML file) also under no name."""
    folder = files("posetrack.review") / "page"
    pages = {
        entry.name: Reply(entry.read_bytes(), f"{_KINDS[Path(entry.name).suffix]}; charset=utf-8")
        for entry in folder.iterdir()
        if Path(entry.name).suffix in _KINDS
    }
    return {**pages, "": pages[start]}


class LoopbackServer(ThreadingHTTPServer):
    """Serves `site` on 127.0.0.1 at `port` (0: any that is free) under a new random token.

    InputError when the port is taken.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, site: Site, port: int = 0) -> None:
        self.site = site
        self.token = secrets.token_urlsafe(24)
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except OSError as error:
            raise InputError(f"port {port} cannot be used ({error.strerror}); give another --port") from error

    @property
    def url(self) -> str:
        """The address of the page, with the token."""
        return f"http://127.0.0.1:{self.server_port}/{self.token}/"

    @property
    def hosts(self) -> tuple[str, str]:
        """The names under which this server may be called."""
        return f"127.0.0.1:{self.server_port}", f"localhost:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away in the middle of an answer is nothing to tell of; anything else is."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: LoopbackServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "posetrack", ""
    timeout = 300

    def do_GET(self) -> None:
        self.close_connection |= "Content-Length" in self.headers or "Transfer-Encoding" in self.headers
        self._answer(self._found())

    do_HEAD = do_GET

    def do_POST(self) -> None:
        self._answer(self._taken())

    def _found(self) -> Reply:
        site, (name, query) = self.server.site, self._asked()
        if name in site.pages:
            return site.pages[name]
        return _attempt(site.gets[name], query) if name in site.gets else _refusal()

    def _taken(self) -> Reply:
        site, (name, _) = self.server.site, self._asked()
        if name not in site.posts or not self.headers.get("Origin"):
            return _refusal()
        if self.headers.get_content_type() != "application/json":
            return _refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > _MOST_POSTED or "Transfer-Encoding" in self.headers:
            return _refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        try:
            sent = orjson.loads(self.rfile.read(int(length)))
        except orjson.JSONDecodeError:
            sent = None
        return _attempt(site.posts[name], sent) if isinstance(sent, dict) else _refusal(HTTPStatus.BAD_REQUEST)

    def _asked(self) -> tuple[str, Query]:
        """The name in the request's path, and its query; a name that nothing has where it may not be answered.

        The path is compared as it was sent: nothing in it is decoded, so there is no other way to say a name.
        """
        address = urlsplit(self.path)
        token, slash, name = address.path.removeprefix("/").partition("/")
        known = secrets.compare_digest(token.encode("utf-8", "replace"), self.server.token.encode())
        if not known or not slash or not self._is_from_here():
            return _NOTHING, {}
        return name, dict(parse_qsl(address.query))

    def _is_from_here(self) -> bool:
        """Whether the request came under this server's name, and from its own page or the address bar."""
        own = {f"http://{host}" for host in self.server.hosts}
        referer = urlsplit(self.headers.get("Referer", ""))
        return (
            self.headers.get("Host") in self.server.hosts
            and self.headers.get("Origin", next(iter(own))) in own
            and (not self.headers.get("Referer") or f"{referer.scheme}://{referer.netloc}" in own)
            and self.headers.get("Sec-Fetch-Site", "none") in ("none", "same-origin")
        )

    def _answer(self, reply: Reply) -> None:
        if reply.status >= 400:
            self.close_connection = True  # what a refused request has sent was not read
        if reply.file is not None:
            self._answer_file(reply, reply.file)
            return
        self._head(reply, reply.status, len(reply.body))
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def _answer_file(self, reply: Reply, path: Path) -> None:
        """A file or the part of it that is asked for (RFC 9110, 14), piece by piece."""
        try:
            file = path.open("rb")
        except OSError as error:
            self._answer(as_json({"error": f"{path}: cannot be read ({error.strerror})"}, 404))
            return
        with file:
            size = os.fstat(file.fileno()).st_size
            part = byte_range(self.headers.get("Range"), size)
            if part is None:
                self._head(reply, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, 0, {"Content-Range": f"bytes */{size}"})
                return
            begin, end = part
            is_part = _RANGE.fullmatch(self.headers.get("Range", "").strip()) is not None
            extra = {"Content-Range": f"bytes {begin}-{end - 1}/{size}"} if is_part else {}
            status = HTTPStatus.PARTIAL_CONTENT if is_part else HTTPStatus.OK
            self._head(reply, status, end - begin, {"Accept-Ranges": "bytes", **extra})
            if self.command != "HEAD":
                for piece in _pieces(file, begin, end):
                    self.wfile.write(piece)

    def _head(self, reply: Reply, status: int, length: int, extra: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        headers = {"Content-Type": reply.kind, "Content-Length": str(length), **_HEADERS, **reply.headers}
        if self.close_connection:
            headers["Connection"] = "close"
        for name, value in {**headers, **(extra or {})}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Requests are not talked of."""


def _refusal(status: int = HTTPStatus.FORBIDDEN) -> Reply:
    return as_json({"error": HTTPStatus(status).phrase}, status)


def _attempt(answer: Callable[[Any], Reply], asked: Mapping[str, Any]) -> Reply:
    """What `answer` gives; the text of what it refuses."""
    try:
        return answer(asked)
    except (PosetrackError, OSError) as error:
        return as_json({"error": " ".join(str(error).split())}, HTTPStatus.CONFLICT)
    except (KeyError, TypeError, ValueError):
        return _refusal(HTTPStatus.BAD_REQUEST)


def byte_range(asked: str | None, size: int) -> tuple[int, int] | None:
    """Begin and end of the bytes that a Range header names in a file of `size` bytes.

    The whole without a header and for what is no single range of bytes (RFC 9110 lets a server pass over those); None
    where no byte lies in it.
    """
    found = _RANGE.fullmatch((asked or "").strip())
    if found is None:
        return 0, size
    first, last = found.groups()
    if not first:
        begin, end = max(0, size - int(last)), size
    else:
        begin, end = int(first), min(size, int(last) + 1) if last else size
    return (begin, end) if begin < end else None


def _pieces(file: IO[bytes], begin: int, end: int) -> Iterator[bytes]:
    file.seek(begin)
    while begin < end and (piece := file.read(min(_CHUNK, end - begin))):
        begin += len(piece)
        yield piece
