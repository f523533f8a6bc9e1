"""posetrack edit: the corrections made in posetrack review, replayed without the page."""

from __future__ import annotations

from pathlib import Path

import click

from posetrack.cli.progress import frame_progress

__all__ = ["edit"]


@click.command()
@click.argument("tracks", type=click.Path(path_type=Path), metavar="TRACKS")
@click.argument("edits", type=click.Path(path_type=Path), metavar="EDITS")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, metavar="OUT",
              help="The result file to write.")
@click.option("--overwrite", is_flag=True, help="Replace a result that exists.")
@click.option("-q", "--quiet", is_flag=True, help="No progress and no summary, only errors and warnings.")
def edit(tracks: Path, edits: Path, output: Path, overwrite: bool, quiet: bool) -> None:
    """Make the corrections of EDITS on TRACKS into a new result file.

    EDITS is the NAME.edits.jsonl that posetrack review keeps beside TRACKS. Ids and names change, people deleted are
    left out; joints, boxes, scores and times stay as they are. The new file tells the edits and what they were made on.
    """
    from posetrack.review.replay import edit_tracks

    with frame_progress(tracks.name, quiet) as watch:
        made = edit_tracks(tracks, edits, output, overwrite=overwrite, watch=watch)
    if made.cut:
        click.echo(f"warning: {edits}: its last line was cut off and is left out", err=True)
    if not quiet:
        count = len(made.edits)
        click.echo(f"{count} edit{'' if count == 1 else 's'}, {len(made.state.ids)} people", err=True)
    click.echo(output)
