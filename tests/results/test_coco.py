"""COCO files: results written and read, labels read, faults named."""

import contextlib
import copy
import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from made_tracks import HEADER, as_results, assert_same, made_frames, videos, with_people

from posetrack.errors import FormatError, OutputError
from posetrack.results.coco import parse_annotations, parse_results, read_coco, write_coco
from posetrack.results.labels import frame_numbers
from posetrack.results.native import Header
from posetrack.skeleton import COCO17, MPII16, POSETRACK17, convert


@settings(max_examples=40, deadline=None)
@given(videos)
def test_results_round_trip(tmp_path_factory, frames):
    path = tmp_path_factory.mktemp("coco") / "a.json"
    assert write_coco(path, HEADER, frames) == ()
    sequence = read_coco(path)
    assert sequence.skeleton == COCO17
    assert_same(as_results(sequence), with_people(frames), ("id", "score", "keypoints"))


def test_results_are_what_cocos_own_tools_take(tmp_path):
    write_coco(tmp_path / "a.json", HEADER, made_frames(6))
    for entry in json.loads((tmp_path / "a.json").read_bytes()):
        assert set(entry) == {"image_id", "category_id", "keypoints", "score", "track_id"}
        assert len(entry["keypoints"]) == 51
        assert np.isfinite(entry["keypoints"]).all()
        assert entry["image_id"] % 2 == 1  # the frames' even numbers, counted from 1


def test_pycocotools_scores_them(tmp_path):
    """Results scored against labels made of the same people: everything is found."""
    coco, cocoeval = pytest.importorskip("pycocotools.coco"), pytest.importorskip("pycocotools.cocoeval")
    frames = with_people(made_frames(12))
    write_coco(tmp_path / "a.json", HEADER, frames)
    people = [(frame, person) for frame in frames for person in frame.people]
    truth = coco.COCO()
    truth.dataset = {
        "images": [{"id": frame.index + 1} for frame in frames],
        "annotations": [
            {"id": n, "image_id": frame.index + 1, "category_id": 1, "iscrowd": 0, "area": 2e4, "bbox": [0, 0, 9, 9],
             "num_keypoints": 1, "keypoints": [v for x, y, _ in np.nan_to_num(p.keypoints) for v in (x, y, x != 0)]}
            for n, (frame, p) in enumerate(people, 1)
        ],
        "categories": [{"id": 1, "name": "person"}],
    }  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        scored = cocoeval.COCOeval(truth, truth.loadRes(str(tmp_path / "a.json")), "keypoints")
        scored.evaluate()
        scored.accumulate()
        scored.summarize()
    assert scored.stats[0] == pytest.approx(1)


def test_other_skeletons_say_what_is_missing(tmp_path):
    header = Header({}, {}, MPII16, {})
    frames = made_frames(5, joints=16)
    notes = write_coco(tmp_path / "a.json", header, frames)
    assert notes == ("nose, left_eye, right_eye, left_ear, right_ear: not in mpii16, written as absent",)
    for found, frame in zip(as_results(read_coco(tmp_path / "a.json")), with_people(frames), strict=True):
        for a, b in zip(found.people, frame.people, strict=True):
            np.testing.assert_allclose(a.keypoints, convert(b.keypoints, MPII16, COCO17)[0], atol=0.006)


def test_existing_files_stay(tmp_path):
    (tmp_path / "a.json").write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        write_coco(tmp_path / "a.json", HEADER, made_frames(2))
    assert (tmp_path / "a.json").read_text() == "mine"
    write_coco(tmp_path / "a.json", HEADER, made_frames(2), overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


KEYPOINTS = [value for n in range(17) for value in (10.5 * n + 1, 20 + n, n % 3)]
LABELS = {
    "images": [
        {"id": 7, "file_name": "clip/000001.jpg", "width": 640, "height": 480},
        {"id": 3, "file_name": "clip/000000.jpg", "width": 640, "height": 480},
    ],
    "annotations": [
        {"id": 1, "image_id": 7, "category_id": 1, "keypoints": KEYPOINTS, "bbox": [1, 2, 30, 40], "track_id": 0},
        {"id": 2, "image_id": 7, "category_id": 1, "iscrowd": 1, "bbox": [100, 100, 50, 60]},
        {"id": 3, "image_id": 7, "category_id": 2, "bbox": [0, 0, 1, 1]},
        {"id": 4, "image_id": 3, "category_id": 1, "keypoints": [0] * 51, "bbox": [5, 5, 10, 10]},
    ],
    "categories": [{"id": 1, "name": "person", "keypoints": list(COCO17.joints)}, {"id": 2, "name": "dog"}],
}


def test_labels():
    sequence = parse_annotations("labels.json", LABELS)
    first, second = sequence.frames
    assert (first.index, first.name, second.index, second.name) == (0, "clip/000000.jpg", 1, "clip/000001.jpg")
    assert (sequence.width, sequence.height, sequence.has_ids) == (640, 480, True)
    assert second.ids.tolist() == [0]
    np.testing.assert_array_equal(second.boxes, [[1, 2, 31, 42]])
    np.testing.assert_array_equal(second.ignore[0], [[100, 100], [150, 100], [150, 160], [100, 160]])
    np.testing.assert_array_equal(second.keypoints[0, :, :2], np.reshape(KEYPOINTS, (17, 3))[:, :2])
    assert np.isnan(second.keypoints[0, :, 2]).all()
    assert np.isnan(second.scores).all()
    assert np.isnan(first.keypoints[0, :, :2]).all()
    assert (first.keypoints[0, :, 2] == 0).all()


def test_joints_go_by_name():
    """The fifteen joints of 2017 in an order of the file's own."""
    names = sorted(POSETRACK17.joints)
    document = copy.deepcopy(LABELS)
    document["categories"] = [{"id": 1, "name": "person", "keypoints": names}]
    document["annotations"] = [{"image_id": 7, "category_id": 1, "keypoints": KEYPOINTS[:45]}]
    sequence = parse_annotations("labels.json", document)
    assert sequence.skeleton == POSETRACK17
    for n, name in enumerate(names):
        assert sequence.frames[1].keypoints[0, POSETRACK17.index(name), 0] == KEYPOINTS[3 * n]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"annotations": [{"image_id": 9}]}, "annotations[0].image_id: there is no image 9"),
        (
            {"annotations": [{"image_id": 7, "track_id": "1"}]},
            'frame 1 (clip/000001.jpg), annotations[0].track_id: "1" is',
        ),
        (
            {"annotations": [{"image_id": 7, "track_id": 1}] * 2},
            "(clip/000001.jpg): id 1 is given to two people",
        ),
        ({"annotations": [{"image_id": 7, "keypoints": [1, 2]}]}, "annotations[0].keypoints: 51 numbers are wanted"),
        (
            {"annotations": [{"image_id": 3, "keypoints": [float("nan")] * 51}]},
            "frame 0 (clip/000000.jpg), annotations[0].keypoints: NaN or infinite",
        ),
        ({"annotations": [{"image_id": 3, "score": "high"}]}, 'annotations[0].score: "high" is not a number'),
        ({"annotations": [{"image_id": 3, "bbox": [0, 0, -1, 1]}]}, "annotations[0].bbox: width and height below 0"),
        ({"annotations": [{"image_id": 3, "bbox": [0, 0, 1]}]}, "annotations[0].bbox: 4 numbers are wanted"),
        ({"annotations": {}}, "annotations: a list of objects is wanted"),
        ({"images": None}, "images: a list of objects is wanted"),
        ({"images": [{"id": "3"}]}, 'images[0].id: "3" is not an id'),
        ({"images": [{"id": 3}, {"id": 3}]}, "images: an id is given to two images"),
        ({"images": [{"id": 3, "vid_id": "1"}, {"id": 4, "vid_id": "2"}]}, "images: several vid_id"),
        (
            {"images": [{"id": 3, "file_name": "a/1.jpg"}, {"id": 4, "file_name": "b/1.jpg"}]},
            "two images are number 1; keep one sequence in a file",
        ),
        ({"categories": [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}]}, "categories: there is no 'person'"),
        (
            {"categories": [{"id": 1, "name": "person", "keypoints": ["tail"]}]},
            "no skeleton has just these joints",
        ),
        (
            {"images": [{"id": 3, "ignore_regions_x": [[1, 2]], "ignore_regions_y": [[1]]}]},
            "frame 0 (3), ignore_regions_x and _y",
        ),
    ],
)
def test_faults_in_labels_are_named(fault, message):
    document = {**LABELS, "annotations": [], **fault}
    with pytest.raises(FormatError) as error:
        parse_annotations("labels.json", document)
    assert str(error.value).startswith("labels.json")
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([1], "a list of objects with image_id is wanted"),
        ([{"image_id": 1}], "entry 0: neither keypoints nor bbox"),
        ([{"image_id": "1", "bbox": [0, 0, 1, 1]}], 'entry 0.image_id: "1" is not an id'),
        ([{"image_id": 1, "keypoints": [1.0] * 34}], "frame 0 (image 1), entry 0.keypoints: 51 numbers"),
        ([{"image_id": 2, "keypoints": [float("inf")] * 51}], "frame 1 (image 2), entry 0.keypoints: NaN"),
        ([{"image_id": 1, "bbox": [0, 0, 1, 1], "track_id": 4}] * 2, "frame 0 (image 1): id 4 is given to two people"),
        (
            [{"image_id": id, "bbox": [0, 0, 1, 1]} for id in (10003420000, 10003430000)],
            "image_id of several PoseTrack sequences",
        ),
    ],
)
def test_faults_in_results_are_named(document, message):
    with pytest.raises(FormatError) as error:
        parse_results("results.json", document)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("  \n", "the file is empty"),
        ("[{", "line 1, column 3: not JSON"),
        ('{\n"a": NaN', "line 2, column 6: not JSON"),
        ("{}", "images: a list of objects is wanted"),
        (json.dumps([{"image_id": 1, "keypoints": [float("nan")] * 51}]), "frame 0 (image 1), entry 0.keypoints: NaN"),
    ],
)
def test_faults_of_the_text_are_named(tmp_path, text, message):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(FormatError) as error:
        read_coco(tmp_path / "a.json")
    assert str(tmp_path / "a.json") in str(error.value)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("names", "ids", "listed", "numbers"),
    [
        (["000000.jpg", "000002.jpg"], [5, 6], True, [0, 2]),
        (["a/00001.jpg", "a/00003.jpg", "a/00002.jpg"], [1, 2, 3], True, [0, 2, 1]),
        (["00003.jpg", "00006.jpg"], [1, 2], True, [2, 5]),  # every third of a video that begins with 1
        (["00451.jpg", "00452.jpg"], [1, 2], True, [0, 1]),  # a piece of a longer video
        (["frame_7b.jpg", "frame_8b.jpg"], [1, 2], True, [0, 1]),
        (["left.jpg", "right.jpg"], [1, 2], True, [0, 1]),
        ([], [5, 6, 7], False, [4, 5, 6]),  # results: somebody comes in frame 4
        ([], [0, 4], False, [0, 4]),
        ([], [10003420000, 10003420002], False, [0, 2]),
        ([], [], False, []),
    ],
)
def test_frame_numbers(names, ids, listed, numbers):
    assert frame_numbers("a.json", names, ids, listed) == numbers
