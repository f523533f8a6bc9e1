"""Pictures of scores: precision over recall, PCK curves, identities over time, the trade of thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from posetrack.errors import DeviceError
from posetrack.evaluate.average_precision import detections_of, precision_recall
from posetrack.evaluate.identity import people_switches
from posetrack.evaluate.joints import joint_pairs
from posetrack.evaluate.people import Pair
from posetrack.evaluate.similarity import similar_people
from posetrack.render import track_colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_identities", "plot_pck", "plot_precision_recall", "plot_sweep"]


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of its own, without pyplot's global state."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise DeviceError("plots need matplotlib; install it with: pip install 'posetrack[plots]'") from error
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def plot_precision_recall(pairs: Sequence[Pair], near: float, path: Path) -> None:
    """Precision over recall of every joint; `near` in the truth's reference lengths."""
    detections = [detections_of(pair, joint_pairs(pair, near)) for pair in pairs]
    figure, axes = _figure(7, 5)
    for j, joint in enumerate(pairs[0].skeleton.joints):
        curve = precision_recall(detections, j, ties="together")
        if curve.labelled and len(curve.found):
            style = "--" if joint.startswith("left_") else "-"
            axes.plot(curve.recall, curve.precision, style, label=joint, linewidth=1.2)
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02), title="joints found")
    axes.legend(fontsize=7, ncols=2)
    figure.savefig(path, dpi=120)


def plot_pck(report: Mapping[str, Any], path: Path) -> None:
    """Share of joints within a distance, for each reference length that the report has."""
    figure, axes = _figure(6, 4.5)
    for name in ("pckh", "pdj", "pck_box", "pck_box_diagonal", "pck_head_segment"):
        if name in report:
            curve, length = report[name]["curve"], report[name]["reference"]
            axes.plot(curve["thresholds"], curve["total"], label=f"{name} ({length}), AUC {report[name]['auc']:.1f}")
    axes.set(xlabel="distance in reference lengths", ylabel="joints within, %", ylim=(0, 101), title="PCK")
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=120)


def plot_identities(pair: Pair, path: Path) -> None:
    """Each true person as a line over the frames, coloured by the id they were given; a cross marks each switch."""
    similar = similar_people(pair, "oks" if len(pair.skeleton) else "iou")
    matches, switched = people_switches(pair, similar)
    people = np.unique(pair.truth.id)
    figure, axes = _figure(10, 1.5 + 0.25 * len(people))
    row = np.searchsorted(people, pair.truth.id)
    axes.scatter(pair.truth.frame, row, s=8, marker="|", color="0.6", label="missed")
    given = pair.prediction.id[matches.prediction]
    colours = [tuple(c / 255 for c in track_colour(int(i))) for i in given]
    axes.scatter(matches.frame, row[matches.truth], s=14, marker="s", c=colours or None)
    axes.scatter(
        matches.frame[switched], row[matches.truth[switched]], s=60, marker="x", color="black", label="switch", zorder=3
    )
    for frame, y, identity in zip(matches.frame[switched], row[matches.truth[switched]], given[switched], strict=True):
        axes.annotate(str(identity), (frame, y), textcoords="offset points", xytext=(4, 5), fontsize=7)
    axes.set_yticks(range(len(people)), [str(i) for i in people])
    axes.set(xlabel="frame", ylabel="true id", title=f"{pair.name}: ids given ({int(switched.sum())} switches)")
    axes.legend(fontsize=7, loc="upper right")
    figure.savefig(path, dpi=120)


def plot_sweep(rows: Sequence[Mapping[str, float | None]], path: Path) -> None:
    """AP and MOTA over the joint threshold, and one against the other."""
    figure, axes = _figure(6, 4.5)
    thresholds = [float(row["threshold"] or 0) for row in rows]
    for name, label in (("ap", "mAP"), ("mota", "MOTA"), ("precision", "precision"), ("recall", "recall")):
        values = [np.nan if (value := row.get(name)) is None else value for row in rows]
        axes.plot(thresholds, values, label=label, linewidth=2 if name in ("ap", "mota") else 1)
    axes.set(xlabel="joints under this score dropped", ylabel="%", title="what dropping joints costs and gives")
    axes.legend()
    figure.savefig(path, dpi=120)
