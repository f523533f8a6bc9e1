"""posetrack eval, as a person runs it: tables, JSON, CSV, pictures, and what goes wrong."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from posetrack.cli import posetrack

sys.path.append(str(Path(__file__).parents[1] / "evaluate"))
from made_people import posetrack18, spoiled, walking

REFERENCE = Path(__file__).parents[1] / "reference"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(posetrack, ["eval", *map(str, arguments)])


@pytest.fixture
def poses(tmp_path: Path) -> tuple[Path, Path]:
    people = walking(frames=6)
    for name, side in (("pred", spoiled(people, 5)), ("truth", people)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "walk.json").write_text(json.dumps(posetrack18(side, 6)))
    return tmp_path / "pred", tmp_path / "truth"


@pytest.fixture
def boxes(tmp_path: Path) -> tuple[Path, Path]:
    case = json.loads((REFERENCE / "mot" / "mot.json").read_text())["cases"]["switch"]
    for side in ("gt", "pred"):
        lines = [
            f"{f + 1},{i},{x},{y},{w},{h},1,-1,-1,-1"
            for f, frame in enumerate(case[side])
            for i, (x, y, w, h) in frame.items()
        ]
        (tmp_path / f"{side}.txt").write_text("\n".join(lines))
    return tmp_path / "pred.txt", tmp_path / "gt.txt"


def test_json_on_stdout_has_the_keys_of_the_design(poses: tuple[Path, Path]) -> None:
    result = run("posetrack", *poses, "--json", "-")
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    for name in ("ap", "mota", "motp", "precision", "recall"):
        assert set(report[name]) >= {"nose", "left_ankle", "total"}
    assert {"hota", "idf1", "id_switches", "pckh", "pcp_strict", "pcp_loose", "pdj", "worst_frames"} <= set(report)
    assert "6 of 6 frames count" in result.stderr


def test_protocol_of_poseval(poses: tuple[Path, Path]) -> None:
    reports = [
        json.loads(run("posetrack", *poses, "--json", "-", "--protocol", p).stdout) for p in ("every-frame", "poseval")
    ]
    assert reports[0]["mota"] != reports[1]["mota"]
    assert reports[1]["motp"] == reports[1]["motp_all_rows"]
    assert "leaves out the last" in reports[1]["notes"][0]


def test_table_and_files(poses: tuple[Path, Path], tmp_path: Path) -> None:
    result = run(
        "posetrack", *poses, "--per-sequence", "--json", tmp_path / "new" / "s.json", "--csv", tmp_path / "s.csv"
    )
    assert result.exit_code == 0
    for word in ("shoulder", "MOTA", "HOTA", "switches", "walk"):
        assert word in result.stdout
    assert "worst: walk frame" in result.stderr
    report = json.loads((tmp_path / "new" / "s.json").read_text())
    rows = list(csv.DictReader(io.StringIO((tmp_path / "s.csv").read_text())))
    found = {(r["sequence"], r["score"], r["of"]): r["value"] for r in rows}
    assert float(found["all", "ap", "total"]) == report["ap"]["total"]
    assert float(found["walk", "hota", ""]) == report["hota"]
    assert report["per_sequence"][0]["name"] == "walk"


def test_joints_can_be_chosen(poses: tuple[Path, Path]) -> None:
    report = json.loads(run("posetrack", *poses, "--json", "-", "--joints", "body").stdout)
    assert len(report["ap"]) == 13
    assert "nose" not in report["ap"]
    wrong = run("posetrack", *poses, "--joints", "wing")
    assert wrong.exit_code == 1
    assert "no joint 'wing'" in wrong.stderr


def test_pictures(poses: tuple[Path, Path], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    result = run("posetrack", *poses, "--plot", tmp_path / "plots", "--sweep", "--json", tmp_path / "s.json")
    assert result.exit_code == 0, result.stderr
    drawn = {path.name for path in (tmp_path / "plots").iterdir()}
    assert drawn == {"precision_recall.png", "pck.png", "sweep.png", "ids_walk.png"}
    sweep = json.loads((tmp_path / "s.json").read_text())["sweep"]
    assert [row["threshold"] for row in sweep[:3]] == [0, 0.05, 0.1]
    assert sweep[0]["recall"] > sweep[-1]["recall"]


def test_worst_frames_are_drawn(poses: tuple[Path, Path], tmp_path: Path) -> None:
    import cv2

    (tmp_path / "frames").mkdir()
    for frame in range(6):
        cv2.imwrite(str(tmp_path / "frames" / f"{frame:06d}.png"), np.full((240, 640, 3), 60, np.uint8))
    result = run(
        "posetrack", *poses, "--worst", "2", "--video", tmp_path / "frames", "--overlays", tmp_path / "bad",
        "--json", tmp_path / "s.json",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    worst = json.loads((tmp_path / "s.json").read_text())["worst_frames"]
    assert sorted(path.name for path in (tmp_path / "bad").iterdir()) == sorted(
        f"walk_{w['frame']:06d}.png" for w in worst
    )
    assert {Path(w["overlay"]).parent for w in worst} == {tmp_path / "bad"}
    assert worst[0]["errors"] >= worst[1]["errors"] > 0
    assert cv2.imread(str(next((tmp_path / "bad").iterdir()))).std() > 1


def test_boxes(boxes: tuple[Path, Path], tmp_path: Path) -> None:
    result = run("mot", *boxes, "--json", tmp_path / "m.json", "--per-sequence")
    assert result.exit_code == 0, result.stderr
    report = json.loads((tmp_path / "m.json").read_text())
    wanted = json.loads((REFERENCE / "mot" / "mot.json").read_text())["cases"]["switch"]["trackeval"]
    assert report["hota"] == pytest.approx(100 * wanted["HOTA_mean"], abs=1e-9)
    assert report["mota"] == pytest.approx(100 * wanted["MOTA"], abs=1e-9)
    assert report["id_switches"] == wanted["IDSW"]
    assert "HOTA" in result.stdout


def test_coco(tmp_path: Path) -> None:
    labels = {
        "images": [{"id": 1}], "categories": [{"id": 1, "name": "person"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 50, 90]}],
    }  # fmt: skip
    (tmp_path / "truth.json").write_text(json.dumps(labels))
    guess = [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 50, 90], "score": 0.9}]
    (tmp_path / "pred.json").write_text(json.dumps(guess))
    result = run("coco", tmp_path / "pred.json", tmp_path / "truth.json", "--json", "-")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["bbox"]["ap"] == pytest.approx(100)


def test_what_goes_wrong_is_one_line(poses: tuple[Path, Path], tmp_path: Path) -> None:
    (poses[0] / "walk.json").write_text(json.dumps(posetrack18(walking(frames=5), 5)))
    for arguments, what in (
        (("posetrack", *poses), "5 frames, but 6 in walk.json"),
        (("posetrack", tmp_path / "none", poses[1]), "no such file or folder"),
        (("mot", *poses), "no truth in this folder"),
        (("coco", poses[0] / "walk.json", poses[1] / "walk.json"), "not COCO results"),
        (("ablation", tmp_path / "none"), "no such folder"),
    ):
        result = run(*arguments)
        assert result.exit_code == 1
        assert what in result.stderr
        assert result.stderr.count("\n") == 1
        assert "Traceback" not in result.stderr


def test_scoring_loads_no_torch(poses: tuple[Path, Path]) -> None:
    import subprocess

    code = (
        "import sys; from posetrack.cli import posetrack\n"
        f"posetrack.main(['eval','posetrack','{poses[0]}','{poses[1]}','--json','-'], standalone_mode=False)\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_score_of_a_real_sequence_against_itself(shared: Path) -> None:
    truth = shared / "data" / "posetrack" / "bonn_060470979" / "060470979_posetrack18.json"
    report = json.loads(run("posetrack", truth, truth, "--json", "-").stdout)
    assert report["ap"]["total"] == report["mota"]["total"] == report["hota"] == report["idf1"] == 100.0
    assert report["ap"]["nose"] is None
