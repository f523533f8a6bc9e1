"""What must hold of every score: perfect is exactly 100, names of identities don't matter, losing people costs."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_people import pair_of, spoiled, walking

from posetrack.errors import FormatError
from posetrack.evaluate.people import Pair, People, chosen_joints
from posetrack.evaluate.report import PoseSettings, score_boxes, score_poses
from posetrack.skeleton import COCO17, POSETRACK17

TOTALS = ("ap", "mota", "motp", "precision", "recall", "ap_precision", "ap_recall")
WHOLE = ("hota", "deta", "assa", "loca", "idf1", "idp", "idr")
SINGLE = ("pckh", "pdj", "pck_box", "pck_box_diagonal", "pck_head_segment", "pcp_strict", "pcp_loose")

seeds = st.integers(0, 10_000)


def totals(report: dict[str, Any]) -> dict[str, float]:
    return {name: report[name]["total"] for name in TOTALS} | {name: report[name] for name in WHOLE}


@pytest.mark.parametrize("protocol", ["every-frame", "poseval"])
@pytest.mark.parametrize("similarity", ["oks", "pckh", "iou"])
def test_perfect_is_exactly_100(protocol: str, similarity: str) -> None:
    people = walking(frames=7, people=5)
    report = score_poses([pair_of(people, people)] * 2, PoseSettings(protocol=protocol, similarity=similarity))
    assert set(totals(report).values()) == {100.0}
    assert all(set(report[name].values()) == {100.0} for name in TOTALS)
    assert {report[name]["total"] for name in SINGLE} == {100.0}
    assert report["id_switches"] == report["clear"]["fragmentations"] == 0
    assert report["clear"]["mota"] == report["clear"]["motp"] == 100.0


def test_perfect_boxes_are_exactly_100() -> None:
    people = walking(frames=9, people=4)
    for convention in ("trackeval", "motmetrics"):
        report = score_boxes([pair_of(people, people)], convention)
        assert {report[name] for name in (*WHOLE, "mota", "motp", "precision", "recall")} == {100.0}


def renamed(people: People, seed: int) -> People:
    old = np.unique(people.id)
    new = np.random.default_rng(seed).permutation(len(old)) * 7 + 3
    return replace(people, id=new[np.searchsorted(old, people.id)])


@given(seeds)
def test_names_of_identities_change_nothing(seed: int) -> None:
    truth = walking(seed=seed)
    guess = spoiled(truth, seed)
    before = score_poses([pair_of(truth, guess)])
    after = score_poses([pair_of(renamed(truth, seed), renamed(guess, seed + 1))])
    assert totals(after) == pytest.approx(totals(before), abs=1e-9)
    assert after["clear"] == pytest.approx(before["clear"], abs=1e-9)


@given(seeds)
def test_the_order_of_people_in_a_frame_changes_nothing(seed: int) -> None:
    truth = walking(seed=seed)
    guess = spoiled(truth, seed)
    order = np.lexsort((np.random.default_rng(seed).random(len(guess)), guess.frame))
    before, after = score_poses([pair_of(truth, guess)]), score_poses([pair_of(truth, guess[order])])
    assert totals(after) == pytest.approx(totals(before), abs=1e-9)


@given(seeds)
def test_scores_keep_their_range(seed: int) -> None:
    truth = walking(seed=seed)
    report = score_poses([pair_of(truth, spoiled(truth, seed))])
    for name, value in totals(report).items():
        assert -1000 < value <= 100 if name == "mota" else 0 <= value <= 100, name
    for name in SINGLE:
        assert 0 <= report[name]["total"] <= 100
    assert all(0 <= value <= 100 for curve in report["hota_per_threshold"].values() for value in curve)


@given(seeds)
def test_dropping_a_person_costs(seed: int) -> None:
    truth = walking(frames=8, people=4, seed=seed)
    lost = int(np.random.default_rng(seed).integers(1, 5))
    perfect = totals(score_poses([pair_of(truth, truth)]))
    without = totals(score_poses([pair_of(truth, truth[truth.id != lost])]))
    for name in ("ap", "mota", "recall", "hota", "deta", "idf1", "idr"):
        assert without[name] < perfect[name]
    assert without["recall"] == pytest.approx(75)
    assert without["precision"] == 100.0


@given(seeds)
def test_a_false_person_costs(seed: int) -> None:
    truth = walking(frames=5, people=3, seed=seed)
    down = np.array([0, 5000])
    stranger = replace(truth, keypoints=truth.keypoints + down, boxes=truth.boxes + np.tile(down, 2))
    both = People(*(np.concatenate([getattr(p, n) for p in (truth, stranger)]) for n in truth.__dataclass_fields__))
    both = replace(both, id=both.id + 10 * (both.keypoints[:, 0, 1] > 4000))
    both = both[np.argsort(both.frame, kind="stable")]
    report = totals(score_poses([pair_of(truth, both)]))
    assert report["precision"] == pytest.approx(50)
    assert report["mota"] == pytest.approx(0)
    assert report["hota"] < 100
    assert report["recall"] == 100.0


@given(seeds)
def test_a_switch_costs_identity_and_not_detection(seed: int) -> None:
    truth = walking(frames=8, people=3, seed=seed)
    late = truth.frame >= 4
    swapped = np.where(late & (truth.id < 3), 3 - truth.id, truth.id)
    report = score_poses([pair_of(truth, replace(truth, id=swapped))])
    assert report["clear"]["id_switches"] == 2
    assert report["deta"] == 100.0
    assert report["assa"] < 100
    assert report["idf1"] == pytest.approx(100 * 2 / 3)
    assert report["mota"]["total"] == pytest.approx(100 * (1 - 2 / 24))


def test_sequences_together_are_not_their_mean() -> None:
    truth = walking(frames=3, people=2)
    long = walking(frames=9, people=2)
    pairs = [pair_of(truth, truth[truth.id == 1]), pair_of(long, long)]
    report = score_poses(pairs)
    assert report["recall"]["total"] == pytest.approx(100 * 21 / 24)
    assert report["sequences"] == 2


def test_without_identities_only_ap() -> None:
    truth = walking()
    report = score_poses([pair_of(truth, replace(truth, id=np.full(len(truth), -1)))])
    assert report["ap"]["total"] == 100.0
    assert "mota" not in report
    assert "hota" not in report
    assert any("track ids" in note for note in report["notes"])


def test_unlabelled_joints_are_nobodys_score() -> None:
    """A joint that the truth never labels is left out of means; where one person lacks it, it is false (poseval)."""
    truth = walking()
    nose = truth.keypoints.copy()
    nose[:, POSETRACK17.index("nose")] = np.nan
    report = score_poses([pair_of(replace(truth, keypoints=nose), truth)])
    assert {report[name]["nose"] for name in TOTALS} == {None}
    assert {report[name]["total"] for name in TOTALS} == {100.0}


def test_scoring_some_joints_only() -> None:
    truth = walking()
    wrong = truth.keypoints.copy()
    wrong[:, POSETRACK17.index("nose")] += 500
    pair = pair_of(truth, replace(truth, keypoints=wrong))
    assert score_poses([pair])["ap"]["total"] < 100
    body = pair.joints(chosen_joints(POSETRACK17, "body"))
    assert len(body.skeleton) == 12
    assert score_poses([body])["ap"]["total"] == 100.0
    assert chosen_joints(COCO17, "nose, left_ear") == [0, 3]
    with pytest.raises(FormatError, match="no joint 'tail'"):
        chosen_joints(COCO17, "tail")


def test_nobody_predicted_and_nobody_there() -> None:
    truth = walking(frames=4)
    nobody = truth[np.zeros(len(truth), bool)]
    report = score_poses([pair_of(truth, nobody)])
    assert report["ap"]["total"] == report["recall"]["total"] == report["hota"] == report["idf1"] == 0
    assert report["mota"]["total"] == 0
    assert report["clear"]["mostly_lost"] == 3
    empty = Pair("empty", 4, np.ones(4, bool), POSETRACK17, nobody, nobody)
    assert score_poses([empty])["ap"]["total"] is None


def test_dropping_joints_trades() -> None:
    """REFERENCE 3.3: where scores tell right from wrong, dropping the low ones raises MOTA and cannot raise AP."""
    truth = walking(frames=10)
    random = np.random.default_rng(0)
    wrong = random.random(truth.present.shape) < 0.3
    guess = replace(
        truth,
        keypoints=truth.keypoints + 300.0 * wrong[..., None],
        joint_scores=np.where(wrong, 0.2, 0.9) - 0.1 * random.random(wrong.shape),
    )
    pair = pair_of(truth, guess)
    kept = score_poses([pair])
    apart = score_poses([pair], PoseSettings(mota_joint_threshold=0.5))
    assert apart["mota"]["total"] > kept["mota"]["total"]
    assert apart["ap"] == kept["ap"]
    assert score_poses([pair], PoseSettings(ap_joint_threshold=0.85))["ap"]["total"] < kept["ap"]["total"]


def peak_of(pair: Pair) -> float:
    """MiB allocated at most while `pair` is scored."""
    tracemalloc.start()
    score_poses([pair])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20


def test_memory_grows_with_the_length_not_its_square() -> None:
    short, long = (pair_of(w, spoiled(w, 0)) for w in (walking(frames=f, people=4) for f in (300, 1200)))
    assert peak_of(long) < 6 * peak_of(short)


def test_memory_does_not_hold_every_identity_against_every_other() -> None:
    """A tracker that gives everybody a new id in every frame: 4000 by 4000 identities would be 128 MB a table."""
    truth = walking(frames=1000, people=4)
    fresh = replace(truth, id=np.arange(len(truth)))
    assert peak_of(pair_of(fresh, fresh)) < 100
    report = score_poses([pair_of(truth, fresh)])
    assert report["idf1"] == pytest.approx(100 * 2 * 4 / 8000)
    assert report["id_switches"] == 4 * 999
