"""Without the extra everything but more than one worker is as it was; and nothing imports ray that doesn't need it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from posetrack.cli import COMMANDS

WITHOUT = "import sys; sys.modules['ray'] = None; from posetrack.cli import main; main()"
"""`import ray` fails in there, as where it is not installed."""
WATCHED = """
import atexit, sys, posetrack
atexit.register(lambda: sys.stderr.write(f"ray imported: {'ray' in sys.modules}"))
from posetrack.cli import main; main()
"""


def call(code: str, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True)


def frames(result: bytes) -> bytes:
    return result.split(b'"frames"')[1]


@pytest.mark.parametrize("workers", [[], ["--workers", 1]])
def test_one_worker_is_the_plain_run(shelf, tmp_path, workers):
    words = ["run", shelf.folder / "short.mp4", "--poses", shelf.poses, "--block", 4, "-o", tmp_path, *workers]
    for code in (WITHOUT, WATCHED):
        done = call(code, *words, "--overwrite")
        assert done.returncode == 0, done.stderr
        assert frames((tmp_path / "short.tracks.json").read_bytes()) == frames(shelf.plain["short.mp4"])
    assert "ray imported: False" in done.stderr


@pytest.mark.parametrize("words", [["--workers", 2], ["--ray", "auto"]])
def test_more_workers_say_what_to_install(shelf, tmp_path, words):
    done = call(WITHOUT, "run", shelf.folder / "short.mp4", "--poses", shelf.poses, "-o", tmp_path, *words)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "pip install 'posetrack[ray]'" in done.stderr
    assert not list(tmp_path.glob("*.tracks.json*"))


def test_commands_import_no_ray():
    loaded = call(WATCHED, "--help")
    assert "ray imported: False" in loaded.stderr
    code = f"""
import sys
sys.modules['ray'] = None
import posetrack, importlib
for name in {list(COMMANDS)}:
    importlib.import_module(f"posetrack.cli.{{name}}")
import posetrack.cli.fleet, posetrack.workers.driver, posetrack.workers.crew
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_only_one_module_imports_ray():
    package = Path(__file__).parents[2] / "posetrack"
    found = {
        path.name
        for path in package.rglob("*.py")
        if any(line.strip().startswith(("import ray", "from ray")) for line in path.read_text().splitlines())
    }
    assert found == {"crew.py"}
