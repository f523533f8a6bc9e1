"""posetrack train: one command from drawn people to weights, and refusals before anything is learned."""

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from posetrack.cli import posetrack

sys.path.insert(0, str(Path(__file__).parents[1] / "train"))
from stick_people import shard

SMALL = ["--size", "64x64", "--deconv-filters", "8,8,8", "--batch", "4", "--device", "cpu", "--precision", "fp32"]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return str(shard(tmp_path_factory.mktemp("drawn") / "drawn.zip", 4))


def _invoke(*arguments):
    return CliRunner().invoke(posetrack, ["train", "pose", *map(str, arguments)])


def test_train_export_and_resume(drawn, tmp_path):
    run, weights = tmp_path / "run", tmp_path / "pose.safetensors"
    common = [f"{drawn}=2", "-o", run, "--val", drawn, "--cache", tmp_path / "cache", *SMALL]
    first = _invoke(*common, "--steps", 3, "--export", weights)
    assert first.exit_code == 0, first.output
    assert "best: " in first.stdout
    assert {path.name for path in run.iterdir()} >= {"last.pt", "best.pt", "log.csv", "best.safetensors"}
    from posetrack.weights.files import load_weights

    assert load_weights(weights).input["height"] == 64
    again = _invoke(*common, "--steps", 3)
    assert again.exit_code == 1
    assert "--resume" in again.stderr
    more = _invoke(*common, "--steps", 5, "--resume")
    assert more.exit_code == 0, more.output
    assert "resumed at step 3" in more.stderr


def test_preview_needs_no_run(drawn, tmp_path):
    result = _invoke(drawn, "--preview", tmp_path / "look.png", *SMALL)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "look.png").exists()
    assert list(tmp_path.iterdir()) == [tmp_path / "look.png"]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (["--steps", "1"], "-o"),
        (["-o", "run"], "--steps or --minutes"),
        (["-o", "run", "--steps", "1", "--minutes", "1"], "--steps or --minutes"),
        (["-o", "run", "--steps", "1", "--size", "64"], "192x128"),
        (["-o", "run", "--steps", "1", "--size", "65x64"], "multiples of 32"),
        (["-o", "run", "--steps", "1", "--body", "resnet18", "--deconv-filters", "8,x"], "--deconv-filters"),
    ],
)
def test_wrong_usage(drawn, tmp_path, monkeypatch, wrong, says):
    monkeypatch.chdir(tmp_path)
    result = _invoke(drawn, *wrong)
    assert result.exit_code == 2, result.output
    assert says in result.stderr
    assert not (tmp_path / "run").exists()


def test_faults_of_the_data_are_one_line(drawn, tmp_path):
    missing = _invoke(tmp_path / "none.zip", "-o", tmp_path / "run", "--steps", 1, *SMALL)
    assert missing.exit_code == 1
    assert "none.zip" in missing.stderr
    start = _invoke(drawn, "-o", tmp_path / "run", "--steps", 1, "--start", tmp_path / "none.pth", *SMALL)
    assert start.exit_code == 1
    assert "none.pth" in start.stderr
