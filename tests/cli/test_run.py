"""posetrack run, from its words to its files; networks are the shipped ones, on a clip of a few small frames."""

import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from running import run
from safetensors.numpy import load_file, save_file

from posetrack.cli import posetrack
from posetrack.cli.run import FLOW_NAMES, SIMILARITY_NAMES
from posetrack.flow import FLOWS
from posetrack.matching import MATCHINGS, SIMILARITIES
from posetrack.results.native import load, read_tracks
from posetrack.weights.catalogue import shipped_folder


def test_the_person_is_followed_with_one_id(people):
    tracks = load(people / "clip.tracks.json")
    assert len(tracks.indices) == 21
    assert tracks.ids[0] == 1
    assert not np.isnan(tracks.scores[:, 0]).any()
    nose = tracks.keypoints[:, 0, 0, :2]
    assert np.abs(nose - (100, 43) - np.arange(21)[:, None] * (4, 0)).max() < 15


def test_names_in_the_help_are_those_of_the_rooms():
    assert set(FLOW_NAMES) == set(FLOWS)
    assert set(SIMILARITY_NAMES) == set(SIMILARITIES)
    assert set(MATCHINGS) == {"greedy", "hungarian"}


def test_every_setting_is_in_the_result(people):
    settings = read_tracks(people / "clip.tracks.json").header.settings
    assert settings["detector"]["sha256"]
    assert settings["pose"]["sha256"]
    assert settings["tracker"]["queue_length"] == 10
    assert settings["block"] == 16
    assert str(people) not in (people / "clip.tracks.json").read_text()


@pytest.mark.parametrize("words", [["--threads", 1], ["--threads", 3]])
def test_threads_change_nothing(people, tmp_path, words):
    run(people / "clip.mp4", "-o", tmp_path, *words)
    assert (tmp_path / "clip.tracks.json").read_bytes() == (people / "clip.tracks.json").read_bytes()


def test_blocks_change_nothing_but_what_the_header_says_of_them(people, tmp_path):
    run(people / "clip.mp4", "-o", tmp_path, "--block", 5)
    lines = [path.read_text().splitlines() for path in (tmp_path / "clip.tracks.json", people / "clip.tracks.json")]
    assert lines[0][4:] == lines[1][4:]


def test_two_videos_of_one_process_are_as_alone_in_either_order(people, tmp_path):
    shutil.copy(people / "clip.mp4", tmp_path / "other.mp4")
    run(tmp_path / "other.mp4", people / "clip.mp4", "-o", tmp_path / "a")
    run(people / "clip.mp4", tmp_path / "other.mp4", "-o", tmp_path / "b")
    for name in ("clip", "other"):
        a, b = (tmp_path / folder / f"{name}.tracks.json" for folder in "ab")
        assert a.read_bytes() == b.read_bytes()
    assert (tmp_path / "a/clip.tracks.json").read_bytes() == (people / "clip.tracks.json").read_bytes()


def test_the_drawn_video_has_the_frames_and_the_rendered_again_is_the_same(people, tmp_path):
    out, _ = run(people / "clip.mp4", "-o", tmp_path, "--render")
    assert out.splitlines()[-1] == str(tmp_path / "clip.tracks.mp4")
    again = CliRunner().invoke(
        posetrack,
        ["render", str(tmp_path / "clip.tracks.json"), str(people / "clip.mp4"), "-o", str(tmp_path / "b.mp4")],
    )
    assert again.exit_code == 0, again.output
    assert (tmp_path / "b.mp4").read_bytes() == (tmp_path / "clip.tracks.mp4").read_bytes()


def test_detections_of_a_file_stand_in_for_the_detector(people, tmp_path):
    run(people / "clip.mp4", "-o", tmp_path, "--detections", people / "clip.tracks.json", "--joint-threshold", 0.2)
    tracks = load(tmp_path / "clip.tracks.json")
    assert not np.isnan(tracks.scores[:, 0]).any()
    assert "detector" not in tracks.header.settings


def test_poses_of_a_file_are_tracked_with_and_without_the_video(people, tmp_path):
    run(people / "clip.mp4", "-o", tmp_path / "with", "--poses", people / "clip.tracks.json")
    run("-o", tmp_path / "without.json", "--poses", people / "clip.tracks.json")
    for path in (tmp_path / "with/clip.tracks.json", tmp_path / "without.json"):
        tracks, given = load(path), load(people / "clip.tracks.json")
        # the one who is in every frame; others, where the file loses them, may be carried on by the flow
        np.testing.assert_array_equal(tracks.keypoints[:, 0], given.keypoints[:, 0])
        assert set(tracks.sources[:, 0]) == {"file"}
    assert set(np.unique(tracks.sources)) <= {"file", ""}  # nobody is invented without a video


def test_a_folder_half_done_goes_on_where_it_stopped(people, tmp_path):
    for name in ("a.mp4", "b.mp4"):
        shutil.copy(people / "clip.mp4", tmp_path / name)
    run(tmp_path / "a.mp4")
    before = (tmp_path / "a.tracks.json").stat().st_mtime_ns
    out, _ = run(tmp_path, "--resume")
    assert "done already" in out
    assert (tmp_path / "a.tracks.json").stat().st_mtime_ns == before
    assert (tmp_path / "b.tracks.json").exists()


class TestErrors:
    """Each is one line that says what to do; exit code 1, no traceback, nothing overwritten."""

    def fails(self, *words, says, code=1):
        _, err = run(*words, code=code)
        errors = [line for line in err.splitlines() if line.startswith("error: ")]
        assert errors, err
        assert all(word in errors[-1] for word in says), err

    def test_missing_file(self, tmp_path):
        self.fails(tmp_path / "nothing.mp4", says=["nothing.mp4"])

    @pytest.mark.parametrize("content", [b"", b"no video at all\n" * 50])
    def test_no_video(self, tmp_path, content):
        (tmp_path / "clip.mp4").write_bytes(content)
        self.fails(tmp_path / "clip.mp4", says=["clip.mp4"])
        assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]

    def test_existing_output(self, people):
        before = (people / "clip.tracks.json").read_bytes()
        self.fails(people / "clip.mp4", says=["clip.tracks.json", "--overwrite"])
        assert (people / "clip.tracks.json").read_bytes() == before

    def test_two_inputs_with_one_stem(self, people, tmp_path):
        (tmp_path / "x").mkdir()
        shutil.copy(people / "clip.mp4", tmp_path / "x/clip.mp4")
        self.fails(people / "clip.mp4", tmp_path / "x/clip.mp4", "-o", tmp_path, says=["both", "clip.tracks.json"])

    def test_one_file_for_two_inputs(self, people):
        self.fails(people / "clip.mp4", people / "other.mp4", "-o", "one.json", says=["one.json", "folder"])

    def test_unwritable_output_folder(self, people, tmp_path):
        (tmp_path / "file").write_text("in the way")
        self.fails(people / "clip.mp4", "-o", tmp_path / "file", says=["file"])

    def test_unknown_device(self, people, tmp_path):
        self.fails(people / "clip.mp4", "-o", tmp_path, "--device", "gpu", says=["gpu", "cuda"])

    def test_weights_of_the_wrong_kind(self, people, tmp_path):
        self.fails(people / "clip.mp4", "-o", tmp_path, "--pose", shipped_folder() / "detector.safetensors",
                   says=["detector.safetensors", "--detector"])  # fmt: skip

    def test_truncated_weights(self, people, tmp_path):
        whole = (shipped_folder() / "pose.safetensors").read_bytes()
        (tmp_path / "half.safetensors").write_bytes(whole[: len(whole) // 2])
        half = tmp_path / "half.safetensors"
        self.fails(people / "clip.mp4", "-o", tmp_path, "--pose", half, says=["half.safetensors"])

    def test_nan_in_weights(self, people, tmp_path):
        from posetrack.weights.containers import read_metadata

        path = shipped_folder() / "pose.safetensors"
        state = load_file(path)
        state["final_layer.bias"] = np.full_like(state["final_layer.bias"], np.nan)
        save_file(state, tmp_path / "nan.safetensors", read_metadata(path))
        self.fails(people / "clip.mp4", "-o", tmp_path, "--pose", tmp_path / "nan.safetensors",
                   says=["nan.safetensors", "final_layer.bias", "NaN"])  # fmt: skip
        assert not list(tmp_path.glob("*.json*"))

    def test_published_weights_that_are_not_here(self, people, tmp_path, monkeypatch):
        monkeypatch.setenv("POSETRACK_HOME", str(tmp_path))
        self.fails(people / "clip.mp4", "-o", tmp_path, "--detector", "fasterrcnn_resnet50_fpn_v2",
                   says=["fasterrcnn_resnet50_fpn_v2", "posetrack weights get"])  # fmt: skip

    def test_a_bad_input_among_good_ones(self, people, tmp_path):
        (tmp_path / "bad.mp4").write_bytes(b"nothing")
        self.fails(tmp_path / "bad.mp4", people / "clip.mp4", "-o", tmp_path / "out", says=["1 of 2"])
        assert (tmp_path / "out/clip.tracks.json").read_bytes() == (people / "clip.tracks.json").read_bytes()

    def test_no_input_is_wrong_usage(self):
        run(code=2)

    def test_debug_shows_where(self, tmp_path):
        result = CliRunner().invoke(posetrack, ["run", str(tmp_path / "nothing.mp4"), "--debug"])
        assert result.exit_code == 1


def test_info_tells_of_video_result_weights_and_machine(people):
    for words, said in [
        ([people / "clip.mp4"], {"width": 320, "height": 180}),
        ([people / "clip.tracks.json"], {"skeleton": "coco17", "frames": 21}),
        ([shipped_folder() / "pose.safetensors"], {"kind": "pose", "skeleton": "coco17"}),
        ([], {"device": "cpu"}),
    ]:
        result = CliRunner().invoke(posetrack, ["info", *map(str, words), "--json"])
        assert result.exit_code == 0, result.output
        record = json.loads(result.stdout)
        assert {key: record[key] for key in said} == said
