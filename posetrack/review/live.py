"""A run as it goes: the newest frames with their people, for a page on this machine.

Nothing is drawn unless a page asks for it, and the run never waits for one: a page that is slow misses frames, and none
costs nothing.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from time import monotonic
from typing import Any

import cv2
import numpy as np
import orjson

from posetrack.render import Trails, draw_people
from posetrack.review.server import LoopbackServer, Query, Reply, Site, page_files
from posetrack.skeleton import Skeleton
from posetrack.sources import VideoInfo
from posetrack.types import Frame, FrameResult, Image

__all__ = ["Live", "LiveScreen", "serve_live"]

_BACKLOG = 32
"""Frames of a file that are kept for the page: they come in blocks, and the page shows them one by one."""
_WINDOW = 5.0
"""Seconds over which frames a second are counted."""
_PATIENCE = 5.0
"""Seconds that a page waits for a frame before it asks again."""
_MOST = 1600
"""Pixels of the longer side of what is sent."""
_QUALITY = 82


@dataclass(frozen=True, eq=False)
class _Shown:
    """A frame that is done: the number of it among all, when it was taken from its source, and what was read then."""

    number: int
    frame: Frame
    result: FrameResult
    taken: float
    trails: Trails | None
    screen: LiveScreen


@dataclass(eq=False)
class LiveScreen:
    """One input on the page, as posetrack.runs.Screen; what it is told it puts to `live`."""

    live: Live
    name: str
    skeleton: Skeleton
    is_live: bool
    trails: Trails | None
    _taken: dict[int, float] = field(default_factory=dict)

    def taken(self, frame: Frame) -> None:
        """A frame has been taken from its source."""
        self._taken[frame.index] = monotonic()

    def done(self, frame: Frame, result: FrameResult) -> None:
        """Its people are known."""
        taken = self._taken.pop(frame.index, monotonic())
        self.live.put(self, frame, result, taken, self._fed(result))

    def _fed(self, result: FrameResult) -> Trails | None:
        """The trails with this frame's people, as they will not change any more."""
        if self.trails is None:
            return None
        if result.cut:
            self.trails.clear()
        self.trails.feed(result.people, self.skeleton)
        return Trails(self.trails.length, {id: deque(points) for id, points in self.trails.points.items()})


class Live:
    """What the live page asks; one for a whole command. `trails` seconds of where people came from are drawn.

    A live source shows its newest frame always; of a file, whose frames come in blocks, the last `_BACKLOG` are kept.
    """

    def __init__(self, trails: float = 0.0) -> None:
        self._trails = trails
        self._changed = threading.Condition()
        self._shown: deque[_Shown] = deque(maxlen=_BACKLOG)
        self._numbers = count(1)
        self._times: deque[float] = deque(maxlen=1000)
        self._ended = False

    def show(self, info: VideoInfo, skeleton: Skeleton) -> LiveScreen:
        """The screen for another input; a posetrack.runs.Show."""
        length = max(1, round(self._trails * info.fps))
        trails = Trails(length) if self._trails else None
        return LiveScreen(self, info.path, skeleton, info.kind == "live", trails)

    def put(self, screen: LiveScreen, frame: Frame, result: FrameResult, taken: float, trails: Trails | None) -> None:
        """One more frame to be seen."""
        with self._changed:
            if screen.is_live:
                self._shown.clear()
            self._shown.append(_Shown(next(self._numbers), frame, result, taken, trails, screen))
            self._times.append(monotonic())
            self._changed.notify_all()

    def end(self) -> None:
        """Nothing more will come."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def site(self) -> Site:
        """What the server of this page has."""
        return Site(page_files("live.html"), {"frame": self._frame})

    def _frame(self, query: Query) -> Reply:
        """The picture after number `after`, as soon as it is there, its facts in X-Frame; an empty one else."""
        after = int(query["after"])
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._next(after) is not None, timeout=_PATIENCE)
            shown, ended = self._next(after), self._ended
        if shown is None:
            return Reply(status=204, headers={"X-Frame": orjson.dumps({"ended": ended}).decode()})
        picture = _jpeg(draw_people(shown.frame.image, shown.result.people, shown.screen.skeleton, shown.trails))
        return Reply(picture, "image/jpeg", headers={"X-Frame": orjson.dumps(self._facts(shown)).decode()})

    def _next(self, after: int) -> _Shown | None:
        return next((shown for shown in self._shown if shown.number > after), None)

    def _facts(self, shown: _Shown) -> dict[str, Any]:
        """What the page tells of a frame; latency: seconds since it was taken from its source."""
        return {
            "number": shown.number, "index": shown.frame.index, "time": round(shown.frame.time, 3),
            "people": len(shown.result.people), "rate": round(self._rate(), 2),
            "latency": round(monotonic() - shown.taken, 3), "live": shown.screen.is_live,
            "name": ascii(shown.screen.name)[1:-1],
        }  # fmt: skip

    def _rate(self) -> float:
        """Frames a second of late."""
        now = monotonic()
        late = [time for time in tuple(self._times) if now - time <= _WINDOW]
        return len(late) / max(min(_WINDOW, now - late[0]), 1e-3) if len(late) > 1 else 0.0


def _jpeg(image: Image) -> bytes:
    scale = _MOST / max(image.shape[:2])
    if scale < 1:
        image = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return data.tobytes()


@contextmanager
def serve_live(trails: float, told: Callable[[str], None]) -> Iterator[Live]:
    """A `Live` on a server of its own while the block runs; `told` gets the address of the page."""
    live = Live(trails)
    with LoopbackServer(live.site()) as server:
        thread = threading.Thread(target=server.serve_forever, name="live page", daemon=True)
        thread.start()
        told(server.url)
        try:
            yield live
        finally:
            live.end()
            server.shutdown()
            thread.join()
