"""A run that is stopped, in whatever way, ends with --resume in the bytes of one that was not."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from clips import make_clip

LENGTH = 160
"""Frames: enough that a run can be caught at work, with `--poses` so that it takes little time."""


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "posetrack", "run", *map(str, words)]


@pytest.fixture(scope="module")
def walk(people: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A longer clip of something that moves, and detections in it, of which every other frame has none."""
    folder = tmp_path_factory.mktemp("walk")
    noise = np.random.default_rng(0).integers(0, 255, (360, 640 + LENGTH, 3), np.uint8)
    smooth = noise.reshape(45, 8, -1, 8, 3).mean((1, 3)).astype(np.uint8).repeat(8, 0).repeat(8, 1)
    images = [np.ascontiguousarray(smooth[:, i : i + 640]) for i in range(LENGTH)]
    make_clip(folder / "walk.mp4", LENGTH, size=(640, 360), images=images, options={"g": "24"})
    lines = [f"{i + 1},-1,{300 - i},60,100,240,0.9,-1,-1,-1" for i in range(0, LENGTH, 2)]
    (folder / "boxes.txt").write_text("\n".join(lines))
    subprocess.run(command(*arguments(folder), "-o", folder / "whole"), check=True, capture_output=True)
    return folder


def arguments(folder: Path) -> list[object]:
    return [folder / "walk.mp4", "--detections", folder / "boxes.txt", "--person-threshold", 0, "--block", 4]


def frames_in(journal: Path) -> int:
    return journal.read_bytes().count(b'{"index":') if journal.exists() else 0


def start_and_wait(words: list[str], journal: Path, frames: int) -> subprocess.Popen[bytes]:
    """A run that has so many frames in its journal, or is over."""
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while process.poll() is None and frames_in(journal) < frames:
        time.sleep(0.01)
    return process


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is POSIX's")
def test_killed_runs_end_in_the_same_bytes(walk: Path, tmp_path: Path) -> None:
    result = tmp_path / "walk.tracks.json"
    journal = Path(f"{result}.part")
    chance = random.Random(5)
    kills = 0
    while not result.exists():
        words = command(*arguments(walk), "-o", tmp_path, "--resume")
        target = frames_in(journal) + chance.randrange(1, 60) if kills < 3 else LENGTH + 1
        process = start_and_wait(words, journal, target)
        process.kill()
        kills += process.wait() == -signal.SIGKILL
        process.communicate()
        assert kills <= 4
    assert kills >= 2
    assert result.read_bytes() == (walk / "whole/walk.tracks.json").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["walk.tracks.json"]


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")
def test_ctrl_c_keeps_the_journal_and_ends_with_130(walk: Path, tmp_path: Path) -> None:
    journal = tmp_path / "walk.tracks.json.part"
    process = start_and_wait(command(*arguments(walk), "-o", tmp_path), journal, 8)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in errors
    assert frames_in(journal) >= 8
    assert not (tmp_path / "walk.tracks.json").exists()


def test_a_journal_of_other_settings_is_refused(walk: Path, tmp_path: Path) -> None:
    journal = tmp_path / "walk.tracks.json.part"
    process = start_and_wait(command(*arguments(walk), "-o", tmp_path), journal, 8)
    process.kill()
    process.communicate()
    before = journal.read_bytes()
    words = command(*arguments(walk), "-o", tmp_path, "--resume", "--queue-length", 3)
    again = subprocess.run(words, capture_output=True)
    assert again.returncode == 1
    assert b"queue_length" in again.stderr
    assert journal.read_bytes() == before
