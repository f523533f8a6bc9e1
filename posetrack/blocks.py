"""Work in fixed blocks of frames, made ahead of whoever takes them.

A block holds the frames whose numbers share `index // size`, so its edges don't depend on where a run began.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from queue import Empty, Full, Queue
from typing import TypeVar

from posetrack.types import Frame

__all__ = ["Block", "ahead", "blocks"]

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Block:
    """Frames of one block, and the frame before the first of them (None at the start of a video)."""

    frames: list[Frame]
    before: Frame | None


def blocks(frames: Iterable[Frame], size: int, before: Frame | None = None) -> Iterator[Block]:
    """`frames` in blocks of those that share `index // size`; `before` precedes the first of them."""
    gathered: list[Frame] = []
    for frame in frames:
        if gathered and frame.index // size != gathered[0].index // size:
            yield Block(gathered, before)
            before, gathered = gathered[-1], []
        gathered.append(frame)
        if frame.index % size == size - 1:  # whole: a camera's next frame need not be waited for
            yield Block(gathered, before)
            before, gathered = frame, []
    if gathered:
        yield Block(gathered, before)


def ahead(items: Iterable[T], depth: int = 1) -> Iterator[T]:
    """`items`, made in a thread of their own, at most `depth` waiting to be taken.

    What the making raises is raised here. When the taker stops early, so does the thread.
    """
    queue: Queue[tuple[T | None, BaseException | None] | None] = Queue(maxsize=depth)
    stopped = threading.Event()

    def put(entry: tuple[T | None, BaseException | None] | None) -> None:
        while not stopped.is_set():
            try:
                queue.put(entry, timeout=0.1)
            except Full:
                continue
            return

    def make() -> None:
        iterator = iter(items)
        try:
            for item in iterator:
                put((item, None))
                if stopped.is_set():
                    break
            put(None)
        except BaseException as error:  # handed to the taker's thread, whatever it is
            put((None, error))
        finally:
            if isinstance(iterator, Iterator) and hasattr(iterator, "close"):
                iterator.close()

    thread = threading.Thread(target=make, daemon=True)
    thread.start()
    try:
        while (entry := queue.get()) is not None:
            item, error = entry
            if error is not None:
                raise error
            yield item  # type: ignore[misc]
    finally:
        stopped.set()
        while thread.is_alive():
            _drain(queue)
            thread.join(timeout=0.05)


def _drain(queue: Queue[T]) -> None:
    try:
        while True:
            queue.get_nowait()
    except Empty:
        return
