"""One bar a track: where each id is born, dies and is missing, is carried by flow alone, or is hardly seen."""

from __future__ import annotations

from typing import Any

import numpy as np

from posetrack.review.presence import Numbers, Presence, PresenceBuilder

__all__ = ["BRIDGED", "LOW_SCORE", "TimelineBuilder"]

LOW_SCORE = 0.4
"""People scoring less are hardly seen."""
BRIDGED = 5
"""Frames between two stretches of flow, fill or low scores that are left out, so that flicker stays one stretch."""


class TimelineBuilder:
    """The timeline of a result file as it grows, frame by frame; `presence` is the same as a `Presence`."""

    def __init__(self) -> None:
        self._present = PresenceBuilder()
        self._stretches = {kind: PresenceBuilder() for kind in ("flow", "fill", "low")}
        self._scores: dict[int, float] = {}
        self._cuts: list[int] = []

    def add(self, frame: int, ids: list[int], record: dict[str, Any]) -> None:
        """Count one more frame as its record in the file; `ids` are those of its people."""
        people = record["people"]
        sources = [person["from"] for person in people]
        scores = [person["score"] for person in people]
        self._present.add(frame, ids)
        for kind in ("flow", "fill"):
            here = [id for id, source in zip(ids, sources, strict=True) if source == kind] if kind in sources else []
            self._stretches[kind].add(frame, here)
        self._stretches["low"].add(frame, [id for id, score in zip(ids, scores, strict=True) if score < LOW_SCORE])
        for id, score in zip(ids, scores, strict=True):
            self._scores[id] = self._scores.get(id, 0.0) + score
        if record.get("cut"):
            self._cuts.append(frame)

    def done(self) -> tuple[Presence, dict[str, Any]]:
        """Who is where, and the timeline as JSON values.

        {"frames": how many, "first", "last": frame numbers, "cuts": [frame, ...], "tracks": [{"id", "frames",
        "mean_score", "runs": [[first, last], ...], "flow", "fill", "low": [[first, last], ...]}, ...]}. A run holds the
        id in every frame; it is born with its first, dies with its last and is missing between them. Stretches of
        flow, fill and low scores are bridged where they pause for up to `BRIDGED` frames.
        """
        presence = self._present.done()
        kinds = {kind: builder.done() for kind, builder in self._stretches.items()}
        frames = presence.frames
        timeline = {
            "frames": len(frames),
            "first": int(frames[0]) if len(frames) else 0,
            "last": int(frames[-1]) if len(frames) else 0,
            "cuts": self._cuts,
            "tracks": [self._track(id, presence, kinds) for id in presence.ids],
        }
        return presence, timeline

    def _track(self, id: int, presence: Presence, kinds: dict[str, Presence]) -> dict[str, Any]:
        starts, ends = presence.runs[id]
        count = int((np.searchsorted(presence.frames, ends) - np.searchsorted(presence.frames, starts) + 1).sum())
        stretches = {
            kind: _bridged(*found.runs[id], presence.frames) if id in found.runs else []
            for kind, found in kinds.items()
        }
        mean = round(self._scores[id] / count, 4)
        runs = np.stack([starts, ends], axis=1).tolist()
        return {"id": id, "frames": count, "mean_score": mean, "runs": runs, **stretches}


def _bridged(starts: Numbers, ends: Numbers, frames: Numbers) -> list[list[int]]:
    """Runs [first, last], those become one that are hardly apart."""
    apart = np.searchsorted(frames, starts[1:]) - np.searchsorted(frames, ends[:-1]) > BRIDGED + 1
    first = np.concatenate([[True], apart])
    last = np.concatenate([apart, [True]])
    return [[int(a), int(b)] for a, b in zip(starts[first], ends[last], strict=True)]
