"""Makes the demo clip: the astronaut portrait of scikit-image (public domain, NASA) walks about, several times over.

    python scripts/demo_clip.py demo.mp4

Five people of three sizes move behind low walls over a textured background that pans; they cross, leave the picture
and come back. 8 seconds, 640x360, the same pixels each time.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

from posetrack.video import VideoWriter

Pixels = NDArray[np.uint8]
Layer = NDArray[np.float32]

WIDTH, HEIGHT, FPS, SECONDS = 640, 360, 25, 8.0
WALLS = {130: 200, 180: 280}
"""Height of the people who walk behind a wall, and the row that its top is at; the others stand in front of both."""


@dataclass(frozen=True)
class Walk:
    """A person of `height` pixels who is at (time in seconds, middle in pixels) and walks evenly in between."""

    height: int
    path: tuple[tuple[float, float], ...]
    mirrored: bool = False
    hue: int = 0

    def middle(self, time: float) -> float:
        times, places = zip(*self.path, strict=True)
        return float(np.interp(time, times, places))


WALKS = (
    Walk(130, ((0, 90), (8, 560)), hue=195),
    Walk(130, ((0, 600), (3, 430), (5, 430), (8, 250)), mirrored=True, hue=100),
    Walk(180, ((0, 470), (4, 130), (8, 520)), mirrored=True, hue=290),
    Walk(180, ((0, 200), (2.6, -110), (4.0, -110), (7.6, 300)), hue=40),
    Walk(280, ((0, -140), (1, -140), (4.6, 420), (5.2, 420), (8, 250))),
)


def cut_out(portrait: Pixels) -> Layer:
    """The person of the portrait without what is behind her: RGB and opacity, (H, W, 4) float32, 0 to 1."""
    cv2.setRNGSeed(0)
    mask = np.full(portrait.shape[:2], cv2.GC_PR_BGD, np.uint8)
    body = np.array(
        [[15, 511], [30, 300], [110, 215], [150, 30], [300, 30], [310, 220], [365, 330], [511, 360], [511, 511]]
    )
    cv2.fillPoly(mask, [body], cv2.GC_PR_FGD)
    sure = np.array(
        [
            [45, 511],
            [60, 300],
            [130, 230],
            [185, 180],
            [170, 60],
            [280, 60],
            [260, 180],
            [300, 250],
            [345, 352],
            [430, 370],
            [480, 511],
        ]
    )
    cv2.fillPoly(mask, [sure], cv2.GC_FGD)
    mask[:130, :140] = mask[:330, 380:] = mask[:, :26] = cv2.GC_BGD
    table = [[362, 270], [511, 270], [511, 430], [497, 410], [480, 385], [450, 360], [400, 342], [362, 342]]
    cv2.fillPoly(mask, [np.array(table)], cv2.GC_BGD)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(cv2.cvtColor(portrait, cv2.COLOR_RGB2BGR), mask, None, *models, 5, cv2.GC_INIT_WITH_MASK)
    opaque = ((mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)).astype(np.uint8)
    opaque = cv2.morphologyEx(opaque, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    count, labels, sizes, _ = cv2.connectedComponentsWithStats(opaque)
    largest = 1 + int(np.argmax(sizes[1:, cv2.CC_STAT_AREA])) if count > 1 else 0
    opacity = cv2.GaussianBlur((labels == largest).astype(np.float32), (0, 0), 1.2)
    return np.dstack([portrait.astype(np.float32) / 255, opacity])


def dress(person: Layer, walk: Walk) -> Layer:
    """The cut-out at a walk's size, mirrored, its suit in another colour."""
    size = round(walk.height * person.shape[1] / person.shape[0]), walk.height
    small = cv2.resize(person, size, interpolation=cv2.INTER_AREA)
    if walk.hue:
        hls = cv2.cvtColor(small[..., :3], cv2.COLOR_RGB2HLS)
        suit = (hls[..., 0] < 25) & (hls[..., 2] > 0.6)
        hls[..., 0] = np.where(suit, hls[..., 0] + walk.hue, hls[..., 0])
        small[..., :3] = cv2.cvtColor(hls, cv2.COLOR_HLS2RGB)
    return np.ascontiguousarray(small[:, ::-1]) if walk.mirrored else small


def texture(seed: int, width: int, height: int, colours: tuple[tuple[int, int, int], tuple[int, int, int]]) -> Layer:
    """Noise on several scales between two colours, (H, W, 3) float32, 0 to 1."""
    noise = np.random.default_rng(seed)
    field = np.zeros((height, width), np.float32)
    for scale, weight in ((1, 0.12), (4, 0.3), (16, 0.6), (60, 1.0)):
        grain = noise.standard_normal((height // scale + 2, width // scale + 2)).astype(np.float32)
        field += weight * cv2.resize(grain, (width, height), interpolation=cv2.INTER_CUBIC)
    field = cv2.normalize(field, None, 0, 1, cv2.NORM_MINMAX)[..., None]
    dark, light = (np.array(colour, np.float32) / 255 for colour in colours)
    return dark + field * (light - dark)


def placed(person: Layer, left: float, top: float, shape: tuple[int, int]) -> Layer:
    """A person at a place between pixels of an otherwise clear picture of `shape` (height, width)."""
    matrix = np.array([[1, 0, left], [0, 1, top]], np.float64)
    return cv2.warpAffine(person, matrix, shape[::-1], flags=cv2.INTER_LINEAR)


def paste(canvas: Layer, layer: Layer) -> None:
    """Blend a layer of the canvas's size into it."""
    canvas += layer[..., 3:] * (layer[..., :3] - canvas)


def main(target: Path) -> None:
    """Draw the frames, far people first, each row's wall over its people, and write the clip."""
    person = cut_out(data.astronaut())
    people = [(walk, dress(person, walk)) for walk in WALKS]
    sky = texture(1, WIDTH + 240, HEIGHT, ((88, 104, 120), (196, 200, 190)))
    walls = {
        180: texture(2, WIDTH + 240, HEIGHT, ((88, 96, 70), (160, 166, 128))),
        130: texture(3, WIDTH + 240, HEIGHT, ((96, 84, 72), (172, 156, 136))),
    }
    for height, wall in walls.items():
        wall[WALLS[height] :: 18] *= 0.6
        wall[WALLS[height] + 1 : WALLS[height] + 5] *= 1.25
    with VideoWriter(target, WIDTH, HEIGHT, FPS, overwrite=True) as writer:
        for n in range(round(SECONDS * FPS)):
            time = n / FPS
            pan = round(120 + 110 * np.sin(time * 0.6))
            canvas = sky[:, pan : pan + WIDTH].copy()
            for height in sorted({walk.height for walk in WALKS}):
                for k, (walk, dressed) in enumerate(people):
                    if walk.height == height:
                        bob = height / 60 * np.sin(time * 9 + 2 * k)
                        floor = WALLS.get(height, HEIGHT) + 0.06 * height
                        left = walk.middle(time) - dressed.shape[1] / 2
                        paste(canvas, placed(dressed, left, floor - height + bob, (HEIGHT, WIDTH)))
                if height in WALLS:
                    canvas[WALLS[height] :] = walls[height][WALLS[height] :, pan : pan + WIDTH]
            writer.write(np.rint(255 * np.clip(canvas, 0, 1)).astype(np.uint8), time)
        writer.last_frame_ends = SECONDS


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "demo.mp4"))
