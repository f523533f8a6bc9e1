"""posetrack plot: paths, coordinates, speeds and joint angles as pictures and tables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from posetrack.cli.options import GroupedCommand, grouped

__all__ = ["ANGLES", "BACKGROUNDS", "FORMATS", "WHAT", "plot"]

WHAT = ("paths", "coordinates", "speeds", "angles")
ANGLES = ("knee", "hip", "elbow", "shoulder", "trunk")
FORMATS = ("png", "jpg", "svg", "pdf", "csv")
BACKGROUNDS = ("auto", "median", "frame", "none")
"""Names that posetrack.plot knows, written out so that help loads no numpy; a test holds them together."""


def _names(*known: str) -> Callable[[click.Context, click.Parameter, str | None], tuple[str, ...]]:
    """A callback that takes names with commas between them, of `known` ones where these are given."""

    def split(ctx: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(name.strip() for name in (value or "").split(",") if name.strip()))
        unknown = [name for name in names if known and name not in known]
        if unknown or (value is not None and not names):
            raise click.BadParameter(f"{unknown[0] if unknown else value!r} is none of {', '.join(known) or 'them'}")
        return names

    return split


@click.command(cls=GroupedCommand)
@click.argument("tracks", type=click.Path(path_type=Path), metavar="TRACKS")
@click.argument("video", required=False)
@grouped(
    "What is plotted",
    "--what",
    callback=_names(*WHAT),
    default=",".join(WHAT),
    metavar="NAMES",
    help="A file each. paths: over the picture. coordinates: x and y over time. speeds and angles over time.",
)
@grouped(
    "What is plotted",
    "--people",
    callback=_names(),
    metavar="ID,NAME",
    show_default="all",
    help="Whom, by id or by name.",
)
@grouped(
    "What is plotted",
    "--joints",
    callback=_names(),
    default="middle",
    metavar="NAMES",
    help="Of paths, coordinates and speeds: left_wrist, or wrist for both sides, all, or middle: the middle of the "
    "hips, else of the shoulders, else of the box, whichever is seen in half of a person's frames.",
)
@grouped(
    "What is plotted",
    "--angles",
    callback=_names(*ANGLES),
    default=",".join(ANGLES),
    metavar="NAMES",
    help="knee, hip, elbow, shoulder: 0 to 180 degrees, 180 is straight (shoulder: arm overhead). trunk: degrees from "
    "vertical, positive to the right of the picture.",
)
@grouped("What is plotted", "--start", type=click.FloatRange(0), metavar="S", help="From this second.")
@grouped("What is plotted", "--end", type=click.FloatRange(0), metavar="S", help="To before this second.")
@grouped(
    "How it is measured",
    "--joint-threshold",
    type=click.FloatRange(0, 1),
    default=0.2,
    help="Joints scoring less are not seen: gaps in lines, empty in tables.",
)
@grouped(
    "How it is measured",
    "--window",
    type=click.FloatRange(0),
    default=0.2,
    metavar="S",
    help="Speeds are slopes of parabolas fitted to the places within so many seconds; 0: neighbouring frames alone.",
)
@grouped(
    "How it is measured",
    "--pixel-size",
    type=click.FloatRange(0, min_open=True),
    metavar="MM",
    show_default="pixels",
    help="Metres: millimetres that a pixel is.",
)
@grouped("How it is measured", "--by-height", is_flag=True, help="Speeds in a person's median box height a second.")
@grouped("How it is measured", "--raw", is_flag=True, help="Joints as they were before they were cleaned.")
@grouped(
    "Picture",
    "--background",
    type=click.Choice(BACKGROUNDS),
    default="auto",
    help="Of paths. frame: the video's at mid-time. median: of nine, what moves is gone. auto: median where the camera "
    "stands still, else frame.",
)
@grouped(
    "Picture",
    "--max-people",
    type=click.IntRange(1),
    default=12,
    metavar="N",
    help="Over time, so many people seen longest have panels; those of --people always do.",
)
@grouped(
    "Output",
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    show_default="beside TRACKS, NAME.paths.png and so on",
    help="A folder, or the file if it ends in .png, .jpg, .svg, .pdf or .csv.",
)
@grouped(
    "Output", "--to", type=click.Choice(FORMATS), show_default="png, or as -o ends", help="Pictures, or a long table."
)
@grouped("Output", "--overwrite", is_flag=True, help="Replace files that exist.")
def plot(tracks: Path, video: str | None, what: tuple[str, ...], **options: Any) -> None:
    """Plot the paths, coordinates, speeds and joint angles of the people in TRACKS.

    Paths are drawn over a picture of VIDEO, by default the one that TRACKS names if it is beside it. All numbers are
    those of the picture: angles and speeds of a projection, over presentation times, never across a gap or a cut. The
    paths of the files made go to stdout.
    """
    from posetrack.plot.figures import PlotSettings, plan, plot_tracks
    from posetrack.plot.series import Choice, Measure

    if None not in (options["start"], options["end"]) and options["end"] <= options["start"]:
        raise click.UsageError("--end must be after --start")
    if options["by_height"] and options["pixel_size"] is not None:
        raise click.UsageError("--by-height and --pixel-size exclude each other")
    choice = Choice(
        options["people"], options["joints"], options["angles"], options["start"], options["end"]
    )  # fmt: skip
    measure = Measure(
        options["joint_threshold"], options["window"], options["pixel_size"], options["by_height"], options["raw"]
    )
    settings = PlotSettings(options["background"], options["max_people"], options["overwrite"])
    targets = plan(tracks, what, options["output"], options["to"])
    made = plot_tracks(tracks, targets, video, choice, measure, settings)
    for note in made.notes:
        click.echo(note, err=True)
    for file in made.files:
        click.echo(file)
