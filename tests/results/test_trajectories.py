"""A result file person by person and back."""

from dataclasses import replace

import numpy as np
import orjson
import pytest
from hypothesis import given
from made_tracks import HEADER, made_frames, videos

from posetrack.errors import FormatError
from posetrack.results.native import read_tracks, write_tracks
from posetrack.results.trajectories import file_sha256, read_trajectories, write_trajectories


@given(videos)
def test_what_is_read_is_written_again_to_the_byte(tmp_path_factory, frames):
    folder = tmp_path_factory.mktemp("round")
    by_id = [replace(frame, people=tuple(sorted(frame.people, key=lambda person: person.id))) for frame in frames]
    write_tracks(folder / "a.json", HEADER, by_id)
    write_trajectories(folder / "b.json", read_trajectories(folder / "a.json"))
    assert (folder / "a.json").read_bytes() == (folder / "b.json").read_bytes()


def dressed(frames):
    """The frames, every third person with a look and with joints that were cleaned; names for two ids."""
    count = 0
    for frame in frames:
        people = []
        for person in frame.people:
            count += 1
            look = np.arange(36, dtype=np.uint8) + count % 200 if count % 3 == 0 else None
            raw = person.keypoints + np.float32([1, 2, 0]) if count % 3 == 1 else None
            people.append(replace(person, appearance=look, raw=raw))
        yield replace(frame, people=tuple(sorted(people, key=lambda person: person.id)))


def test_looks_raw_joints_names_and_history_survive(tmp_path):
    header = replace(HEADER, history=({"command": "clean", "parent": {"sha256": "0" * 64}},))
    write_tracks(tmp_path / "a.json", header, dressed(made_frames(9)), names={1: "Ana", 3: "Bo"})
    tracks = read_trajectories(tmp_path / "a.json")
    assert tracks.names == {1: "Ana", 3: "Bo"}
    assert tracks.header.history[0]["command"] == "clean"
    assert any(person.cleaned.any() for person in tracks.people)
    assert any(not np.isnan(person.appearance).any(axis=1).all() for person in tracks.people)
    write_trajectories(tmp_path / "b.json", tracks)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert [track.name for track in read_tracks(tmp_path / "b.json").tracks if track.name] == ["Ana", "Bo"]


def test_some_frames_of_somebody_are_still_them(tmp_path):
    write_tracks(tmp_path / "a.json", HEADER, made_frames(9))
    somebody = read_trajectories(tmp_path / "a.json").people[0]
    half = somebody[np.arange(len(somebody)) % 2 == 0]
    assert half.id == somebody.id
    np.testing.assert_array_equal(half.rows, somebody.rows[::2])
    np.testing.assert_array_equal(half.boxes, somebody.boxes[::2])


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("appearance", [], "appearance"),
        ("appearance", [256], "0 to 255"),
        ("appearance", [0.5], "0 to 255"),
        ("raw", [[1, 2, 3]], "17 x 3"),
        ("raw", None, "17 x 3"),
    ],
)
def test_a_person_with_a_wrong_extra_is_refused(tmp_path, field, value, complaint):
    write_tracks(tmp_path / "a.json", HEADER, [f for f in made_frames(9) if f.people])
    document = orjson.loads((tmp_path / "a.json").read_bytes())
    document["frames"][0]["people"][0][field] = value
    (tmp_path / "b.json").write_bytes(orjson.dumps(document))
    with pytest.raises(FormatError, match=complaint):
        read_trajectories(tmp_path / "b.json")


def test_the_sha256_of_a_file(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert file_sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
