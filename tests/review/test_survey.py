"""The timeline and the survey of a result file, against what one counts by hand."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parents[1] / "results"))

from made_tracks import HEADER, made_frames, videos

from posetrack.errors import FormatError
from posetrack.results.native import Header, read_tracks, write_tracks
from posetrack.review.presence import presence_of
from posetrack.review.survey import survey
from posetrack.review.timeline import BRIDGED, LOW_SCORE, TimelineBuilder
from posetrack.skeleton import MPII16
from posetrack.types import FrameResult, Person


def stretches(frames, holds, bridged=0):
    """[[first, last], ...] of the frames that `holds` holds of, those become one that are at most `bridged` apart."""
    found, pause = [], None
    for frame in frames:
        if holds(frame):
            if pause is not None and found and pause <= bridged:
                found[-1][1] = frame.index
            else:
                found.append([frame.index, frame.index])
            pause = 0
        elif pause is not None:
            pause += 1
    return found


def bars(frames, here):
    """What a timeline tells of somebody; `here` is that person by frame number, where there."""

    def flowing(frame):
        return frame.index in here and here[frame.index].source == "flow"

    def hardly_seen(frame):
        return frame.index in here and here[frame.index].score < LOW_SCORE

    return {
        "runs": stretches(frames, lambda frame: frame.index in here),
        "flow": stretches(frames, flowing, BRIDGED),
        "fill": [],
        "low": stretches(frames, hardly_seen, BRIDGED),
    }


@given(videos)
def test_the_timeline_is_what_one_counts_by_hand(tmp_path_factory, frames):
    path = tmp_path_factory.mktemp("survey") / "clip.tracks.json"
    tracks = write_tracks(path, HEADER, frames)
    found = survey(path)
    timeline = found.timeline
    assert timeline["frames"] == len(frames)
    assert timeline["cuts"] == [frame.index for frame in frames if frame.cut]
    assert (timeline["first"], timeline["last"]) == ((frames[0].index, frames[-1].index) if frames else (0, 0))
    seen = {frame.index: {person.id: person for person in frame.people} for frame in read_tracks(path)}
    assert [bar["id"] for bar in timeline["tracks"]] == [track.id for track in tracks]
    for bar, track in zip(timeline["tracks"], tracks, strict=True):
        wanted = bars(frames, {index: people[track.id] for index, people in seen.items() if track.id in people})
        assert {kind: bar[kind] for kind in wanted} == wanted
        assert bar["frames"] == track.frames
        assert abs(bar["mean_score"] - track.mean_score) < 2e-4
    presence = presence_of(read_tracks(path))
    assert presence.frames.tolist() == found.presence.frames.tolist()
    for id in presence.ids:
        assert np.array_equal(presence.runs[id], found.presence.runs[id])


@given(st.lists(st.booleans(), max_size=40))
def test_stretches_are_bridged_over_short_pauses_only(flowing):
    builder = TimelineBuilder()
    for index, flow in enumerate(flowing):
        person = {"id": 1, "from": "flow" if flow else "detector", "score": 0.9}
        builder.add(index, [1], {"people": [person]})
    _, timeline = builder.done()
    frames = [FrameResult(index, 0.0) for index in range(len(flowing))]
    wanted = stretches(frames, lambda frame: flowing[frame.index], BRIDGED)
    assert [bar["flow"] for bar in timeline["tracks"]] == ([wanted] if flowing else [])


def test_filled_gaps_have_stretches_of_their_own(tmp_path):
    keypoints = np.ones((17, 3), np.float32)
    frames = [
        FrameResult(i, i / 25, (Person(1, 0.9, np.array([0, 0, 9, 9], np.float32), keypoints, source),))
        for i, source in enumerate(["detector", "fill", "fill", "flow", "file"])
    ]
    write_tracks(tmp_path / "clip.tracks.json", HEADER, frames)
    (bar,) = survey(tmp_path / "clip.tracks.json").timeline["tracks"]
    assert (bar["fill"], bar["flow"], bar["runs"]) == ([[1, 2]], [[3, 3]], [[0, 4]])


def test_an_empty_result_and_one_of_another_skeleton(tmp_path):
    write_tracks(tmp_path / "empty.json", HEADER, [])
    found = survey(tmp_path / "empty.json")
    assert (found.presence.ids, found.suspects) == ((), [])
    assert found.timeline == {"frames": 0, "first": 0, "last": 0, "cuts": [], "tracks": []}
    header = Header(HEADER.generator, {}, MPII16, HEADER.settings)
    write_tracks(tmp_path / "other.json", header, made_frames(40, joints=16))
    assert survey(tmp_path / "other.json").timeline["frames"] == 40


def test_a_journal_is_surveyed_as_far_as_it_goes(tmp_path):
    write_tracks(tmp_path / "clip.tracks.json", HEADER, made_frames(9))
    part = tmp_path / "clip.tracks.json.part"
    part.write_bytes((tmp_path / "clip.tracks.json").read_bytes().split(b'\n],"tracks"')[0] + b',\n{"index":99,"ti')
    assert survey(part).timeline["frames"] == 9


def test_whoever_watches_hears_of_it_and_can_end_it(tmp_path):
    write_tracks(tmp_path / "clip.tracks.json", HEADER, made_frames(200, most_people=1))
    heard = []
    survey(tmp_path / "clip.tracks.json", heard.append)
    assert heard == [64, 128, 192]

    def enough(done):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        survey(tmp_path / "clip.tracks.json", enough)


@pytest.mark.parametrize(
    ("was", "becomes", "reason"),
    [
        (b'"keypoints":[[', b'"keypoints":[[1,', "as many keypoints as the skeleton has joints"),
        (b'"box":[', b'"box":[3.5,', "a box of 4 numbers"),
        (b'"score":', b'"sc":', "a person has a score"),
        (b'"box":[', b'"box":["a",', "a box of 4 numbers"),
        (b'"people":[{"id":', b'"people":[{"id":-', "whole numbers from 1"),
        (b'"people":', b'"persons":', "lacks 'people'"),
        (b'{"index":4', b'{"index":1', "frame numbers must grow"),
        (b'{"index":4', b'{"index":"4"', "frame numbers must grow"),
        (b'{"index":4', b'{index:4', "not JSON"),
    ],
)  # fmt: skip
def test_a_damaged_result_is_one_line_that_names_the_file(tmp_path, was, becomes, reason):
    path = tmp_path / "clip.tracks.json"
    write_tracks(path, HEADER, made_frames(12, seed=3))
    data = path.read_bytes()
    begin = data.index(b'{"index":4') if was.startswith(b"{") else data.index(b'{"index":6')
    path.write_bytes(data[:begin] + data[begin:].replace(was, becomes, 1))
    with pytest.raises(FormatError, match=reason) as caught:
        survey(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
