"""The loopback server: who gets in, what is served, and files in parts."""

from __future__ import annotations

import socket

import pytest
from reviewing import Client, serving

from posetrack.errors import InputError, OutputError
from posetrack.review.server import LoopbackServer, Reply, Site, as_json, byte_range, page_files


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    path.write_bytes(bytes(range(256)) * 4000)
    return path


@pytest.fixture(scope="module")
def client(film):
    def fails(_):
        raise OutputError("the disk\nis full")

    gets = {"video": lambda _: Reply(file=film, kind="video/mp4"), "fails": fails, "gone": lambda _: Reply(
        file=film.with_name("gone.mp4"), kind="video/mp4"), "echo": lambda query: as_json(dict(query)),
        "number": lambda query: as_json(int(query["n"]))}  # fmt: skip
    with serving(Site(page_files("review.html"), gets, {"edit": lambda record: as_json(dict(record))})) as found:
        yield found


def test_only_the_loopback_is_listened_to(client: Client):
    assert client.server.server_address[0] == "127.0.0.1"
    assert client.server.url == f"http://127.0.0.1:{client.server.server_port}/{client.server.token}/"


def test_the_page_and_its_files_are_served_with_headers_that_let_nothing_else_in(client: Client):
    answer = client.ask("")
    assert answer.status == 200
    assert b"posetrack review" in answer.body
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    for name, kind in {"review.js": "text/javascript", "look.css": "text/css", "icon.svg": "image/svg+xml"}.items():
        assert client.ask(name).headers.get_content_type() == kind


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize(
    "path", ["/", "/state", "/video", "/wrong-token/", "/wrong-token/video", "//video", "/TOKEN", "/token/video"]
)
def test_without_the_token_there_is_nothing(client: Client, method, path):
    answer = client.ask(path, method)
    assert answer.status == 403
    assert answer.headers["Connection"] == "close"


def test_the_token_is_compared_whole(client: Client):
    token = client.server.token
    for wrong in (token[:-1], token + "x", token.swapcase(), token[1:], "", "%e9"):
        assert client.ask(f"/{wrong}/echo").status == 403
    assert client.ask(f"/{token}").status == 403
    assert client.ask(f"/{token}//").status == 403


@pytest.mark.parametrize(
    "name",
    [
        "../server.py", "..%2fserver.py", "%2e%2e/server.py", "page/review.js", "/etc/passwd", "film.mp4",
        "__init__.py", "review.js/", "./review.js", "video/..", "video/../../film.mp4", "..\\server.py",
        "review.js%00", "%76ideo", "edit",
    ],
)  # fmt: skip
def test_a_path_that_is_not_the_sites_is_refused(client: Client, name):
    assert client.ask(client.base + name).status == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": None}, {"Host": "evil.example"}, {"Host": "evil.example:80"}, {"Host": "127.0.0.1"},
        {"Host": "127.0.0.1:1"}, {"Host": "192.168.0.7:8000"},
        {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:1"},
        {"Origin": "https://127.0.0.1:PORT"}, {"Origin": "http://127.0.0.1:PORT.evil.example"},
        {"Referer": "http://evil.example/"}, {"Referer": "http://127.0.0.1.evil.example/"}, {"Referer": "nonsense"},
        {"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site"},
    ],
    ids=str,
)  # fmt: skip
def test_requests_of_others_are_refused_even_with_the_token(client: Client, headers):
    port = str(client.server.server_port)
    headers = {name: value and value.replace("PORT", port) for name, value in headers.items()}
    for path in ("", "echo", "video"):
        assert client.ask(path, **headers).status == 403
    assert client.tell("edit", {"a": 1}, **headers).status == 403


def test_requests_of_the_page_and_of_the_address_bar_are_answered(client: Client):
    own = f"http://127.0.0.1:{client.server.server_port}"
    local = f"localhost:{client.server.server_port}"
    for headers in (
        {}, {"Origin": own}, {"Referer": f"{own}{client.base}"}, {"Sec_Fetch_Site": "none"},
        {"Sec_Fetch_Site": "same-origin"}, {"Host": local}, {"Host": local, "Origin": f"http://{local}"},
    ):  # fmt: skip
        assert client.ask("echo?a=1&b=%C3%A9", **headers).record == {"a": "1", "b": "é"}


def test_posts_want_json_and_an_origin(client: Client):
    own = f"http://{client.host}"
    assert client.tell("edit", {"verb": "swap"}).record == {"verb": "swap"}
    assert client.tell("edit", {}, Origin=None).status == 403
    assert client.tell("edit", {}, Content_Type="text/plain").status == 415
    assert client.tell("edit", {}, Content_Type=None).status == 415
    assert client.tell("video", {}).status == 403
    assert client.tell("edit", [1]).status == 400
    for body, status in {b"{": 400, b"": 400, b"x" * 70_000: 413}.items():
        assert client.ask("edit", "POST", body, Origin=own, Content_Type="application/json").status == status
    chunked = client.ask(
        "edit", "POST", Origin=own, Content_Type="application/json", Transfer_Encoding="chunked", Content_Length=None
    )
    assert chunked.status == 413


def test_other_methods_are_refused(client: Client):
    for method in ("PUT", "DELETE", "OPTIONS", "TRACE"):
        answer = client.ask("", method)
        assert answer.status in (403, 501)
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_what_is_refused_and_what_is_nonsense_is_told_in_a_line(client: Client):
    answer = client.ask("fails")
    assert answer.status == 409
    assert answer.record == {"error": "the disk is full"}
    assert client.ask("number?n=x").status == 400
    assert client.ask("number").status == 400
    assert client.ask("gone").status == 404


def test_a_file_comes_whole_or_in_the_part_asked_for(client: Client, film):
    data = film.read_bytes()
    whole = client.ask("video")
    assert (whole.status, whole.body, whole.headers["Accept-Ranges"]) == (200, data, "bytes")
    for asked, (begin, end) in {
        "bytes=0-": (0, len(data)), "bytes=100-199": (100, 200), "bytes=1000000-": (1_000_000, len(data)),
        "bytes=-10": (len(data) - 10, len(data)), "bytes=5-99999999": (5, len(data)),
    }.items():  # fmt: skip
        part = client.ask("video", Range=asked)
        assert (part.status, part.body) == (206, data[begin:end])
        assert part.headers["Content-Range"] == f"bytes {begin}-{end - 1}/{len(data)}"
    head = client.ask("video", "HEAD", Range="bytes=100-199")
    assert (head.status, head.body, head.headers["Content-Length"]) == (206, b"", "100")
    beyond = client.ask("video", Range=f"bytes={len(data)}-")
    assert (beyond.status, beyond.headers["Content-Range"]) == (416, f"bytes */{len(data)}")
    assert client.ask("video", Range="lines=1-2").body == data


@pytest.mark.parametrize(
    ("asked", "size", "part"),
    [
        (None, 10, (0, 10)), ("bytes=0-9", 10, (0, 10)), ("bytes=3-", 10, (3, 10)), ("bytes=-3", 10, (7, 10)),
        ("bytes=-30", 10, (0, 10)), ("bytes=9-9", 10, (9, 10)), ("bytes=10-", 10, None), ("bytes=5-4", 10, None),
        ("bytes=-0", 10, None), ("bytes=-", 10, (0, 10)), ("bytes=0-1,3-4", 10, (0, 10)), ("bytes=0-", 0, None),
    ],
)  # fmt: skip
def test_ranges(asked, size, part):
    assert byte_range(asked, size) == part


def test_one_connection_serves_several_requests(client: Client):
    with socket.create_connection(("127.0.0.1", client.server.server_port), timeout=30) as link:
        request = f"GET {client.base}echo?a=1 HTTP/1.1\r\nHost: {client.host}\r\n\r\n".encode()
        for _ in range(3):
            link.sendall(request)
            answer = b""
            while not answer.endswith(b'{"a":"1"}'):
                answer += link.recv(4096)
            assert answer.startswith(b"HTTP/1.1 200")


def test_tokens_are_new_each_time():
    with LoopbackServer(Site({}, {})) as one, LoopbackServer(Site({}, {})) as other:
        assert one.token != other.token
        assert len(one.token) >= 32


def test_a_port_that_is_taken_is_said():
    with LoopbackServer(Site({}, {})) as one, pytest.raises(InputError, match=r"port \d+ cannot be used .*--port"):
        LoopbackServer(Site({}, {}), one.server_port)
