"""The index of a folder of results."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from posetrack.errors import OutputError
from posetrack.results.runlist import Line, RunList


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "runs.jsonl").read_text().splitlines()]


def test_one_line_an_output_the_last_one_counts(tmp_path):
    with RunList(tmp_path / "out") as runs:
        runs.note(Line("a.mp4", "a.tracks.json", "running"))
        runs.note(Line("b.mp4", "b.tracks.json", "running"))
        assert [line["state"] for line in lines(tmp_path / "out")] == ["running", "running"]
        runs.note(Line("a.mp4", "a.tracks.json", "done", 25, 2, 1.5))
    assert lines(tmp_path / "out") == [
        {"input": "a.mp4", "output": "a.tracks.json", "state": "done", "frames": 25, "people": 2, "seconds": 1.5,
         "error": None},
        {"input": "b.mp4", "output": "b.tracks.json", "state": "interrupted", "frames": None, "people": None,
         "seconds": None, "error": None},
    ]  # fmt: skip


def test_another_run_adds_what_is_new(tmp_path):
    with RunList(tmp_path) as runs:
        runs.note(Line("a.mp4", "a.tracks.json", "done", 25, 2, 1.5))
        runs.note(Line("b.mp4", "b.tracks.json", "failed", error="b.mp4: no video"))
    with RunList(tmp_path) as runs:
        assert runs.is_done("a.tracks.json")
        assert not runs.is_done("b.tracks.json")
        runs.note(Line("b.mp4", "b.tracks.json", "done", 10, 1, 0.5))
        runs.note(Line("c.mp4", "c.tracks.json", "done", 10, 1, 0.5))
    assert [(line["input"], line["state"]) for line in lines(tmp_path)] == [
        ("a.mp4", "done"), ("b.mp4", "done"), ("c.mp4", "done"),
    ]  # fmt: skip


@pytest.mark.parametrize("torn", [b'{"input": "b.mp4", "outp', b"[1, 2]\n", b"\xff\n"])
def test_a_line_of_a_killed_run_is_dropped(tmp_path, torn):
    with RunList(tmp_path) as runs:
        runs.note(Line("a.mp4", "a.tracks.json", "done", 25, 2, 1.5))
    with (tmp_path / "runs.jsonl").open("ab") as file:
        file.write(torn)
    with RunList(tmp_path) as runs:
        runs.note(Line("c.mp4", "c.tracks.json", "done", 10, 1, 0.5))
        assert (tmp_path / "runs.jsonl").read_bytes().endswith(b"}\n")
    assert [line["input"] for line in lines(tmp_path)] == ["a.mp4", "c.mp4"]


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file"):
        RunList(tmp_path / "file")
