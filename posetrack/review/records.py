"""The frames of a result file as plain JSON values, ten times as fast as the strict reader gives them.

Whoever looks only at ids and boxes, or copies a frame with other ids, needs no arrays. Ids and frame numbers are
checked here, the rest is left as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from posetrack.errors import FormatError
from posetrack.results.reader import TrackReader

__all__ = ["frame_records"]


def frame_records(reader: TrackReader) -> Iterator[tuple[int, list[int], dict[str, Any]]]:
    """Frame number, ids of its people and the whole record of every frame of a result file.

    FormatError that names the line where frame numbers do not grow, an id is none or is given twice.
    """
    last = -1
    for where, record in reader.records():
        try:
            index, ids = record["index"], [person["id"] for person in record["people"]]
        except (TypeError, KeyError) as error:
            raise FormatError(f"{where}: a frame has an index and people with ids, this one lacks {error}") from error
        if not isinstance(index, int) or index <= last:
            raise FormatError(f"{where}, index: {index!r} comes after {last}; frame numbers must grow")
        if len(set(ids)) != len(ids) or not all(type(id) is int and id > 0 for id in ids):
            raise FormatError(f"{where}, people: the ids {ids} are not whole numbers from 1, each given once")
        last = index
        yield index, ids, record
