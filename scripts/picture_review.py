"""The picture of the review page in the README: posetrack review, opened in a headless Chromium, on the demo clip.

    scripts/demo                                        # makes out/demo.mp4 and out/demo.tracks.json
    python scripts/picture_review.py out/demo.tracks.json out/demo.mp4 docs/review.jpg

Wants Playwright (in the extra test) and a Chromium on the path. A copy of the tracks is shown: no edits file is left.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

WIDTH, HEIGHT = 1280, 720
QUALITY = 80


def arrange(page: Page) -> None:
    """The page as somebody sees it at work: a suspect of two people, one of whom has a name."""
    page.wait_for_selector("body[data-surveyed]")
    page.wait_for_timeout(1000)
    page.keyboard.press("t")
    page.locator("#suspects li", has=page.locator(".chip + .chip")).first.get_by_role("button").click()
    page.wait_for_timeout(1000)
    page.keyboard.press("r")
    page.keyboard.type("Eileen")
    page.keyboard.press("Enter")
    page.wait_for_timeout(4000)  # what was said of it goes away


def main(tracks: Path, video: Path, target: Path) -> None:
    """Start the page, arrange it, save it as JPEG."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copy(tracks, Path(folder) / tracks.name))
        words = [sys.executable, "-m", "posetrack", "review", str(copy), str(video), "--no-browser"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process, sync_playwright() as playwright:
            assert process.stdout is not None
            chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="dark")
            page.goto(process.stdout.readline().strip())
            arrange(page)
            page.screenshot(path=target, type="jpeg", quality=QUALITY)
            browser.close()
            process.terminate()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
