"""posetrack render: tracks drawn on their video again, without the networks."""

from __future__ import annotations

from pathlib import Path

import click

from posetrack.cli.progress import frame_progress
from posetrack.errors import InputError

__all__ = ["render"]


@click.command()
@click.argument("tracks", type=click.Path(path_type=Path))
@click.argument("video", required=False)
@click.option("-o", "--output", type=click.Path(path_type=Path), show_default="NAME.tracks.mp4 beside TRACKS",
              help="The annotated video.")
@click.option("--trails", type=click.FloatRange(0), default=0, show_default=True, metavar="SECONDS",
              help="Draw where people came from, so long back.")
@click.option("--joint-threshold", type=click.FloatRange(0, 1), default=0.2, show_default=True,
              help="Joints scoring less are left out.")
@click.option("--overwrite", is_flag=True, help="Replace a video that exists.")
@click.option("-q", "--quiet", is_flag=True, help="No progress, only errors.")
def render(
    tracks: Path, video: str | None, output: Path | None, trails: float, joint_threshold: float, overwrite: bool,
    quiet: bool,
) -> None:  # fmt: skip
    """Draw the people of TRACKS on their video.

    Without VIDEO it is looked for beside TRACKS and in the current folder, under the name that TRACKS tells.
    """
    from posetrack.runs import Job, render_tracks

    source = video or _find_video(tracks)
    output = output or Job(source, tracks).video
    with frame_progress(tracks.name, quiet) as watch:
        render_tracks(
            tracks, source, output, overwrite=overwrite, trails=trails, threshold=joint_threshold, watch=watch
        )
    click.echo(str(output))


def _find_video(tracks: Path) -> str:
    """The video that `tracks` was made of."""
    from posetrack.results.native import read_tracks

    name = str(read_tracks(tracks).header.video.get("path") or "")
    if "://" in name:
        return name
    for folder in (tracks.parent, Path()):
        if name and (folder / name).exists():
            return str(folder / name)
    raise InputError(
        f"{name or 'the video'} is neither beside {tracks} nor in this folder; "
        f"give its path: posetrack render {tracks} VIDEO"
    )
