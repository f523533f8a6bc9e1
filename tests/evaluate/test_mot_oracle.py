"""What motmetrics and TrackEval say (tests/reference/mot), of given cases, of crowds, and of the TUD sequences."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_people import box_pair

from posetrack.evaluate.boxes import load_boxes
from posetrack.evaluate.clear import Convention
from posetrack.evaluate.identity import clear_people, hota, hota_scores, identity
from posetrack.evaluate.people import Pair
from posetrack.evaluate.report import score_boxes
from posetrack.evaluate.similarity import similar_people

REFERENCE = Path(__file__).parents[1] / "reference" / "mot"
GIVEN = json.loads((REFERENCE / "mot.json").read_text())["cases"]
RECORDED = json.loads((REFERENCE / "recorded.json").read_text())
CASES = GIVEN | {f"crowd{i}": case for i, case in enumerate(RECORDED["crowds"])}

COUNTS: dict[Convention, dict[str, str]] = {
    "motmetrics": {
        "id_switches": "num_switches", "fragmentations": "num_fragmentations", "misses": "num_misses",
        "false_positives": "num_false_positives", "mostly_tracked": "mostly_tracked",
        "partially_tracked": "partially_tracked", "mostly_lost": "mostly_lost",
    },
    "trackeval": {
        "id_switches": "IDSW", "fragmentations": "Frag", "misses": "CLR_FN", "false_positives": "CLR_FP",
        "mostly_tracked": "MT", "partially_tracked": "PT", "mostly_lost": "ML",
    },
}  # fmt: skip


def close(found: Any, wanted: Any) -> None:
    np.testing.assert_allclose(np.asarray(found) / 100, wanted, rtol=0, atol=1e-10)


def check_clear(pair: Pair, case: dict[str, Any], convention: Convention) -> None:
    scores = clear_people(pair, similar_people(pair, "iou"), convention=convention).scores
    wanted = case[convention]
    assert {k: scores[k] for k in COUNTS[convention]} == {k: wanted[name] for k, name in COUNTS[convention].items()}
    motmetrics = convention == "motmetrics"
    close(scores["mota"], wanted["mota" if motmetrics else "MOTA"])
    close(100 - scores["motp"] if motmetrics else scores["motp"], wanted["motp" if motmetrics else "MOTP"])


def check_identities(pair: Pair, case: dict[str, Any]) -> None:
    similar = similar_people(pair, "iou")
    counts = identity(pair, similar)
    wanted = case["trackeval"]
    assert (counts.true_positives, counts.false_negatives, counts.false_positives) == tuple(
        wanted[k] for k in ("IDTP", "IDFN", "IDFP")
    )
    close(counts.scores["idf1"], case["motmetrics"]["idf1"])
    curves = hota_scores(hota(pair, similar))
    for ours, theirs in {"hota": "HOTA", "deta": "DetA", "assa": "AssA", "loca": "LocA", "ass_recall": "AssRe"}.items():
        if (key := theirs) in wanted or (key := f"{theirs}_per_alpha") in wanted:
            close(curves[ours], wanted[key])
    if "HOTA_mean" in wanted:
        close(curves["hota"].mean(), wanted["HOTA_mean"])
        close(curves["loca"].mean(), wanted["LocA_mean"])


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("convention", ["motmetrics", "trackeval"])
def test_clear_is_theirs(name: str, convention: Convention) -> None:
    case = CASES[name]
    check_clear(box_pair(case["gt"], case["pred"]), case, convention)


@pytest.mark.parametrize("name", CASES)
def test_hota_and_idf1_are_theirs(name: str) -> None:
    case = CASES[name]
    check_identities(box_pair(case["gt"], case["pred"]), case)


def test_crowds_are_crowded() -> None:
    """The recorded crowds hold what the easy cases do not: several near in one frame, switches, breaks."""
    assert sum(case["motmetrics"]["num_switches"] for case in RECORDED["crowds"]) > 50
    assert sum(case["motmetrics"]["num_fragmentations"] for case in RECORDED["crowds"]) > 100
    disagreements = [c for c in RECORDED["crowds"] if c["motmetrics"]["num_switches"] != c["trackeval"]["IDSW"]]
    assert disagreements, "the two tools pair differently in crowds; without such a case nothing is shown"


@pytest.mark.parametrize("name", RECORDED["tud"])
def test_tud_sequences(name: str, shared: Path) -> None:
    folder = shared / "data" / "posetrack" / "mot"
    (pair,) = load_boxes(folder / name / "test.txt", folder / name / "gt.txt").pairs
    for convention in COUNTS:
        check_clear(pair, RECORDED["tud"][name], convention)
    check_identities(pair, RECORDED["tud"][name])


def test_tud_as_folders(shared: Path) -> None:
    folder = shared / "data" / "posetrack" / "mot"
    loaded = load_boxes(folder, folder)
    assert [pair.name for pair in loaded.pairs] == ["TUD-Campus", "TUD-Stadtmitte"]
    report = score_boxes(loaded.pairs, "motmetrics")
    wanted = [RECORDED["tud"][pair.name]["motmetrics"] for pair in loaded.pairs]
    assert report["id_switches"] == sum(case["num_switches"] for case in wanted)
    objects = sum(case["num_objects"] for case in wanted)
    mota = sum(case["mota"] * case["num_objects"] for case in wanted) / objects
    assert report["mota"] == pytest.approx(100 * mota, abs=1e-9)
