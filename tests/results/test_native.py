"""The result file: what is written is read, what is wrong is named, and memory stays flat."""

import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from made_tracks import HEADER, assert_same, made_frames, videos

import posetrack
from posetrack.errors import FormatError
from posetrack.results.native import Header, Track, load, read_tracks, write_tracks
from posetrack.skeleton import COCO17, Skeleton
from posetrack.types import FrameResult


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.tracks.json"
    write_tracks(path, HEADER, made_frames(6))
    return path


@settings(max_examples=40, deadline=None)
@given(videos)
def test_what_is_written_is_read(tmp_path_factory, frames):
    path = tmp_path_factory.mktemp("read") / "a.tracks.json"
    tracks = write_tracks(path, HEADER, frames)
    reader = read_tracks(path)
    assert_same(reader, frames)
    assert_same(reader, frames)  # and again
    assert reader.complete
    assert reader.tracks == tracks
    assert reader.header.skeleton == COCO17
    assert reader.header.video == {**HEADER.video, "frames_read": len(frames)}
    assert (reader.header.generator, reader.header.settings) == (HEADER.generator, HEADER.settings)


def test_the_document_is_lines(file):
    lines = file.read_text().splitlines()
    assert lines[4] == '"frames":['
    assert [json.loads(line.rstrip(","))["index"] for line in lines[5:-1]] == [0, 2, 4, 6, 8, 10]
    assert lines[-1].startswith('],"tracks":[')
    assert lines[-1].endswith(',"complete":true}')


def test_the_tracks_are_counted(tmp_path):
    frames = [f for f in made_frames(30) if f.people]
    tracks = write_tracks(tmp_path / "a.json", HEADER, frames)
    for track in tracks:
        seen = [(f.index, p) for f in frames for p in f.people if p.id == track.id]
        mean = np.mean([round(p.score, 4) for _, p in seen])
        assert (track.first, track.last, track.frames) == (seen[0][0], seen[-1][0], len(seen))
        assert track.mean_score == pytest.approx(mean, abs=5.1e-5)


def test_other_skeletons_travel_in_the_file(tmp_path):
    skeleton = Skeleton("dog", ("nose", "tail"), ((0, 1),), (), (0.1, 0.2))
    header = Header({}, {}, skeleton, {})
    frames = made_frames(3, joints=2)
    write_tracks(tmp_path / "a.json", header, frames)
    reader = read_tracks(tmp_path / "a.json")
    assert reader.header.skeleton == skeleton
    assert_same(reader, frames)


def test_another_layout_is_read_too(file, tmp_path):
    again = tmp_path / "indented.json"
    again.write_text(json.dumps(json.loads(file.read_bytes()), indent=2))
    reader = read_tracks(again)
    assert_same(reader, read_tracks(file), within=0)
    assert reader.complete
    assert reader.tracks == read_tracks(file).tracks


def test_no_frame_at_all(tmp_path):
    write_tracks(tmp_path / "a.json", HEADER, [])
    reader = read_tracks(tmp_path / "a.json")
    assert (list(reader), reader.tracks, reader.complete) == ([], (), True)
    assert load(tmp_path / "a.json").keypoints.shape == (0, 0, 17, 3)


def test_a_journal_is_read_as_far_as_it_goes(file, tmp_path):
    lines = file.read_bytes().splitlines(keepends=True)
    part = tmp_path / "b.tracks.json.part"
    part.write_bytes(b"".join(lines[:8]) + lines[8][:20])
    reader = read_tracks(part)
    assert [f.index for f in reader] == [0, 2, 4]
    assert not reader.complete
    assert sum(track.frames for track in reader.tracks) == sum(len(f.people) for f in reader)
    assert load(part).indices.tolist() == [0, 2, 4]
    with pytest.raises(FormatError, match=r"b\.tracks\.json line 9.*not JSON"):
        list(read_tracks(part.rename(tmp_path / "b.tracks.json")))


def test_arrays(file):
    frames = made_frames(6)
    tracks = posetrack.load(file)
    assert tracks.indices.tolist() == [f.index for f in frames]
    np.testing.assert_allclose(tracks.times, [f.time for f in frames])
    assert tracks.cuts.tolist() == [f.cut for f in frames]
    assert tracks.ids.tolist() == sorted({p.id for f in frames for p in f.people})
    for row, frame in enumerate(frames):
        here = {p.id: p for p in frame.people}
        for t, id in enumerate(tracks.ids.tolist()):
            assert (id in here) == (not np.isnan(tracks.scores[row, t])) == (tracks.sources[row, t] != "")
            if id in here:
                np.testing.assert_allclose(tracks.keypoints[row, t], here[id].keypoints, atol=0.006)
                np.testing.assert_allclose(tracks.boxes[row, t], here[id].box, atol=0.006)
            else:
                assert np.isnan(tracks.keypoints[row, t]).all()
    by_id = [FrameResult(f.index, f.time, tuple(sorted(f.people, key=lambda p: p.id)), f.cut) for f in frames]
    assert_same(tracks.frames(), by_id)


FRAME = {"index": 0, "time": 0.0, "people": []}
PERSON = {"id": 1, "score": 0.5, "box": [0, 0, 1, 1], "from": "flow", "keypoints": [[1, 2, 0.5]] * 17}


def changed(record, **fields):
    return {key: value for key, value in {**record, **fields}.items() if value is not ...}


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("format", "coco", "not a posetrack result"),
        ("version", 2, "version: 2 is newer than this posetrack reads (1); update posetrack"),
        ("version", "1", "'1' is not a version number"),
        ("video", [], "video: an object is wanted, not []"),
        ("generator", ..., "generator: an object is wanted, not null"),
        ("video", {"frames_read": 2}, "video.frames_read: 2, but the file holds 1 frames"),
        ("video", {"frames_read": "many"}, 'video.frames_read: "many" is not a number of frames'),
        ("skeleton", {}, "skeleton.joints: a list of names is wanted, not null"),
        ("skeleton", {"name": "x", "joints": ["a"], "edges": [[0, 1]]}, "skeleton.edges: pairs of numbers"),
        (
            "skeleton",
            {"name": "x", "joints": ["a"], "edges": [], "flip_pairs": [], "sigmas": [0]},
            "skeleton.sigmas: 1 numbers above 0 are wanted",
        ),
        ("frames", {}, "frames: a list is wanted"),
        ("tracks", ..., "tracks: a list is wanted, not null"),
        ("tracks", [{"id": 1}], "tracks[0]: 'first' is missing"),
        (
            "tracks",
            [{"id": 1, "first": 0, "last": 0, "frames": 1, "mean_score": 0.5}],
            "tracks: 1 entries, but 0 ids in the frames",
        ),
    ],
)
def test_a_wrong_header_or_end_is_named(file, tmp_path, field, value, message):
    document = json.loads(file.read_bytes())
    document = changed({**document, "video": {}, "frames": [FRAME], "tracks": []}, **{field: value})
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps(document))
    with pytest.raises(FormatError) as error:
        list(read_tracks(path))
    assert str(error.value).startswith(str(path))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (7, ": an object is wanted, not 7"),
        (changed(FRAME, people=...), ": 'people' is missing"),
        (changed(FRAME, poses=[]), ": 'poses' is not a field"),
        (changed(FRAME, index=-1), ", index: -1 is not a frame number"),
        (changed(FRAME, index=True), ", index: true is not"),
        (changed(FRAME, time="0"), ', time: "0" is not a time'),
        (changed(FRAME, cut=1), ", cut: 1 is neither true nor false"),
        (changed(FRAME, people={}), ", people: a list is wanted"),
        (changed(FRAME, people=[PERSON, PERSON]), ", people: id 1 is given to two people of frame 0"),
    ],
)
def test_a_wrong_frame_is_named(file, record, message):
    check_line(file, record, message)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"id": "1"}, '.id: "1" is not an id (whole numbers from 1)'),
        ({"id": 0}, ".id: 0 is not an id"),
        ({"id": 1.0}, ".id: 1.0 is not an id"),
        ({"score": None}, ".score: null is not a number"),
        ({"from": "heaven"}, '.from: "heaven" is none of detector, flow, file'),
        ({"box": [0, 0, 1]}, ".box: 4 numbers are wanted, not [0,0,1]"),
        ({"box": [0, 0, -1, 1]}, ".box: [0,0,-1,1] is not x, y, width, height"),
        ({"box": [0, 0, None, 1]}, ".box: [0,0,null,1] is not"),
        ({"keypoints": [[1, 2, 0.5]] * 16}, ".keypoints: 17 x 3 numbers are wanted"),
        ({"keypoints": [[1, 2, 0.5]] * 16 + [[1, 2]]}, ".keypoints: 17 x 3 numbers are wanted"),
        ({"keypoints": [[1, 2, "0.5"]] * 17}, ".keypoints: 17 x 3 numbers are wanted"),
        ({"keypoints": [[True, False, True]] * 17}, ".keypoints: 17 x 3 numbers are wanted"),
        ({"keypoints": [[1, None, 0]] * 17}, ".keypoints: a joint without a place is [null, null, 0]"),
        ({"keypoints": [[None, None, 0.5]] * 17}, ".keypoints: a joint without a place is"),
        ({"keypoints": ...}, ": 'keypoints' is missing"),
    ],
)
def test_a_wrong_person_is_named(file, fields, message):
    record = changed(FRAME, people=[changed(PERSON, id=2), changed(PERSON, **fields)])
    check_line(file, record, f", people[1]{message}")


def check_line(file, record, message):
    """The first frame's line is replaced; the error names file, line and what follows."""
    lines = file.read_text().splitlines()
    lines[5] = json.dumps(record) + ","
    file.write_text("\n".join(lines))
    with pytest.raises(FormatError) as error:
        list(read_tracks(file))
    assert str(error.value).startswith(f"{file} line 6{message}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: [], "empty"),
        (lambda lines: ["a,b,c"], "not a posetrack result"),
        (lambda lines: ["[1, 2]"], "not a posetrack result"),
        (lambda lines: ["{}"], "not a posetrack result"),
        (lambda lines: lines[:3], "not JSON"),
        (lambda lines: lines[:8], "ends in the midst of its frames"),
        (lambda lines: [*lines[:7], lines[7].replace('"time":', '"time":NaN'), *lines[8:]], "line 8, column"),
        (lambda lines: [*lines[:7], lines[7][:-1], *lines[8:]], "line 9: no comma after the frame before it"),
        (lambda lines: [*lines[:-2], lines[-2] + ",", lines[-1]], "line 12: a comma too many"),
        (lambda lines: [*lines[:6], lines[7], lines[6], *lines[8:]], "line 8, index: 2 comes after 4"),
        (
            lambda lines: [*lines[:-1], lines[-1].replace('"frames":', '"frames":1')],
            "tracks: the entry of id 1",
        ),
    ],
)
def test_a_wrong_file_is_named(file, change, message):
    file.write_text("\n".join(change(file.read_text().splitlines())))
    with pytest.raises(FormatError) as error:
        list(read_tracks(file))
    assert str(error.value).startswith(str(file))
    assert message in str(error.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FormatError, match=r"none\.json: cannot be read \(No such file"):
        read_tracks(tmp_path / "none.json")
    with pytest.raises(FormatError, match="cannot be read"):
        read_tracks(tmp_path)


def test_the_tracks_are_found_far_from_the_end(tmp_path):
    """5,000 ids: the closing line is longer than the piece that the reader looks at first."""
    one = made_frames(1, most_people=1, seed=3)[0].people[0]
    frames = [FrameResult(i, float(i), (type(one)(i + 1, 0.5, one.box, one.keypoints),)) for i in range(5000)]
    write_tracks(tmp_path / "a.json", HEADER, frames)
    assert read_tracks(tmp_path / "a.json").tracks[-1] == Track(5000, 4999, 4999, 1, 0.5)


def test_memory_does_not_grow_with_length(tmp_path):
    peaks = [peak_of_reading(tmp_path / f"{count}.json", count) for count in (1000, 20_000)]
    assert peaks[1] < 1.1 * peaks[0]


def peak_of_reading(path, count):
    """Bytes at the peak of reading so many frames with one person in every fifth."""
    frame = made_frames(1, most_people=1, seed=3)[0]
    frames = (FrameResult(i, float(i), frame.people if i % 5 == 0 else ()) for i in range(count))
    write_tracks(path, HEADER, frames)
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_tracks(path)) == count
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
