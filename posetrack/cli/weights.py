"""posetrack weights: list, fetch, import, check and export network weights."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import click

from posetrack.cli.fetching import fetch
from posetrack.errors import OutputError, PosetrackError, WeightsError
from posetrack.weights import cache
from posetrack.weights.catalogue import catalogue, find_entry
from posetrack.weights.listing import Listed, known_weights, state_of
from posetrack.weights.presets import PRESETS

__all__ = ["weights"]

F = TypeVar("F", bound=Callable[..., Any])


def _folder_option(command: F) -> F:
    return click.option(
        "--weights-dir", "folder", type=click.Path(file_okay=False, path_type=Path),
        show_default="POSETRACK_HOME/weights, or the platform's cache folder",
        help="Where fetched and imported networks lie.",
    )(command)  # fmt: skip


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def weights() -> None:
    """List, fetch, import, check and export networks.

    A NAME of the list can stand in --detector and --pose of every command. Downloads are resumed, checked by
    their SHA-256, and turned into safetensors. POSETRACK_MIRROR names a folder or web address to fetch from
    instead of the publishers; with POSETRACK_OFFLINE=1 the network is never touched.
    """


@weights.command("list")
@click.option("--here", is_flag=True, help="Only those on this machine.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, with everything that the catalogue knows.")
@_folder_option
def list_weights(here: bool, as_json: bool, folder: Path | None) -> None:
    """Every known network, its published score, and whether it is here."""
    found = [listed for listed in known_weights(folder) if not here or listed.here != "no"]
    if as_json:
        click.echo(json.dumps([{**asdict(listed.entry), "here": listed.here} for listed in found], indent=1))
        return
    for heading, kind in (("Person detectors", "detector"), ("Pose networks", "pose")):
        rows = [_row(listed) for listed in found if listed.entry.kind == kind]
        if rows:
            click.echo(f"{heading}\n" + "\n".join(_aligned([_HEAD, *rows])) + "\n")


_HEAD = (
    "name", "network", "input", "MB", "M params", "GFLOPs", "score", "on", "skeleton", "licence", "here", "source",
)  # fmt: skip


def _row(listed: Listed) -> tuple[str, ...]:
    entry = listed.entry
    network = str(entry.architecture.get("body") or entry.architecture.get("name") or "")
    shown = entry.input
    size = f"{shown['height']}x{shown['width']}" if "height" in shown else str(shown.get("min_size", ""))
    return (
        entry.name, network, size, _number(entry.size_mb), _number(entry.parameters), _number(entry.gflops),
        entry.score, entry.data, entry.skeleton, entry.licence.split(" (")[0], listed.here, entry.source,
    )  # fmt: skip


def _number(value: float) -> str:
    return f"{value:.1f}" if value else ""


def _aligned(rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEAD))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


@weights.command()
@click.argument("names", nargs=-1, metavar="NAME...")
@click.option("--preset", type=click.Choice(list(PRESETS)), help="What `posetrack run --preset` needs.")
@_folder_option
def get(names: tuple[str, ...], preset: str | None, folder: Path | None) -> None:
    """Fetch published networks by name; says where they lie."""
    wanted = [*names, *((PRESETS[preset].detector, PRESETS[preset].pose) if preset else ())]
    if not wanted:
        raise click.UsageError("give at least one NAME, or --preset")
    for path in fetch([find_entry(name) for name in wanted], folder):
        click.echo(str(path))


def _size(ctx: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    try:
        height, width = (int(part) for part in value.lower().split("x"))
    except ValueError:
        raise click.BadParameter(f"{value} is no HEIGHTxWIDTH like 256x192") from None
    if min(height, width) < 32 or height % 32 or width % 32:
        raise click.BadParameter("height and width are multiples of 32")
    return height, width


def _levels(ctx: click.Context, parameter: click.Parameter, value: str | None) -> tuple[float, float, float] | None:
    if value is None:
        return None
    try:
        a, b, c = (float(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(f"{value} is no three numbers like 123.7,116.3,103.5") from None
    return a, b, c


@weights.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--as", "name", required=True, metavar="NAME", help="What it shall be called.")
@click.option("--size", callback=_size, metavar="HxW", help="Input height x width, if the file does not tell.")
@click.option(
    "--skeleton",
    type=click.Choice(["coco17", "posetrack17", "posetrack18", "mpii16"]),
    help="Whose joints it gives, if their number does not tell.",
)
@click.option("--colour-order", type=click.Choice(["RGB", "BGR"]), help="Order of the planes that it wants.")
@click.option("--mean", callback=_levels, metavar="A,B,C", help="Mean of the planes, in that order, in 0..255.")
@click.option("--std", callback=_levels, metavar="A,B,C", help="Deviation of the planes, in the same order.")
@_folder_option
def import_weights(
    file: Path, name: str, size: tuple[int, int] | None, folder: Path | None, **said: Any
) -> None:  # fmt: skip
    """Take a file into the cache under a name.

    FILE is a checkpoint of the paper's authors, of mmpose or of torchvision, an ONNX heatmap network, or a
    safetensors file of posetrack. Nothing in it is run.
    """
    from posetrack.weights.foreign import Overrides
    from posetrack.weights.install import import_file

    height, width = size or (None, None)
    overrides = Overrides(height=height, width=width, **said)
    click.echo(str(import_file(file, name, overrides, folder)))


@weights.command()
@click.argument("names", nargs=-1, metavar="[NAME...]")
@_folder_option
def verify(names: tuple[str, ...], folder: Path | None) -> None:
    """Check networks by their hashes and open them; all that are here, or NAME."""
    from posetrack.weights.files import load_weights

    here = [listed.entry.name for listed in known_weights(folder) if listed.here != "no"]
    failed = []
    for name in names or here:
        try:
            found = load_weights(name, folder=folder)
        except PosetrackError as error:
            failed.append(name)
            click.echo(f"error: {error}", err=True)
        else:
            click.echo(f"{name}  ok  sha256 {found.sha256}")
    if failed:
        raise WeightsError(f"not as they should be: {', '.join(failed)}")


@weights.command()
@click.argument("name")
@_folder_option
def path(name: str, folder: Path | None) -> None:
    """Where the file of a network lies."""
    click.echo(str(cache.find(name, folder)))


@weights.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@_folder_option
def remove(names: tuple[str, ...], folder: Path | None) -> None:
    """Delete fetched or imported networks from this machine."""
    for name in names:
        click.echo(f"{name} removed, {cache.remove(name, folder) / 1e6:.1f} MB freed", err=True)


@weights.command()
@click.argument("name", metavar="NAME|FILE")
@_folder_option
def info(name: str, folder: Path | None) -> None:
    """What a network is, what it wants to be shown, and where it comes from."""
    entry = catalogue().get(name)
    if entry and state_of(entry, folder) == "no":
        _echo_record({"here": f"no; {cache.how_to_get(entry)}", **asdict(entry)})
        return
    from posetrack.weights.files import load_weights

    found = load_weights(name, folder=folder)
    size = f"{found.path.stat().st_size / 1e6:.1f} MB"
    _echo_record({"file": str(found.path), "size": size, "sha256": found.sha256, **found.metadata})


def _echo_record(record: dict[str, Any]) -> None:
    for key, value in record.items():
        if value:
            text = value if isinstance(value, (str, int, float)) else json.dumps(value)
            click.echo(f"{key.replace('_', ' '):<16}{text}")


@weights.command()
@click.argument("name", metavar="NAME|FILE")
@click.option("--onnx", is_flag=True, help="As ONNX, for other programs; checked against torch.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    show_default="NAME.onnx or NAME.safetensors",
    help="The file to write.",
)
@click.option("--overwrite", is_flag=True, help="Replace a file that exists.")
@_folder_option
def export(
    name: str, onnx: bool, output: Path | None, overwrite: bool, folder: Path | None
) -> None:  # fmt: skip
    """Write a network to a file: safetensors, or ONNX for any number of pictures at a time."""
    from posetrack.weights.files import build_network, load_weights, save_weights
    from posetrack.weights.onnx import export_onnx

    found = load_weights(name, "pose" if onnx else None, folder)
    target = output or Path(f"{Path(name).name.split('.')[0]}.{'onnx' if onnx else 'safetensors'}")
    if target.exists() and not overwrite:
        raise OutputError(f"{target} exists; choose another -o, or --overwrite")
    if not found.state:
        raise WeightsError(f"{found.path}: is ONNX already; copy it as it is")
    if onnx:
        difference = export_onnx(build_network(found), found.metadata, target)
        click.echo(f"its heatmaps differ from torch's by {difference:.0e} at most", err=True)
    else:
        save_weights(target, found.state, found.metadata)
    click.echo(str(target))
