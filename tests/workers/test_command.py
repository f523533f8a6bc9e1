"""posetrack run --workers, from its words to its files, with a Ray of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from running import run

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "posetrack", "run", *map(str, words)]


def left_over(mark: str) -> list[str]:
    """Processes that were begun by a command with `mark` in its environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text())
        except OSError:  # it has ended, or is another's
            continue
    return found


def gone(mark: str, seconds: float = 20) -> bool:
    """Whether they all end, soon."""
    until = time.monotonic() + seconds
    while left_over(mark) and time.monotonic() < until:
        time.sleep(0.2)
    return not left_over(mark)


def test_a_folder_is_done_by_two_workers_and_then_what_is_new(shelf, tmp_path):
    pytest.importorskip("ray")
    videos = tmp_path / "videos"
    videos.mkdir()
    for name in ("keys.mp4", "short.mp4"):
        shutil.copy(shelf.folder / name, videos / name)
    (videos / "bad.mp4").write_bytes(b"no video")
    out, status = tmp_path / "out", tmp_path / "status.json"
    mark = f"POSETRACK_TEST={tmp_path}"
    environment = {**os.environ, "POSETRACK_TEST": str(tmp_path)}
    words = [videos, "-o", out, "--workers", 2, "--block", 4, "--preset", "fast", "--status-json", status]
    done = subprocess.run(command(*words), capture_output=True, text=True, env=environment)
    assert done.returncode == 1, done.stderr
    assert [line for line in done.stderr.splitlines() if line.startswith("error: ") and "bad.mp4" in line]
    assert "Traceback" not in done.stderr
    assert gone(mark)
    assert json.loads(status.read_text())["inputs"] == {"all": 3, "done": 2, "failed": 1, "skipped": 0, "running": 0}
    index = {line["output"]: line for line in map(json.loads, (out / "runs.jsonl").read_text().splitlines())}
    assert {name: line["state"] for name, line in index.items()} == {
        "keys.tracks.json": "done", "short.tracks.json": "done", "bad.tracks.json": "failed",
    }  # fmt: skip
    assert index["keys.tracks.json"]["frames"] == 40
    run(videos / "keys.mp4", videos / "short.mp4", "-o", tmp_path / "plain", "--block", 4)
    for name in ("keys.tracks.json", "short.tracks.json"):
        assert (out / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()

    (videos / "bad.mp4").unlink()
    shutil.copy(shelf.folder / "variable.mkv", videos / "more.mkv")
    before = {path: path.stat().st_mtime_ns for path in out.glob("*.tracks.json")}
    done = subprocess.run(command(*words, "--resume"), capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert all(path.stat().st_mtime_ns == then for path, then in before.items())
    assert "more.tracks.json" in (out / "runs.jsonl").read_text()


@pytest.mark.parametrize("ends", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_run_leaves_no_process_and_goes_on(shelf, tmp_path, ends):
    pytest.importorskip("ray")
    journal = tmp_path / "keys.tracks.json.part"
    words = [shelf.folder / "keys.mp4", "-o", tmp_path, "--workers", 2, "--block", 1, "--poses", shelf.poses]
    mark = f"POSETRACK_TEST={tmp_path}"
    environment = {**os.environ, "POSETRACK_TEST": str(tmp_path)}
    process = subprocess.Popen(
        command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, start_new_session=True
    )
    while process.poll() is None and not (journal.exists() and b'{"index":' in journal.read_bytes()):
        time.sleep(0.005)
    if ends == signal.SIGINT:
        os.killpg(process.pid, ends)  # as a terminal does
    else:
        process.kill()
    _, errors = process.communicate(timeout=120)
    assert gone(mark, 90), left_over(mark)
    if ends == signal.SIGINT and process.returncode != 0:
        assert process.returncode == 130
        assert b"Traceback" not in errors
    run(*words[:-6], *words[-4:], "--resume")  # the plain run goes on where workers stopped
    run(*words[:-6], *words[-4:], "-o", tmp_path / "plain")
    name = "keys.tracks.json"
    assert (tmp_path / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()
