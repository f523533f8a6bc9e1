"""What is behind paths: a picture of the right video, without what moves where that can be had."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from clips import make_clip
from made_walkers import SIZE, at, pixels, two_walkers, walker, write

from posetrack.errors import FormatError, InputError
from posetrack.plot.background import find_video, picture_size, read_background
from posetrack.plot.figures import plot_tracks
from posetrack.results.native import Header, write_tracks
from posetrack.results.trajectories import read_trajectories
from posetrack.skeleton import COCO17
from posetrack.types import FrameResult


@pytest.fixture
def tracks(tmp_path):
    return write(tmp_path / "clip.tracks.json", two_walkers(), names={2: "Ada"})


@pytest.fixture
def clip(tmp_path, tracks):
    """The video of `tracks`: grey, with a white disc where 1 walks and a black one that goes down in the middle."""
    pictures = []
    for n in range(40):
        picture = np.full((SIZE[1], SIZE[0], 3), 120, np.uint8)
        cv2.circle(picture, (30 + 6 * n, 60), 12, (255, 255, 255), -1)
        cv2.circle(picture, (160, 20 + 5 * n), 12, (0, 0, 0), -1)
        pictures.append(picture)
    return make_clip(tmp_path / "clip.mp4", 40, size=SIZE, images=pictures)


def test_the_video_is_found_beside_the_tracks(clip, tracks, tmp_path):
    found = read_trajectories(tracks)
    assert find_video(tracks, found) == str(clip)
    made = plot_tracks(tracks, {"paths": tmp_path / "a.png"})
    assert made.notes == ()
    assert len(at(pixels(tmp_path / "a.png"), [(120 * 0.58 + 255 * 0.42) / 255] * 3, within=6)) > 100_000
    clip.unlink()
    assert find_video(tracks, found) is None
    made = plot_tracks(tracks, {"paths": tmp_path / "b.png"})
    assert "clip.mp4 is not beside" in made.notes[0]


def test_a_median_is_without_what_moves_and_a_frame_is_of_mid_time(clip, tracks):
    found = read_trajectories(tracks)
    rows = np.arange(40)
    passing = replace(found, people=found.people[:1])
    for kind in ("median", "auto"):
        median = read_background(str(clip), passing, rows, kind, "x")
        assert median.shape == (240, 320, 3)
        assert np.abs(median.astype(int) - 120).max() < 25
    frame = read_background(str(clip), found, rows, "frame", "x")
    assert frame[60, 150].min() > 200
    assert frame[120, 160].max() < 60
    early = read_background(str(clip), found, rows[2:3], "median", "x")
    assert early[60, 42].min() > 200


def test_who_stays_would_leave_a_ghost(clip, tmp_path):
    frames = [FrameResult(n, n / 25, (walker(1, 160, 120), walker(2, 200, 120))) for n in range(40)]
    found = read_trajectories(write(tmp_path / "stay.json", frames))
    picture = read_background(str(clip), found, np.arange(40), "auto", "x")
    np.testing.assert_array_equal(picture, read_background(str(clip), found, np.arange(40), "frame", "x"))


def test_pictures_in_a_folder_are_a_background_too(clip, tracks, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for n in range(40):
        cv2.imwrite(str(folder / f"{n}.png"), np.full((240, 320, 3), 5 * n, np.uint8))
    picture = read_background(str(folder), read_trajectories(tracks), np.arange(40), "frame", "x")
    assert set(np.unique(picture)) == {100}


def test_videos_that_do_not_fit(tracks, tmp_path):
    small = make_clip(tmp_path / "small.mp4", 3)
    found = read_trajectories(tracks)
    with pytest.raises(FormatError, match=r"made of a video of 320x240 pixels, .* has 64x48"):
        read_background(str(small), found, np.arange(3), "auto", "tracks")
    for content in (b"", b"no video at all" * 99, small.read_bytes()):
        (tmp_path / "clip.mp4").write_bytes(content)
        target = tmp_path / f"{len(content)}.png"
        assert "; paths are on a plain canvas" in plot_tracks(tracks, {"paths": target}).notes[0]
        with pytest.raises((InputError, FormatError)):
            plot_tracks(tracks, {"paths": tmp_path / "a.png"}, str(tmp_path / "clip.mp4"))
    with pytest.raises(InputError, match="no such file"):
        plot_tracks(tracks, {"paths": tmp_path / "a.png"}, str(tmp_path / "none.mp4"))
    assert not (tmp_path / "a.png").exists()


def test_a_result_without_a_picture_size(tmp_path):
    tracks = write(tmp_path / "a.json", two_walkers(), size=None)
    assert picture_size(read_trajectories(tracks)) == (284, 210)
    plot_tracks(tracks, {"paths": tmp_path / "a.png"})


def test_an_address_is_not_opened(tmp_path):
    header = Header({}, {"path": "http://localhost:9/clip.mp4", "width": 320, "height": 240}, COCO17, {})
    write_tracks(tmp_path / "a.json", header, two_walkers())
    assert find_video(tmp_path / "a.json", read_trajectories(tmp_path / "a.json")) is None
