"""posetrack review: look at tracks in the browser and correct them."""

from __future__ import annotations

import gc
import webbrowser
from contextlib import suppress
from pathlib import Path

import click

__all__ = ["review"]


@click.command()
@click.argument("tracks", type=click.Path(path_type=Path))
@click.argument("video", required=False)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, show_default="any that is free", help="The port on 127.0.0.1."
)
@click.option("--no-browser", is_flag=True, help="Only print the address; open it yourself.")
def review(tracks: Path, video: str | None, port: int, no_browser: bool) -> None:
    """Look at TRACKS in the browser and correct who is who.

    Opens a page on this machine only, until ctrl-C. Corrections are kept at once in NAME.edits.jsonl beside TRACKS,
    which stays as it is; `posetrack edit` or the page's export makes a new file of both. Without VIDEO it is looked for
    beside TRACKS and in the current folder, under the name that TRACKS tells.
    """
    from posetrack.review.server import LoopbackServer
    from posetrack.review.session import Session

    gc.set_threshold(200_000)  # a piece of frames is 100,000 lists at once, which are no garbage: 2.7 times faster
    session = Session(tracks, video)
    with LoopbackServer(session.site(), port) as server, suppress(KeyboardInterrupt):  # the way to end it
        session.start()
        click.echo(server.url)
        click.echo("ctrl-C ends it", err=True)
        if not no_browser:
            webbrowser.open(server.url)
        server.serve_forever()
