"""CSV and Parquet: both kinds of rows written and read, faults named."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from made_tracks import HEADER, assert_same, made_frames, videos, with_people

from posetrack.errors import DeviceError, FormatError
from posetrack.results.table import read_table, write_csv, write_parquet
from posetrack.skeleton import COCO17

WRITERS = {"csv": write_csv, "parquet": write_parquet}


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("rows", ["joint", "person"])
@settings(max_examples=20, deadline=None)
@given(frames=videos)
def test_round_trip(tmp_path_factory, kind, rows, frames):
    path = tmp_path_factory.mktemp("table") / f"a.{kind}"
    assert WRITERS[kind](path, HEADER, frames, rows=rows) == ()
    frames = with_people(frames)
    if not frames:
        with pytest.raises(FormatError, match="no row in this table"):
            read_table(path)
        return
    joints, found = read_table(path)
    assert joints == COCO17.joints
    also = () if rows == "joint" else ("score", "box", "source")
    assert_same(found, frames, ("time", "id", "keypoints", *also))


def test_cells(tmp_path):
    frame = with_people(made_frames(9))[0]
    write_csv(tmp_path / "a.csv", HEADER, [frame])
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert lines[0] == "frame,time,id,joint,x,y,score"
    assert len(lines) == 1 + 17 * len(frame.people)
    person = frame.people[0]
    for line, name, (x, y, _) in zip(lines[1:], COCO17.joints, person.keypoints, strict=False):
        cells = line.split(",")
        assert cells[:4] == [str(frame.index), str(round(frame.time, 6)), str(person.id), name]
        assert (cells[4], cells[5]) == (("", "") if np.isnan(x) else (f"{round(float(x), 2)}", f"{round(float(y), 2)}"))
    write_csv(tmp_path / "b.csv", HEADER, [frame], rows="person")
    lines = (tmp_path / "b.csv").read_text().splitlines()
    assert lines[0].startswith("frame,time,id,score,from,box_x,box_y,box_width,box_height,nose_x,nose_y,nose_score,")
    assert len(lines) == 1 + len(frame.people)


def test_bounds_stand_for_boxes_that_joint_rows_lack(tmp_path):
    frame = with_people(made_frames(9))[0]
    write_csv(tmp_path / "a.csv", HEADER, [frame])
    person = read_table(tmp_path / "a.csv")[1][0].people[0]
    np.testing.assert_allclose(person.box[:2], np.nanmin(person.keypoints[:, :2], 0))
    np.testing.assert_allclose(person.box[2:], np.nanmax(person.keypoints[:, :2], 0))


def test_parquet_holds_numbers(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    write_parquet(tmp_path / "a.parquet", HEADER, made_frames(9))
    table = parquet.read_table(tmp_path / "a.parquet")
    assert [str(field.type) for field in table.schema] == ["int64", "double", "int64", "string", *["double"] * 3]
    assert table["x"].null_count > 0
    assert not np.isnan(table["x"].drop_null().to_numpy()).any()


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DeviceError, match=r"pip install 'posetrack\[tables\]'"):
        write_parquet(tmp_path / "a.parquet", HEADER, made_frames(2))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no row"),
        ("a,b\n1,2\n", "not a table of posetrack's; its columns are a, b"),
        ("frame,time,id,joint,x,y,score\n1,0,1,nose,x,2,0.5\n", "row 1, x: 'x' is not a number"),
        (
            "frame,time,id,joint,x,y,score\n1,0,1,nose,1,2,0.5\n1,0,,nose,1,2,1\n",
            "row 2: frame, time and id are",
        ),
    ],
)
def test_faults_are_named(tmp_path, text, message):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(FormatError) as error:
        read_table(tmp_path / "a.csv")
    assert str(error.value).startswith(str(tmp_path / "a.csv"))
    assert message in str(error.value)


def test_files_that_are_no_tables(tmp_path):
    (tmp_path / "a.parquet").write_text("no")
    with pytest.raises(FormatError, match="not a Parquet file"):
        read_table(tmp_path / "a.parquet")
    with pytest.raises(FormatError, match="cannot be read"):
        read_table(tmp_path / "none.csv")
