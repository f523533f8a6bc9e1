"""posetrack: who is in a video, where each body joint is, and which person is which through time.

    for frame in posetrack.track("clip.mp4"):
        for person in frame.people:
            print(person.id, person.keypoints)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from posetrack.api import Tracker, track
    from posetrack.errors import PosetrackError
    from posetrack.results.native import Tracks, load
    from posetrack.skeleton import SKELETONS, Skeleton
    from posetrack.types import Boxes, Frame, FrameResult, Person, Poses

__version__ = "0.1.0"

__all__ = [
    "SKELETONS",
    "Boxes",
    "Frame",
    "FrameResult",
    "Person",
    "Poses",
    "PosetrackError",
    "Skeleton",
    "Tracker",
    "Tracks",
    "load",
    "track",
]  # fmt: skip

_HOMES = {
    "PosetrackError": "errors",
    **dict.fromkeys(("SKELETONS", "Skeleton"), "skeleton"),
    **dict.fromkeys(("Boxes", "Frame", "FrameResult", "Person", "Poses"), "types"),
    **dict.fromkeys(("Tracks", "load"), "results.native"),
    **dict.fromkeys(("Tracker", "track"), "api"),
}
"""Where each public name lives. It is fetched when it is first used, so that `import posetrack` loads no torch."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'posetrack' has no attribute '{name}'")
    return getattr(importlib.import_module(f"posetrack.{_HOMES[name]}"), name)
