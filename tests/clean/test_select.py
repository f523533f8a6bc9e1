"""Who stays, and that nothing happens to them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moving import VIDEO, crowd, same, shuffled, somebody, video

from posetrack.clean.select import KEEP, keep, keep_ids, max_people, min_frames, region, seen_frames
from posetrack.errors import FormatError, InputError

seeds = st.integers(0, 2**32 - 1)


def at(x, y, n=10, joints=2):
    """Joints that stay at one place."""
    return np.broadcast_to(np.array([x, y], float), (n, joints, 2))


def test_min_frames_counts_who_was_seen():
    seen, filled = somebody(1, at(9, 9, 6)), somebody(2, at(9, 9, 6))
    sources = filled.sources.copy()
    sources[2] = "fill"
    filled = replace(filled, sources=sources)
    tracks = video(seen, filled)
    assert (seen_frames(seen), seen_frames(filled)) == (6, 5)
    assert min_frames(tracks, 6).ids == (1,)
    assert min_frames(tracks, 5).ids == (1, 2)
    assert min_frames(tracks, 7).ids == ()


def test_max_people_keeps_the_best_tracks_in_every_frame():
    people = [
        somebody(1, at(0, 0, 10), score=0.5),  # 5.0 in all
        somebody(2, at(0, 0, 4), score=0.9, rows=[0, 1, 2, 3]),  # 3.6
        somebody(3, at(0, 0, 8), score=0.8, rows=range(2, 10)),  # 6.4
        somebody(4, at(0, 0, 4), score=0.9, rows=[0, 1, 2, 3]),  # 3.6, too: after 2
    ]
    left = max_people(video(*people), 2)
    assert {p.id: p.rows.tolist() for p in left.people} == {
        1: list(range(10)), 2: [0, 1], 3: list(range(2, 10)),
    }  # fmt: skip
    assert max_people(video(*people), 4).ids == (1, 2, 3, 4)


def test_region_goes_by_frame_edges_included():
    points = np.arange(8)[:, None, None] * np.array([10.0, 0.0]) + np.zeros((1, 2, 1))
    tracks = video(somebody(1, points), somebody(2, at(500, 500, 8)))
    left = region(tracks, 20, -5, 30, 10)
    assert left.ids == (1,)
    assert left.people[0].rows.tolist() == [2, 3, 4, 5]
    assert len(left.times) == 8


@pytest.mark.parametrize(
    ("which", "wanted"), [("longest", 1), ("largest", 2), ("centre", 3), ("most-moving", 4)]
)
def test_keep(which, wanted):
    rng = np.random.default_rng(0)
    swing = at(100, 100, 50) + 30 * np.sin(np.arange(50) / 6)[:, None, None]
    people = [
        somebody(1, at(50, 50, 60)),
        somebody(2, at(50, 300, 50), size=(100, 200)),
        somebody(3, at(320, 180, 50) + rng.normal(0, 3, (50, 2, 2))),  # jitters, but stays
        somebody(4, swing),
        somebody(5, at(319.5, 179.5, 9), size=(500, 300)),  # a flash
    ]
    assert keep(video(*people), which).ids == (wanted,)
    assert keep(video(*people[::-1]), which).ids == (wanted,)
    assert keep(video(frames=9), which).ids == ()


def test_equals_go_by_the_lower_id():
    twins = video(somebody(7, at(50, 50)), somebody(3, at(50, 50)))
    assert all(keep(twins, which).ids == (3,) for which in KEEP)


def test_movement_is_measured_in_time_within_a_scene():
    fast = np.linspace(0, 100, 50)[:, None, None] * np.ones((50, 2, 2))
    jump = np.concatenate([at(0, 0, 25), at(600, 300, 25)])
    runner, jumper = somebody(1, fast), somebody(2, jump)
    assert keep(video(runner, jumper), "most-moving").ids == (2,)
    assert keep(video(runner, jumper, cuts=[25]), "most-moving").ids == (1,)
    assert keep(video(somebody(1, fast, scores=0.1), somebody(2, at(0, 0, 50) + 1.0)), "most-moving").ids == (1,)


def test_the_centre_needs_the_size_of_the_picture():
    tracks = video(somebody(1, at(0, 0)))
    header = replace(tracks.header, video={**VIDEO, "width": None})
    with pytest.raises(FormatError, match="does not tell the picture's width"):
        keep(replace(tracks, header=header), "centre")


def test_keep_ids():
    tracks = video(*(somebody(i, at(0, 0)) for i in (1, 4, 9)))
    assert keep_ids(tracks, [9, 1]).ids == (1, 9)
    with pytest.raises(InputError, match="no person 2 to keep, only 1, 4, 9"):
        keep_ids(tracks, [1, 2])
    with pytest.raises(InputError, match="only nobody"):
        keep_ids(video(frames=3), [1])


SELECTIONS = {
    "min-frames": lambda tracks: min_frames(tracks, 21),
    "max-people": lambda tracks: max_people(tracks, 2),
    "region": lambda tracks: region(tracks, 100, 100, 150, 150),
    **{which: lambda tracks, which=which: keep(tracks, which) for which in KEEP},
    "ids": lambda tracks: keep_ids(tracks, sorted(tracks.ids)[:2]),
}


@pytest.mark.parametrize("select", SELECTIONS.values(), ids=SELECTIONS)
@settings(max_examples=12)
@given(seeds, st.permutations(range(3)))
def test_nothing_changes_about_those_who_stay(select, seed, order):
    tracks = crowd(np.random.default_rng(seed))
    left = select(tracks)
    by_id = {person.id: person for person in tracks.people}
    for person in left.people:
        assert len(person)
        before = by_id[person.id]
        kept = np.isin(before.rows, person.rows)
        same(video(before[kept]), video(person))
    np.testing.assert_array_equal(left.times, tracks.times)
    again = select(shuffled(tracks, [i for i in order if i < len(tracks.people)]))
    assert sorted(again.ids) == sorted(left.ids)
    assert {p.id: p.rows.tolist() for p in again.people} == {p.id: p.rows.tolist() for p in left.people}


@settings(max_examples=12)
@given(seeds, st.integers(1, 4))
def test_never_more_people_than_asked_for(seed, most):
    tracks = max_people(crowd(np.random.default_rng(seed)), most)
    assert all(len(frame.people) <= most for frame in tracks.frames())


