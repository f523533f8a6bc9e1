"""Smoothing whole tracks: where curves end, what stays, what scores do, and what it is worth on clips with a truth."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moving import crowd, same, shuffled, somebody, video, walk
from scipy.signal import butter, savgol_filter, sosfiltfilt

from posetrack.clean.filters import Butterworth, OneEuro, SavitzkyGolay
from posetrack.clean.smooth import lean, smooth, weights_of
from posetrack.clean.stretches import Stretch, body_size, frame_step, jitter, split
from posetrack.errors import FormatError, InputError

ALL = [OneEuro(), SavitzkyGolay(), Butterworth()]
seeds = st.integers(0, 2**32 - 1)
every_filter = pytest.mark.parametrize("filter", ALL, ids=str)


def points_of(person):
    return person.keypoints[..., :2]


def test_equal_scores_and_even_frames_give_the_textbooks_filters():
    points = walk(np.random.default_rng(0), 100).astype(np.float32).astype(np.float64)
    tracks = video(somebody(1, points))
    wanted = sosfiltfilt(butter(2, 6, fs=25, output="sos"), points, axis=0)
    np.testing.assert_allclose(points_of(smooth(tracks, Butterworth()).people[0]), wanted, rtol=1e-6, atol=0)
    wanted = savgol_filter(points, 7, 2, axis=0)
    np.testing.assert_allclose(points_of(smooth(tracks, SavitzkyGolay()).people[0]), wanted, rtol=1e-6, atol=0)


@every_filter
@settings(max_examples=12)
@given(seeds)
def test_only_places_of_joints_change(filter, seed):
    tracks = crowd(np.random.default_rng(seed))
    smoothed = smooth(tracks, filter)
    same(smoothed, tracks, but=("keypoints",))
    for before, after in zip(tracks.people, smoothed.people, strict=True):
        np.testing.assert_array_equal(before.keypoints[..., 2], after.keypoints[..., 2])
        np.testing.assert_array_equal(np.isnan(before.keypoints), np.isnan(after.keypoints))


@every_filter
@settings(max_examples=12)
@given(seeds, st.permutations(range(3)))
def test_the_order_of_people_does_not_matter(filter, seed, order):
    tracks = crowd(np.random.default_rng(seed))
    order = [i for i in order if i < len(tracks.people)]
    same(smooth(shuffled(tracks, order), filter), shuffled(smooth(tracks, filter), order))


@every_filter
@settings(max_examples=12)
@given(seeds)
def test_times_count_and_frame_numbers_do_not(filter, seed):
    tracks = crowd(np.random.default_rng(seed))
    renumbered = replace(tracks, indices=np.cumsum(1 + np.arange(len(tracks.indices)) % 5))
    same(smooth(renumbered, filter), smooth(tracks, filter))
    later = replace(tracks, times=tracks.times + 1024)
    for a, b in zip(smooth(later, filter).people, smooth(tracks, filter).people, strict=True):
        np.testing.assert_allclose(a.keypoints, b.keypoints, rtol=0, atol=0.01)
    slower = replace(tracks, times=np.cumsum(0.04 + 0.03 * (np.arange(len(tracks.times)) % 2)))
    assert any((a.keypoints != b.keypoints).any() for a, b in zip(
        smooth(slower, filter).people, smooth(tracks, filter).people, strict=True))  # fmt: skip


@every_filter
def test_nothing_goes_across_a_cut(filter):
    points = walk(np.random.default_rng(3), 40)
    tracks = video(somebody(1, points), cuts=[17])
    halves = [smooth(video(somebody(1, part)), filter).people[0] for part in (points[:17], points[17:])]
    wanted = np.concatenate([half.keypoints for half in halves])
    np.testing.assert_allclose(smooth(tracks, filter).people[0].keypoints, wanted, rtol=0, atol=1e-3)
    assert not np.allclose(smooth(video(somebody(1, points)), filter).people[0].keypoints, wanted, atol=1e-3)


@pytest.mark.parametrize("filter", [OneEuro(), SavitzkyGolay(0.5), Butterworth()], ids=str)
@pytest.mark.parametrize(("missing", "apart"), [(1, False), (3, False), (4, True), (20, True)])
def test_a_long_gap_ends_a_curve_and_a_short_one_does_not(filter, missing, apart):
    points = walk(np.random.default_rng(4), 60)
    moved = points.copy()
    moved[:20] += 300
    rows = np.r_[0:20, 20 + missing : 60]
    results = [smooth(video(somebody(1, p[rows], rows=rows)), filter).people[0] for p in (points, moved)]
    alike = np.allclose(results[0].keypoints[20:], results[1].keypoints[20:], atol=1e-3)
    assert alike == apart


@every_filter
def test_a_joint_out_of_sight_ends_its_own_curve_alone(filter):
    points = walk(np.random.default_rng(4), 40, joints=2)
    points[15:25, 0] = np.nan
    smoothed = smooth(video(somebody(1, points)), filter).people[0]
    assert np.isnan(points_of(smoothed)[15:25, 0]).all()
    alone = [smooth(video(somebody(1, part)), filter).people[0] for part in (points[:15, :1], points[25:, :1])]
    wanted = np.concatenate([part.keypoints for part in alone])[:, 0]
    np.testing.assert_allclose(smoothed.keypoints[np.r_[0:15, 25:40], 0], wanted, rtol=0, atol=1e-3)
    other = smooth(video(somebody(1, points[:, 1:])), filter).people[0]
    np.testing.assert_allclose(smoothed.keypoints[:, 1], other.keypoints[:, 0], rtol=0, atol=1e-3)


@every_filter
def test_who_is_in_one_frame_stays_where_they_are(filter):
    tracks = video(somebody(1, [[[5, 6]]]), somebody(2, [[[7, 8]]], rows=[9]), frames=10)
    same(smooth(tracks, filter), tracks)
    same(smooth(video(somebody(1, [[[5, 6]]])), filter), video(somebody(1, [[[5, 6]]])))
    assert smooth(video(frames=5), filter).people == ()
    assert smooth(video(frames=0), filter).people == ()


@every_filter
def test_raw_joints_are_those_before_any_cleaning(filter):
    tracks = video(somebody(1, walk(np.random.default_rng(0), 30)))
    twice = smooth(smooth(tracks, filter), Butterworth(3))
    np.testing.assert_array_equal(twice.people[0].raw, tracks.people[0].keypoints)
    assert twice.people[0].cleaned.all()


def test_time_that_stands_still():
    tracks = video(somebody(1, walk(np.random.default_rng(0), 30)), times=np.zeros(30))
    with pytest.raises(FormatError, match="all frames have the same time"):
        smooth(tracks, Butterworth())
    with pytest.raises(InputError, match="frames a second"):
        smooth(replace(tracks, times=np.arange(30) / 5), Butterworth())
    hiccup = replace(tracks, times=np.r_[0:15, 14:29] / 25)
    assert np.isfinite(smooth(hiccup, Butterworth()).people[0].keypoints).all()


def test_weights_go_by_what_the_score_usually_is():
    scores = np.array([[0.4, 0.8, 0], [0.4, 0.8, 0], [0.2, 1.2, 0], [0.0, 0.8, 0], [0.4, -0.1, 0]])
    wanted = np.array([[1, 1, 1], [1, 1, 1], [0.0625, 1, 1], [0.02, 1, 1], [1, 0.02, 1]])
    np.testing.assert_allclose(weights_of(scores), wanted)


@every_filter
def test_a_joint_hardly_seen_bends_the_curve_less(filter):
    points = np.zeros((31, 1, 2))
    points[:, 0, 0] = np.arange(31)
    points[15, 0, 1] = 60
    bends = []
    for score in (0.9, 0.45, 0.1):
        scores = np.full((31, 1), 0.9)
        scores[15] = score
        bends.append(np.abs(points_of(smooth(video(somebody(1, points, scores)), filter).people[0])[:, 0, 1]).max())
    assert bends[0] > 10 > 5 > bends[1] > bends[2]
    alike = smooth(video(somebody(1, points, scores)), filter, by_score=False)
    unsure = smooth(video(somebody(1, points, 0.3)), filter)  # all alike, if low
    np.testing.assert_array_equal(points_of(alike.people[0]), points_of(unsure.people[0]))


@given(seeds)
def test_leaning_leaves_who_is_seen_as_ever_and_lines_alone(seed):
    rng = np.random.default_rng(seed)
    scores = rng.choice([0.2, 0.8, 0.8, 0.9], (30, 2))
    times = np.cumsum(rng.uniform(0.02, 0.06, 30))
    stretch = Stretch(times, walk(rng, 30, 2), 0.04, 100.0)
    leaned = lean(stretch, scores).points
    sure = weights_of(scores) == 1
    np.testing.assert_allclose(leaned[sure], stretch.points[sure], rtol=0, atol=1e-9)
    line = np.broadcast_to(times[:, None, None] * 50, (30, 2, 2))
    np.testing.assert_allclose(lean(replace(stretch, points=line), scores).points, line, rtol=0, atol=1e-6)


def test_stretches():
    times = np.array([0, 1, 2, 3, 7, 8, 13.6, 14, 14, 15.0])
    scene = np.array([0, 0, 1, 1, 1, 1, 1, 1, 1, 1])
    assert split(times, scene, 1.0, 3) == [slice(0, 2), slice(2, 6), slice(6, 8), slice(8, 10)]
    assert split(times[:0], scene[:0], 1.0, 3) == []
    assert frame_step(video(frames=1)) == 0
    assert frame_step(video(frames=9, times=[0, 1, 2, 3, 10, 11, 12, 12, 13])) == 1


def test_jitter_of_known_curves():
    times = np.cumsum(np.random.default_rng(0).uniform(0.02, 0.06, 20))
    parabola = np.stack([3 * times**2, np.full(20, 9.0)], axis=1)[:, None]
    person = somebody(1, parabola, size=(25, 100))
    assert jitter(video(person, times=times)) == pytest.approx(6 / 50, rel=1e-3)
    assert np.isnan(jitter(video(somebody(1, parabola, 0.1), times=times)))  # nothing seen
    assert np.isnan(jitter(video()))
    cut = video(person, times=times, cuts=range(0, 20, 2))
    assert np.isnan(jitter(cut))
    assert body_size(np.array([[0, 0, 25, 100], [5, 5, 5, 5]], np.float32)).tolist() == [50, 1]
