"""posetrack weights as a user types it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import torch
from click.testing import CliRunner

from posetrack.cli import posetrack
from posetrack.cli.fetching import offer_download
from posetrack.detector import build_detector
from posetrack.errors import WeightsError
from posetrack.pose.network import PoseArchitecture, build_pose_network
from posetrack.weights.catalogue import catalogue

NAME = "microsoft-resnet50-coco-256x192"
FILE = "pose_resnet_50_256x192.pth.tar"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    for name in ("POSETRACK_MIRROR", "POSETRACK_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("POSETRACK_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home" / "weights"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with checkpoints of random weights: the authors' ResNet-50, a ResNet-18, a detector."""
    folder = tmp_path_factory.mktemp("files")
    torch.manual_seed(0)
    torch.save(build_pose_network(PoseArchitecture("resnet50")).state_dict(), folder / FILE)
    torch.save(build_pose_network(PoseArchitecture("resnet18")).state_dict(), folder / "trained.pth")
    detector = build_detector("fasterrcnn_mobilenet_v3_large_320_fpn")
    torch.save(detector.state_dict(), folder / "detector_320.pth")
    return folder


def weights(*words: object, code: int = 0) -> str:
    """What `posetrack weights WORDS` says: stdout if it went well, else stderr."""
    done = CliRunner().invoke(posetrack, ["weights", *map(str, words)])
    assert done.exit_code == code, done.output
    return (done.stdout if code == 0 else done.stderr).strip()


def test_the_list_has_every_network_and_loads_no_torch():
    code = "import sys; from posetrack.__main__ import main\ntry: main()\nfinally: assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code, "weights", "list"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    for entry in catalogue().values():
        (line,) = [line for line in lines if line.startswith(entry.name + " ")]
        assert entry.score in line
        assert ("shipped" if entry.shipped else " no ") in line


def test_the_list_as_json():
    found = json.loads(weights("list", "--json"))
    assert [record["name"] for record in found] == list(catalogue())
    here = json.loads(weights("list", "--json", "--here"))
    assert [(record["name"], record["here"]) for record in here] == [("pose", "shipped"), ("detector", "shipped")]


def test_from_a_server_to_nothing_again(files, home, monkeypatch):
    handler = partial(SimpleHTTPRequestHandler, directory=str(files))
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *rest: None)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
        monkeypatch.setenv("POSETRACK_MIRROR", f"http://127.0.0.1:{server.server_address[1]}")
        path = weights("get", NAME)
        server.shutdown()
    assert Path(path) == home / f"{NAME}.safetensors"
    assert weights("path", NAME) == path
    assert f"{NAME}  ok  sha256 " in weights("verify")
    assert "licence         MIT" in weights("info", NAME)
    (line,) = [line for line in weights("list", "--here").splitlines() if line.startswith(NAME)]
    assert " yes " in line
    weights("remove", NAME)
    assert weights("path", NAME, code=1).startswith(f"error: {NAME} is not on this machine")


def test_an_own_network_from_file_to_file(files, home, tmp_path):
    said = weights("import", files / "trained.pth", "--as", "mine", code=1)
    assert "--size 256x192" in said
    words = ["--size", "64x32", "--colour-order", "RGB", "--mean", "1,2,3", "--std", "4,5,6"]
    words += ["--skeleton", "posetrack18"]
    assert weights("import", files / "trained.pth", "--as", "mine", *words) == str(home / "mine.safetensors")
    told = weights("info", "mine")
    assert '"height": 64, "width": 32' in told
    assert "posetrack18" in told
    assert weights("export", "mine") == "mine.safetensors"
    assert "mine.safetensors exists" in weights("export", "mine", code=1)
    weights("export", "mine", "--overwrite")
    assert weights("info", tmp_path / "mine.safetensors").count("posetrack18") == 1
    assert "imported trained.pth" in weights("list", "--here")


def test_a_detector_by_path_and_by_name(files, home):
    weights("import", files / "detector_320.pth", "--as", "mine")
    assert '{"name": "fasterrcnn_mobilenet_v3_large_320_fpn"}' in weights("info", "mine")
    assert "give it as --detector" in weights("export", "mine", "--onnx", code=1)


def test_another_place(files, tmp_path):
    place = tmp_path / "elsewhere"
    weights("import", files / "trained.pth", "--as", "mine", "--size", "64x64", "--weights-dir", place)
    assert weights("path", "mine", "--weights-dir", place) == str(place / "mine.safetensors")
    weights("path", "mine", code=1)


def test_a_damaged_network_is_found(files, home):
    weights("import", files / "trained.pth", "--as", "mine", "--size", "64x64")
    path = home / "mine.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    said = weights("verify", code=1)
    assert "damaged" in weights("list", "--here")
    assert "mine.safetensors: changed since it was checked" in said
    assert said.endswith("not as they should be: mine")


def test_what_is_not_here_says_how_it_is_had():
    told = weights("info", "mmpose-resnet50-coco-256x192")
    assert "posetrack weights get mmpose-resnet50-coco-256x192" in told
    assert "AP 71.8" in told
    assert FILE in weights("get", NAME, code=1)
    assert "POSETRACK_OFFLINE" not in weights("path", NAME, code=1)


def test_offline(monkeypatch):
    monkeypatch.setenv("POSETRACK_OFFLINE", "1")
    assert "POSETRACK_OFFLINE is set" in weights("get", "--preset", "accurate", code=1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["get"], "NAME"),
        (["import", "x.pth", "--as", "mine", "--size", "256"], "256x192"),
        (["import", "x.pth", "--as", "mine", "--size", "250x190"], "multiples of 32"),
        (["import", "x.pth", "--as", "mine", "--mean", "1,2"], "three numbers"),
        (["import", "x.pth"], "--as"),
        (["remove"], "NAME"),
    ],
    ids=str,
)
def test_wrong_usage(words, said):
    assert said in weights(*words, code=2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["import", "absent.pth", "--as", "mine"], "absent.pth: no such weights file"),
        (["import", "absent.pth", "--as", "pose"], "the name of shipped weights"),
        (["remove", "pose"], "shipped"),
        (["get", "yolo"], "no weights called 'yolo'"),
        (["info", "yolo"], "no weights called 'yolo'"),
    ],
    ids=str,
)
def test_errors_are_one_line(words, said):
    told = weights(*words, code=1)
    assert said in told
    assert len(told.splitlines()) == 1


class TestOfferDownload:
    def test_nothing_is_asked_where_all_is_here(self):
        offer_download(["pose", "detector", "some/file.pth", "unknown"])

    def test_without_a_terminal_the_command_is_said(self):
        with pytest.raises(WeightsError) as raised:
            offer_download(["keypointrcnn_resnet50_fpn", "mmpose-resnet152-coco-384x288"])
        assert str(raised.value) == (
            "not on this machine: keypointrcnn_resnet50_fpn (237 MB) and mmpose-resnet152-coco-384x288 (275 MB); "
            "get it with `posetrack weights get keypointrcnn_resnet50_fpn mmpose-resnet152-coco-384x288`"
        )

    def test_what_has_no_address(self):
        with pytest.raises(WeightsError, match="by hand"):
            offer_download([NAME])

    @pytest.mark.parametrize(("answer", "said"), [("n\n", "get it later"), ("y\n", "POSETRACK_OFFLINE is set")])
    def test_at_a_terminal_it_asks(self, monkeypatch, answer, said, tmp_path):
        pty = pytest.importorskip("pty")
        monkeypatch.setenv("POSETRACK_OFFLINE", "1")
        code = (
            "from posetrack.cli.fetching import offer_download\n"
            "try: offer_download(['keypointrcnn_resnet50_fpn'])\n"
            "except Exception as error: print(error)"
        )
        ours, theirs = pty.openpty()
        words = [sys.executable, "-c", code]
        process = subprocess.Popen(words, stdin=theirs, stderr=theirs, stdout=subprocess.PIPE, text=True)
        os.close(theirs)
        with open(ours, "wb", buffering=0) as terminal:
            terminal.write(answer.encode())
            told, _ = process.communicate(timeout=60)
        assert said in told
