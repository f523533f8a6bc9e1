"""The journal: every end of a run, and the same bytes after all of them."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from made_tracks import HEADER, made_frames, videos

from posetrack.errors import OutputError
from posetrack.results.native import Journal, journal_path, read_tracks, resume_point, write_tracks
from posetrack.types import FrameResult, Person


class Stopped(Exception):
    """Somebody stopped the run."""


def whole(path, frames):
    write_tracks(path, HEADER, frames)
    return path.read_bytes()


def begin(path, frames, checkpoint_at, stop_after):
    """A run that is stopped: checkpoints after the frames numbered so, none of them closing the file."""
    with contextlib.suppress(Stopped), Journal(path, HEADER) as journal:
        for n, frame in enumerate(frames[:stop_after]):
            journal.write(frame)
            if n in checkpoint_at:
                journal.checkpoint({"seen": n})
        raise Stopped


def go_on(path, frames):
    point = resume_point(path, HEADER)
    first = point.next_frame if point else 0
    with Journal(path, HEADER, resume=point) as journal:
        for frame in frames:
            if frame.index >= first:
                journal.write(frame)
    return path.read_bytes()


def test_the_end_leaves_one_file(tmp_path):
    path = tmp_path / "deep" / "a.tracks.json"
    with Journal(path, HEADER) as journal:
        for frame in made_frames(5):
            journal.write(frame)
            journal.checkpoint({})
            assert journal_path(path).read_bytes().endswith(b",\n")
    assert [p.name for p in path.parent.iterdir()] == ["a.tracks.json"]
    document = json.loads(path.read_bytes())
    assert document["complete"] is True
    assert document["video"]["frames_read"] == 5


def test_frames_are_there_before_the_end(tmp_path):
    path = tmp_path / "a.tracks.json"
    with Journal(path, HEADER) as journal:
        for n, frame in enumerate(made_frames(4), 1):
            journal.write(frame)
            assert len(list(read_tracks(journal_path(path)))) == n


@pytest.mark.parametrize("stop_after", [0, 1, 3, 4, 9, 10])
@pytest.mark.parametrize("checkpoint_at", [(), (0,), (3,), (3, 7), (9,)])
def test_a_resumed_run_ends_in_the_same_bytes(tmp_path, stop_after, checkpoint_at):
    frames = made_frames(10)
    wanted = whole(tmp_path / "whole.json", frames)
    path = tmp_path / "a.tracks.json"
    begin(path, frames, checkpoint_at, stop_after)
    assert go_on(path, frames) == wanted
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tracks.json", "whole.json"]


def test_a_journal_torn_anywhere_is_resumed(tmp_path):
    frames = made_frames(6)
    wanted = whole(tmp_path / "whole.json", frames)
    path = tmp_path / "a.tracks.json"
    begin(path, frames, (2,), None)
    part, state = journal_path(path), Path(f"{path}.part.state")
    journal, checkpoint = part.read_bytes(), state.read_bytes()
    offset = json.loads(checkpoint)["offset"]
    assert journal[offset - 1 : offset] == b"}"
    for length in [*range(offset - 3, offset + 5), *range(offset + 5, len(journal), 97)]:
        part.write_bytes(journal[:length])
        state.write_bytes(checkpoint)
        assert go_on(path, frames) == wanted
        path.unlink()


@pytest.mark.parametrize("after", ["comma", "trailer", "number", "rename"])
def test_a_run_that_died_while_finishing_is_resumed(tmp_path, after):
    frames = made_frames(3)
    path = tmp_path / "a.tracks.json"
    wanted = whole(path, frames)
    path.unlink()
    begin(path, frames, (2,), None)
    part = journal_path(path)
    journal = part.read_bytes()[:-2] + b"\n"
    trailer = wanted[len(journal) :]
    part.write_bytes({"comma": journal, "trailer": journal + trailer, "number": wanted, "rename": wanted}[after])
    assert len(list(read_tracks(part))) == 3
    assert go_on(path, frames) == wanted


def test_sigkill_between_and_within_frames(tmp_path):
    """A process killed at several moments, resumed each time, ends in the bytes of one left alone."""
    frames = made_frames(40)
    wanted = whole(tmp_path / "whole.json", frames)
    path = tmp_path / "a.tracks.json"
    script = (
        "import os, signal, sys; sys.path.insert(0, sys.argv[1])\n"
        "from made_tracks import HEADER, made_frames\n"
        "from posetrack.results.native import Journal, resume_point\n"
        "path, moments = sys.argv[2], int(sys.argv[3])\n"
        "point = resume_point(path, HEADER)\n"
        "first = point.next_frame if point else 0\n"
        "with Journal(path, HEADER, resume=point) as journal:\n"
        "    for frame in made_frames(40):\n"
        "        if frame.index < first: continue\n"
        "        if moments == 0: os.kill(os.getpid(), signal.SIGKILL)\n"
        "        moments -= 1\n"
        "        journal.write(frame)\n"
        "        if frame.index % 8 == 6: journal.checkpoint({'next': frame.index + 2}, frame.index + 2)\n"
    )
    codes = []
    for moments in (0, 3, 9, 7, 14, 5, 99):
        run = [sys.executable, "-c", script, str(Path(__file__).parent), str(path), str(moments)]
        codes.append(subprocess.run(run, check=False, timeout=60).returncode)
    assert codes == [-signal.SIGKILL] * 6 + [0]
    assert path.read_bytes() == wanted


def test_a_full_disk_is_said_and_resumed(tmp_path):
    """A limit on the size of files stands for the full disk; the system answers in the same way."""
    frames = made_frames(40)
    wanted = whole(tmp_path / "whole.json", frames)
    path = tmp_path / "a.tracks.json"
    script = (
        "import resource, signal, sys; sys.path.insert(0, sys.argv[1])\n"
        "from made_tracks import HEADER, made_frames\n"
        "from posetrack.errors import OutputError\n"
        "from posetrack.results.native import Journal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "try:\n"
        "    with Journal(sys.argv[2], HEADER) as journal:\n"
        "        for frame in made_frames(40):\n"
        "            journal.write(frame)\n"
        "            journal.checkpoint({})\n"
        "except OutputError as error:\n"
        "    print(error)\n"
    )
    run = [sys.executable, "-c", script, str(Path(__file__).parent), str(path)]
    said = subprocess.run(run, check=True, timeout=60, capture_output=True, text=True).stdout
    assert "cannot be written (File too large)" in said
    assert "a.tracks.json.part" in said
    assert "--resume" in said
    assert not path.exists()
    assert journal_path(path).stat().st_size == 20_000
    assert go_on(path, frames) == wanted


def test_existing_results_and_journals_stay(tmp_path):
    frames = made_frames(3)
    path = tmp_path / "a.tracks.json"
    before = whole(path, frames)
    with pytest.raises(OutputError, match=r"a\.tracks\.json exists already.*--overwrite"):
        Journal(path, HEADER)
    with Journal(path, HEADER, overwrite=True) as journal:
        journal.write(frames[0])
    assert path.read_bytes() != before
    path.unlink()
    begin(path, frames, (), None)
    kept = journal_path(path).read_bytes()
    with pytest.raises(OutputError, match=r"part holds frames of an interrupted run.*--resume.*--overwrite"):
        Journal(path, HEADER)
    assert journal_path(path).read_bytes() == kept


def test_a_result_that_came_meanwhile_stays(tmp_path):
    path = tmp_path / "a.tracks.json"
    journal = Journal(path, HEADER)
    journal.write(made_frames(1)[0])
    path.write_text("mine")
    with pytest.raises(OutputError, match="meanwhile"), journal:
        pass
    assert path.read_text() == "mine"
    assert len(list(read_tracks(journal_path(path)))) == 1


def test_nothing_written_leaves_nothing(tmp_path):
    begin(tmp_path / "a.tracks.json", [], (), None)
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"cannot be written \(.*\); choose another place"):
        Journal(tmp_path / "file" / "a.tracks.json", HEADER)
    if os.geteuid():
        (tmp_path / "locked").mkdir(mode=0o500)
        with pytest.raises(OutputError, match="Permission denied"):
            Journal(tmp_path / "locked" / "a.tracks.json", HEADER)


@pytest.mark.parametrize(
    ("header", "difference"),
    [
        (replace(HEADER, settings={"queue_length": 5}), "settings.queue_length was 10, is 5"),
        (replace(HEADER, video={**HEADER.video, "path": "b.mp4"}), 'video.path was "clip.mp4", is "b.mp4"'),
        (replace(HEADER, settings={**HEADER.settings, "new": 1}), "settings.new was null, is 1"),
        (replace(HEADER, generator={}), 'generator.posetrack was "0.1.0", is null'),
    ],
)
def test_resuming_with_other_settings_names_the_difference(tmp_path, header, difference):
    path = tmp_path / "a.tracks.json"
    begin(path, made_frames(3), (1,), None)
    with pytest.raises(OutputError) as error:
        resume_point(path, header)
    assert difference in str(error.value)
    assert resume_point(path, HEADER).frames == 2


@pytest.mark.parametrize("state", ["", "{", "[]", '{"offset": 10}', '{"offset": "x"}'])
def test_a_damaged_checkpoint_means_a_new_start(tmp_path, state):
    frames = made_frames(4)
    path = tmp_path / "a.tracks.json"
    begin(path, frames, (1,), None)
    Path(f"{path}.part.state").write_text(state)
    assert resume_point(path, HEADER) is None
    wanted = whole(tmp_path / "whole.json", frames)
    assert go_on(path, frames) == wanted


def test_the_state_comes_back_exactly(tmp_path):
    rng = np.random.default_rng(3)
    carried = np.concatenate([rng.normal(0, 1e5, (9, 3)).astype(np.float32), np.full((1, 3), np.nan, np.float32)])
    turned = rng.normal(0, 1e-7, (3, 4)).astype(np.float32).T
    path = tmp_path / "a.tracks.json"
    with contextlib.suppress(Stopped), Journal(path, HEADER) as journal:
        journal.write(made_frames(1)[0])
        journal.checkpoint({"carried": carried, "turned": turned, "next": 7, "third": 1 / 3}, next_frame=16)
        raise Stopped
    point = resume_point(path, HEADER)
    assert (point.next_frame, point.frames) == (16, 1)
    np.testing.assert_array_equal(np.array(point.state["carried"], np.float32), carried)
    np.testing.assert_array_equal(np.array(point.state["turned"], np.float32), turned)
    assert (point.state["next"], point.state["third"]) == (7, 1 / 3)


BOX, JOINTS = np.array([0, 0, 1, 1], np.float32), np.zeros((17, 3), np.float32)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (FrameResult(0, float("nan")), "time is nan"),
        (FrameResult(0, 0.0, (Person(0, 0.5, BOX, JOINTS),)), "ids are counted from 1"),
        (FrameResult(0, 0.0, (Person(1, float("nan"), BOX, JOINTS),)), "score is nan"),
        (FrameResult(0, 0.0, (Person(1, 0.5, BOX * np.nan, JOINTS),)), "no box"),
        (FrameResult(0, 0.0, (Person(1, 0.5, BOX[::-1], JOINTS),)), "no box"),
        (FrameResult(0, 0.0, (Person(1, 0.5, BOX, JOINTS[1:]),)), r"shape \(16, 3\)"),
        (FrameResult(0, 0.0, (Person(1, 0.5, BOX, JOINTS),) * 2), "id 1 is given to two people of frame 0"),
        (FrameResult(-1, 0.0), "frame numbers must grow"),
    ],
)
def test_frames_that_no_file_may_hold(tmp_path, frame, message):
    with pytest.raises(ValueError, match=message), Journal(tmp_path / "a.tracks.json", HEADER) as journal:
        journal.write(frame)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_conversion_leaves_nothing(tmp_path):
    def frames():
        yield made_frames(1)[0]
        raise Stopped

    with pytest.raises(Stopped):
        write_tracks(tmp_path / "a.tracks.json", HEADER, frames())
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=30, deadline=None)
@given(videos)
def test_rewriting_changes_no_byte(tmp_path_factory, frames):
    folder = tmp_path_factory.mktemp("rewriting")
    first = whole(folder / "a.json", frames)
    reader = read_tracks(folder / "a.json")
    write_tracks(folder / "b.json", reader.header, reader)
    assert (folder / "b.json").read_bytes() == first
