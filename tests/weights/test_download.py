"""Downloads against a real server on this machine: every way in which they can go wrong."""

from __future__ import annotations

import hashlib
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from posetrack.errors import OutputError, WeightsError
from posetrack.weights.download import Patience, fetch

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()
QUICK = Patience(connect=2, read=0.4, tries=3, pause=0)


@pytest.fixture
def url(web):
    web.files["net.pth"] = CONTENT
    return web.url("net.pth")


@pytest.fixture
def part(tmp_path):
    return tmp_path / ".net.part"


@pytest.mark.parametrize(
    "faults",
    [[], ["slow"], ["chunked"], ["cut"], ["cut", "cut", "cut"], ["stall"], [503, 429], ["cut", "no ranges"]],
    ids=str,
)
def test_the_whole_file_comes_in_the_end(web, url, part, faults):
    web.faults = faults
    fetch(url, part, SHA256, patience=QUICK)
    assert part.read_bytes() == CONTENT


def test_a_broken_transfer_goes_on_where_it_stopped(web, url, part):
    web.faults = ["cut"]
    seen = []
    fetch(url, part, SHA256, lambda done, total: seen.append((done, total)), QUICK)
    assert [wanted for _, wanted in web.asked] == ["", "bytes=1000-"]
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert all(total == len(CONTENT) for _, total in seen)


def test_an_interrupted_run_is_resumed_by_the_next(web, url, part):
    part.write_bytes(CONTENT[:5000])
    fetch(url, part, SHA256, patience=QUICK)
    assert web.asked[-1][1] == "bytes=5000-"
    assert part.read_bytes() == CONTENT


@pytest.mark.parametrize("left", [CONTENT, CONTENT + b"more", b"x" * 3000], ids=["whole", "longer", "another's"])
def test_whatever_was_left_the_right_file_comes(url, part, left):
    part.write_bytes(left)
    fetch(url, part, SHA256, patience=QUICK)
    assert part.read_bytes() == CONTENT


def test_the_first_digits_of_the_hash_are_enough(url, part):
    fetch(url, part, SHA256[:8], patience=QUICK)
    assert part.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        ([404], "answers 404 Not Found"),
        ([403], "answers 403 Forbidden"),
        ([302], "only sends on to other addresses"),
        ([500] * 9, "answers 500"),
        (["stall"] * 9, "stopped sending"),
        (["short"], "not the published file"),
    ],
    ids=str,
)
def test_what_cannot_be_had_is_an_error_that_names_address_and_cause(web, url, part, faults, said):
    web.faults, web.at = list(faults), 0 if faults[0] == "stall" else 1000
    with pytest.raises(WeightsError) as raised:
        fetch(url, part, SHA256, patience=QUICK)
    assert said in str(raised.value)
    assert url in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_server_that_always_breaks_off_at_the_same_place_is_given_up(web, url, part):
    web.faults = ["cut, no ranges"] * 9
    with pytest.raises(WeightsError, match="broke off"):
        fetch(url, part, SHA256, patience=QUICK)
    assert len(web.asked) == 4


def test_a_wrong_file_is_not_kept(url, part):
    with pytest.raises(WeightsError, match=f"begins with {SHA256[:8]}, not 00000000"):
        fetch(url, part, "0" * 64, patience=QUICK)
    assert not part.exists()


def test_nobody_at_the_address(part):
    with pytest.raises(WeightsError, match="cannot be reached"):
        fetch("http://127.0.0.1:9/net.pth", part, SHA256, patience=QUICK)


@pytest.mark.parametrize("address", ["ftp://127.0.0.1/net.pth", "net.pth"])
def test_what_is_no_web_address(part, address):
    with pytest.raises(WeightsError, match="POSETRACK_MIRROR"):
        fetch(address, part, SHA256, patience=QUICK)


def test_the_proxy_of_the_environment_is_used(web, url, part, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", web.address)
    fetch("http://weights.invalid/net.pth", part, SHA256, patience=QUICK)
    assert web.asked[0][0] == "http://weights.invalid/net.pth"
    assert part.read_bytes() == CONTENT


FETCH = """
import sys
from pathlib import Path
from posetrack.errors import PosetrackError
from posetrack.weights.download import fetch
try:
    fetch(sys.argv[1], Path(sys.argv[2]))
except PosetrackError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


def _fetch_elsewhere(url: str, part: Path, limit: int | None = None) -> str:
    """What another process says, which may write files of `limit` bytes at most."""
    size = (resource.RLIM_INFINITY if limit is None else limit,) * 2
    done = subprocess.run(
        [sys.executable, "-c", FETCH, url, str(part)], capture_output=True, text=True, timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, size),
    )  # fmt: skip
    return done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="limits of file sizes are POSIX")
@pytest.mark.parametrize("faults", [[], ["chunked"]], ids=["said size", "unsaid size"])
def test_a_file_that_outgrows_what_may_be_written(web, url, part, faults):
    web.faults = faults
    said = _fetch_elsewhere(url, part, limit=5000)
    assert said.startswith("OutputError: ")
    assert "no room" in said
    assert not part.exists()


@pytest.fixture
def tiny_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("faults", [[], ["chunked"]], ids=["said size", "unsaid size"])
def test_a_full_disk(web, url, tiny_disk, faults):
    web.faults = faults
    with pytest.raises(OutputError, match="no room"):
        fetch(url, tiny_disk / ".net.part", SHA256, patience=QUICK)
    assert not list(tiny_disk.iterdir())
