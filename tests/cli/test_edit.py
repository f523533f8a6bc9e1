"""posetrack edit: corrections replayed into a new result, and nothing else changed."""

import sys
from pathlib import Path

import numpy as np
import orjson
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parents[1] / "results"))
sys.path.append(str(Path(__file__).parents[1] / "review"))

from made_tracks import HEADER, made_frames, person, videos
from rows import edits

from posetrack.cli import posetrack
from posetrack.results.native import Header, Track, read_tracks, write_tracks
from posetrack.results.trajectories import file_sha256
from posetrack.review.edits import Relabelling
from posetrack.review.edits_file import EditsFile, edits_path
from posetrack.review.presence import presence_of
from posetrack.review.replay import edit_tracks, write_edited
from posetrack.review.verbs import Delete, Merge, Name, Split, Swap, edit_record
from posetrack.skeleton import MPII16
from posetrack.types import FrameResult, Person


def edit(*words, code=0):
    """stdout and stderr of `posetrack edit`, after a look at its exit code."""
    result = CliRunner().invoke(posetrack, ["edit", *map(str, words)])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result.stdout, result.stderr


def write(folder, frames, header=HEADER, names=None):
    """clip.tracks.json in `folder`."""
    path = folder / "clip.tracks.json"
    write_tracks(path, header, frames, names=names)
    return path


def correct(tracks, *corrections):
    """The edits file of `tracks` with `corrections`, those refused left out."""
    reader = read_tracks(tracks)
    names = {track.id: track.name for track in reader.tracks if track.name}
    file = EditsFile(edits_path(tracks), tracks, presence_of(reader), names)
    for correction in corrections:
        try:
            file.apply(correction)
        except ValueError:
            continue
    return file


def relabelled(frames, state: Relabelling):
    """`frames` as they should be, the plain way."""
    for frame in frames:
        shown = [(state.shown(one.id, frame.index), one) for one in frame.people]
        people = tuple(
            Person(id, one.score, one.box, one.keypoints, one.source, one.appearance, one.raw)
            for id, one in shown
            if id is not None
        )
        yield FrameResult(frame.index, frame.time, people, frame.cut)


def looked_at(frames):
    """`frames` with looks, raw joints and joints without a place here and there."""
    for frame in frames:
        people = tuple(
            Person(one.id, one.score, one.box, one.keypoints, one.source,
                   np.arange(58, dtype=np.uint8) if one.id % 2 else None,
                   one.keypoints + np.float32(1) if one.id % 3 else None)
            for one in frame.people
        )  # fmt: skip
        yield FrameResult(frame.index, frame.time, people, frame.cut)


@settings(max_examples=40)
@given(videos, st.lists(edits, max_size=8))
def test_only_ids_and_names_change_and_the_bytes_are_those_of_the_writer(tmp_path_factory, frames, corrections):
    folder = tmp_path_factory.mktemp("edit")
    frames = list(looked_at(frames))
    tracks = write(folder, frames, names={1: "Zoe"})
    before = tracks.read_bytes()
    file = correct(tracks, *corrections)
    made = write_edited(file, folder / "out.tracks.json")
    assert tracks.read_bytes() == before
    entry = {
        "command": "edit",
        "parent": {"name": "clip.tracks.json", "sha256": file_sha256(tracks)},
        "operations": [edit_record(one) for one in file.edits],
    }
    header = Header(HEADER.generator, HEADER.video, HEADER.skeleton, HEADER.settings, (entry,))
    wanted = relabelled(read_tracks(tracks), file.state)
    assert made == write_tracks(folder / "wanted.tracks.json", header, wanted, names=file.state.names)
    assert (folder / "out.tracks.json").read_bytes() == (folder / "wanted.tracks.json").read_bytes()
    list(read_tracks(folder / "out.tracks.json"))


def test_the_command_replays_what_was_done_and_undone_to_the_same_bytes(tmp_path):
    tracks = write(tmp_path, made_frames(40))
    file = correct(tracks, Swap((1, 2), 20), Split(1, 40), Name(5, "Anna"), Delete(3, 10, 20))
    out, err = edit(tracks, file.path, "-o", tmp_path / "one.json")
    assert out == f"{tmp_path / 'one.json'}\n"
    assert err == "4 edits, 5 people\n"
    file.undo()
    file.redo()
    file.apply(Delete(4))
    file.undo()
    assert edit(tracks, file.path, "-o", tmp_path / "two.json", "-q")[1] == ""
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    found = read_tracks(tmp_path / "one.json")
    assert {track.id: track.name for track in found.tracks} == {1: None, 2: None, 3: None, 4: None, 5: "Anna"}
    assert [one["verb"] for one in found.header.history[0]["operations"]] == ["swap", "split", "name", "delete"]


def test_a_result_that_was_edited_can_be_edited_again(tmp_path):
    tracks = write(tmp_path, made_frames(20))
    first = tmp_path / "first.tracks.json"
    edit_tracks(tracks, correct(tracks, Name(1, "Anna"), Delete(2)).path, first)
    edit_tracks(first, correct(first, Split(1, 10), Name(1, "Ann")).path, tmp_path / "second.tracks.json")
    found = read_tracks(tmp_path / "second.tracks.json")
    assert [entry["parent"]["name"] for entry in found.header.history] == ["clip.tracks.json", "first.tracks.json"]
    assert {track.id: track.name for track in found.tracks} == {1: "Ann", 3: None, 4: None, 5: None}


def test_an_empty_result(tmp_path):
    tracks = write(tmp_path, [])
    edits_path(tracks).write_bytes(head(tracks))
    assert edit(tracks, edits_path(tracks), "-o", tmp_path / "out.json")[1] == "0 edits, 0 people\n"
    assert list(read_tracks(tmp_path / "out.json")) == []
    edits_path(tracks).write_bytes(head(tracks) + b'{"verb":"delete","id":1}\n')
    _, err = edit(tracks, edits_path(tracks), "-o", tmp_path / "two.json", code=1)
    assert err == f"error: {edits_path(tracks)} line 2: there is no id 1\n"


def test_one_frame(tmp_path):
    rng = np.random.default_rng(0)
    frames = [FrameResult(7, 0.28, (person(1, rng), person(2, rng)))]
    tracks = write(tmp_path, frames)
    file = correct(tracks, Swap((1, 2), 7), Delete(1))
    edit(tracks, file.path, "-o", tmp_path / "out.json")
    (frame,) = read_tracks(tmp_path / "out.json")
    assert [one.id for one in frame.people] == [2]
    np.testing.assert_allclose(frame.people[0].keypoints, frames[0].people[0].keypoints, atol=0.006)
    assert read_tracks(tmp_path / "out.json").tracks == (Track(2, 7, 7, 1, round(frames[0].people[0].score, 4)),)


def test_another_skeleton(tmp_path):
    header = Header(HEADER.generator, HEADER.video, MPII16, HEADER.settings)
    tracks = write(tmp_path, made_frames(9, joints=16), header)
    edit(tracks, correct(tracks, Split(1, 4), Delete(2)).path, "-o", tmp_path / "out.json")
    assert read_tracks(tmp_path / "out.json").header.skeleton == MPII16
    assert len(list(read_tracks(tmp_path / "out.json"))) == 9


def head(tracks, **changes):
    """The first line of an edits file."""
    about = {"name": tracks.name, "sha256": file_sha256(tracks)}
    return orjson.dumps({"format": "posetrack-edits", "version": 1, "tracks": about, **changes}) + b"\n"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda data: data.replace(b'"version":1', b'"version":2'), "newer than this posetrack reads"),
        (lambda data: data + b'{"verb":"paint","id":1}\n', "line 3, verb: 'paint' is none of"),
        (lambda data: data + b'{"verb":"swap"}\n', "line 3, swap: 'frame' is missing"),
        (lambda data: data + b'{"verb":"merge","id":1,"into":2}\n', "line 3: 1 and 2 are both in frame"),
        (lambda data: data + b"\x00\n", "line 3, column 1: not JSON"),
        (lambda data: b"", "empty"),
        (lambda data: b"{}\n", "not an edits file"),
        (lambda data: data.replace(b'"sha256":"', b'"sha256":"f'), "these are edits of another result"),
    ],
)
def test_edits_that_are_damaged_newer_or_of_another_result_are_one_line_and_no_file(tmp_path, change, reason):
    tracks = write(tmp_path, made_frames(20))
    file = correct(tracks, Delete(3))
    file.path.write_bytes(change(file.path.read_bytes()))
    out, err = edit(tracks, file.path, "-o", tmp_path / "out.json", code=1)
    assert out == ""
    assert err.startswith("error: ")
    assert reason in err
    assert err.count("\n") == 1
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["clip.edits.jsonl", "clip.tracks.json"]


def test_half_a_last_line_is_left_out_with_a_warning(tmp_path):
    tracks = write(tmp_path, made_frames(20))
    file = correct(tracks, Delete(3))
    file.path.write_bytes(file.path.read_bytes() + b'{"verb":"del')
    _, err = edit(tracks, file.path, "-o", tmp_path / "out.json", "-q")
    assert err == f"warning: {file.path}: its last line was cut off and is left out\n"


def test_files_that_are_missing_or_no_result(tmp_path):
    tracks = write(tmp_path, made_frames(5))
    assert "cannot be read" in edit(tracks, tmp_path / "none", "-o", tmp_path / "out.json", code=1)[1]
    assert "cannot be read" in edit(tmp_path / "none", tracks, "-o", tmp_path / "out.json", code=1)[1]
    assert "not a posetrack result" in edit(__file__, tracks, "-o", tmp_path / "out.json", code=1)[1]
    assert "not an edits file" in edit(tracks, tracks, "-o", tmp_path / "out.json", code=1)[1]


def test_a_result_that_is_being_written_is_refused(tmp_path):
    tracks = write(tmp_path, made_frames(5))
    part = tmp_path / "other.tracks.json.part"
    part.write_bytes(tracks.read_bytes().split(b'\n],"tracks"')[0] + b",\n")
    file = correct(part)
    file.path.write_bytes(head(part))
    assert "is not finished" in edit(part, file.path, "-o", tmp_path / "out.json", code=1)[1]


def test_nothing_is_overwritten_without_leave_and_the_parent_never(tmp_path):
    tracks = write(tmp_path, made_frames(5))
    file = correct(tracks, Delete(3))
    out = tmp_path / "new" / "out.json"
    edit(tracks, file.path, "-o", out)
    assert "exists already" in edit(tracks, file.path, "-o", out, code=1)[1]
    edit(tracks, file.path, "-o", out, "--overwrite")
    before = tracks.read_bytes()
    assert "stays as it is" in edit(tracks, file.path, "-o", tracks, "--overwrite", code=1)[1]
    assert tracks.read_bytes() == before


def test_damaged_tracks_name_the_line(tmp_path):
    tracks = write(tmp_path, made_frames(5))
    lines = tracks.read_bytes().split(b"\n")
    lines[6] = lines[6].replace(b'"id":1', b'"id":0').replace(b'"id":2', b'"id":0').replace(b'"id":3', b'"id":0')
    tracks.write_bytes(b"\n".join(lines))
    edits_path(tracks).write_bytes(head(tracks) + b'{"verb":"merge","id":1,"into":2}\n')
    assert "line 7, people" in edit(tracks, edits_path(tracks), "-o", tmp_path / "out.json", code=1)[1]


def test_tracks_without_a_score_are_one_line(tmp_path):
    tracks = write(tmp_path, made_frames(5))
    tracks.write_bytes(tracks.read_bytes().replace(b'"score":', b'"sc":'))
    edits_path(tracks).write_bytes(head(tracks))
    _, err = edit(tracks, edits_path(tracks), "-o", tmp_path / "out.json", code=1)
    assert "somebody has no 'score'" in err
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["clip.edits.jsonl", "clip.tracks.json"]


def test_whoever_watches_hears_of_every_frame(tmp_path):
    tracks = write(tmp_path, made_frames(12))
    totals, frames = [], []
    edit_tracks(
        tracks,
        correct(tracks, Delete(1)).path,
        tmp_path / "out.json",
        watch=lambda total: totals.append(total) or frames.append,
    )
    assert totals == [12]
    assert [[one.id for one in frame.people] for frame in frames] == [
        [one.id for one in frame.people] for frame in read_tracks(tmp_path / "out.json")
    ]


def test_merged_people_are_one_track(tmp_path):
    rng = np.random.default_rng(0)
    frames = [FrameResult(i, i / 25, (person(1 if i < 3 else 2, rng),)) for i in range(6)]
    tracks = write(tmp_path, frames, names={2: "Ben"})
    edit_tracks(tracks, correct(tracks, Merge(2, 1)).path, tmp_path / "out.json")
    (track,) = read_tracks(tmp_path / "out.json").tracks
    assert (track.id, track.first, track.last, track.frames, track.name) == (1, 0, 5, 6, "Ben")
