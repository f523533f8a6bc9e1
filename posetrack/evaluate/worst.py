"""Where a tracker fails: the frames with the most joints missed, invented and exchanged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from posetrack.evaluate.identity import people_switches
from posetrack.evaluate.joints import assign_poses, joint_pairs
from posetrack.evaluate.people import Pair
from posetrack.evaluate.similarity import similar_people

__all__ = ["BadFrame", "worst_frames"]


@dataclass(frozen=True)
class BadFrame:
    """One frame and what is wrong in it: joints missed and false, people who changed id."""

    sequence: str
    frame: int
    name: str
    missed: int
    false: int
    switches: int

    @property
    def errors(self) -> int:
        """What the list is sorted by; a switch counts as one joint."""
        return self.missed + self.false + self.switches


def worst_frames(pairs: list[Pair], count: int, near: float = 0.5) -> list[BadFrame]:
    """The `count` frames with the most errors, worst first; frames without any are not among them.

    `near` is in the truth's reference lengths (`heads`).
    """
    found = [bad for pair in pairs for bad in _errors(pair, near)]
    return sorted(found, key=lambda bad: (-bad.errors, bad.sequence, bad.frame))[:count]


def _errors(pair: Pair, near: float) -> list[BadFrame]:
    joints = joint_pairs(pair, near)
    owner = assign_poses(pair, joints)
    mine = owner[joints.prediction] == joints.truth
    labelled = np.bincount(pair.truth.frame, pair.truth.present.sum(axis=1), pair.frames)
    guessed = np.bincount(pair.prediction.frame, pair.prediction.present.sum(axis=1), pair.frames)
    right = np.bincount(pair.truth.frame[joints.truth[mine]], minlength=pair.frames)
    matches, switched = people_switches(pair, similar_people(pair, "oks"))
    switches = np.bincount(matches.frame[switched], minlength=pair.frames)
    wrong = np.flatnonzero(labelled - right + guessed - right + switches)
    return [
        BadFrame(
            pair.name, int(f), pair.name_of(int(f)), int(labelled[f] - right[f]), int(guessed[f] - right[f]),
            int(switches[f]),
        )
        for f in wrong
    ]  # fmt: skip
