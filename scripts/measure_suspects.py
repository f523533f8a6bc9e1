"""How many wrong ids are among the first suspects: true poses with ids spoilt on purpose, at places that are known.

Sequences are PoseTrack18 files in a folder or zip. Of each, the ids of somebody or of two are spoilt at one frame:

    near swap     two people less than a size apart exchange ids        far swap   the same, farther apart
    hidden swap   near ones, both away for 8 frames before              new id     somebody goes on under another id,
    take-over     an id goes on with somebody else, whose own ends                 at once or up to 12 frames later

"tracker" are the switches that the tracker makes itself: a person of the truth under another id than the last time.
"noisy" poses have every joint moved by a normal 3 % of the body's size, and 30 % of them are dropped. The suspects of
all sequences are ranked together; one that names a spoilt id within 3 frames of its place has found it. False alarms
are suspects of the truth as it is, a minute of 25 frames a second.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
from measure_identities import NOTHING, read_sequences, spoilt

from posetrack.results.posefile import PoseFile
from posetrack.review.suspects import Suspect, SuspectFinder
from posetrack.tracker import PoseTracker, TrackerSettings
from posetrack.types import Floats, Frame, Poses

FPS, WITHIN, HIDDEN, LATER, TRIES = 25, 3, 8, 12, 400

People = dict[int, dict[int, tuple[Floats, Floats]]]
"""Keypoints (J, 3) and box (4,) x1, y1, x2, y2 by id, of each frame."""
Place = tuple[int, set[int]]
"""The first frame that is wrong, and whose ids."""


def people_of(sequence: PoseFile, rng: np.random.Generator | None) -> People:
    """The true people, noisy if there is an `rng`."""
    people: People = {}
    for index in range(sequence.length):
        poses = sequence.frames.get(index, Poses.empty(len(sequence.skeleton)))
        ids, rows = sequence.ids.get(index, np.zeros(0, np.int64)), np.arange(len(poses))
        if rng is not None:
            poses, rows = spoilt(poses, rng)
        people[index] = {int(ids[row]): (poses.keypoints[row], poses.boxes[row]) for row in rows}
    return people


def renamed(people: People, frame: int, names: dict[int, int], away: int = 0) -> People:
    """The same with other ids from `frame` on; those are `away` for some frames before."""
    made: People = {}
    for index, here in people.items():
        if frame - away <= index < frame:
            here = {id: one for id, one in here.items() if id not in names}
        elif index >= frame:
            here = {names.get(id, id): one for id, one in here.items()}
        made[index] = here
    return made


def swap(people: People, frame: int, a: int, b: int, rng: np.random.Generator, away: int = 0) -> tuple[People, Place]:
    """From `frame` on a is b and b is a."""
    return renamed(people, frame, {a: b, b: a}, away), (frame, {a, b})


def take_over(people: People, frame: int, a: int, b: int, rng: np.random.Generator) -> tuple[People, Place]:
    """From `frame` on a has the place of b, b has none."""
    left = {index: {id: one for id, one in here.items() if index < frame or id != a} for index, here in people.items()}
    return renamed(left, frame, {b: a}), (frame, {a, b})


def new_id(people: People, frame: int, a: int, b: int, rng: np.random.Generator) -> tuple[People, Place]:
    """From `frame` on a is somebody new, seen again at once or later."""
    new, later = max(id for here in people.values() for id in here) + 1, frame + int(rng.integers(0, LATER))
    begins = next((index for index, here in people.items() if index >= later and a in here), frame)
    return renamed(people, begins, {a: new}, begins - frame), (begins, {a, new})


def near(people: People, frame: int, a: int, b: int) -> bool:
    """Whether the middles of two people are less than a size apart: the root of the area of their boxes."""
    boxes = [people[frame][id][1] for id in (a, b)]
    size = np.mean([np.sqrt(np.prod(box[2:] - box[:2])) for box in boxes])
    return bool(np.linalg.norm((boxes[0][:2] + boxes[0][2:] - boxes[1][:2] - boxes[1][2:]) / 2) < size)


WAYS: dict[str, tuple[Callable[..., tuple[People, Place]], bool | None]] = {
    "near swap": (swap, True),
    "far swap": (swap, False),
    "hidden swap": (lambda *what: swap(*what, away=HIDDEN), True),
    "take-over": (take_over, None),
    "new id": (new_id, None),
}
"""What is done to the ids of two people, and whether these have to be near or far."""


def spoil(people: People, way: str, rng: np.random.Generator) -> tuple[People, list[Place]]:
    """`people` with ids spoilt at one place, if there is one for that way."""
    change, nearness = WAYS[way]
    for _ in range(TRIES):
        frame = int(rng.integers(HIDDEN + 2, max(len(people) - 5, HIDDEN + 3)))
        there = sorted(people.get(frame, {}).keys() & people.get(frame - 1, {}).keys())
        if len(there) >= 2:
            a, b = (int(id) for id in rng.choice(there, 2, replace=False))
            if nearness is None or near(people, frame, a, b) == nearness:
                made, place = change(people, frame, a, b, rng)
                return made, [place]
    return people, []


def tracked(sequence: PoseFile, people: People) -> tuple[People, list[Place]]:
    """`people` under the tracker's ids, and its switches."""
    tracker = PoseTracker(sequence.skeleton, TrackerSettings())
    made: People = {}
    last: dict[int, int] = {}
    places = []
    for index, here in people.items():
        rows = list(here.values())
        poses = Poses.empty(len(sequence.skeleton))
        if rows:
            poses = Poses(
                np.stack([k for k, _ in rows]), np.stack([b for _, b in rows]), np.ones(len(rows), np.float32)
            )
        who = {keypoints.tobytes(): id for id, (keypoints, _) in here.items()}
        made[index] = {}
        for person in tracker.step(Frame(index, index / FPS, NOTHING), poses, None, None):
            true = who[person.keypoints.tobytes()]
            if last.get(true, person.id) != person.id:
                places.append((index, {last[true], person.id}))
            last[true] = person.id
            made[index][person.id] = (person.keypoints, person.box)
    return made, places


def suspects(people: People, joints: int) -> list[Suspect]:
    """What is suspect about `people`."""
    finder = SuspectFinder(joints)
    for index, here in people.items():
        records = [
            {"id": id, "keypoints": keypoints.tolist(), "box": np.append(box[:2], box[2:] - box[:2]).tolist()}
            for id, (keypoints, box) in here.items()
        ]
        finder.add({"index": index, "time": index / FPS, "people": records})
    return finder.done()


def measure(sequences: dict[str, PoseFile], way: str, noisy: bool, seed: int) -> tuple[list[int | None], list[float]]:
    """The ranks of the suspects that found their places, None for those not found, and all suspects' scores."""
    ranked: list[tuple[Suspect, str]] = []
    places: list[tuple[str, Place]] = []
    for number, (name, sequence) in enumerate(sequences.items()):
        rng = np.random.default_rng([seed, number])
        people, spoilt_at = people_of(sequence, rng if noisy else None), []
        if way == "tracker":
            people, spoilt_at = tracked(sequence, people)
        elif way in WAYS:
            people, spoilt_at = spoil(people, way, rng)
        places += [(name, place) for place in spoilt_at]
        ranked += [(suspect, name) for suspect in suspects(people, len(sequence.skeleton))]
    ranked.sort(key=lambda entry: -entry[0].score)
    ranks = [
        next((n for n, (suspect, where) in enumerate(ranked) if where == name and _finds(suspect, place)), None)
        for name, place in places
    ]
    return ranks, [suspect.score for suspect, _ in ranked]


def _finds(suspect: Suspect, place: Place) -> bool:
    return abs(suspect.frame - place[0]) <= WITHIN and not place[1].isdisjoint(suspect.ids)


@click.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--seeds", default=3, show_default=True, help="How many times, each with other places and noise.")
def main(path: Path, seeds: int) -> None:
    """Print the table for the sequences at PATH."""
    sequences = read_sequences(path)
    minutes = sum(sequence.length for sequence in sequences.values()) / FPS / 60
    print("                     places  among as many first  twice as many  found  suspects")
    for noisy in (False, True):
        for way in (*WAYS, "tracker"):
            runs = [measure(sequences, way, noisy, seed) for seed in range(1, 1 + seeds)]
            count = sum(len(ranks) for ranks, _ in runs)
            first, twice, found = (
                sum(rank is not None and rank < most * len(ranks) for ranks, _ in runs for rank in ranks)
                for most in (1, 2, np.inf)
            )
            shares = [f"{100 * n / max(count, 1):.0f} %" for n in (first, twice, found)]
            listed = sum(len(scores) for _, scores in runs)
            name = f"{way}, noisy" if noisy else way
            print(f"{name:20} {count:6}  {shares[0]:>19}  {shares[1]:>13}  {shares[2]:>5}  {listed:8}", flush=True)
        scores = np.concatenate([measure(sequences, "none", noisy, seed)[1] for seed in range(1, 1 + seeds)])
        rates = [f"{(scores >= least).sum() / seeds / minutes:.1f} of {least} or more" for least in (0.05, 0.3, 0.5)]
        print(f"false alarms a minute{', noisy' if noisy else ''}: {', '.join(rates)}", flush=True)


if __name__ == "__main__":
    main()
