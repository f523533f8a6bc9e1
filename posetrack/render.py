"""People drawn on frames: skeletons coloured by side, boxes and ids by track, and the ways they went."""

from __future__ import annotations

import colorsys
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from posetrack.skeleton import Skeleton
from posetrack.types import Floats, Frame, FrameResult, Image, Person

if TYPE_CHECKING:
    from posetrack.writer import VideoWriter

__all__ = ["SIDES", "Trails", "annotate", "draw_people", "track_colour"]

Colour = tuple[int, int, int]

SIDES: dict[str, Colour] = {"left": (86, 180, 233), "right": (240, 128, 20), "middle": (245, 245, 245)}
"""RGB by the person's own side: sky blue, orange and white keep apart for every kind of colour vision."""

_INK: Colour = (16, 16, 20)
_SUBPIXEL = 4
"""OpenCV's drawing takes integers with so many binary digits after the point."""


@lru_cache(maxsize=4096)
def track_colour(track: int) -> Colour:
    """The RGB colour of a track, from its number alone: hues a golden angle apart, in three strengths."""
    saturation, value = ((0.75, 1.0), (0.5, 1.0), (0.85, 0.85))[track // 8 % 3]
    red, green, blue = colorsys.hsv_to_rgb((0.13 + track * 0.381966) % 1, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


@dataclass
class Trails:
    """Where each person's hips (else the middle of the box) were in the last `length` frames that were
    fed."""

    length: int = 30
    points: dict[int, deque[tuple[float, float]]] = field(default_factory=dict)
    _ages: dict[int, int] = field(default_factory=dict)

    def feed(self, people: Sequence[Person], skeleton: Skeleton, threshold: float = 0.2) -> None:
        """Add a frame's people; who was not seen for `length` frames is forgotten."""
        for track in list(self._ages):
            self._ages[track] += 1
            if self._ages[track] >= self.length:
                del self._ages[track], self.points[track]
        for person in people:
            trail = self.points.setdefault(person.id, deque(maxlen=self.length))
            trail.append(_middle(person, skeleton, threshold))
            self._ages[person.id] = 0

    def clear(self) -> None:
        """Forget everybody, as at a cut."""
        self.points.clear()
        self._ages.clear()


def draw_people(
    image: Image,
    people: Sequence[Person],
    skeleton: Skeleton,
    trails: Trails | None = None,
    threshold: float = 0.2,
) -> Image:
    """A copy of `image`, (H, W, 3) uint8 RGB, with `people` drawn on it.

    Bones and joints are coloured by the person's own side; joints that score under `threshold` are left out.
    Box, id and trail have the track's colour. Lines and letters fit the picture and the person: large people
    lie over small ones, and the ids over all.
    """
    canvas = np.ascontiguousarray(image).copy()
    ordered = sorted(people, key=lambda person: (_area(person.box), person.id))
    if trails is not None:
        for person in ordered:
            _draw_trail(canvas, list(trails.points.get(person.id, ())), track_colour(person.id))
    for person in ordered:
        _draw_box(canvas, person)
    for person in ordered:
        _draw_skeleton(canvas, person, skeleton, threshold)
    for person in ordered:
        _draw_label(canvas, person)
    return canvas


def annotate(
    frames: Iterable[Frame],
    results: Iterable[FrameResult],
    writer: VideoWriter,
    skeleton: Skeleton,
    trails: Trails | None = None,
    threshold: float = 0.2,
) -> int:
    """Write each frame that has a result with its people drawn; gives the number of frames written.

    Both streams are in the order of their indexes; frames without a result are passed over.
    """
    written = 0
    waiting = iter(results)
    result = next(waiting, None)
    for frame in frames:
        while result is not None and result.index < frame.index:
            result = next(waiting, None)
        if result is None:
            break
        if result.index > frame.index:
            continue
        if trails is not None:
            if result.cut:
                trails.clear()
            trails.feed(result.people, skeleton, threshold)
        writer.write(draw_people(frame.image, result.people, skeleton, trails, threshold), frame.time)
        written += 1
    return written


def _area(box: Floats) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))


def _middle(person: Person, skeleton: Skeleton, threshold: float) -> tuple[float, float]:
    hips = [person.keypoints[n] for n, joint in enumerate(skeleton.joints) if joint.endswith("_hip")]
    if len(hips) == 2 and all(_is_seen(hip, threshold) for hip in hips):
        return float(hips[0][0] + hips[1][0]) / 2, float(hips[0][1] + hips[1][1]) / 2
    x1, y1, x2, y2 = (float(v) for v in person.box)
    return (x1 + x2) / 2, (y1 + y2) / 2


def _is_seen(joint: Floats, threshold: float) -> bool:
    return bool(joint[2] >= threshold and np.isfinite(joint).all())


def _unit(canvas: Image) -> float:
    """The width of a fine line: 1 pixel up to 480 lines of picture, 2.25 at 1080."""
    return max(1.0, float(min(canvas.shape[:2])) / 480)


def _fixed(x: float, y: float) -> tuple[int, int]:
    scale, far = 1 << _SUBPIXEL, 1 << 15
    return round(min(max(float(x), -far), far) * scale), round(min(max(float(y), -far), far) * scale)


def _line(canvas: Image, a: Any, b: Any, colour: Colour, width: float) -> None:
    cv2.line(canvas, _fixed(*a), _fixed(*b), colour, max(1, round(width)), cv2.LINE_AA, _SUBPIXEL)


def _disc(canvas: Image, centre: Any, colour: Colour, radius: float) -> None:
    size = max(1, round(radius * (1 << _SUBPIXEL)))
    cv2.circle(canvas, _fixed(*centre), size, colour, cv2.FILLED, cv2.LINE_AA, _SUBPIXEL)


def _side(*joints: str) -> str:
    """The side of a joint or bone: a bone from left to right is in the middle."""
    left, right = (any(joint.startswith(side) for joint in joints) for side in ("left_", "right_"))
    return "middle" if left == right else "left" if left else "right"


def _draw_skeleton(canvas: Image, person: Person, skeleton: Skeleton, threshold: float) -> None:
    seen = [_is_seen(joint, threshold) for joint in person.keypoints]
    width = float(np.nan_to_num(np.clip((person.box[3] - person.box[1]) / 80, 1.0, 2.5 * _unit(canvas)), nan=1.0))
    points = person.keypoints[:, :2]
    bones = [
        (points[a], points[b], SIDES[_side(skeleton.joints[a], skeleton.joints[b])])
        for a, b in skeleton.edges
        if seen[a] and seen[b]
    ]
    joints = [(points[n], SIDES[_side(skeleton.joints[n])]) for n in range(len(skeleton)) if seen[n]]
    rim = 0.5 * width
    radius = 0.6 + 0.75 * width
    for a, b, _ in bones:
        _line(canvas, a, b, _INK, width + 2 * rim)
    for point, _ in joints:
        _disc(canvas, point, _INK, radius + max(0.8, 0.8 * rim))
    for a, b, colour in bones:
        _line(canvas, a, b, colour, width)
    for point, colour in joints:
        _disc(canvas, point, colour, radius)


def _draw_box(canvas: Image, person: Person) -> None:
    corners = person.box.reshape(2, 2)
    if np.isfinite(corners).all():
        a, b = _fixed(*corners[0]), _fixed(*corners[1])
        width = max(1, round(_unit(canvas)))
        cv2.rectangle(canvas, a, b, track_colour(person.id), width, cv2.LINE_AA, _SUBPIXEL)


def _draw_label(canvas: Image, person: Person) -> None:
    if not np.isfinite(person.box).all():
        return
    height, width = canvas.shape[:2]
    tall = float(person.box[3] - person.box[1])
    size = max(0.36, min(0.42 * _unit(canvas), tall / 130))
    stroke = max(1, round(size * 1.9))
    text = str(person.id)
    (w, h), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, size, stroke)
    pad = max(2, h // 4)
    x = int(min(max(round(float(person.box[0])), 0), max(width - w - 2 * pad, 0)))
    y = int(min(max(round(float(person.box[1])), h + 2 * pad), height - 1))
    colour = track_colour(person.id)
    cv2.rectangle(canvas, (x, y - h - 2 * pad), (x + w + 2 * pad, y), colour, cv2.FILLED)
    ink = _INK if _brightness(colour) > 110 else SIDES["middle"]
    cv2.putText(canvas, text, (x + pad, y - pad), cv2.FONT_HERSHEY_DUPLEX, size, ink, stroke, cv2.LINE_AA)


def _brightness(colour: Colour) -> float:
    return float(np.dot(colour, (0.2126, 0.7152, 0.0722)))


def _draw_trail(canvas: Image, points: list[tuple[float, float]], colour: Colour) -> None:
    unit = _unit(canvas)
    for n, (a, b) in enumerate(pairwise(points), start=1):
        strength = n / len(points)
        faded = tuple(round(c * (0.35 + 0.65 * strength)) for c in colour)
        _line(canvas, a, b, (faded[0], faded[1], faded[2]), max(1.0, 2.5 * unit * strength))
