"""posetrack export, as a person meets it."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from posetrack.cli import posetrack
from posetrack.cli.export import FORMAT_NAMES
from posetrack.results.export import FORMATS
from posetrack.results.native import Header, write_tracks
from posetrack.skeleton import COCO17
from posetrack.types import FrameResult, Person


@pytest.fixture
def tracks(tmp_path):
    import numpy as np

    keypoints = np.column_stack([np.arange(17), np.arange(17) + 10, np.linspace(0.1, 0.9, 17)]).astype(np.float32)
    people = (Person(1, 0.9, np.array([0, 0, 20, 30], np.float32), keypoints), Person(2, 0.3, np.zeros(4), keypoints))
    frames = [FrameResult(n, n / 25, people) for n in range(3)]
    header = Header({}, {"path": "clip.mp4", "width": 64, "height": 48, "fps": 25.0}, COCO17, {})
    write_tracks(tmp_path / "clip.tracks.json", header, frames)
    return tmp_path / "clip.tracks.json"


def invoke(*arguments):
    return CliRunner().invoke(posetrack, ["export", *map(str, arguments)])


@pytest.mark.parametrize("to", FORMAT_NAMES)
def test_the_files_made_are_printed(tracks, to):
    result = invoke(tracks, "--to", to)
    assert result.exit_code == 0, result.output
    made = result.stdout.splitlines()
    assert len(made) == (2 if to == "trc" else 1)
    assert all(tracks.with_name(path.rsplit("/", 1)[1]).is_file() for path in made)


def test_names_are_those_of_the_formats():
    assert tuple(FORMATS) == FORMAT_NAMES


def test_what_is_derived_is_said_on_stderr(tracks):
    result = invoke(tracks, "--to", "posetrack18")
    assert result.stderr == "head_bottom, head_top: derived from the nose and the shoulders\n"
    assert result.stdout == f"{tracks.with_name('clip.posetrack18.json')}\n"


def test_thresholds(tracks, tmp_path):
    out = tmp_path / "out.json"
    result = invoke(tracks, "--to", "coco", "-o", out, "--min-joint-score", 0.5, "--min-person-score", 0.5)
    assert result.exit_code == 0, result.output
    entries = json.loads(out.read_bytes())
    assert {entry["track_id"] for entry in entries} == {1}
    assert sum(score > 0 for score in entries[0]["keypoints"][2::3]) == 9


def test_nothing_is_overwritten_unasked(tracks):
    assert invoke(tracks, "--to", "csv").exit_code == 0
    again = invoke(tracks, "--to", "csv")
    assert again.exit_code == 1
    assert again.stderr.startswith("error: ")
    assert "exists already" in again.stderr
    assert len(again.stderr.splitlines()) == 1
    assert invoke(tracks, "--to", "csv", "--overwrite").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["none.json", "--to", "coco"], 1, "none.json: cannot be read (No such file or directory)"),
        (["none.json"], 2, "Missing option '--to'"),
        (["none.json", "--to", "bvh"], 2, "'bvh' is not one of"),
        (["none.json", "--to", "trc", "--pixel-size", "0"], 2, "'--pixel-size'"),
    ],
)
def test_faults(arguments, code, message):
    result = invoke(*arguments)
    assert result.exit_code == code
    assert message in result.stderr


def test_every_default_is_in_the_help():
    text = invoke("--help").stdout
    for option in (
        "--to",
        "--output",
        "--overwrite",
        "--min-joint-score",
        "--min-person-score",
        "--rows",
        "--pixel-size",
    ):
        assert option in text
    for default in ("beside TRACKS", "default: 0.0", "default: joint", "default: 1.0"):
        assert default in " ".join(text.split())


def test_torch_and_opencv_stay_out(tracks):
    script = (
        "import sys\nfrom click.testing import CliRunner\nfrom posetrack.cli import posetrack\n"
        f"result = CliRunner().invoke(posetrack, ['export', {str(tracks)!r}, '--to', 'posetrack17'])\n"
        "assert result.exit_code == 0, result.output\n"
        "print([name for name in ('torch', 'torchvision', 'cv2', 'av') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.strip() == "[]"
