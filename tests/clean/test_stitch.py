"""Tracks of one person joined across an absence: made walks whose truth is known, and what no tracks may break."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posetrack.appearance import GRAYS, HUES, LOOK_SIZE, PARTS
from posetrack.clean.stitch import Joined, stitch
from posetrack.results.lines import Header
from posetrack.results.trajectories import Trajectories, Trajectory
from posetrack.skeleton import COCO17, Skeleton

FPS, WIDTH, HEIGHT = 25, 640, 360
HEADER = Header({}, {"width": WIDTH, "height": HEIGHT}, COCO17, {})
BODY = np.random.default_rng(0).uniform(-0.4, 0.4, (17, 2)) * (0.6, 1.0)
"""Where joints are about the middle, in body heights."""


def clothes(hue):
    """The look of somebody all in one of the hues."""
    look = np.zeros(LOOK_SIZE, np.float32)
    look[: len(PARTS) * (HUES + GRAYS)].reshape(len(PARTS), -1)[:, hue] = 255
    return look


def walk(id, first, last, start, end, hue=None, height=120, name=None):
    """Somebody who walks evenly from `start` to `end` (x, y of the middle) in the frames first..last."""
    rows = np.arange(first, last + 1)
    share = (rows - first) / max(last - first, 1)
    middles = np.array(start, float) + share[:, None] * (np.array(end, float) - np.array(start, float))
    keypoints = np.ones((len(rows), 17, 3), np.float32)
    keypoints[..., :2] = middles[:, None] + BODY * height
    half = np.array([0.25, 0.5]) * height
    boxes = np.concatenate([middles - half, middles + half], axis=1)
    boxes = np.clip(boxes, 0, (WIDTH, HEIGHT, WIDTH, HEIGHT)).astype(np.float32)
    looks = np.full((len(rows), LOOK_SIZE), np.nan, np.float32)
    if hue is not None:
        looks[:] = clothes(hue)
    scores = np.full(len(rows), 0.9, np.float32)
    sources = np.full(len(rows), "detector")
    return Trajectory(id, rows, keypoints, keypoints, boxes, scores, sources, looks, name)


def video(*people, frames=None, cuts=()):
    """The tracks of a video with these `people`."""
    length = frames or max((int(person.rows[-1]) + 1 for person in people), default=0)
    rows = np.arange(length)
    return Trajectories(HEADER, rows, rows / FPS, np.isin(rows, cuts), people)


def joins(*people, seconds=10.0, **more):
    """Who was joined to whom."""
    return [(join.kept, join.joined) for join in stitch(video(*people, **more), seconds)[1]]


RIGHT, LEFT = (620, 180), (20, 180)


class TestWhoIsJoined:
    def test_whoever_walks_behind_a_wall(self):
        tracks, told = stitch(
            video(walk(3, 0, 50, (100, 180), (220, 180), 2), walk(8, 110, 160, (360, 180), (480, 180), 2))
        )
        assert tracks.ids == (3,)
        assert told == [Joined(3, 8, 2.4)]

    def test_whoever_turns_back_behind_it(self):
        assert joins(walk(1, 0, 50, (100, 180), (220, 180), 2), walk(2, 110, 160, (220, 180), (100, 180), 2)) == [
            (1, 2)
        ]

    @pytest.mark.parametrize("place", [RIGHT, LEFT])
    def test_whoever_leaves_and_returns_in_the_same_clothes(self, place):
        gone = walk(1, 0, 60, (400, 180), RIGHT, 4)
        assert joins(gone, walk(2, 185, 240, place, (320, 180), 4)) == [(1, 2)]
        assert joins(gone, walk(2, 185, 240, place, (320, 180), 1)) == []
        assert joins(gone, walk(2, 185, 240, place, (320, 180))) == []

    def test_whom_the_flow_lost_for_some_frames_by_motion_alone(self):
        assert joins(walk(1, 0, 50, (100, 180), (220, 180)), walk(2, 56, 90, (232, 180), (320, 180))) == [(1, 2)]

    def test_a_chain_has_the_oldest_id(self):
        parts = [
            walk(id, 60 * k, 60 * k + 50, (100 + 100 * k, 180), (190 + 100 * k, 180)) for k, id in enumerate((5, 2, 9))
        ]
        tracks, told = stitch(video(*parts))
        assert tracks.ids == (5,)
        assert told == [Joined(5, 2, 0.4), Joined(5, 9, 0.4)]

    def test_looks_decide_where_two_cross_behind_a_wall(self):
        before = walk(1, 0, 50, (100, 180), (220, 180), 2), walk(2, 0, 50, (520, 180), (400, 180), 6)
        after = walk(3, 90, 140, (330, 180), (450, 180), 2), walk(4, 90, 140, (290, 180), (170, 180), 6)
        assert joins(*before, *after) == [(1, 3), (2, 4)]


class TestWhoIsNot:
    def test_two_in_the_same_clothes_who_could_be_either(self):
        gone = walk(1, 0, 60, (400, 180), RIGHT, 4), walk(2, 0, 60, (500, 180), RIGHT, 4)
        back = walk(3, 185, 240, LEFT, (320, 180), 4), walk(4, 185, 240, LEFT, (320, 180), 4)
        assert joins(*gone, *back) == []
        assert joins(*gone, back[0]) == []

    def test_the_place_tells_two_in_the_same_clothes_apart(self):
        gone = walk(1, 0, 60, (400, 180), RIGHT, 4), walk(2, 0, 60, (200, 180), LEFT, 4)
        back = walk(3, 150, 240, LEFT, (200, 180), 4), walk(4, 150, 240, RIGHT, (400, 180), 4)
        assert joins(*gone, *back) == [(2, 3), (1, 4)]

    @pytest.mark.parametrize(("hue", "told"), [(4, []), (1, [(1, 3)])])
    def test_whoever_may_have_changed_places_with_another_in_the_same_clothes(self, hue, told):
        passing = walk(2, 0, 240, (400, 180), (250, 180), hue)
        hidden = walk(1, 0, 60, (200, 180), (290, 180), 4), walk(3, 130, 240, (330, 180), (480, 180), 4)
        assert joins(*hidden, passing) == told

    def test_different_people_one_after_another(self):
        first = walk(1, 0, 100, (300, 180), RIGHT, 2)
        assert joins(first, walk(2, 110, 200, RIGHT, (300, 180), 5)) == []
        assert joins(walk(1, 0, 100, (300, 180), RIGHT), walk(2, 175, 200, RIGHT, (300, 180))) == []

    def test_of_another_size(self):
        gone = walk(1, 0, 50, (100, 180), (220, 180))
        assert joins(gone, walk(2, 60, 90, (240, 180), (320, 180), height=40)) == []

    def test_somebody_who_begins_where_a_double_goes_on(self):
        other = walk(2, 0, 200, (320, 180), (320, 180), 4)
        assert joins(walk(1, 0, 40, (300, 180), (318, 180), 4), other, walk(3, 60, 90, (322, 180), (322, 180), 4)) == []

    def test_longer_away_than_asked_for(self):
        pair = walk(1, 0, 60, (400, 180), RIGHT, 4), walk(2, 185, 240, RIGHT, (320, 180), 4)
        assert joins(*pair, seconds=4.9) == []
        assert joins(*pair, seconds=5.0) == [(1, 2)]
        assert joins(*pair, seconds=0) == []

    def test_two_whom_a_person_named_differently(self):
        parts = [walk(1, 0, 50, (100, 180), (220, 180), name="Ann"), walk(2, 55, 90, (232, 180), (320, 180), name="Bo")]
        assert joins(*parts) == []
        tracks, _ = stitch(video(replace(parts[0], name=None), parts[1]))
        assert tracks.names == {1: "Bo"}

    def test_people_who_share_a_frame(self):
        assert joins(walk(1, 0, 50, (100, 180), (220, 180), 2), walk(2, 50, 90, (221, 180), (320, 180), 2)) == []


class TestACutBetween:
    def test_the_look_alone_joins_when_it_is_sure(self):
        parts = walk(1, 0, 50, (100, 180), (220, 180), 2), walk(2, 55, 90, (500, 100), (400, 100), 2)
        assert joins(*parts, cuts=[52]) == [(1, 2)]

    def test_motion_says_nothing(self):
        parts = walk(1, 0, 50, (100, 180), (220, 180)), walk(2, 55, 90, (232, 180), (320, 180))
        assert joins(*parts) == [(1, 2)]
        assert joins(*parts, cuts=[52]) == []

    def test_nor_do_half_alike_looks_join(self):
        half = walk(2, 55, 90, (232, 180), (320, 180), 2)
        half.appearance[:] = (clothes(2) + clothes(5)) / 2
        assert joins(walk(1, 0, 50, (100, 180), (220, 180), 2), half, cuts=[52]) == []


def test_little_or_nothing():
    for people in ((), (walk(4, 3, 3, (100, 100), (100, 100)),)):
        tracks, told = stitch(video(*people, frames=5))
        assert tracks.ids == tuple(person.id for person in people)
        assert told == []


def test_a_skeleton_without_limbs_and_a_video_without_size():
    dots = Skeleton("dots", COCO17.joints, (), (), COCO17.sigmas)
    bystander = walk(7, 0, 90, (610, 300), (610, 300))
    tracks = video(walk(1, 0, 50, (100, 180), (220, 180)), walk(2, 52, 90, (224, 180), (320, 180)), bystander)
    tracks = replace(tracks, header=Header({}, {}, dots, {}))
    assert stitch(tracks)[0].ids == (1, 7)


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_no_such_absence(seconds):
    with pytest.raises(ValueError, match="seconds from 0 on"):
        stitch(video(), seconds)


PLACES = st.tuples(st.integers(0, WIDTH), st.integers(60, HEIGHT - 60))


@st.composite
def videos(draw):
    """Some people somewhere, some of them in the same clothes, some cuts."""
    people = []
    for id in draw(st.lists(st.integers(1, 30), max_size=7, unique=True)):
        first = draw(st.integers(0, 150))
        last = first + draw(st.integers(0, 60))
        hue = draw(st.sampled_from([None, 1, 5]))
        people.append(walk(id, first, last, draw(PLACES), draw(PLACES), hue, draw(st.sampled_from([90, 120]))))
    return video(*people, cuts=draw(st.lists(st.integers(0, 200), max_size=2)))


@settings(max_examples=60, deadline=None)
@given(videos(), st.randoms(use_true_random=False))
def test_nothing_but_ids_changes(tracks, random):
    stitched, told = stitch(tracks)
    kept = {join.joined: join.kept for join in told}
    assert len(kept) == len(told) == len(tracks.people) - len(stitched.people)
    assert not set(kept) & set(kept.values())
    parts = {}
    for person in tracks.people:
        parts.setdefault(kept.get(person.id, person.id), []).append(person)
    assert set(stitched.ids) == set(parts)
    assert list(stitched.ids) == sorted(stitched.ids)
    for person in stitched.people:
        assert (np.diff(person.rows) > 0).all()  # nobody is twice in a frame
        pieces = sorted(parts[person.id], key=lambda part: part.rows[0])
        assert pieces[0].id == person.id
        for field in ("rows", "keypoints", "raw", "boxes", "scores", "sources", "appearance"):
            np.testing.assert_array_equal(
                getattr(person, field), np.concatenate([getattr(piece, field) for piece in pieces])
            )
    shuffled = list(tracks.people)
    random.shuffle(shuffled)
    assert stitch(replace(tracks, people=tuple(shuffled)))[1] == told
