"""posetrack clean, as a person meets it."""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from click.testing import CliRunner

from posetrack.clean.filters import FILTERS
from posetrack.clean.select import KEEP
from posetrack.cli import posetrack
from posetrack.cli.clean import FILTER_SETTINGS, KEEP_NAMES, STITCH_SECONDS
from posetrack.cli.export import FORMAT_NAMES
from posetrack.results.trajectories import read_trajectories, write_trajectories

sys.path.append(str(Path(__file__).parents[1] / "clean"))
from moving import somebody, video, walk


@pytest.fixture
def tracks(tmp_path):
    import numpy as np

    rng = np.random.default_rng(0)
    people = somebody(1, walk(rng, 30, 17, 2.0))[np.r_[0:10, 13:30]], somebody(2, walk(rng, 5, 17))
    write_trajectories(tmp_path / "clip.tracks.json", video(*people))
    return tmp_path / "clip.tracks.json"


def invoke(*arguments):
    return CliRunner().invoke(posetrack, list(map(str, arguments)))


def history(path):
    return json.loads(path.read_bytes())["history"][-1]["operations"]


def test_what_was_done_is_said_and_written(tracks, tmp_path):
    out = tmp_path / "new" / "clean.json"
    result = invoke("clean", tracks, "-o", out, "--smooth", "savgol", "--window", 0.4, "--fill", 5, "--min-frames", 6)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{out}\n"
    lines = result.stderr.splitlines()
    assert lines[0].startswith("smooth filter=savgol window=0.4 order=2")
    assert "body sizes/s^2" in lines[0]
    assert lines[1] == "fill frames=5: 2 -> 2 people, 1 gaps filled with 3 poses"
    assert lines[2] == "min-frames frames=6: 2 -> 1 people, 5 poses left out"
    assert lines[3] == "30 frames, 2 -> 1 people"
    assert [operation["name"] for operation in history(out)] == ["smooth", "fill", "min-frames"]


@pytest.mark.parametrize(
    ("words", "operations"),
    [
        ("--fill 2 --min-frames 3 --fill 4", [("fill", 2), ("min-frames", 3), ("fill", 4)]),
        ("--min-frames 3 --fill 2", [("min-frames", 3), ("fill", 2)]),
        ("--smooth butterworth --cutoff 4 --smooth butterworth --order 3", [
            ("smooth", "butterworth", 4, 2, True, 3), ("smooth", "butterworth", 6, 3, True, 3)]),
        ("--smooth one-euro --beta 0 --min-cutoff=1.5 --all-alike --keep 2,1", [
            ("smooth", "one-euro", 1.5, 0, 1, False, 3), ("keep", [1, 2])]),
        ("--stitch --keep most-moving", [("stitch", 10), ("keep", "most-moving")]),
        ("--keep longest --stitch 2.5 --stitch", [("keep", "longest"), ("stitch", 2.5), ("stitch", 10)]),
        ("--region -10,0,700,360.5 --max-people 1", [("region", -10, 0, 700, 360.5), ("max-people", 1)]),
    ],
)  # fmt: skip
def test_operations_stand_in_the_order_of_the_command_line(tracks, tmp_path, words, operations):
    for arguments in (["clean", *words.split(), tracks, "-o"], ["clean", tracks, *words.split(), "--overwrite", "-o"]):
        result = invoke(*arguments, tmp_path / "out.json")
        assert result.exit_code == 0, result.output
        assert [tuple(o.values()) for o in history(tmp_path / "out.json")] == operations


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("", 2, "Nothing to do: give --smooth"),
        ("--cutoff 3", 2, "--cutoff goes behind the --smooth that it is for"),
        ("--cutoff 3 --smooth butterworth", 2, "--cutoff goes behind"),
        ("--smooth savgol --fill 3 --window 0.3", 2, "--window goes behind"),
        ("--smooth savgol --cutoff 3", 2, "--cutoff is not a setting of savgol"),
        ("--smooth gauss", 2, "'gauss' is not one of"),
        ("--smooth butterworth --cutoff nan", 2, "not a finite number"),
        ("--smooth butterworth --cutoff 0", 2, "--cutoff"),
        ("--smooth butterworth --cutoff 15", 1, "take --cutoff 5, or another filter"),
        ("--smooth savgol --window 0.1", 1, "take --window 0.16 or more"),
        ("--fill 0", 2, "--fill"),
        ("--stitch 0", 2, "--stitch"),
        ("--keep biggest", 2, "'biggest' is neither largest"),
        ("--keep 0", 2, "'0' is neither"),
        ("--keep 1,", 2, "'1,' is neither"),
        ("--keep 7", 1, "no person 7 to keep, only 1, 2"),
        ("--region 1,2,3", 2, "not four numbers x,y,w,h"),
        ("--region 0,0,0,10", 2, "a width and a height above 0"),
        ("--region 0,0,inf,10", 2, "a width and a height above 0"),
    ],
)
def test_faults(tracks, tmp_path, words, code, message):
    result = invoke("clean", tracks, "-o", tmp_path / "out.json", *words.split())
    assert result.exit_code == code
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out.json").exists()


def test_files_that_are_none(tracks, tmp_path):
    for arguments, code, message in (
        ([tmp_path / "none.json", "-o", tmp_path / "out.json"], 1, "none.json: cannot be read"),
        ([tracks], 2, "Missing option '-o'"),
        ([tracks, "-o", tracks, "--overwrite"], 1, "does not change"),
        ([tracks, "-o", tracks], 1, "does not change"),
    ):
        result = invoke("clean", *arguments, "--fill", 3)
        assert result.exit_code == code
        assert message in result.stderr
    assert invoke("clean", tracks, "-o", tmp_path / "out.json", "--fill", 3).exit_code == 0
    again = invoke("clean", tracks, "-o", tmp_path / "out.json", "--fill", 3)
    assert again.exit_code == 1
    assert "exists already" in again.stderr
    assert len(again.stderr.splitlines()) == 1


def test_the_names_and_defaults_are_those_of_the_operations():
    assert {name: asdict(kind()) for name, kind in FILTERS.items()} == FILTER_SETTINGS
    assert tuple(KEEP) == KEEP_NAMES
    text = " ".join(invoke("clean", "--help").stdout.split())
    for settings in FILTER_SETTINGS.values():
        for name, value in settings.items():
            option = text[text.index(f"--{name.replace('_', '-')} ") :]
            assert f"default: ({value:g})" in option[:200]
    assert f"[default: ({STITCH_SECONDS:g})" in text


@pytest.mark.parametrize("to", FORMAT_NAMES)
def test_cleaned_tracks_are_exported(tracks, tmp_path, to):
    assert invoke("clean", tracks, "-o", tmp_path / "c.json", "--smooth", "one-euro", "--fill", 5).exit_code == 0
    result = invoke("export", tmp_path / "c.json", "--to", to)
    assert result.exit_code == 0, result.output
    if to == "csv":
        text = (tmp_path / "c.csv").read_text()
        assert text.count("\n") == 1 + 17 * (30 + 5)
    if to == "coco":
        assert len(json.loads((tmp_path / "c.coco.json").read_bytes())) == 35
    if to == "mot":
        assert len((tmp_path / "c.mot.txt").read_text().splitlines()) == 35


def test_cleaned_tracks_are_scored_and_loaded(tracks, tmp_path):
    import posetrack as package

    assert invoke("clean", tracks, "-o", tmp_path / "c.json", "--fill", 5).exit_code == 0
    result = invoke("eval", "posetrack", tmp_path / "c.json", tracks, "--reference", "box", "--json", "-")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["recall"]["total"] == 100
    loaded = package.load(tmp_path / "c.json")
    assert (loaded.sources == "fill").sum() == 3


def test_cleaned_tracks_of_a_clip_are_drawn_and_told(people, tmp_path):
    out = tmp_path / "c.json"
    result = invoke(
        "clean", people / "clip.tracks.json", "-o", out, "--smooth", "butterworth", "--fill", 5, "--stitch",
        "--keep", "largest",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert len(read_trajectories(out).people) == 1
    assert invoke("info", out).exit_code == 0
    drawn = invoke("render", out, people / "clip.mp4", "-o", tmp_path / "c.mp4", "-q")
    assert drawn.exit_code == 0, drawn.output
    assert (tmp_path / "c.mp4").stat().st_size > 1000


def test_torch_and_opencv_stay_out(tracks, tmp_path):
    script = (
        "import sys\nfrom click.testing import CliRunner\nfrom posetrack.cli import posetrack\n"
        f"words = ['clean', {str(tracks)!r}, '-o', {str(tmp_path / 'c.json')!r}, '--smooth', 'savgol', '--fill', '3']\n"
        "result = CliRunner().invoke(posetrack, words)\nassert result.exit_code == 0, result.output\n"
        "print([name for name in ('torch', 'torchvision', 'cv2', 'av') if name in sys.modules])\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.strip() == "[]"
