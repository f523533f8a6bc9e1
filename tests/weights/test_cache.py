"""The cache: what lies where after a download went well, or did not."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from posetrack.errors import OutputError, WeightsError
from posetrack.weights import cache
from posetrack.weights.catalogue import catalogue

NAME = "microsoft-resnet50-coco-256x192"
"""Has no published hash, so that any content will do."""
FILE = "pose_resnet_50_256x192.pth.tar"
HASHED = "fasterrcnn_resnet50_fpn"
CONTENT = bytes(range(256)) * 40


def as_it_is(source: Path, target: Path, entry: object) -> None:
    shutil.copyfile(source, target)


@pytest.fixture
def mirror(web, monkeypatch):
    web.files = {FILE: CONTENT, catalogue()[HASHED].file: CONTENT}
    monkeypatch.setenv("POSETRACK_MIRROR", web.address + "/")
    return web


def visible(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))


def test_a_download_lies_under_its_name_and_is_pinned(mirror, home):
    path = cache.get(NAME, as_it_is)
    assert path == home / f"{NAME}.safetensors"
    assert path.read_bytes() == CONTENT
    assert visible(home) == [f"{NAME}.pin.json", f"{NAME}.safetensors"]
    assert [p.name for p in home.iterdir() if p.name.startswith(".") and not p.name.endswith(".lock")] == []
    pin = cache.read_pin(NAME)
    assert pin is not None
    assert (pin.source_file, pin.source_size, len(pin.source_sha256)) == (FILE, len(CONTENT), 64)
    assert cache.verify(NAME) == (path, pin.sha256)


def test_what_is_there_is_not_asked_for_again(mirror):
    cache.get(NAME, as_it_is)
    asked = len(mirror.asked)
    cache.get(NAME, as_it_is)
    assert len(mirror.asked) == asked


def test_a_first_download_pins_the_whole_file(mirror, home):
    cache.get(NAME, as_it_is)
    cache.remove(NAME)
    assert visible(home) == [f"{NAME}.pin.json"]
    mirror.files[FILE] = CONTENT[:-1] + b"!"
    with pytest.raises(WeightsError, match="not the published file"):
        cache.get(NAME, as_it_is)
    assert visible(home) == [f"{NAME}.pin.json"]
    mirror.files[FILE] = CONTENT
    assert cache.get(NAME, as_it_is).read_bytes() == CONTENT


def test_another_file_than_the_published_one_is_refused(mirror, home):
    with pytest.raises(WeightsError, match=r"begins with .*, not 258fb6c6"):
        cache.get(HASHED, as_it_is)
    assert visible(home) == []


@pytest.mark.parametrize("fault", [404, 302, "short"])
def test_nothing_is_left_under_the_final_name_after_an_error(mirror, home, fault):
    mirror.faults = [fault]
    with pytest.raises(WeightsError):
        cache.get(HASHED, as_it_is)
    assert visible(home) == []


def test_a_file_that_cannot_be_imported_leaves_nothing(mirror, home):
    def fails(source: Path, target: Path, entry: object) -> None:
        target.write_bytes(b"half")
        raise WeightsError("no network in it")

    with pytest.raises(WeightsError, match="no network in it"):
        cache.get(NAME, fails)
    assert [p.name for p in home.iterdir()] == [f".{NAME}.lock"]


def test_a_folder_can_be_the_mirror(tmp_path, home, monkeypatch):
    (tmp_path / FILE).write_bytes(CONTENT)
    monkeypatch.setenv("POSETRACK_MIRROR", str(tmp_path))
    monkeypatch.setenv("POSETRACK_OFFLINE", "1")
    assert cache.get(NAME, as_it_is).read_bytes() == CONTENT
    with pytest.raises(WeightsError, match="not in the mirror"):
        cache.get(HASHED, as_it_is)
    (tmp_path / catalogue()[HASHED].file).write_bytes(CONTENT)
    with pytest.raises(WeightsError, match="not 258fb6c6"):
        cache.get(HASHED, as_it_is)


def test_offline_never_touches_the_network(mirror, monkeypatch):
    monkeypatch.setenv("POSETRACK_OFFLINE", "1")
    with pytest.raises(WeightsError, match=f"weights import {FILE} --as {NAME}"):
        cache.get(NAME, as_it_is)
    assert mirror.asked == []


def test_what_has_no_address_says_how_it_is_had(home):
    with pytest.raises(WeightsError, match=f"by hand, then `posetrack weights import {FILE} --as {NAME}`"):
        cache.get(NAME, as_it_is)


def test_a_changed_file_is_noticed(mirror):
    path = cache.get(NAME, as_it_is)
    path.write_bytes(CONTENT[::-1])
    with pytest.raises(WeightsError, match=f"changed since it was checked; `posetrack weights remove {NAME}`"):
        cache.verify(NAME)


def test_a_file_that_was_only_laid_there_is_not_trusted(home):
    home.mkdir(parents=True)
    (home / f"{NAME}.safetensors").write_bytes(CONTENT)
    with pytest.raises(WeightsError, match="was never checked"):
        cache.verify(NAME)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"sha256": 3}'])
def test_a_damaged_pin_is_named(home, content):
    home.mkdir(parents=True)
    (home / f"{NAME}.pin.json").write_text(content)
    with pytest.raises(WeightsError, match=rf"{NAME}\.pin\.json: damaged"):
        cache.read_pin(NAME)


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "net.pth", "net.onnx", "pose", "detector", "a b"])
def test_names_that_imported_weights_cannot_have(name):
    with pytest.raises(WeightsError, match=r"choose another|cannot be a name"):
        cache.check_name(name)


def test_shipped_weights_stay():
    with pytest.raises(WeightsError, match="shipped"):
        cache.remove("pose")


def test_removing_what_is_not_there(home):
    with pytest.raises(WeightsError, match="is not in"):
        cache.remove(NAME)


def test_a_place_that_cannot_be_written(mirror, tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OutputError, match="--weights-dir"):
        cache.get(NAME, as_it_is, tmp_path / "file" / "weights")


def test_where_the_cache_is(tmp_path, monkeypatch):
    assert cache.cache_folder(tmp_path) == tmp_path
    assert cache.cache_folder() == tmp_path / "home" / "weights"
    monkeypatch.delenv("POSETRACK_HOME")
    assert cache.cache_folder().parts[-2:] == ("posetrack", "weights")


GET = f"""
import shutil, sys
from posetrack.weights import cache
def as_it_is(source, target, entry):
    shutil.copyfile(source, target)
print(cache.get({NAME!r}, as_it_is, waiting=lambda: print("waiting")))
"""


def test_several_processes_download_once(mirror, home):
    mirror.faults = ["slow"] * 3
    processes = [
        subprocess.Popen([sys.executable, "-c", GET], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    said = [process.communicate(timeout=60)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert {lines[-1] for lines in said} == {str(home / f"{NAME}.safetensors")}
    assert len(mirror.asked) == 1
    assert json.loads((home / f"{NAME}.pin.json").read_text())["source_size"] == len(CONTENT)


def test_a_killed_download_is_resumed_by_the_next_process(mirror, home):
    mirror.faults, mirror.at = ["stall"], 4000
    process = subprocess.Popen([sys.executable, "-c", GET])
    part = home / f".{NAME}.part"
    while not (part.exists() and part.stat().st_size == 4000):
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert visible(home) == []
    assert cache.get(NAME, as_it_is).read_bytes() == CONTENT
    assert mirror.asked[-1][1] == "bytes=4000-"
