"""Poses and boxes from files of every kind, told apart by content."""

import json
from dataclasses import replace

import numpy as np
import pytest
from made_tracks import HEADER, made_frames

from posetrack.errors import FormatError
from posetrack.geometry import bounds, enlarge
from posetrack.results.coco import write_coco
from posetrack.results.mot import write_mot
from posetrack.results.native import Header, write_tracks
from posetrack.results.posefile import read_detections, read_poses
from posetrack.results.posetrack import write_posetrack17, write_posetrack18
from posetrack.skeleton import COCO17, POSETRACK17, POSETRACK18, convert

WRITERS = {
    "native": write_tracks,
    "coco": write_coco,
    "posetrack18": write_posetrack18,
    "posetrack17": write_posetrack17,
}
SKELETONS = {"native": COCO17, "coco": COCO17, "posetrack18": POSETRACK18, "posetrack17": POSETRACK17}


@pytest.fixture(params=WRITERS)
def kind(request):
    return request.param


@pytest.fixture
def file(kind, tmp_path):
    """A file of each kind without a name that tells it."""
    WRITERS[kind](tmp_path / "file", HEADER, made_frames(12))
    return tmp_path / "file"


def test_poses_of_every_kind(kind, file):
    found = read_poses(file)
    assert found.skeleton == SKELETONS[kind]
    frames = {f.index: f.people for f in made_frames(12) if f.people}
    assert list(found.frames) == list(frames)
    assert found.length == (max(frames) + 1 if kind == "coco" else 23)
    for index, people in frames.items():
        poses = found.frames[index]
        wanted = convert(np.stack([p.keypoints for p in people]), COCO17, found.skeleton)[0]
        wanted[np.isnan(wanted[..., 0])] = (np.nan, np.nan, 0)
        np.testing.assert_allclose(poses.keypoints, wanted, atol=0.006)
        np.testing.assert_allclose(poses.scores, [p.score for p in people], atol=1e-4)
        assert found.ids[index].tolist() == [p.id for p in people]
        if kind in ("native", "posetrack18"):
            np.testing.assert_allclose(poses.boxes, [p.box for p in people], atol=0.006)
        else:
            np.testing.assert_allclose(poses.boxes, enlarge(bounds(poses.keypoints, -1), 0.15), rtol=1e-5, atol=1e-3)


def test_boxes_of_every_kind(kind, file):
    found = read_detections(file)
    for frame in made_frames(12):
        boxes = found.get(frame.index)
        assert (0 if boxes is None else len(boxes)) == len(frame.people)
        if kind in ("native", "posetrack18") and frame.people:
            np.testing.assert_allclose(boxes.xyxy, [p.box for p in frame.people], atol=0.006)
            np.testing.assert_allclose(boxes.scores, [p.score for p in frame.people], atol=1e-4)


def test_boxes_of_a_text(tmp_path):
    frames = [f for f in made_frames(12) if f.people]
    write_mot(tmp_path / "file", HEADER, frames)
    found = read_detections(tmp_path / "file")
    assert list(found) == [f.index for f in frames]
    np.testing.assert_allclose(found[frames[0].index].xyxy, [p.box for p in frames[0].people], atol=0.006)
    with pytest.raises(FormatError, match="a text holds boxes, not poses"):
        read_poses(tmp_path / "file")


def test_only_our_own_files_know_times_and_size(kind, file):
    found = read_poses(file)
    assert (found.width, found.height) == ((1280, 720) if kind == "native" else (None, None))
    assert found.times == ({f.index: round(f.time, 6) for f in made_frames(12)} if kind == "native" else {})


def test_another_layout_of_our_own_file(tmp_path):
    write_tracks(tmp_path / "a", HEADER, made_frames(5))
    document = json.loads((tmp_path / "a").read_bytes())
    (tmp_path / "b").write_text(json.dumps(document, indent=1))
    assert read_poses(tmp_path / "b").ids.keys() == read_poses(tmp_path / "a").ids.keys()


def test_true_poses_count_in_full(shared):
    found = read_poses(shared / "data/posetrack/bonn_060470979/060470979_posetrack18.json")
    assert (found.length, len(found.frames), found.width, found.height) == (41, 41, 960, 540)
    poses = found.frames[0]
    assert len(poses) == 4
    present = np.isfinite(poses.keypoints[..., 0])
    assert set(poses.keypoints[present][:, 2]) == {1}
    assert set(poses.keypoints[~present][:, 2]) == {0}
    assert set(poses.scores) == {1}


def test_frames_taken_out_leave_the_numbers(shared, tmp_path):
    """Every third frame's people only: with all images listed, and with the others' images gone too."""
    document = json.loads((shared / "data/posetrack/bonn_060470979/060470979_posetrack18.json").read_bytes())
    kept = [image for n, image in enumerate(document["images"]) if n % 3 == 0]
    ids = {image["id"] for image in kept}
    document["annotations"] = [a for a in document["annotations"] if a["image_id"] in ids]
    (tmp_path / "people.json").write_text(json.dumps(document))
    (tmp_path / "images.json").write_text(json.dumps({**document, "images": kept}))
    for name in ("people.json", "images.json"):
        assert list(read_poses(tmp_path / name).frames) == list(range(0, 41, 3))


def test_people_without_joints_have_boxes_only(tmp_path):
    labels = {
        "images": [{"id": 1, "file_name": "1.jpg"}],
        "annotations": [{"image_id": 1, "keypoints": [0] * 51, "bbox": [1, 2, 3, 4]}, {"image_id": 1}],
        "categories": [],
    }
    (tmp_path / "a.json").write_text(json.dumps(labels))
    with pytest.raises(FormatError, match="there is no joint in it; for boxes use --detections"):
        read_poses(tmp_path / "a.json")
    found = read_detections(tmp_path / "a.json")
    np.testing.assert_array_equal(found[0].xyxy, [[1, 2, 4, 6]])
    np.testing.assert_array_equal(found[0].scores, [1])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("hello", "not a file of poses or boxes; posetrack reads posetrack results"),
        ('{"a": 1}', "JSON of an unknown kind"),
        ("{", "not JSON"),
    ],
)
@pytest.mark.parametrize("read", [read_poses, read_detections])
def test_files_of_no_kind(tmp_path, read, text, message):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(FormatError) as error:
        read(tmp_path / "a.json")
    assert str(error.value).startswith(str(tmp_path / "a.json"))
    assert message in str(error.value)
    with pytest.raises(FormatError, match="cannot be read"):
        read(tmp_path)


def test_nobody_at_all(tmp_path):
    frames = [replace(frame, people=()) for frame in made_frames(3)]
    write_tracks(tmp_path / "a", Header({}, {}, COCO17, {}), frames)
    found = read_poses(tmp_path / "a")
    assert (found.frames, found.length, list(found.times)) == ({}, 5, [0, 2, 4])
    assert all(len(boxes) == 0 for boxes in read_detections(tmp_path / "a").values())
