"""Similarities of queued people with new poses, and the two ways of matching."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from posetrack.matching import (
    MATCHINGS,
    SIMILARITIES,
    JointTerms,
    Similarity,
    best_similarity,
    greedy_match,
    hungarian_match,
    shape_similarity,
)
from posetrack.propagation import Queued
from posetrack.skeleton import COCO17
from posetrack.types import Floats, Poses

JOINTS = JointTerms(COCO17.sigmas, 0.2, 0.3)
BODY = np.random.default_rng(4).uniform(0, 100, (17, 2))


def poses(*places: tuple[float, float], score: float = 0.9) -> Poses:
    """The same body, 100 by 100 pixels, at some places."""
    keypoints = np.array([np.c_[BODY + place, np.full(17, score)] for place in places], np.float32).reshape(-1, 17, 3)
    corners = np.array(places, np.float32).reshape(-1, 2)
    return Poses(keypoints, np.concatenate([corners, corners + 100], axis=1), np.ones(len(places), np.float32))


def queued(ids: list[int], people: Poses, moved: tuple[float, float] = (0, 0)) -> Queued:
    carried = people.keypoints + np.float32([*moved, 0])
    return Queued(np.array(ids, np.int64), people, carried, people.scores, np.zeros((len(ids), 2), np.float32))


@pytest.mark.parametrize(
    ("matrix", "greedy", "best_sum"),
    [
        ([[0.9, 0.8], [0.8, 0.1]], [(0, 0)], [(0, 1), (1, 0)]),
        ([[0.3, 0.9, 0.8]], [(0, 1)], [(0, 1)]),
        ([[0.5, 0.5], [0.5, 0.5]], [(0, 0), (1, 1)], [(0, 0), (1, 1)]),  # ties go by row, then column
        ([[0.1, 0.0], [0.0, 0.1]], [], []),  # at the threshold is not above it
        ([[]], [], []),
    ],
)
def test_matching(matrix: list[list[float]], greedy: list[tuple[int, int]], best_sum: list[tuple[int, int]]) -> None:
    assert greedy_match(np.array(matrix), 0.1) == greedy
    assert hungarian_match(np.array(matrix), 0.1) == best_sum


@pytest.mark.parametrize("matching", MATCHINGS)
@given(matrix=arrays(np.float64, st.tuples(st.integers(0, 5), st.integers(0, 5)), elements=st.floats(0, 1)))
def test_a_match_is_one_to_one_and_above_the_threshold(matching: str, matrix: Floats) -> None:
    pairs = MATCHINGS[matching](matrix, 0.3)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    assert all(matrix[pair] > 0.3 for pair in pairs)


@pytest.mark.parametrize(
    ("name", "least", "most", "older"),
    [("bbox", 0.599, 0.601, None), ("pose", 0.1, 0.5, None), ("flow", 0.999, 1, None), ("multi-flow", 0.999, 1, 1)],
)
def test_similarities(name: str, least: float, most: float, older: float | None) -> None:
    """Person 1 stood 25 pixels to the left a frame ago; person 2 was seen two frames ago; both are carried exactly."""
    queue = [queued([1], poses((-25, 0)), (25, 0)), queued([2], poses((290, 0)), (10, 0))]
    function, entries = SIMILARITIES[name]
    ids, similarity = best_similarity(function, queue[:entries], poses((0, 0), (300, 0)), JOINTS)
    assert ids.tolist() == ([1] if older is None else [1, 2])
    assert least <= similarity[0, 0] <= most
    assert older is None or similarity[1, 1] == pytest.approx(older)


def test_an_id_is_as_similar_as_its_best_entry_older_ones_counting_less() -> None:
    far, here, nobody = queued([7], poses((400, 400))), queued([7], poses((0, 0))), queued([], poses())
    for queue, expected in (
        ([here, far], 1),
        ([nobody, nobody, here, far], 1),
        ([far, here], 0.8),
        ([far, nobody, here], 0.64),
    ):
        ids, similarity = best_similarity(SIMILARITIES["multi-flow"][0], queue, poses((0, 0)), JOINTS)
        assert ids.tolist() == [7]
        assert similarity[0, 0] == pytest.approx(expected)


def test_joints_count_by_what_is_known_of_them() -> None:
    keypoints = np.array([[[5, 5, 0.9], [5, 5, 0.2], [0, 0, 0], [np.nan, np.nan, 0]]], np.float32)
    assert JOINTS.weights(keypoints)[0] == pytest.approx([1, 0.3, 0, 0])


def test_people_hidden_altogether_are_still_compared() -> None:
    queue = [queued([1], poses((0, 0), score=0))]
    similarity = best_similarity(SIMILARITIES["flow"][0], queue, poses((0, 0), (200, 0), score=0), JOINTS)[1]
    assert similarity[0] == pytest.approx([1, 0], abs=1e-3)


def test_shape_forgives_a_move_and_nothing_else() -> None:
    entry = queued([1], poses((0, 0)))
    moved, mirrored = poses((30, 0)), poses((0, 0))
    mirrored.keypoints[..., 0] = 100 - mirrored.keypoints[..., 0]
    assert shape_similarity(entry, moved, JOINTS)[0, 0] == pytest.approx(np.exp(-(0.3**2) / (2 * 0.5**2)), abs=1e-4)
    assert SIMILARITIES["flow"][0](entry, moved, JOINTS)[0, 0] < 0.5
    assert shape_similarity(entry, mirrored, JOINTS)[0, 0] < 0.4
    assert shape_similarity(entry, poses((300, 0)), JOINTS)[0, 0] < 1e-3
    assert shape_similarity(entry, poses((0, 0), score=0.9), JOINTS)[0, 0] == pytest.approx(1)


@pytest.mark.parametrize("function", [shape_similarity, *(function for function, _ in SIMILARITIES.values())])
def test_nobody_is_like_nobody(function: Similarity) -> None:
    someone, nobody = queued([1], poses((0, 0))), poses()
    assert best_similarity(function, [someone], nobody, JOINTS)[1].shape == (1, 0)
    assert best_similarity(function, [queued([], nobody)], poses((0, 0)), JOINTS)[1].shape == (0, 1)
    assert best_similarity(function, [], poses((0, 0)), JOINTS)[1].shape == (0, 1)
