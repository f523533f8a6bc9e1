"""Skeletons: joints, edges, left/right pairs and OKS sigmas, and the way from one to another.

Orders, pairs and sigmas are those of REFERENCE 3.1 and 3.4: COCO (cocoapi), PoseTrack17 as poseval reads it,
PoseTrack18, MPII. Left and right are the person's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from posetrack.errors import FormatError
from posetrack.types import Floats

__all__ = ["COCO17", "MPII16", "POSETRACK17", "POSETRACK18", "SKELETONS", "Skeleton", "convert", "find_skeleton"]


@dataclass(frozen=True)
class Skeleton:
    """A named order of joints.

    `edges` and `flip_pairs` are pairs of joint numbers; `sigmas` are the OKS sigmas, one a joint (k = 2 sigma).
    """

    name: str
    joints: tuple[str, ...]
    edges: tuple[tuple[int, int], ...]
    flip_pairs: tuple[tuple[int, int], ...]
    sigmas: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.joints)

    def index(self, joint: str) -> int:
        """The number of `joint`; ValueError when the skeleton lacks it."""
        return self.joints.index(joint)

    @property
    def flip_order(self) -> tuple[int, ...]:
        """The joint that each joint becomes in a mirrored picture."""
        order = list(range(len(self.joints)))
        for a, b in self.flip_pairs:
            order[a], order[b] = b, a
        return tuple(order)


def _skeleton(
    name: str, joints: list[str], edges: list[tuple[str, str]], sigmas: dict[str, float] | list[float]
) -> Skeleton:
    number = {joint: i for i, joint in enumerate(joints)}
    pairs = [
        (i, number[other])
        for i, joint in enumerate(joints)
        if (other := _mirrored(joint)) in number and i < number[other]
    ]
    values = [sigmas[joint] for joint in joints] if isinstance(sigmas, dict) else sigmas
    return Skeleton(
        name, tuple(joints), tuple((number[a], number[b]) for a, b in edges), tuple(pairs), tuple(values)
    )


def _mirrored(joint: str) -> str:
    if joint.startswith("left_"):
        return "right_" + joint[5:]
    return "left_" + joint[6:] if joint.startswith("right_") else ""


def _both(*edges: tuple[str, str]) -> list[tuple[str, str]]:
    return [(f"{side}_{a}", f"{side}_{b}") for a, b in edges for side in ("left", "right")]


_LEGS = _both(("ankle", "knee"), ("knee", "hip"))
_ARMS = _both(("shoulder", "elbow"), ("elbow", "wrist"))
_COCO_BODY = [
    f"{side}_{joint}"
    for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    for side in ("left", "right")
]
_LIMBS_17 = [
    "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle",
    "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist",
]  # fmt: skip

_COCO_SIGMA = {
    "nose": 0.026, "eye": 0.025, "ear": 0.035, "shoulder": 0.079, "elbow": 0.072, "wrist": 0.062,
    "hip": 0.107, "knee": 0.087, "ankle": 0.089, "head_bottom": 0.08, "head_top": 0.06,
}  # fmt: skip


def _sigmas(joints: list[str]) -> list[float]:
    """COCO's sigmas by name; head_bottom 0.08 and head_top 0.06 where a skeleton has them (REFERENCE 3.4)."""
    return [_COCO_SIGMA[joint.removeprefix("left_").removeprefix("right_")] for joint in joints]


_COCO_JOINTS = ["nose", "left_eye", "right_eye", "left_ear", "right_ear", *_COCO_BODY]
COCO17 = _skeleton(
    "coco17",
    _COCO_JOINTS,
    [
        *_LEGS, ("left_hip", "right_hip"), *_both(("shoulder", "hip")), ("left_shoulder", "right_shoulder"), *_ARMS,
        ("left_eye", "right_eye"), ("nose", "left_eye"), ("nose", "right_eye"),
        *_both(("eye", "ear"), ("ear", "shoulder")),
    ],
    _sigmas(_COCO_JOINTS),
)  # fmt: skip

_POSETRACK17_JOINTS = [*_LIMBS_17, "head_bottom", "nose", "head_top"]
POSETRACK17 = _skeleton(
    "posetrack17",
    _POSETRACK17_JOINTS,
    [
        ("head_top", "nose"), ("nose", "head_bottom"),
        ("head_bottom", "left_shoulder"), ("head_bottom", "right_shoulder"),
        *_ARMS, ("head_bottom", "left_hip"), ("head_bottom", "right_hip"), *_LEGS,
    ],
    _sigmas(_POSETRACK17_JOINTS),
)  # fmt: skip

_POSETRACK18_JOINTS = ["nose", "head_bottom", "head_top", "left_ear", "right_ear", *_COCO_BODY]
POSETRACK18 = _skeleton(
    "posetrack18",
    _POSETRACK18_JOINTS,
    [
        *_LEGS, ("left_hip", "right_hip"), *_both(("shoulder", "hip")), ("left_shoulder", "right_shoulder"), *_ARMS,
        ("nose", "head_bottom"), ("nose", "head_top"),
        ("head_bottom", "left_shoulder"), ("head_bottom", "right_shoulder"),
    ],
    _sigmas(_POSETRACK18_JOINTS),
)  # fmt: skip

_MPII_JOINTS = [*_LIMBS_17[:6], "pelvis", "thorax", "upper_neck", "head_top", *_LIMBS_17[6:]]
MPII16 = _skeleton(
    "mpii16",
    _MPII_JOINTS,
    [
        *_LEGS, ("left_hip", "pelvis"), ("right_hip", "pelvis"), ("pelvis", "thorax"), ("thorax", "upper_neck"),
        ("upper_neck", "head_top"), ("upper_neck", "left_shoulder"), ("upper_neck", "right_shoulder"), *_ARMS,
    ],
    [.089, .083, .107, .107, .083, .089, .026, .026, .026, .026, .062, .072, .179, .179, .072, .062],
)  # fmt: skip

SKELETONS: dict[str, Skeleton] = {s.name: s for s in (COCO17, POSETRACK17, POSETRACK18, MPII16)}


def find_skeleton(name: str) -> Skeleton:
    """The skeleton called `name`; FormatError that lists the known ones otherwise."""
    if name not in SKELETONS:
        raise FormatError(f"unknown skeleton '{name}'; posetrack knows {', '.join(SKELETONS)}")
    return SKELETONS[name]


_OTHER_NAMES = {"head_bottom": ("upper_neck",), "upper_neck": ("head_bottom",)}


def convert(keypoints: Floats, source: Skeleton, target: Skeleton) -> tuple[Floats, tuple[str, ...]]:
    """Joints of `source` in the order of `target`, and the names of those that had to be derived.

    `keypoints` is (..., J, 3) x, y, score; the result (..., K, 3). Joints go by name; PoseTrack's head_bottom
    is MPII's upper_neck. Where `source` has neither, head_bottom is the middle of the shoulders with the mean
    of their scores, and head_top lies as far beyond the nose as the neck is below it, 2 nose - neck, with that
    same score (REFERENCE 3.2, as Detect-and-Track does). What cannot be had is NaN with score 0.
    """
    out = np.full((*keypoints.shape[:-2], len(target), 3), np.nan, np.float32)
    out[..., 2] = 0
    derived: list[str] = []
    for k, joint in enumerate(target.joints):
        names = [n for n in (joint, *_OTHER_NAMES.get(joint, ())) if n in source.joints]
        if names:
            out[..., k, :] = keypoints[..., source.index(names[0]), :]
        elif joint in ("head_bottom", "upper_neck"):
            out[..., k, :] = _neck(keypoints, source)
            derived.append(joint)
        elif joint == "head_top" and "nose" in source.joints:
            neck = _neck(keypoints, source)
            nose = keypoints[..., source.index("nose"), :]
            out[..., k, :2] = 2 * nose[..., :2] - neck[..., :2]
            out[..., k, 2] = neck[..., 2]
            derived.append(joint)
    return out, tuple(derived)


def _neck(keypoints: Floats, source: Skeleton) -> Floats:
    left, right = source.index("left_shoulder"), source.index("right_shoulder")
    return np.asarray((keypoints[..., left, :] + keypoints[..., right, :]) / 2, np.float32)
