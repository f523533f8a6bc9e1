"""Boxes: tables of tiny cases, torchvision and the reference as oracles."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from posetrack.geometry import area, bounds, clip, enlarge, iou, nms, to_xywh, to_xyxy
from posetrack.types import Floats

ORACLE = json.loads((Path(__file__).parent / "reference" / "oks.json").read_text())["box_nms_plus1"]

whole = st.integers(0, 40).map(float)


def boxes_of(count: int) -> st.SearchStrategy[Floats]:
    corner = arrays(np.float32, (count, 2), elements=whole)
    return st.tuples(corner, corner).map(
        lambda ab: np.concatenate([np.minimum(*ab), np.maximum(*ab)], axis=1)
    )


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((0, 0, 10, 10), (0, 0, 10, 10), 1),
        ((0, 0, 10, 10), (5, 0, 15, 10), 1 / 3),
        ((0, 0, 10, 10), (10, 0, 20, 10), 0),
        ((0, 0, 10, 10), (20, 20, 30, 30), 0),
        ((3, 3, 3, 3), (3, 3, 3, 3), 0),
        ((10, 10, 0, 0), (0, 0, 10, 10), 0),
    ],
)
def test_iou_of_two_boxes(a: tuple[int, ...], b: tuple[int, ...], expected: float) -> None:
    one, other = np.array([a], np.float32), np.array([b], np.float32)
    assert iou(one, other).item() == pytest.approx(expected)
    assert iou(other, one).item() == pytest.approx(expected)


def test_iou_of_nothing() -> None:
    none, two = np.zeros((0, 4), np.float32), np.ones((2, 4), np.float32)
    assert iou(none, two).shape == (0, 2)
    assert iou(two, none).shape == (2, 0)
    assert nms(none, np.zeros(0, np.float32), 0.5).shape == (0,)


@pytest.mark.parametrize("case", ORACLE["results"], ids=lambda case: f"iou {case['thresh']}")
def test_nms_is_the_references(case: dict[str, object]) -> None:
    """The reference counts inclusive pixels; boxes one pixel larger have the same overlaps without its +1."""
    rows = np.array(ORACLE["boxes"], np.float32)
    assert (
        nms(rows[:, :4] + np.float32([0, 0, 1, 1]), rows[:, 4], float(case["thresh"])).tolist()
        == case["keep"]
    )


@given(
    boxes_of(9),
    arrays(np.float32, 9, elements=st.sampled_from([0.25, 0.5, 0.75])),
    st.sampled_from([0.3, 0.61]),
)
def test_nms_is_torchvisions(xyxy: Floats, scores: Floats, threshold: float) -> None:
    torch = pytest.importorskip("torch")
    ops = pytest.importorskip("torchvision.ops")
    expected = ops.nms(torch.from_numpy(xyxy), torch.from_numpy(scores), threshold)
    assert nms(xyxy, scores, threshold).tolist() == expected.tolist()


@given(boxes_of(6), arrays(np.float32, 6, elements=st.sampled_from([0.25, 0.5, 0.75])))
def test_nms_keeps_the_best_and_parts_the_rest(xyxy: Floats, scores: Floats) -> None:
    kept = nms(xyxy, scores, 0.5)
    assert kept[0] == np.argmax(scores)
    overlaps = iou(xyxy[kept], xyxy[kept])
    np.fill_diagonal(overlaps, 0)
    assert overlaps.max() <= 0.5


def test_equal_scores_go_by_row() -> None:
    xyxy = np.array([[0, 0, 10, 10], [0, 0, 10, 10], [50, 50, 60, 60]], np.float32)
    assert nms(xyxy, np.ones(3, np.float32), 0.5).tolist() == [0, 2]


@given(boxes_of(5))
def test_boxes_of_files_and_back(xyxy: Floats) -> None:
    assert np.array_equal(to_xyxy(to_xywh(xyxy)), xyxy)
    assert np.array_equal(to_xywh(xyxy)[:, 2] * to_xywh(xyxy)[:, 3], area(xyxy))


def test_enlarge_is_by_length_and_in_all() -> None:
    assert enlarge(np.array([0, 0, 100, 200], np.float32), 0.15) == pytest.approx([-7.5, -15, 107.5, 215])


def test_bounds_are_of_the_joints_that_are_seen() -> None:
    pose = np.array([[5, 6, 0.9], [1, 9, 0.3], [100, 100, 0.2], [np.nan, np.nan, 1]], np.float32)
    assert bounds(pose, 0.2).tolist() == [1, 6, 5, 9]
    assert np.isnan(bounds(pose, 0.95)).all()
    assert bounds(np.zeros((0, 17, 3), np.float32), 0.2).shape == (0, 4)


def test_clip_to_the_picture() -> None:
    assert clip(np.array([[-5, -5, 700, 20]], np.float32), 640, 480).tolist() == [[0, 0, 640, 20]]
