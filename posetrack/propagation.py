"""People of earlier frames, carried along to the newest one (the paper's section 4.1).

With optical flow a joint moves by the flow read at it, frame after frame, so that older entries go through the
frames between. Without flow (no video, or `--flow none`) a person moves on as it last did.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posetrack.flow import read_flow
from posetrack.geometry import bounds, enlarge
from posetrack.types import Boxes, Floats, Poses

__all__ = ["Queued", "coast", "flow_boxes", "located", "propagate", "velocities"]

FLOW_BOX_ENLARGEMENT = 0.15
"""In all, in length: 7.5 % a side (the paper's section 4.1)."""
FADING = 0.1
"""What a box score loses with every frame in which only flow carried the person."""
SMOOTHING = 0.5
"""How much of a new displacement enters a person's velocity."""


@dataclass(frozen=True, eq=False)
class Queued:
    """The people of one earlier frame, as they were and as they are carried to the newest frame.

    `ids` (N,) track numbers; `poses` as that frame had them; `carried` (N, J, 3) x, y, score, NaN with score 0 for
    joints that are not carried (any more); `box_scores` (N,) the last score from the detector or file, less a tenth
    a frame since; `velocities` (N, 2) float32, pixels a frame.
    """

    ids: NDArray[np.int64]
    poses: Poses
    carried: Floats
    box_scores: Floats
    velocities: Floats

    def __len__(self) -> int:
        return len(self.ids)

    def to_json(self) -> dict[str, Any]:
        """The entry in JSON values, NaN as None; float32 numbers come back exactly."""
        return {
            "ids": self.ids.tolist(),
            "keypoints": _with_none(self.poses.keypoints),
            "boxes": _with_none(self.poses.boxes),
            "scores": self.poses.scores.tolist(),
            "carried": _with_none(self.carried),
            "box_scores": self.box_scores.tolist(),
            "velocities": self.velocities.tolist(),
        }

    @classmethod
    def from_json(cls, entry: dict[str, Any], joints: int) -> Queued:
        """The entry that `to_json` wrote, of a skeleton of so many `joints`."""

        def floats(name: str, *shape: int) -> Floats:
            return np.array(entry[name], np.float32).reshape(-1, *shape)

        poses = Poses(floats("keypoints", joints, 3), floats("boxes", 4), floats("scores"))
        ids = np.array(entry["ids"], np.int64)
        return cls(ids, poses, floats("carried", joints, 3), floats("box_scores"), floats("velocities", 2))


def _with_none(values: Floats) -> list[Any]:
    return list(np.where(np.isnan(values), None, values.astype(object)).tolist())


def located(keypoints: Floats) -> NDArray[np.bool_]:
    """Which joints (...) of (..., J, 3) have a place at all: finite, and not the 0, 0, 0 of an unlabelled joint."""
    return np.asarray(np.isfinite(keypoints[..., :2]).all(axis=-1) & np.any(keypoints != 0, axis=-1))


def propagate(entry: Queued, flow: Floats) -> Queued:
    """`entry` carried one frame on by `flow` (H, W, 2) float32, pixels; joints that leave the image are dropped."""
    height, width = flow.shape[:2]
    carried = entry.carried.copy()
    inside = _inside(carried, width, height)
    carried[inside, :2] += read_flow(flow, carried[inside, :2])
    carried[~_inside(carried, width, height)] = (np.nan, np.nan, 0)
    return replace(entry, carried=carried)


def _inside(keypoints: Floats, width: int, height: int) -> NDArray[np.bool_]:
    """Which located joints lie within the picture, half a pixel around its outermost pixel centres."""
    x, y = keypoints[..., 0], keypoints[..., 1]
    with np.errstate(invalid="ignore"):
        within = (x >= -0.5) & (y >= -0.5) & (x <= width - 0.5) & (y <= height - 0.5)
    return np.asarray(within & located(keypoints))


def coast(entry: Queued, latest: dict[int, Floats]) -> Queued:
    """`entry` carried one frame on without flow: each person by its `latest` velocity (2,), pixels a frame, by id."""
    moves = np.array([latest[int(i)] for i in entry.ids], np.float32).reshape(-1, 1, 2)
    carried = entry.carried.copy()
    carried[..., :2] += moves
    return replace(entry, carried=carried)


def flow_boxes(entry: Queued, joint_threshold: float) -> Boxes:
    """Boxes that flow gives for the people of the newest entry, row by row, NaN for those it has lost.

    The bounds of the carried joints above `joint_threshold`, enlarged by 15 % in all; scores a tenth less than the
    frame before.
    """
    boxes = enlarge(bounds(entry.carried, joint_threshold), FLOW_BOX_ENLARGEMENT)
    scores = np.round(entry.box_scores - FADING, 4)  # rounded: a tenth is not a float32, and losses add up
    return Boxes(boxes, np.where(np.isnan(boxes).any(axis=-1), 0, scores).astype(np.float32))


def velocities(ids: NDArray[np.int64], keypoints: Floats, queue: Iterable[Queued]) -> Floats:
    """Velocities (N, 2) in pixels a frame of people with `ids` (N,) and `keypoints` (N, J, 3), newest `queue` first.

    The median displacement of the joints located in both frames since an id was last seen, over the frames between,
    smoothed with the velocity that it had; 0 for people not in the queue.
    """
    speeds = np.zeros((len(ids), 2), np.float32)
    place = {int(i): row for row, i in enumerate(ids)}
    for gap, entry in enumerate(queue, start=1):
        for row, i in enumerate(entry.ids):
            if (mine := place.get(int(i))) is None:
                continue
            del place[int(i)]
            before, now = entry.poses.keypoints[row], keypoints[mine]
            both = located(before) & located(now)
            speeds[mine] = entry.velocities[row]
            if both.any():
                step = np.median(now[both, :2] - before[both, :2], axis=0) / gap
                speeds[mine] += np.float32(SMOOTHING) * (step - speeds[mine])
    return speeds
