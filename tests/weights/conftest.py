"""A real web server with faults on purpose, and small networks with random weights."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from posetrack.pose.network import PoseArchitecture, PoseResNet, build_pose_network


@dataclass
class Answers:
    """What the server sends, and what it was asked.

    `faults` are used up one a request: an HTTP status, or what goes wrong with the file ("cut" after `at` bytes,
    "stall" there, "slow", "chunked", "no ranges", "cut, no ranges", "short": a file that ends at `at` and says
    so). Then it behaves.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    faults: list[int | str] = field(default_factory=list)
    at: int = 1000
    asked: list[tuple[str, str]] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    address: str = ""

    def url(self, name: str) -> str:
        return f"{self.address}/{name}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    answers: Answers

    def log_message(self, format: str, *arguments: object) -> None:
        pass

    def end_headers(self) -> None:
        self.send_header("Connection", "close")
        super().end_headers()

    def do_GET(self) -> None:
        answers = self.answers
        wanted = self.headers.get("Range", "")
        answers.asked.append((self.path, wanted))
        self.close_connection = True
        fault = answers.faults.pop(0) if answers.faults else ""
        content = answers.files.get(self.path.rsplit("/", 1)[-1])
        if isinstance(fault, int) or content is None:
            return self._say(fault if isinstance(fault, int) else 404)
        if fault == "short":
            content = content[: answers.at]
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and "no ranges" not in str(fault) else 0
        if start and start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        return self._send(content, start, str(fault))

    def _say(self, status: int) -> None:
        self.send_response(status)
        if 300 <= status < 400:
            self.answers.faults.append(status)  # for ever
            self.send_header("Location", self.path + "/again")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, content: bytes, start: int, fault: str) -> None:
        body = content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if fault == "chunked":
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault == "chunked":
            self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
        elif fault.startswith(("cut", "stall")):
            self.wfile.write(body[: self.answers.at])
            self.wfile.flush()
            if fault == "stall":
                self.answers.released.wait(30)
        elif fault == "slow":
            step = len(body) // 4 + 1
            for at in range(0, len(body), step):
                self.wfile.write(body[at : at + step])
                self.answers.released.wait(0.15)
        else:
            self.wfile.write(body)


@pytest.fixture
def web() -> Iterator[Answers]:
    """A web server on this machine; fill its `files`, list its `faults`."""
    answers = Answers()
    handler = type("Handler", (_Handler,), {"answers": answers})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    answers.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield answers
    answers.released.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A cache of the test's own, and none of the user's settings."""
    for name in ("POSETRACK_MIRROR", "POSETRACK_OFFLINE", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("POSETRACK_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "weights"


def random_network(body: str = "resnet18", joints: int = 17, **rest) -> PoseResNet:
    """A network whose every number, running statistics too, is random, so that nothing can be mixed up."""
    network = build_pose_network(PoseArchitecture(body, joints, **rest))
    generator = torch.Generator().manual_seed(joints)
    with torch.no_grad():
        for key, value in network.state_dict().items():
            if value.is_floating_point():
                value.copy_(torch.randn(value.shape, generator=generator) * 0.05)
                if key.endswith("running_var"):
                    value.abs_().add_(0.5)
    return network.eval()


@pytest.fixture(scope="session")
def resnet18() -> PoseResNet:
    """A small network of the paper's kind with random weights."""
    return random_network()


@pytest.fixture(scope="session")
def make_network():
    """`random_network` for tests that want other ones."""
    return random_network
