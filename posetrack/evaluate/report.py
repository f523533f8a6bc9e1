"""All scores of some sequences as one record of plain numbers, ready for JSON, a table or CSV."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property, reduce
from operator import add
from typing import Any, TypeVar

import numpy as np

from posetrack.errors import FormatError
from posetrack.evaluate.average_precision import average_precision, detections_of
from posetrack.evaluate.clear import Convention
from posetrack.evaluate.identity import clear_people, hota, hota_scores, identity
from posetrack.evaluate.joints import joint_pairs
from posetrack.evaluate.mota import clear_joints, mota_scores
from posetrack.evaluate.pck import joint_errors, pck, pcp, pcp_scores
from posetrack.evaluate.people import NO_SCORE, Doubles, Pair
from posetrack.evaluate.reference import complete_lengths, reference_lengths
from posetrack.evaluate.similarity import Similar, similar_people

__all__ = [
    "GROUPS", "PoseSettings", "by_joint", "drop_joints", "joint_scores", "score_boxes", "score_poses", "summed",
    "with_references",
]  # fmt: skip

GROUPS = {
    "head": ("head_top", "head_bottom", "nose"),
    "shoulder": ("right_shoulder", "left_shoulder"),
    "elbow": ("right_elbow", "left_elbow"),
    "wrist": ("right_wrist", "left_wrist"),
    "hip": ("right_hip", "left_hip"),
    "knee": ("right_knee", "left_knee"),
    "ankle": ("right_ankle", "left_ankle"),
}
"""The columns of PoseTrack's tables: means of these joints (the total is over all joints, not over columns)."""

T = TypeVar("T")


@dataclass(frozen=True)
class PoseSettings:
    """What poses are scored by.

    `protocol` 'every-frame' counts every frame that the truth labels; 'poseval' repeats poseval, which leaves out the
    last frame of each sequence for MOTA and counts a frame without people as one. `reference` names the length
    that AP and MOTA measure in, `near` how many of them a joint may be off. `similarity` is that of HOTA and IDF1.
    Predicted joints below `ap_joint_threshold` or `mota_joint_threshold` are dropped before AP or all tracking scores.
    """

    protocol: str = "every-frame"
    reference: str = "head"
    near: float = 0.5
    similarity: str = "oks"
    ap_joint_threshold: float = 0.0
    mota_joint_threshold: float = 0.0


def summed(parts: Iterable[T]) -> T:
    """The parts added up; they know how."""
    return reduce(add, parts)


def by_joint(values: Doubles, joints: tuple[str, ...]) -> dict[str, float | None]:
    """Values (J,) by name of joint, and their mean in `total`; None where there is none."""
    known = values[~np.isnan(values)]
    named: dict[str, float] = dict(zip(joints, values.tolist(), strict=True))
    return _plain(named | {"total": float(known.mean()) if len(known) else float("nan")})


def _plain(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: None if value is None or np.isnan(value) else value for name, value in values.items()}


def drop_joints(pair: Pair, threshold: float) -> Pair:
    """The pair without predicted joints whose score is below `threshold`, and without who has none left."""
    if threshold <= 0:
        return pair
    scores = pair.prediction.joint_scores
    people = pair.prediction.without_joints((scores < threshold) & (scores != NO_SCORE))
    return replace(pair, prediction=people[people.present.any(axis=1)])


def score_poses(pairs: list[Pair], settings: PoseSettings = PoseSettings()) -> dict[str, Any]:
    """Every score of predicted poses against the truth, over all sequences together; percent unless counts.

    `ap`, `mota`, `motp`, `precision`, `recall` and the like are by joint and in `total`; `hota`, `idf1` and
    `clear` judge whole people; None is a score that cannot be had. Identities are needed for all but AP, PCK and PCP:
    without any in the prediction these are left out. Raises FormatError for sequences that cannot be scored.
    """
    for_ap, for_mota = _looked_at(pairs, settings)
    report = _about(pairs, settings) | _joint_scores(for_ap, for_mota, settings)
    if for_mota:
        report |= _whole_people(for_mota, settings)
    else:
        report["notes"].append("people without track ids: no MOTA, HOTA or IDF1, which need them")
    report["columns"] = {name: _columns(report[name]) for name in ("ap", "mota") if name in report}
    return report | _single_poses(for_ap)


def joint_scores(pairs: list[Pair], settings: PoseSettings) -> dict[str, Any]:
    """The scores by joint alone: `ap`, and with identities `mota`, `motp`, `precision`, `recall`."""
    return _joint_scores(*_looked_at(pairs, settings), settings)


def _looked_at(pairs: list[Pair], settings: PoseSettings) -> tuple[list[_Near], list[_Near]]:
    """The sequences as AP sees them and as tracking does (nothing, without identities)."""
    if not pairs:
        raise FormatError("nothing to score: no sequence; give files of truth and prediction")
    joints = pairs[0].skeleton.joints
    if any(pair.skeleton.joints != joints for pair in pairs):
        raise FormatError("the sequences have different skeletons; score them one by one")
    measured = with_references(pairs, settings)
    for_ap = [_Near(drop_joints(pair, settings.ap_joint_threshold), settings.near) for pair in measured]
    if not all(_has_ids(pair) for pair in pairs):
        return for_ap, []
    if settings.mota_joint_threshold == settings.ap_joint_threshold:
        return for_ap, for_ap
    return for_ap, [_Near(drop_joints(pair, settings.mota_joint_threshold), settings.near) for pair in measured]


def _joint_scores(for_ap: list[_Near], for_mota: list[_Near], settings: PoseSettings) -> dict[str, Any]:
    joints = for_ap[0].pair.skeleton.joints
    detections = [detections_of(near.pair, near.joints) for near in for_ap]
    scores = average_precision(detections, len(joints), protocol=settings.protocol)
    names = ("ap", "ap_precision", "ap_recall")
    report: dict[str, Any] = {name: by_joint(v, joints) for name, v in zip(names, scores, strict=True)}
    if not for_mota:
        return report
    counts = summed(clear_joints(n.pair, n.joints, protocol=settings.protocol) for n in for_mota)
    report |= {name: by_joint(v, joints) for name, v in mota_scores(counts, protocol=settings.protocol).items()}
    report["motp"] = report["motp_all_rows" if settings.protocol == "poseval" else "motp_matched"]
    report["counts"] = {
        name: dict(zip(joints, values.astype(int).tolist(), strict=True))
        for name, values in vars(counts).items()
        if not name.startswith("distance")
    }
    return report


class _Near:
    """A sequence, and who and what is near each other in it: looked at once, used by many scores."""

    def __init__(self, pair: Pair, near: float) -> None:
        self.pair = pair
        self.joints = joint_pairs(pair, near)

    @cached_property
    def people(self) -> Similar:
        """Who is alike by OKS."""
        return similar_people(self.pair, "oks")


def with_references(pairs: list[Pair], settings: PoseSettings) -> list[Pair]:
    """The sequences with the length that `settings.reference` names as the size of each true person's head.

    By every-frame who lacks it has an estimate (complete_lengths).
    """
    if settings.protocol == "poseval":
        lengths = [reference_lengths(pair, settings.reference) for pair in pairs]
    else:
        lengths = [complete_lengths(pair, settings.reference)[0] for pair in pairs]
    return [replace(p, truth=replace(p.truth, heads=length)) for p, length in zip(pairs, lengths, strict=True)]


def _about(pairs: list[Pair], settings: PoseSettings) -> dict[str, Any]:
    counted = sum(int(pair.counted.sum()) for pair in pairs)
    frames = sum(pair.frames for pair in pairs)
    last = "; MOTA leaves out the last of each sequence" if settings.protocol == "poseval" else ""
    return {
        "kind": "posetrack",
        "settings": asdict(settings),
        "sequences": len(pairs),
        "frames": {"all": frames, "counted": counted},
        "people": {
            "true": sum(len(pair.truth) for pair in pairs),
            "predicted": sum(len(pair.prediction) for pair in pairs),
        },
        "notes": [
            f"protocol {settings.protocol}: {counted} of {frames} frames count{last}",
            *_estimated(pairs, settings),
        ],
    }


def _estimated(pairs: list[Pair], settings: PoseSettings) -> list[str]:
    if settings.protocol == "poseval":
        return []
    count = sum(complete_lengths(pair, settings.reference)[1] for pair in pairs)
    length = settings.reference
    return [f"{count} people have no {length} length: theirs is estimated from their boxes"] if count else []


def _has_ids(pair: Pair) -> bool:
    for side, people in (("truth", pair.truth), ("prediction", pair.prediction)):
        known = people.id >= 0
        if known.any() and not known.all():
            frame = pair.name_of(int(people.frame[~known][0]))
            raise FormatError(f"{pair.name}: frame {frame}: a person of the {side} has no track id; give one to all")
    return bool((pair.truth.id >= 0).all() and (pair.prediction.id >= 0).all())


def _whole_people(near: list[_Near], settings: PoseSettings) -> dict[str, Any]:
    pairs = [_with_joints(n.pair) for n in near]
    similar = [
        n.people if settings.similarity == "oks" and pair is n.pair else similar_people(pair, settings.similarity)
        for n, pair in zip(near, pairs, strict=True)
    ]
    return _people(pairs, similar, "motmetrics")


def _with_joints(pair: Pair) -> Pair:
    """Without people of whom no joint is labelled or predicted (poseval keeps them): nothing compares with those."""
    truth, guess = (people.present.any(axis=1) for people in (pair.truth, pair.prediction))
    if truth.all() and guess.all():
        return pair
    return replace(pair, truth=pair.truth[truth], prediction=pair.prediction[guess])


def _people(pairs: list[Pair], similar: list[Similar], convention: Convention) -> dict[str, Any]:
    """HOTA, IDF1 and CLEAR on whole people."""
    sides = list(zip(pairs, similar, strict=True))
    curves = hota_scores(summed(hota(pair, alike) for pair, alike in sides))
    report: dict[str, Any] = {name: float(curve.mean()) for name, curve in curves.items()}
    report["hota_per_threshold"] = {name: curve.tolist() for name, curve in curves.items()}
    report |= summed(identity(pair, alike) for pair, alike in sides).scores
    clear = summed(clear_people(pair, alike, convention=convention) for pair, alike in sides)
    report["clear"] = _plain(clear.scores)
    report["id_switches"] = clear.switches
    return report


def _columns(values: Mapping[str, float | None]) -> dict[str, float | None]:
    """The columns of PoseTrack's table, of those joints that there are."""
    columns: dict[str, float | None] = {}
    for name, members in GROUPS.items():
        known = [value for joint in members if (value := values.get(joint)) is not None]
        columns[name] = float(np.mean(known)) if known else None
    return columns | {"total": values["total"]}


def _single_poses(near: list[_Near]) -> dict[str, Any]:
    """PCK by each length that the truth has, PDJ, and PCP."""
    pairs = [n.pair for n in near]
    joints = pairs[0].skeleton.joints
    errors = [joint_errors(n.pair, n.people) for n in near]
    report: dict[str, Any] = {}
    for name, reference, at, top in (
        ("pckh", "head", 0.5, 0.5), ("pdj", "torso", 0.2, 0.5), ("pck_box", "box", 0.2, 0.5),
        ("pck_box_diagonal", "box-diagonal", 0.1, 0.5), ("pck_head_segment", "head-segment", 0.5, 0.5),
    ):  # fmt: skip
        thresholds = np.linspace(0, top, 51)
        try:
            curves = [pck(p, e, reference, thresholds) for p, e in zip(pairs, errors, strict=True)]
        except FormatError:
            continue
        curve = summed(curves)
        place = int(np.argmin(np.abs(thresholds - at)))
        report[name] = {
            "reference": reference,
            "threshold": at,
            **by_joint(curve.percent[place], joints),
            "total": float(curve.total[place]),
            "auc": curve.area,
            "curve": {"thresholds": thresholds.tolist(), "total": curve.total.tolist()},
        }
    limbs = summed(pcp(pair, error) for pair, error in zip(pairs, errors, strict=True))
    if limbs.any():
        strict, loose = pcp_scores(limbs)
        report |= {"pcp_strict": _plain(strict), "pcp_loose": _plain(loose)}
    return report


def score_boxes(pairs: list[Pair], convention: Convention = "trackeval") -> dict[str, Any]:
    """HOTA, IDF1 and CLEAR of tracked boxes by IoU, over all sequences together; percent unless counts."""
    if not pairs:
        raise FormatError("nothing to score: no sequence; give files of truth and prediction")
    frames = sum(pair.frames for pair in pairs)
    report: dict[str, Any] = {
        "kind": "mot",
        "settings": {"protocol": convention, "similarity": "iou", "near": 0.5},
        "sequences": len(pairs),
        "frames": {"all": frames, "counted": frames},
        "notes": [f"protocol {convention}: CLEAR as {convention} counts it; HOTA and IDF1 are the same in both"],
    }
    report |= _people(pairs, [similar_people(pair, "iou") for pair in pairs], convention)
    clear: dict[str, Any] = report.pop("clear")
    return report | clear | {"motp_distance": 1 - clear["motp"] / 100}
