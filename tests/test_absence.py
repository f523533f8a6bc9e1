"""Who was away gets the old id, when look, place and size say so, and nobody gets an id that is in use."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from dressed import BLUE, GREEN, RED, WIDTH, Dressed, drawn, poses_of
from hypothesis import given, settings
from hypothesis import strategies as st

from posetrack import absence
from posetrack.absence import Absences
from posetrack.appearance import LOOK_SIZE, describe
from posetrack.skeleton import COCO17
from posetrack.tracker import PoseTracker, TrackerSettings
from posetrack.types import Frame, Image, Person, Poses

FPS = 10
ANNE, BEN = Dressed(100), Dressed(360, GREEN)
Scene = Sequence[Dressed]


def look(image: Image, poses: Poses) -> tuple[np.ndarray, np.ndarray]:
    return describe(image, poses.keypoints, poses.boxes, COCO17)


@dataclass
class Film:
    """Scenes as frames of 0.1 s through a tracker that remembers people for some seconds."""

    reidentify: float = 8
    tracker: PoseTracker = field(init=False)
    time: int = 0

    def __post_init__(self) -> None:
        self.tracker = PoseTracker(COCO17, TrackerSettings(queue_length=3, reidentify=self.reidentify))

    def show(self, scene: Scene, seconds: float = 0.1, cut: bool = False) -> list[Person]:
        """Who is there in the last frame of a scene that stands still for so long."""
        people: list[Person] = []
        for number in range(round(seconds * FPS)):
            frame = Frame(self.time, self.time / FPS, drawn(*scene))
            people = self.tracker.step(frame, poses_of(*scene), None, None, cut and number == 0, look)
            self.time += 1
        return people

    def ids(self, scene: Scene, seconds: float = 0.1, cut: bool = False) -> dict[float, int]:
        """The ids at the end of a scene, by where people are."""
        return {round(float(person.box[[0, 2]].mean())): person.id for person in self.show(scene, seconds, cut)}


def test_who_returns_gets_the_old_id() -> None:
    film = Film()
    assert film.ids([ANNE, BEN], 1) == {100: 1, 360: 2}
    assert film.ids([BEN], 3) == {360: 2}
    assert film.ids([replace(ANNE, x=130), BEN], 1) == {130: 1, 360: 2}
    assert film.ids([replace(ANNE, x=130), BEN, Dressed(230, BLUE)], 1) == {130: 1, 230: 3, 360: 2}


@pytest.mark.parametrize(
    ("seconds", "away", "back", "expected"),
    [
        (0, 3, ANNE, 2),  # nobody is remembered
        (8, 9, ANNE, 2),  # no longer
        (8, 3, replace(ANNE, shirt=BLUE), 2),  # somebody else
        (8, 3, replace(ANNE, height=40), 2),
        (8, 3, ANNE, 1),
        (8, 0.5, replace(ANNE, x=WIDTH - 40), 2),  # nobody is so fast
        (8, 7, replace(ANNE, x=WIDTH - 40), 1),
    ],
)
def test_look_place_size_and_time_decide(seconds: float, away: float, back: Dressed, expected: int) -> None:
    film = Film(seconds)
    film.show([ANNE], 1)
    film.show([], away)
    assert list(film.ids([back], 1).values()) == [expected]


def test_of_two_in_the_same_clothes_the_place_decides_or_nobody() -> None:
    twin = Dressed(380)
    for back, expected in ((120, 1), (370, 2), (240, 3)):
        film = Film()
        film.show([ANNE, twin], 1)
        film.show([], 1)
        assert film.ids([replace(ANNE, x=back)], 1.2) == {back: expected}


def test_an_id_in_view_or_in_the_queue_is_never_taken() -> None:
    film = Film()
    film.show([ANNE], 1)
    assert film.ids([ANNE, replace(ANNE, x=300)], 1) == {100: 1, 300: 2}
    film = Film()
    film.show([ANNE], 1)
    assert film.ids([Dressed(300)], 0.1) == {300: 2}  # where 1 may be hidden for a moment; nobody else is away


def test_two_who_return_at_once_are_not_the_same() -> None:
    film = Film()
    film.show([ANNE], 1)
    film.show([], 1)
    assert film.ids([replace(ANNE, x=90), replace(ANNE, x=400)], 1) == {90: 1, 400: 2}
    film = Film()
    film.show([replace(ANNE, x=240)], 1)
    film.show([], 1)
    assert film.ids([replace(ANNE, x=170), replace(ANNE, x=310)], 1) == {170: 2, 310: 3}


def test_who_comes_in_at_the_edge_waits_for_a_look() -> None:
    film = Film()
    film.show([ANNE, BEN], 1)
    film.show([BEN], 2)
    for x in (-15, -10, -5):
        assert film.ids([replace(ANNE, x=x), BEN]) == {360: 2}
    seen = [film.ids([replace(ANNE, x=x), BEN]) for x in (10, 20, 30, 40, 50)]
    assert seen[-1] == {50: 1, 360: 2}
    assert {tuple(ids.values()) for ids in seen} == {(2,), (1, 2)}


def test_who_is_never_seen_well_is_new_when_patience_ends() -> None:
    film = Film()
    film.show([ANNE], 1)
    film.show([], 1)
    small = replace(ANNE, height=30)
    assert film.ids([small], absence.PATIENCE) == {}
    assert film.ids([small]) == {100: 2}


def test_nobody_waits_when_nobody_is_away() -> None:
    film = Film()
    assert film.ids([ANNE]) == {100: 1}
    assert film.ids([ANNE, BEN]) == {100: 1, 360: 2}


def test_a_cut_does_not_forget() -> None:
    film = Film()
    film.show([ANNE, BEN], 1)
    assert film.ids([Dressed(240, BLUE)], 1, cut=True) == {240: 3}
    # back again, seen from somewhere else
    assert film.ids([replace(ANNE, x=400, height=60), replace(BEN, x=60)], 1, cut=True) == {400: 1, 60: 2}


def test_flow_alone_is_not_looked_at() -> None:
    """Where the file has nobody, flow carries the last pose on; what is there may be what hides the person."""
    tracker = PoseTracker(COCO17, TrackerSettings(reidentify=8))
    still = np.zeros((240, WIDTH, 2), np.float32)
    for index in range(4):
        given = poses_of(ANNE) if index == 0 else Poses.empty(17)
        people = tracker.step(Frame(index, index / FPS, drawn(BEN)), given, still, None, look=look)
        assert [person.source for person in people] == ["flow" if index else "file"]
    assert tracker.absences is not None
    assert tracker.absences.people[1].looks == 1


def test_looks_are_in_each_fifth_frame_and_where_an_id_is_new() -> None:
    tracker = PoseTracker(COCO17)
    looked_at = []
    for index in range(12):
        scene = [ANNE] if index < 3 else [ANNE, BEN]
        people = tracker.step(Frame(7 * index, index / FPS, drawn(*scene)), poses_of(*scene), None, None, look=look)
        looked_at += [(index, person.id) for person in people if person.appearance is not None]
    assert looked_at == [(0, 1), (3, 2), (5, 1), (5, 2), (10, 1), (10, 2)]


def test_without_appearance_nobody_is_looked_at() -> None:
    def never(image: Image, poses: Poses) -> tuple[np.ndarray, np.ndarray]:
        raise AssertionError

    tracker = PoseTracker(COCO17, TrackerSettings(appearance=False))
    people = tracker.step(Frame(0, 0, drawn(ANNE)), poses_of(ANNE), None, None, look=never)
    assert people[0].appearance is None


@pytest.mark.parametrize("wrong", [{"reidentify": -1}, {"reidentify": 8, "appearance": False}])
def test_settings_that_cannot_be(wrong: dict) -> None:
    with pytest.raises(ValueError, match="reidentify"):
        TrackerSettings(**wrong)


def test_only_so_many_are_remembered() -> None:
    absences = Absences(1000)
    count = absence.MOST + 6
    for id in range(1, count + 1):
        absences.see(id, np.array([id]), np.array([[0, 0, 9, 9]], np.float32), [None])
        absences.forget(id, [])
    assert sorted(absences.people) == list(range(7, count + 1))


def test_a_mean_look_lets_old_looks_fade() -> None:
    absences = Absences(8)
    box = np.array([[0, 0, 9, 9]], np.float32)
    for time in range(100):
        absences.see(time, np.array([1]), box, [np.full(LOOK_SIZE, 0 if time < 50 else 200, np.uint8)])
    person = absences.people[1]
    assert person.looks == absence.LONGEST_MEAN
    assert 170 < person.look.min() < 200


CLOTHES = (RED, GREEN, BLUE)
scenes = st.lists(
    st.lists(
        st.builds(
            Dressed, st.integers(-20, WIDTH + 20), st.sampled_from(CLOTHES), height=st.sampled_from([30, 100, 120])
        ),
        max_size=3,
    ),
    min_size=1,
    max_size=14,
)


@settings(max_examples=30)
@given(scenes, st.integers(1, 4), st.sampled_from([0.3, 2, 8]), st.randoms())
def test_ids_are_unique_and_neither_order_nor_interruption_changes_them(
    film: list[list[Dressed]], every: int, reidentify: float, chance: object
) -> None:
    chosen = TrackerSettings(queue_length=2, reidentify=reidentify)
    whole, parts = PoseTracker(COCO17, chosen), PoseTracker(COCO17, chosen)
    for index, scene in enumerate(film):
        frame = Frame(index, index * 0.2, drawn(*scene))
        cut = index % 7 == 6
        people = whole.step(frame, poses_of(*scene), None, None, cut, look)
        mixed = list(scene)
        chance.shuffle(mixed)
        again = parts.step(frame, poses_of(*mixed), None, None, cut, look)
        assert [p.id for p in people] == [p.id for p in again]
        assert len({p.id for p in people}) == len(people)
        assert all(p.id > 0 for p in people)
        if index % every == 0:
            state = json.loads(json.dumps(parts.state()))
            parts = PoseTracker(COCO17, chosen)
            parts.restore(state)
    assert json.dumps(whole.state()) == json.dumps(parts.state())
