"""Reports as tables: what the terminal shows, and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from posetrack.evaluate.report import GROUPS

__all__ = ["Table", "as_csv", "coco_table", "pose_tables", "scores_table", "sweep_table", "track_table"]

_BY_JOINT = {
    "ap": "AP", "mota": "MOTA", "motp_matched": "MOTP matched", "motp_all_rows": "MOTP all rows",
    "precision": "precision", "recall": "recall", "pckh": "PCKh@0.5", "pdj": "PDJ@0.2", "pck_box": "PCK@0.2 box",
}  # fmt: skip
_WHOLE = {
    "hota": "HOTA", "deta": "DetA", "assa": "AssA", "loca": "LocA", "idf1": "IDF1", "mota": "MOTA", "motp": "MOTP",
    "precision": "precision", "recall": "recall", "id_switches": "switches", "fragmentations": "fragments",
    "mostly_tracked": "MT", "partially_tracked": "PT", "mostly_lost": "ML", "misses": "misses",
    "false_positives": "false",
}  # fmt: skip


@dataclass(frozen=True)
class Table:
    """A heading, the names of columns, and rows of text."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def pose_tables(report: Mapping[str, Any]) -> list[Table]:
    """PoseTrack's table by body part, then whole people, for one report of `score_poses`."""
    parts = [name for name, joints in GROUPS.items() if any(j in report["ap"] for j in joints)]
    columns = ("", *parts, "total")
    rows = [
        (label, *(_text(_group(report[name], part)) for part in parts), _text(report[name]["total"]))
        for name, label in _BY_JOINT.items()
        if name in report
    ]
    tables = [Table("by body part, %", columns, tuple(rows))]
    if "hota" in report:
        tables.append(track_table([("all", {**report, **report["clear"]})]))
    return tables


def _group(values: Mapping[str, Any], part: str) -> float | None:
    known = [v for joint in GROUPS[part] if (v := values.get(joint)) is not None]
    return sum(known) / len(known) if known else None


def track_table(reports: Sequence[tuple[str, Mapping[str, Any]]]) -> Table:
    """Scores of whole people, a row for each named report."""
    names = [name for name in _WHOLE if any(name in report for _, report in reports)]
    rows = tuple((label, *(_text(report.get(name)) for name in names)) for label, report in reports)
    return Table("whole people", ("", *(_WHOLE[name] for name in names)), rows)


def coco_table(report: Mapping[str, Any]) -> Table:
    """COCO's summary, a row for keypoints and one for boxes."""
    kinds = [kind for kind in ("keypoints", "bbox") if kind in report]
    names = list(dict.fromkeys(name for kind in kinds for name in report[kind]))
    rows = tuple((kind, *(_text(report[kind].get(name)) for name in names)) for kind in kinds)
    return Table("COCO, %", ("", *names), rows)


def sweep_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Scores at each joint threshold."""
    names = [name for name in ("ap", "mota", "motp", "precision", "recall") if name in rows[0]]
    cells = tuple((f"{row['threshold']:.2f}", *(_text(row[name]) for name in names)) for row in rows)
    return Table("joints under a score dropped, %", ("threshold", *(_BY_JOINT.get(n, "MOTP") for n in names)), cells)


def scores_table(label: str, scores: Mapping[str, float]) -> Table:
    """One row of named numbers."""
    return Table("scores, %", ("", *scores), ((label, *map(_text, scores.values())),))


def as_csv(report: Mapping[str, Any]) -> str:
    """Every number of a report, a line each: sequence, score, joint (or part), value."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("sequence", "score", "of", "value"))
    writer.writerows(("all", *row) for row in _numbers(report))
    for sequence in report.get("per_sequence", ()):
        writer.writerows((sequence["name"], *row) for row in _numbers(sequence))
    return text.getvalue()


def _numbers(report: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str, Any]]:
    for name, value in report.items():
        if isinstance(value, Mapping):
            if all(not isinstance(v, Mapping | list) for v in value.values()):
                yield from ((prefix + name, key, _cell(v)) for key, v in value.items())
            else:
                yield from _numbers(value, f"{prefix}{name}.")
        elif not isinstance(value, list):
            yield prefix + name, "", _cell(value)


def _cell(value: Any) -> Any:
    return "" if value is None else value
