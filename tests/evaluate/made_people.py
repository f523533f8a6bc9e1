"""Made sequences for tests of scores: true people, and predictions to be spoiled."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posetrack.evaluate.people import Pair, People
from posetrack.skeleton import COCO17, POSETRACK17, Skeleton

Frames = list[dict[str, list[float]]]


def walking(frames: int = 6, people: int = 3, seed: int = 0, skeleton: Skeleton = POSETRACK17) -> People:
    """People side by side who walk a few pixels a frame; 200 px apart, 150 high, heads of 20 px."""
    random = np.random.default_rng(seed)
    body = random.uniform(0, 1, (people, len(skeleton), 2)) * [60, 150]
    start = np.stack([np.arange(people) * 200.0, np.full(people, 50.0)], axis=1)
    steps = np.arange(frames)[:, None, None, None] * np.array([3.0, 1.0])
    keypoints = (start[:, None] + body)[None] + steps
    flat = keypoints.reshape(-1, len(skeleton), 2)
    return People.of(
        np.repeat(np.arange(frames), people),
        np.tile(np.arange(people) + 1, frames),
        flat,
        boxes=np.concatenate([flat.min(axis=1), flat.max(axis=1)], axis=1),
        heads=np.full(frames * people, 20.0),
    )


def pair_of(truth: People, prediction: People, skeleton: Skeleton = POSETRACK17, name: str = "made") -> Pair:
    frames = 1 + int(max(truth.frame.max(initial=0), prediction.frame.max(initial=0)))
    return Pair(name, frames, np.ones(frames, bool), skeleton, truth, prediction)


def spoiled(people: People, seed: int) -> People:
    """A prediction of `people` with misses, noise, gross errors, exchanged identities and random scores."""
    random = np.random.default_rng(seed)
    keypoints = people.keypoints + random.normal(0, random.uniform(0, 8), people.keypoints.shape)
    keypoints[random.random(keypoints.shape[:2]) < 0.1] += 40
    ids = people.id.copy()
    for _ in range(int(random.integers(0, 4))):
        late = people.frame >= random.integers(0, int(people.frame.max()) + 1)
        a, b = random.choice(people.id, 2)
        ids[late] = np.where(ids[late] == a, b, np.where(ids[late] == b, a, ids[late]))
    changed = replace(people, keypoints=keypoints, id=ids, joint_scores=random.random(keypoints.shape[:2]).round(1))
    return changed[random.random(len(people)) > 0.15]


def boxes_of(frames: Frames) -> People:
    """People with boxes alone, from a dict of id to x, y, width, height for each frame."""
    rows: list[tuple[int, int, list[float]]] = [
        (f, int(i), [x, y, x + w, y + h]) for f, boxes in enumerate(frames) for i, (x, y, w, h) in boxes.items()
    ]
    return People.of(
        [r[0] for r in rows], [r[1] for r in rows], np.zeros((len(rows), 0, 2)), boxes=[r[2] for r in rows]
    )


def box_pair(truth: Frames, prediction: Frames) -> Pair:
    skeleton = Skeleton("boxes", (), (), (), ())
    return Pair("boxes", len(truth), np.ones(len(truth), bool), skeleton, boxes_of(truth), boxes_of(prediction))


def posetrack18(people: People, frames: int, **extra: Any) -> dict[str, Any]:
    """A PoseTrack18 document of people in PoseTrack17's joints."""
    names = list(POSETRACK17.joints)
    images = [
        {"id": f + 1, "file_name": f"images/val/000001_made/{f:06d}.jpg", "is_labeled": True, **extra}
        for f in range(frames)
    ]
    annotations = []
    present = people.present
    for row in range(len(people)):
        x1, y1, x2, y2 = people.boxes[row].tolist()
        seen = present[row]
        points: NDArray[np.float64] = np.column_stack([np.nan_to_num(people.keypoints[row]), seen])
        annotations.append(
            {
                "image_id": int(people.frame[row]) + 1, "track_id": int(people.id[row]), "category_id": 1,
                "keypoints": points.ravel().tolist(), "scores": people.joint_scores[row].tolist(),
                "bbox": [x1, y1, x2 - x1, y2 - y1], "bbox_head": [x1, y1, 20.0, 80 / 3],
            }
        )  # fmt: skip
    return {
        "images": images, "annotations": annotations,
        "categories": [{"id": 1, "name": "person", "keypoints": names}],
    }  # fmt: skip


__all__ = ["COCO17", "box_pair", "boxes_of", "pair_of", "posetrack18", "spoiled", "walking"]
