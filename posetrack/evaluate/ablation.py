"""The paper's table 5 as data: which variants there are, how each scores, and what perfect parts would give.

Running them needs networks and the tracker, which live above this floor: posetrack/variants.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from posetrack.evaluate.joints import assign_poses, joint_pairs
from posetrack.evaluate.people import Pair
from posetrack.evaluate.report import PoseSettings, score_poses, with_references
from posetrack.evaluate.tables import Table

__all__ = ["Variant", "ablation_table", "paper_variants", "variant_scores", "with_perfect_identities"]


@dataclass(frozen=True)
class Variant:
    """One row of the table: networks by label, optical flow by name, and the tracker's settings that differ.

    `people` is what is tracked: 'networks', or 'true boxes' (poses estimated on them) or 'true joints'.
    """

    name: str
    networks: str
    flow: str = "dis-fast"
    people: str = "networks"
    tracker: Mapping[str, Any] = field(default_factory=dict)

    @property
    def describe(self) -> tuple[str, str, str, str]:
        """Propagation, similarity, matching and L_Q, as the table shows them."""
        options = {"propagation": True, "similarity": "multi-flow", "matching": "greedy", "queue_length": 10}
        options.update({key: value for key, value in self.tracker.items() if key in options})
        return (
            "yes" if options["propagation"] and self.flow != "none" else "no",
            str(options["similarity"]), str(options["matching"]), str(options["queue_length"]),
        )  # fmt: skip


def paper_variants(networks: Sequence[str], flow: str = "dis-fast") -> list[Variant]:
    """Table 5 for each pair of networks (a1-a6, b1-b6 ...), then what else the paper leaves open for the first.

    Further rows: Hungarian matching, queue lengths, other thresholds, no flow, and two upper bounds.
    """
    rows = []
    for letter, label in zip("abcdefghijklmnopqrstuvwxyz", networks, strict=False):
        for number, (propagation, similarity) in enumerate(
            [(False, "bbox"), (False, "pose"), *((True, s) for s in ("bbox", "pose", "flow", "multi-flow"))], 1
        ):
            options = {"propagation": propagation, "similarity": similarity}
            rows.append(Variant(f"{letter}{number}", label, flow, tracker=options))
    first = networks[0]
    rows.append(Variant("hungarian", first, flow, tracker={"matching": "hungarian"}))
    rows += [Variant(f"L_Q {n}", first, flow, tracker={"queue_length": n}) for n in (1, 3, 30)]
    rows += [Variant(f"similarity {t}", first, flow, tracker={"similarity_threshold": t}) for t in (0.2, 0.4)]
    rows += [Variant(f"NMS {t}", first, flow, tracker={"nms_iou": t}) for t in (0.5, 0.7)]
    rows.append(Variant("no flow", first, "none", tracker={"similarity": "pose"}))
    rows.append(Variant("true boxes", first, flow, people="true boxes"))
    rows.append(Variant("true joints", first, flow, people="true joints"))
    return rows


def with_perfect_identities(pair: Pair, near: float = 0.5) -> Pair:
    """The pair with predictions that carry the id of the person they belong to; strangers get ids of their own.

    Detect-and-Track's upper bound of tracking: the same poses, and nobody is ever confused.
    """
    owner = assign_poses(pair, joint_pairs(pair, near))
    own = int(pair.truth.id.max(initial=0)) + 1 + np.arange(len(owner))
    ids = np.where(owner >= 0, pair.truth.id[owner] if len(pair.truth) else 0, own)
    return replace(pair, prediction=replace(pair.prediction, id=ids))


def variant_scores(pairs: list[Pair], settings: PoseSettings) -> dict[str, Any]:
    """The scores of one row, and the upper bounds of its poses: MOTA without switches, HOTA with perfect identities."""
    report = score_poses(pairs, settings)
    bound = [with_perfect_identities(pair, settings.near) for pair in with_references(pairs, settings)]
    return {
        "ap": report["ap"]["total"], "mota": report["mota"]["total"], "motp": report["motp"]["total"],
        "precision": report["precision"]["total"], "recall": report["recall"]["total"], "hota": report["hota"],
        "idf1": report["idf1"], "id_switches": report["id_switches"],
        "mota_perfect_identities": _mota_without_switches(report["counts"]),
        "hota_perfect_identities": score_poses(bound, settings)["hota"],
    }  # fmt: skip


def _mota_without_switches(counts: Mapping[str, Mapping[str, int]]) -> float | None:
    objects, misses, false = (
        np.array([*counts[name].values()], float) for name in ("objects", "misses", "false_positives")
    )
    there = objects > 0
    if not there.any():
        return None
    return float(np.mean(100 * (1 - (misses + false)[there] / objects[there])))


def ablation_table(variants: Sequence[Variant], scores: Mapping[str, Mapping[str, Any]]) -> Table:
    """One row a variant: what it is, then mAP, MOTA, MOTP, HOTA, IDF1, switches, and the bounds of its poses."""
    columns = (
        "", "networks", "people", "propagation", "similarity", "matching", "L_Q", "mAP", "MOTA", "MOTP", "HOTA", "IDF1",
        "switches", "MOTA, true ids", "HOTA, true ids",
    )  # fmt: skip
    names = (
        "ap", "mota", "motp", "hota", "idf1", "id_switches", "mota_perfect_identities", "hota_perfect_identities",
    )  # fmt: skip
    rows = []
    for variant in variants:
        found = scores[variant.name]
        numbers = [_text(found[name]) for name in names]
        rows.append((variant.name, variant.networks, variant.people, *variant.describe, *numbers))
    return Table("ablation, %", columns, tuple(rows))


def _text(value: float | int | None) -> str:
    if value is None:
        return "-"
    return f"{value:.1f}" if isinstance(value, float) else str(value)
