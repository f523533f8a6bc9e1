"""posetrack from Python: `track` streams the people of a video, `Tracker` follows a live picture."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from posetrack.blocks import Block
from posetrack.cores import pool, single_threaded_opencv
from posetrack.networks import NetworkSettings, load_networks
from posetrack.pipeline import PipelineSettings, follow, make_motion, observe, step
from posetrack.skeleton import Skeleton
from posetrack.tracker import PoseTracker, TrackerSettings
from posetrack.types import Frame, FrameResult, Image, Person
from posetrack.video import open_video

__all__ = ["Tracker", "track"]


def _settings(options: dict[str, Any]) -> tuple[NetworkSettings, PipelineSettings]:
    """The settings that keyword options name; TypeError for one that none of them has."""
    records = (NetworkSettings, PipelineSettings, TrackerSettings)
    known = {record: {field.name for field in fields(record)} for record in records}
    unknown = set(options) - set().union(*known.values())
    if unknown:
        choices = sorted(set().union(*known.values()) - {"tracker"})
        raise TypeError(f"no option '{min(unknown)}'; there are {', '.join(choices)}")
    network, pipeline, tracker = (
        {name: value for name, value in options.items() if name in names} for names in known.values()
    )
    settings = replace(PipelineSettings(), **pipeline)
    return NetworkSettings(**network), replace(settings, tracker=replace(settings.tracker, **tracker))


def track(
    source: str | int | Path,
    *,
    start: float | None = None,
    end: float | None = None,
    stride: int = 1,
    **options: Any,
) -> Iterator[FrameResult]:
    """The people of every frame of `source`, one frame after another; memory does not grow.

    `source` is a video file, a folder or glob of pictures, a camera number or an rtsp/http URL; `start` and `end` are
    seconds. `options` are the fields of NetworkSettings (detector, pose, device ...), PipelineSettings (flow,
    detect_every ...) and TrackerSettings (similarity, queue_length ...). Raises PosetrackError for what cannot be
    read, loaded or done, TypeError for an unknown option.
    """
    network_settings, settings = _settings(options)
    networks, _ = load_networks(network_settings)
    with open_video(source, start, end, stride) as reader:
        tracker = PoseTracker(networks.skeleton, settings.tracker)
        with closing(follow(reader, networks, tracker, settings)) as made:
            for block in made:
                for _, result in block:
                    yield result


class Tracker:
    """Follows people through pictures that come one by one, from a camera or a program of your own.

    Takes the `options` of `track`. It remembers the people and the last picture; `reset` begins another video.
    """

    def __init__(self, **options: Any) -> None:
        network_settings, self._settings = _settings(options)
        self._networks, _ = load_networks(network_settings)
        self._motion = make_motion(self._settings)
        self._tracker = PoseTracker(self._networks.skeleton, self._settings.tracker)
        self._pool = pool(1)
        self.reset()

    @property
    def skeleton(self) -> Skeleton:
        """The order of a person's joints."""
        return self._networks.skeleton

    def reset(self) -> None:
        """Forget everyone: the next picture is the first of a video, and ids count from 1."""
        self._tracker.reset()
        self._last: Frame | None = None

    def __call__(self, image: Image, time: float | None = None) -> list[Person]:
        """The people of the next picture, (H, W, 3) uint8 RGB, shown at `time` (seconds; its number when left out)."""
        index = 0 if self._last is None else self._last.index + 1
        frame = Frame(index, float(index) if time is None else time, image)
        with single_threaded_opencv():
            seen = observe(Block([frame], self._last), self._networks, self._motion, self._settings, self._pool)
            result = step(self._tracker, seen[0], self._networks)
        self._last = frame
        return list(result.people)
