"""Corrections as relabellings: against the same row by row, and what they promise."""

from itertools import pairwise, permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rows import PlainRows, edits, frames, presence, videos

from posetrack.review.edits import Piece, Relabelling
from posetrack.review.verbs import VERBS, Delete, Merge, Name, Split, Swap, edit_record, parse_edit

sequences = st.lists(edits, max_size=12)
TWO = [(0, {1}), (1, {1, 2}), (2, {1, 2}), (3, {1, 2}), (4, {2})]
APART = [(0, {1}), (1, {1}), (2, set()), (3, {2}), (4, {2})]


def start(video, names=None):
    return Relabelling.start(presence(video), names)


def shown(state, video):
    """Every (original, frame) with the id that it is shown under."""
    return {(id, frame): state.shown(id, frame) for frame, here in video for id in here}


def tried(state, edit):
    """The state after `edit`, or None when it is refused."""
    try:
        return state.apply(edit)
    except ValueError:
        return None


def after(video, sequence):
    """The state after those of the edits that are not refused."""
    state = start(video)
    for edit in sequence:
        state = tried(state, edit) or state
    return state


@settings(max_examples=400)
@given(videos(), sequences)
def test_the_same_as_row_by_row(video, sequence):
    state, plain = start(video), PlainRows(video)
    for edit in sequence:
        new = tried(state, edit)
        assert (new is not None) == plain.apply(edit), edit
        state = new or state
        assert shown(state, video) == plain.shown
    assert state.next_id == plain.next_id
    assert set(state.ids) == {id for id in plain.shown.values() if id is not None}


@settings(max_examples=200)
@given(videos(), sequences)
def test_nobody_shares_an_id_in_a_frame_and_ids_are_new(video, sequence):
    state = start(video)
    for edit in sequence:
        new = tried(state, edit) or state
        for _, here in video:
            seen = [id for id in (new.shown(one, _) for one in here) if id is not None]
            assert len(set(seen)) == len(seen)
        fresh = set(new.ids) - set(state.ids) - {joint.gone for joint in state.joins}
        assert all(id >= state.next_id for id in fresh)
        assert max(new.ids, default=0) < new.next_id
        assert new.names.keys() <= set(new.ids)
        state = new


@given(videos(), sequences)
def test_swapping_twice_is_nothing(video, sequence):
    before = after(video, sequence)
    for (a, b), (frame, _) in product(permutations(before.ids, 2), video):
        once = tried(before, Swap((a, b), frame))
        if once:
            assert once != before
            assert once.apply(Swap((a, b), frame)) == before
            assert once.apply(Swap((b, a), frame)) == before


@settings(max_examples=200)
@given(videos(), sequences)
def test_merging_then_splitting_at_the_joint_gives_back_what_was(video, sequence):
    before = after(video, sequence)
    for a, b in permutations(before.ids, 2):
        merged = tried(before, Merge(a, b))
        if merged:
            rows = [[row[1] for row, one in shown(before, video).items() if one == id] for id in (a, b)]
            (first_a, last_a), (first_b, last_b) = ((min(held), max(held)) for held in rows)
            if last_a < first_b or last_b < first_a:
                assert merged.apply(Split(b, max(first_a, first_b))) == before


@given(videos(), sequences, st.none() | frames, st.none() | frames)
def test_deleting_touches_no_other(video, sequence, first, last):
    before = after(video, sequence)
    for id in before.ids:
        gone = tried(before, Delete(id, first, last)) or before.apply(Delete(id))
        was, now = shown(before, video), shown(gone, video)
        assert all(now[row] == one for row, one in was.items() if one != id)
        assert {other: name for other, name in before.names.items() if other != id}.items() <= gone.names.items()
        assert id not in before.apply(Delete(id)).ids


@given(videos(), sequences)
def test_applying_leaves_the_state_as_it_was(video, sequence):
    state = start(video)
    before = (dict(state.moved), dict(state.names), state.joins, state.next_id)
    for edit in sequence:
        tried(state, edit)
    assert (state.moved, state.names, state.joins, state.next_id) == before


@given(videos(), sequences)
def test_pieces_tell_frames_that_hold_the_original_and_neighbours_differ(video, sequence):
    state = after(video, sequence)
    held = {id: [frame for frame, here in video if id in here] for id in state.presence.ids}
    for original, pieces in state.moved.items():
        assert pieces[0].first == held[original][0]
        assert pieces[-1].last == held[original][-1]
        assert pieces != (Piece(held[original][0], held[original][-1], original),)
        for piece in pieces:
            assert {piece.first, piece.last} <= set(held[original])
        for one, next in pairwise(pieces):
            assert one.shown != next.shown
            assert held[original].index(next.first) == held[original].index(one.last) + 1


@given(edits)
def test_an_edit_is_the_same_after_a_line_of_json(edit):
    assert parse_edit(edit_record(edit)) == edit


@pytest.mark.parametrize(
    ("video", "edit", "reason"),
    [
        (TWO, Swap((1, 1), 0), "1 cannot be swapped with itself"),
        (TWO, Swap((1, 7), 0), "there is no id 7"),
        (TWO, Swap((1, 2), 5), "neither 1 nor 2 is there from frame 5 on"),
        (APART, Swap((1, 2), 2), "1 ends before frame 2 and 2 begins after: merge them instead"),
        (APART, Swap((2, 1), 3), "1 ends before frame 3 and 2 begins after: merge them instead"),
        (TWO, Merge(1, 1), "1 cannot be merged with itself"),
        (TWO, Merge(3, 1), "there is no id 3"),
        (TWO, Merge(1, 2), "1 and 2 are both in frame 1: one person is not in two places; delete one there first"),
        (TWO, Split(2, 1), "2 is not there before frame 1: there is nothing to split"),
        (TWO, Split(1, 4), "1 is not there from frame 4: there is nothing to split"),
        (TWO, Delete(9), "there is no id 9"),
        (APART, Delete(1, 2), "1 is in none of these frames"),
        (APART, Delete(2, None, 2), "2 is in none of these frames"),
        (TWO, Name(4, "Anna"), "there is no id 4"),
        ([(0, set())], Delete(1), "there is no id 1"),
        ([], Delete(1), "there is no id 1"),
    ],
)
def test_what_makes_no_sense_is_refused_and_says_why(video, edit, reason):
    with pytest.raises(ValueError, match=f"^{reason}$"):
        start(video).apply(edit)


def test_a_split_gives_a_new_id_and_never_an_old_one():
    state = start(TWO).apply(Delete(2)).apply(Split(1, 2))
    assert state.ids == (1, 3)
    assert state.apply(Delete(3)).apply(Split(1, 1)).ids == (1, 4)


def test_two_merges_come_apart_in_any_order():
    video = [(0, {1}), (1, {2}), (2, {3})]
    before = start(video)
    both = before.apply(Merge(3, 2)).apply(Merge(2, 1))
    assert both.ids == (1,)
    assert both.apply(Split(1, 1)).apply(Split(2, 2)) == before
    assert both.apply(Split(1, 2)).apply(Split(1, 1)) == before


def test_a_split_beside_the_joint_is_a_new_id():
    state = start([(0, {1}), (1, {1}), (2, {2}), (3, {2})]).apply(Merge(2, 1))
    assert state.apply(Split(1, 1)).ids == (1, 3)
    assert state.apply(Split(1, 3)).ids == (1, 3)


@pytest.mark.parametrize(
    ("names", "merged"), [({}, {}), ({1: "A"}, {1: "A"}), ({2: "B"}, {1: "B"}), ({1: "A", 2: "B"}, {1: "A"})]
)
def test_names_go_with_a_merge_and_come_back_with_the_split(names, merged):
    before = start(APART, names)
    once = before.apply(Merge(2, 1))
    assert once.names == merged
    assert once.apply(Split(1, 3)) == before


def test_a_name_can_be_changed_and_taken_away():
    state = start(TWO, {2: "Ben"}).apply(Name(1, "Anna")).apply(Name(2, "Bert"))
    assert state.names == {1: "Anna", 2: "Bert"}
    assert state.apply(Name(1, "")).names == {2: "Bert"}
    assert state.apply(Delete(2)).names == {1: "Anna"}


def test_what_a_page_is_told():
    state = start(TWO).apply(Swap((1, 2), 2)).apply(Delete(1, 4)).apply(Name(2, "Ben"))
    assert state.table() == {
        "moved": {"1": [[0, 1, 1], [2, 3, 2]], "2": [[1, 1, 2], [2, 3, 1], [4, 4, None]]},
        "names": {"2": "Ben"},
        "next_id": 3,
    }
    assert [tuple(span) for span in state.spans(2)] == [(2, 1, 1), (1, 2, 3)]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ([], "an edit is an object with a verb"),
        ({}, "verb: None is none of swap, merge, split, delete, name"),
        ({"verb": "paint", "id": 1}, "verb: 'paint' is none of swap, merge, split, delete, name"),
        ({"verb": ["swap"]}, r"verb: \['swap'\] is none of .*"),
        ({"verb": "split", "id": 1}, "split: 'frame' is missing"),
        ({"verb": "merge", "id": 1, "into": 2, "at": 3}, "merge: 'at' is not a field of it"),
        ({"verb": "split", "id": 0, "frame": 1}, "split, id: 0 is not a whole number from 1"),
        ({"verb": "split", "id": True, "frame": 1}, "split, id: True is not a whole number from 1"),
        ({"verb": "split", "id": 1, "frame": -1}, "split, frame: -1 is not a whole number from 0"),
        ({"verb": "split", "id": 1, "frame": 1.0}, "split, frame: 1.0 is not a whole number from 0"),
        ({"verb": "swap", "ids": [1], "frame": 1}, r"swap, ids: \[1\] are not two ids"),
        ({"verb": "swap", "ids": "12", "frame": 1}, "swap, ids: '12' are not two ids"),
        ({"verb": "delete", "id": 1, "first": None}, "delete, first: None is not a whole number from 0"),
        ({"verb": "name", "id": 1, "name": 5}, "name, name: 5 is not a name of one line"),
        ({"verb": "name", "id": 1, "name": "a\nb"}, r"name, name: 'a\\nb' is not a name of one line"),
    ],
)
def test_what_is_no_edit_is_refused_and_says_why(record, reason):
    with pytest.raises(ValueError, match=f"^{reason}$"):
        parse_edit(record)


def test_every_verb_has_a_record():
    assert {edit_record(kind(*range(1, 1 + len(kind.__match_args__))))["verb"] for kind in VERBS.values()} == set(VERBS)


@given(videos(), st.integers(0, 44))
def test_presence_finds_frames_as_a_list_does(video, frame):
    found = presence(video)
    assert found.frames.tolist() == [number for number, _ in video]
    for id in found.ids:
        held = [number for number, here in video if id in here]
        assert (found.first(id), found.last(id)) == (held[0], held[-1])
        assert found.from_frame(id, frame) == next((f for f in held if f >= frame), None)
        assert found.before_frame(id, frame) == next((f for f in reversed(held) if f < frame), None)
        starts, ends = found.between(id, held[0], held[-1])
        inside = [f for f, _ in video if ((starts <= f) & (f <= ends)).any()]
        assert inside == held
        assert np.all(starts[1:] > ends[:-1])
