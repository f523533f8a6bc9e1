"""The command line: one file a command, options in, one call, no logic.

Only this package prints, exits or reads the terminal. Results go to stdout, talk to stderr. Exit codes: 0 done,
1 the input or the machine is at fault (one line that says what to do), 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from typing import Any

import click

from posetrack import __version__
from posetrack.errors import PosetrackError

__all__ = ["COMMANDS", "main", "posetrack"]

COMMANDS = {
    "run": "Track the people of videos: JSON out, an annotated video on request.",
    "render": "Draw tracks on their video again, without the networks.",
    "export": "Write tracks in the formats of other tools.",
    "plot": "Paths, speeds and joint angles of tracks as pictures and tables.",
    "review": "Look at tracks in the browser and correct who is who.",
    "edit": "Replay corrections of identities made in review.",
    "clean": "Smooth, fill, join and choose tracks, into a new file.",
    "eval": "Score results, or networks, against the truth.",
    "train": "Train the pose network or the detector.",
    "weights": "List, fetch, import, check and export network weights.",
    "info": "What posetrack makes of a video, a result, a weights file, this machine.",
}
"""Command and its line in the help. Each lives in posetrack/cli/NAME.py as a click command of that name, and is
imported only when it is asked for, so that help is instant and nothing loads torch that does not need it."""


class _Lazy(click.Group):
    """The group of `COMMANDS`, imported one at a time."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(f"posetrack.cli.{name}"), name)
        assert isinstance(command, click.Command)
        _accept_debug(command)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what goes wrong becomes one line and exit code 1."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # the reader of a pipe has gone: nothing more can be said to it, also not by the interpreter's flush
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(1)
        except (PosetrackError, OSError) as error:
            if ctx.meta.get("posetrack.debug"):
                traceback.print_exception(error)
            click.echo(f"error: {' '.join(str(error).split())}", err=True)
            ctx.exit(1)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _accept_debug(command: click.Command) -> None:
    """Let `--debug` stand behind the command as well as before it."""
    if isinstance(command, click.Group):
        for child in command.commands.values():
            _accept_debug(child)
    elif not any("--debug" in parameter.opts for parameter in command.params):
        command.params.append(_debug_option())


def _debug_option() -> click.Option:
    return click.Option(
        ["--debug"], is_flag=True, expose_value=False, callback=_note_debug,
        help="Show the traceback of an error.",
    )  # fmt: skip


def _note_debug(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    root = ctx.find_root()
    root.meta["posetrack.debug"] = root.meta.get("posetrack.debug", False) or value


@click.command(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(version)s", prog_name="posetrack")
def posetrack() -> None:
    """Who is in a video, where each body joint is, and which person is which through time."""


posetrack.params.append(_debug_option())


def main() -> None:
    """Run the command line of this process and exit with its code."""
    try:
        code = posetrack.main(prog_name="posetrack", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else 0)
