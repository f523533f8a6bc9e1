"""Files and folders to score, and every fault that names its file, frame and remedy."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_people import posetrack18, spoiled, walking

from posetrack.errors import FormatError, InputError, PosetrackError
from posetrack.evaluate.boxes import load_boxes
from posetrack.evaluate.load import load_poses
from posetrack.evaluate.report import score_poses
from posetrack.results.native import Header, write_tracks
from posetrack.skeleton import COCO17, POSETRACK17
from posetrack.types import FrameResult, Person


def write(path: Path, document: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    people = walking(frames=5)
    return (
        write(tmp_path / "pred" / "seq.json", posetrack18(spoiled(people, 1), 5)),
        write(tmp_path / "truth" / "seq.json", posetrack18(people, 5)),
    )


def test_files_and_folders_are_the_same(files: tuple[Path, Path]) -> None:
    alone = score_poses(load_poses(*files).pairs)
    folders = score_poses(load_poses(files[0].parent, files[1].parent).pairs)
    mixed = score_poses(load_poses(files[0], files[1].parent).pairs)
    assert alone == folders == mixed
    assert 0 < alone["ap"]["total"] < 100


def test_own_tracks_as_prediction(files: tuple[Path, Path], tmp_path: Path) -> None:
    """Our own format, in COCO's joints: head and neck are derived, and that is said."""
    people = walking(frames=5, skeleton=COCO17)
    results = []
    for frame in range(5):
        rows = np.flatnonzero(people.frame == frame)
        scored = np.concatenate([people.keypoints[rows], np.full((len(rows), 17, 1), 0.9)], axis=2)
        persons = [
            Person(int(people.id[r]), 0.9, people.boxes[r].astype(np.float32), k.astype(np.float32))
            for r, k in zip(rows, scored, strict=True)
        ]
        results.append(FrameResult(frame, frame / 25, tuple(persons)))
    for name in ("a", "b"):
        write_tracks(tmp_path / f"{name}.tracks.json", Header({}, {"path": "x"}, COCO17, {}), results)
    both = load_poses(tmp_path / "a.tracks.json", tmp_path / "b.tracks.json")
    assert both.notes == []
    with pytest.raises(FormatError, match="no head lengths"):
        score_poses(both.pairs)
    against_posetrack = load_poses(tmp_path / "a.tracks.json", files[1])
    assert "head_bottom, head_top: derived, because coco17 predictions lack them" in against_posetrack.notes
    assert against_posetrack.pairs[0].skeleton.name == "posetrack17"


def test_ignore_regions_and_unlabelled_frames(tmp_path: Path) -> None:
    people = walking(frames=4, people=2)
    document = posetrack18(people, 4)
    for image in document["images"]:
        image["ignore_regions_x"], image["ignore_regions_y"] = [[190, 400, 400, 190]], [[0, 0, 400, 400]]
    document["images"][3]["is_labeled"] = False
    document["annotations"] = [a for a in document["annotations"] if a["track_id"] == 1 and a["image_id"] < 4]
    truth = write(tmp_path / "truth.json", document)
    pred = write(tmp_path / "pred.json", posetrack18(people, 4))
    (pair,) = load_poses(pred, truth).pairs
    assert pair.counted.tolist() == [True, True, True, False]
    assert set(pair.prediction.id.tolist()) == {1}  # person 2 stands in the region
    assert score_poses([pair])["mota"]["total"] == 100.0


def test_frames_that_a_prediction_leaves_out(tmp_path: Path) -> None:
    people = walking(frames=4)
    document = posetrack18(people, 4)
    truth = write(tmp_path / "truth.json", document)
    images = [image for image in document["images"] if image["id"] != 3]
    some = {**document, "images": images, "annotations": [a for a in document["annotations"] if a["image_id"] != 3]}
    pred = write(tmp_path / "pred.json", some)
    with pytest.raises(FormatError, match=r"pred.json: 3 frames, but 4 in truth.json; .*--missing empty"):
        load_poses(pred, truth)
    report = score_poses(load_poses(pred, truth, fill_missing=True).pairs)
    assert report["recall"]["total"] == pytest.approx(75)
    images[0]["file_name"] = "images/val/000001_made/000077.jpg"
    with pytest.raises(FormatError, match=r"frame \d \(.*000077.jpg\) is not in truth.json"):
        load_poses(write(tmp_path / "pred.json", some), truth, fill_missing=True)


Spoil = Callable[[dict[str, Any]], Any]


def _same_id(document: dict[str, Any]) -> None:
    document["annotations"][4]["track_id"] = document["annotations"][3]["track_id"]


def _nan(document: dict[str, Any]) -> None:
    document["annotations"][3]["keypoints"][0] = float("nan")


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (_same_id, r"frame 1 .*id 1 is given to two people"),
        (lambda d: d["annotations"][3].update(track_id="7"), r"frame 1 .*\"7\" is not an id"),
        (_nan, r"frame 1 .*NaN"),
        (lambda d: d["annotations"][3]["keypoints"].pop(), r"frame 1 .*45 numbers"),
        (lambda d: d["categories"][0].update(keypoints=["paw", "tail"]), r"no skeleton has just these joints: paw"),
        (lambda d: d["annotations"][0].update(image_id=99), r"there is no image 99"),
        (lambda d: d.pop("annotations"), r"unknown kind; posetrack reads"),
        (lambda d: d["annotations"][5].pop("track_id"), r"frame .*a person of the prediction has no track id"),
    ],
)
def test_faults_name_file_and_frame(spoil: Spoil, what: str, files: tuple[Path, Path]) -> None:
    document = json.loads(files[1].read_text())
    spoil(document)
    write(files[0], document)
    with pytest.raises(PosetrackError, match=what) as caught:
        score_poses(load_poses(*files).pairs)
    assert "seq" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "what"), [("", "empty"), ("{", "not JSON"), ("[1]", "list of objects"), ("3", "kind")]
)
def test_no_json_at_all(text: str, what: str, files: tuple[Path, Path]) -> None:
    write(files[0], text)
    with pytest.raises(FormatError, match=f"seq.json.*{what}"):
        load_poses(*files)


def test_places_that_are_not_there(files: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        load_poses(tmp_path / "nothing", files[1])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"no prediction for seq.json; name it seq.json"):
        load_poses(tmp_path / "empty", files[1])
    with pytest.raises(InputError, match=r"no \*.json in this folder"):
        load_poses(files[0], tmp_path / "empty")
    write(files[1].parent / "second.json", json.loads(files[1].read_text()))
    with pytest.raises(InputError, match="one file for 2 of truth"):
        load_poses(files[0], files[1].parent)


def test_skeletons_that_share_nothing(files: tuple[Path, Path]) -> None:
    document = json.loads(files[1].read_text())
    people = walking(frames=5)
    none = replace(people, keypoints=np.full_like(people.keypoints, np.nan))
    document["annotations"] = posetrack18(none, 5)["annotations"]
    write(files[0], document)
    report = score_poses(load_poses(*files).pairs)
    assert report["recall"]["total"] == 0
    assert report["people"]["predicted"] == 0


def test_sequences_of_different_skeletons(files: tuple[Path, Path]) -> None:
    (pair,) = load_poses(*files).pairs
    with pytest.raises(FormatError, match="different skeletons"):
        score_poses([pair, pair.joints(range(12))])
    with pytest.raises(FormatError, match="nothing to score"):
        score_poses([])
    assert pair.skeleton is POSETRACK17


MOT = "1,1,10,20,30,60,1\n2,1,12,20,30,60,1\n2,2,100,20,30,60,0\n"


def test_boxes_that_do_not_count(tmp_path: Path) -> None:
    loaded = load_boxes(write(tmp_path / "S.txt", MOT), write(tmp_path / "S" / "gt" / "gt.txt", MOT))
    (pair,) = loaded.pairs
    assert (pair.name, pair.frames, len(pair.truth), len(pair.prediction)) == ("S", 2, 2, 3)
    assert "1 boxes of the truth are marked" in loaded.notes[0]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "no boxes in it"), ("1,1,10,20\n", "line 1: 4 columns"), ("1,1,10,20,x,60\n", "line 1"),
        ("1,-1,10,20,30,60,1\n", "frame 1: a box has id -1"), ("1,1,1,1,9,9\n1,1,2,2,9,9\n", "line 2: id 1"),
        ("1,1,nan,20,30,60,1\n", "line 1: NaN"),
    ],
)  # fmt: skip
def test_faults_in_boxes_name_the_line(text: str, what: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=f"bad.txt.*{what}"):
        load_boxes(write(tmp_path / "bad.txt", text), write(tmp_path / "gt.txt", MOT))


def test_layouts_of_box_folders(tmp_path: Path) -> None:
    write(tmp_path / "truth" / "A" / "gt" / "gt.txt", MOT)
    write(tmp_path / "truth" / "B" / "gt.txt", MOT)
    write(tmp_path / "pred" / "A.txt", MOT)
    with pytest.raises(InputError, match=r"no prediction for B; name it B.txt"):
        load_boxes(tmp_path / "pred", tmp_path / "truth")
    write(tmp_path / "pred" / "B" / "test.txt", MOT)
    assert [pair.name for pair in load_boxes(tmp_path / "pred", tmp_path / "truth").pairs] == ["A", "B"]
