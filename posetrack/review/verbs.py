"""The corrections that a person makes, each a small record and one line of JSON.

    {"verb":"swap","ids":[3,7],"frame":120}    from frame 120 on, 3 is 7 and 7 is 3
    {"verb":"merge","id":7,"into":3}           7 is 3 everywhere
    {"verb":"split","id":3,"frame":120}        from frame 120 on, 3 is somebody else
    {"verb":"delete","id":3}                   3 is nobody; with "first" or "last" only in those frames
    {"verb":"name","id":3,"name":"Anna"}       3 is called so; "" takes the name away

Ids are those shown at that moment, frames are the numbers in the result file.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["VERBS", "Delete", "Edit", "Merge", "Name", "Split", "Swap", "edit_record", "parse_edit"]


@dataclass(frozen=True)
class Swap:
    """Exchange two ids from `frame` to the end."""

    ids: tuple[int, int]
    frame: int


@dataclass(frozen=True)
class Merge:
    """Give all of `id` to `into`."""

    id: int
    into: int


@dataclass(frozen=True)
class Split:
    """Give what `id` is from `frame` on an id of its own."""

    id: int
    frame: int


@dataclass(frozen=True)
class Delete:
    """Show `id` no more; from frame `first` to frame `last`, both included, where they are given."""

    id: int
    first: int | None = None
    last: int | None = None


@dataclass(frozen=True)
class Name:
    """Call `id` by a name; an empty one takes it away."""

    id: int
    name: str


Edit = Swap | Merge | Split | Delete | Name
VERBS: dict[str, type[Edit]] = {"swap": Swap, "merge": Merge, "split": Split, "delete": Delete, "name": Name}

_OPTIONAL = {"first", "last"}


def edit_record(edit: Edit) -> dict[str, Any]:
    """An edit as JSON values."""
    verb = next(verb for verb, kind in VERBS.items() if kind is type(edit))
    fields = {key: value for key, value in asdict(edit).items() if value is not None}
    return {"verb": verb, **{key: list(value) if isinstance(value, tuple) else value for key, value in fields.items()}}


def parse_edit(record: Any) -> Edit:
    """An edit from JSON values; ValueError that says what is wrong with them."""
    if not isinstance(record, dict):
        raise ValueError("an edit is an object with a verb")
    verb = record.get("verb")
    kind = VERBS.get(verb) if isinstance(verb, str) else None
    if kind is None:
        raise ValueError(f"verb: {verb!r} is none of {', '.join(VERBS)}")
    fields = {key: value for key, value in record.items() if key != "verb"}
    known = set(kind.__dataclass_fields__)
    if unknown := sorted(fields.keys() - known):
        raise ValueError(f"{verb}: '{unknown[0]}' is not a field of it")
    if missing := sorted(known - _OPTIONAL - fields.keys()):
        raise ValueError(f"{verb}: '{missing[0]}' is missing")
    return kind(**{key: _checked(f"{verb}, {key}", key, value) for key, value in fields.items()})


def _checked(where: str, field: str, value: Any) -> Any:
    if field == "name":
        if not isinstance(value, str) or not value.isprintable():
            raise ValueError(f"{where}: {value!r} is not a name of one line")
        return value
    if field == "ids":
        if not isinstance(value, list) or len(value) != 2 or not all(_is_whole(one, 1) for one in value):
            raise ValueError(f"{where}: {value!r} are not two ids")
        return tuple(value)
    least = 1 if field in ("id", "into") else 0
    if not _is_whole(value, least):
        raise ValueError(f"{where}: {value!r} is not a whole number from {least}")
    return value


def _is_whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
