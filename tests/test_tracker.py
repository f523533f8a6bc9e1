"""The tracker frame by frame: who gets which id, what flow and files add, and what an interruption must not change."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posetrack.skeleton import COCO17
from posetrack.tracker import PoseTracker, TrackerSettings, unify
from posetrack.types import Boxes, Floats, Frame, Image, Person, Poses

WIDTH, HEIGHT = 640, 480
BODY = np.random.default_rng(4).uniform(0, 100, (17, 2))
STILL = np.zeros((HEIGHT, WIDTH, 2), np.float32)


def frame(index: int = 0) -> Frame:
    return Frame(index, index / 25, np.zeros((HEIGHT, WIDTH, 3), np.uint8))


def boxes(*rows: tuple[float, ...]) -> Boxes:
    """Boxes of x1, y1, x2, y2, score."""
    values = np.array(rows, np.float32).reshape(-1, 5)
    return Boxes(values[:, :4], values[:, 4])


def body(box: Floats, score: float) -> Floats:
    places = box[:2] + BODY / 100 * (box[2:] - box[:2])
    return np.c_[places, np.full(17, score)].astype(np.float32)


def poses(*places: tuple[float, float], score: float = 1) -> Poses:
    """The same body, 100 by 100 pixels, at some places."""
    xyxy = np.array([(x, y, x + 100, y + 100) for x, y in places], np.float32).reshape(-1, 4)
    keypoints = np.array([body(box, 0.9) for box in xyxy], np.float32).reshape(-1, 17, 3)
    return Poses(keypoints, xyxy, np.full(len(places), score, np.float32))


def estimate(image: Image, found: Boxes) -> Poses:
    """A network that sees the same body in every box, its joints at 0.9."""
    keypoints = np.array([body(box, 0.9) for box in found.xyxy], np.float32).reshape(-1, 17, 3)
    return Poses(keypoints, found.xyxy, (found.scores * np.float32(0.9)).astype(np.float32))


def ids(people: list[Person]) -> list[int]:
    return [person.id for person in people]


def test_nobody_in_nobody_out() -> None:
    tracker = PoseTracker(COCO17)
    for flow in (None, STILL):
        assert tracker.step(frame(), Boxes.empty(), flow, estimate) == []
        assert tracker.step(frame(), Poses.empty(17), flow, None) == []
        assert tracker.step(frame(), Boxes.empty(), flow, None) == []


def test_people_keep_their_ids_and_new_ones_get_new_ids() -> None:
    tracker = PoseTracker(COCO17)
    assert ids(tracker.step(frame(0), poses((0, 0), (300, 0)), None, None)) == [1, 2]
    assert ids(tracker.step(frame(1), poses((305, 0), (5, 0), (150, 300)), None, None)) == [1, 2, 3]
    assert ids(tracker.step(frame(2), poses((310, 0)), None, None)) == [2]
    people = tracker.step(frame(3), poses((315, 0), (15, 0), (500, 300)), None, None)
    assert [(person.id, person.box[0]) for person in people] == [(1, 15), (2, 315), (4, 500)]


def test_who_is_gone_for_longer_than_the_queue_gets_a_new_id() -> None:
    for gap, expected in ((3, [1]), (4, [2])):
        tracker = PoseTracker(COCO17, TrackerSettings(queue_length=3))
        for index in range(gap + 1):
            people = tracker.step(frame(index), poses(*[(0, 0)] * (index in (0, gap))), None, None)
        assert ids(people) == expected


def test_a_person_is_carried_by_its_velocity_or_not_at_all() -> None:
    for motion, expected in (("velocity", [1]), ("none", [2])):
        tracker = PoseTracker(COCO17, TrackerSettings(motion=motion, recovery_threshold=1))  # type: ignore[arg-type]
        for index, x in enumerate((0, 8, 16, 24)):
            tracker.step(frame(index), poses((x, 0)), None, None)
        for index in range(4, 9):
            tracker.step(frame(index), poses(), None, None)
        assert ids(tracker.step(frame(9), poses((72, 0)), None, None)) == expected


def test_the_second_round_finds_who_jumped() -> None:
    for threshold, expected in ((0.4, [1]), (1, [2])):
        tracker = PoseTracker(COCO17, TrackerSettings(recovery_threshold=threshold))
        tracker.step(frame(0), poses((0, 0)), None, None)
        assert ids(tracker.step(frame(1), poses((45, 0)), None, None)) == expected


def test_detector_boxes_rank_before_flow_boxes() -> None:
    detected = boxes((0, 0, 100, 100, 0.5), (200, 0, 300, 100, 0.6), (202, 0, 302, 100, 0.9))
    carried = boxes((3, 3, 103, 103, 0.8), (400, 0, 500, 100, 0.3), (402, 0, 502, 100, 0.4))
    kept, sources = unify(detected, carried, 0.6)
    assert kept.xyxy[:, 0].tolist() == [202, 0, 402]
    assert sources == ("detector", "detector", "flow")


def test_flow_finds_whom_the_detector_misses_until_the_score_has_faded() -> None:
    tracker = PoseTracker(COCO17)
    tracker.step(frame(0), boxes((100, 100, 200, 200, 0.5)), None, estimate)
    right = np.full_like(STILL, 2)
    for index, score in ((1, 0.4), (2, 0.3)):
        (person,) = tracker.step(frame(index), Boxes.empty(), right, estimate)
        assert (person.id, person.source) == (1, "flow")
        assert person.score == pytest.approx(score * 0.9)
        assert person.keypoints[:, :2].min(axis=0) == pytest.approx(person.box[:2] + BODY.min(axis=0), abs=40)
    assert tracker.step(frame(3), Boxes.empty(), right, estimate) == []  # 0.2 * 0.9 is under the person threshold
    assert tracker.step(frame(4), Boxes.empty(), right, estimate) == []
    (person,) = tracker.step(frame(5), boxes((110, 110, 210, 210, 0.5)), right, estimate)
    assert (person.id, person.source) == (1, "detector")


def test_a_flow_box_adds_nobody_whom_the_detector_shows_in_another_box() -> None:
    # the detector's box has shrunk so much that NMS takes the flow's box for another person; the poses tell
    narrow = boxes((0, 0, 100, 60, 0.9))

    def same_body(image: Image, found: Boxes) -> Poses:
        keypoints = np.array([body(np.float32([0, 0, 100, 100]), 0.9) for _ in found.xyxy], np.float32)
        return Poses(keypoints.reshape(-1, 17, 3), found.xyxy, (found.scores * np.float32(0.9)).astype(np.float32))

    tracker = PoseTracker(COCO17, TrackerSettings(nms_iou=0.55, oks_nms=1.0))
    tracker.step(frame(0), boxes((0, 0, 100, 100, 0.9)), None, same_body)
    people = tracker.step(frame(1), narrow, STILL, same_body)
    assert [(person.id, person.source) for person in people] == [(1, "detector")]


def test_a_flow_box_never_begins_a_track() -> None:
    # what the network sees in the flow's box is far from anybody known
    def elsewhere(image: Image, found: Boxes) -> Poses:
        keypoints = np.array([body(box + 300, 0.9) for box in found.xyxy], np.float32).reshape(-1, 17, 3)
        return Poses(keypoints, found.xyxy, (found.scores * np.float32(0.9)).astype(np.float32))

    tracker = PoseTracker(COCO17, TrackerSettings(recovery_threshold=1))
    assert ids(tracker.step(frame(0), boxes((0, 0, 100, 100, 0.9)), None, estimate)) == [1]
    assert tracker.step(frame(1), Boxes.empty(), STILL, elsewhere) == []


def test_without_propagation_flow_gives_no_boxes() -> None:
    tracker = PoseTracker(COCO17, TrackerSettings(propagation=False))
    tracker.step(frame(0), boxes((100, 100, 200, 200, 0.9)), None, estimate)
    assert tracker.step(frame(1), Boxes.empty(), STILL, estimate) == []


class Listening:
    """An estimate that remembers for which boxes (N, 4) it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[list[float]]] = []

    def __call__(self, image: Image, found: Boxes) -> Poses:
        self.asked.append(found.xyxy.tolist())
        return estimate(image, found)


def test_poses_on_the_detectors_boxes_do_not_depend_on_flow() -> None:
    detected = boxes((100, 100, 200, 200, 0.6), (300, 100, 400, 200, 0.9))
    for flow in (STILL, None):
        tracker, listening = PoseTracker(COCO17), Listening()
        tracker.step(frame(0), boxes((110, 100, 210, 200, 0.9), (500, 100, 600, 200, 0.9)), None, estimate)
        tracker.step(frame(1), detected, flow, listening)
        assert listening.asked[0] == detected.xyxy[::-1].tolist()
        assert len(listening.asked) == (1 if flow is None else 2)


def test_a_flow_box_is_estimated_only_where_nobody_detected_is_the_person() -> None:
    tracker, listening = PoseTracker(COCO17), Listening()
    tracker.step(frame(0), boxes((100, 100, 200, 200, 0.9), (500, 100, 600, 200, 0.9)), None, estimate)
    # the detector's box of the first has grown so much that NMS would let both stand, but the pose in it is the same
    people = tracker.step(frame(1), boxes((60, 60, 240, 240, 0.9)), STILL, listening)
    assert [len(found) for found in listening.asked] == [1, 1]
    assert listening.asked[1][0][0] > 400
    assert [person.source for person in people] == ["detector", "flow"]


def test_duplicates_and_people_hardly_seen_go() -> None:
    tracker = PoseTracker(COCO17, TrackerSettings(nms_iou=0.99))
    found = boxes((100, 100, 200, 200, 0.6), (101, 100, 201, 200, 0.9), (400, 100, 500, 200, 0.2))
    (person,) = tracker.step(frame(), found, None, estimate)
    assert person.box[0] == 101


def test_where_the_file_has_nobody_the_carried_joints_are_the_pose() -> None:
    tracker = PoseTracker(COCO17)
    first = poses((100, 100))
    tracker.step(frame(0), first, None, None)
    right = np.full_like(STILL, 2)
    for index in range(1, 9):
        (person,) = tracker.step(frame(index), Boxes.empty(), right, None)
        assert (person.id, person.source) == (1, "flow")
        assert person.score == pytest.approx(1 - index / 10)
        assert person.keypoints == pytest.approx(first.keypoints[0] + np.float32([2 * index, 2 * index, 0]))
    assert tracker.step(frame(9), Boxes.empty(), right, None) == []


def test_a_person_of_the_file_is_not_there_twice() -> None:
    """The carried pose is exactly its own; the file's takes the id all the same, and its shadow goes."""
    tracker = PoseTracker(COCO17)
    tracker.step(frame(0), poses((100, 100)), None, None)
    smaller = replace(poses((104, 104)), boxes=np.float32([[104, 104, 140, 140]]))
    (person,) = tracker.step(frame(1), smaller, STILL, None)
    assert (person.id, person.source) == (1, "file")


def test_velocity_alone_invents_nobody() -> None:
    tracker = PoseTracker(COCO17)
    tracker.step(frame(0), poses((100, 100)), None, None)
    assert tracker.step(frame(1), Poses.empty(17), None, None) == []


def test_a_cut_ends_everyone() -> None:
    tracker = PoseTracker(COCO17)
    tracker.step(frame(0), poses((100, 100)), None, None)
    assert ids(tracker.step(frame(1), poses((100, 100)), STILL, None, cut=True)) == [2]
    tracker.reset()
    assert ids(tracker.step(frame(0), poses((100, 100)), None, None)) == [1]


def test_joints_without_a_place_are_no_trouble() -> None:
    tracker = PoseTracker(COCO17)
    broken = poses((100, 100), (300, 100))
    broken.keypoints[0, :9] = (np.nan, np.nan, 0)
    broken.keypoints[1, :, :] = (np.nan, np.nan, 0)
    for index in range(3):
        assert ids(tracker.step(frame(index), broken, STILL if index else None, None))[0] == 1
    assert json.dumps(tracker.state(), allow_nan=False)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"similarity": "multiflow"}, "there are bbox, pose, flow, multi-flow"),
        ({"matching": "best"}, "there are greedy, hungarian"),
        ({"motion": "flow"}, "there are velocity, none"),
        ({"queue_length": 0}, "at least one frame"),
    ],
)
def test_settings_that_cannot_be(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrackerSettings(**wrong)  # type: ignore[arg-type]


def test_boxes_from_a_detector_need_an_estimate() -> None:
    with pytest.raises(ValueError, match="estimate"):
        PoseTracker(COCO17).step(frame(), boxes((0, 0, 9, 9, 1)), None, None)


places = st.tuples(st.integers(0, 520), st.integers(0, 360))
crowds = st.lists(st.lists(places, max_size=4), min_size=2, max_size=6)
variants = st.builds(
    TrackerSettings,
    similarity=st.sampled_from(["bbox", "pose", "flow", "multi-flow"]),
    matching=st.sampled_from(["greedy", "hungarian"]),
    queue_length=st.integers(1, 4),
)


def crowd(at: list[tuple[int, int]], seed: int) -> Poses:
    """People at places, each in a pose of its own."""
    people = poses(*at, score=0.9)
    people.keypoints[..., :2] += np.random.default_rng(seed).normal(0, 5, people.keypoints[..., :2].shape)
    return people


def flow_of(seed: int) -> Floats | None:
    return None if seed % 2 else np.full_like(STILL, seed % 5 - 2)


def as_tuples(people: list[Person]) -> list[tuple[int, float, bytes, bytes, str]]:
    return [(p.id, p.score, p.box.tobytes(), p.keypoints.tobytes(), p.source) for p in people]


@given(crowds, variants, st.randoms(use_true_random=False))
def test_the_order_of_the_people_changes_nothing(
    video: list[list[tuple[int, int]]], variant: TrackerSettings, random: object
) -> None:
    one, other = PoseTracker(COCO17, variant), PoseTracker(COCO17, variant)
    for index, at in enumerate(video):
        people = crowd(at, index)
        order = list(range(len(at)))
        random.shuffle(order)  # type: ignore[attr-defined]
        expected = one.step(frame(index), people, flow_of(index), None)
        assert as_tuples(other.step(frame(index), people[order], flow_of(index), None)) == as_tuples(expected)


@given(crowds, variants, st.booleans())
def test_an_id_is_used_once_a_frame_and_never_again_after_its_time(
    video: list[list[tuple[int, int]]], variant: TrackerSettings, networks: bool
) -> None:
    tracker = PoseTracker(COCO17, variant)
    seen: dict[int, int] = {}
    for index, at in enumerate(video):
        people = crowd(at, index)
        found = Boxes(people.boxes, people.scores) if networks else people
        given_ids = ids(tracker.step(frame(index), found, flow_of(index), estimate if networks else None))
        assert len(set(given_ids)) == len(given_ids)
        new = [i for i in given_ids if i not in seen]
        assert new == list(range(len(seen) + 1, len(seen) + 1 + len(new)))
        assert all(index - seen.get(i, index) <= variant.queue_length for i in given_ids)
        seen |= dict.fromkeys(given_ids, index)


@settings(max_examples=30)
@given(crowds, variants, st.data())
def test_a_restored_tracker_goes_on_as_if_never_stopped(
    video: list[list[tuple[int, int]]], variant: TrackerSettings, data: st.DataObject
) -> None:
    stop = data.draw(st.integers(0, len(video)))
    tracker, other = PoseTracker(COCO17, variant), PoseTracker(COCO17, variant)
    for index, at in enumerate(video):
        if index == stop:
            other.restore(json.loads(json.dumps(tracker.state(), allow_nan=False)))
        expected = tracker.step(frame(index), crowd(at, index), flow_of(index), None)
        if index >= stop:
            again = other.step(frame(index), crowd(at, index), flow_of(index), None)
            assert as_tuples(again) == as_tuples(expected)
            assert other.state() == tracker.state()
