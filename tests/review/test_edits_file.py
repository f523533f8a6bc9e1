"""The file that keeps the corrections: replayed exactly, after any end."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rows import edits, presence, videos

from posetrack.errors import FormatError, OutputError
from posetrack.results.trajectories import file_sha256
from posetrack.review.edits import Relabelling
from posetrack.review.edits_file import EditsFile, edits_path, read_edits
from posetrack.review.verbs import Delete, Merge, Name, Split, Swap

VIDEO = [(0, {1}), (1, {1, 2}), (2, {1, 2}), (3, {1, 2}), (4, {2})]
EDITS = (Swap((1, 2), 2), Split(1, 3), Name(3, "Anna"), Delete(2, 1, 1))


@pytest.fixture
def tracks(tmp_path):
    """A result file; what is in it does not matter to the edits."""
    path = tmp_path / "clip.tracks.json"
    path.write_bytes(b"{}")
    return path


def opened(tracks, video=VIDEO):
    return EditsFile(edits_path(tracks), tracks, presence(video))


def edited(tracks, edits=EDITS):
    file = opened(tracks)
    for edit in edits:
        file.apply(edit)
    return file


steps = st.lists(edits | st.sampled_from(["undo", "redo"]), max_size=12)


@given(videos(), steps)
def test_undo_and_redo_go_through_the_same_states_and_a_file_opened_again_too(tmp_path_factory, video, steps):
    tracks = tmp_path_factory.mktemp("edits") / "clip.tracks.json"
    tracks.write_bytes(b"{}")
    file = opened(tracks, video)
    past, future = [file.state], []
    for step in steps:
        try:
            state = getattr(file, step)() if isinstance(step, str) else file.apply(step)
        except ValueError:
            assert file.state == past[-1]
            continue
        if step == "undo":
            future.append(past.pop())
        elif step == "redo":
            past.append(future.pop())
        else:
            past.append(state)
            future.clear()
        assert state == file.state == past[-1]
    assert len(file.edits) == len(past) - 1
    assert len(file.undone) == len(future)
    again = opened(tracks, video)
    assert (again.state, again.edits, again.undone) == (file.state, file.edits, file.undone)
    replayed = Relabelling.start(presence(video))
    for edit in again.edits:
        replayed = replayed.apply(edit)
    assert replayed == again.state


def test_the_file_is_made_with_the_first_edit_and_says_whose_it_is(tracks):
    file = opened(tracks)
    assert not file.path.exists()
    file.apply(Swap((1, 2), 2))
    head, *lines = map(orjson.loads, file.path.read_bytes().splitlines())
    assert head == {
        "format": "posetrack-edits",
        "version": 1,
        "tracks": {"name": "clip.tracks.json", "bytes": 2, "sha256": file_sha256(tracks)},
    }
    assert lines == [{"verb": "swap", "ids": [1, 2], "frame": 2}]


def test_nothing_is_ever_rewritten(tracks):
    file = opened(tracks)
    before = b""
    for step in (*EDITS, "undo", "undo", "redo", Delete(1)):
        getattr(file, step)() if isinstance(step, str) else file.apply(step)
        data = file.path.read_bytes()
        assert data.startswith(before)
        assert data.endswith(b"\n")
        before = data
    assert len(before.splitlines()) == 9
    assert sorted(entry.name for entry in tracks.parent.iterdir()) == ["clip.edits.jsonl", "clip.tracks.json"]


@pytest.mark.parametrize("left", range(1, 39))
def test_a_line_cut_off_is_left_out_and_written_over(tracks, left):
    path = edited(tracks).path
    whole = path.read_bytes()
    path.write_bytes(whole[:-left])
    file = opened(tracks)
    assert file.cut
    assert file.edits == EDITS[:-1]
    file.apply(EDITS[-1])
    assert path.read_bytes() == whole
    assert not opened(tracks).cut


ENDLESS = """
import sys
from test_edits_file import opened
from pathlib import Path
from posetrack.review.verbs import Swap
file = opened(Path(sys.argv[1]))
while True:
    file.apply(Swap((1, 2), 2))
    print(len(file.edits), flush=True)
"""


def test_what_was_said_to_be_kept_survives_a_kill(tracks):
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    words = [sys.executable, "-c", ENDLESS, str(tracks)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}) as program:
        for _ in range(20):
            said = program.stdout.readline()
        program.kill()
        said = int((program.stdout.read().splitlines() or [said])[-1])
    kept = opened(tracks).edits
    assert said <= len(kept) <= said + 1
    assert set(kept) == {Swap((1, 2), 2)}


def test_what_is_refused_is_not_written(tracks):
    file = edited(tracks)
    before = file.path.read_bytes()
    for step in (lambda: file.apply(Merge(2, 1)), file.redo):
        with pytest.raises(ValueError, match=r"both in frame|nothing to redo"):
            step()
    assert file.path.read_bytes() == before
    with pytest.raises(ValueError, match="nothing to undo"):
        opened(tracks.with_name("other.tracks.json")).undo()


def test_edits_of_another_result_are_told_at_once_by_the_size_and_before_any_change_by_the_hash(tracks):
    edited(tracks)
    tracks.write_bytes(b"{ }")
    with pytest.raises(FormatError, match=r"clip.edits.jsonl: these are edits of another result"):
        opened(tracks)
    tracks.write_bytes(b"[]")
    file = opened(tracks)
    for change in (file.verify, lambda: file.apply(Delete(1)), file.undo):
        with pytest.raises(FormatError, match="these are edits of another result"):
            change()
    assert file.edits == EDITS


def test_the_hash_is_asked_only_when_it_is_needed(tracks):
    asked = []
    hashed = lambda: asked.append(1) or file_sha256(tracks)  # noqa: E731
    file = EditsFile(edits_path(tracks), tracks, presence(VIDEO), {}, hashed)
    assert not asked
    for edit in EDITS:
        file.apply(edit)
    assert len(asked) == 1
    again = EditsFile(edits_path(tracks), tracks, presence(VIDEO), {}, hashed)
    assert again.edits == EDITS
    assert len(asked) == 1
    again.undo()
    again.undo()
    assert len(asked) == 2


def test_two_programs_at_one_file_do_not_mix_their_edits(tracks):
    one = edited(tracks)
    two = opened(tracks)
    two.undo()
    with pytest.raises(OutputError, match="changed by another program; open the tracks again"):
        one.apply(Delete(1))
    assert one.edits == EDITS
    fresh = opened(tracks)
    assert fresh.edits == EDITS[:-1]
    edits_path(tracks).unlink()
    with pytest.raises(OutputError, match="cannot be written"):
        fresh.undo()


def test_a_file_that_has_come_to_exist_is_not_replaced(tracks):
    late = opened(tracks)
    edited(tracks)
    with pytest.raises(OutputError, match="has come to exist meanwhile"):
        late.apply(Delete(1))
    assert late.edits == ()


def test_a_full_disk_leaves_the_file_and_the_edits_as_they_were(tracks, monkeypatch):
    file = edited(tracks)
    before = file.path.read_bytes()

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OutputError, match=r"cannot be written .No space left on device.; the edit is not kept"):
            file.apply(Delete(1))
    assert file.path.read_bytes() == before
    assert file.edits == EDITS
    file.apply(Delete(1))
    assert opened(tracks).edits == (*EDITS, Delete(1))


HEAD = b'{"format":"posetrack-edits","version":1,"tracks":{"name":"clip.tracks.json","sha256":"0"}}\n'


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "clip.edits.jsonl: empty"),
        (b"nothing", "not an edits file"),
        (b"\n", "not an edits file"),
        (b"[1]\n", 'not an edits file .no "format": "posetrack-edits" in its first line.'),
        (b'{"format":"posetrack","version":1}\n', "not an edits file"),
        (HEAD.replace(b":1,", b":2,"), r"version: 2 is newer than this posetrack reads \(1\); update posetrack"),
        (HEAD.replace(b":1,", b':"1",'), "version: '1' is not a version number"),
        (HEAD.replace(b":1,", b":0,"), "version: 0 is not a version number"),
        (HEAD.replace(b'"sha256"', b'"md5"'), "tracks: the name and the sha256 of the result file are wanted"),
        (HEAD + b"{\n", "line 2, column 2: not JSON"),
        (HEAD + b"\xff\n", "line 2, column 1: not JSON"),
        (HEAD + b'{"verb":"undo"}\n{"verb":"paint","id":1}\n', "line 3, verb: 'paint' is none of .*, undo, redo"),
        (HEAD + b'{"verb":"undo","id":1}\n', "line 2, verb: 'undo' is none of"),
        (HEAD + b'{"verb":"split","id":1}\n', "line 2, split: 'frame' is missing"),
    ],
)
def test_a_damaged_file_is_refused_and_says_where(tracks, data, reason):
    edits_path(tracks).write_bytes(data)
    with pytest.raises(FormatError, match=reason):
        read_edits(edits_path(tracks))


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (b'{"verb":"delete","id":9}\n', "line 2: there is no id 9"),
        (b'{"verb":"delete","id":1}\n{"verb":"undo"}\n{"verb":"undo"}\n', "line 4: there is nothing to undo"),
        (b'{"verb":"redo"}\n', "line 2: there is nothing to redo"),
    ],
)
def test_edits_that_make_no_sense_are_refused_and_say_where(tracks, lines, reason):
    edits_path(tracks).write_bytes(HEAD + lines)
    with pytest.raises(FormatError, match=reason):
        opened(tracks)


@pytest.mark.parametrize(
    ("tracks", "edits"),
    [("a/clip.tracks.json", "a/clip.edits.jsonl"), ("x.json", "x.edits.jsonl"), ("odd.name", "odd.name.edits.jsonl"),
     ("clip.tracks.json.part", "clip.tracks.json.part.edits.jsonl")],
)  # fmt: skip
def test_where_the_edits_lie(tracks, edits):
    assert str(edits_path(tracks)) == edits
