"""Assignments by component against one assignment over everything, and CLEAR against a plain frame-by-frame loop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from made_people import pair_of, spoiled, walking
from scipy.optimize import linear_sum_assignment

from posetrack.evaluate.clear import Candidates, extra_rows, keep_pairs, switches
from posetrack.evaluate.joints import assign_poses, joint_pairs
from posetrack.evaluate.matching import best_assignment, components

seeds = st.integers(0, 100_000)


@given(seeds)
def test_best_assignment_is_the_best_of_all(seed: int) -> None:
    random = np.random.default_rng(seed)
    n, m = random.integers(1, 9, 2)
    gain = random.random((n, m)) * (random.random((n, m)) < 0.3)
    left, right = np.nonzero(gain)
    chosen = best_assignment(left, right, gain[left, right])
    rows, columns = linear_sum_assignment(-gain)
    assert np.isclose(gain[left, right][chosen].sum(), gain[rows, columns].sum())
    for ends in (left[chosen], right[chosen]):
        assert len(set(ends.tolist())) == len(ends)


def test_components_keep_their_order() -> None:
    alone, rest = components(np.array([0, 1, 2, 2, 3]), np.array([0, 1, 1, 2, 5]))
    assert alone.tolist() == [True, False, False, False, True]
    assert list(rest) == [[1, 2, 3]]
    assert list(components(np.zeros(0, np.int64), np.zeros(0, np.int64))[1]) == []


class Accumulator:
    """CLEAR as its paper and motmetrics tell it, one frame after another, with nothing clever."""

    def __init__(self) -> None:
        self.of_object: dict[int, int] = {}
        self.owner: dict[int, int] = {}
        self.seen_object: set[int] = set()
        self.seen_hypothesis: set[int] = set()
        self.pairs = self.switches = self.extra = 0
        self.distance = self.extra_distance = 0.0

    def update(self, objects: list[int], hypotheses: list[int], distance: np.ndarray) -> None:
        distance = distance.copy()
        done: list[tuple[int, int]] = []
        for i, o in enumerate(objects):
            h = self.of_object.get(o)
            if h in hypotheses and np.isfinite(distance[i, hypotheses.index(h)]):
                j = hypotheses.index(h)
                if j not in [b for _, b in done]:
                    done.append((i, j))
                    self._pair(o, h, distance[i, j])
        for i, j in done:
            distance[i, :] = np.nan
            distance[:, j] = np.nan
        valid = np.isfinite(distance)
        if not valid.any():
            return
        high = 2 * min(distance.shape) * (distance[valid].max() + 1) + 1
        for i, j in zip(*linear_sum_assignment(np.where(valid, distance, high)), strict=True):
            if valid[i, j]:
                self._new(objects[i], hypotheses[j], distance[i, j])

    def _new(self, o: int, h: int, d: float) -> None:
        extra = 0
        if o in self.of_object:
            self.switches += 1
            extra += h not in self.seen_hypothesis
        if h in self.owner and self.owner[h] != o:
            extra += 1 + (o not in self.seen_object)
        self.extra += extra
        self.extra_distance += extra * d
        self.owner[h] = o
        self._pair(o, h, d)

    def _pair(self, o: int, h: int, d: float) -> None:
        self.of_object[o] = h
        self.seen_object.add(o)
        self.seen_hypothesis.add(h)
        self.pairs += 1
        self.distance += d


@given(seeds)
def test_clear_is_the_plain_loop(seed: int) -> None:
    random = np.random.default_rng(seed)
    frames, people = int(random.integers(1, 25)), int(random.integers(1, 7))
    plain = Accumulator()
    rows: list[list[float]] = []
    truths = guesses = 0
    for frame in range(frames):
        objects = [o for o in range(people) if random.random() < 0.8]
        hypotheses = [h for h in random.permutation(people + 2).tolist() if random.random() < 0.7]
        distance = random.random((len(objects), len(hypotheses)))
        distance[random.random(distance.shape) < random.uniform(0.3, 0.95)] = np.nan
        if distance.size:
            plain.update(objects, hypotheses, distance)
        for i, j in zip(*np.nonzero(np.isfinite(distance)), strict=True):
            rows.append([frame, truths + i, guesses + j, objects[i], hypotheses[j], distance[i, j]])
        truths, guesses = truths + len(objects), guesses + len(hypotheses)
    table = np.array(rows).reshape(-1, 6)
    candidates = Candidates(*table[:, :5].astype(np.int64).T, table[:, 5])
    matches = keep_pairs(candidates, "motmetrics")
    assert len(matches) == plain.pairs
    assert switches(matches).sum() == plain.switches
    assert np.isclose(matches.cost.sum(), plain.distance)
    assert extra_rows(matches).sum() == plain.extra
    assert np.isclose((extra_rows(matches) * matches.cost).sum(), plain.extra_distance)


@given(seeds)
def test_poses_belong_to_one_person_and_people_have_one_pose(seed: int) -> None:
    truth = walking(seed=seed)
    pair = pair_of(truth, spoiled(truth, seed))
    owner = assign_poses(pair, joint_pairs(pair))
    taken = owner[owner >= 0]
    assert len(set(taken.tolist())) == len(taken)
    assert (pair.truth.frame[taken] == pair.prediction.frame[owner >= 0]).all()


def test_two_poses_want_one_person() -> None:
    """The better pose gets the person; the other stays alone, although a second person is near (poseval)."""
    truth = walking(frames=1, people=2)
    poses = np.array([truth.keypoints[0], truth.keypoints[0]])
    poses[1, :3] += 100
    poses[1, 3] = truth.keypoints[1, 3]
    pair = pair_of(truth, type(truth).of([0, 0], [1, 2], poses))
    assert assign_poses(pair, joint_pairs(pair)).tolist() == [0, -1]


@given(seeds)
def test_poses_belong_as_poseval_has_it(seed: int) -> None:
    """REFERENCE 5.2 as a plain loop over tables of PCK, on people who stand in each other."""
    random = np.random.default_rng(seed)
    truth = walking(frames=2, people=4, seed=seed)
    points = truth.keypoints - (truth.id * 200 * random.choice([0, 0.02, 1]))[:, None, None] * [1, 0]
    points[random.random(points.shape[:2]) < 0.2] = np.nan
    truth = replace(truth, keypoints=points)
    pair = pair_of(truth, spoiled(replace(truth, keypoints=np.nan_to_num(points, nan=50.0)), seed))
    near = joint_pairs(pair)
    wanted = np.full(len(pair.prediction), -1)
    for frame in range(2):
        guesses, truths = (np.flatnonzero(p.frame == frame) for p in (pair.prediction, pair.truth))
        if not len(guesses) or not len(truths):
            continue
        offset = pair.prediction.keypoints[guesses][:, None] - pair.truth.keypoints[truths][None]
        hits = (np.sqrt(np.square(offset).sum(-1)) / 20 <= 0.5).sum(-1)
        pck = hits / np.maximum(pair.truth.present[truths].sum(-1), 1)
        best = pck.argmax(axis=1)
        pck[np.arange(len(truths)) != best[:, None]] = 0
        for column, row in enumerate(pck.argmax(axis=0)):
            if pck[row, column] > 0:
                wanted[guesses[row]] = truths[column]
    assert assign_poses(pair, near).tolist() == wanted.tolist()
