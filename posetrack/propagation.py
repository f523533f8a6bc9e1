"""People of earlier frames, carried along to the newest one (the paper's section 4.1).

With optical flow a joint moves by the flow read at it, frame after frame, so that older entries go through the
frames between. Without flow (no video, or `--flow none`) a person moves on as it last did.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posetrack.flow import read_flow
from posetrack.geometry import bounds, enlarge
from posetrack.types import Boxes, Floats, Poses

__all__ = [
    "NOT_CARRIED", "Queued", "coast", "flow_boxes", "latest_velocities", "located", "propagate", "settle", "velocities",
]  # fmt: skip

FLOW_BOX_ENLARGEMENT = 0.15
"""In all, in length: 7.5 % a side (the paper's section 4.1)."""
FADING = 0.1
"""What a box score loses with every frame in which only flow carried the person."""
SMOOTHING = 0.7
"""How much of a new displacement enters a person's velocity."""
NOT_CARRIED = np.array([np.nan, np.nan, 0], np.float32)
"""A joint without a place."""

Velocities = dict[int, Floats]
"""Pixels a frame, x then y, by track id."""


@dataclass(frozen=True, eq=False)
class Queued:
    """The people of one earlier frame, as they were and as they are carried to the newest frame.

    `ids` (N,) track numbers; `poses` as that frame had them; `carried` (N, J, 3) x, y, score where flow took the
    joints, NaN with score 0 for those that are not carried (any more); `coasted` the frames since then, in which
    there was no flow; `box_scores` (N,) the last score from the detector or file, less a tenth a frame since;
    `velocities` (N, 2) float32, pixels a frame.
    """

    ids: NDArray[np.int64]
    poses: Poses
    carried: Floats
    box_scores: Floats
    velocities: Floats
    coasted: int = 0

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def concatenate(cls, entries: Sequence[Queued]) -> Queued:
        """All people of `entries`, of which there is one at least, in one; none of them may have coasted."""
        return cls(
            np.concatenate([entry.ids for entry in entries]),
            Poses.concatenate(*(entry.poses for entry in entries)),
            np.concatenate([entry.carried for entry in entries]),
            np.concatenate([entry.box_scores for entry in entries]),
            np.concatenate([entry.velocities for entry in entries]),
        )

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
            "coasted": self.coasted,
        }

    @classmethod
    def from_json(cls, entry: dict[str, Any], joints: int) -> Queued:
        """The entry that `to_json` wrote, of a skeleton of so many `joints`."""

        def floats(name: str, *shape: int) -> Floats:
            return np.array(entry[name], np.float32).reshape(-1, *shape)

        poses = Poses(floats("keypoints", joints, 3), floats("boxes", 4), floats("scores"))
        return cls(
            np.array(entry["ids"], np.int64),
            poses,
            floats("carried", joints, 3),
            floats("box_scores"),
            floats("velocities", 2),
            entry["coasted"],
        )


def _with_none(values: Floats) -> list[Any]:
    plain = values.astype(object)
    plain[np.isnan(values)] = None
    return list(plain.tolist())


def located(keypoints: Floats) -> NDArray[np.bool_]:
    """Which joints (...) of (..., J, 3) have a place at all: finite, and not the 0, 0, 0 of an unlabelled joint."""
    return np.asarray(np.isfinite(keypoints[..., :2]).all(axis=-1) & np.any(keypoints != 0, axis=-1))


def propagate(queue: Sequence[Queued], flow: Floats, latest: Velocities) -> list[Queued]:
    """The `queue` carried one frame on by `flow` (H, W, 2) float32, pixels; joints that leave the image are dropped.

    What entries coasted before, by the `latest` velocities, is settled first. All joints are read at once: most of
    the time would go into the calls.
    """
    if not queue:
        return []
    height, width = flow.shape[:2]
    carried = np.concatenate([settle(entry, latest).carried for entry in queue])
    joints = carried.reshape(-1, 3)  # a view
    joints[:, :2] += read_flow(flow, joints[:, :2])  # NaN outside the picture
    outside = ~np.all((joints[:, :2] >= -0.5) & (joints[:, :2] <= (width - 0.5, height - 0.5)), axis=1)
    joints[outside] = NOT_CARRIED
    parts = np.split(carried, np.cumsum([len(entry) for entry in queue])[:-1])
    return [replace(entry, carried=part, coasted=0) for entry, part in zip(queue, parts, strict=True)]


def coast(entry: Queued) -> Queued:
    """`entry` one frame on without flow: its people go on by their latest velocities, whatever these will be."""
    return replace(entry, coasted=entry.coasted + 1)


def settle(entry: Queued, latest: Velocities) -> Queued:
    """`entry` with its joints where the `latest` velocities took them while it coasted."""
    if not entry.coasted:
        return entry
    if not len(entry):
        return replace(entry, coasted=0)
    moves = np.array([latest[i] for i in entry.ids.tolist()], np.float32) * np.float32(entry.coasted)
    carried = entry.carried.copy()
    carried[..., :2] += moves[:, None]
    return replace(entry, carried=carried, coasted=0)


def latest_velocities(queue: Sequence[Queued]) -> Velocities:
    """The newest velocity (2,) of each id in the `queue` (newest entry first), pixels a frame."""
    newest: Velocities = {}
    for entry in reversed(queue):
        newest.update(zip(entry.ids.tolist(), entry.velocities, strict=True))
    return newest


def flow_boxes(entry: Queued, joint_threshold: float) -> Boxes:
    """Boxes that flow gives for the people of the newest entry, row by row, NaN for those it has lost.

    The bounds of the carried joints above `joint_threshold`, enlarged by 15 % in all; scores a tenth less than the
    frame before.
    """
    boxes = enlarge(bounds(entry.carried, joint_threshold), FLOW_BOX_ENLARGEMENT)
    scores = np.round(entry.box_scores - FADING, 4)  # rounded: a tenth is not a float32, and losses add up
    return Boxes(boxes, np.where(np.isnan(boxes).any(axis=-1), 0, scores).astype(np.float32))


def velocities(ids: NDArray[np.int64], keypoints: Floats, queue: Sequence[Queued]) -> Floats:
    """Velocities (N, 2) in pixels a frame of people with `ids` (N,) and `keypoints` (N, J, 3), newest `queue` first.

    The median displacement of the joints located in both frames since an id was last seen, over the frames between,
    smoothed with the velocity that it had; 0 for people not in the queue.
    """
    speeds = np.zeros((len(ids), 2), np.float32)
    places = {i: row for row, i in enumerate(ids.tolist())}
    for gap, entry in enumerate(queue, start=1):
        for row, i in enumerate(entry.ids.tolist()):
            if i in places:
                now = places.pop(i)
                speeds[now] = _velocity(entry.poses.keypoints[row], keypoints[now], gap, entry.velocities[row])
    return speeds


def _velocity(before: Floats, now: Floats, gap: int, had: Floats) -> Floats:
    both = located(before) & located(now)
    if not both.any():
        return had
    new = np.median(now[both, :2] - before[both, :2], axis=0) / np.float32(gap)
    return np.asarray(had + np.float32(SMOOTHING) * (new - had), np.float32)
