"""How long the review page takes for a long result with many people.

    python scripts/bench_review.py FOLDER [--hours 2] [--people 20]

Makes FOLDER/crowd.tracks.json (20 people for 2 hours: 180,000 frames, 1.7 GB) unless it is there, then opens it with
posetrack review in a headless Chromium and tells how long it takes until the first people are drawn (from the start of
the program), to go to frames here and there while the file is still being looked through, between two paintings while
somebody scrubs, and until corrections can be made. Wants Playwright and a Chromium on the path.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from playwright.sync_api import Page, sync_playwright

from posetrack.results.lines import FRAMES_READ_WIDTH, Header, Track, write_header, write_trailer
from posetrack.skeleton import COCO17

FPS = 25
LIFE = 3000
"""Frames after which everybody gets a new number."""


def write_crowd(path: Path, frames: int, people: int) -> None:
    """A result in which people go round, are missing now and then, and are carried by flow for a while."""
    video = {"path": "none.mp4", "width": 1280, "height": 720, "fps": FPS, "duration": frames / FPS}
    head, place = write_header(Header({"name": "posetrack"}, video, COCO17, {}))
    shape = np.random.default_rng(0).uniform(-60, 60, (people, 17, 2)) * [0.4, 1.3]
    seen: dict[int, list[int]] = {}
    with path.open("wb") as file:
        file.write(head[:place] + str(frames).encode().ljust(FRAMES_READ_WIDTH) + head[place + FRAMES_READ_WIDTH :])
        for n in range(frames):
            here = [who for k in range(people) if (who := somebody(n, k, people, shape[k])) is not None]
            for who in here:
                track = seen.setdefault(who["id"], [n, n, 0])
                track[1:] = n, track[2] + 1
            line = orjson.dumps({"index": n, "time": round(n / FPS, 6), "people": here})
            file.write(line + (b",\n" if n < frames - 1 else b"\n"))
        tracks = (Track(id, first, last, count, 0.9) for id, (first, last, count) in sorted(seen.items()))
        file.write(write_trailer(tuple(tracks)))


def somebody(n: int, k: int, people: int, shape: Any) -> dict[str, Any] | None:
    """Person `k` in frame `n`."""
    age = (n + 137 * k) % LIFE
    if 1000 < age < 1100:
        return None
    x, y = 640 + 500 * np.sin(n / 400 + k), 360 + 200 * np.cos(n / 700 + 2 * k)
    joints = np.round(shape + [x, y] + 3 * np.sin(n / 5 + k), 2)
    scores = np.round(0.5 + 0.4 * np.sin(n / 50 + np.arange(17)), 4)
    return {
        "id": n // LIFE * people + k + 1, "score": 0.9, "box": [*np.round([x - 40, y - 90], 2).tolist(), 80.0, 180.0],
        "from": "flow" if 500 < age < 560 else "detector", "keypoints": np.column_stack([joints, scores]).tolist(),
    }  # fmt: skip


def wait(page: Page, expression: str) -> None:
    while not page.evaluate(expression):
        time.sleep(0.01)


def measure(page: Page, begun: float, frames: int) -> None:
    """Open, go here and there, scrub; print what it took."""
    page.wait_for_selector("body[data-ready]")
    wait(page, "review.picture.people?.length")
    print(f"first people drawn      {time.monotonic() - begun:6.2f} s after the program's start")
    random.seed(0)
    taken = []
    for _ in range(20):
        start = time.monotonic()
        page.evaluate("(frame) => { review.player.seek(frame); }", random.randrange(frames))
        wait(page, "!review.player.underway")
        taken.append(time.monotonic() - start)
    print(f"going to a frame        {np.median(taken):6.2f} s median, {max(taken):.2f} s at most, of 20")
    page.evaluate(
        """() => { window.gaps = []; let last = performance.now();
             const note = (now) => { gaps.push(now - last); last = now; requestAnimationFrame(note); };
             requestAnimationFrame(note); }"""
    )
    box = page.locator("#timeline").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 200, box["y"] + 8)
    page.mouse.down()
    for step in range(60):
        page.mouse.move(box["x"] + 200 + 12 * step, box["y"] + 8)
        page.wait_for_timeout(50)
    page.mouse.up()
    start = time.monotonic()
    wait(page, "!review.player.underway")
    gaps = np.array(page.evaluate("gaps")) / 1000
    print(f"between two paintings  {np.percentile(gaps, 99):6.3f} s (99 of 100), {gaps.max():.3f} s at most")
    print(f"after letting go        {time.monotonic() - start:6.2f} s until the frame is there")
    wait(page, "review.version")
    print(f"corrections possible    {time.monotonic() - begun:6.2f} s after the program's start, at the latest")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--hours", type=float, default=2)
    parser.add_argument("--people", type=int, default=20)
    options = parser.parse_args()
    tracks, frames = options.folder / "crowd.tracks.json", round(options.hours * 3600 * FPS)
    if not tracks.exists():
        write_crowd(tracks, frames, options.people)
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        begun = time.monotonic()
        words = [sys.executable, "-m", "posetrack", "review", str(tracks), "--no-browser"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            page.goto(process.stdout.readline().strip())
            measure(page, begun, frames)
            process.terminate()
        browser.close()


if __name__ == "__main__":
    main()
