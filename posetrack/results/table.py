"""Tables for statistics programs: CSV and Parquet, one row a joint or one row a person."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from posetrack.errors import DeviceError, FormatError
from posetrack.results.lines import Header
from posetrack.results.output import new_file
from posetrack.results.rounding import rounded, rounded_box, rounded_joints
from posetrack.types import FrameResult, Person

__all__ = ["Rows", "read_table", "write_csv", "write_parquet"]

Rows = Literal["joint", "person"]
Record = dict[str, Any]

_JOINT_COLUMNS = ("frame", "time", "id", "joint", "x", "y", "score")
_PERSON_COLUMNS = ("frame", "time", "id", "score", "from", "box_x", "box_y", "box_width", "box_height")
_ROWS_AT_ONCE = 50_000


def _columns(header: Header, rows: Rows) -> list[str]:
    if rows == "joint":
        return list(_JOINT_COLUMNS)
    return [
        *_PERSON_COLUMNS,
        *(f"{joint}_{axis}" for joint in header.skeleton.joints for axis in ("x", "y", "score")),
    ]


def _records(header: Header, frames: Iterable[FrameResult], rows: Rows) -> Iterator[list[Any]]:
    """The cells of each row, None for what has no value."""
    for frame in frames:
        time = rounded(frame.time, 6)
        for person in frame.people:
            joints = [[None if np.isnan(v) else v for v in row] for row in rounded_joints(person.keypoints).tolist()]
            if rows == "joint":
                for name, joint in zip(header.skeleton.joints, joints, strict=True):
                    yield [frame.index, time, person.id, name, *joint]
            else:
                yield [frame.index, time, *_person_cells(person), *itertools.chain(*joints)]


def _person_cells(person: Person) -> list[Any]:
    return [person.id, rounded(person.score, 4), person.source, *rounded_box(person.box).tolist()]


def write_csv(
    path: str | Path,
    header: Header,
    frames: Iterable[FrameResult],
    *,
    rows: Rows = "joint",
    overwrite: bool = False,
) -> tuple[str, ...]:
    """A CSV table. One row a joint: frame, time, id, joint, x, y, score. One row a person: score, source and
    box, then x, y, score of each joint. Empty cells for what has no place. Frames without people have no row.

    Raises OutputError when the file cannot be written.
    """
    with new_file(path, overwrite=overwrite) as file, io.TextIOWrapper(file, "utf-8", newline="") as text:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(_columns(header, rows))
        writer.writerows(_records(header, frames, rows))
    return ()


def write_parquet(
    path: str | Path,
    header: Header,
    frames: Iterable[FrameResult],
    *,
    rows: Rows = "joint",
    overwrite: bool = False,
) -> tuple[str, ...]:
    """The table of `write_csv` as Parquet, null for what has no place.

    Raises OutputError when the file cannot be written and DeviceError without pyarrow.
    """
    pyarrow, parquet = _pyarrow()
    columns = _columns(header, rows)
    kinds = {
        "frame": pyarrow.int64(),
        "id": pyarrow.int64(),
        "from": pyarrow.string(),
        "joint": pyarrow.string(),
    }
    schema = pyarrow.schema([(name, kinds.get(name, pyarrow.float64())) for name in columns])
    records = _records(header, frames, rows)
    with new_file(path, overwrite=overwrite) as file, parquet.ParquetWriter(file, schema) as writer:
        while block := list(itertools.islice(records, _ROWS_AT_ONCE)):
            cells = [
                pyarrow.array(cells, kind) for cells, kind in zip(zip(*block, strict=True), schema.types, strict=True)
            ]
            writer.write_table(pyarrow.Table.from_arrays(cells, schema=schema))
    return ()


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise DeviceError("Parquet needs pyarrow: pip install 'posetrack[tables]', or choose csv") from error
    return pyarrow, parquet


def read_table(path: str | Path) -> tuple[tuple[str, ...], list[FrameResult]]:
    """A table that posetrack wrote, of either kind, CSV or Parquet: the joints' names and the frames with
    people.

    A table with a row a joint has neither boxes nor scores of people: these are the bounds and the mean score
    of the joints that have a place. Raises FormatError that names file and row.
    """
    records = _read_parquet(path) if str(path).endswith(".parquet") else _read_csv(path)
    if not records:
        raise FormatError(f"{path}: no row in this table")
    columns = list(records[0])
    if columns == list(_JOINT_COLUMNS):
        joints = tuple(dict.fromkeys(record["joint"] for record in records))
        return joints, _frames(path, _people_of_joints(path, records, joints))
    names = tuple(column.removesuffix("_x") for column in columns[len(_PERSON_COLUMNS) :: 3])
    if columns[: len(_PERSON_COLUMNS)] != list(_PERSON_COLUMNS):
        raise FormatError(f"{path}: not a table of posetrack's; its columns are {', '.join(columns)[:200]}")
    return names, _frames(path, (_person_of_row(path, n, record) for n, record in enumerate(records, 1)))


def _read_csv(path: str | Path) -> list[Record]:
    try:
        with Path(path).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except OSError as error:
        raise FormatError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: not a text; name a CSV file") from error


def _read_parquet(path: str | Path) -> list[Record]:
    pyarrow, parquet = _pyarrow()
    try:
        return list(parquet.read_table(path).to_pylist())
    except (OSError, pyarrow.ArrowException) as error:
        raise FormatError(f"{path}: not a Parquet file that can be read ({error})") from error


def _number(record: Record, column: str, where: str) -> float:
    value = record[column]
    try:
        return float("nan") if value in ("", None) else float(value)
    except (TypeError, ValueError) as error:
        raise FormatError(f"{where}, {column}: {value!r} is not a number") from error


def _place(record: Record, where: str) -> tuple[int, float, int]:
    frame, time, identity = (_number(record, column, where) for column in ("frame", "time", "id"))
    if not np.isfinite([frame, time, identity]).all():
        raise FormatError(f"{where}: frame, time and id are wanted in every row")
    return int(frame), time, int(identity)


def _people_of_joints(
    path: str | Path, records: list[Record], joints: tuple[str, ...]
) -> Iterator[tuple[int, float, Person]]:
    column = {joint: i for i, joint in enumerate(joints)}
    people: dict[tuple[int, float, int], np.ndarray[Any, Any]] = {}
    for n, record in enumerate(records, 1):
        where = f"{path} row {n}"
        keypoints = people.setdefault(_place(record, where), np.full((len(joints), 3), (np.nan, np.nan, 0), np.float32))
        keypoints[column[record["joint"]]] = [_number(record, c, where) for c in ("x", "y", "score")]
    for (frame, time, identity), keypoints in people.items():
        here = keypoints[np.isfinite(keypoints[:, 0])]
        box = np.concatenate([here[:, :2].min(0), here[:, :2].max(0)]) if len(here) else np.zeros(4, np.float32)
        score = float(here[:, 2].mean()) if len(here) else 0.0
        yield frame, time, Person(identity, score, box, keypoints, "file")


def _person_of_row(path: str | Path, n: int, record: Record) -> tuple[int, float, Person]:
    where = f"{path} row {n}"
    frame, time, identity = _place(record, where)
    numbers = [_number(record, column, where) for column in record if column not in ("frame", "time", "id", "from")]
    box = np.array(numbers[1:5], np.float32)
    box[2:] += box[:2]
    keypoints = np.array(numbers[5:], np.float32).reshape(-1, 3)
    return frame, time, Person(identity, numbers[0], box, keypoints, record["from"])


def _frames(path: str | Path, people: Iterable[tuple[int, float, Person]]) -> list[FrameResult]:
    found: dict[int, tuple[float, list[Person]]] = {}
    for frame, time, person in people:
        here = found.setdefault(frame, (time, []))[1]
        if any(other.id == person.id for other in here):
            raise FormatError(f"{path}, frame {frame}: id {person.id} is given to two people")
        here.append(person)
    return [FrameResult(frame, time, tuple(here)) for frame, (time, here) in sorted(found.items())]
