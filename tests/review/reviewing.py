"""What the tests of the review page share: a clip with numbered frames, tracks made up for it, and a server on them."""

from __future__ import annotations

import http.client
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from clips import make_clip

from posetrack.results.native import Header, write_tracks
from posetrack.review.server import LoopbackServer
from posetrack.skeleton import COCO17
from posetrack.types import FrameResult, Person

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
"""A browser to test pages in, where there is one."""
BROWSER_OPTIONS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip

FRAMES, FPS, SIZE = 75, 25, (320, 240)
STANDING = np.array([
    [0, -42], [-2, -44], [2, -44], [-5, -43], [5, -43], [-10, -30], [10, -30], [-14, -14], [14, -14], [-15, 0],
    [15, 0], [-7, 0], [7, 0], [-8, 22], [8, 22], [-8, 44], [8, 44],
])  # fmt: skip
"""Somebody who stands upright and faces the camera, in pixels around the hips (the right side is left in the
picture)."""


def walker(id: int, x: float, y: float, source: str = "detector", score: float = 0.9) -> Person:
    """Somebody whose hips are at x, y."""
    keypoints = np.column_stack([STANDING[:, ::1] * [-1, 1] + [x, y], np.full(17, score, np.float32)]).astype(
        np.float32
    )
    box = np.array([x - 22, y - 52, x + 22, y + 50], np.float32)
    return Person(id, score, box, keypoints, source)  # type: ignore[arg-type]


def two_who_swap(frames: int = FRAMES) -> Iterator[FrameResult]:
    """Two people far apart who walk evenly; from frame 40 on each has the other's number. A third comes and goes."""
    for i in range(frames):
        left, right = (1, 2) if i < 40 else (2, 1)
        people = [
            walker(left, 60 + i / 2, 120),
            walker(right, 260 - i / 2, 120, "flow" if 20 <= i < 30 else "detector"),
        ]
        if 10 <= i < 60 and not 30 <= i < 34:
            people.append(walker(3, 160, 130, score=0.3 if i < 20 else 0.9))
        yield FrameResult(i, i / FPS, tuple(people))


def scattered(count: int, seed: int = 0) -> list[FrameResult]:
    """Frames with up to four people here and there, some joints absent or raw, numbers with gaps, cuts now and then."""
    rng = np.random.default_rng(seed)
    frames = []
    for i in range(count):
        people = []
        for id in rng.permutation(4)[: rng.integers(0, 5)] + 1:
            person = walker(int(id), *rng.uniform(50, 300, 2).round(), ("detector", "flow", "file", "fill")[id - 1])
            person.keypoints[rng.random(17) < 0.2] = np.nan, np.nan, 0
            people.append(replace(person, raw=person.keypoints + np.float32(0.5)) if rng.random() < 0.1 else person)
        frames.append(FrameResult(2 * i, i / 12.5, tuple(people), bool(rng.random() < 0.1)))
    return frames


def header(video: str = "clip.mp4", **settings: object) -> Header:
    record = {"path": video, "width": SIZE[0], "height": SIZE[1], "fps": FPS, "duration": FRAMES / FPS}
    return Header({"posetrack": "0"}, record, COCO17, settings)


def make_review(folder: Path) -> Path:
    """`folder` with clip.mp4, each frame of which carries its number, and clip.tracks.json."""
    make_clip(folder / "clip.mp4", FRAMES, size=SIZE, fps=FPS)
    write_tracks(folder / "clip.tracks.json", header(), two_who_swap())
    return folder


class Answer:
    """What a server said: `status`, `headers`, `body`."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    @property
    def record(self):
        return json.loads(self.body)


class Client:
    """Asks a server as a browser would; `headers` are added to each request, None takes one away."""

    def __init__(self, server: LoopbackServer) -> None:
        self.server = server
        self._go_to(server.url)

    @classmethod
    def at(cls, url: str) -> Client:
        """A client of the server that said this address."""
        client = cls.__new__(cls)
        client._go_to(url)
        return client

    def _go_to(self, url: str) -> None:
        address = urlsplit(url)
        self.host, self.base = address.netloc, address.path

    def ask(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str | None) -> Answer:
        """`path` is under the secret, or with a slash at its start as it is."""
        connection = http.client.HTTPConnection(self.host, timeout=30)
        named = {"Host": self.host, **{key.replace("_", "-"): value for key, value in headers.items()}}
        if body is not None:
            named["Content-Length"] = str(len(body))
        connection.putrequest(method, path if path.startswith("/") else self.base + path, skip_host=True)
        for name, value in named.items():
            if value is not None:
                connection.putheader(name, value)
        connection.endheaders(body)
        answer = Answer(connection.getresponse())
        connection.close()
        return answer

    def tell(self, path: str, record: object, **headers: str | None) -> Answer:
        """A POST as the page makes it."""
        named = {"Content_Type": "application/json", "Origin": f"http://{self.host}", **headers}
        return self.ask(path, "POST", json.dumps(record).encode(), **named)

    def until(self, holds: Callable[[dict], bool], seconds: float = 60) -> dict:
        """The state as soon as it `holds`."""
        end = time.monotonic() + seconds
        while not holds(state := self.ask("state").record):
            assert time.monotonic() < end, state
            time.sleep(0.02)
        return state


@contextmanager
def serving(site) -> Iterator[Client]:
    with LoopbackServer(site) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield Client(server)
        finally:
            server.shutdown()
            thread.join()
