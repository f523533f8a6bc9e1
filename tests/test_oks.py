"""Object keypoint similarity: the reference's recorded numbers and pycocotools as oracles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from posetrack.oks import oks, oks_nms, oks_to_box
from posetrack.skeleton import COCO17
from posetrack.types import Floats

ORACLE = json.loads((Path(__file__).parent / "reference" / "oks.json").read_text())
SIGMAS = COCO17.sigmas


def people(names: list[str]) -> Floats:
    return np.array([ORACLE["persons"][name] for name in names], np.float64)


def test_sigmas_are_the_references() -> None:
    assert ORACLE["sigmas"] == list(SIGMAS)


@pytest.mark.parametrize("case", ORACLE["oks_iou"], ids=lambda case: f"visible {case['in_vis_thre']}")
def test_oks_is_the_references(case: dict[str, Any]) -> None:
    """The reference's visibility is the candidate's alone (REFERENCE 2.6)."""
    one, others = people([case["ref"]]), people(case["others"])
    seen = None if case["in_vis_thre"] is None else others[None, :, :, 2] > case["in_vis_thre"]
    areas = (case["area_ref"] + np.array(case["areas"])[None]) / 2
    assert oks(one, others, areas, SIGMAS, seen)[0] == pytest.approx(case["out"], abs=1e-12)


@pytest.mark.parametrize(
    "case", ORACLE["oks_nms"], ids=lambda case: f"oks {case['thresh']} visible {case['in_vis_thre']}"
)
def test_oks_nms_is_the_references(case: dict[str, Any]) -> None:
    poses = people(case["names"])
    seen = None if case["in_vis_thre"] is None else poses[:, None, :, 2] > case["in_vis_thre"]
    kept = oks_nms(poses, np.array(case["scores"]), np.array(case["areas"]), SIGMAS, case["thresh"], seen)
    assert kept.tolist() == case["keep"]


def test_equal_scores_go_by_row() -> None:
    """Where we differ from the reference, whose unstable sort keeps rows 2 and 1."""
    case = ORACLE["oks_nms_equal_scores"]
    areas = np.full(3, 32400.0)
    assert oks_nms(people(case["names"]), np.array(case["scores"]), areas, SIGMAS, 0.9).tolist() == [0, 2]


def test_oks_is_cocos_as_recorded() -> None:
    case = ORACLE["coco_computeOks"][0]
    labelled = np.array([case["gt_A"]])
    poses = np.array([d["keypoints"] for d in case["dts"]]).reshape(-1, 17, 3)
    x, y, w, h = case["bbox"]
    by_joints = oks(labelled, poses, case["area"], SIGMAS, labelled[:, None, :, 2] > 0)
    by_box = oks_to_box(np.array([[x, y, x + w, y + h]]), poses, case["area"], SIGMAS)
    assert by_joints[0] == pytest.approx([row[0] for row in case["oks"]], abs=1e-9)
    assert by_box[0] == pytest.approx([row[1] for row in case["oks"]], abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_oks_is_pycocotools(seed: int) -> None:
    coco_module = pytest.importorskip("pycocotools.coco")
    evaluation = pytest.importorskip("pycocotools.cocoeval")
    rng = np.random.default_rng(seed)
    truth = np.concatenate([rng.uniform(0, 200, (3, 17, 2)), rng.integers(0, 3, (3, 17, 1))], axis=-1)
    poses = np.concatenate(
        [truth[[0, 1, 2, 0], :, :2] + rng.normal(0, 8, (4, 17, 2)), np.ones((4, 17, 1))], axis=-1
    )
    areas = np.array([4000.0, 12000.0, 30000.0])
    coco = coco_module.COCO()
    box = [0.0, 0.0, 200.0, 200.0]
    coco.dataset = {
        "images": [{"id": 1}],
        "categories": [{"id": 1}],
        "annotations": [
            {"id": i + 1, "image_id": 1, "category_id": 1, "keypoints": truth[i].ravel().tolist(), "bbox": box,
             "num_keypoints": int((truth[i, :, 2] > 0).sum()), "area": areas[i], "iscrowd": 0}
            for i in range(3)
        ],
    }  # fmt: skip
    coco.createIndex()
    results = coco.loadRes(
        [
            {"image_id": 1, "category_id": 1, "keypoints": poses[i].ravel().tolist(), "score": 1 - i / 10}
            for i in range(4)
        ]
    )
    scorer = evaluation.COCOeval(coco, results, "keypoints")
    scorer._prepare()
    expected = scorer.computeOks(1, 1)
    ours = oks(truth, poses, areas[:, None], SIGMAS, truth[:, None, :, 2] > 0)
    assert pytest.approx(np.asarray(expected), abs=1e-12) == ours.T


def test_what_is_not_finite_or_not_there_does_not_count() -> None:
    pose = people(["same"])
    broken = pose.copy()
    broken[0, :5, :2] = np.nan
    assert oks(pose, broken, 32400.0, SIGMAS).item() == 1
    assert oks(pose, broken * np.nan, 32400.0, SIGMAS).item() == 0
    assert oks(pose, pose, 32400.0, SIGMAS, np.zeros(17)).item() == 0
    assert oks(pose[:0], pose, 32400.0, SIGMAS).shape == (0, 1)
    assert oks_nms(pose[:0], np.zeros(0), np.zeros(0), SIGMAS, 0.9).shape == (0,)


def test_a_pose_without_extent_is_like_itself_alone() -> None:
    point = np.zeros((2, 17, 3))
    point[1] += 1
    assert oks(point, point, 0.0, SIGMAS).tolist() == [[1, 0], [0, 1]]
