"""The review page in a real Chromium."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from clips import make_clip
from reviewing import BROWSER_OPTIONS, CHROMIUM, FPS, FRAMES, SIZE, header, two_who_swap

from posetrack.results.native import read_tracks, write_tracks
from posetrack.video import open_video

sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright (pip install playwright)")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium on the path (apt-get install chromium)")


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=BROWSER_OPTIONS)
        yield browser
        browser.close()


class Review:
    """posetrack review as a program, and its page in a browser; everything the page says or asks is watched."""

    def __init__(self, browser: sync_api.Browser, tracks: Path, *words: object, scheme: str = "light") -> None:
        self.words = [sys.executable, "-m", "posetrack", "review", str(tracks), *map(str, words), "--no-browser"]
        self.environment = {**os.environ, "POSETRACK_HOME": str(tracks.parent / "home")}
        self.complaints: list[str] = []
        self.hosts: set[str | None] = set()
        self.page = browser.new_page(viewport={"width": 1280, "height": 720}, color_scheme=scheme)
        self.page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).hostname))

    def start(self) -> None:
        """Begin, or begin again, and wait until the page has all it asks for."""
        self.process = subprocess.Popen(
            self.words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=self.environment
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        self.page.goto(self.url)
        self.page.wait_for_selector("body[data-surveyed]")
        self.until("review.version && !review.player.underway")

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def close(self) -> None:
        """Close the page and end the program."""
        self.page.close()
        if self.process.poll() is None:
            self.kill()

    def until(self, expression: str, seconds: float = 60) -> None:
        """Waits for the page (whose policy forbids it to evaluate strings, as Playwright's own waiting does)."""
        for _ in range(round(seconds / 0.05)):
            if self.page.evaluate(expression):
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"not in {seconds} s: {expression}; {self.complaints}")

    def until_drawn(self, frame: int) -> None:
        """Waits a little for the painting; what is painted must be picture and people of `frame`."""
        for _ in range(40):
            if self.numbers() == (frame, frame):
                return
            self.page.wait_for_timeout(25)
        assert self.numbers() == (frame, frame)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def edit(self, *keys: str) -> None:
        """Keys that make a correction, and its answer."""
        version = self.page.evaluate("review.version")
        self.press(*keys)
        self.until(f"review.version > {version}")

    @property
    def frame(self) -> int:
        """The number of the frame that is shown, after what is under way has come to the screen."""
        self.until("!review.player.underway && review.player.at !== null")
        return self.page.evaluate("review.player.at.piece.indices[review.player.at.row]")

    def people(self) -> dict[int, int]:
        """Whom the picture shows: ids in the file by shown id."""
        assert self.frame >= 0
        self.page.wait_for_timeout(60)
        return dict(self.page.evaluate("review.picture.people.map(({ id, original }) => [id, original])"))

    def numbers(self) -> tuple[int, int | None]:
        """What the numbered clip on the canvas says its frame is, and the frame whose people are drawn on it."""
        levels, drawn = self.page.evaluate(
            """() => {
              const { canvas } = review.picture, { x, y, w, h } = review.picture.view();
              const ctx = new OffscreenCanvas(8, 1).getContext("2d", { willReadFrequently: true });
              for (let bit = 0; bit < 8; bit++) {
                ctx.drawImage(canvas, Math.round(x + (bit + 0.5) * w / 8), Math.round(y + h / 2), 1, 1, bit, 0, 1, 1);
              }
              const pixels = ctx.getImageData(0, 0, 8, 1).data;
              return [[...Array(8).keys()].map((bit) => pixels[4 * bit]), review.picture.frame];
            }"""
        )
        return sum(1 << bit for bit, level in enumerate(levels) if level > 127), drawn


@pytest.fixture
def opened(browser):
    """Opens reviews; in the end none of them may have complained, or asked anything of another machine."""
    reviews: list[Review] = []

    def opening(*words: object, scheme: str = "light") -> Review:
        reviews.append(Review(browser, *words, scheme=scheme))
        reviews[-1].start()
        return reviews[-1]

    yield opening
    for one in reviews:
        one.close()
    for one in reviews:
        assert one.complaints == []
        assert one.hosts == {"127.0.0.1"}


@pytest.fixture
def review(opened, clip):
    return opened(clip / "clip.tracks.json")


def bare(review: Review) -> None:
    """Nothing drawn on the picture."""
    review.press("k", "b", "i")
    review.page.wait_for_timeout(100)


def test_opens_on_the_first_frame_with_its_people(review):
    assert review.frame == 0
    assert review.people() == {1: 1, 2: 2}
    assert review.page.inner_text("#file") == "clip.tracks.json"
    assert review.page.inner_text("#clock").startswith("0:00.000")
    assert review.page.get_by_role("button", name="Person 1, key 1").is_visible()


def test_steps_and_seeks_land_on_exactly_the_frame_whose_people_are_drawn(review):
    bare(review)
    for keys, frame in {
        ("ArrowRight",): 1, ("ArrowRight", "ArrowRight"): 3, ("ArrowLeft",): 2, ("Shift+ArrowRight",): 27,
        ("End",): FRAMES - 1, ("ArrowLeft",) * 3: FRAMES - 4, ("Home",): 0,
    }.items():  # fmt: skip
        review.press(*keys)
        assert review.frame == frame
        review.until_drawn(frame)
    for frame in (13, 40, 39, 61, 7):
        review.page.evaluate("(frame) => { review.player.seek(frame); }", frame)
        assert review.frame == frame
        review.until_drawn(frame)


def test_plays_and_what_is_drawn_is_of_the_picture_that_is_shown(review):
    bare(review)
    review.press(",", ",")
    review.press("Space")
    review.until("review.player.playing")
    assert review.page.get_by_role("button", name="Pause").is_visible()
    seen = []
    for _ in range(12):
        seen.append(review.numbers())
        review.page.wait_for_timeout(70)
    review.press("Space")
    review.until("!review.player.playing")
    seen = [(number, drawn) for number, drawn in seen if drawn is not None]
    assert seen[-1][0] > seen[0][0]
    assert all(number == drawn for number, drawn in seen), seen
    review.until_drawn(review.frame)


def test_a_suspect_is_found_swapped_and_undone(review, clip):
    review.press("n")
    assert review.frame == 40
    assert set(review.page.evaluate("review.selected")) == {1, 2}
    assert review.people() == {1: 1, 2: 2, 3: 3}
    review.edit("x")
    assert review.people() == {1: 2, 2: 1, 3: 3}
    assert "1 correction, kept in clip.edits.jsonl" in review.page.inner_text("#saved")
    assert (clip / "clip.edits.jsonl").read_text().count("\n") == 2
    review.press("ArrowLeft")
    assert review.people() == {1: 1, 2: 2, 3: 3}
    review.press("ArrowRight")
    review.edit("z")
    assert review.people() == {1: 1, 2: 2, 3: 3}
    review.edit("y")
    assert review.people() == {1: 2, 2: 1, 3: 3}
    review.edit("Control+z")
    assert review.page.get_by_role("button", name="Undo").is_disabled()


def test_all_corrections_work_by_keyboard_alone_and_survive_a_killed_server(review, clip):
    page = review.page
    review.page.evaluate("() => { review.player.seek(45); }")
    assert review.frame == 45
    review.press("1")
    review.press("Shift+3")
    assert len(page.evaluate("review.selected")) == 2
    review.edit("x")
    review.press("Escape")
    assert page.evaluate("review.selected") == []
    for _ in range(3):
        review.press("ArrowDown")
    assert page.evaluate("review.selected") == [3]
    review.press("r")
    page.keyboard.type("Anna")
    review.edit("Enter")
    assert page.evaluate("review.labels.names") == {"3": "Anna"}
    review.edit("s")
    assert set(review.people()) == {1, 2, 4}
    review.press("Shift+ArrowDown")
    assert page.evaluate("review.selected") == [3, 4]
    review.edit("m")
    assert set(review.people()) == {1, 2, 3}
    review.edit("Shift+d")
    assert set(review.people()) == {1, 2}
    review.edit("z")
    review.edit("d")
    review.edit("z")
    before = page.evaluate("[review.labels.moved, review.labels.names, review.labels.rows.map(({ id }) => id)]")
    assert set(review.people()) == {1, 2, 3}
    review.kill()
    page.wait_for_selector("text=posetrack review has ended")
    review.complaints.clear()  # the lost server is complained of by the browser
    review.start()
    assert page.evaluate("[review.labels.moved, review.labels.names, review.labels.rows.map(({ id }) => id)]") == before
    review.edit("y")
    assert 3 not in page.evaluate("review.labels.rows.map(({ id }) => id)")


def test_an_export_is_written_and_says_where(review, clip):
    review.press("n")
    review.edit("x")
    review.press("e")
    review.page.wait_for_selector("text=Written: clip.edited.tracks.json")
    tracks = list(read_tracks(clip / "clip.edited.tracks.json"))
    lefts = [next(person.box[0] for person in frame.people if person.id == 1) for frame in tracks]
    assert lefts == sorted(lefts)


def test_refusals_are_told(review):
    review.press("x")
    review.page.wait_for_selector("text=Select two people first")
    review.press("1", "Shift+2", "m")
    review.page.wait_for_selector("text=one person is not in two places")
    assert any("409" in complaint for complaint in review.complaints)
    review.complaints.clear()


def test_the_mouse_selects_people_and_bars_and_scrubs(review):
    page = review.page
    x, y = page.evaluate(
        """() => { const { x, y, sx, sy } = review.picture.view(), box = review.picture.people[0].box;
             const place = document.getElementById("picture").getBoundingClientRect();
             return [place.left + x + sx * (box[0] + box[2] / 2), place.top + y + sy * (box[1] + box[3] / 2)]; }"""
    )
    page.mouse.click(x, y)
    assert page.evaluate("review.selected") == [page.evaluate("review.picture.people[0].id")]
    timeline = page.locator("#timeline").bounding_box()
    assert timeline is not None
    page.mouse.move(timeline["x"] + 300, timeline["y"] + 8)
    page.mouse.down()
    page.mouse.move(timeline["x"] + 600, timeline["y"] + 8, steps=5)
    page.mouse.up()
    wanted = page.evaluate("Math.floor(review.timeline.frameAt(600))")
    assert review.frame == wanted
    row = page.evaluate("review.timeline.y(2) + 10")
    page.mouse.click(timeline["x"] + 400, timeline["y"] + row)
    assert page.evaluate("review.selected") == [3]


def test_the_help_names_the_keys_and_focus_is_seen(review):
    page = review.page
    review.press("?")
    assert page.get_by_role("dialog", name="Keys").is_visible()
    assert "swap the two selected" in page.inner_text("#keys")
    review.press("Escape")
    assert not page.get_by_role("dialog").is_visible()
    order = []
    for _ in range(40):
        page.keyboard.press("Tab")
        order.append(page.evaluate("document.activeElement.id || document.activeElement.dataset.verb || ''"))
    assert {"help", "picture", "play", "timeline"} <= set(order)
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    page.focus("#play")
    page.keyboard.press("Tab")
    assert page.evaluate(outline) != "none"
    nameless = page.evaluate(
        "[...document.querySelectorAll('button, canvas, select, input')]"
        ".filter((e) => !e.textContent.trim() && !e.getAttribute('aria-label')).map((e) => e.id)"
    )
    assert nameless == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1280, 720), (1920, 1080)], ids=str)
def test_nothing_is_cut_off_at_either_size_by_day_and_night(opened, clip, scheme, size):
    review = opened(clip / "clip.tracks.json", scheme=scheme)
    page = review.page
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.wait_for_timeout(200)
    root = "document.documentElement"
    assert page.evaluate(f"{root}.dataset.theme") == scheme
    assert page.evaluate(f"[{root}.scrollWidth, {root}.scrollHeight]") == list(size)
    cut = page.evaluate(
        "[...document.querySelectorAll('button, output, h2')].filter((e) => e.scrollWidth > e.clientWidth + 1"
        " || e.getBoundingClientRect().right > innerWidth).map((e) => e.textContent || e.id)"
    )
    assert cut == []
    review.press("l")
    assert page.evaluate(f"{root}.dataset.theme") != scheme
    page.reload()
    page.wait_for_selector("body[data-ready]")
    assert page.evaluate(f"{root}.dataset.theme") != scheme
    review.press("l")


def test_a_part_of_a_video_in_steps_meets_the_frames_it_was_made_of(opened, tmp_path):
    make_clip(tmp_path / "clip.mp4", FRAMES, size=SIZE, fps=FPS)
    frames = [frame for frame in two_who_swap() if 20 <= frame.index < 60 and frame.index % 3 == 2]
    write_tracks(tmp_path / "part.tracks.json", header(start=0.8, end=2.4, stride=3), frames)
    review = opened(tmp_path / "part.tracks.json")
    bare(review)
    assert review.frame == 20
    for keys, frame in {("ArrowRight",): 23, ("Shift+ArrowRight",): 47, ("End",): 59}.items():
        review.press(*keys)
        assert review.frame == frame
        review.until_drawn(frame)


UNEVEN = [float(time) for time in np.cumsum(np.resize([0.04, 0.02, 0.1, 0.033, 0.04], FRAMES))]
CLIPS: dict[str, dict[str, Any]] = {
    "b-frames.mp4": {"options": {"bf": "3", "g": "50", "crf": "18"}},
    "ntsc.mp4": {"fps": Fraction(30000, 1001)},
    "uneven.mp4": {"times": UNEVEN, "options": {"bf": "0", "crf": "18"}},
    "uneven-b-frames.mp4": {"times": UNEVEN, "options": {"bf": "3", "crf": "18"}},
    "late.mp4": {"times": [2 + n / 25 for n in range(FRAMES)]},
    "vp9.webm": {
        "codec": "libvpx-vp9",
        "options": {"cpu-used": "8"},
        "base": Fraction(1, 1000),
    },
    "matroska.mkv": {"base": Fraction(1, 1000)},
}


@pytest.mark.parametrize("name", CLIPS)
def test_frames_of_other_videos_are_met_exactly_too(opened, tmp_path, name):
    settings = dict(CLIPS[name])
    make_clip(tmp_path / name, settings.pop("times", FRAMES), size=SIZE, **settings)
    with open_video(tmp_path / name) as reader:
        times = [frame.time for frame in reader]
    frames = (replace(frame, time=time) for frame, time in zip(two_who_swap(), times, strict=True))
    write_tracks(tmp_path / "clip.tracks.json", header(name), frames)
    review = opened(tmp_path / "clip.tracks.json")
    review.until("review.player.hasVideo && review.player.video.readyState >= 2")
    bare(review)
    for frame in (0, 1, 2, 3, 40, 41, 39, FRAMES - 1, FRAMES - 2, 17):
        review.page.evaluate("(frame) => { review.player.seek(frame); }", frame)
        assert review.frame == frame
        review.until_drawn(frame)
    for step in (1, 1, 1, -1):
        review.press("ArrowRight" if step > 0 else "ArrowLeft")
    review.until_drawn(19)
    review.press("Space")
    seen = [review.numbers() for _ in range(8) if review.page.wait_for_timeout(60) is None]
    review.press("Space")
    assert all(number == drawn for number, drawn in seen if drawn is not None), seen


def test_a_codec_that_browsers_do_not_play_gets_a_proxy_once(opened, tmp_path):
    make_clip(tmp_path / "clip.avi", FRAMES, size=SIZE, fps=FPS, codec="mpeg4")
    write_tracks(tmp_path / "clip.tracks.json", header("clip.avi"), two_who_swap())
    for _ in range(2):
        review = opened(tmp_path / "clip.tracks.json")
        review.until("review.player.hasVideo && document.getElementById('video').readyState >= 2")
        bare(review)
        review.press("Shift+ArrowRight")
        assert review.frame == 25
        review.until_drawn(25)
        review.close()
    made = list((tmp_path / "home" / "proxies").iterdir())
    assert len(made) == 1
    assert made[0].suffix == ".mp4"


def test_a_video_that_the_browser_refuses_after_all_gets_a_proxy(opened, clip):
    review = opened(clip / "clip.tracks.json")
    home = clip / "home" / "proxies"
    review.page.route("**/video", lambda route: route.continue_() if home.exists() else route.abort())
    review.page.reload()
    review.page.wait_for_selector("body[data-surveyed]")
    review.until("review.player.hasVideo && review.player.video.readyState >= 2")
    assert [file.suffix for file in home.iterdir()] == [".mp4"]
    bare(review)
    review.press("ArrowRight")
    assert review.frame == 1
    review.until_drawn(1)
    review.complaints.clear()  # of the video that was refused


def test_a_result_without_a_video_plays_on_a_plain_ground(opened, tmp_path):
    write_tracks(tmp_path / "clip.tracks.json", header("gone.mp4"), two_who_swap())
    review = opened(tmp_path / "clip.tracks.json")
    assert "There is no video here" in (review.page.text_content("#notice") or "")
    assert set(review.people()) == {1, 2}
    review.press("ArrowRight", "ArrowRight")
    assert review.frame == 2
    review.press("Space")
    review.until("review.player.index > 6")
    review.until(f"review.player.index === {FRAMES - 1} && !review.player.playing")


def test_an_empty_result_is_a_page_too(opened, tmp_path):
    write_tracks(tmp_path / "empty.tracks.json", header("gone.mp4"), [])
    review = opened(tmp_path / "empty.tracks.json")
    review.press("ArrowRight", "n", "ArrowDown", "End")
    assert review.page.inner_text("#suspect-count") == "none"


def test_a_button_that_was_clicked_leaves_the_space_bar_to_playing(review):
    trails = review.page.get_by_role("button", name="Trails")
    trails.click()
    assert trails.get_attribute("aria-pressed") == "true"
    review.press("Space")
    review.until("review.player.playing")
    assert trails.get_attribute("aria-pressed") == "true"


def test_a_real_clip_opens_plays_and_is_corrected(opened, shared, tmp_path):
    video = shared / "data" / "video" / "portrait_rotated_gym.mp4"
    with open_video(video) as reader:
        info, times = reader.info, [frame.time for _, frame in zip(range(60), reader, strict=False)]
    record = {**header().video, "path": video.name, "width": info.width, "height": info.height, "fps": info.fps}
    frames = (replace(frame, time=time) for frame, time in zip(two_who_swap(60), times, strict=True))
    write_tracks(tmp_path / "gym.tracks.json", replace(header(), video=record), frames)
    review = opened(tmp_path / "gym.tracks.json", video)
    review.until("review.player.hasVideo && document.getElementById('video').readyState >= 2")
    shape = review.page.evaluate("[review.player.video.videoWidth, review.player.video.videoHeight]")
    assert shape == [info.width, info.height]
    review.press("n")
    assert review.frame == 40
    review.edit("x")
    assert review.people() == {1: 2, 2: 1, 3: 3}
    review.press("Space")
    review.until("review.player.index > 45")
    review.press("Space")
