"""All that the review page knows of a result file beside its poses, from one pass over it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from posetrack.errors import FormatError
from posetrack.results.lines import Header
from posetrack.results.reader import TrackReader
from posetrack.review.presence import Presence
from posetrack.review.records import frame_records
from posetrack.review.suspects import Suspect, SuspectFinder
from posetrack.review.timeline import TimelineBuilder

__all__ = ["Survey", "survey"]

_WATCH_EVERY = 64


@dataclass(frozen=True)
class Survey:
    """Who is where, a bar for each track (`TimelineBuilder.done`), and where ids probably switched, likeliest first.

    All ids are those of the file.
    """

    presence: Presence
    timeline: dict[str, Any]
    suspects: list[Suspect]


def survey(path: str | Path, watch: Callable[[int], None] | None = None) -> Survey:
    """Go through a result file once; memory does not grow with its length.

    `watch` is told now and then how many frames are done; what it raises ends the pass. FormatError when the file is
    damaged.
    """
    reader = TrackReader(path)
    timeline, finder = TimelineBuilder(), SuspectFinder(len(reader.header.skeleton), _picture(reader.header))
    done = 0
    try:
        for done, (frame, ids, record) in enumerate(frame_records(reader), 1):
            timeline.add(frame, ids, record)
            finder.add(record)
            if watch and done % _WATCH_EVERY == 0:
                watch(done)
        presence, bars = timeline.done()
        return Survey(presence, bars, finder.done())
    except (TypeError, KeyError, ValueError) as error:
        raise FormatError(
            f"{path}, about frame {done}: a person has a score, a box of 4 numbers and as many keypoints as the "
            f"skeleton has joints ({error})"
        ) from error


def _picture(header: Header) -> tuple[float, float] | None:
    """Width and height of the picture, where the file tells them."""
    width, height = header.video.get("width"), header.video.get("height")
    if isinstance(width, int | float) and isinstance(height, int | float) and min(width, height) > 0:
        return width, height
    return None
