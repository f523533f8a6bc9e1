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

import cv2
import numpy as np
from numpy.typing import NDArray

from posetrack.skeleton import Skeleton
from posetrack.types import Floats, Image

__all__ = ["LOOK_SIZE", "alike", "describe"]

HUES, GRAYS = 8, 4
PARTS = ("upper torso", "lower torso", "upper arms", "thighs", "shins")
LIMBS = (("shoulder", "elbow"), ("hip", "knee"), ("knee", "ankle"))
"""The joints of the last three parts."""
LENGTHS = {
    "thigh": ("hip", "knee"), "shin": ("knee", "ankle"), "upper arm": ("shoulder", "elbow"),
    "forearm": ("elbow", "wrist"), "shoulders": ("left_shoulder", "right_shoulder"),
}  # fmt: skip
LOOK_SIZE = len(PARTS) * (HUES + GRAYS) + 2 * len(LENGTHS)
"""Numbers in a look."""

SEEN = 0.3
"""Score from which on a joint is where it is said to be, well enough to look there."""
GUESSED = 0.1
"""Score of hips from which on they tell at least which way the upper torso goes: of people behind a desk, say."""
LEAST_TORSO = 12
"""Pixels from shoulders to hips under which a person is too small to look at."""
ACROSS, DOWN = np.meshgrid(np.linspace(-0.42, 0.42, 8), np.linspace(0.08, 0.92, 16))
"""Points of the torso: from its middle line to either side in widths, and from shoulders to hips."""
ALONG = np.linspace(0.15, 0.85, 16)
"""Points of a limb. With those beside them, and both limbs, a part has 64, as has half a torso."""
BESIDE = np.array([-0.05, 0.05])
"""And beside its bone, in lengths of the bone."""
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
    body = _Body(keypoints, skeleton)
    looks = np.zeros((len(keypoints), LOOK_SIZE), np.uint8)
    rows = np.flatnonzero(body.torso_seen)
    if not len(rows):
        return looks, body.torso_seen
    points, sure = body.points(rows)
    visible = _inside(points, image) & ~_behind(points, rows, keypoints, boxes, body)
    counts = _soft_counts(_colours(image, points)) * visible[..., None]
    enough = visible.reshape(len(rows), len(PARTS), -1).mean(axis=-1) > 0.5
    parts = counts.reshape(len(rows), len(PARTS), -1, HUES + GRAYS).sum(axis=2)
    parts *= (enough * sure / np.maximum(parts.sum(axis=-1), 1e-6))[..., None]
    groups = np.concatenate([parts.reshape(len(rows), -1), body.lengths(rows).reshape(len(rows), -1)], axis=1)
    looks[rows] = np.rint(255 * groups)
    known = np.zeros(len(keypoints), np.bool_)
    known[rows] = enough[:, 0] & (looks[rows, : HUES + GRAYS].any(axis=1))
    looks[~known] = 0
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
with Hellinger's distance. Fitted to means of 8 looks on 7 clips; of the pairs there that are given 0.2 to
0.4, 0.4 to 0.8, 0.8 to 0.95 and more, 26, 62, 94 and 99 in 100 are one person.
"""
LENGTH_GAIN, LENGTH_SLOPE = 0.1, 5.0
"""Evidence of one length: the gain where it is equal, less with the squared difference."""


class _Body:
    """Where the parts of people are, from their joints."""

    def __init__(self, keypoints: Floats, skeleton: Skeleton) -> None:
        self.keypoints, self.skeleton = keypoints, skeleton
        names = [f"{side}_{joint}" for joint in ("shoulder", "hip") for side in ("left", "right")]
        if any(name not in skeleton.joints for name in names):
            self.torso_seen = np.zeros(len(keypoints), np.bool_)
            return
        self.trunk = keypoints[:, [skeleton.index(name) for name in names]].astype(np.float64)
        heads = [i for i, name in enumerate(skeleton.joints) if name.split("_")[-1] in HEAD or name in HEAD]
        self.solid = np.concatenate([self.trunk, keypoints[:, heads]], axis=1)
        self.top, self.bottom = self.trunk[:, :2, :2].mean(axis=1), self.trunk[:, 2:, :2].mean(axis=1)
        with np.errstate(invalid="ignore"):
            self.size = np.linalg.norm(self.bottom - self.top, axis=-1)
            shoulders, hips = self.trunk[:, :2, 2].min(axis=1), self.trunk[:, 2:, 2].min(axis=1)
            self.torso_seen = (shoulders > SEEN) & (hips > GUESSED) & (self.size >= LEAST_TORSO)
        self.sure_upper = _certainty(shoulders)
        self.sure_lower = np.where(hips > SEEN, _certainty(np.minimum(shoulders, hips)), 0)

    def points(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Points (n, P, 2) to look at, part by part, as many in each, and how sure each part is (n, 5)."""
        left, right = self.trunk[rows][:, [0, 2], :2], self.trunk[rows][:, [1, 3], :2]
        down = DOWN.ravel()[None, :, None]
        middle, width = (left + right) / 2, right - left
        torso = middle[:, :1] + down * (middle[:, 1:] - middle[:, :1])
        torso = torso + ACROSS.ravel()[None, :, None] * (width[:, :1] + down * (width[:, 1:] - width[:, :1]))
        limbs = [self._limbs(rows, start, end) for start, end in LIMBS]
        points = np.concatenate([torso, *(places for places, _ in limbs)], axis=1)
        sure = np.stack([self.sure_upper[rows], self.sure_lower[rows], *(score for _, score in limbs)], axis=1)
        return points, sure

    def _limbs(self, rows: NDArray[np.int64], start: str, end: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Points (n, P, 2) under both limbs between two joints, and the score (n,) of the better one."""
        found = [self._bone(rows, f"{side}_{start}", f"{side}_{end}") for side in ("left", "right")]
        grid = [begin[:, None, None] + ALONG[:, None, None] * bone[:, None, None]
                + BESIDE[:, None] * (bone[:, None, None, ::-1] * (-1, 1)) for begin, bone, _ in found]  # fmt: skip
        points = np.stack([each.reshape(len(rows), -1, 2) for each in grid])
        scores = np.stack([score for _, _, score in found])
        points[scores == 0] = np.nan
        # one limb unseen: look at the other one twice
        points = np.where((scores == 0)[:, :, None, None], points[::-1], points)
        return np.concatenate(list(points), axis=1), scores.max(axis=0)

    def _bone(
        self, rows: NDArray[np.int64], start: str, end: str
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Where a bone begins (n, 2), where it leads (n, 2), and its score (n,), 0 where it isn't seen."""
        if start not in self.skeleton.joints or end not in self.skeleton.joints:
            return np.zeros((len(rows), 2)), np.zeros((len(rows), 2)), np.zeros(len(rows))
        a, b = (self.keypoints[rows, self.skeleton.index(name)].astype(np.float64) for name in (start, end))
        score = np.minimum(a[:, 2], b[:, 2])
        score[~(score > SEEN)] = 0
        return a[:, :2], b[:, :2] - a[:, :2], _certainty(score)

    def lengths(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Short and long (n, 5, 2) of each length, their sum how sure it is; of two limbs the longer one in sight."""
        groups = np.zeros((len(rows), len(LENGTHS), 2))
        for k, (start, end) in enumerate(LENGTHS.values()):
            sides = [""] if "_" in start else ["left_", "right_"]
            found = [self._bone(rows, side + start, side + end) for side in sides]
            ratios = np.stack([np.linalg.norm(bone, axis=-1) / self.size[rows] / LONGEST for _, bone, _ in found])
            scores = np.stack([score for _, _, score in found])
            best = np.argmax(np.where(scores > 0, np.nan_to_num(ratios), -1), axis=0)[None]
            ratio = np.clip(np.nan_to_num(np.take_along_axis(ratios, best, 0)[0]), 0, 1)
            score = np.minimum(np.take_along_axis(scores, best, 0)[0], self.sure_lower[rows])
            groups[:, k] = np.stack([score * (1 - ratio), score * ratio], axis=-1)
        return groups


def _certainty(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much a part counts whose joints have these scores at least: 0 to 1, and wholly from 0.6 on."""
    return np.clip(np.nan_to_num(scores) / 0.6, 0, 1)


def _inside(points: NDArray[np.float64], image: Image) -> NDArray[np.bool_]:
    height, width = image.shape[:2]
    with np.errstate(invalid="ignore"):
        return np.asarray(np.all((points >= -0.5) & (points < (width - 0.5, height - 0.5)), axis=-1))


def _behind(
    points: NDArray[np.float64], rows: NDArray[np.int64], keypoints: Floats, boxes: Floats, body: _Body
) -> NDArray[np.bool_]:
    """Which points (n, P) of people `rows` lie under the head or torso of somebody else who may stand in front of them.

    In front is whose box ends lower in the picture; where two end alike nobody knows.
    """
    hidden = np.zeros(points.shape[:2], np.bool_)
    for other in np.flatnonzero(body.torso_seen):
        seen = body.solid[other][body.solid[other, :, 2] > SEEN, :2]
        low, high = seen.min(axis=0), seen.max(axis=0)
        margin = 0.15 * body.size[other]
        with np.errstate(invalid="ignore"):
            under = np.all((points > low - margin) & (points < high + margin), axis=-1)
        behind = boxes[rows, 3] < boxes[other, 3] + margin
        hidden |= under & (behind & (rows != other))[:, None]
    return hidden


def _colours(image: Image, points: NDArray[np.float64]) -> NDArray[np.float32]:
    """Lab colours (n, P, 3), L 0..100, of the pixels nearest to `points`; of any pixel where one is outside."""
    height, width = image.shape[:2]
    places = np.clip(np.rint(np.nan_to_num(points)), 0, (width - 1, height - 1)).astype(np.intp)
    pixels = image[places[..., 1], places[..., 0]].astype(np.float32) / 255
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB), np.float32)


def _soft_counts(lab: NDArray[np.float32]) -> NDArray[np.float64]:
    """Counts (..., 12) of each colour, which sum to 1: hues as far as it has one, grays for the rest."""
    light, chroma = lab[..., 0], np.hypot(lab[..., 1], lab[..., 2])
    colourful = np.clip((chroma / (light + 25) - 0.1) / 0.3, 0, 1)  # saturation: shade leaves it as it is
    hue = np.arctan2(lab[..., 2], lab[..., 1]) * HUES / (2 * np.pi) % HUES
    gray = np.clip(light / 100, 0, 1) * (GRAYS - 1)
    around = np.abs((hue[..., None] - np.arange(HUES) + HUES / 2) % HUES - HUES / 2)
    hues = np.clip(1 - around, 0, 1) * colourful[..., None]
    grays = np.clip(1 - np.abs(gray[..., None] - np.arange(GRAYS)), 0, 1) * (1 - colourful)[..., None]
    return np.concatenate([hues, grays], axis=-1).astype(np.float64)


class _Groups:
    """The groups of looks (N, D), each with sum 1, and how sure each is."""

    def __init__(self, looks: NDArray[np.generic]) -> None:
        values = np.asarray(looks, np.float64).reshape(-1, LOOK_SIZE) / 255
        split = len(PARTS) * (HUES + GRAYS)
        parts = values[:, :split].reshape(-1, len(PARTS), HUES + GRAYS)
        lengths = values[:, split:].reshape(-1, len(LENGTHS), 2)
        self.sure_parts, self.sure_lengths = np.clip(parts.sum(-1), 0, 1), np.clip(lengths.sum(-1), 0, 1)
        self.parts = parts / np.maximum(parts.sum(-1, keepdims=True), 1e-9)
        self.vivid = self.parts[..., :HUES].sum(axis=-1)
        self.lengths = lengths[..., 1] / np.maximum(lengths.sum(-1), 1e-9)
