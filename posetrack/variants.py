"""Variants of the tracker over the same frames: detection, poses and flow are made once and serve every row.

All variants walk through a clip side by side, frame by frame, so nothing is kept but what the frame needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from posetrack.errors import InputError
from posetrack.evaluate.ablation import Variant, variant_scores
from posetrack.evaluate.load import Side, pair_up, read_side, side_of_results
from posetrack.evaluate.people import Integers, Pair, chosen_joints
from posetrack.evaluate.report import PoseSettings
from posetrack.flow import CUT_THRESHOLD, Glance, cut_score, make_flow
from posetrack.geometry import enlarge
from posetrack.pipeline import Sight
from posetrack.skeleton import Skeleton
from posetrack.tracker import PoseTracker, TrackerSettings
from posetrack.types import Boxes, Frame, FrameResult, Image, Poses
from posetrack.video import open_video

__all__ = ["Clip", "find_clips", "run_variants", "score_variants"]


@dataclass(frozen=True)
class Clip:
    """A video, or a folder of pictures, and the file that holds its truth."""

    name: str
    source: str
    truth: Path


_VIDEOS = {".mp4", ".avi", ".mov", ".mkv", ".webm"}


def find_clips(folder: Path) -> list[Clip]:
    """The clips of a folder: it, or each folder in it, holds a truth (*.json) beside `frames/` or a video.

    Raises InputError when there is none.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give one that holds truth (.json) and frames/ or a video")
    clips = []
    for place in (folder, *sorted(path for path in folder.iterdir() if path.is_dir())):
        for truth in sorted(place.glob("*.json")):
            stem = truth.name.split(".")[0]
            sources = [place / "frames", place / stem, *(place / f"{stem}{ending}" for ending in sorted(_VIDEOS))]
            found = next((source for source in sources if source.exists()), None)
            if found is not None:
                clips.append(Clip(stem, str(found), truth))
    if not clips:
        raise InputError(f"{folder}: no truth (.json) beside a folder frames/ or a video of its name")
    return clips


class _Seen:
    """One pair of networks, asked once for each frame and each box of it."""

    def __init__(self, sight: Sight) -> None:
        self.sight = sight
        self.people: Boxes | Poses = Boxes.empty()
        self._known: dict[bytes, Poses] = {}

    def look(self, frame: Frame) -> None:
        """Find the people of the next frame; what was known of the last is forgotten."""
        self.people = self.sight.find([frame])[0]
        self._known = {}

    def estimate(self, image: Image, boxes: Boxes) -> Poses:
        """Poses of `boxes`, of those that are new in this frame by the network."""
        keys = [box.tobytes() + score.tobytes() for box, score in zip(boxes.xyxy, boxes.scores, strict=True)]
        new = [row for row, key in enumerate(keys) if key not in self._known]
        if new:
            fresh = self.sight.estimate([image], [boxes[new]])[0]
            self._known.update({keys[row]: fresh[[place]] for place, row in enumerate(new)})
        return Poses.concatenate(*(self._known[key] for key in keys))


class _Truth:
    """The truth in place of the detector ('true boxes') or of both networks ('true joints')."""

    def __init__(self, side: Side, sight: Sight, *, joints: bool) -> None:
        self._people, self._sight, self._joints = side.people, sight, joints
        self.skeleton: Skeleton = side.skeleton if joints else sight.skeleton
        self.estimates = not joints

    def find(self, frames: list[Frame]) -> list[Boxes] | list[Poses]:
        rows = [np.flatnonzero(self._people.frame == frame.index) for frame in frames]
        if self._joints:
            return [self._poses(r) for r in rows]
        boxes = enlarge(self._people.boxes.astype(np.float32), 0.15)  # the paper: the tight box, 15 % larger
        return [Boxes(boxes[r], np.ones(len(r), np.float32)) for r in rows]

    def _poses(self, rows: Integers) -> Poses:
        people = self._people[rows]
        keypoints = np.concatenate([people.keypoints, people.present[..., None]], axis=2).astype(np.float32)
        return Poses(keypoints, people.boxes.astype(np.float32), np.ones(len(rows), np.float32))

    def estimate(self, images: list[Image], boxes: list[Boxes]) -> list[Poses]:
        return self._sight.estimate(images, boxes)


def run_variants(
    frames: Iterable[Frame], sights: Mapping[str, Sight], variants: Sequence[Variant], truth: Side
) -> dict[str, list[FrameResult]]:
    """The people of every frame by each variant, by its name. `sights` are the networks by label."""
    looking = {(v.networks, v.people): _Seen(_sight(v, sights, truth)) for v in variants}
    trackers = {
        v.name: PoseTracker(looking[v.networks, v.people].sight.skeleton, TrackerSettings(**v.tracker))
        for v in variants
    }
    flows = {v.flow: make_flow(v.flow) for v in variants}
    results: dict[str, list[FrameResult]] = {v.name: [] for v in variants}
    before: Frame | None = None
    for frame in frames:
        cut = before is not None and cut_score(Glance.of(before.image), Glance.of(frame.image)) >= CUT_THRESHOLD
        carry = before is not None and not cut
        moved = {name: flow(before.image, frame.image) if flow and before and carry else None
                 for name, flow in flows.items()}  # fmt: skip
        for seen in looking.values():
            seen.look(frame)
        for variant in variants:
            seen = looking[variant.networks, variant.people]
            estimate = seen.estimate if seen.sight.estimates else None
            people = trackers[variant.name].step(frame, seen.people, moved[variant.flow], estimate, cut)
            results[variant.name].append(FrameResult(frame.index, frame.time, tuple(people), cut))
        before = frame
    return results


def _sight(variant: Variant, sights: Mapping[str, Sight], truth: Side) -> Sight:
    sight = sights[variant.networks]
    if variant.people == "networks":
        return sight
    return _Truth(truth, sight, joints=variant.people == "true joints")


def score_variants(
    clips: Sequence[Clip],
    sights: Mapping[str, Sight],
    variants: Sequence[Variant],
    settings: PoseSettings,
    joints: str | None = None,
) -> dict[str, dict[str, float]]:
    """Each variant's scores over all clips together, by its name; `joints` as for evaluate.people.chosen_joints."""
    pairs: dict[str, list[Pair]] = {variant.name: [] for variant in variants}
    for clip in clips:
        truth = read_side(clip.truth)
        with open_video(clip.source) as video:
            results = run_variants(video, sights, variants, truth)
        for variant in variants:
            skeleton = _sight(variant, sights, truth).skeleton
            guess = side_of_results(Path(clip.source), results[variant.name], skeleton)
            pair, _ = pair_up(truth, guess, settings.protocol)
            pairs[variant.name].append(pair if joints is None else pair.joints(chosen_joints(pair.skeleton, joints)))
    return {name: variant_scores(group, settings) for name, group in pairs.items()}
