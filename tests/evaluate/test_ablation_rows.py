"""The ablation's rows, bounds and table, on poses from files in place of networks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from made_people import pair_of, posetrack18, spoiled, walking

from posetrack.errors import InputError
from posetrack.evaluate.ablation import Variant, ablation_table, paper_variants, variant_scores, with_perfect_identities
from posetrack.evaluate.report import PoseSettings, score_poses
from posetrack.results.posefile import read_poses
from posetrack.stored import StoredPoses
from posetrack.variants import find_clips, score_variants


def test_rows_are_those_of_table_5() -> None:
    rows = paper_variants(["R50 + light", "R152 + light"])
    assert [row.name for row in rows[:12]] == [f"{letter}{n}" for letter in "ab" for n in range(1, 7)]
    assert rows[0].describe == ("no", "bbox", "greedy", "10")
    assert rows[5].describe == ("yes", "multi-flow", "greedy", "10")
    assert {row.people for row in rows} == {"networks", "true boxes", "true joints"}
    assert len({row.name for row in rows}) == len(rows)


def test_perfect_identities_are_an_upper_bound() -> None:
    truth = walking(frames=8, people=4)
    switched = replace(truth, id=np.where(truth.frame >= 4, 5 - truth.id, truth.id))
    pair = pair_of(truth, switched)
    assert score_poses([pair])["hota"] < 100
    assert score_poses([with_perfect_identities(pair)])["hota"] == 100.0
    scores = variant_scores([pair], PoseSettings())
    assert scores["mota"] < scores["mota_perfect_identities"] == 100.0
    noisy = pair_of(truth, spoiled(truth, 3))
    scores = variant_scores([noisy], PoseSettings())
    assert scores["mota"] <= scores["mota_perfect_identities"]
    ids = with_perfect_identities(noisy).prediction
    assert len({*zip(ids.frame.tolist(), ids.id.tolist(), strict=True)}) == len(ids)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    people = walking(frames=6)
    (tmp_path / "clip" / "frames").mkdir(parents=True)
    for frame in range(6):
        cv2.imwrite(str(tmp_path / "clip" / "frames" / f"{frame:06d}.png"), np.full((240, 640, 3), 60, np.uint8))
    (tmp_path / "clip" / "walk.json").write_text(json.dumps(posetrack18(people, 6)))
    (tmp_path / "poses.json").write_text(json.dumps(posetrack18(spoiled(people, 2), 6)))
    return tmp_path


def test_variants_walk_side_by_side(clip: Path) -> None:
    clips = find_clips(clip)
    assert [(c.name, Path(c.source).name) for c in clips] == [("walk", "frames")]
    variants = [
        Variant("pose", "stored", "none", tracker={"similarity": "pose", "person_threshold": 0.0}),
        Variant("hungarian", "stored", "none", tracker={"similarity": "bbox", "matching": "hungarian"}),
        Variant("true joints", "stored", "none", people="true joints"),
    ]
    scores = score_variants(clips, {"stored": StoredPoses(read_poses(clip / "poses.json"))}, variants, PoseSettings())
    assert scores["true joints"]["mota"] == scores["true joints"]["hota"] == 100.0
    assert 0 < scores["pose"]["ap"] < 100
    assert scores["pose"]["mota"] <= scores["pose"]["mota_perfect_identities"]
    table = ablation_table(variants, scores)
    assert [row[0] for row in table.rows] == ["pose", "hungarian", "true joints"]
    assert all(len(row) == len(table.columns) for row in table.rows)


def test_a_folder_without_clips(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        find_clips(tmp_path / "none")
    with pytest.raises(InputError, match="no truth"):
        find_clips(tmp_path)
