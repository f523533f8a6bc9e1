"""Series as a long table for statistics programs: one number a row."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from posetrack.plot.series import Series
from posetrack.results.output import new_file
from posetrack.results.rounding import rounded

__all__ = ["COLUMNS", "write_series"]

COLUMNS = ("frame", "time", "id", "name", "from", "of", "quantity", "value", "unit")

_DECIMALS = {"px": 2, "m": 5, "px/s": 2, "m/s": 4, "heights/s": 4, "deg": 2}


def write_series(path: Path, series: Sequence[Series], *, overwrite: bool = False) -> None:
    """A CSV table with a row for each frame of each series; an empty value where it can't be told.

    Rows go by id, then series, then frame. `from` says where the person's box came from (fill: a gap that was filled
    in). Hundredths of a pixel, of a pixel a second and of a degree; OutputError when it cannot be written.
    """
    with new_file(path, overwrite=overwrite) as file, io.TextIOWrapper(file, "utf-8", newline="") as text:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        for one in series:
            writer.writerows(_rows(one))


def _rows(one: Series) -> Iterator[list[Any]]:
    decimals = _DECIMALS[one.unit]
    for frame, time, source, value in zip(one.frames, one.times, one.sources, one.values, strict=True):
        number = rounded(value, decimals) if np.isfinite(value) else ""
        yield [frame, rounded(time, 6), one.id, one.name or "", source, one.of, one.quantity, number, one.unit]
