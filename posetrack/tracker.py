"""The paper's section 4: boxes, poses and optical flow of one frame after another in, people with identities out.

    propagate -> unify -> estimate -> similarity -> match -> queue

Numpy only: pictures are handed on to the pose estimator and never looked at. The same people in another order get
the same ids.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from posetrack.absence import Absences
from posetrack.geometry import iou, suppress
from posetrack.matching import MATCHINGS, SIMILARITIES, JointTerms, Similarity, best_similarity, shape_similarity
from posetrack.oks import crop_areas, oks, oks_nms
from posetrack.propagation import (
    NOT_CARRIED,
    Queued,
    coast,
    flow_boxes,
    latest_velocities,
    located,
    propagate,
    settle,
    velocities,
)
from posetrack.skeleton import Skeleton
from posetrack.types import Appearance, Boxes, Estimate, Floats, Frame, Image, Look, Person, Poses, Source

__all__ = ["PoseTracker", "TrackerSettings", "unify"]


@dataclass(frozen=True)
class TrackerSettings:
    """What the paper leaves open, its variants by name, and what goes beyond it.

    `nms_iou` above which of two boxes the worse goes; `oks_nms` the same for poses, and
    `flow_oks_nms` for a pose on a flow box beside one on a detector's. `joint_threshold`: joints above
    it count as seen; `hidden_weight` is what others count in the similarity where they have a place. People scoring
    under `person_threshold` go. `propagation`: whether flow gives boxes. `similarity` and `matching` by name; pairs
    above `similarity_threshold` match, and in a second round, of people left over on both sides, pairs whose
    `matching.shape_similarity` is above `recovery_threshold` (1: no second round). `motion`: how people are carried
    where there is no flow. `queue_length` is L_Q, in frames.
    `appearance`: whether people are looked at (posetrack.appearance); `reidentify` seconds for which those out of
    the queue are remembered by their looks, so that they get the old id when they return (0: not at all).

    Thresholds of identities are chosen by the switches on true poses alone (scripts/measure_identities has the table);
    those of OKS on real clips, by eye and by the boxes that lie in one another: with 0.9 and no rule for flow boxes
    the demo clip has 7.7 people a frame where there are 4, with these 4.3; an OKS NMS of 0.5 would lose 4 in 100 of
    the true people of 40 crowded sequences to a neighbour, 0.7 loses 1.
    Raises ValueError for what cannot be.
    """

    nms_iou: float = 0.6
    oks_nms: float = 0.7
    flow_oks_nms: float = 0.4
    joint_threshold: float = 0.2
    hidden_weight: float = 0.3
    person_threshold: float = 0.2
    propagation: bool = True
    similarity: Literal["bbox", "pose", "flow", "multi-flow"] = "multi-flow"
    similarity_threshold: float = 0.1
    recovery_threshold: float = 0.4
    matching: Literal["greedy", "hungarian"] = "greedy"
    motion: Literal["velocity", "none"] = "velocity"
    queue_length: int = 10
    appearance: bool = True
    reidentify: float = 0

    def __post_init__(self) -> None:
        if self.similarity not in SIMILARITIES:
            raise ValueError(f"unknown similarity '{self.similarity}'; there are {', '.join(SIMILARITIES)}")
        if self.matching not in MATCHINGS:
            raise ValueError(f"unknown matching '{self.matching}'; there are {', '.join(MATCHINGS)}")
        if self.motion not in ("velocity", "none"):
            raise ValueError(f"unknown motion '{self.motion}'; there are velocity, none")
        if self.queue_length < 1:
            raise ValueError(f"the queue holds at least one frame, not {self.queue_length}")
        if self.reidentify < 0 or (self.reidentify and not self.appearance):
            raise ValueError(
                "reidentify is a time of 0 seconds or more, and needs appearance: it goes by people's looks"
            )


LOOK_EVERY = 5
"""People are looked at in each fifth frame, and in that in which they get their id."""


@dataclass(frozen=True, eq=False)
class Found:
    """People of the newest frame before they have ids: poses, the scores of their boxes, and where these are from."""

    poses: Poses
    box_scores: Floats
    sources: tuple[Source, ...]

    def __getitem__(self, rows: NDArray[np.int64]) -> Found:
        return Found(self.poses[rows], self.box_scores[rows], tuple(self.sources[i] for i in rows))

    @property
    def flowing(self) -> NDArray[np.bool_]:
        """Whether each one's box (N,) is from the flow."""
        return np.array([source == "flow" for source in self.sources], np.bool_)


class PoseTracker:
    """Follows the people of one video.

    `step` takes the frames one by one, in order. What it remembers is the queue of the last `queue_length` frames,
    the next id and, with `reidentify`, the absent: `state` gives it for a file, `restore` takes it back, `reset`
    begins another video.
    """

    def __init__(self, skeleton: Skeleton, settings: TrackerSettings | None = None) -> None:
        self.skeleton = skeleton
        self.settings = settings or TrackerSettings()
        self.joints = JointTerms(skeleton.sigmas, self.settings.joint_threshold, self.settings.hidden_weight)
        self.reset()

    def reset(self) -> None:
        """Forget everyone: the next frame is the first of a video."""
        self.queue: deque[Queued] = deque(maxlen=self.settings.queue_length)  # newest first
        self.next_id = 1
        self.frames = 0
        self.absences = Absences(self.settings.reidentify) if self.settings.reidentify else None

    def step(
        self,
        frame: Frame,
        boxes: Boxes | Poses,
        flow: Floats | None,
        estimate: Estimate | None,
        cut: bool = False,
        look: Look | None = None,
    ) -> list[Person]:
        """The people of the next frame, by id.

        `boxes` are the detector's, or whole poses from a file, which are taken as they are. `flow` (H, W, 2) float32
        leads from the frame before to this one, x then y, pixels; None where there is none. `estimate` gives the
        poses of boxes; without it the joints that flow carried are the pose where the file has nobody. `cut` begins
        a new scene: nobody is carried into it. `look` tells how people look, if the settings want it. Raises
        ValueError for boxes without poses and nobody to estimate them.
        """
        if cut:
            self._begin_scene()
        else:
            self._carry(flow)
        flowing = flow is not None and self.settings.propagation and not cut
        carried = self._flow_boxes() if flowing else Boxes.empty()
        if estimate is not None and isinstance(boxes, Boxes):
            found = self._estimate(frame.image, _in_order(boxes), carried, estimate)
            ids = self._identify(found)
            # a flow box complements a missing detection: what it shows is somebody known, or nobody
            stay = np.flatnonzero((ids != 0) | ~found.flowing)
            found, ids = found[stay], ids[stay]
        else:
            found = self._given(boxes)
            ids = self._identify(found)
            found, ids = self._fill(found, ids, carried)
        looks = self._looks(frame.image, found, ids, look)
        named = self._name(ids if self.absences is None else self._recall(frame, found, ids, looks))
        self._push(found, named)
        if self.frames % LOOK_EVERY:
            looks = [each if before <= 0 else None for each, before in zip(looks, ids, strict=True)]
        self.frames += 1
        return _people(found, named, looks)

    def _begin_scene(self) -> None:
        self.queue.clear()
        if self.absences is not None:
            self.absences.scene += 1

    def _carry(self, flow: Floats | None) -> None:
        """Every queued person's joints, one frame on."""
        if flow is not None:
            latest = latest_velocities(self.queue)
            moved = propagate(self.queue, flow, latest)
        elif self.settings.motion == "velocity":
            moved = [coast(entry) for entry in self.queue]
        else:
            return
        self.queue.clear()
        self.queue.extend(moved)

    def _flow_boxes(self) -> Boxes:
        """Flow boxes of the newest entry, row by row; the score is 0 where the person could only be thrown out."""
        if not self.queue:
            return Boxes.empty()
        boxes = flow_boxes(self.queue[0], self.settings.joint_threshold)
        return Boxes(boxes.xyxy, np.where(boxes.scores >= self.settings.person_threshold, boxes.scores, 0))

    def _estimate(self, image: Image, detected: Boxes, carried: Boxes, estimate: Estimate) -> Found:
        """Poses on the unified boxes, without duplicates and people hardly seen."""
        detected = unify(detected, Boxes.empty(), self.settings.nms_iou)[0]
        poses = estimate(image, detected) if len(detected) else Poses.empty(len(self.skeleton))
        boxes, sources = unify(detected, carried[self._missed(carried, poses)], self.settings.nms_iou)
        if len(boxes) > len(detected):
            poses = Poses.concatenate(poses, estimate(image, boxes[len(detected) :]))
        areas = crop_areas(poses.boxes)
        kept = oks_nms(poses.keypoints, poses.scores, areas, self.skeleton.sigmas, self.settings.oks_nms)
        kept = kept[poses.scores[kept] >= self.settings.person_threshold]
        return self._complement(Found(poses, boxes.scores, sources)[kept])

    def _missed(self, carried: Boxes, detected: Poses) -> NDArray[np.bool_]:
        """Which of the newest entry's boxes `carried` (N,) are of people that none of the poses `detected` shows.

        It spares the network the poses that `_complement` would throw away.
        """
        wanted = np.asarray(carried.scores > 0, np.bool_)
        if not wanted.any() or not len(detected):
            return wanted
        shown = detected[detected.scores >= self.settings.person_threshold]
        areas = (crop_areas(carried.xyxy)[:, None] + crop_areas(shown.boxes)[None]) / 2
        alike = oks(self.queue[0].carried, shown.keypoints, areas, self.skeleton.sigmas)
        return wanted & ~(alike > self.settings.flow_oks_nms).any(axis=1)

    def _complement(self, found: Found) -> Found:
        """`found` without poses on flow boxes that show somebody whom a detector's box shows already."""
        if not found.flowing.any():
            return found
        keypoints, areas = found.poses.keypoints, crop_areas(found.poses.boxes)
        alike = oks(keypoints, keypoints, (areas[:, None] + areas[None]) / 2, self.skeleton.sigmas)
        shown = (alike[:, ~found.flowing] > self.settings.flow_oks_nms).any(axis=1)
        return found[np.flatnonzero(~(found.flowing & shown))]

    def _given(self, poses: Boxes | Poses) -> Found:
        """The poses of a file, as they are, but for people under the person threshold."""
        if isinstance(poses, Boxes):
            if len(poses):
                raise ValueError("boxes without poses need an estimate")
            poses = Poses.empty(len(self.skeleton))
        poses = _in_order(poses[poses.scores >= self.settings.person_threshold])
        return Found(poses, np.minimum(poses.scores, 1), _all("file", len(poses)))

    def _identify(self, found: Found) -> NDArray[np.int64]:
        """Ids (N,) that people `found` have from those of the queue; 0 for those that nobody is like.

        The detected come before those of flow boxes. In each group first by the similarity; who is left over on both
        sides then by the shape of the pose.
        """
        ids = np.zeros(len(found.poses), np.int64)
        function, entries = SIMILARITIES[self.settings.similarity]
        latest = latest_velocities(self.queue)
        queue = [settle(entry, latest) for entry in islice(self.queue, entries)]
        rounds = (
            (function, self.settings.similarity_threshold),
            (shape_similarity, self.settings.recovery_threshold),
        )
        compared: dict[Similarity, tuple[NDArray[np.int64], NDArray[np.float64]]] = {}
        for group in (~found.flowing, found.flowing):
            for alike, threshold in rounds:
                if ids[group].all():
                    break
                if alike not in compared:
                    compared[alike] = best_similarity(alike, queue, found.poses, self.joints)
                known, matrix = compared[alike]
                matrix = np.where(np.isin(known, ids)[:, None] | (ids != 0) | ~group, 0, matrix)
                for row, column in MATCHINGS[self.settings.matching](matrix, threshold):
                    ids[column] = known[row]
        return ids

    def _fill(self, found: Found, ids: NDArray[np.int64], carried: Boxes) -> tuple[Found, NDArray[np.int64]]:
        """Add the people of the frame before whom the file does not have: the joints that flow carried.

        They keep their ids, so nobody can take the id of a person whom the file has by being carried exactly.
        """
        gone = carried.scores > 0
        if not gone.any():
            return found, ids
        newest = self.queue[0]
        gone &= ~np.isin(newest.ids, ids)
        _, kept = _ranked_nms(Boxes(found.poses.boxes, found.box_scores), carried[gone], self.settings.nms_iou)
        rows = np.flatnonzero(gone)[kept]
        poses = Poses(newest.carried[rows], carried.xyxy[rows], carried.scores[rows])
        box_scores = np.concatenate([found.box_scores, carried.scores[rows]])
        filled = Found(Poses.concatenate(found.poses, poses), box_scores, found.sources + _all("flow", len(rows)))
        return filled, np.concatenate([ids, newest.ids[rows]])

    def _looks(self, image: Image, found: Found, ids: NDArray[np.int64], look: Look | None) -> list[Appearance | None]:
        """How people `found` look: all of them in each fifth frame, or where one has no id yet; None where unknown.

        A flow box may show what somebody is hidden by: those are never looked at.
        """
        wanted = look is not None and self.settings.appearance and len(ids) > 0
        if look is None or not wanted or not (self.frames % LOOK_EVERY == 0 or (ids <= 0).any()):
            return [None] * len(ids)
        looks, known = look(image, found.poses)
        return [each if sure else None for each, sure in zip(looks, known & ~found.flowing, strict=True)]

    def _recall(
        self, frame: Frame, found: Found, ids: NDArray[np.int64], looks: list[Appearance | None]
    ) -> NDArray[np.int64]:
        """`ids` with the old ones of those who were away, and numbers below 0 of who waits to be told (absence.py)."""
        assert self.absences is not None
        ids, new = ids.copy(), ids == 0
        ids[new] = self.absences.waiting(int(new.sum()))
        seen = np.flatnonzero(~found.flowing)
        self.absences.see(frame.time, ids[seen], found.poses.boxes[seen], [looks[row] for row in seen])
        present = {*ids.tolist(), *(id for entry in self.queue for id in entry.ids.tolist())}
        waiting = [id for id in ids[seen].tolist() if id < 0]
        picture = float(np.prod(frame.image.shape[:2]))
        for number, id in self.absences.decide(frame.time, waiting, present, picture).items():
            name = id or self.next_id
            self.next_id += id == 0
            ids[ids == number] = name
            self.absences.rename(number, name)
            self._rename(number, name)
        self.absences.forget(frame.time, present)
        return ids

    def _rename(self, waiting: int, id: int) -> None:
        renamed = [replace(entry, ids=np.where(entry.ids == waiting, id, entry.ids)) for entry in self.queue]
        self.queue.clear()
        self.queue.extend(renamed)

    def _name(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """`ids` with new ones, in the order of the rows, where they are 0."""
        new = ids == 0
        named = ids.copy()
        named[new] = self.next_id + np.arange(new.sum())
        self.next_id += int(new.sum())
        return named

    def _push(self, found: Found, ids: NDArray[np.int64]) -> None:
        keypoints = found.poses.keypoints
        carried = np.where(located(keypoints)[..., None], keypoints, NOT_CARRIED)
        speeds = velocities(ids, keypoints, self.queue)
        self.queue.appendleft(Queued(ids, found.poses, carried, found.box_scores, speeds))

    def state(self) -> dict[str, Any]:
        """What the tracker remembers, as JSON values; float32 numbers come back exactly."""
        absences = None if self.absences is None else self.absences.state()
        queue = [entry.to_json() for entry in self.queue]
        return {"next_id": self.next_id, "frames": self.frames, "queue": queue, "absences": absences}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state` as if never stopped."""
        self.reset()
        self.next_id, self.frames = int(state["next_id"]), int(state["frames"])
        if self.absences is not None:
            self.absences.restore(state["absences"])
        self.queue.extend(Queued.from_json(entry, len(self.skeleton)) for entry in state["queue"])


def unify(detected: Boxes, carried: Boxes, threshold: float) -> tuple[Boxes, tuple[Source, ...]]:
    """The boxes that stay of the detector's and those that flow `carried`, and where each is from.

    Non-maximum suppression at IoU `threshold`; the detector's boxes, by score, rank before flow's, by score.
    """
    detected_rows, carried_rows = _ranked_nms(detected, carried, threshold)
    sources = _all("detector", len(detected_rows)) + _all("flow", len(carried_rows))
    return Boxes.concatenate(detected[detected_rows], carried[carried_rows]), sources


def _ranked_nms(first: Boxes, second: Boxes, threshold: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows of `first` and of `second` that stay when all of `first` rank before `second`."""
    n = len(first)
    ranks = np.concatenate([np.argsort(-first.scores, kind="stable"), n + np.argsort(-second.scores, kind="stable")])
    xyxy = np.concatenate([first.xyxy, second.xyxy])
    kept = suppress(iou(xyxy, xyxy), ranks, threshold)
    return kept[kept < n], kept[kept >= n] - n


def _all(source: Source, count: int) -> tuple[Source, ...]:
    return (source,) * count


_Rows = TypeVar("_Rows", Boxes, Poses)


def _in_order(people: _Rows) -> _Rows:
    """`people` by score, then by where they are, so that nothing depends on the order in which they came."""
    places: Floats = people.xyxy if isinstance(people, Boxes) else people.boxes
    if isinstance(people, Poses):
        joints = people.keypoints.reshape(len(people), np.prod(people.keypoints.shape[1:]))
        places = np.concatenate([places, joints], axis=1)
    return people[np.lexsort([*places.T[::-1], -people.scores])]


def _people(found: Found, ids: NDArray[np.int64], looks: list[Appearance | None]) -> list[Person]:
    """`found` as people, by id, without those who wait for one."""
    poses, sources = found.poses, found.sources
    return [
        Person(int(ids[i]), float(poses.scores[i]), poses.boxes[i], poses.keypoints[i], sources[i], looks[i])
        for i in np.argsort(ids)
        if ids[i] > 0
    ]
