"""posetrack train detector: options become a recipe, pictures become scenes."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from posetrack.cli.train import train


def run(*arguments: object) -> Result:
    return CliRunner().invoke(train, ["detector", *map(str, arguments)])


@pytest.fixture
def data(tmp_path) -> Path:
    path = tmp_path / "two.zip"
    with zipfile.ZipFile(path, "w") as file:
        images = [{"id": i, "file_name": f"{i}.png", "width": 80, "height": 60, "set": f"set{i}"} for i in (1, 2)]
        annotations = [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 5, 20, 50], "iscrowd": 0}]
        file.writestr("annotations.json", json.dumps({"images": images, "annotations": annotations}))
        for i in (1, 2):
            picture = np.full((60, 80, 3), 90 * i, np.uint8)
            file.writestr(f"images/{i}.png", cv2.imencode(".png", picture)[1].tobytes())
    return path


def test_a_preview_of_scenes(data, tmp_path):
    out = tmp_path / "preview.png"
    result = run(data, "--size", "64x96", "--weight", "set2=0.5", "--preview", out)
    assert result.exit_code == 0, result.output
    assert cv2.imread(str(out)).shape == (4 * 64, 6 * 64, 3)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (["--size", "big"], "--size is like"),
        (["--architecture", "yolo"], "no detector 'yolo'"),
        (["--size", "64x96"], "give -o"),
        (["--weight", "set1=much"], "is a number"),
    ],
)
def test_options_that_do_not_go(data, options, what):
    result = run(data, *options)
    assert result.exit_code == 2
    assert what in result.output


def test_a_run_of_one_step(data, tmp_path):
    options = ["--size", "64x96", "--batch", 1, "--steps", 1, "--val", data, "--validate-every", 1, "--loaders", 0]
    exported = tmp_path / "light.safetensors"
    result = run(data, *options, "-o", tmp_path / "run", "--precision", "fp32", "--export", exported)
    assert result.exit_code == 0, result.output
    assert "best: ap" in result.output
    assert exported.exists()
