"""Pictures of people as a detector learns from them: scaled, cropped, mirrored, recoloured, set together.

Every function takes a `Scene` and gives a new one. What can be seen of a person after a crop is the new box; somebody
of whom too little is left becomes an ignored region, which takes no part in the losses.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from posetrack.train.data import Shard
from posetrack.types import Floats, Image

__all__ = [
    "Picture", "Scene", "SceneSet", "SceneSettings", "blur", "compose", "flip", "machine_boxes", "pictures_of",
    "place", "recolour", "resize",
]  # fmt: skip

GREY = 127
"""What stands where there is no picture: nearly the zeros with which the detector's input is padded."""


def _no_boxes() -> Floats:
    return np.zeros((0, 4), np.float32)


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture (H, W, 3) uint8 RGB, its `people` (N, 4) and `ignored` regions (M, 4), x1, y1, x2, y2 in pixels."""

    image: Image
    people: Floats = field(default_factory=_no_boxes)
    ignored: Floats = field(default_factory=_no_boxes)


@dataclass(frozen=True, eq=False)
class Picture:
    """A labelled picture that is not decoded yet, and how often it is drawn."""

    shard: Shard
    image_id: Any
    people: Floats
    ignored: Floats
    weight: float = 1.0


def pictures_of(
    shard: Shard, weights: Mapping[str, float] | float = 1.0, others: Mapping[Any, list[dict[str, Any]]] | None = None
) -> list[Picture]:
    """The pictures of a shard; boxes with `iscrowd` are ignored regions.

    `weights` may differ by the images' field `set`. `others` are boxes that another network found, by image id
    (`machine_boxes`), for shards that leave people out: above a score of 0.4 they are people, below it ignored.
    """
    found = []
    for image_id, rows in shard.by_image().items():
        name = str(shard.images[image_id].get("set", shard.name))
        weight = weights if isinstance(weights, float) else weights.get(name, 1.0)
        people = [a["bbox"] for a in rows if not a.get("iscrowd")]
        ignored = [a["bbox"] for a in rows if a.get("iscrowd")]
        for other in (others or {}).get(image_id, []):
            (people if other["score"] >= 0.4 else ignored).append(other["bbox"])
        found.append(Picture(shard, image_id, _corners(people), _corners(ignored), weight))
    return found


def machine_boxes(path: Path, member: str) -> dict[Any, list[dict[str, Any]]]:
    """Boxes with scores that another network found, by image id, from `member` of the zip `path`."""
    rows: dict[Any, list[dict[str, Any]]] = {}
    for row in json.loads(zipfile.ZipFile(path).read(member)):
        rows.setdefault(row["image_id"], []).append(row)
    return rows


def _corners(boxes: list[list[float]]) -> Floats:
    array = np.array(boxes, np.float32).reshape(-1, 4)
    array[:, 2:] += array[:, :2]
    return _sizeable(array)


class SceneSet:
    """Pictures from which training draws; each is decoded once and kept in memory."""

    def __init__(self, pictures: Sequence[Picture]) -> None:
        self.pictures = list(pictures)
        weights = np.array([picture.weight for picture in self.pictures])
        self._steps = np.cumsum(weights / weights.sum())
        self._decoded: dict[int, Image] = {}

    def __len__(self) -> int:
        return len(self.pictures)

    def draw(self, rng: np.random.Generator) -> Scene:
        """One picture, by weight."""
        i = min(int(np.searchsorted(self._steps, rng.random(), side="right")), len(self) - 1)
        picture = self.pictures[i]
        if i not in self._decoded:
            self._decoded[i] = picture.shard.picture(picture.image_id)
        return Scene(self._decoded[i], picture.people, picture.ignored)


@dataclass(frozen=True)
class SceneSettings:
    """How scenes are drawn: `size` of the square input, shares of mosaics and of other changes.

    A picture's natural scale is the one at which the detector will see it, with `min_size` and `max_size` its sides;
    single pictures are drawn at `zoom` times that, those of a mosaic at `mosaic_zoom` times it (log-uniform).
    """

    size: int = 384
    min_size: int = 384
    max_size: int = 640
    zoom: tuple[float, float] = (0.6, 1.5)
    mosaic_zoom: tuple[float, float] = (0.35, 1.0)
    mosaic: float = 0.4
    stretch: float = 0.15
    recolour: float = 0.7
    blur: float = 0.15
    visible: float = 0.3
    smallest: float = 5.0


def compose(scenes: Sequence[Scene], settings: SceneSettings, rng: np.random.Generator) -> Scene:
    """One training picture of one scene or of four (a mosaic), mirrored, recoloured and blurred at random."""
    size = settings.size
    if len(scenes) == 1:
        drawn = place([_drawn(scenes[0], settings.zoom, settings, rng)], [(0, 0, size, size)], settings, rng)
    else:
        x, y = (int(v) for v in rng.integers(round(0.3 * size), round(0.7 * size), 2))
        windows = [(0, 0, x, y), (x, 0, size, y), (0, y, x, size), (x, y, size, size)]
        parts = [_drawn(scene, settings.mosaic_zoom, settings, rng) for scene in scenes]
        drawn = place(parts, windows, settings, rng)
    return _restyle(drawn, settings, rng)


def _restyle(scene: Scene, settings: SceneSettings, rng: np.random.Generator) -> Scene:
    if rng.random() < 0.5:
        scene = flip(scene)
    if rng.random() < settings.recolour:
        scene = recolour(scene, rng)
    if rng.random() < settings.blur:
        scene = blur(scene, rng)
    return scene


def _drawn(scene: Scene, zoom: tuple[float, float], settings: SceneSettings, rng: np.random.Generator) -> Scene:
    height, width = scene.image.shape[:2]
    scale = min(settings.min_size / min(height, width), settings.max_size / max(height, width))
    scale *= float(np.exp(rng.uniform(*np.log(zoom))))
    stretch = float(np.exp(rng.uniform(-settings.stretch, settings.stretch)))
    return resize(scene, scale * stretch, scale / stretch)


def resize(scene: Scene, x_scale: float, y_scale: float) -> Scene:
    """The scene at other scales: averaged when it shrinks, linear when it grows."""
    height, width = scene.image.shape[:2]
    size = max(2, round(width * x_scale)), max(2, round(height * y_scale))
    how = cv2.INTER_AREA if size[0] * size[1] < width * height else cv2.INTER_LINEAR
    image = cv2.resize(scene.image, size, interpolation=how)
    factor = np.array([size[0] / width, size[1] / height] * 2, np.float32)
    return Scene(np.asarray(image, np.uint8), scene.people * factor, scene.ignored * factor)


def place(
    scenes: Sequence[Scene],
    windows: Sequence[tuple[int, int, int, int]],
    settings: SceneSettings,
    rng: np.random.Generator,
) -> Scene:
    """Scenes set into windows (x1, y1, x2, y2) of a grey square, each at a random place where it is larger or smaller.

    People smaller than `settings.smallest` pixels, or with less than `settings.visible` of their box, become ignored.
    """
    canvas = np.full((settings.size, settings.size, 3), GREY, np.uint8)
    people, ignored = [_no_boxes()], [_no_boxes()]
    for scene, (x1, y1, x2, y2) in zip(scenes, windows, strict=True):
        height, width = scene.image.shape[:2]
        left, top = _offset(width, x2 - x1, rng), _offset(height, y2 - y1, rng)
        # the part of the picture that the window shows, and where it lands on the canvas
        u1, v1 = max(0, -left), max(0, -top)
        u2, v2 = min(width, x2 - x1 - left), min(height, y2 - y1 - top)
        canvas[y1 + top + v1 : y1 + top + v2, x1 + left + u1 : x1 + left + u2] = scene.image[v1:v2, u1:u2]
        shift = np.array([x1 + left, y1 + top] * 2, np.float32)
        seen = np.array([x1 + left + u1, y1 + top + v1, x1 + left + u2, y1 + top + v2], np.float32)
        clear, hidden = _visible(scene.people + shift, seen, settings)
        people.append(clear)
        ignored += [hidden, _clipped(scene.ignored + shift, seen)]
    return Scene(canvas, np.concatenate(people), _sizeable(np.concatenate(ignored)))


def _offset(length: int, room: int, rng: np.random.Generator) -> int:
    """Where a strip of `length` begins in `room`: anywhere inside, or with no gap when it is longer."""
    slack = room - length
    return int(rng.integers(min(slack, 0), max(slack, 0) + 1))


def _clipped(boxes: Floats, window: Floats) -> Floats:
    low, high = np.tile(window[:2], 2), np.tile(window[2:], 2)
    return np.clip(boxes, low, high).astype(np.float32)


def _sizeable(boxes: Floats) -> Floats:
    return boxes[((boxes[:, 2:] - boxes[:, :2]) > 1).all(1)]


def _visible(people: Floats, window: Floats, settings: SceneSettings) -> tuple[Floats, Floats]:
    boxes = _clipped(people, window)
    sides = boxes[:, 2:] - boxes[:, :2]
    share = sides.prod(1) / np.maximum((people[:, 2:] - people[:, :2]).prod(1), 1e-6)
    clear = (share >= settings.visible) & (sides.max(1) >= settings.smallest) & (sides.min(1) >= 2)
    return boxes[clear], boxes[~clear]


def flip(scene: Scene) -> Scene:
    """The scene mirrored left to right."""
    width = scene.image.shape[1]

    def mirrored(boxes: Floats) -> Floats:
        return np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], 1)

    return Scene(np.ascontiguousarray(scene.image[:, ::-1]), mirrored(scene.people), mirrored(scene.ignored))


def recolour(scene: Scene, rng: np.random.Generator) -> Scene:
    """Other brightness, contrast, saturation and colour cast; one in twelve grey."""
    gain, offset = rng.uniform(0.65, 1.35), rng.uniform(-25, 25)
    cast, saturation = rng.uniform(0.92, 1.08, 3), rng.uniform(0.4, 1.5)
    if rng.random() < 1 / 12:
        saturation = 0.0
    luma = np.array([0.299, 0.587, 0.114])
    # one 3x4 matrix: mix with the grey, then cast and gain around the middle grey
    mix = saturation * np.eye(3) + (1 - saturation) * luma[None]
    mix = gain * cast[:, None] * mix
    shift = offset + GREY * (1 - gain)
    matrix = np.concatenate([mix, np.full((3, 1), shift)], 1).astype(np.float32)
    return Scene(np.asarray(cv2.transform(scene.image, matrix), np.uint8), scene.people, scene.ignored)


def blur(scene: Scene, rng: np.random.Generator) -> Scene:
    """As a poor camera sees it: a coarse grid, a Gaussian or a motion blur, at random."""
    image, kind = scene.image, int(rng.integers(3))
    height, width = image.shape[:2]
    if kind == 0:
        factor = rng.uniform(0.4, 0.8)
        small = cv2.resize(image, (round(width * factor), round(height * factor)), interpolation=cv2.INTER_AREA)
        blurred = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    elif kind == 1:
        blurred = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 1.6))
    else:
        length = int(rng.integers(3, 8))
        line = np.full((1, length), 1 / length, np.float32)
        blurred = cv2.filter2D(image, -1, line if rng.random() < 0.7 else line.T)
    return Scene(np.asarray(blurred, np.uint8), scene.people, scene.ignored)
