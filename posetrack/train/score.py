"""Scores of a pose network on people with ground-truth boxes: COCO's OKS AP."""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from posetrack.train.data import Shard
from posetrack.types import Boxes, Floats, Image, Poses

__all__ = ["average_precision", "result_row", "score_pose"]


def score_pose(estimator: Callable[[Image, Boxes], Poses], data: Shard) -> dict[str, float]:
    """OKS AP of `estimator` on the labelled people of `data`, their true boxes given.

    Keys: ap, ap50, ap75, ar (pycocotools), ms_per_item (milliseconds a person, the whole call).
    """
    results: list[dict[str, Any]] = []
    seconds, people = 0.0, 0
    for image_id, group in data.by_image().items():
        group = [a for a in group if not a.get("iscrowd") and a.get("num_keypoints", 0)]
        if not group:
            continue
        corners = np.array([a["bbox"] for a in group], np.float32)
        corners[:, 2:] += corners[:, :2]
        picture = data.picture(image_id)
        start = time.perf_counter()
        poses = estimator(picture, Boxes(corners, np.ones(len(group), np.float32)))
        seconds += time.perf_counter() - start
        people += len(group)
        results += [
            result_row(image_id, joints, score) for joints, score in zip(poses.keypoints, poses.scores, strict=True)
        ]
    return {**average_precision(data, results), "ms_per_item": 1e3 * seconds / max(people, 1)}


def result_row(image_id: Any, joints: Floats, score: float) -> dict[str, Any]:
    """A person of COCO's result file: `joints` (J, 3) x, y, score in pixels of the image."""
    return {
        "image_id": image_id, "category_id": 1, "keypoints": joints.astype(float).reshape(-1).tolist(),
        "score": float(score),
    }  # fmt: skip


def average_precision(data: Shard, results: Sequence[dict[str, Any]]) -> dict[str, float]:
    """pycocotools' keypoint AP, AP50, AP75 and AR of COCO results on the annotations of `data`."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    if not results:
        return {"ap": 0.0, "ap50": 0.0, "ap75": 0.0, "ar": 0.0}
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "info": {}, "images": list(data.images.values()), "categories": [{"id": 1, "name": "person"}],
            "annotations": [{"iscrowd": 0, "num_keypoints": 0, **a, "category_id": 1} for a in data.annotations],
        }  # fmt: skip
        truth.createIndex()
        scoring = COCOeval(truth, truth.loadRes(list(results)), "keypoints")
        scoring.evaluate()
        scoring.accumulate()
        scoring.summarize()
    ap, ap50, ap75, *_ = (float(v) for v in scoring.stats)
    return {"ap": ap, "ap50": ap50, "ap75": ap75, "ar": float(scoring.stats[5])}
