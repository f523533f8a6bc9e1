"""PCK, PCKh, PDJ and PCP on people whose errors are known; polygons against shapely-like cases."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_people import pair_of, walking

from posetrack.errors import FormatError
from posetrack.evaluate.pck import LIMBS, joint_errors, pck, pcp, pcp_scores
from posetrack.evaluate.people import Pair
from posetrack.evaluate.polygons import inside_any
from posetrack.evaluate.reference import REFERENCES, complete_lengths, reference_lengths
from posetrack.evaluate.report import PoseSettings, score_poses
from posetrack.evaluate.similarity import similar_people
from posetrack.skeleton import COCO17, POSETRACK17


def moved(pixels: float, joints: list[str]) -> Pair:
    """Two people in three frames; the named joints of every prediction are so many pixels to the right."""
    truth = walking(frames=3, people=2)
    keypoints = truth.keypoints.copy()
    keypoints[:, [POSETRACK17.index(j) for j in joints], 0] += pixels
    return pair_of(truth, replace(truth, keypoints=keypoints))


def errors(pair: Pair) -> np.ndarray:
    return joint_errors(pair, similar_people(pair, "oks")).pixels


def test_errors_in_pixels() -> None:
    pair = moved(7, ["nose", "left_knee"])
    found = errors(pair)
    assert np.allclose(found[:, POSETRACK17.index("nose")], 7)
    assert np.allclose(found[:, POSETRACK17.index("left_hip")], 0)


@pytest.mark.parametrize(("threshold", "nose"), [(0.3, 0.0), (0.35, 100.0), (0.5, 100.0)])
def test_pckh_at_a_threshold(threshold: float, nose: float) -> None:
    pair = moved(7, ["nose"])  # heads are 20 px: 0.35 of them
    curve = pck(pair, joint_errors(pair, similar_people(pair, "oks")), "head", np.array([threshold]))
    assert curve.percent[0, POSETRACK17.index("nose")] == nose
    assert curve.percent[0, POSETRACK17.index("left_hip")] == 100.0
    assert curve.total[0] == pytest.approx(100 * (14 + nose / 100) / 15)


def test_area_under_the_curve() -> None:
    """One joint of 15 is off by 0.3 heads: it is in for thresholds 0.3, 0.4 and 0.5 of 0.1 ... 0.5."""
    pair = moved(6, ["nose"])
    curve = pck(pair, joint_errors(pair, similar_people(pair, "oks")), "head", np.array([0, 0.1, 0.2, 0.3, 0.4, 0.5]))
    assert curve.area == pytest.approx(100 * (14 + 3 / 5) / 15)
    both = curve + curve
    assert both.area == pytest.approx(curve.area)


def test_missed_people_have_infinite_errors_and_unlabelled_joints_none() -> None:
    truth = walking(frames=1, people=2)
    hidden = truth.keypoints.copy()
    hidden[0, 0] = np.nan
    truth = replace(truth, keypoints=hidden)
    found = errors(pair_of(truth, truth[truth.id == 1]))
    assert np.isnan(found[0, 0])
    assert np.isinf(found[1]).all()


def test_pcp_strict_and_loose() -> None:
    """An elbow off by 0.6 of the upper arm: strictly no limb at it counts, loosely the arm (mean 0.3) does."""
    truth = walking(frames=2, people=1)
    points = truth.keypoints.copy()
    shoulder, elbow, wrist = (POSETRACK17.index(f"left_{j}") for j in ("shoulder", "elbow", "wrist"))
    points[:, shoulder], points[:, elbow], points[:, wrist] = [100, 0], [100, 50], [100, 100]
    truth = replace(truth, keypoints=points)
    wrong = points.copy()
    wrong[:, elbow, 0] += 30
    pair = pair_of(truth, replace(truth, keypoints=wrong))
    strict, loose = pcp_scores(pcp(pair, joint_errors(pair, similar_people(pair, "oks"))))
    assert (strict["left_upper_arm"], loose["left_upper_arm"]) == (0.0, 100.0)
    assert (strict["left_lower_arm"], loose["left_lower_arm"]) == (0.0, 100.0)
    assert strict["right_upper_leg"] == 100.0
    assert strict["total"] == pytest.approx(100 * 6 / 8)
    assert len(strict) == len(LIMBS) + 1


def test_reference_lengths() -> None:
    truth = walking(frames=1, people=1)
    points = truth.keypoints.copy()
    for joint, place in {
        "left_shoulder": (0, 0),
        "right_hip": (30, 40),
        "head_top": (0, -10),
        "head_bottom": (0, 5),
    }.items():
        points[0, POSETRACK17.index(joint)] = place
    pair = pair_of(replace(truth, keypoints=points, boxes=np.array([[0.0, 0, 30, 40]])), truth)
    lengths = {name: float(reference_lengths(pair, name)[0]) for name in REFERENCES}
    assert lengths == {"head": 20, "head-segment": 15, "torso": 50, "box": 40, "box-diagonal": 50}


def test_a_length_that_nobody_has() -> None:
    truth = walking(frames=1, people=1, skeleton=COCO17)
    pair = pair_of(replace(truth, heads=np.full(1, np.nan)), truth, COCO17)
    for name in ("head", "head-segment"):
        with pytest.raises(FormatError, match=f"no {name} lengths .*--reference head"):
            reference_lengths(pair, name)


SQUARE = np.array([[0.0, 0], [10, 0], [10, 10], [0, 10]])
ARROW = np.array([[0.0, 0], [10, 5], [0, 10], [5, 5]])


@pytest.mark.parametrize(
    ("polygon", "point", "inside"),
    [
        (SQUARE, (5, 5), True), (SQUARE, (0, 5), False), (SQUARE, (10, 10), False), (SQUARE, (5, 0), False),
        (SQUARE, (10.001, 5), False), (SQUARE, (-3, 10), False), (SQUARE, (9.999, 9.999), True),
        (SQUARE[::-1], (5, 5), True), (ARROW, (2, 5), False), (ARROW, (7, 5), True), (ARROW, (5, 5), False),
        (ARROW, (-1, 5), False), (SQUARE[:2], (5, 0), False), (SQUARE, (np.nan, np.nan), False),
    ],
)  # fmt: skip
def test_points_in_polygons(polygon: np.ndarray, point: tuple[float, float], inside: bool) -> None:
    """A border is outside, as shapely's `contains` has it."""
    assert inside_any(np.array([point]), [polygon]).tolist() == [inside]


def test_any_polygon_will_do() -> None:
    assert inside_any(np.array([[[5.0, 5], [25, 5], [15, 5]]]), [SQUARE, SQUARE + np.array([20, 0])]).tolist() == [
        [True, True, False]
    ]


def test_people_without_a_length_have_an_estimate() -> None:
    """Perfect predictions of people whose head nobody boxed are perfect, and that is said."""
    truth = walking(frames=4, people=3)
    heads = np.where((truth.id == 2) | (truth.frame == 1), np.nan, 20.0)
    pair = pair_of(replace(truth, heads=heads), truth)
    lengths, estimated = complete_lengths(pair, "head")
    assert estimated == 6
    assert np.isfinite(lengths).all()
    assert (lengths[np.isfinite(heads)] == 20).all()
    report = score_poses([pair])
    assert report["mota"]["total"] == report["motp"]["total"] == 100.0
    assert "6 people have no head length" in report["notes"][1]
    assert score_poses([pair], PoseSettings(protocol="poseval"))["mota"]["total"] < 100
