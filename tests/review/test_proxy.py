"""Which videos browsers play as they are, and the copies of those that they don't."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from clips import make_clip, number
from reviewing import SIZE, header

from posetrack.errors import FormatError, InputError
from posetrack.review.proxy import Film, find_video, media_type, proxy_folder
from posetrack.sources import VideoInfo
from posetrack.video import open_video

PLAIN = VideoInfo("a.mp4", 320, 240, 25.0, 1.0, 25, container="mov,mp4", codec="h264", pixel_format="yuv420p")


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("POSETRACK_HOME", str(tmp_path / "home"))
    return tmp_path


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, "video/mp4"), ({"path": "a.MOV"}, "video/mp4"), ({"path": "a.webm", "codec": "vp9"}, "video/webm"),
        ({"pixel_format": "yuvj420p"}, "video/mp4"),
        ({"codec": "hevc"}, None), ({"codec": "mpeg4"}, None), ({"pixel_format": "yuv420p10le"}, None),
        ({"pixel_format": "yuv444p"}, None), ({"path": "a.avi"}, None), ({"path": "a.mkv"}, None),
        ({"path": "a.webm"}, None), ({"kind": "pictures"}, None), ({"kind": "live"}, None),
        ({"path": "http://somewhere/a.mp4"}, None),
    ],
    ids=str,
)  # fmt: skip
def test_what_browsers_play(tmp_path, monkeypatch, changes, kind):
    monkeypatch.chdir(tmp_path)
    info = replace(PLAIN, **changes)
    if kind:  # then the file is looked at, too
        make_clip(tmp_path / info.path, 5, codec="libvpx-vp9" if info.codec == "vp9" else "libx264")
    assert media_type(info) == kind


def wait_for(film: Film) -> dict:
    for _ in range(2000):
        if (record := film.record())["kind"] != "making":
            return record
        assert 0 <= record["share"] < 1
        time.sleep(0.02)
    raise AssertionError("the proxy was not made")


def test_a_folder_of_pictures_and_an_old_codec_get_a_proxy_with_the_same_frames_at_the_same_times(home):
    import cv2
    from clips import picture

    (home / "pictures").mkdir()
    for n in range(8):
        cv2.imwrite(str(home / "pictures" / f"{n}.png"), np.ascontiguousarray(picture(n)[:, :, ::-1]))
    old = make_clip(home / "old.avi", 12, codec="mpeg4")
    for source, count in {home / "pictures": 8, old: 12}.items():
        film = Film(str(source))
        assert wait_for(film) == {"kind": "ready", "begins": 0.0}
        assert film.played is not None
        file, kind = film.played
        assert (file.parent, kind) == (proxy_folder(), "video/mp4")
        with open_video(file) as made, open_video(source) as wanted:
            assert made.info.codec == "h264"
            pairs = list(zip(made, wanted, strict=True))
        assert len(pairs) == count
        for one, other in pairs:
            assert number(one.image) == number(other.image)
            assert one.time == pytest.approx(other.time, abs=1e-4)
        assert Film(str(source)).played == (file, kind)
    assert len(list(proxy_folder().iterdir())) == 2


def test_a_changed_video_gets_another_proxy_and_large_ones_are_made_smaller(home):
    source = make_clip(home / "large.avi", 3, size=(2560, 1280), codec="mpeg4")
    film = Film(str(source))
    wait_for(film)
    assert film.played is not None
    with open_video(film.played[0]) as made:
        assert (made.info.width, made.info.height) == (1920, 960)
    make_clip(source, 4, size=(64, 48), codec="mpeg4")
    other = Film(str(source))
    wait_for(other)
    assert other.played is not None
    assert other.played != film.played


def test_what_a_browser_could_not_play_gets_a_proxy_when_asked(home):
    film = Film(str(make_clip(home / "clip.mp4", 5)))
    assert film.played == (home / "clip.mp4", "video/mp4")
    film.make_proxy()
    film.make_proxy()
    wait_for(film)
    assert film.played is not None
    assert film.played[0].parent == proxy_folder()


def test_a_proxy_that_cannot_be_made_is_told(home):
    (home / "home").write_text("a file in the place of the folder")
    record = wait_for(Film(str(make_clip(home / "old.avi", 5, codec="mpeg4"))))
    assert record["kind"] == "none"
    assert record["note"].startswith("The video cannot be shown")


def test_the_video_is_found_beside_the_tracks_or_here_or_not_at_all(home, monkeypatch):
    (home / "here").mkdir()
    monkeypatch.chdir(home / "here")
    tracks = home / "clip.tracks.json"
    assert find_video(tracks, header()) is None
    make_clip(home / "here" / "clip.mp4", 3, size=SIZE)
    assert find_video(tracks, header()) == "clip.mp4"
    make_clip(home / "clip.mp4", 3, size=SIZE)
    assert find_video(tracks, header()) == str(home / "clip.mp4")
    assert find_video(tracks, header("rtsp://somewhere/live")) is None
    assert find_video(tracks, replace(header(), video={})) is None
    with pytest.raises(InputError, match="no such file"):
        find_video(tracks, header(), str(home / "other.mp4"))
    with pytest.raises(FormatError, match="give the video that it was made of"):
        find_video(tracks, header(), str(make_clip(home / "other.mp4", 3)))
    (home / "poses.json").write_text("{}")
    assert find_video(tracks, header("poses.json")) is None
