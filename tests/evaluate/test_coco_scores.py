"""COCO's scores against pycocotools called directly."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from posetrack.errors import FormatError
from posetrack.evaluate.coco import COCO_NAMES, Kind, coco_scores, score_coco_files
from posetrack.skeleton import COCO17


def made(seed: int = 0) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Labels with crowds and people without joints; results with misses, noise and false people."""
    random = np.random.default_rng(seed)
    annotations, results = [], []
    for image in range(1, 13):
        for _ in range(int(random.integers(0, 5))):
            x, y, w, h = (random.uniform(0, 300, 4) + np.array([0, 0, 20, 40])).round(1).tolist()
            joints = random.uniform(0, 1, (17, 2)) * [w, h] + [x, y]
            flags = random.integers(0, 3, 17) * (random.random() > 0.15)
            points = np.column_stack([joints * (flags > 0)[:, None], flags])
            annotations.append(
                {
                    "id": len(annotations) + 1, "image_id": image, "category_id": 1, "bbox": [x, y, w, h],
                    "area": 0.6 * w * h, "iscrowd": int(random.random() < 0.1), "keypoints": points.ravel().tolist(),
                    "num_keypoints": int((flags > 0).sum()),
                }
            )  # fmt: skip
            if random.random() < 0.85:
                guess = np.column_stack([joints + random.normal(0, 0.04 * np.sqrt(w * h), joints.shape), np.ones(17)])
                results.append(result(image, guess, [x + 3, y, w, h], random.random()))
        if random.random() < 0.4:
            guess = np.column_stack([random.uniform(0, 400, (17, 2)), np.ones(17)])
            results.append(result(image, guess, [10, 10, 80, 90], random.random()))
    labels = {
        "images": [{"id": i, "width": 640, "height": 480} for i in range(1, 13)], "annotations": annotations,
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO17.joints), "skeleton": []}],
    }  # fmt: skip
    return labels, results


def result(image: int, points: np.ndarray, bbox: list[float], score: float) -> dict[str, Any]:
    flat = points.ravel().tolist()
    return {"image_id": image, "category_id": 1, "keypoints": flat, "bbox": bbox, "score": float(score)}


def directly(labels: dict[str, Any], results: list[dict[str, Any]], kind: str) -> list[float]:
    drop = "bbox" if kind == "keypoints" else "keypoints"
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = labels
        truth.createIndex()
        guesses = truth.loadRes([{k: v for k, v in r.items() if k != drop} for r in results])
        judge = COCOeval(truth, guesses, kind)
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return [100 * float(value) for value in judge.stats]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["keypoints", "bbox"])
def test_scores_are_pycocotools(kind: Kind, seed: int, tmp_path: Path) -> None:
    labels, results = made(seed)
    (tmp_path / "truth.json").write_text(json.dumps(labels))
    (tmp_path / "pred.json").write_text(json.dumps(results))
    report = score_coco_files(tmp_path / "pred.json", tmp_path / "truth.json")
    assert list(report[kind].values()) == directly(labels, results, kind)
    assert list(report[kind]) == list(COCO_NAMES[kind])


def test_perfect_is_100() -> None:
    labels, _ = made(1)
    people = [a for a in labels["annotations"] if a["num_keypoints"] and not a["iscrowd"]]
    results = [{"image_id": a["image_id"], "category_id": 1, "keypoints": a["keypoints"], "score": 1} for a in people]
    scores = coco_scores(labels, results, "keypoints")
    assert scores["ap"] == pytest.approx(100, abs=1e-9)
    assert scores["ar"] == pytest.approx(100, abs=1e-9)


def test_labels_without_area_or_counts() -> None:
    labels, results = made(2)
    bare = [
        {k: v for k, v in a.items() if k not in ("area", "iscrowd", "num_keypoints")} for a in labels["annotations"]
    ]
    scores = coco_scores({**labels, "annotations": bare}, results, "bbox")
    assert 0 < scores["ap"] < 100
    assert "area" not in bare[0]


def test_no_results_at_all() -> None:
    assert set(coco_scores(made()[0], [], "keypoints").values()) == {0.0}


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda r: r[1].update(image_id=99), "entry 1: image_id 99 is not in truth.json"),
        (lambda r: r[0].update(score="0.5"), "entry 0 .image 1.: a score or coordinate is no number"),
        (lambda r: r[2].update(keypoints=[1, 2, 3]), "entry 2: 3 keypoint values"),
        (lambda r: r[0].pop("image_id"), "entry 0: no image_id"),
    ],
)
def test_faults_name_the_entry(spoil: Any, what: str, tmp_path: Path) -> None:
    labels, results = made(0)
    results.sort(key=lambda r: r["image_id"])
    spoil(results)
    (tmp_path / "truth.json").write_text(json.dumps(labels))
    (tmp_path / "pred.json").write_text(json.dumps(results))
    with pytest.raises(FormatError, match=f"pred.json, {what}"):
        score_coco_files(tmp_path / "pred.json", tmp_path / "truth.json")


def test_files_of_the_wrong_kind(tmp_path: Path) -> None:
    labels, results = made(0)
    (tmp_path / "truth.json").write_text(json.dumps(labels))
    (tmp_path / "pred.json").write_text(json.dumps(results))
    with pytest.raises(FormatError, match=r"pred.json: not COCO labels .*; give the truth last"):
        score_coco_files(tmp_path / "truth.json", tmp_path / "pred.json")
    with pytest.raises(FormatError, match=r"truth.json: not COCO results .*export --to coco"):
        score_coco_files(tmp_path / "truth.json", tmp_path / "truth.json")
