"""Those who are out of sight, remembered for some seconds: whoever returns gets the old id (`--reidentify`).

A pose that nobody of the queue is like *waits*: it is followed under a number below 0, and left out of the results,
until its look tells who it is, for `PATIENCE` seconds at most. Somebody who comes in at an edge shows a shoulder
first, and an id, once given, is never changed.

    odds(absent, waiting) = look x place x size       each against the odds of somebody new, which are 1
    chance = odds / (1 + all odds of that pose), and no more than against the other poses that want the same id

Of people in the same clothes the place decides, or nobody: then the pose gets a new id.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posetrack.appearance import LOOK_SIZE, alike
from posetrack.matching import greedy_match
from posetrack.types import Appearance, Floats

__all__ = ["Absences", "Remembered"]

PATIENCE = 0.5
"""Seconds that a pose waits for a look, or for a better one.

On clips of absence_clip.py, IDF1 is 65 without re-identification and with patience 0 (the first frame of whoever
returns shows hardly anything), 71 with 0.2, 80 with 0.5 and 82 with 1; MOTA 90, 92, 90 and 87.
"""
SURE, SURE_AT_ONCE = 0.7, 0.95
"""Chance from which on a pose is somebody who was away: after its wait, and before."""
LOOKS_AT_ONCE = 3
"""Looks that it takes to decide before the wait is over."""
MOST = 64
"""Absent people who are remembered; of more, those seen last."""
LONGEST_MEAN = 25
"""Looks that count in the mean look of a person; older ones fade."""
WAITING_MEAN = 3
"""The same of who waits, and shows more with each frame (with 25, IDF1 on the clips is 75 in place of 80)."""
SPEED, SLACK = 0.8, 0.5
"""Standard deviation of where people return: body sizes (root of the box's area) a second away, and in all."""
FASTEST, REACH = 3.0, 1.0
"""Body sizes a second, and in all, that nobody gets farther than."""
ELSEWHERE = 0.2
"""How likely it is that a person returns anywhere (round the back of the camera, which may have turned)."""
SUREST = 0.99
"""What a look can say at most: more of the likeness than has been measured to come true."""
CUT_BACK = 1.0
"""The same behind a scene cut, where places and sizes say nothing."""
SIZE_SPREAD = 0.35
"""Standard deviation of the logarithm of the change of size."""

Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Remembered:
    """A person as last seen, in view or not.

    `since` seconds of the first sight and `origin` (2,) the middle of the box then; `time` seconds of the last and
    `box` (4,) x1, y1, x2, y2 pixels then; `velocity` (2,) pixels a second; `size` the root of the box's area, its mean
    in time; `look` (D,) the mean of `looks` looks; `scene` the number of the scene.
    """

    since: float
    origin: Doubles
    time: float
    box: Doubles
    velocity: Doubles
    size: float
    look: Doubles
    looks: int
    scene: int

    @property
    def place(self) -> Doubles:
        """The middle (2,) of the box."""
        return _middle(self.box)

    def to_json(self) -> dict[str, Any]:
        """The person as JSON values; numbers come back exactly."""
        return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in asdict(self).items()}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Remembered:
        """The person that `to_json` wrote."""
        arrays: dict[str, Any] = {k: np.array(v, np.float64) for k, v in record.items() if isinstance(v, list)}
        return cls(**{**record, **arrays})

    def seen(self, time: float, box: Doubles, scene: int) -> Remembered:
        """The person one frame on, at `box`."""
        moved = _middle(box) - self.place
        same = scene == self.scene and time > self.time
        velocity = self.velocity + 0.3 * (moved / (time - self.time) - self.velocity) if same else self.velocity
        size = self.size + 0.2 * (_size(box) - self.size)
        return replace(self, time=time, box=box, velocity=velocity, size=size, scene=scene)

    def looked_at(self, look: Doubles, most: int) -> Remembered:
        """The person with one more `look`, in a mean of about `most`."""
        looks = min(self.looks + 1, most)
        return replace(self, look=self.look + (look - self.look) / looks, looks=looks)


def _middle(box: Doubles) -> Doubles:
    return np.asarray((box[:2] + box[2:]) / 2)


def _size(box: Doubles) -> float:
    return float(np.sqrt(np.maximum(np.prod(box[2:] - box[:2]), 1)))


class Absences:
    """The people of the last `seconds` of a video, in view or not, and who of them a new pose may be.

    `see` tells it of each frame, `decide` asks for those who wait. `picture` is the area of the pictures in pixels.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.people: dict[int, Remembered] = {}
        self.scene = 0
        self.next_waiting = -1

    def waiting(self, count: int) -> NDArray[np.int64]:
        """Numbers below 0 for `count` new poses."""
        numbers = self.next_waiting - np.arange(count)
        self.next_waiting -= count
        return numbers

    def see(self, time: float, ids: NDArray[np.int64], boxes: Floats, looks: Sequence[Appearance | None]) -> None:
        """Take in those (N,) whom a frame at `time` shows: their `boxes` (N, 4) and looks, if there are any."""
        for id, xyxy, look in zip(ids.tolist(), boxes, looks, strict=True):
            box = xyxy.astype(np.float64)
            before = self.people.get(id)
            person = (
                before.seen(time, box, self.scene)
                if before
                else Remembered(
                    time, _middle(box), time, box, np.zeros(2), _size(box), np.zeros(LOOK_SIZE), 0, self.scene
                )
            )
            most = LONGEST_MEAN if id > 0 else WAITING_MEAN
            self.people[id] = person if look is None else person.looked_at(look.astype(np.float64), most)

    def forget(self, time: float, present: Iterable[int]) -> None:
        """Drop who has been away for too long, and who waited and is gone; and the longest away of too many."""
        here = set(present)
        away = [id for id in self.people if id not in here]
        away.sort(key=lambda id: (-self.people[id].time, id))
        for place, id in enumerate(away):
            if id < 0 or place >= MOST or time - self.people[id].time > self.seconds:
                del self.people[id]

    def decide(self, time: float, waiting: list[int], present: Iterable[int], picture: float) -> dict[int, int]:
        """Who those `waiting` are: an id for whoever was away, 0 for somebody new; who waits on is left out.

        `present` are the ids of this frame and of the queue, which nobody can take; `picture` pixels has the picture.
        """
        here = set(present)
        away = [id for id in sorted(self.people) if id > 0 and id not in here and self.people[id].looks]
        chances, possible = self._chances(away, waiting, picture)
        over = np.array([time - self.people[id].since >= PATIENCE for id in waiting], np.bool_)
        looks = np.array([self.people[id].looks for id in waiting])
        wanted = np.where(over, SURE, SURE_AT_ONCE)
        ready = over | (looks >= LOOKS_AT_ONCE)
        decided: dict[int, int] = {}
        for row, column in greedy_match(np.where(ready & (chances >= wanted), chances, 0), 0):
            decided[waiting[column]] = away[row]
        for column, id in enumerate(waiting):
            if id not in decided and (over[column] or not possible[column]):
                decided[id] = 0
        return decided

    def _chances(self, away: list[int], waiting: list[int], picture: float) -> tuple[Doubles, NDArray[np.bool_]]:
        """The chance (K, M) that each one `away` is each one `waiting`, and of whom any could be there (M,)."""
        if not away or not waiting:
            return np.zeros((len(away), len(waiting))), np.zeros(len(waiting), np.bool_)
        old, new = [self.people[id] for id in away], [self.people[id] for id in waiting]
        same = np.clip(alike(np.stack([p.look for p in old]), np.stack([p.look for p in new])), 1 - SUREST, SUREST)
        look = same / (1 - same) * np.array([p.looks > 0 for p in new])
        place = np.array([[_place(a, b, picture) for b in new] for a in old])
        odds = look * place * np.array([[_likeness(a, b) for b in new] for a in old])
        of_pose = odds / (1 + odds.sum(axis=0, keepdims=True))
        of_person = odds / (1 + odds.sum(axis=1, keepdims=True))
        return np.minimum(of_pose, of_person), np.asarray((place > 0).any(axis=0), np.bool_)

    def rename(self, waiting: int, id: int) -> None:
        """Let the one `waiting` be `id`: whoever was away, or a new one."""
        person, old = self.people.pop(waiting), self.people.get(id)
        if old is not None:
            total = old.looks + person.looks
            look = (old.look * old.looks + person.look * person.looks) / max(total, 1)
            person = replace(person, since=old.since, origin=old.origin, look=look, looks=min(total, LONGEST_MEAN))
        self.people[id] = person

    def state(self) -> dict[str, Any]:
        """All of it as JSON values; numbers come back exactly."""
        people = {str(id): person.to_json() for id, person in self.people.items()}
        return {"people": people, "scene": self.scene, "next_waiting": self.next_waiting}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state`."""
        self.scene, self.next_waiting = int(state["scene"]), int(state["next_waiting"])
        self.people = {int(id): Remembered.from_json(person) for id, person in state["people"].items()}


def _place(away: Remembered, new: Remembered, picture: float) -> float:
    """The odds of the place where a pose appeared: its density for whoever was `away` over that for anybody."""
    if away.scene != new.scene:
        return CUT_BACK
    absent = max(new.since - away.time, 0.0)
    spread = away.size * (SLACK + SPEED * absent)
    step = float(np.linalg.norm(new.origin - away.place - away.velocity * min(absent, 0.5)))
    if step > away.size * (REACH + FASTEST * absent):
        return 0.0
    near = np.exp(-(step**2) / (2 * spread**2)) * picture / (2 * np.pi * spread**2)
    return float(np.clip((1 - ELSEWHERE) * near + ELSEWHERE, 0, 5))


def _likeness(away: Remembered, new: Remembered) -> float:
    """The odds of the size, in one scene."""
    if away.scene != new.scene:
        return 1.0
    return float(np.clip(1.5 * np.exp(-(np.log(new.size / away.size) ** 2) / (2 * SIZE_SPREAD**2)), 0.02, 1.5))
