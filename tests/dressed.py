"""People drawn as coloured blocks under their joints, for what goes by looks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from posetrack.skeleton import COCO17, Skeleton
from posetrack.types import Floats, Image, Poses

__all__ = ["BLUE", "GREEN", "RED", "WIDTH", "Dressed", "drawn", "poses_of"]

WIDTH, HEIGHT = 480, 240
RED, GREEN, BLUE = (190, 40, 40), (40, 150, 60), (50, 60, 180)

PLACES = {"shoulder": (0.2, 0.2), "hip": (0.15, 0.5), "knee": (0.15, 0.75), "ankle": (0.15, 1.0),
          "elbow": (0.3, 0.35), "wrist": (0.3, 0.48)}  # fmt: skip
"""Joints of a body of height 1: to either side of its middle, and down from its top."""


@dataclass(frozen=True)
class Dressed:
    """Somebody at `x` (the middle) whose head begins at `y`, in a shirt and trousers of these colours."""

    x: float
    shirt: tuple[int, int, int] = RED
    trousers: tuple[int, int, int] = (60, 60, 70)
    y: float = 60
    height: float = 120

    @property
    def box(self) -> tuple[float, float, float, float]:
        return self.x - 0.3 * self.height, self.y, self.x + 0.3 * self.height, self.y + self.height

    def joints(self, skeleton: Skeleton, score: float = 0.9) -> Floats:
        """Joints (J, 3); those of the head in its middle. Facing us: the left ones are on the right."""
        rows = []
        for name in skeleton.joints:
            side, _, joint = name.rpartition("_") if name.startswith(("left", "right")) else ("", "", name)
            across, down = PLACES.get(joint, (0.0, 0.08))
            x = self.x + {"left": 1, "right": -1}.get(side, 0) * across * self.height
            rows.append((x, self.y + down * self.height, score))
        return np.array(rows, np.float32)


def drawn(*people: Dressed, light: float = 1.0, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Image:
    """A picture (H, W, 3) of them, later ones in front, with noise, under more or less light."""
    noise = np.random.default_rng(0)
    picture = np.full((size[1], size[0], 3), (120, 125, 118), np.float64)
    for person in people:
        for colour, (top, bottom) in ((person.shirt, (0.15, 0.5)), (person.trousers, (0.5, 1.02))):
            rows = slice(max(round(person.y + top * person.height), 0), round(person.y + bottom * person.height))
            x = person.x + np.array([-0.26, 0.26]) * person.height
            picture[rows, slice(*np.clip(np.rint(x).astype(int), 0, None))] = colour
    return np.clip(light * picture + noise.normal(0, 4, picture.shape), 0, 255).astype(np.uint8)


def poses_of(*people: Dressed, skeleton: Skeleton = COCO17, score: float = 0.9) -> Poses:
    """Their poses, as a file would have them."""
    keypoints = np.array([person.joints(skeleton, score) for person in people], np.float32)
    boxes = np.array([person.box for person in people], np.float32)
    scores = np.full(len(people), score, np.float32)
    return Poses(keypoints.reshape(-1, len(skeleton), 3), boxes.reshape(-1, 4), scores)
