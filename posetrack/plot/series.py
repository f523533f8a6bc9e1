"""What is plotted: of which people and joints, measured how, as series of numbers over time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posetrack.errors import FormatError
from posetrack.kinematics import (
    ANGLES,
    SMOOTHING_WINDOW,
    body_height,
    body_middle,
    joint_angles,
    seen_places,
    speed,
    stretches,
)
from posetrack.results.trajectories import Trajectories, Trajectory
from posetrack.skeleton import Skeleton

__all__ = [
    "ANGLE_NAMES", "MIDDLE", "MIDDLES", "WHAT", "Choice", "Measure", "NoAngleError", "Series", "chosen_people",
    "measured", "side_of", "within",
]  # fmt: skip

WHAT = ("paths", "coordinates", "speeds", "angles")
ANGLE_NAMES = (*ANGLES, "trunk")
MIDDLE = "middle"
"""The name for the body's middle among the joints."""

MIDDLES = ("hips_middle", "pelvis", "shoulders_middle", "thorax", "box_centre")
"""What body_middle may find it to be."""

_EARLY = 1e-6
"""Seconds: a frame this little before `start` or `end` counts as there, as in `posetrack run`."""


class NoAngleError(FormatError):
    """A skeleton whose joints allow none of the angles asked for."""


@dataclass(frozen=True)
class Choice:
    """What is wanted: `people` by id or name, `joints` by name (`middle`, a side's joint, both sides' at once, or
    `all`), `angles` by name, from `start` to before `end` in seconds. No people means all."""

    people: tuple[str, ...] = ()
    joints: tuple[str, ...] = (MIDDLE,)
    angles: tuple[str, ...] = ANGLE_NAMES
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True)
class Measure:
    """How it is measured: joints below `joint_threshold` aren't seen; speeds are made of `window` seconds.

    `pixel_size` millimetres make metres of pixels. With `by_height` speeds are in heights of the person a second. With
    `raw`, joints are taken as they were before they were cleaned.
    """

    joint_threshold: float = 0.2
    window: float = SMOOTHING_WINDOW
    pixel_size: float | None = None
    by_height: bool = False
    raw: bool = False


@dataclass(frozen=True, eq=False)
class Series:
    """One quantity of one person over the n frames that hold them.

    `of` is a joint, an angle (left_knee, trunk) or the body's middle as body_middle calls it; `quantity` x, y, speed
    or angle. `frames` (n,) int64 numbers, `times` (n,) seconds, `values` (n,) float64, NaN where it can't be told;
    `stretch` (n,) int64 changes at gaps and cuts; `sources` (n,) str, as Person.source.
    """

    id: int
    name: str | None
    of: str
    quantity: str
    unit: str
    frames: NDArray[np.int64]
    times: NDArray[np.float64]
    values: NDArray[np.float64]
    stretch: NDArray[np.int64]
    sources: NDArray[np.str_]

    @property
    def filled(self) -> NDArray[np.bool_]:
        """Where (n,) a gap was filled in."""
        return np.asarray(self.sources == "fill", np.bool_)

    @property
    def label(self) -> str:
        """The id, and the name where there is one."""
        return str(self.id) if self.name is None else f"{self.id} {self.name}"


def side_of(of: str) -> tuple[str, str]:
    """The side (left, right or middle) of a joint or angle, and what it is without it."""
    for side in ("left", "right"):
        if of.startswith(f"{side}_"):
            return side, of.removeprefix(f"{side}_")
    return "middle", of


def chosen_people(tracks: Trajectories, choice: Choice, where: str) -> list[Trajectory]:
    """The people of `choice`, by id, with their whole way; FormatError that begins with `where` for one who is
    not in `tracks`. Who isn't there between start and end is left out unless named."""
    if not choice.people:
        return [person for person in tracks.people if within(tracks.times[person.rows], choice).any()]
    found: set[int] = set()
    for wanted in choice.people:
        ids = {person.id for person in tracks.people if str(person.id) == wanted}
        ids = ids or {person.id for person in tracks.people if person.name == wanted}
        if not ids:
            there = ", ".join(str(p.id) if p.name is None else f"{p.id} ({p.name})" for p in tracks.people[:20])
            more = f" and {len(tracks.people) - 20} more" if len(tracks.people) > 20 else ""
            raise FormatError(f"{where}: there is no person '{wanted}'; it has {there or 'nobody'}{more}")
        found |= ids
    return [person for person in tracks.people if person.id in found]


def within(times: NDArray[np.float64], choice: Choice) -> NDArray[np.bool_]:
    """Which of `times` (n,) lie from the start to before the end of `choice`."""
    begin = -np.inf if choice.start is None else choice.start - _EARLY
    end = np.inf if choice.end is None else choice.end - _EARLY
    return np.asarray((times >= begin) & (times < end), np.bool_)


def _chosen_joints(skeleton: Skeleton, wanted: Iterable[str], where: str) -> list[str]:
    """Joints of the skeleton (and MIDDLE), each once, in the order asked for."""
    joints: dict[str, None] = {}
    for name in wanted:
        both = [joint for joint in (f"left_{name}", f"right_{name}") if joint in skeleton.joints]
        if name == "all":
            joints.update(dict.fromkeys((MIDDLE, *skeleton.joints)))
        elif name == MIDDLE or name in skeleton.joints:
            joints[name] = None
        elif both:
            joints.update(dict.fromkeys(both))
        else:
            known = ", ".join((MIDDLE, *skeleton.joints))
            raise FormatError(f"{where}: its skeleton {skeleton.name} has no joint '{name}'; it has {known}, or all")
    return list(joints)


def measured(
    tracks: Trajectories, people: Sequence[Trajectory], what: str, choice: Choice, measure: Measure, where: str
) -> list[Series]:
    """The series of one of `WHAT`, person by person; FormatError that begins with `where` for joints that the
    skeleton lacks.

    All is measured on the whole way of a person and then cut to start and end, so a part gives the same numbers as the
    whole. Coordinates are pixels, x right and y down from the centre of the top-left pixel, or metres.
    """
    joints = _chosen_joints(tracks.skeleton, choice.joints, where) if what != "angles" else []
    if what == "angles":
        _check_angles(tracks.skeleton, choice, where)
    found = []
    for person in people:
        here = within(tracks.times[person.rows], choice)
        stretch = stretches(person.rows, tracks.cuts, tracks.times)
        rows = person.rows[here]
        for of, quantity, unit, values in _of_person(tracks, person, stretch, what, joints, choice, measure):
            found.append(
                Series(person.id, person.name, of, quantity, unit, tracks.indices[rows], tracks.times[rows],
                       values[here], stretch[here], person.sources[here])
            )  # fmt: skip
    return found


def _check_angles(skeleton: Skeleton, choice: Choice, where: str) -> None:
    nobody = np.full((0, len(skeleton), 2), np.nan)
    possible = {side_of(name)[1] for name in joint_angles(nobody, skeleton)}
    if not possible & set(choice.angles):
        raise NoAngleError(
            f"{where}: the joints of its skeleton {skeleton.name} allow no angle of {', '.join(choice.angles)}; "
            f"they allow {', '.join(sorted(possible)) or 'none'}"
        )


def _of_person(
    tracks: Trajectories, person: Trajectory, stretch: NDArray[np.int64], what: str, joints: list[str],
    choice: Choice, measure: Measure,
) -> Iterator[tuple[str, str, str, NDArray[np.float64]]]:  # fmt: skip
    """Name, quantity, unit and values of each series over a person's whole way."""
    places = seen_places(person.raw if measure.raw else person.keypoints, measure.joint_threshold)
    if what == "angles":
        for name, angle in joint_angles(places, tracks.skeleton).items():
            if side_of(name)[1] in choice.angles:
                yield name, "angle", "deg", angle
        return
    scale, unit = (1.0, "px") if measure.pixel_size is None else (measure.pixel_size / 1000, "m")
    for joint in joints:
        if joint == MIDDLE:
            of, place = body_middle(places, person.boxes, tracks.skeleton)
        else:
            of, place = joint, places[:, tracks.skeleton.index(joint)]
        if what != "speeds":
            yield of, "x", unit, place[:, 0] * scale
            yield of, "y", unit, place[:, 1] * scale
            continue
        rate = speed(tracks.times[person.rows], place, stretch, measure.window)
        if measure.by_height:
            height = body_height(person.boxes)
            yield of, "speed", "heights/s", rate / height if height > 0 else np.full_like(rate, np.nan)
        else:
            yield of, "speed", f"{unit}/s", rate * scale
