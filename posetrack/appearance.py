"""How people look: colours of their clothes and proportions of their bodies, a few dozen numbers a person.

    look = 5 parts x (8 hues, dark/dim/bright/white gray) and 5 lengths x (short, long)

The parts are the upper and lower half of the torso, the upper arms, the thighs and the shins, read at a few points
under the joints; the lengths are those of limbs over that of the torso. Every group of a look is a soft histogram
whose sum says how sure it is (0: not seen), so the mean of several looks is a look. Hue and saturation are kept apart
from lightness and count more, so that shade changes little.

It fails where clothes don't tell people apart: uniforms and teams, and several people in gray or black, who then only
differ by the light they stand in and by their proportions, which say little in one picture (limbs foreshorten). A
strong change of light or of the white balance looks like other clothes. Whoever is hidden by something that is no
person looks like it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from posetrack.skeleton import Skeleton
from posetrack.types import Floats, Image

__all__ = ["LOOK_SIZE", "alike", "describe"]

Doubles = NDArray[np.float64]
SIDES = ("left", "right")

HUES, GRAYS = 8, 4
PARTS = ("upper torso", "lower torso", "upper arms", "thighs", "shins")
BONES = {
    "upper arm": ("shoulder", "elbow"), "thigh": ("hip", "knee"), "shin": ("knee", "ankle"),
    "forearm": ("elbow", "wrist"),
}  # fmt: skip
"""The first three are under the last three parts; the length of each is in a look, and the shoulders' width."""
LOOK_SIZE = len(PARTS) * (HUES + GRAYS) + 2 * (len(BONES) + 1)
"""Numbers in a look."""

SEEN = 0.3
"""Score from which on a joint is where it is said to be, well enough to look there."""
GUESSED = 0.1
"""Score of hips from which on they tell at least which way the upper torso goes: of people behind a desk, say."""
LEAST_TORSO = 12
"""Pixels from shoulders to hips under which a person is too small to look at."""
ACROSS, DOWN = (grid.reshape(-1, 1) for grid in np.meshgrid(np.linspace(-0.42, 0.42, 8), np.linspace(0.08, 0.92, 16)))
"""Points of the torso: from its middle line to either side in widths, and from shoulders to hips."""
ALONG, BESIDE = (grid.reshape(-1, 1) for grid in np.meshgrid(np.linspace(0.15, 0.85, 16), [-0.05, 0.05]))
"""Points of a limb, along and beside the bone in lengths of it; with both limbs a part has 64, as half a torso has."""
HEAD = ("nose", "ear", "eye", "head_top", "head_bottom", "upper_neck")
LONGEST = 1.6
"""A limb over the torso that counts as long altogether."""


def describe(
    image: Image, keypoints: Floats, boxes: Floats, skeleton: Skeleton
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The looks (N, LOOK_SIZE) uint8 of people in `image` (H, W, 3) uint8 RGB, and who has one (N,).

    `keypoints` (N, J, 3) x, y in pixels and score; `boxes` (N, 4) x1, y1, x2, y2. Nobody has a look whose shoulders
    aren't seen and hips not even guessed, who is too small, or who stands behind somebody else (the lower edge of a
    box says who is in front); nor anybody in a `skeleton` without shoulders and hips.
    """
    looks, known = np.zeros((len(keypoints), LOOK_SIZE), np.uint8), np.zeros(len(keypoints), np.bool_)
    bodies = _Bodies.of(keypoints.astype(np.float64), boxes, skeleton)
    if bodies is None:
        return looks, known
    points, sure = bodies.points()
    visible = _inside(points, image) & ~bodies.behind(points)
    enough = visible.mean(axis=-1) > 0.5
    parts = (_colours()[_pixels(image, points)] * visible[..., None]).sum(axis=2)
    parts *= (enough * sure / np.maximum(parts.sum(axis=-1), 1e-6))[..., None]
    count = len(bodies.rows)
    groups = np.concatenate([parts.reshape(count, -1), bodies.lengths().reshape(count, -1)], axis=1)
    known[bodies.rows] = enough[:, 0]
    looks[bodies.rows] = np.rint(255 * groups) * enough[:, :1]
    return looks, known


def alike(a: NDArray[np.generic], b: NDArray[np.generic]) -> NDArray[np.float64]:
    """How sure it is (N, M), 0..1, that looks `a` (N, D) and `b` (M, D) are of one person, all else being equal.

    Also of means of looks, as floats. 0.5 where neither tells anything: a pair without a part seen in both, say.
    """
    first, second = _Groups(a), _Groups(b)
    colours = np.sqrt(first.parts[:, None] * second.parts[None]).sum(axis=-1)  # Bhattacharyya's coefficient, a part
    weights = np.sqrt(first.sure_parts[:, None] * second.sure_parts[None])
    vivid = (first.vivid[:, None] + second.vivid[None]) / 2
    colour = GRAY_GAIN + COLOUR_GAIN * vivid - COLOUR_SLOPE * np.sqrt(np.maximum(1 - colours, 0))
    differ = np.square(first.lengths[:, None] - second.lengths[None])
    shape = LENGTH_GAIN - LENGTH_SLOPE * differ
    sure_lengths = np.sqrt(first.sure_lengths[:, None] * second.sure_lengths[None])
    evidence = (weights * colour).sum(axis=-1) + (sure_lengths * shape).sum(axis=-1)
    return np.asarray(1 / (1 + np.exp(-np.clip(evidence, -50, 50))))


GRAY_GAIN, COLOUR_GAIN, COLOUR_SLOPE = 1.6, 0.8, 7.2
"""Evidence (log odds) of one part: a gain where it is equal, a greater one of colours, which are rarer than grays; less
with Hellinger's distance. Fitted to means of 8 looks on 7 clips; of the pairs there that are given 0.2 to 0.4, 0.4 to
0.8, 0.8 to 0.95 and more, 26, 55, 91 and 99 in 100 are one person.
"""
LENGTH_GAIN, LENGTH_SLOPE = 0.1, 5.0
"""Evidence of one length: the gain where it is equal, less with the squared difference."""


@dataclass(frozen=True, eq=False)
class _Bodies:
    """Those `rows` (n,) of some people whose torso is seen.

    `trunk` (n, 4, 2) the places of left and right shoulder, left and right hip, and how sure the upper and lower torso
    are, `sure` (n, 2); `size` (n,) the torso's length; `low` and `high` (n, 2) the bounds of head and torso; `floor`
    (n,) the lower edge of the box. Bones by side and as in BONES: where they `begin` (n, 2, 4, 2), where `bones`
    (n, 2, 4, 2) lead, and how sure they are, `sure_bones` (n, 2, 4), 0 where one isn't seen.
    """

    rows: NDArray[np.int64]
    trunk: Doubles
    sure: Doubles
    size: Doubles
    low: Doubles
    high: Doubles
    floor: Doubles
    begin: Doubles
    bones: Doubles
    sure_bones: Doubles

    @classmethod
    def of(cls, keypoints: Doubles, boxes: Floats, skeleton: Skeleton) -> _Bodies | None:
        """Those of people with `keypoints` (N, J, 3) and `boxes` (N, 4) whose torso is seen; None if nobody's is."""
        number = {joint: i for i, joint in enumerate(skeleton.joints)}
        names = [f"{side}_{joint}" for joint in ("shoulder", "hip") for side in SIDES]
        if any(name not in number for name in names):
            return None
        trunk = keypoints[:, [number[name] for name in names]]
        with np.errstate(over="ignore", invalid="ignore"):
            size = np.linalg.norm(trunk[:, 2:, :2].mean(axis=1) - trunk[:, :2, :2].mean(axis=1), axis=-1)
            scores = np.stack([trunk[:, :2, 2].min(axis=1), trunk[..., 2].min(axis=1)], axis=1)
            rows = np.flatnonzero(
                (scores[:, 0] > SEEN) & (scores[:, 1] > GUESSED) & (size >= LEAST_TORSO) & (size < 1e5)
            )
        if not len(rows):
            return None
        heads = [i for joint, i in number.items() if joint in HEAD or joint.split("_")[-1] in HEAD]
        solid = np.concatenate([trunk, keypoints[:, heads]], axis=1)[rows]
        solid[~(solid[..., 2] > SEEN)] = np.nan
        ends = [[[number.get(f"{side}_{joint}", -1) for joint in bone] for bone in BONES.values()] for side in SIDES]
        joints = keypoints[rows][:, np.array(ends)]
        joints[:, (np.array(ends) < 0).any(axis=-1)] = 0
        return cls(
            rows, trunk[rows, :, :2], _certainty(scores[rows]), size[rows],
            np.nanmin(solid[..., :2], axis=1), np.nanmax(solid[..., :2], axis=1), boxes[rows, 3].astype(np.float64),
            joints[..., 0, :2], joints[..., 1, :2] - joints[..., 0, :2], _certainty(joints[..., 2].min(axis=-1)),
        )  # fmt: skip

    def points(self) -> tuple[Doubles, Doubles]:
        """Points (n, 5, 64, 2) to look at, by part, and how sure each part is (n, 5)."""
        left, right = self.trunk[:, [0, 2], None], self.trunk[:, [1, 3], None]
        middle, width = (left + right) / 2, right - left
        torso = middle[:, 0] + DOWN * (middle[:, 1] - middle[:, 0])
        torso = torso + ACROSS * (width[:, 0] + DOWN * (width[:, 1] - width[:, 0]))
        begin, bones, sure = self.begin[:, :, :3], self.bones[:, :, :3], self.sure_bones[:, :, :3]
        limbs = begin[..., None, :] + ALONG * bones[..., None, :] + BESIDE * (bones[..., None, ::-1] * (-1, 1))
        limbs = np.where(sure[..., None, None] > 0, limbs, limbs[:, ::-1])  # one unseen: twice the other
        limbs[np.broadcast_to((sure.max(axis=1) == 0)[:, None], sure.shape)] = np.nan
        count = len(self.rows)
        points = [torso.reshape(count, 2, -1, 2), limbs.transpose(0, 2, 1, 3, 4).reshape(count, 3, -1, 2)]
        return np.concatenate(points, axis=1), np.concatenate([self.sure, sure.max(axis=1)], axis=1)

    def lengths(self) -> Doubles:
        """Short and long (n, 5, 2) of each length, their sum how sure it is; of two limbs the longer one in sight."""
        ratios = np.where(self.sure_bones > 0, np.linalg.norm(self.bones, axis=-1), 0)
        best = np.argmax(ratios, axis=1)[:, None]
        shoulders = np.linalg.norm(self.trunk[:, 0] - self.trunk[:, 1], axis=-1)
        longest = np.concatenate([np.take_along_axis(ratios, best, 1)[:, 0], shoulders[:, None]], axis=1)
        sure = np.concatenate([np.take_along_axis(self.sure_bones, best, 1)[:, 0], self.sure[:, :1]], axis=1)
        ratio = np.clip(longest / self.size[:, None] / LONGEST, 0, 1)
        sure = np.minimum(sure, self.sure[:, 1:])
        return np.stack([sure * (1 - ratio), sure * ratio], axis=-1)

    def behind(self, points: Doubles) -> NDArray[np.bool_]:
        """Which `points` (n, 5, P, 2) lie under the head or torso of somebody else who may stand in front.

        In front is whose box ends lower in the picture; where two end alike nobody knows.
        """
        hidden = np.zeros(points.shape[:-1], np.bool_)
        margin = 0.15 * self.size[:, None]
        low, high = self.low - margin, self.high + margin
        near = ((low[:, None] < high) & (low < high[:, None])).all(axis=-1)
        near &= self.floor[:, None] < self.floor + margin[:, 0]
        np.fill_diagonal(near, False)
        for row, other in np.argwhere(near):
            with np.errstate(invalid="ignore"):
                hidden[row] |= ((points[row] > low[other]) & (points[row] < high[other])).all(axis=-1)
        return hidden


def _certainty(scores: Doubles) -> Doubles:
    """How much a part counts whose joints have these scores at least: 0 where it isn't seen, wholly from 0.6 on."""
    return np.where(scores > SEEN, np.clip(scores / 0.6, 0, 1), 0)


def _inside(points: Doubles, image: Image) -> NDArray[np.bool_]:
    height, width = image.shape[:2]
    with np.errstate(invalid="ignore"):
        return np.asarray(np.all((points >= -0.5) & (points < (width - 0.5, height - 0.5)), axis=-1))


def _pixels(image: Image, points: Doubles) -> NDArray[np.intp]:
    """Numbers of the colours of the pixels nearest to `points` (..., 2), for `_colours`; any where one is outside."""
    height, width = image.shape[:2]
    places = np.rint(np.clip(np.nan_to_num(points), 0, (width - 1, height - 1))).astype(np.intp)
    pixels = (image[places[..., 1], places[..., 0]] >> (8 - DEPTH)).astype(np.intp)
    return np.asarray((pixels[..., 0] << DEPTH | pixels[..., 1]) << DEPTH | pixels[..., 2])


DEPTH = 5
"""Bits of a channel that colours are told apart by; the others are noise."""


@cache
def _colours() -> NDArray[np.float32]:
    """Counts (32768, 12) of each colour, which sum to 1: hues as far as it has one, grays for the rest."""
    levels = (np.arange(1 << DEPTH, dtype=np.float32) + 0.5) / (1 << DEPTH)
    rgb = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(1, -1, 3)
    lab = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB)[0]
    light, chroma = lab[..., 0], np.hypot(lab[..., 1], lab[..., 2])
    colourful = np.clip((chroma / (light + 25) - 0.1) / 0.3, 0, 1)  # saturation: shade leaves it as it is
    hue = np.arctan2(lab[..., 2], lab[..., 1]) * HUES / (2 * np.pi) % HUES
    gray = np.clip(light / 100, 0, 1) * (GRAYS - 1)
    around = np.abs((hue[..., None] - np.arange(HUES) + HUES / 2) % HUES - HUES / 2)
    hues = np.clip(1 - around, 0, 1) * colourful[..., None]
    grays = np.clip(1 - np.abs(gray[..., None] - np.arange(GRAYS)), 0, 1) * (1 - colourful)[..., None]
    return np.concatenate([hues, grays], axis=-1).astype(np.float32)


class _Groups:
    """The groups of looks (N, D), each with sum 1, and how sure each is."""

    def __init__(self, looks: NDArray[np.generic]) -> None:
        values = np.asarray(looks, np.float64).reshape(-1, LOOK_SIZE) / 255
        split = len(PARTS) * (HUES + GRAYS)
        parts = values[:, :split].reshape(-1, len(PARTS), HUES + GRAYS)
        lengths = values[:, split:].reshape(-1, len(BONES) + 1, 2)
        self.sure_parts, self.sure_lengths = np.clip(parts.sum(-1), 0, 1), np.clip(lengths.sum(-1), 0, 1)
        self.parts = parts / np.maximum(parts.sum(-1, keepdims=True), 1e-9)
        self.vivid = self.parts[..., :HUES].sum(axis=-1)
        self.lengths = lengths[..., 1] / np.maximum(lengths.sum(-1), 1e-9)
