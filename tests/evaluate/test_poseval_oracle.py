"""poseval's own numbers on its recorded cases (tests/reference/poseval)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from posetrack.evaluate.load import load_poses
from posetrack.evaluate.report import PoseSettings, score_poses

CASES = sorted((Path(__file__).parents[1] / "reference" / "poseval").glob("*.json"))

SCORES = {
    "ap": "ap", "ap_precision": "ap_pre", "ap_recall": "ap_rec", "mota": "mot_mota", "motp": "mot_motp",
    "motp_matched": "mot_motp_first_library_version", "precision": "mot_pre", "recall": "mot_rec",
}  # fmt: skip


def laid_out(case: dict[str, Any], folder: Path) -> tuple[Path, Path]:
    for side in ("pred", "gt"):
        (folder / side).mkdir()
        for name, document in case[side].items():
            (folder / side / name).write_text(json.dumps(document))
    return folder / "pred", folder / "gt"


def test_there_are_cases() -> None:
    assert len(CASES) >= 19


@pytest.mark.parametrize("path", CASES, ids=[path.stem for path in CASES])
def test_scores_are_those_of_poseval(path: Path, tmp_path: Path) -> None:
    case = json.loads(path.read_text())
    loaded = load_poses(*laid_out(case, tmp_path), protocol="poseval")
    report = score_poses(loaded.pairs, PoseSettings(protocol="poseval"))
    assert sum(int(pair.counted.sum()) for pair in loaded.pairs) == case["result"]["n_frames_used"]
    for ours, theirs in SCORES.items():
        found = np.array([report[ours][joint] for joint in case["joint_order"]], float)
        np.testing.assert_allclose(found, np.array(case["result"][theirs], float), rtol=0, atol=1e-9, err_msg=ours)


@pytest.mark.parametrize("path", CASES, ids=[path.stem for path in CASES])
def test_columns_are_those_of_its_table(path: Path, tmp_path: Path) -> None:
    case = json.loads(path.read_text())
    loaded = load_poses(*laid_out(case, tmp_path), protocol="poseval")
    columns = score_poses(loaded.pairs, PoseSettings(protocol="poseval"))["columns"]
    np.testing.assert_allclose(list(columns["ap"].values()), case["result"]["table_ap"], atol=1e-9)
    np.testing.assert_allclose(list(columns["mota"].values()), case["result"]["table_mot"][:8], atol=1e-9)


@pytest.mark.parametrize(
    ("case", "mota"),
    [
        ("01_perfect", 100.0),
        ("02_missed_person", 100 * 10 / 12),  # 2 misses of 12, the last frame counts
        ("03_missed_everyone_in_one_frame", 100 * 10 / 12),  # two misses, not one and a false joint
        ("17_error_only_in_last_frame", 100 * 11 / 12),  # seen
        ("13_gt_rect_without_points", 80.0),  # 10 objects, two false joints
    ],
)
def test_by_default_every_frame_counts_as_it_is(case: str, mota: float, tmp_path: Path) -> None:
    path = next(path for path in CASES if path.stem == case)
    loaded = load_poses(*laid_out(json.loads(path.read_text()), tmp_path))
    report = score_poses(loaded.pairs)
    assert report["mota"]["total"] == pytest.approx(mota, abs=1e-9)
    assert "6 of 6 frames count" in report["notes"][0]
