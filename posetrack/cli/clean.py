"""posetrack clean: tracks smoothed, filled, joined and chosen from, into a new file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from posetrack.cli.options import GroupedCommand, grouped

if TYPE_CHECKING:
    from posetrack.clean.operations import Operation

__all__ = ["FILTER_SETTINGS", "KEEP_NAMES", "STITCH_SECONDS", "clean"]

FILTER_SETTINGS: dict[str, dict[str, float]] = {
    "one-euro": {"min_cutoff": 3.0, "beta": 2.0, "derivative_cutoff": 1.0},
    "savgol": {"window": 0.3, "order": 2},
    "butterworth": {"cutoff": 6.0, "order": 2},
}
"""The filters and their settings, written out so that help loads no numpy; a test holds them together."""

KEEP_NAMES = ("largest", "longest", "centre", "most-moving")
STITCH_SECONDS = 10.0

_ORDER = "posetrack.clean.order"
_OPERATIONS = {"smooth", "fill", "min_frames", "stitch", "max_people", "keep", "region"}
_SETTINGS = {"min_cutoff", "beta", "derivative_cutoff", "window", "order", "cutoff", "by_score"}


class _InOrder(GroupedCommand):
    """A command that keeps the order in which its options were given, and lets --stitch stand without a number."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        args = list(_with_seconds(args))
        _, _, order = self.make_parser(ctx).parse_args(list(args))
        ctx.meta[_ORDER] = [parameter.name for parameter in order]
        return super().parse_args(ctx, args)


def _with_seconds(args: list[str]) -> Iterator[str]:
    for i, word in enumerate(args):
        yield word
        if word == "--stitch" and not _is_number(args[i + 1] if i + 1 < len(args) else ""):
            yield str(STITCH_SECONDS)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _parse_keep(
    ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[str | tuple[int, ...], ...]:
    """The rule, or the ids, of each --keep."""
    return tuple(value if value in KEEP_NAMES else _parse_ids(value) for value in values)


def _parse_ids(value: str) -> tuple[int, ...]:
    try:
        ids = tuple(int(part) for part in value.split(","))
    except ValueError:
        ids = ()
    if not ids or min(ids) < 1:
        raise click.BadParameter(f"{value!r} is neither {', '.join(KEEP_NAMES)} nor ids like 3 or 3,7")
    return ids


def _parse_region(
    ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[tuple[float, ...], ...]:
    """x, y, width, height of each --region."""
    regions = []
    for value in values:
        try:
            x, y, width, height = (float(part) for part in value.split(","))
        except ValueError:
            raise click.BadParameter(f"{value!r} is not four numbers x,y,w,h") from None
        if not (width > 0 and height > 0 and all(map(math.isfinite, (x, y, width, height)))):
            raise click.BadParameter(f"{value!r}: a width and a height above 0 are wanted")
        regions.append((x, y, width, height))
    return tuple(regions)


class _Finite(click.FloatRange):
    """A range of numbers without nan and inf."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not math.isfinite(number := super().convert(value, param, ctx)):
            self.fail(f"{value!r} is not a finite number", param, ctx)
        return number


_POSITIVE = _Finite(0, min_open=True)
_HERTZ: Any = {"type": _POSITIVE, "metavar": "HZ", "multiple": True}
_FRAMES: Any = {"type": click.IntRange(1), "metavar": "N", "multiple": True}


@click.command(cls=_InOrder)
@click.argument("tracks", type=click.Path(path_type=Path), metavar="TRACKS")
@grouped("Output", "-o", "--output", type=click.Path(path_type=Path), required=True, show_default=False, metavar="OUT",
         help="The file to write, or a folder for it. Never TRACKS itself.")
@grouped("Output", "--overwrite", is_flag=True, help="Replace a file that exists.")
@grouped("Joints", "--smooth", type=click.Choice(list(FILTER_SETTINGS)), multiple=True,
         help="Filter joints over time, without delay; not across scene cuts, nor across more than 3 frames without "
         "the joint. Joints that were hardly seen lean on the others around them. The settings below go behind it.")
@grouped("Joints", "--cutoff", **_HERTZ, show_default="6", help="butterworth: faster movement is damped.")
@grouped("Joints", "--window", type=_POSITIVE, metavar="SECONDS", multiple=True,
         show_default="0.3", help="savgol: how long a curve is fitted.")
@grouped("Joints", "--order", type=click.IntRange(1, 8), metavar="N", multiple=True, show_default="2",
         help="butterworth: of each of the two passes. savgol: degree of the curve.")
@grouped("Joints", "--min-cutoff", **_HERTZ, show_default="3", help="one-euro: cut-off at rest.")
@grouped("Joints", "--beta", type=_Finite(0), metavar="B", multiple=True, show_default="2",
         help="one-euro: how many Hz it grows with each body size a second.")
@grouped("Joints", "--derivative-cutoff", **_HERTZ, show_default="1", help="one-euro: cut-off of the speed.")
@grouped("Joints", "--by-score/--all-alike", multiple=True, show_default="by score",
         help="Whether joints of low score lean on the others before the filter.")
@grouped("Joints", "--fill", **_FRAMES, help="Fill gaps of up to N frames, not across cuts; marked as filled.")
@grouped("People", "--stitch", type=_POSITIVE, metavar="[SECONDS]", multiple=True,
         show_default=f"{STITCH_SECONDS:g}", help="Join tracks of one person across an absence of up to so long.")
@grouped("People", "--min-frames", **_FRAMES, help="Drop people seen in fewer frames; filled ones don't count.")
@grouped("People", "--max-people", type=click.IntRange(1), metavar="N", multiple=True,
         help="At most N in every frame, those of the highest summed score over the video.")
@grouped("People", "--keep", callback=_parse_keep, metavar="largest|longest|centre|most-moving|ID,ID", multiple=True,
         help="Keep one person by a rule, or these ids.")
@grouped("People", "--region", callback=_parse_region, metavar="X,Y,W,H", multiple=True,
         help="People in the frames in which the middle of their box lies in this part of the picture, in pixels.")
def clean(tracks: Path, output: Path, overwrite: bool, **options: Any) -> None:
    """Smooth, fill, join and choose tracks, into a new file.

    TRACKS is a NAME.tracks.json. Operations are done in the order in which they stand here, some of them several
    times if you like, and are told in the new file, which keeps the joints as they were ("raw") beside the new ones.
    What was done goes to stderr, the path of the file to stdout.
    """
    operations = _operations(click.get_current_context().meta[_ORDER], options)
    from posetrack.clean.operations import clean_file

    cleaned = clean_file(tracks, output, operations, overwrite=overwrite)
    for note in cleaned.notes:
        click.echo(note, err=True)
    click.echo(f"{cleaned.frames} frames, {cleaned.before} -> {cleaned.after} people", err=True)
    click.echo(str(cleaned.path))


def _operations(order: list[str], options: dict[str, Any]) -> list[Operation]:
    """What to do, in the order given; click.UsageError for settings that no filter before them takes."""
    values = {name: iter(given) for name, given in options.items()}
    steps: list[tuple[str, Any, dict[str, Any]]] = []
    for name in order:
        if name in _OPERATIONS:
            steps.append((name, next(values[name]), {}))
        elif name in _SETTINGS:
            option = "--" + name.replace("_", "-")
            if not steps or steps[-1][0] != "smooth":
                raise click.UsageError(f"{option} goes behind the --smooth that it is for.")
            _, filter, settings = steps[-1]
            if name != "by_score" and name not in FILTER_SETTINGS[filter]:
                raise click.UsageError(f"{option} is not a setting of {filter}.")
            settings[name] = next(values[name])
    if not steps:
        raise click.UsageError("Nothing to do: give --smooth, --fill, --stitch, --keep or another operation.")
    return [_operation(*step) for step in steps]


def _operation(name: str, value: Any, settings: dict[str, Any]) -> Operation:
    from posetrack.clean import operations
    from posetrack.clean.filters import FILTERS

    if name == "smooth":
        by_score = settings.pop("by_score", True)
        return operations.smoothing(FILTERS[value](**settings), by_score)
    if name == "keep":
        return operations.keeping(value) if isinstance(value, str) else operations.keeping_ids(value)
    if name == "region":
        return operations.restricting(*value)
    make = {
        "fill": operations.filling, "min_frames": operations.requiring, "max_people": operations.limiting,
        "stitch": operations.stitching,
    }  # fmt: skip
    return make[name](value)
