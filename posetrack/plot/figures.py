"""A result file to plots and tables: one file for each thing that is plotted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from posetrack.errors import FormatError, InputError, OutputError
from posetrack.plot.background import Background, find_video, picture_size, read_background
from posetrack.plot.panels import draw_panels
from posetrack.plot.paths import draw_paths
from posetrack.plot.series import MIDDLES, Choice, Measure, NoAngleError, Series, chosen_people, measured, within
from posetrack.plot.style import chosen_style, save
from posetrack.plot.table import write_series
from posetrack.results.native import read_tracks
from posetrack.results.trajectories import Trajectories, Trajectory, read_trajectories
from posetrack.types import Image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["SUFFIXES", "PlotSettings", "Plotted", "plan", "plot_tracks"]

SUFFIXES = ("png", "jpg", "svg", "pdf", "csv")

_MOST_PATHS = 300
"""More paths than that nobody can tell apart."""

_CHOICE, _MEASURE = Choice(), Measure()
_TITLES = {"paths": "Paths", "coordinates": "Coordinates", "speeds": "Speeds", "angles": "Joint angles"}


@dataclass(frozen=True)
class PlotSettings:
    """How it looks: what is behind the paths, and how many people at most have panels of their own over time."""

    background: Background = "auto"
    max_people: int = 12
    overwrite: bool = False


@dataclass(frozen=True)
class Plotted:
    """The files made, and what is worth knowing about them."""

    files: tuple[Path, ...]
    notes: tuple[str, ...]


def plan(tracks: Path, what: Sequence[str], output: Path | None, to: str | None) -> dict[str, Path]:
    """Where each of `what` goes: NAME.WHAT.png beside the tracks or into the folder `output`; or to the file `output`,
    whose suffix says the format, NAME.WHAT.png again for NAME.png when there are several.

    OutputError when suffix and `to` disagree.
    """
    suffix = "" if output is None or output.is_dir() else output.suffix.lower().removeprefix(".")
    if output is not None and suffix in SUFFIXES:
        if to not in (None, suffix):
            raise OutputError(f"{output} would be {suffix}, but {to} is asked for; choose one of both")
        if len(what) == 1:
            return {what[0]: output}
        return {one: output.with_name(f"{output.stem}.{one}{output.suffix}") for one in what}
    name = tracks.name.removesuffix(".part").removesuffix(".json").removesuffix(".tracks")
    folder = tracks.parent if output is None else output
    return {one: folder / f"{name}.{one}.{to or SUFFIXES[0]}" for one in what}


def plot_tracks(
    path: str | Path,
    targets: dict[str, Path],
    video: str | None = None,
    choice: Choice = _CHOICE,
    measure: Measure = _MEASURE,
    settings: PlotSettings = PlotSettings(),
) -> Plotted:
    """Plot the result file `path`: each of WHAT in `targets` to its file, in the format of the file's suffix.

    Paths go over a picture of `video`, or of the one that `path` was made of where it lies beside it. Raises
    FormatError for a file that is no result, for people, joints and angles that it lacks and a video of another
    size, InputError for a video that can't be read, OutputError for a place that can't be written or holds
    something, DeviceError for pictures without matplotlib.
    """
    path = Path(path)
    for target in targets.values():
        if target.exists() and not settings.overwrite:
            raise OutputError(f"{target} exists already; choose another name with -o or allow --overwrite")
    tracks = read_trajectories(path)
    people = chosen_people(tracks, choice, str(path))
    notes = [] if read_tracks(path).complete else [f"{path}: not finished; its frames so far were plotted"]
    if not people:
        notes.append(f"{path}: nobody is in it" + (" between start and end" if tracks.people else ""))
    series: dict[str, list[Series]] = {}
    for what in targets:
        try:
            series[what] = measured(tracks, people, what, choice, measure, str(path))
        except NoAngleError as error:
            if len(targets) == 1:
                raise
            notes.append(f"{error}; left out")
    page = _Page(path, tracks, people, choice, measure, settings)
    files = []
    for what, found in series.items():
        notes += page.write(what, found, targets[what], video)
        files.append(targets[what])
    return Plotted(tuple(files), tuple(notes))


@dataclass(frozen=True)
class _Page:
    """One result file and all that was asked about it."""

    path: Path
    tracks: Trajectories
    people: Sequence[Trajectory]
    choice: Choice
    measure: Measure
    settings: PlotSettings

    def write(self, what: str, series: Sequence[Series], target: Path, video: str | None) -> list[str]:
        """One table or picture; gives what is worth saying."""
        if target.suffix.lower() == ".csv":
            write_series(target, series, overwrite=self.settings.overwrite)
            return []
        with chosen_style():
            figure, said = self._paths(series, video) if what == "paths" else self._panels(what, series)
            save(figure, target, overwrite=self.settings.overwrite)
        return said

    def _limited(self, series: Sequence[Series], limit: int) -> tuple[list[Series], str]:
        """The series of those seen longest, and words for that; of all who were asked for by name."""
        frames = {one.id: len(one.frames) for one in series}
        if self.choice.people or len(frames) <= limit:
            return list(series), ""
        shown = sorted(frames, key=lambda id: (-frames[id], id))[:limit]
        return [one for one in series if one.id in shown], f"{limit} of {len(frames)} people, those seen longest"

    def _paths(self, series: Sequence[Series], video: str | None) -> tuple[Figure, list[str]]:
        series, limited = self._limited(series, _MOST_PATHS)
        size = picture_size(self.tracks)
        scale = 1.0 if self.measure.pixel_size is None else self.measure.pixel_size / 1000
        picture, said = self._background(video)
        said += [f"paths: {limited}; choose with --people"] if limited else []
        return draw_paths(series, size, scale, picture, _TITLES["paths"], self._notes("paths", series, limited)), said

    def _background(self, video: str | None) -> tuple[Image | None, list[str]]:
        """What is behind the paths; a video that was only found, not named, may turn out to be none."""
        if self.settings.background == "none":
            return None, []
        found = video or find_video(self.path, self.tracks)
        if found is None:
            name = self.tracks.header.video.get("path") or "the video"
            return None, [f"{name} is not beside {self.path}: paths are on a plain canvas; name the video to see it"]
        rows = np.flatnonzero(within(self.tracks.times, self.choice))
        try:
            return read_background(found, self.tracks, rows, self.settings.background, str(self.path)), []
        except (FormatError, InputError) as error:
            if video:
                raise
            return None, [f"{error}; paths are on a plain canvas"]

    def _panels(self, what: str, series: Sequence[Series]) -> tuple[Figure, list[str]]:
        series, limited = self._limited(series, self.settings.max_people)
        people = list({one.id: one.label for one in series}.items())
        figure = draw_panels(series, people, self._cuts(), _TITLES[what], self._notes(what, series, limited))
        return figure, [f"{what}: {limited}; choose with --people, or allow more with --max-people"] if limited else []

    def _cuts(self) -> NDArray[np.float64]:
        """When new scenes begin, in what is shown."""
        return self.tracks.times[self.tracks.cuts & within(self.tracks.times, self.choice)]

    def _notes(self, what: str, series: Sequence[Series], limited: str = "") -> str:
        """What a reader of the picture must know of how its numbers came about."""
        middles = sorted({one.of for one in series if one.of in MIDDLES})
        parts = [str(self.tracks.header.video.get("path") or self.path.name), *([limited] if limited else [])]
        if middles:
            parts.append("middle of the body: " + ", ".join(name.replace("_", " ") for name in middles))
        joints = [one.of for one in series if one.of not in MIDDLES]
        if what == "paths" and joints:
            parts.append(", ".join(dict.fromkeys(name.replace("_", " ") for name in joints)))
        if what == "paths" and len(self._cuts()):
            parts.append("paths of several scenes over a picture of one")
        if what == "speeds":
            window = self.measure.window
            parts.append(f"from places within {window:g} s" if window else "from neighbouring frames")
        if what == "angles":
            parts.append("angles as projected into the picture, 180 is straight")
            parts += ["trunk from vertical, right is positive"] if any(one.of == "trunk" for one in series) else []
        parts.append(f"joints scoring under {self.measure.joint_threshold:g} left out")
        return "; ".join(parts) + "."
