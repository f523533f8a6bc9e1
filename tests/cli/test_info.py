"""posetrack info of videos: among others, how their blocks come to several workers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner
from clips import make_clip

from posetrack.cli import posetrack


def info(*words: object, code: int = 0) -> str:
    result = CliRunner().invoke(posetrack, ["info", *map(str, words)])
    assert result.exit_code == code, result.output
    return result.output


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("a.mp4", {"options": {"g": "10"}}, "seeks exactly, 3 key frames"),
        ("b.mp4", {}, "one decoder for all, because its only key frame is the first"),
        ("c.gif", {"codec": "gif", "pix_fmt": "rgb8"}, "one decoder for all, because which gif pictures"),
    ],
)
def test_how_blocks_are_decoded_is_told(name: str, options: dict[str, Any], words: str, tmp_path: Path) -> None:
    path = make_clip(tmp_path / name, 30, **options)
    assert f"  {words}" in next(line for line in info(path).splitlines() if line.startswith("blocks "))
    assert orjson.loads(info(path, "--json"))["blocks"].startswith(words)


def test_pictures_stand_alone(tmp_path: Path) -> None:
    make_clip(tmp_path / "a.png", 1, codec="png", pix_fmt="rgb24")
    assert "seeks exactly, pictures stand alone" in info(tmp_path)
