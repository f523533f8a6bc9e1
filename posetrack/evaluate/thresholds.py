"""Dropping uncertain joints trades mAP for MOTA (REFERENCE 3.3): both, at every threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from posetrack.evaluate.people import Pair
from posetrack.evaluate.report import PoseSettings, joint_scores

__all__ = ["STEPS", "best_thresholds", "sweep"]

STEPS = tuple(step / 20 for step in range(20))
"""The joint thresholds of a sweep: 0, 0.05 ... 0.95."""


def sweep(pairs: list[Pair], settings: PoseSettings, steps: Sequence[float] = STEPS) -> list[dict[str, float | None]]:
    """Total AP, MOTA, precision and recall in percent with the joints under each threshold dropped.

    One record a threshold: `threshold`, `ap`, `mota`, `motp`, `precision`, `recall`. The best threshold for AP is
    usually 0, that for MOTA where a joint is as likely right as wrong.
    """
    rows = []
    for step in steps:
        here = replace(settings, ap_joint_threshold=step, mota_joint_threshold=step)
        report = joint_scores(pairs, here)
        rows.append(
            {"threshold": step}
            | {name: report[name]["total"] for name in ("ap", "mota", "motp", "precision", "recall") if name in report}
        )
    return rows


def best_thresholds(rows: Sequence[Mapping[str, float | None]]) -> dict[str, float]:
    """The threshold of a sweep at which `ap` is best, and the one for `mota`: two sets, for two exports.

    Of equal ones the lowest, which keeps the most joints.
    """
    best = {}
    for name in ("ap", "mota"):
        scored = [(value, -float(row["threshold"] or 0)) for row in rows if (value := row.get(name)) is not None]
        if scored:
            best[name] = -max(scored)[1]
    return best
