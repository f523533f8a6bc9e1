"""A run on its page: the newest frame, its facts, and nothing that holds the run back."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from clips import make_clip
from reviewing import BROWSER_OPTIONS, CHROMIUM, serving, walker

from posetrack.cli import posetrack
from posetrack.results.native import read_tracks
from posetrack.review.live import Live, serve_live
from posetrack.skeleton import COCO17
from posetrack.sources import VideoInfo
from posetrack.types import Frame, FrameResult

INFO = VideoInfo("folder/gym ü.mp4", 320, 240, 25.0, 3.0, 75)
CAMERA = VideoInfo("camera 0", 320, 240, 25.0, None, None, kind="live")


def picture(n: int) -> Frame:
    return Frame(n, n / 25, np.full((240, 320, 3), (10 * n, 60, 90), np.uint8))


def feed(live: Live, info: VideoInfo, numbers: range) -> None:
    screen = live.show(info, COCO17)
    for n in numbers:
        screen.taken(picture(n))
    for n in numbers:
        screen.done(picture(n), FrameResult(n, n / 25, (walker(1, 100 + n, 120),)))


def facts(answer) -> dict:
    return json.loads(answer.headers["X-Frame"])


def test_of_a_camera_only_the_newest_frame_is_given():
    live = Live()
    with serving(live.site()) as client:
        feed(live, CAMERA, range(5))
        answer = client.ask("frame?after=0")
        assert answer.headers["Content-Type"] == "image/jpeg"
        said = facts(answer)
        assert (said["index"], said["people"], said["live"], said["name"]) == (4, 1, True, "camera 0")
        assert 0 <= said["latency"] < 60
        assert said["rate"] > 0
        image = cv2.imdecode(np.frombuffer(answer.body, np.uint8), cv2.IMREAD_COLOR)
        assert image.shape == (240, 320, 3)
        np.testing.assert_allclose(image[5, 5], (90, 60, 40), atol=4)
        assert np.abs(image[60:180, 80:130].astype(int) - image[5, 5]).max() > 80


def test_of_a_file_the_frames_of_a_block_are_given_one_by_one_and_old_ones_are_dropped():
    live = Live(trails=1.0)
    with serving(live.site()) as client:
        feed(live, INFO, range(3))
        seen, number = [], 0
        for _ in range(3):
            said = facts(client.ask(f"frame?after={number}"))
            number = said["number"]
            seen.append(said["index"])
        assert seen == [0, 1, 2]
        assert said["name"] == r"folder/gym \xfc.mp4"
        feed(live, INFO, range(3, 60))
        assert facts(client.ask(f"frame?after={number}"))["index"] == 28


def test_a_page_waits_for_the_next_frame_and_is_told_of_the_end():
    live = Live()
    with serving(live.site()) as client:
        feed(live, CAMERA, range(1))
        later = threading.Timer(0.2, feed, (live, CAMERA, range(7, 8)))
        later.start()
        assert facts(client.ask("frame?after=1"))["index"] == 7
        later.join()
        ended = threading.Timer(0.2, live.end)
        ended.start()
        answer = client.ask("frame?after=2")
        assert (answer.status, facts(answer), answer.body) == (204, {"ended": True}, b"")
        ended.join()


def test_large_pictures_are_sent_smaller():
    live = Live()
    with serving(live.site()) as client:
        screen = live.show(CAMERA, COCO17)
        screen.done(Frame(0, 0.0, np.zeros((2160, 3840, 3), np.uint8)), FrameResult(0, 0.0))
        image = cv2.imdecode(np.frombuffer(client.ask("frame?after=0").body, np.uint8), cv2.IMREAD_COLOR)
        assert image.shape == (900, 1600, 3)


def test_the_page_is_as_closed_as_the_other():
    told: list[str] = []
    with serve_live(0.0, told.append) as live:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{32,}/", told[0])
        with serving(live.site()) as client:
            assert b"posetrack live" in client.ask("").body
            assert client.ask("/frame?after=0").status == 403
            assert client.ask("frame?after=0", Host="evil.example").status == 403
            assert client.ask("frame").status == 400
            assert client.tell("frame", {}).status == 403


def test_show_does_not_change_the_result_and_is_for_one_process(people, tmp_path):
    words = ["run", str(people / "clip.mp4"), "-o", str(tmp_path), "--show", "--no-browser"]
    ran = CliRunner().invoke(posetrack, words)
    assert ran.exit_code == 0, ran.output
    assert re.search(r"^live: http://127\.0\.0\.1:\d+/\S+/$", ran.stderr, re.MULTILINE)
    assert (tmp_path / "clip.tracks.json").read_bytes() == (people / "clip.tracks.json").read_bytes()
    ran = CliRunner().invoke(posetrack, [*words, "--workers", "2"])
    assert ran.exit_code == 2
    assert "--show goes with one process" in ran.stderr


@pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium on the path (apt-get install chromium)")
def test_a_browser_sees_the_run_go_by_and_end(people, tmp_path):
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright (pip install playwright)")
    words = [sys.executable, "-m", "posetrack", "run", str(people / "clip.mp4"), "-o", str(tmp_path), "--show"]
    complaints: list[str] = []
    with (
        sync_api.sync_playwright() as playwright,
        subprocess.Popen([*words, "--no-browser", "--block", "2"], stderr=subprocess.PIPE, text=True) as process,
    ):
        assert process.stderr is not None
        address = process.stderr.readline().removeprefix("live: ").strip()
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=BROWSER_OPTIONS)
        page = browser.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address)
        page.wait_for_selector("text=The run has ended", timeout=60_000)
        assert page.evaluate("live.number") > 0
        assert page.inner_text("#people").isdecimal()
        assert page.inner_text("#latency").endswith(" s")
        browser.close()
    assert complaints == []


@contextmanager
def streaming(clip: Path):
    """An address from which a clip comes slowly and without an end that is known, as from a camera."""

    class Camera(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "video/mp2t")
            self.end_headers()
            data = clip.read_bytes()
            size = len(data) // 40
            for begin in range(0, len(data), size):
                self.wfile.write(data[begin : begin + size])
                time.sleep(0.05)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Camera) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/camera"
        server.shutdown()
        thread.join()


def test_a_stream_that_is_shown_goes_frame_by_frame(tmp_path):
    clip = make_clip(tmp_path / "camera.ts", 50, options={"g": "5", "bf": "0", "crf": "18"})
    (tmp_path / "boxes.json").write_text('[{"image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 20], "score": 0.9}]')
    words = ["run", "--detections", str(tmp_path / "boxes.json"), "-o", str(tmp_path), "--show", "--no-browser"]
    with streaming(clip) as address:
        ran = CliRunner().invoke(posetrack, [*words, address])
    assert ran.exit_code == 0, ran.output
    made = read_tracks(tmp_path / "camera.tracks.json")
    assert made.header.settings["block"] == 1
    assert made.header.video["duration"] is None
