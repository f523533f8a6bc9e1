"""TRC: one file a person, y up, gaps empty; read back."""

from dataclasses import replace

import numpy as np
import pytest
from made_tracks import HEADER, made_frames

from posetrack.errors import FormatError, OutputError
from posetrack.results.native import load, write_tracks
from posetrack.results.trc import read_trc, write_trc
from posetrack.skeleton import COCO17


@pytest.fixture
def tracks(tmp_path):
    write_tracks(tmp_path / "a.tracks.json", HEADER, made_frames(12))
    return load(tmp_path / "a.tracks.json")


@pytest.mark.parametrize("pixel_size", [1.0, 2.5])
def test_round_trip(tmp_path, tracks, pixel_size):
    files, notes = write_trc(tmp_path / "out" / "a.trc", tracks, pixel_size=pixel_size)
    assert [file.name for file in files] == [f"a.id{id}.trc" for id in tracks.ids]
    assert f"a pixel counts as {pixel_size:g} mm" in notes[0]
    for column, file in enumerate(files):
        markers = read_trc(file)
        seen = np.flatnonzero(~np.isnan(tracks.scores[:, column]))
        rows = slice(seen[0], seen[-1] + 1)
        assert (markers.names, markers.units) == (COCO17.joints, "mm")
        np.testing.assert_allclose(markers.times, tracks.times[rows])
        x, y = np.moveaxis(markers.places[..., :2] / pixel_size, -1, 0)
        np.testing.assert_allclose(x, tracks.keypoints[rows, column, :, 0], atol=1e-4)
        np.testing.assert_allclose(719 - y, tracks.keypoints[rows, column, :, 1], atol=1e-4)
        assert set(markers.places[..., 2][~np.isnan(markers.places[..., 2])]) == {0}


def test_the_lines_that_opensim_reads(tmp_path, tracks):
    (file, *_), _ = write_trc(tmp_path / "a.trc", tracks)
    lines = file.read_text().splitlines()
    assert lines[0] == f"PathFileType\t4\t(X/Y/Z)\t{file.name}"
    assert lines[2].split("\t")[:5] == ["12.5", "12.5", str(len(lines) - 6), "17", "mm"]
    assert lines[3].startswith("Frame#\tTime\tnose\t\t\tleft_eye\t\t\t")
    assert lines[4].startswith("\t\tX1\tY1\tZ1\tX2")
    assert lines[5] == ""
    assert all(len(line.split("\t")) == 2 + 3 * 17 for line in lines[3:5] + lines[6:])


def test_what_it_cannot_do_without(tmp_path, tracks):
    blind = replace(tracks, header=replace(tracks.header, video={}))
    with pytest.raises(FormatError, match="height"):
        write_trc(tmp_path / "a.trc", blind)
    write_trc(tmp_path / "a.trc", tracks)
    with pytest.raises(OutputError, match=r"a\.id1\.trc exists already"):
        write_trc(tmp_path / "a.trc", tracks)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: lines[1:], "not a TRC file"),
        (lambda lines: [*lines[:7], lines[7][:-1] + "x", *lines[8:]], "line 8: could not convert"),
        (lambda lines: [*lines[:7], "2\t0.1\t1", *lines[8:]], "line 8: 1 values for 17 markers"),
    ],
)
def test_faults_are_named(tmp_path, tracks, change, message):
    (file, *_), _ = write_trc(tmp_path / "a.trc", tracks)
    file.write_text("\n".join(change(file.read_text().splitlines())))
    with pytest.raises(FormatError) as error:
        read_trc(file)
    assert message in str(error.value)
