"""How scores leave the program: a table on the terminal, JSON and CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from posetrack.evaluate.tables import Table

__all__ = ["Output", "show", "write_report"]

_STDOUT = Path("-")


@dataclass(frozen=True)
class Output:
    """Where a report goes: files, `-` for stdout, None for nowhere."""

    json: Path | None
    csv: Path | None


def write_report(report: Mapping[str, Any], output: Output) -> None:
    """Write the report as JSON and as CSV, wherever it is wanted."""
    import orjson

    from posetrack.evaluate.tables import as_csv

    if output.json:
        _put(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode() + "\n", output.json)
    if output.csv:
        _put(as_csv(report), output.csv)


def _put(text: str, path: Path) -> None:
    if path == _STDOUT:
        click.echo(text, nl=False)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def show(report: Mapping[str, Any], tables: Sequence[Table], *written: Path | None) -> None:
    """Notes on stderr and tables on stdout; none where stdout already carries the report."""
    for note in report["notes"]:
        click.echo(note, err=True)
    for bad in report.get("worst_frames", ()):
        click.echo(
            f"worst: {bad['sequence']} frame {bad['frame']} ({bad['name']}): {bad['missed']} joints missed, "
            f"{bad['false']} false, {bad['switches']} ids changed",
            err=True,
        )
    if _STDOUT in written:
        return
    for table in tables:
        _print(table)


def _print(table: Table) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table as Grid

    grid = Grid(title=table.title, title_justify="left", box=box.SIMPLE_HEAD)
    for number, column in enumerate(table.columns):
        grid.add_column(column, justify="left" if number == 0 else "right", no_wrap=True)
    for row in table.rows:
        grid.add_row(*row)
    wide = Console()
    # a table that a pipe cuts at 80 columns is of no use to the next program
    width = wide.width if wide.is_terminal else max(wide.width, 200)
    Console(width=width, highlight=False).print(grid)
