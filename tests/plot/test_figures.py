"""Plots and their tables: lines where people went, the same bytes each time, and what hardly anything gives."""

import csv
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from made_walkers import SIZE, at, pixels, two_walkers, walker, write

from posetrack.errors import FormatError, OutputError
from posetrack.plot.figures import PlotSettings, plan, plot_tracks
from posetrack.plot.series import WHAT, Choice
from posetrack.plot.style import track_ink
from posetrack.plot.table import COLUMNS
from posetrack.results.trajectories import read_trajectories
from posetrack.skeleton import SKELETONS, Skeleton
from posetrack.types import FrameResult

PLAIN = PlotSettings(background="none")


@pytest.fixture
def tracks(tmp_path):
    return write(tmp_path / "clip.tracks.json", two_walkers(), names={2: "Ada"})


def plot(tracks, target, what="paths", settings=PLAIN, **choice):
    made = plot_tracks(tracks, {what: target}, None, Choice(**choice), settings=settings)
    assert made.files == (target,)
    return made


def table(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_lines_lie_where_people_went(tracks, tmp_path):
    plot(tracks, tmp_path / "paths.png")
    picture = pixels(tmp_path / "paths.png")
    first, second = at(picture, track_ink(1)), at(picture, track_ink(2))
    assert len(first) > 200
    assert len(second) > 30
    # 1 goes from x 30 to 264 of 320 at a quarter of the height, 2 stands in the middle at seven tenths
    wide = np.ptp(first[:, 0]) / 234 * SIZE[0]
    line = first[np.abs(first[:, 1] - np.median(first[:, 1])) <= 2]
    assert len(np.unique(line[:, 0])) > 0.4 * wide
    per_pixel = wide / SIZE[0]
    assert np.median(second[:, 1]) - np.median(line[:, 1]) == pytest.approx(110 * per_pixel, rel=0.15)
    assert second[:, 0].min() - line[:, 0].min() == pytest.approx(130 * per_pixel, rel=0.2)


def test_the_table_holds_the_numbers_and_reads_back(tracks, tmp_path):
    plot(tracks, tmp_path / "t.csv", "coordinates", joints=("nose", "middle"))
    rows = table(tmp_path / "t.csv")
    assert tuple(rows[0]) == COLUMNS
    found = read_trajectories(tracks)
    for person in found.people:
        for axis, quantity in enumerate("xy"):
            mine = [row for row in rows if row["id"] == str(person.id) and row["quantity"] == quantity]
            nose = [row for row in mine if row["of"] == "nose"]
            values = [float(row["value"]) for row in nose]
            np.testing.assert_allclose(values, person.keypoints[:, 0, axis], atol=0.006)
            assert [int(row["frame"]) for row in nose] == found.indices[person.rows].tolist()
            assert [float(row["time"]) for row in nose] == found.times[person.rows].tolist()
            assert [row["from"] for row in nose] == person.sources.tolist()
            hips = [float(row["value"]) for row in mine if row["of"] == "hips_middle"]
            np.testing.assert_allclose(hips, person.keypoints[:, 11:13, axis].mean(axis=1), atol=0.006)
    assert {(row["id"], row["name"]) for row in rows} == {("1", ""), ("2", "Ada")}
    assert {row["unit"] for row in rows} == {"px"}


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"people": ("7",)}, "no person '7'; it has 1, 2 (Ada)"),
        ({"people": ("ada",)}, "no person 'ada'"),
        ({"joints": ("tail",)}, "no joint 'tail'; it has middle, nose"),
    ],
)
def test_who_and_what_is_not_there(tracks, tmp_path, choice, message):
    with pytest.raises(FormatError) as error:
        plot(tracks, tmp_path / "a.csv", "speeds", **choice)
    assert message in str(error.value)
    assert str(tracks) in str(error.value)
    assert not (tmp_path / "a.csv").exists()


@pytest.mark.parametrize(
    ("what", "suffix"),
    [
        ("paths", "png"),
        ("paths", "svg"),
        ("speeds", "jpg"),
        ("coordinates", "pdf"),
        ("angles", "svg"),
        ("angles", "csv"),
    ],
)
def test_the_same_plot_is_the_same_bytes(tracks, tmp_path, what, suffix):
    made = []
    for name in ("a", "b"):
        plot(tracks, tmp_path / f"{name}.{suffix}", what, angles=("knee", "trunk"))
        made.append((tmp_path / f"{name}.{suffix}").read_bytes())
    assert made[0] == made[1]
    assert len(made[0]) > 500


def test_bytes_do_not_depend_on_the_users_settings(tracks, tmp_path):
    import matplotlib

    plot(tracks, tmp_path / "a.svg", "speeds")
    with matplotlib.rc_context({"font.size": 30, "svg.fonttype": "path", "axes.facecolor": "black"}):
        plot(tracks, tmp_path / "b.svg", "speeds")
        assert matplotlib.rcParams["font.size"] == 30
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


@pytest.mark.parametrize("what", WHAT)
def test_an_svg_names_everybody_in_its_text_and_its_lines(tracks, tmp_path, what):
    plot(tracks, tmp_path / "a.svg", what)
    text = (tmp_path / "a.svg").read_text("utf-8")
    assert ">1</text>" in text
    assert ">2 Ada</text>" in text
    for id in (1, 2):
        assert f'id="id{id}-' in text
    assert "<dc:date>" not in text


def test_names_are_text_whatever_they_are(tmp_path):
    name = "$x^$ <小明> & 'a_b'"
    tracks = write(tmp_path / "a.json", two_walkers(), names={1: name})
    plot(tracks, tmp_path / "a.png", "speeds")
    plot(tracks, tmp_path / "a.svg", "paths", people=(name,))
    plot(tracks, tmp_path / "a.csv", "paths")
    assert "$x^$ &lt;小明&gt; &amp;" in (tmp_path / "a.svg").read_text("utf-8")
    assert {row["name"] for row in table(tmp_path / "a.csv")} == {name, ""}


@pytest.mark.parametrize("what", WHAT)
@pytest.mark.parametrize(
    "frames",
    [
        [],
        [FrameResult(0, 0.0)],
        [FrameResult(n, n / 25) for n in range(3)],
        [FrameResult(0, 0.0, (walker(1, 50, 60),))],
        [FrameResult(n, n / 25, (walker(1, 50, 60),) * (n == 1)) for n in range(3)],
        [FrameResult(n, 0.0, (walker(1, 50 + n, 60),)) for n in range(3)],
        [FrameResult(n, n / 25, (walker(1, 50 + n, 60, score=0.1),)) for n in range(3)],
    ],
    ids=["no frame", "nobody in one", "nobody", "one frame", "one of three", "no time", "low scores"],
)
def test_hardly_anything(tmp_path, what, frames):
    tracks = write(tmp_path / "a.tracks.json", frames)
    made = plot(tracks, tmp_path / "a.png", what, angles=("knee", "trunk"))
    assert pixels(tmp_path / "a.png").shape[0] > 200
    plot(tracks, tmp_path / "a.csv", what)
    anybody = any(frame.people for frame in frames)
    assert (len(table(tmp_path / "a.csv")) > 0) == anybody
    assert ("nobody is in it" in "".join(made.notes)) == (not anybody)


def test_nobody_between_start_and_end(tracks, tmp_path):
    made = plot(tracks, tmp_path / "a.png", "paths", start=100.0)
    assert "nobody is in it between start and end" in made.notes[0]
    plot(tracks, tmp_path / "b.png", "speeds", start=100.0, people=("1",))


@pytest.mark.parametrize("name", SKELETONS)
def test_every_skeleton(tmp_path, name):
    tracks = write(tmp_path / "a.json", two_walkers(skeleton=SKELETONS[name]), SKELETONS[name])
    plot(tracks, tmp_path / "angles.png", "angles", people=("1",))
    for what in WHAT:
        plot(tracks, tmp_path / f"{what}.csv", what, joints=("middle", "ankle"))
    assert {row["of"] for row in table(tmp_path / "paths.csv")} == {
        "hips_middle", "left_ankle", "right_ankle",
    }  # fmt: skip
    assert len({row["of"] for row in table(tmp_path / "angles.csv")}) == 9


def test_another_skeleton_gives_what_its_joints_allow(tmp_path):
    bird = Skeleton("bird", ("beak", "left_wing", "right_wing"), ((0, 1), (0, 2)), ((1, 2),), (0.1, 0.1, 0.1))
    tracks = write(tmp_path / "a.json", two_walkers(skeleton=bird), bird)
    made = plot_tracks(tracks, {w: tmp_path / f"{w}.csv" for w in WHAT}, None, Choice(joints=("middle", "wing")))
    assert [file.name for file in made.files] == ["paths.csv", "coordinates.csv", "speeds.csv"]
    assert "skeleton bird allow no angle of knee, hip, elbow, shoulder, trunk; they allow none" in made.notes[0]
    assert {row["of"] for row in table(tmp_path / "speeds.csv")} == {"box_centre", "left_wing", "right_wing"}
    with pytest.raises(FormatError, match="allow no angle of knee"):
        plot(tracks, tmp_path / "b.csv", "angles", angles=("knee",))


def test_a_journal_and_damaged_files(tracks, tmp_path):
    part = tmp_path / "other.tracks.json.part"
    lines = tracks.read_bytes().split(b"\n")
    part.write_bytes(b"\n".join(lines[:20]) + b"\n" + lines[20][:30])
    made = plot(part, tmp_path / "a.csv", "paths")
    assert "not finished; its frames so far were plotted" in made.notes[0]
    assert max(int(row["frame"]) for row in table(tmp_path / "a.csv")) == 14
    cut = tmp_path / "cut.tracks.json"
    cut.write_bytes(tracks.read_bytes()[:-400])
    with pytest.raises(FormatError, match="line"):
        plot(cut, tmp_path / "b.csv", "paths")
    for text in ("", "{}", "a,b\n1,2\n"):
        cut.write_text(text)
        with pytest.raises(FormatError, match=r"cut\.tracks\.json"):
            plot(cut, tmp_path / "b.csv", "paths")


def test_many_people_are_limited_and_that_is_said(tmp_path):
    everybody = [walker(id, 5 * id, 4 * id) for id in range(1, 41)]
    frames = [FrameResult(n, n / 25, tuple(everybody[n:])) for n in range(40)]
    tracks = write(tmp_path / "a.json", frames)
    made = plot(tracks, tmp_path / "a.svg", "speeds", settings=PlotSettings(max_people=5))
    assert "speeds: 5 of 40 people, those seen longest" in made.notes[0]
    text = (tmp_path / "a.svg").read_text("utf-8")
    shown = {int(id) for id in re.findall(r'id="id(\d+)-hips_middle-speed"', text)}
    assert shown == {36, 37, 38, 39, 40}
    assert "5 of 40 people" in text
    plot(tracks, tmp_path / "b.svg", "speeds", settings=PlotSettings(max_people=1), people=("1", "2", "3"))
    assert (tmp_path / "b.svg").read_text("utf-8").count('-speed"') == 3
    plot(tracks, tmp_path / "c.svg", "paths", settings=PLAIN)
    assert (tmp_path / "c.svg").read_text("utf-8").count('-path"') == 40


@pytest.mark.parametrize(
    ("output", "to", "what", "found"),
    [
        (None, None, ("paths", "speeds"), ["in/clip.paths.png", "in/clip.speeds.png"]),
        (None, "svg", ("paths",), ["in/clip.paths.svg"]),
        ("out", "csv", ("angles",), ["out/clip.angles.csv"]),
        ("a.pdf", None, ("angles",), ["a.pdf"]),
        ("a.pdf", "pdf", ("angles", "paths"), ["a.angles.pdf", "a.paths.pdf"]),
        ("a.tracks", None, ("paths",), ["a.tracks/clip.paths.png"]),
    ],
)
def test_names_of_files(output, to, what, found):
    for name in ("clip.tracks.json", "clip.json", "clip.tracks.json.part"):
        targets = plan(Path("in") / name, what, output and Path(output), to)
        assert list(targets) == list(what)
        assert [str(target) for target in targets.values()] == found


def test_a_suffix_and_a_format_that_disagree():
    with pytest.raises(OutputError, match="would be svg, but csv is asked for"):
        plan(Path("a.json"), ("paths",), Path("b.svg"), "csv")


def test_nothing_is_overwritten_unasked_and_nothing_half_done(tracks, tmp_path):
    targets = {what: tmp_path / f"{what}.csv" for what in ("paths", "speeds")}
    targets["speeds"].write_text("mine")
    with pytest.raises(OutputError, match=r"speeds\.csv exists already"):
        plot_tracks(tracks, targets)
    assert not targets["paths"].exists()
    assert targets["speeds"].read_text() == "mine"
    plot_tracks(tracks, targets, settings=PlotSettings(overwrite=True))
    assert len(table(targets["speeds"])) > 0
    assert not list(tmp_path.glob("*.new"))


def test_without_matplotlib_a_line_says_what_to_do_and_tables_are_made(tracks, tmp_path):
    script = (
        "import sys\nsys.modules['matplotlib'] = None\n"
        "from pathlib import Path\nfrom posetrack.errors import DeviceError\n"
        "from posetrack.plot.figures import plot_tracks\n"
        f"tracks, out = Path({str(tracks)!r}), Path({str(tmp_path)!r})\n"
        "plot_tracks(tracks, {'angles': out / 'a.csv'})\n"
        "try:\n    plot_tracks(tracks, {'angles': out / 'a.png'})\n"
        "except DeviceError as error:\n    print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert "pip install 'posetrack[plots]'" in run.stdout
    assert len(run.stdout.splitlines()) == 1
    assert len(table(tmp_path / "a.csv")) > 0
    assert not (tmp_path / "a.png").exists()
