"""Suspects: ids spoilt on purpose are found where they are, and people who just walk are left alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posetrack.appearance import LOOK_SIZE
from posetrack.review.edits import Relabelling
from posetrack.review.presence import PresenceBuilder
from posetrack.review.suspects import AHEAD, AT_ONCE, BEHIND, MOST, SuspectFinder, settled
from posetrack.review.verbs import Delete, Merge, Name, Split, Swap

STANDING = np.random.default_rng(3).uniform((-20, -60), (20, 60), (17, 2))
JUMPSUITS = np.random.default_rng(4).integers(0, 40, (4, LOOK_SIZE))
for suit, hue in zip(JUMPSUITS, (0, 3, 5, 7), strict=True):
    suit[[hue, hue + 12]] = 255


def somebody(id, x, y, look=None):
    """Somebody around x, y, as a record of a file."""
    joints = STANDING + np.array([x, y])
    corner = joints.min(axis=0)
    record = {
        "id": id,
        "score": 0.9,
        "from": "detector",
        "keypoints": np.column_stack([joints, np.full(17, 0.9)]).tolist(),
        "box": [*corner, *(joints.max(axis=0) - corner)],
    }
    return record if look is None else {**record, "appearance": JUMPSUITS[look].tolist()}


def walk(count, looks=False, noise=1.0, seed=0):
    """Three people who walk up and down and pass each other."""
    rng = np.random.default_rng(seed)
    for i in range(count):
        places = [(300 + 200 * np.sin(i / 40 + n), 200 + 5 * n) for n in range(3)]
        people = [
            somebody(n + 1, *(place + rng.normal(0, noise, 2)), look=n if looks and i % 5 == 0 else None)
            for n, place in enumerate(places)
        ]
        yield {"index": i, "time": i / 25, "people": people}


def renamed(frames, begin, names):
    """The frames with other ids from `begin` on; None: nobody."""
    for frame in frames:
        if frame["index"] >= begin:
            people = [{**one, "id": names.get(one["id"], one["id"])} for one in frame["people"]]
            frame = {**frame, "people": [one for one in people if one["id"] is not None]}
        yield frame


def suspects(frames, joints=17, picture=None):
    finder = SuspectFinder(joints, picture)
    for frame in frames:
        finder.add(frame)
    return finder.done()


WHOLE = BEHIND + AT_ONCE + AHEAD
EDGES = (10, BEHIND, AT_ONCE, WHOLE - AHEAD - 1, WHOLE - AHEAD, WHOLE - 1, WHOLE, WHOLE + 1, AT_ONCE + WHOLE, 795)


def test_people_who_walk_and_pass_each_other_are_not_suspect():
    assert suspects(walk(800)) == []
    assert suspects(walk(800, looks=True)) == []


@pytest.mark.parametrize("begin", EDGES)
def test_a_swap_is_the_first_suspect_wherever_it_is(begin):
    found = suspects(renamed(walk(800), begin, {1: 3, 3: 1}))
    assert (found[0].frame, found[0].ids, found[0].kind) == (begin, (1, 3), "exchange")
    assert found[0].score > 0.5
    assert len(found) == 1


@pytest.mark.parametrize("begin", EDGES)
def test_somebody_who_goes_on_under_a_new_id_is_found_where_that_begins(begin):
    found = suspects(renamed(walk(800), begin, {2: 9}))
    assert (found[0].frame, found[0].ids, found[0].kind) == (begin, (9, 2), "birth")
    assert {one.kind for one in found[1:]} <= {"short"}


@pytest.mark.parametrize("begin", [20, 300, 500])
def test_an_id_that_goes_on_in_the_place_of_somebody_who_vanishes_is_a_jump(begin):
    found = suspects(renamed(walk(800), begin, {1: None, 3: 1}))
    assert (found[0].frame, found[0].ids, found[0].kind) == (begin, (1, 3), "jump")


def test_a_new_id_after_an_absence_is_less_suspect_and_none_after_long():
    def away(seconds):
        gone = renamed(renamed(walk(200, noise=0), 50, {2: 9}), 50, {})
        kept = ({**f, "people": [p for p in f["people"] if p["id"] != 9 or f["time"] >= 2 + seconds]} for f in gone)
        return [one.score for one in suspects(kept) if one.kind == "birth"]

    scores = [away(seconds) for seconds in (0, 0.2, 0.4)]
    assert scores[0] > scores[1] > scores[2]
    assert away(4) == []


def test_only_looks_tell_when_two_change_places_while_they_are_away():
    def hidden(looks):
        frames = renamed(walk(300, looks, noise=0), 150, {1: 3, 3: 1})
        return suspects({**f, "people": [] if 100 <= f["index"] < 150 else f["people"]} for f in frames)

    assert hidden(looks=False) == []
    found = hidden(looks=True)
    assert found
    assert all(set(one.ids) == {1, 3} for one in found)
    assert all(one.kind == "look" and 95 <= one.frame <= 150 and one.score > 0.5 for one in found)


def test_looks_raise_and_lower_what_places_say():
    plain, dressed = (suspects(renamed(walk(200, looks), 100, {1: 3, 3: 1}))[0] for looks in (False, True))
    assert dressed.score > plain.score
    same = ({**f, "people": [somebody(p["id"], 300 + (200 * p["id"] if f["index"] >= 100 else 0), 200, look=0)
                             for p in f["people"][:1]]} for f in walk(200))  # fmt: skip
    jump = ({**f, "people": [somebody(p["id"], 300 + (200 * p["id"] if f["index"] >= 100 else 0), 200)
                             for p in f["people"][:1]]} for f in walk(200))  # fmt: skip
    assert suspects(same)[0].score < suspects(jump)[0].score


def test_looks_of_another_kind_say_nothing():
    frames = [
        {**frame, "people": [{**one, "appearance": [n, 255 - n]} for n, one in enumerate(frame["people"])]}
        for frame in renamed(walk(100), 50, {1: 3, 3: 1})
    ]
    plain = suspects(renamed(walk(100), 50, {1: 3, 3: 1}))
    assert suspects(frames) == plain


def test_nothing_is_suspect_about_a_cut():
    frames = ({**f, "cut": f["index"] == 60} for f in renamed(renamed(walk(120), 60, {1: 3, 3: 1}), 60, {2: 9}))
    assert suspects(frames) == []


def test_a_picture_that_pans_at_once_makes_nobody_jump():
    def panned(frame):
        shift = 150 * (frame["index"] >= 60)
        people = [
            {**one, "keypoints": [[x + shift, y, s] for x, y, s in one["keypoints"]],
             "box": [one["box"][0] + shift, *one["box"][1:]]}
            for one in frame["people"]
        ]  # fmt: skip
        return {**frame, "people": people}

    assert suspects(map(panned, walk(120))) == []


def test_an_id_for_a_moment_is_a_little_suspect_but_not_at_the_ends_of_the_file():
    def visited(first, last):
        stranger = somebody(7, 900, 900)
        return suspects(
            {**f, "people": [*f["people"], stranger] if first <= f["index"] <= last else f["people"]} for f in walk(99)
        )

    (found,) = visited(50, 52)
    assert (found.frame, found.ids, found.kind) == (50, (7,), "short")
    assert found.score < 0.15
    assert visited(0, 2) == visited(96, 98) == visited(50, 60) == []


def test_jumps_at_the_edge_of_the_picture_count_half():
    def entering(picture):
        frames = ({"index": i, "time": i / 25, "people": [somebody(1, 30 if i < 50 else 140, 300)]} for i in range(99))
        return suspects(frames, picture=picture)[0].score

    assert entering((1000, 600)) == entering(None)
    assert entering((141 + STANDING[:, 0].max(), 600)) == pytest.approx(entering(None) / 2, abs=1e-4)


@pytest.mark.parametrize("frames", [[], [{"index": 4, "time": 0.0, "people": []}],
                                    [{"index": 4, "time": 0.0, "people": [somebody(1, 9, 9)]}],
                                    [{"index": i, "time": 0.0, "people": []} for i in range(WHOLE + 3)]])  # fmt: skip
def test_nobody_no_frame_one_frame(frames):
    assert suspects(frames) == []


def test_times_that_do_not_tell_are_taken_as_25_frames_a_second():
    frames = list(renamed(walk(120), 60, {1: 3, 3: 1}))
    assert suspects({**frame, "time": 0.0} for frame in frames) == suspects(frames)


def test_joints_without_a_place():
    def blinded(frame):
        people = [
            {**one, "keypoints": [[None, None, 0.0] if (n + frame["index"]) % 3 else joint
                                  for n, joint in enumerate(one["keypoints"])]}
            for one in frame["people"]
        ]  # fmt: skip
        return {**frame, "people": people}

    assert suspects(map(blinded, walk(100))) == []
    found = suspects(map(blinded, renamed(walk(100), 50, {1: 3, 3: 1})))
    assert found[0].frame == 50
    assert set(found[0].ids) <= {1, 3}
    nowhere = ({**f, "people": [{**p, "keypoints": [[None, None, 0]] * 17} for p in f["people"]]} for f in walk(60))
    suspects(nowhere)


@settings(max_examples=10)
@given(st.permutations([0, 1, 2]), st.integers(1, 60))
def test_the_order_of_people_and_their_numbers_do_not_matter(order, begin):
    frames = list(renamed(walk(61), begin, {1: 3, 3: 1}))
    shuffled = ({**frame, "people": [frame["people"][n] for n in order]} for frame in frames)
    assert suspects(shuffled) == suspects(frames)
    found = suspects(renamed(frames, 0, {1: 50, 2: 40, 3: 60}))
    assert [one.frame for one in found] == [one.frame for one in suspects(frames)]


def test_of_chaos_the_likeliest_are_kept():
    rng = np.random.default_rng(0)
    frames = (
        {"index": i, "time": i / 25, "people": [somebody(n, *rng.uniform(0, 3000, 2)) for n in range(1, 30)]}
        for i in range(120)
    )
    found = suspects(frames)
    assert 100 < len(found) <= MOST
    assert found == sorted(found, key=lambda one: -one.score)


def test_a_suspect_as_json():
    found = suspects(renamed(walk(100), 50, {1: 3, 3: 1}))[0]
    assert found.record() == {"frame": 50, "ids": [1, 3], "kind": "exchange", "score": found.score}


def state_of(frames):
    builder = PresenceBuilder()
    for frame in frames:
        builder.add(frame["index"], [one["id"] for one in frame["people"]])
    return Relabelling.start(builder.done())


STRANGER = ({**f, "people": [*f["people"], *[somebody(7, 900, 900)] * (50 <= f["index"] < 53)]} for f in walk(99))


@pytest.mark.parametrize(
    ("frames", "kind", "helps", "does_not"),
    [
        (renamed(walk(99), 50, {1: 3, 3: 1}), "exchange", Swap((1, 3), 50), Swap((1, 2), 20)),
        (renamed(walk(99), 50, {1: 3, 3: 1}), "exchange", Split(1, 50), Swap((1, 3), 20)),
        (renamed(walk(99), 50, {1: 3, 3: 1}), "exchange", Delete(1), Delete(2)),
        (renamed(walk(99), 50, {1: None, 3: 1}), "jump", Split(1, 50), Delete(3)),
        (renamed(walk(99), 50, {2: 9}), "birth", Merge(9, 2), Split(9, 70)),
        (renamed(walk(99), 50, {2: 9}), "birth", Merge(2, 9), Name(9, "Anna")),
        (renamed(walk(99), 50, {2: 9}), "birth", Delete(2), Delete(1)),
        (STRANGER, "short", Delete(7), Name(7, "Anna")),
    ],
)
def test_what_was_corrected_is_settled(frames, kind, helps, does_not):
    frames = list(frames)
    found, state = suspects(frames)[0], state_of(frames)
    assert found.kind == kind
    assert not settled(found, state)
    assert not settled(found, state.apply(does_not))
    assert settled(found, state.apply(helps))
