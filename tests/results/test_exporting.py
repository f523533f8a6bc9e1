"""Exporting: thresholds, names, and a journal's frames so far."""

import numpy as np
import pytest
from made_tracks import HEADER, as_results, made_frames

from posetrack.errors import FormatError, OutputError
from posetrack.results.coco import read_coco
from posetrack.results.export import FORMATS, ExportSettings, export
from posetrack.results.native import write_tracks
from posetrack.results.posefile import read_poses
from posetrack.results.trc import read_trc


@pytest.fixture
def file(tmp_path):
    write_tracks(tmp_path / "clip.tracks.json", HEADER, made_frames(12))
    return tmp_path / "clip.tracks.json"


@pytest.mark.parametrize("to", FORMATS)
def test_files_are_named_after_the_tracks(file, to):
    made = export(file, to)
    suffix = FORMATS[to][0]
    names = [path.name for path in made.files]
    assert names == ([f"clip.id{id}.trc" for id in (1, 2, 3, 4)] if to == "trc" else [f"clip{suffix}"])
    assert all(path.parent == file.parent and path.stat().st_size for path in made.files)
    with pytest.raises(OutputError, match="exists already"):
        export(file, to)
    export(file, to, settings=ExportSettings(overwrite=True))


def test_output_is_a_file_or_a_folder(file, tmp_path):
    assert export(file, "mot", tmp_path / "new" / "a.txt").files == (tmp_path / "new" / "a.txt",)
    assert export(file, "mot", tmp_path / "new").files == (tmp_path / "new" / "clip.mot.txt",)


def test_low_joints_are_absent_and_low_people_gone(file):
    made = export(file, "coco", settings=ExportSettings(joint_score=0.4, person_score=0.5))
    found = list(as_results(read_coco(made.files[0])))
    wanted = {f.index: [p for p in f.people if round(p.score, 4) >= 0.5] for f in made_frames(12)}
    assert {f.index: [p.id for p in f.people] for f in found} == {i: [p.id for p in w] for i, w in wanted.items() if w}
    for frame in found:
        for a, b in zip(frame.people, wanted[frame.index], strict=True):
            kept = (b.keypoints[:, 2] >= 0.4) & np.isfinite(b.keypoints[:, 0])
            np.testing.assert_array_equal(np.isfinite(a.keypoints[:, 0]), kept)


def test_trc_takes_the_same_thresholds(file):
    made = export(file, "trc", settings=ExportSettings(joint_score=0.4, person_score=0.5))
    frames = made_frames(12)
    for path in made.files:
        id = int(path.name.split(".")[1].removeprefix("id"))
        seen = [f for f in frames if any(p.id == id and p.score >= 0.5 for p in f.people)]
        span = [f for f in frames if seen[0].index <= f.index <= seen[-1].index]
        markers = read_trc(path)
        assert len(markers.times) == len(span)
        for row, frame in zip(markers.places, span, strict=True):
            person = next((p for p in frame.people if p.id == id and p.score >= 0.5), None)
            kept = np.zeros(17, bool) if person is None else person.keypoints[:, 2] >= 0.4
            assert np.isfinite(row[~kept]).sum() == 0


def test_a_journal_is_exported_so_far_and_said(file):
    part = file.with_name("b.tracks.json.part")
    part.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:9]))
    made = export(part, "posetrack18")
    assert made.files[0].name == "b.posetrack18.json"
    assert "not finished; its frames so far were exported" in made.notes[0]
    assert read_poses(made.files[0]).length == 7


def test_what_cannot_be_exported(file, tmp_path):
    with pytest.raises(FormatError, match="unknown format 'bvh'; posetrack writes coco, posetrack18"):
        export(file, "bvh")
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(FormatError, match="not a posetrack result"):
        export(tmp_path / "a.json", "coco")
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:8], lines[8].replace('"time":', '"when":'), *lines[9:]]))
    with pytest.raises(FormatError, match="line 9"):
        export(file, "coco")
    assert not (tmp_path / "clip.coco.json").exists()


def test_every_export_that_holds_poses_can_be_tracked_again(file):
    for to in ("coco", "posetrack18", "posetrack17"):
        again = read_poses(export(file, to).files[0])
        assert list(again.frames) == list(read_poses(file).frames)
