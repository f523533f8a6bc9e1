"""One review over HTTP: frames, edits that are kept, what survives a killed server, exports."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner
from clips import make_clip
from reviewing import FPS, FRAMES, Client, header, serving, two_who_swap

from posetrack.cli import posetrack
from posetrack.errors import FormatError, InputError
from posetrack.results.native import read_tracks, write_tracks
from posetrack.review.session import Session, free_name


@contextmanager
def reviewing(tracks: Path, video: Path | None = None):
    session = Session(tracks, video and str(video))
    with serving(session.site()) as client:
        session.start()
        yield client


def ready(client: Client) -> dict:
    return client.until(lambda state: state["edits"] is not None)


def ids_in(path: Path, frame: int) -> set[int]:
    return {person.id for person in list(read_tracks(path))[frame].people}


def test_the_page_learns_all_it_needs(clip):
    with reviewing(clip / "clip.tracks.json") as client:
        about = client.ask("about").record
        assert about["first"] == [0, 0.0]
        assert about["last"] == [FRAMES - 1, (FRAMES - 1) / FPS]
        assert about["anchors"][0] == [0, 0.0]
        assert about["anchors"][-1] == about["last"]
        assert [track["id"] for track in about["tracks"]] == [1, 2, 3]
        assert len(about["skeleton"]["joints"]) == 17
        frames = client.ask("frames?piece=0")
        assert frames.headers["X-Piece"] == "[0,null,null,null]"
        assert frames.body == client.ask("frames?time=1.5").body
        assert client.ask("frames?piece=7").headers["X-Piece"] == "[7,0,null,null]"
        assert client.ask("frames?piece=x").status == 400
        assert client.ask("frames").status == 400
        video = client.ask("video", Range="bytes=0-99")
        assert (video.status, video.headers["Content-Type"]) == (206, "video/mp4")
        assert ready(client)["video"] == {"kind": "ready", "begins": 0.0}
        client.until(lambda state: state["survey"] == 1)
        survey = client.ask("survey").record
        assert next(track for track in survey["tracks"] if track["id"] == 3)["runs"] == [[10, 29], [34, 59]]
        assert [40, {1, 2}] in [[suspect["frame"], set(suspect["ids"])] for suspect in survey["suspects"]]


def test_an_edit_is_in_its_file_when_it_is_answered_and_is_undone_exactly(clip):
    with reviewing(clip / "clip.tracks.json") as client:
        before = ready(client)["edits"]
        state = client.tell("edit", {"verb": "swap", "ids": [1, 2], "frame": 40}).record["edits"]
        assert (clip / "clip.edits.jsonl").read_text().count("\n") == 2
        assert state["undo"] == state["said"][0].lower() + state["said"][1:] == "swap 1 and 2 from frame 40 on"
        assert state["table"]["moved"]["1"] == [[0, 39, 1], [40, 74, 2]]
        assert client.tell("edit", {"verb": "name", "id": 3, "name": "Anna"}).record["edits"]["table"]["names"]
        client.tell("edit", {"verb": "undo"})
        state = client.tell("edit", {"verb": "undo"}).record["edits"]
        assert state["table"] == before["table"]
        assert state["redo"] == "swap 1 and 2 from frame 40 on"
        assert client.tell("edit", {"verb": "redo"}).record["edits"]["count"] == 1


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        ({"verb": "merge", "id": 1, "into": 2}, "both in frame 0"),
        ({"verb": "undo"}, "nothing to undo"),
        ({"verb": "redo"}, "nothing to redo"),
        ({"verb": "swap", "ids": [1, 9], "frame": 3}, "no id 9"),
        ({"verb": "dance"}, "dance"),
        ({}, "verb"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused_with_the_reason(clip, edit, why):
    with reviewing(clip / "clip.tracks.json") as client:
        ready(client)
        answer = client.tell("edit", edit)
        assert answer.status == 409
        assert why in answer.record["error"]
        assert not (clip / "clip.edits.jsonl").exists()


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is POSIX's")
def test_edits_survive_a_killed_server(clip):
    words = [sys.executable, "-m", "posetrack", "review", clip / "clip.tracks.json", "--no-browser"]
    addresses = []
    for _ in range(2):
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            assert process.stdout is not None
            addresses.append(process.stdout.readline().strip())
            client = Client.at(addresses[-1])
            edits = ready(client)["edits"]
            if len(addresses) == 1:
                client.tell("edit", {"verb": "swap", "ids": [1, 2], "frame": 40})
                client.tell("edit", {"verb": "delete", "id": 3})
                client.tell("edit", {"verb": "undo"})
            process.send_signal(signal.SIGKILL)
            process.wait()
    assert addresses[0] != addresses[1]
    assert edits["count"] == 1
    assert edits["redo"] == "delete 3"
    assert edits["table"]["moved"]["2"] == [[0, 39, 2], [40, 74, 1]]


def test_an_export_replays_the_edits_and_never_replaces_a_file(clip):
    tracks = clip / "clip.tracks.json"
    with reviewing(tracks) as client:
        ready(client)
        assert "no corrections" in client.tell("export", {}).record["error"]
        client.tell("edit", {"verb": "swap", "ids": [1, 2], "frame": 40})
        names = []
        for number in (1, 2):
            if number == 2:
                client.tell("edit", {"verb": "delete", "id": 3})
            client.tell("export", {})
            made = client.until(lambda s, n=number: s["export"]["number"] == n and s["export"]["share"] == 1)["export"]
            assert "error" not in made
            names.append(made["name"])
    assert names == ["clip.edited.tracks.json", "clip.edited-2.tracks.json"]
    assert ids_in(clip / names[0], 50) == {1, 2, 3}
    assert ids_in(clip / names[1], 50) == {1, 2}
    boxes = [next(p.box[0] for p in frame.people if p.id == 1) for frame in read_tracks(clip / names[0])]
    assert max(abs(b - a) for a, b in pairwise(boxes)) < 1
    ran = CliRunner().invoke(
        posetrack, ["edit", str(tracks), str(clip / "clip.edits.jsonl"), "-o", str(clip / "replayed.json")]
    )
    assert ran.exit_code == 0, ran.output
    assert (clip / "replayed.json").read_bytes() == (clip / names[1]).read_bytes()


def test_edits_of_other_tracks_are_told_and_nothing_is_added_to_them(clip):
    other = clip / "other.tracks.json"
    write_tracks(other, header(), two_who_swap(50))
    with reviewing(clip / "clip.tracks.json") as client:
        ready(client)
        client.tell("edit", {"verb": "delete", "id": 3})
    kept = (clip / "clip.edits.jsonl").read_bytes()
    (clip / "other.edits.jsonl").write_bytes(kept)
    with reviewing(other) as client:
        state = client.until(lambda state: state["warnings"])
        assert "edits of another result" in state["warnings"][0]
        assert client.tell("edit", {"verb": "delete", "id": 3}).status == 409
    assert (clip / "other.edits.jsonl").read_bytes() == kept


def test_a_result_without_its_video_and_an_empty_one_are_shown(clip):
    (clip / "clip.mp4").unlink()
    write_tracks(clip / "empty.tracks.json", header(), [])
    for name, tracks in {"clip.tracks.json": 3, "empty.tracks.json": 0}.items():
        with reviewing(clip / name) as client:
            assert len(client.ask("about").record["tracks"]) == tracks
            assert client.ask("frames?piece=0").status == 200
            assert ready(client)["video"]["kind"] == "none"
            assert client.ask("video").status == 404


def test_a_video_that_is_not_the_tracks_is_refused(clip):
    with pytest.raises(FormatError, match=r"320x240 pixels, .*small\.mp4 has 64x48; give the video"):
        Session(clip / "clip.tracks.json", str(make_clip(clip / "small.mp4")))
    with pytest.raises(InputError, match="no such file"):
        Session(clip / "clip.tracks.json", str(clip / "gone.mp4"))


def test_errors_before_the_page_opens_are_one_line(clip):
    (clip / "nonsense.json").write_text("{}")
    for words in (["gone.json"], ["nonsense.json"], ["clip.tracks.json", "gone.mp4"]):
        ran = CliRunner().invoke(posetrack, ["review", "--no-browser", *(str(clip / word) for word in words)])
        assert ran.exit_code == 1
        assert ran.output.startswith("error: ")
        assert ran.output.count("\n") == 1


def test_names_for_exports(tmp_path):
    tracks = tmp_path / "a.tracks.json"
    for wanted in ("a.edited.tracks.json", "a.edited-2.tracks.json", "a.edited-3.tracks.json"):
        assert free_name(tracks).name == wanted
        free_name(tracks).touch()


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")
def test_ctrl_c_ends_it_quietly(clip):
    words = [sys.executable, "-m", "posetrack", "review", clip / "clip.tracks.json", "--no-browser"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("http://127.0.0.1:")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Traceback" not in said
