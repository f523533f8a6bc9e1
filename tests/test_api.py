from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import posetrack
from posetrack.cores import core_count
from posetrack.types import Person
from posetrack.video import open_video


def same(a: Person, b: Person) -> bool:
    return a.id == b.id and np.array_equal(a.keypoints, b.keypoints) and np.array_equal(a.box, b.box)


def test_track_streams_what_run_writes(people: Path) -> None:
    written = posetrack.load(people / "clip.tracks.json")
    count = 0
    for row, frame in enumerate(posetrack.track(people / "clip.mp4")):
        count += 1
        assert frame.index == written.indices[row]
        for person in frame.people:
            column = list(written.ids).index(person.id)
            np.testing.assert_allclose(person.keypoints, written.keypoints[row, column], atol=0.0051)
    assert count == len(written.indices)


def test_the_live_tracker_sees_what_track_sees_picture_by_picture(people: Path) -> None:
    tracker = posetrack.Tracker()
    with open_video(people / "clip.mp4") as video:
        live = [tracker(frame.image, frame.time) for frame in video]
    for alone, frame in zip(live, posetrack.track(people / "clip.mp4"), strict=True):
        assert len(alone) == len(frame.people)
        assert all(map(same, alone, frame.people))


def test_a_reset_tracker_begins_anew(people: Path) -> None:
    tracker = posetrack.Tracker()
    with open_video(people / "clip.mp4") as video:
        image = next(iter(video)).image
    first = tracker(image)
    tracker(np.zeros_like(image))
    tracker.reset()
    again = tracker(image)
    assert [person.id for person in first] == [person.id for person in again]
    assert all(map(same, first, again))


def test_options_go_to_the_settings_that_have_them(people: Path) -> None:
    frames = list(posetrack.track(people / "clip.mp4", end=0.2, queue_length=2, detect_every=2, score=0.9))
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]
    with pytest.raises(TypeError, match="no option 'queue'"):
        next(posetrack.track(people / "clip.mp4", queue=2))


def test_leaving_the_stream_early_leaves_no_thread_behind(people: Path) -> None:
    import threading

    before = threading.active_count()
    stream = posetrack.track(people / "clip.mp4", block=2)
    next(stream)
    stream.close()
    networks_threads = core_count()  # their pool goes with them, a little later
    assert threading.active_count() <= before + networks_threads
