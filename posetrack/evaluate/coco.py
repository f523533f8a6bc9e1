"""COCO's AP and AR through pycocotools: keypoints by OKS, boxes by IoU."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from posetrack.errors import FormatError
from posetrack.results.labels import read_json

__all__ = ["COCO_NAMES", "coco_scores", "score_coco_files"]

_ALL = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")
COCO_NAMES: dict[str, tuple[str, ...]] = {
    "keypoints": (
        "ap", "ap50", "ap75", "ap_medium", "ap_large", "ar", "ar50", "ar75", "ar_medium", "ar_large",
    ),
    "bbox": (*_ALL, "ar1", "ar10", "ar", "ar_small", "ar_medium", "ar_large"),
}  # fmt: skip
"""The twelve (ten for keypoints) numbers of COCO's summary, in its order."""

_AREA_OF_BOX = 0.53
"""What part of its box a person fills, for labels without `area` (the mean over COCO's people)."""

Kind = Literal["keypoints", "bbox"]


def coco_scores(truth: Mapping[str, Any], results: list[dict[str, Any]], kind: Kind) -> dict[str, float]:
    """AP and AR in percent by the names of COCO_NAMES, as pycocotools gives them (-100 where it has none: -1).

    `truth` is a COCO document of people, `results` a COCO list of results with `keypoints` or `bbox`. Labels that lack
    `iscrowd`, `area` or `num_keypoints` get 0, 0.53 of the box, and the count. Nothing given is changed.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools talks on stdout
        labels = COCO()
        labels.dataset = {**truth, "annotations": [_complete(a) for a in truth["annotations"]]}
        labels.createIndex()
        if not results:
            return dict.fromkeys(COCO_NAMES[kind], 0.0)
        guesses = labels.loadRes([dict(result) for result in results])
        judge = COCOeval(labels, guesses, kind)
        judge.params.catIds = labels.getCatIds(catNms=["person"]) or labels.getCatIds()[:1]
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    values = (100 * np.asarray(judge.stats)).tolist()
    return dict(zip(COCO_NAMES[kind], values, strict=True))


def _complete(annotation: dict[str, Any]) -> dict[str, Any]:
    completed = {"iscrowd": 0, **annotation}
    if "area" not in completed:
        completed["area"] = _AREA_OF_BOX * completed["bbox"][2] * completed["bbox"][3]
    if "num_keypoints" not in completed and "keypoints" in completed:
        completed["num_keypoints"] = sum(flag > 0 for flag in completed["keypoints"][2::3])
    return completed


def score_coco_files(prediction: Path, truth: Path) -> dict[str, Any]:
    """COCO's scores of a results file: `keypoints` and `bbox`, whichever it has.

    Raises FormatError that names the file and the entry for results that pycocotools could not take.
    """
    labels = _labels(truth)
    results = _results(prediction, {image["id"] for image in labels["images"]}, truth)
    report: dict[str, Any] = {
        "kind": "coco",
        "images": len(labels["images"]),
        "people": {"true": len(labels["annotations"]), "predicted": len(results)},
        "notes": ["pycocotools, 20 people an image for keypoints, 100 for boxes"],
    }
    joints = any(a.get("keypoints") for a in labels["annotations"])
    posed = [r for r in results if r.get("keypoints")]
    if posed and joints:
        without_boxes = [{k: v for k, v in r.items() if k != "bbox"} for r in posed]
        report["keypoints"] = coco_scores(labels, without_boxes, "keypoints")
    elif posed:
        report["notes"].append(f"{truth.name} has no keypoints: boxes only")
    if results and all("bbox" in r for r in results):
        without_joints = [{k: v for k, v in r.items() if k != "keypoints"} for r in results]
        report["bbox"] = coco_scores(labels, without_joints, "bbox")
    return report


def _labels(path: Path) -> dict[str, Any]:
    document = read_json(path)
    if not isinstance(document, dict) or not {"images", "annotations", "categories"} <= document.keys():
        raise FormatError(
            f"{path}: not COCO labels (an object with images, annotations and categories); give the truth last"
        )
    for i, annotation in enumerate(document["annotations"]):
        if "bbox" not in annotation and "area" not in annotation:
            raise FormatError(f"{path}, annotations[{i}]: neither bbox nor area; COCO scores need one of them")
    return document


def _results(path: Path, images: set[Any], truth: Path) -> list[dict[str, Any]]:
    document = read_json(path)
    if not isinstance(document, list):
        raise FormatError(
            f"{path}: not COCO results (a list of image_id, category_id, keypoints, score); "
            "write them with: posetrack export --to coco"
        )
    for i, entry in enumerate(document):
        where = f"{path}, entry {i}"
        if not isinstance(entry, dict) or "image_id" not in entry:
            raise FormatError(f"{where}: no image_id; every result belongs to an image")
        if entry["image_id"] not in images:
            raise FormatError(f"{where}: image_id {entry['image_id']!r} is not in {truth.name}; score the same images")
        joints = entry.get("keypoints") or []
        numbers = [*joints, *entry.get("bbox", []), entry.get("score")]
        if any(isinstance(v, bool) or not isinstance(v, int | float) or not np.isfinite(v) for v in numbers):
            raise FormatError(f"{where} (image {entry['image_id']}): a score or coordinate is no number; write one")
        if joints and len(joints) != 51:
            raise FormatError(f"{where}: {len(joints)} keypoint values; COCO has 17 joints of x, y, score: 51")
    return document
