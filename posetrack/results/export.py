"""From posetrack's result to the formats of other tools."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from posetrack.errors import FormatError
from posetrack.results.coco import write_coco
from posetrack.results.mot import write_mot
from posetrack.results.native import TrackReader, load
from posetrack.results.posetrack import write_posetrack17, write_posetrack18
from posetrack.results.table import Rows, write_csv, write_parquet
from posetrack.results.trc import write_trc
from posetrack.types import FrameResult, Person

__all__ = ["FORMATS", "ExportSettings", "Exported", "confident", "default_output", "export"]


@dataclass(frozen=True)
class ExportSettings:
    """What is exported, and how.

    Joints below `joint_score` lose their place, people below `person_score` are left out. `rows` is what a
    row of a table is; `pixel_size` in millimetres goes into TRC.
    """

    joint_score: float = 0.0
    person_score: float = 0.0
    rows: Rows = "joint"
    pixel_size: float = 1.0
    overwrite: bool = False


@dataclass(frozen=True)
class Exported:
    """The files made, and what is worth knowing about them."""

    files: tuple[Path, ...]
    notes: tuple[str, ...]


Write = Callable[[Path, TrackReader, ExportSettings], Exported]


def confident(reader: TrackReader, settings: ExportSettings) -> Iterator[FrameResult]:
    """The frames of `reader` without the joints and people below the thresholds of `settings`."""
    for frame in reader:
        people = tuple(
            replace(person, keypoints=_placed(person, settings.joint_score))
            for person in frame.people
            if person.score >= settings.person_score
        )
        yield replace(frame, people=people)


def _placed(person: Person, joint_score: float) -> Any:
    low = person.keypoints[:, 2:] < joint_score
    return np.where(low, np.array([np.nan, np.nan, 0], np.float32), person.keypoints)


def _streamed(write: Callable[..., tuple[str, ...]], *, table: bool = False) -> Write:
    """A writer of one file that takes header and frames."""

    def export(path: Path, reader: TrackReader, settings: ExportSettings) -> Exported:
        options: dict[str, Any] = {"rows": settings.rows} if table else {}
        frames = confident(reader, settings)
        notes = write(path, reader.header, frames, overwrite=settings.overwrite, **options)
        return Exported((path,), notes)

    return export


def _export_trc(path: Path, reader: TrackReader, settings: ExportSettings) -> Exported:
    tracks = load(reader.path)
    low = tracks.scores < settings.person_score
    keypoints = tracks.keypoints.copy()
    keypoints[keypoints[..., 2] < settings.joint_score] = (np.nan, np.nan, 0)
    keypoints[low] = np.nan
    tracks = replace(tracks, keypoints=keypoints, scores=np.where(low, np.float32(np.nan), tracks.scores))
    files, notes = write_trc(path, tracks, pixel_size=settings.pixel_size, overwrite=settings.overwrite)
    return Exported(tuple(files), notes)


FORMATS: dict[str, tuple[str, Write]] = {
    "coco": (".coco.json", _streamed(write_coco)),
    "posetrack18": (".posetrack18.json", _streamed(write_posetrack18)),
    "posetrack17": (".posetrack17.json", _streamed(write_posetrack17)),
    "mot": (".mot.txt", _streamed(write_mot)),
    "csv": (".csv", _streamed(write_csv, table=True)),
    "parquet": (".parquet", _streamed(write_parquet, table=True)),
    "trc": (".trc", _export_trc),
}
"""Each format's suffix and its writer."""


def default_output(tracks: Path, to: str) -> Path:
    """clip.coco.json for clip.tracks.json."""
    name = tracks.name.removesuffix(".part").removesuffix(".json").removesuffix(".tracks")
    return tracks.with_name(name + FORMATS[to][0])


def export(
    tracks: str | Path, to: str, output: str | Path | None = None, settings: ExportSettings = ExportSettings()
) -> Exported:
    """Write the result file `tracks` in the format `to` (one of FORMATS), beside it or to `output`.

    An `output` that is a folder gets a file of the usual name. Raises FormatError for a file that is no
    result and OutputError for a place that cannot be written or holds something.
    """
    if to not in FORMATS:
        raise FormatError(f"unknown format '{to}'; posetrack writes {', '.join(FORMATS)}")
    reader = TrackReader(tracks)
    target = default_output(reader.path, to)
    if output is not None:
        target = Path(output) / target.name if Path(output).is_dir() else Path(output)
    made = FORMATS[to][1](target, reader, settings)
    if not reader.complete:
        return replace(made, notes=(f"{tracks}: not finished; its frames so far were exported", *made.notes))
    return made
