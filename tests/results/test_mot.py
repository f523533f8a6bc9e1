"""MOTChallenge text: written and read, real files, faults named."""

import numpy as np
import pytest
from hypothesis import given, settings
from made_tracks import HEADER, made_frames, videos, with_people

from posetrack.errors import FormatError
from posetrack.results.mot import parse_mot, read_mot, write_mot


@settings(max_examples=40, deadline=None)
@given(videos)
def test_round_trip(tmp_path_factory, frames):
    path = tmp_path_factory.mktemp("mot") / "a.txt"
    assert write_mot(path, HEADER, frames) == ("boxes only: MOTChallenge text has no joints",)
    mot = read_mot(path)
    people = [(f.index, p) for f in frames for p in f.people]
    assert mot.frames.tolist() == [index for index, _ in people]
    assert mot.ids.tolist() == [person.id for _, person in people]
    np.testing.assert_allclose(mot.boxes, np.reshape([p.box for _, p in people], (-1, 4)), atol=0.006)
    np.testing.assert_allclose(mot.scores, [p.score for _, p in people], atol=1e-4)


def test_a_line(tmp_path):
    frames = with_people(made_frames(9))
    write_mot(tmp_path / "a.txt", HEADER, frames)
    cells = (tmp_path / "a.txt").read_text().splitlines()[0].split(",")
    assert (int(cells[0]), int(cells[1])) == (frames[0].index + 1, frames[0].people[0].id)
    assert cells[7:] == ["-1", "-1", "-1"]


def test_columns_that_files_have():
    text = "2 -1 10 20 30 40\n\n1, 7, 1.5, 2, 3, 4, 0, 1, 0.25\n1,8,1,2,3,4,0.5,-1,-1,-1\n"
    mot = parse_mot("gt.txt", text)
    assert (mot.frames.tolist(), mot.ids.tolist()) == ([0, 0, 1], [7, 8, -1])
    np.testing.assert_array_equal(mot.boxes, [[1.5, 2, 4.5, 6], [1, 2, 4, 6], [10, 20, 40, 60]])
    assert mot.scores.tolist() == [0, 0.5, 1]
    np.testing.assert_array_equal(mot.rest, [[1, 0.25, np.nan], [-1, -1, -1], [np.nan] * 3])


def test_real_files(shared):
    folder = shared / "data/posetrack/mot/TUD-Campus"
    truth, found = (read_mot(folder / name) for name in ("gt.txt", "test.txt"))
    assert (len(truth), len(found)) == (359, 222)
    np.testing.assert_array_equal(truth.boxes[0], [399, 182, 520, 411])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,1,0,0,1,1\n1,x,0,0,1,1", "line 2: could not convert string to float: 'x'"),
        ("1,1,0,0,1", "line 1: 5 columns"),
        ("0,1,0,0,1,1", "line 1: frame and id are whole numbers, and frames are counted from 1"),
        ("1.5,1,0,0,1,1", "line 1: frame and id are whole numbers"),
        ("1,1,0,0,nan,1", "line 1: NaN or infinite"),
        ("1,1,0,0,-1,1", "line 1: width and height below 0"),
        ("1,1,0,0,1,1\n2,1,0,0,1,1\n1,1,5,5,1,1", "line 3: id 1 is in frame 1 already (line 1)"),
    ],
)
def test_faults_are_named(tmp_path, text, message):
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(FormatError) as error:
        read_mot(tmp_path / "a.txt")
    assert str(error.value).startswith(str(tmp_path / "a.txt"))
    assert message in str(error.value)


def test_files_that_are_no_text(tmp_path):
    with pytest.raises(FormatError, match="cannot be read"):
        read_mot(tmp_path / "none.txt")
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FormatError, match="not a text"):
        read_mot(tmp_path / "a.txt")
