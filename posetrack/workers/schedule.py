"""Which worker does what next. Pure bookkeeping: no Ray, no files, no clock.

A worker that is free goes on with its own video; else it joins one that would otherwise be done last of all; else it
opens the next; else it joins the one that has most left. So many short videos run side by side, and a long one is
spread over so many workers that all are busy until the last block. What has once taken a worker
with it runs alone from then on, on a worker that has nothing else, so that nobody else is blamed or harmed.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Literal

from posetrack.runs import Job
from posetrack.workers.work import Part

__all__ = ["HOLD", "RETRIES", "Item", "Post", "Schedule", "Video"]

HOLD = 3
"""Blocks that a worker has at most: one it looks at, and those that wait for it or for their turn to be tracked."""
AHEAD = 2
"""Decoded blocks of a video that wait for a worker, where one decoder feeds them."""
RETRIES = 3
"""Times that a piece of work is done again after it took a worker with it."""


@dataclass(eq=False)
class Item:
    """A piece of work: look a video over, decode its next block, see (and track) a block, or draw the video.

    A block is `sent` to a worker, then `held` by it until the tracker's state arrives, then `tracking`. What is `gone`
    was given up; answers about it mean nothing.
    """

    video: Video
    kind: Literal["survey", "feed", "block", "draw"]
    number: int = 0
    part: Part | None = None
    """The frames of an indexed video's block, which its worker decodes."""
    parcel: Any = None
    """The decoded block, or the table of a video's frames."""
    frames: range = range(0)
    state: Literal["waiting", "sent", "held", "tracking", "gone"] = "waiting"
    post: Post | None = None
    again: bool = False
    ticket: int = 0
    """Under which its worker keeps it."""

    @property
    def name(self) -> str:
        """What it is, for people."""
        if self.kind == "block":
            return f"its block {self.number} (frames {self.frames[0]} to {self.frames[-1]})"
        return {"survey": "looking it over", "feed": f"decoding it behind frame {self.number}"}.get(
            self.kind, "drawing its people"
        )


@dataclass(eq=False)
class Post:
    """A worker, with what it was given: `main` and `tracks` in the order in which it does them."""

    member: Any = None
    ready: bool = False
    overlaps: bool = False
    """Whether it decodes a block while it looks at the one before."""
    main: list[Item] = field(default_factory=list)
    tracks: list[Item] = field(default_factory=list)
    feeds: list[Item] = field(default_factory=list)
    held: list[Item] = field(default_factory=list)
    home: Video | None = None
    alone_for: Video | None = None

    @property
    def items(self) -> list[Item]:
        """Everything that is lost with it."""
        return [*self.main, *self.tracks, *self.feeds, *self.held]

    def forget(self, item: Item) -> None:
        """It has done with an item."""
        for queue in (self.main, self.tracks, self.feeds):
            if item in queue:
                queue.remove(item)

    @property
    def suspects(self) -> list[Item]:
        """What it may have been working on."""
        return [*self.main[: 1 + self.overlaps], *self.tracks[:1], *self.feeds[:1]]

    @property
    def is_busy(self) -> bool:
        """Whether it has anything to do."""
        return bool(self.main or self.tracks or self.feeds)

    @property
    def load(self) -> int:
        """The blocks and surveys that it has."""
        return len(self.main) + len(self.tracks) + len(self.held)


class Video:
    """One video's way through: what is left of it, its blocks in flight, and what went wrong with it."""

    def __init__(self, job: Job, first: Literal["survey", "draw"] = "survey") -> None:
        self.job = job
        self.survey = Item(self, "survey") if first == "survey" else None
        self.draw = Item(self, "draw") if first == "draw" else None
        self.blocks: deque[Item] = deque()
        self.strikes: dict[tuple[str, int], list[str]] = {}
        self._all = self._rest = range(0)
        self._size = 1
        self.index: Any = None
        self.tracked_until: int | None = None
        """The last frame that is in the journal."""
        self.proof: tuple[int, float] = (-1, 0.0)
        """The last frame of an earlier run, and its time."""
        self.feed: Item | None = None
        """What decodes the next block, until the end, where one decoder feeds the video."""
        self.feeder: Post | None = None

    def set_index(self, frames: range, size: int, index: Any) -> None:
        """Its frames' numbers are known; those not tracked yet are to be done, in blocks of `size`."""
        self._all, self._size, self.index = frames, size, index
        done = 0 if self.tracked_until is None else len(range(frames.start, self.tracked_until + 1, frames.step))
        self._rest = frames[done:]

    def set_feed(self, size: int, after: int | None) -> None:
        """One decoder feeds its blocks, from behind frame `after`."""
        self._size, self._rest = size, range(0)
        if self.feed is not None:
            self.feed.state = "gone"
        self.feed = Item(self, "feed", -1 if after is None else after)

    def add_fed(self, frames: range | None, parcel: Any) -> None:
        """Its next block was decoded; None: there is none."""
        if frames is None:
            self.feed = None
            return
        self.blocks.append(Item(self, "block", frames[0] // self._size, None, parcel, frames))
        self.feed = Item(self, "feed", frames[-1])

    def next_block(self) -> Item | None:
        """The first block that waits for a worker."""
        for item in self.blocks:
            if item.state == "waiting":
                return item
        if not self._rest:
            return None
        number = self._rest[0] // self._size
        stop = (number + 1) * self._size
        count = len(range(self._rest[0], min(stop, self._rest.stop), self._rest.step))
        frames, self._rest = self._rest[:count], self._rest[count:]
        before = frames[0] - self._all.step if frames[0] > self._all.start else None
        time = self.proof[1] if before is not None and before == self.proof[0] else None
        item = Item(self, "block", number, Part(frames, before, time), frames=frames)
        self.blocks.append(item)
        return item

    @property
    def offers(self) -> bool:
        """Whether a worker could take a block of it."""
        return self.survey is None and self._has_blocks

    @property
    def _has_blocks(self) -> bool:
        return bool(self._rest) or any(item.state == "waiting" for item in self.blocks)

    @property
    def wants_feed(self) -> bool:
        """Whether its decoder should go on."""
        waiting = sum(item.state == "waiting" for item in self.blocks)
        return self.feed is not None and self.feed.state == "waiting" and waiting < AHEAD

    @property
    def left(self) -> int:
        """Blocks that no worker has, as far as is known."""
        return len(self._rest) // max(1, self._size // self._rest.step) + (AHEAD if self.feed else 0)

    @property
    def length(self) -> float:
        """Blocks in all, as far as is known."""
        return len(self._all) * self._all.step / self._size

    @property
    def is_done(self) -> bool:
        """Whether all its blocks are tracked."""
        return not (self.survey or self.blocks or self._rest or self.feed)

    def give_back(self, item: Item) -> None:
        """A piece of work has to be done again; of a fed video, whose decoded block is gone, also all behind it."""
        if item.state == "gone":
            return
        if item.kind == "block" and item.part is None and item.parcel is None:
            self.rewind(item)
        else:
            item.state, item.post, item.again = "waiting", None, True

    def rewind(self, item: Item) -> None:
        """Give up a block and all behind it; one decoder goes on from there."""
        while item.state != "gone":
            self.blocks.pop().state = "gone"
        self.set_feed(self._size, self.blocks[-1].frames[-1] if self.blocks else self.tracked_until)

    def end_before(self, item: Item) -> None:
        """Nothing comes from an item on: what is before it is the end."""
        while item.kind == "block" and item.state != "gone":
            self.blocks.pop().state = "gone"
        item.state, self.survey, self.draw, self.feed, self._rest = "gone", None, None, None, range(0)

    def strike(self, item: Item, cause: str) -> bool:
        """Note that an item took its worker with it; whether that was once too often."""
        causes = self.strikes.setdefault((item.kind, item.number), [])
        causes.append(cause)
        return len(causes) > RETRIES

    def next_alone(self) -> Item | None:
        """What may run of a video that took a worker with it: its head, when nothing else of it runs."""
        if self.survey or self.draw:
            only = self.survey or self.draw
            return only if only is not None and only.state == "waiting" else None
        if self.blocks:
            return self.blocks[0] if self.blocks[0].state == "waiting" else None
        if self.offers:
            return self.next_block()
        return self.feed if self.feed is not None and self.feed.state == "waiting" else None


class _Mean:
    """The mean of what was added."""

    def __init__(self) -> None:
        self.count, self.sum = 0, 0.0

    def add(self, value: float) -> None:
        self.count, self.sum = self.count + 1, self.sum + value

    @property
    def mean(self) -> float:
        return self.sum / self.count if self.count else 1.0


class Schedule:
    """Videos that are open, jobs that are not yet, and workers."""

    def __init__(self) -> None:
        self.todo: deque[tuple[Job, Literal["survey", "draw"]]] = deque()
        self.open: list[Video] = []
        self.posts: list[Post] = []
        self.unwanted: list[tuple[Post, Item]] = []
        """Blocks that a worker holds and nobody wants any more."""
        self._tickets = count()
        self._length = _Mean()

    @property
    def ready(self) -> list[Post]:
        """The workers that can take work."""
        return [post for post in self.posts if post.ready]

    @property
    def room(self) -> bool:
        """Whether another video may be opened: the driver's memory depends on how many are."""
        return bool(self.todo) and len(self.open) < len(self.posts) + 2

    def close(self, video: Video) -> None:
        """A video is over."""
        self._length.add(video.length)
        self.open.remove(video)
        for item in video.blocks:
            item.state = "gone"
        for post in self.posts:
            post.home = None if post.home is video else post.home
            post.alone_for = None if post.alone_for is video else post.alone_for
        self.forget_gone()

    def absolve(self, item: Item) -> None:
        """An item is done, whatever it did before."""
        video = item.video
        video.strikes.pop((item.kind, item.number), None)
        if not video.strikes:
            for post in self.posts:
                post.alone_for = None if post.alone_for is video else post.alone_for

    def forget_gone(self) -> None:
        """Have blocks that were given up dropped by those that hold them."""
        for post in self.posts:
            gone = [item for item in post.held if item.state == "gone"]
            self.unwanted += [(post, item) for item in gone]
            post.held = [item for item in post.held if item.state != "gone"]

    def assign(self) -> Iterator[tuple[Post, Item]]:
        """Who does what now. The items are noted as sent; the caller sends them."""
        for video in list(self.open):
            if video.strikes:
                yield from self._alone(video)
        yield from self._feeds()
        free = [post for post in self.ready if post.alone_for is None]
        for depth in (0, 1):
            for post in free:
                if len(post.main) == depth and (depth == 0 or self._plenty(post)):
                    item = self._pick(post)
                    if item is not None:
                        yield self._give(post, item)

    def _plenty(self, post: Post) -> bool:
        """Whether so much is left that a worker may have its next piece before it is done with this one."""
        if post.main[0].kind != "block":
            return False
        return bool(self.todo) or sum(video.left for video in self.open) >= len(self.posts)

    def _alone(self, video: Video) -> Iterator[tuple[Post, Item]]:
        post = next((post for post in self.posts if post.alone_for is video), None)
        if post is None:
            candidates = [post for post in self.ready if post.alone_for is None]
            if not candidates or video.next_alone() is None:
                return
            post = min(candidates, key=lambda post: (post.is_busy, post.load))
            post.alone_for = video
        if post.is_busy:
            return
        for item in post.held:
            item.video.give_back(item)
            self.unwanted.append((post, item))
        post.held.clear()
        head = video.next_alone()
        if head is not None:
            yield self._give(post, head)

    def _feeds(self) -> Iterator[tuple[Post, Item]]:
        for video in self.open:
            if video.feed is None or video.strikes or not video.wants_feed:
                continue
            post = video.feeder
            if post is None or post not in self.posts or post.alone_for is not None:
                free = [post for post in self.ready if post.alone_for is None]
                if not free:
                    return
                post = min(free, key=lambda post: (post.home is not video, len(post.feeds)))
            yield self._give(post, video.feed)

    def _pick(self, post: Post) -> Item | None:
        full = post.load >= HOLD
        offering = [video for video in self.open if not video.strikes and video.offers]
        for video in offering:
            first = video.blocks[0] if video.blocks else None
            if first is not None and first.state == "waiting" and first.again:
                return first
        if full:
            return None
        for video in self.open:  # a survey or a drawing that has to be done, or done again
            item = video.survey or video.draw
            if item is not None and item.state == "waiting" and not video.strikes:
                return item
        if post.home in offering and post.home is not None:
            return post.home.next_block()
        late = self._late(offering)
        if late is not None:
            post.home = late
            return late.next_block()
        if self.room:
            post.home = Video(*self.todo.popleft())
            self.open.append(post.home)
            return post.home.survey or post.home.draw
        if not offering:
            return None
        at_home = Counter(other.home for other in self.posts)
        post.home = max(offering, key=lambda video: video.left / (at_home[video] + 1))
        return post.home.next_block()

    def _late(self, offering: list[Video]) -> Video | None:
        """The video of which its workers have more left than would be left to each, were all of it shared evenly."""
        if not self.todo:
            return None
        at_home = Counter(post.home for post in self.posts)
        latest = max(offering, key=lambda video: video.left / max(1, at_home[video]), default=None)
        if latest is None:
            return None
        share = (sum(video.left for video in self.open) + len(self.todo) * self._length.mean) / len(self.posts)
        return latest if latest.left / max(1, at_home[latest]) > share + 1 else None

    def _give(self, post: Post, item: Item) -> tuple[Post, Item]:
        item.state, item.post, item.ticket = "sent", post, next(self._tickets)
        if item.part is not None:
            item.parcel = item.video.index
        if item.kind == "feed":
            item.video.feeder = post
            post.feeds.append(item)
        else:
            post.main.append(item)
        return post, item
