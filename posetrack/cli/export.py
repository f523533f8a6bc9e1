"""posetrack export: tracks in the formats of other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from posetrack.cli.options import GroupedCommand, grouped

__all__ = ["FORMAT_NAMES", "export"]

FORMAT_NAMES = ("coco", "posetrack18", "posetrack17", "mot", "csv", "parquet", "trc")
"""Names of results.export.FORMATS, written out so that help loads no numpy; a test holds them together."""


@click.command(cls=GroupedCommand)
@click.argument("tracks", type=click.Path(path_type=Path), metavar="TRACKS")
@grouped(
    "Output",
    "--to",
    type=click.Choice(FORMAT_NAMES),
    required=True,
    show_default=False,
    help="coco: keypoint results. posetrack18, posetrack17: PoseTrack's JSON. mot: MOTChallenge text (boxes). "
    "csv, parquet: tables. trc: markers for OpenSim, a file a person.",
)
@grouped(
    "Output",
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    show_default="beside TRACKS, named after it",
    help="The file to write, or a folder for it.",
)
@grouped("Output", "--overwrite", is_flag=True, help="Replace files that exist.")
@grouped(
    "What goes in",
    "--min-joint-score",
    type=float,
    default=0.0,
    metavar="S",
    help="Joints below are written as absent. For PoseTrack's MOTA 0.4 is usual; mAP wants them all.",
)
@grouped("What goes in", "--min-person-score", type=float, default=0.0, metavar="S", help="People below are left out.")
@grouped(
    "What goes in",
    "--rows",
    type=click.Choice(["joint", "person"]),
    default="joint",
    help="csv, parquet: what a row of the table is.",
)
@grouped(
    "What goes in",
    "--pixel-size",
    type=click.FloatRange(0, min_open=True),
    default=1.0,
    metavar="MM",
    help="trc: millimetres that a pixel is.",
)
def export(tracks: Path, to: str, output: Path | None, **options: Any) -> None:
    """Write tracks in the format of another tool.

    TRACKS is a NAME.tracks.json. Frames are counted from 1 in coco (image_id), posetrack17 and mot, from 0
    elsewhere. The paths of the files made go to stdout; what had to be derived or left out is said on stderr.
    """
    from posetrack.results.export import ExportSettings
    from posetrack.results.export import export as write

    settings = ExportSettings(
        options["min_joint_score"], options["min_person_score"], options["rows"], options["pixel_size"],
        options["overwrite"],
    )  # fmt: skip
    made = write(tracks, to, output, settings)
    for note in made.notes:
        click.echo(note, err=True)
    for file in made.files:
        click.echo(file)
