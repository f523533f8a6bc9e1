"""Gaps filled: which, with what, and that nothing else changes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moving import crowd, lossy, same, shuffled, somebody, video

from posetrack.clean.fill import fill, gaps
from posetrack.errors import FormatError

seeds = st.integers(0, 2**32 - 1)


def line(n=12):
    """Two joints and a box that move evenly."""
    return np.arange(n)[:, None, None] * np.array([4.0, 2.0]) + np.array([[100.0, 80.0], [110.0, 120.0]])


def without(person, *rows):
    return lossy(person, ~np.isin(person.rows, rows))


def test_even_motion_is_restored_and_marked():
    whole = somebody(1, line())
    filled = fill(video(without(whole, 4, 5, 6))).people[0]
    np.testing.assert_allclose(filled.keypoints, whole.keypoints, rtol=0, atol=1e-3)
    np.testing.assert_allclose(filled.boxes, whole.boxes, rtol=0, atol=1e-3)
    assert filled.rows.tolist() == list(range(12))
    assert [filled.sources[r] for r in (3, 4, 5, 6, 7)] == ["detector", "fill", "fill", "fill", "detector"]
    assert np.isnan(filled.raw[4:7, :, :2]).all()
    assert (filled.raw[4:7, :, 2] == 0).all()
    assert filled.cleaned.tolist() == [r in (4, 5, 6) for r in range(12)]


def test_motion_is_even_in_time_not_in_frames():
    times = np.array([0, 1, 2, 2.1, 2.2, 5, 6, 7.0])
    points = times[:, None, None] * np.ones((8, 2, 2)) * 10
    filled = fill(video(without(somebody(1, points), 3, 4), times=times)).people[0]
    np.testing.assert_allclose(filled.keypoints[..., :2], points, rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    ("gone", "longest", "cuts", "filled"),
    [
        ([4], 1, (), [4]),
        ([4, 5], 1, (), []),
        ([4, 5], 2, (), [4, 5]),
        ([4, 5, 8], 1, (), [8]),
        ([0, 1, 11], 5, (), []),  # before the first and after the last there is no gap
        ([4, 5, 6], 5, [4], []),  # the new scene begins with the gap
        ([4, 5, 6], 5, [6], []),
        ([4, 5, 6], 5, [7], []),  # and where they are seen again
        ([4, 5, 6], 5, [3, 8], [4, 5, 6]),  # at its edges only
    ],
)
def test_which_gaps(gone, longest, cuts, filled):
    person = without(somebody(1, line()), *gone)
    tracks = video(person, frames=12, cuts=cuts)
    after = fill(tracks, longest).people[0]
    assert after.rows[after.sources == "fill"].tolist() == filled
    assert np.concatenate([*gaps(tracks, person, longest), np.zeros(0, int)]).tolist() == filled


def test_scores_are_those_of_the_worse_end():
    scores = np.full((12, 2), 0.9)
    scores[3], scores[7] = (0.5, 0.7), (0.6, 0.2)
    whole = somebody(1, line(), scores)
    whole = replace(whole, scores=np.linspace(0.9, 0.1, 12).astype(np.float32))
    filled = fill(video(without(whole, 4, 5, 6))).people[0]
    np.testing.assert_allclose(filled.keypoints[4:7, :, 2], [[0.5, 0.2]] * 3)
    np.testing.assert_allclose(filled.scores[4:7], whole.scores[7])


def test_a_joint_without_a_place_on_one_side_has_none_in_the_gap():
    points = line()
    points[7, 0] = np.nan
    points[2, 1] = np.nan  # further away it is just not used
    filled = fill(video(without(somebody(1, points), 4, 5, 6))).people[0]
    assert np.isnan(filled.keypoints[4:7, 0, :2]).all()
    assert (filled.keypoints[4:7, 0, 2] == 0).all()
    np.testing.assert_allclose(filled.keypoints[4:7, 1, :2], line()[4:7, 1], rtol=0, atol=1e-3)


def test_looks_are_not_made_up():
    person = replace(somebody(1, line()), appearance=np.ones((12, 3), np.float32))
    filled = fill(video(without(person, 4))).people[0]
    assert np.isnan(filled.appearance[4]).all()
    assert not np.isnan(filled.appearance[[3, 5]]).any()


@settings(max_examples=12)
@given(seeds, st.integers(1, 8))
def test_frames_that_hold_the_person_stay_and_the_rest_is_between_its_ends(seed, longest):
    tracks = crowd(np.random.default_rng(seed))
    filled = fill(tracks, longest)
    assert filled.ids == tracks.ids
    for before, after in zip(tracks.people, filled.people, strict=True):
        there = after.sources != "fill"
        same(video(after[there]), video(before))
        assert (np.diff(after.rows) > 0).all()
        for row in np.flatnonzero(~there):
            first = row - np.argmax(there[row::-1])
            last = row + np.argmax(there[row:])
            low, high = (
                f(after.keypoints[first], after.keypoints[last])[:, :2] for f in (np.minimum, np.maximum)
            )
            place = after.keypoints[row, :, :2]
            here = np.isfinite(low)
            assert (np.isfinite(place) == here).all()
            assert (place[here] >= low[here] - 0.01).all()
            assert (place[here] <= high[here] + 0.01).all()
            assert (after.boxes[row, 2:] >= after.boxes[row, :2]).all()


@settings(max_examples=12)
@given(seeds, st.permutations(range(3)))
def test_order_and_frame_numbers_do_not_matter_and_twice_is_once(seed, order):
    tracks = crowd(np.random.default_rng(seed))
    order = [i for i in order if i < len(tracks.people)]
    filled = fill(tracks)
    same(fill(shuffled(tracks, order)), shuffled(filled, order))
    same(fill(replace(tracks, indices=tracks.indices * 7)), filled)
    same(fill(filled), filled)


def test_nobody_and_one_frame():
    assert fill(video(frames=4)).people == ()
    one = video(somebody(1, line(1)))
    same(fill(one), one)


def test_time_that_stands_still():
    tracks = video(without(somebody(1, line()), 4), times=np.zeros(12))
    with pytest.raises(FormatError, match="person 1: the times from row 3 to 5 do not grow"):
        fill(tracks)
