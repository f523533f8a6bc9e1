"""PoseTrack 2018 and 2017: written and read, real files, the recorded cases' files, faults named."""

import copy
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_tracks import as_results, assert_same, made_frames, videos

from posetrack.errors import FormatError
from posetrack.results.native import Header
from posetrack.results.posetrack import (
    parse_posetrack17,
    read_posetrack,
    read_posetrack_folder,
    write_posetrack17,
    write_posetrack18,
)
from posetrack.skeleton import COCO17, MPII16, POSETRACK17, POSETRACK18, convert
from posetrack.types import FrameResult, Person

VIDEO = {"path": "000342_mpii_test.mp4"}
WRITERS = {POSETRACK17: write_posetrack17, POSETRACK18: write_posetrack18}


def with_joints(frames, joints):
    """Frames of a skeleton with so many joints, cut out of the usual seventeen."""
    return [replace(f, people=tuple(replace(p, keypoints=p.keypoints[:joints]) for p in f.people)) for f in frames]


@pytest.mark.parametrize("skeleton", WRITERS, ids=lambda s: s.name)
@settings(max_examples=30, deadline=None)
@given(frames=videos, start=st.integers(0, 500))
def test_round_trip(tmp_path_factory, skeleton, frames, start):
    path = tmp_path_factory.mktemp("posetrack") / "a.json"
    frames = [replace(f, index=f.index + start) for f in with_joints(frames, len(skeleton))]
    assert WRITERS[skeleton](path, Header({}, VIDEO, skeleton, {}), frames) == ()
    sequence = read_posetrack(path)
    assert sequence.skeleton == skeleton
    boxes = ("box",) if skeleton == POSETRACK18 else ()  # the boxes of 2017 are heads
    assert_same(as_results(sequence), frames, ("id", "score", "keypoints", *boxes))


@pytest.mark.parametrize("skeleton", WRITERS, ids=lambda s: s.name)
def test_head_joints_are_derived_and_said(tmp_path, skeleton):
    frames = made_frames(8)
    notes = WRITERS[skeleton](tmp_path / "a.json", Header({}, VIDEO, COCO17, {}), frames)
    assert sorted(notes[0].split(":")[0].split(", ")) == ["head_bottom", "head_top"]
    for found, frame in zip(as_results(read_posetrack(tmp_path / "a.json")), frames, strict=True):
        for a, b in zip(found.people, frame.people, strict=True):
            wanted = convert(b.keypoints, COCO17, skeleton)[0]
            absent = np.isnan(wanted[:, 0])
            np.testing.assert_allclose(a.keypoints[~absent], wanted[~absent], atol=0.006)
            assert np.isnan(a.keypoints[absent, 0]).all()


def test_missing_joints_and_high_ids_are_said(tmp_path):
    person = made_frames(1, most_people=1, seed=3, joints=16)[0].people[0]
    frames = [FrameResult(0, 0.0, (Person(12_000, 0.5, person.box, person.keypoints),))]
    notes = write_posetrack17(tmp_path / "a.json", Header({}, VIDEO, MPII16, {}), frames)
    assert notes == (
        "nose: not in mpii16, written as absent",
        "ids up to 12000: poseval takes none above 9999",
    )


def test_what_poseval_asks_of_2018(tmp_path):
    """Folder, ids and flags as REFERENCE 5.6 has them."""
    write_posetrack18(tmp_path / "a.json", Header({}, VIDEO, COCO17, {}), made_frames(5))
    document = json.loads((tmp_path / "a.json").read_bytes())
    image = document["images"][1]
    assert (image["id"], image["frame_id"]) == (10003420002, 10003420002)
    assert (image["file_name"], image["vid_id"]) == ("images/000342_mpii_test/000002.jpg", "000342")
    assert (image["nframes"], image["is_labeled"]) == (5, True)
    for annotation in document["annotations"]:
        flags = np.reshape(annotation["keypoints"], (17, 3))[:, 2]
        assert set(flags) <= {0, 1}
        assert len(annotation["scores"]) == 17
        assert isinstance(annotation["track_id"], int)


def test_what_poseval_asks_of_2017(tmp_path):
    write_posetrack17(tmp_path / "a.json", Header({}, VIDEO, COCO17, {}), made_frames(5))
    document = json.loads((tmp_path / "a.json").read_bytes())
    for image in document["annolist"]:
        for rectangle in image["annorect"]:
            assert len(rectangle["track_id"]) == len(rectangle["score"]) == 1
            ids = [point["id"][0] for point in rectangle["annopoints"][0]["point"]]
            assert ids == sorted(set(ids))
            assert max(ids) < 15


def test_a_real_file_of_2018(shared):
    sequence = read_posetrack(shared / "data/posetrack/bonn_060470979/060470979_posetrack18.json")
    assert [frame.index for frame in sequence.frames] == list(range(41))
    assert (sequence.skeleton, sequence.width, sequence.height) == (POSETRACK18, 960, 540)
    assert {len(frame) for frame in sequence.frames} == {4}
    first = sequence.frames[0]
    assert first.ids.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(first.heads[0], [370.17, 77.59, 408.12, 134.95])
    np.testing.assert_allclose(first.keypoints[0, 1, :2], [391.683, 135.947])
    assert np.isnan(first.keypoints[0, [0, 3, 4], 0]).all()  # nose and ears are not labelled


def test_ignore_regions_of_2018(shared):
    files = sorted((shared / "data/posetrack/posetrack18_format/annotations/val").glob("*.json"))
    sequences = [read_posetrack(file) for file in files]
    assert [len(s.frames[0].ignore) for s in sequences] == [9, 2, 4]
    assert all(region.shape[1] == 2 for s in sequences for region in s.frames[0].ignore)


def test_an_archive_of_sequences(shared):
    sequences = list(read_posetrack_folder(shared / "data/posetrack/bonn_poses.zip"))
    assert len(sequences) == 40
    assert sum(len(s.frames) for s in sequences) == 2205
    assert sum(len(f) for s in sequences for f in s.frames) == 10_548
    assert sum(len(np.unique(np.concatenate([f.ids for f in s.frames]))) for s in sequences) == 213


def test_the_recorded_cases_are_read(shared):
    for file in sorted((shared / "reference/poseval").glob("*.json")):
        case = json.loads(file.read_bytes())
        for name, document in [*case["gt"].items(), *case["pred"].items()]:
            if "annolist" not in document:
                continue
            sequence = parse_posetrack17(name, document)
            assert len(sequence.frames) == len(document["annolist"])
            points = sum(
                len(points["point"])
                for image in document["annolist"]
                for rectangle in image["annorect"]
                for points in rectangle.get("annopoints", [])
            )
            assert sum(int(np.isfinite(f.keypoints[..., 0]).sum()) for f in sequence.frames) == points


def test_folders_and_archives(tmp_path):
    header = Header({}, VIDEO, COCO17, {})
    for name in ("b", "a"):
        write_posetrack17(tmp_path / f"{name}.json", header, made_frames(2))
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for name in ("b", "a"):
            archive.write(tmp_path / f"{name}.json", f"{name}.json")
    assert [s.path.name for s in read_posetrack_folder(tmp_path)] == ["a.json", "b.json"]
    assert [s.path for s in read_posetrack_folder(tmp_path / "all.zip")] == [
        tmp_path / "all.zip" / "a.json",
        tmp_path / "all.zip" / "b.json",
    ]
    (tmp_path / "empty").mkdir()
    for wrong in ("empty", "a.json", "none"):
        with pytest.raises(FormatError, match=wrong):
            list(read_posetrack_folder(tmp_path / wrong))


POINT = {"id": [3], "x": [10.0], "y": [20.0], "score": [0.5]}
RECTANGLE = {"track_id": [4], "annopoints": [{"point": [POINT]}], "x1": [1], "y1": [2], "x2": [3], "y2": [4]}
IMAGE = {"image": [{"name": "clip/00000002.jpg"}], "imgnum": [2], "annorect": [RECTANGLE]}


def test_what_2017_may_leave_out():
    bare = {"image": {"name": "clip/00000001.jpg"}, "annorect": [{"annopoints": []}, {}], "is_labeled": [0]}
    full = {**IMAGE, "ignore_regions": [{"point": [{"x": [1], "y": [2]}, {"x": [3], "y": [4]}]}]}
    first, second = parse_posetrack17("a.json", {"annolist": [full, bare]}).frames
    assert (first.index, first.labelled, first.ids.tolist()) == (0, False, [-1, -1])
    assert np.isnan(first.keypoints[..., 0]).all()
    assert np.isnan(first.heads).all()
    assert (second.index, second.labelled, second.ids.tolist()) == (1, True, [4])
    np.testing.assert_array_equal(second.keypoints[0, 3], [10, 20, 0.5])
    np.testing.assert_array_equal(second.heads, [[1, 2, 3, 4]])
    np.testing.assert_array_equal(second.ignore[0], [[1, 2], [3, 4]])


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ((), {"annolist": 3}, "annolist: a list of images is wanted"),
        (("annolist", 0, "image"), [], "annolist[0].image: a name is wanted"),
        (("annolist", 0, "annorect"), 7, "frame 1 (clip/00000002.jpg), annorect: a list is wanted"),
        (("annolist", 0, "annorect"), [7], "frame 1 (clip/00000002.jpg), annorect[0]: an object is wanted"),
        (("annolist", 0, "annorect"), [RECTANGLE] * 2, "frame 1 (clip/00000002.jpg): id 4 is given to two people"),
        (("annolist", 0, "annorect", 0, "track_id"), ["4"], 'annorect[0].track_id: "4" is not an id'),
        (("annolist", 0, "annorect", 0, "track_id"), [4, 5], "annorect[0].track_id: one value is wanted, not 2"),
        (("annolist", 0, "annorect", 0, "score"), [float("nan")], "annorect[0].score: NaN is not a number"),
        (("annolist", 0, "annorect", 0, "x1"), ["left"], 'annorect[0], head box: "left" is not a number'),
        (("annolist", 0, "annorect", 0, "annopoints", 0, "point"), [POINT] * 2, "joint 3 is given twice"),
        (("annolist", 0, "annorect", 0, "annopoints", 0, "point", 0, "id"), [15], "there is no joint 15"),
        (("annolist", 0, "annorect", 0, "annopoints", 0, "point", 0, "x"), [None], "point[0].x: null is not a number"),
        (("annolist", 0, "annorect", 0, "annopoints", 0, "point", 0, "y"), [float("inf")], "point[0].y: Infinity is"),
    ],
)
def test_faults_in_2017_are_named(tmp_path, place, value, message):
    document = {"annolist": [copy.deepcopy(IMAGE)]}
    if place:
        *path, last = place
        inner = document
        for key in path:
            inner = inner[key]
        inner[last] = value
    (tmp_path / "a.json").write_text(json.dumps(document if place else value))
    with pytest.raises(FormatError) as error:
        read_posetrack(tmp_path / "a.json")
    assert str(tmp_path / "a.json") in str(error.value)
    assert message in str(error.value)
