"""posetrack plot, as a person meets it."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from posetrack.cli import posetrack
from posetrack.cli.plot import ANGLES, BACKGROUNDS, FORMATS, WHAT
from posetrack.plot import background, figures, series
from posetrack.results.native import Header, write_tracks
from posetrack.skeleton import COCO17, Skeleton
from posetrack.types import FrameResult, Person


def write(path, frames, skeleton=COCO17):
    header = Header({}, {"path": "clip.mp4", "width": 160, "height": 120, "fps": 25.0}, skeleton, {})
    write_tracks(path, header, frames, names={2: "Ada"})
    return path


def somebody(id, x, joints=17):
    points = np.column_stack([x + np.arange(joints), 40 + np.arange(joints) ** 1.5, np.full(joints, 0.8)])
    return Person(id, 0.9, np.array([x, 40, x + 20, 110], np.float32), points.astype(np.float32))


@pytest.fixture
def tracks(tmp_path):
    frames = [FrameResult(n, n / 25, (somebody(1, 10 + n), somebody(2, 60))) for n in range(8)]
    return write(tmp_path / "clip.tracks.json", frames)


def invoke(*arguments, code=0):
    result = CliRunner().invoke(posetrack, ["plot", *map(str, arguments)])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def rows(path):
    with Path(path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_names_are_those_of_the_package():
    assert WHAT == series.WHAT
    assert ANGLES == series.ANGLE_NAMES
    assert FORMATS == figures.SUFFIXES
    assert BACKGROUNDS == background.BACKGROUNDS


def test_a_picture_each_beside_the_tracks(tracks):
    result = invoke(tracks)
    made = [tracks.with_name(f"clip.{what}.png") for what in WHAT]
    assert result.stdout.splitlines() == [str(path) for path in made]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in made)
    assert result.stderr == f"clip.mp4 is not beside {tracks}: paths are on a plain canvas; name the video to see it\n"


@pytest.mark.parametrize(
    ("arguments", "files"),
    [
        (["--to", "csv"], [f"clip.{what}.csv" for what in WHAT]),
        (["--to", "csv", "--what", "speeds, angles"], ["clip.speeds.csv", "clip.angles.csv"]),
        (["-o", "OUT/x.csv", "--what", "angles"], ["x.csv"]),
        (["-o", "OUT/x.csv", "--what", "angles,paths"], ["x.angles.csv", "x.paths.csv"]),
        (["-o", "OUT", "--what", "paths", "--to", "svg", "--background", "none"], ["clip.paths.svg"]),
        (["-o", "OUT/x.pdf", "--what", "speeds"], ["x.pdf"]),
    ],
)
def test_files_by_option(tracks, tmp_path, arguments, files):
    result = invoke(tracks, *(a.replace("OUT", str(tmp_path / "new")) for a in arguments))
    made = [Path(line) for line in result.stdout.splitlines()]
    assert [path.name for path in made] == files
    assert all(path.is_file() for path in made)


def test_people_joints_angles_and_time_in_a_table(tracks, tmp_path):
    out = tmp_path / "x.csv"
    part = ("--people", "Ada", "--start", 0.08, "--end", 0.2)
    invoke(tracks, "-o", out, "--what", "coordinates", "--joints", "wrist,nose", *part)
    table = rows(out)
    assert {row["id"] for row in table} == {"2"}
    assert {row["name"] for row in table} == {"Ada"}
    assert {row["of"] for row in table} == {"left_wrist", "right_wrist", "nose"}
    assert {row["time"] for row in table} == {"0.08", "0.12", "0.16"}
    invoke(tracks, "-o", out, "--what", "angles", "--angles", "knee,trunk", "--overwrite")
    assert {row["of"] for row in rows(out)} == {"left_knee", "right_knee", "trunk"}
    assert {row["unit"] for row in rows(out)} == {"deg"}
    invoke(tracks, "-o", out, "--what", "angles", "--joint-threshold", 0.9, "--overwrite")
    assert {row["value"] for row in rows(out)} == {""}


@pytest.mark.parametrize(
    ("options", "unit", "value"),
    [
        ([], "px/s", 25),
        (["--window", "0"], "px/s", 25),
        (["--pixel-size", "2"], "m/s", 0.05),
        (["--by-height"], "heights/s", 25 / 70),
    ],
)
def test_units(tracks, tmp_path, options, unit, value):
    invoke(tracks, "-o", tmp_path / "x.csv", "--what", "speeds", "--people", 1, *options)
    table = rows(tmp_path / "x.csv")
    assert {row["unit"] for row in table} == {unit}
    assert [float(row["value"]) for row in table] == pytest.approx([value] * 8, abs=1e-4)


def test_nothing_is_overwritten_unasked(tracks):
    invoke(tracks, "--to", "csv", "--what", "paths")
    result = invoke(tracks, "--to", "csv", "--what", "paths", code=1)
    assert result.stderr.startswith("error: ")
    assert "exists already" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    invoke(tracks, "--to", "csv", "--what", "paths", "--overwrite")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["none.json"], 1, "none.json: cannot be read (No such file or directory)"),
        (["TRACKS", "none.mp4"], 1, "none.mp4: no such file"),
        (["TRACKS", "--people", "Bob"], 1, "there is no person 'Bob'; it has 1, 2 (Ada)"),
        (["TRACKS", "--joints", "tail"], 1, "no joint 'tail'"),
        (["TRACKS", "-o", "x.svg", "--to", "png"], 1, "x.svg would be svg, but png is asked for"),
        (["TRACKS", "--what", "dance"], 2, "'dance' is none of paths, coordinates, speeds, angles"),
        (["TRACKS", "--what", ""], 2, "is none of paths"),
        (["TRACKS", "--angles", "wrist"], 2, "'wrist' is none of knee"),
        (["TRACKS", "--start", "2", "--end", "1"], 2, "--end must be after --start"),
        (["TRACKS", "--by-height", "--pixel-size", "2"], 2, "exclude each other"),
        (["TRACKS", "--pixel-size", "0"], 2, "'--pixel-size'"),
        (["TRACKS", "--to", "gif"], 2, "'gif' is not one of"),
        ([], 2, "Missing argument 'TRACKS'"),
    ],
)
def test_faults(tracks, arguments, code, message):
    result = invoke(*(str(tracks) if a == "TRACKS" else a for a in arguments), code=code)
    assert message in result.stderr
    assert code == 2 or len(result.stderr.splitlines()) == 1
    assert sorted(path.name for path in tracks.parent.iterdir()) == ["clip.tracks.json"]


def test_an_empty_result_one_frame_and_a_journal(tmp_path):
    result = invoke(write(tmp_path / "empty.tracks.json", []), "--to", "csv")
    assert "nobody is in it" in result.stderr
    assert rows(tmp_path / "empty.angles.csv") == []
    invoke(write(tmp_path / "one.tracks.json", [FrameResult(0, 0.0, (somebody(1, 5),))]), "--to", "csv")
    assert [row["value"] for row in rows(tmp_path / "one.speeds.csv")] == [""]
    lines = (tmp_path / "one.tracks.json").read_bytes().splitlines(keepends=True)
    (tmp_path / "part.tracks.json.part").write_bytes(b"".join(lines[:-1]))
    result = invoke(tmp_path / "part.tracks.json.part", "--to", "csv")
    assert "not finished" in result.stderr
    assert len(rows(tmp_path / "part.speeds.csv")) == 1


def test_another_skeleton(tmp_path):
    bird = Skeleton("bird", ("beak", "left_wing", "right_wing"), (), ((1, 2),), (0.1, 0.1, 0.1))
    frames = [FrameResult(n, n / 25, (somebody(1, 10 + n, joints=3),)) for n in range(3)]
    tracks = write(tmp_path / "bird.tracks.json", frames, bird)
    result = invoke(tracks, "--to", "csv", "--joints", "wing")
    assert len(result.stdout.splitlines()) == 3
    assert "its skeleton bird allow no angle" in result.stderr
    result = invoke(tracks, "--to", "csv", "--what", "angles", code=1)
    assert "its skeleton bird allow no angle" in result.stderr


def test_torch_stays_out_and_tables_need_no_matplotlib(tracks):
    script = (
        "import sys\nfrom click.testing import CliRunner\nfrom posetrack.cli import posetrack\n"
        f"result = CliRunner().invoke(posetrack, ['plot', {str(tracks)!r}, '--to', 'csv'])\n"
        "assert result.exit_code == 0, result.output\n"
        "print([name for name in ('torch', 'torchvision', 'matplotlib') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.strip() == "[]"


def test_a_real_clip(people, tmp_path):
    """The astronaut who moves 4 pixels a frame to the right, 25 frames a second."""
    tracks = people / "clip.tracks.json"
    result = invoke(tracks, "-o", tmp_path, "--joints", "nose", "--what", "paths")
    assert (result.stdout, result.stderr) == (f"{tmp_path / 'clip.paths.png'}\n", "")
    invoke(tracks, "-o", tmp_path / "x.csv", "--what", "speeds", "--joints", "nose")
    speeds = [float(row["value"]) for row in rows(tmp_path / "x.csv") if row["value"]]
    assert np.median(speeds) == pytest.approx(100, rel=0.15)
