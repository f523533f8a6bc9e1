"""What a person may look like next time: where the crop is taken, and what happens to its pixels.

Geometry is chosen on the label (box and joints) and costs one warp; the pixels change afterwards at the network's
size. Every function takes the generator that decides.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from posetrack.types import Floats, Image

__all__ = ["Augmentation", "View", "choose_view", "disturb", "flip_joints", "view_matrix"]

UPPER = tuple(range(11))
"""Head and arms of COCO-17; the rest is the lower body."""


@dataclass(frozen=True)
class Augmentation:
    """How far training strays from the label.

    `scale` and `rotation` (degrees) are deviations, clipped as the reference does (REFERENCE 2.8); `jitter` is that of
    each side of the box, in box sides; the others are probabilities. The defaults are for short runs.
    """

    scale: float = 0.25
    rotation: float = 25.0
    rotation_probability: float = 0.5
    flip: float = 0.5
    half_body: float = 0.25
    jitter: float = 0.04
    colour: float = 0.7
    blur: float = 0.07
    low_resolution: float = 0.07
    occlusion: float = 0.15

    def times(self, strength: float) -> Augmentation:
        """The same, so many times as strong; with 0 nothing at all changes, else the flip stays."""
        values = {name: min(value * strength, 1.0) for name, value in asdict(self).items()}
        values |= {"rotation": self.rotation * strength, "flip": self.flip if strength else 0.0}
        return Augmentation(**values)

    @classmethod
    def none(cls) -> Augmentation:
        """No change at all."""
        return cls().times(0)


@dataclass(frozen=True)
class View:
    """Where a crop is taken: `centre` (2,) and `width` in picture pixels (after padding), `rotation` in degrees."""

    centre: tuple[float, float]
    width: float
    rotation: float
    flipped: bool


def choose_view(
    rng: np.random.Generator, box: Floats, joints: Floats, aspect: float, padding: float, how: Augmentation
) -> View:
    """A crop around the person: the box grown to `aspect` (width / height) and padded, then strayed from.

    `joints` (J, 3) decide what half a body is (REFERENCE 2.8).
    """
    x1, y1, x2, y2 = (float(v) for v in box)
    if rng.random() < how.half_body and (half := _half_body(rng, joints)) is not None:
        x1, y1, x2, y2 = half
    width, height = max(x2 - x1, 1.0), max(y2 - y1, 1.0)
    if how.jitter:
        # a detector errs on every side of the box for itself
        sides = np.clip(rng.normal(0, how.jitter, 4), -2 * how.jitter, 2 * how.jitter)
        x1, x2 = x1 + sides[0] * width, x2 + sides[1] * width
        y1, y2 = y1 + sides[2] * height, y2 + sides[3] * height
    wide = max(x2 - x1, (y2 - y1) * aspect, 1.0) * padding
    wide *= float(np.clip(rng.normal() * how.scale + 1, 1 - how.scale, 1 + how.scale))
    turned = rng.random() < how.rotation_probability
    rotation = float(np.clip(rng.normal() * how.rotation, -2 * how.rotation, 2 * how.rotation)) if turned else 0.0
    return View(((x1 + x2) / 2, (y1 + y2) / 2), wide, rotation, bool(rng.random() < how.flip))


def _half_body(rng: np.random.Generator, joints: Floats) -> tuple[float, float, float, float] | None:
    """The box of the upper or the lower body, x 1.2, if eight joints are labelled and the half has three."""
    seen = joints[:, 2] > 0
    if seen.sum() < 8:
        return None
    upper = np.isin(np.arange(len(joints)), UPPER)
    half = seen & (upper if rng.random() < 0.6 else ~upper)
    if half.sum() < 3:
        return None
    low, high = joints[half, :2].min(0), joints[half, :2].max(0)
    grow = 0.1 * (high - low) + 0.05 * (high - low).max()
    return float(low[0] - grow[0]), float(low[1] - grow[1]), float(high[0] + grow[0]), float(high[1] + grow[1])


def view_matrix(view: View, size: tuple[int, int]) -> NDArray[np.float64]:
    """The affine (2, 3) from picture to crop pixels, `size` (height, width), pixel centres aligned.

    The centre of the box falls on the centre of the crop, ((W - 1) / 2, (H - 1) / 2): a mirrored crop is then exactly
    the crop of the mirrored picture. A flipped view mirrors the crop in x.
    """
    height, width = size
    scale = width / view.width
    angle = np.deg2rad(view.rotation)
    turn = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    matrix = np.concatenate([turn, (middle - turn @ view.centre)[:, None]], 1)
    if view.flipped:
        matrix[0] *= -1
        matrix[0, 2] += width - 1
    return matrix


def flip_joints(joints: Floats, order: NDArray[np.intp]) -> Floats:
    """`joints` (J, 3) with left and right exchanged by `order`, as a mirrored picture has them."""
    return joints[order]


def disturb(rng: np.random.Generator, crop: Image, how: Augmentation) -> Image:
    """`crop` (H, W, 3) with other colours, blurred, at a lower resolution, partly hidden; each by its probability."""
    if rng.random() < how.low_resolution:
        crop = _coarsen(crop, rng.uniform(0.25, 0.6))
    if rng.random() < how.blur:
        crop = np.asarray(cv2.GaussianBlur(crop, (0, 0), rng.uniform(0.5, 1.8)), np.uint8)
    if rng.random() < how.colour:
        crop = _recolour(rng, crop)
    if rng.random() < how.occlusion:
        crop = _hide(rng, crop)
    return crop


def _coarsen(crop: Image, factor: float) -> Image:
    height, width = crop.shape[:2]
    small = cv2.resize(crop, (max(1, int(width * factor)), max(1, int(height * factor))), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _recolour(rng: np.random.Generator, crop: Image) -> Image:
    """Brightness, contrast, saturation and a colour cast as one 3x3 matrix and an offset."""
    contrast, saturation = rng.uniform(0.65, 1.35), rng.uniform(0.3, 1.5)
    cast = rng.uniform(0.88, 1.12, 3)
    grey = np.array([0.299, 0.587, 0.114])
    mix = saturation * np.eye(3) + (1 - saturation) * np.tile(grey, (3, 1))
    matrix = contrast * cast[:, None] * mix
    offset = 128 * (1 - contrast) + rng.uniform(-35, 35)
    return np.asarray(cv2.transform(crop, np.concatenate([matrix, np.full((3, 1), offset)], 1)), np.uint8)


def _hide(rng: np.random.Generator, crop: Image) -> Image:
    """Cover one or two rectangles with a colour, noise, or another part of the same crop."""
    crop = crop.copy()
    height, width = crop.shape[:2]
    for _ in range(rng.integers(1, 3)):
        h, w = int(height * rng.uniform(0.08, 0.35)), int(width * rng.uniform(0.1, 0.45))
        y, x = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
        kind = rng.integers(3)
        if kind == 0:
            crop[y : y + h, x : x + w] = rng.integers(0, 256, 3)
        elif kind == 1:
            crop[y : y + h, x : x + w] = rng.integers(0, 256, (h, w, 3))
        else:
            fy, fx = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
            crop[y : y + h, x : x + w] = crop[fy : fy + h, fx : fx + w].copy()
    return crop
