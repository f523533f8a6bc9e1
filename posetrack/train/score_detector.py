"""A detector's figures on labelled pictures: COCO's average precision, and recall at one false box an image."""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from posetrack.detector import Detector
from posetrack.train.data import Shard
from posetrack.types import Boxes

__all__ = ["recall_at", "score_boxes", "score_detector"]


def score_detector(detector: Detector, data: Shard) -> dict[str, float]:
    """`ap`, `ap50`, `ap75`, `ar`, `recall_at_1_fppi` and `ms_per_item` (a picture, decoding apart) on `data`.

    The detector's own threshold should be low (0.01): what it drops cannot be scored. Annotations with `iscrowd` are
    regions where boxes count neither way.
    """
    found: dict[Any, Boxes] = {}
    seconds = []
    for image_id in data.images:
        picture = data.picture(image_id)
        start = time.perf_counter()
        found[image_id] = detector.detect([picture])[0]
        seconds.append(time.perf_counter() - start)
    return {**score_boxes(found, data), "ms_per_item": 1000 * float(np.median(seconds))}


def score_boxes(found: dict[Any, Boxes], data: Shard) -> dict[str, float]:
    """COCO's figures of boxes by image id, and the recall at one false box an image, at IoU 0.5."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "info": {}, "images": list(data.images.values()), "categories": [{"id": 1, "name": "person"}],
            "annotations": [_annotation(a) for a in data.annotations],
        }  # fmt: skip
        truth.createIndex()
        rows = [row for image_id, boxes in found.items() for row in _rows(image_id, boxes)]
        scorer = COCOeval(truth, truth.loadRes(rows) if rows else COCO(), "bbox")
        scorer.params.catIds, scorer.params.imgIds = [1], sorted(data.images)
        scorer.evaluate()
        scorer.accumulate()
        scorer.summarize()
    figures = dict(zip(("ap", "ap50", "ap75", "ar"), (float(scorer.stats[i]) for i in (0, 1, 2, 8)), strict=True))
    figures["recall_at_1_fppi"] = recall_at(scorer.evalImgs[: len(data.images)], len(data.images))
    return figures


def _annotation(annotation: dict[str, Any]) -> dict[str, Any]:
    width, height = annotation["bbox"][2:]
    return {"iscrowd": 0, "area": width * height, **annotation, "category_id": 1}


def _rows(image_id: Any, boxes: Boxes) -> list[dict[str, Any]]:
    return [
        {"image_id": image_id, "category_id": 1, "bbox": [x1, y1, x2 - x1, y2 - y1], "score": score}
        for (x1, y1, x2, y2), score in zip(boxes.xyxy.tolist(), boxes.scores.tolist(), strict=True)
    ]


def recall_at(evaluations: Sequence[dict[str, Any] | None], false_boxes: float) -> float:
    """The share of people found when boxes are taken by score until `false_boxes` of them are false, at IoU 0.5.

    `evaluations` are COCOeval's per-image results for people of all sizes.
    """
    scores: list[NDArray[Any]] = [np.zeros(0)]
    true: list[NDArray[Any]] = [np.zeros(0, bool)]
    people = 0
    for result in evaluations:
        if result is None:
            continue
        counted = ~np.asarray(result["dtIgnore"][0], bool)
        scores.append(np.asarray(result["dtScores"])[counted])
        true.append(np.asarray(result["dtMatches"][0])[counted] > 0)
        people += int((np.asarray(result["gtIgnore"]) == 0).sum())
    hits = np.concatenate(true)[np.argsort(-np.concatenate(scores), kind="stable")]
    taken = np.cumsum(~hits) <= false_boxes
    return float(hits[taken].sum() / people) if people else 0.0
