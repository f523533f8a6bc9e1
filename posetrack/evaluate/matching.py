"""Assignments, many at once: pairs that compete with no other need no solver.

A pair of a frame (or of two identities) is an edge; edges that share an end belong to one component. Nearly all
components are one edge, which every assignment takes. Only the others are solved, one by one, with scipy.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from posetrack.evaluate.people import Doubles, Integers

__all__ = ["best_assignment", "cheapest", "components", "dense"]


def components(left: Integers, right: Integers) -> tuple[NDArray[np.bool_], Iterator[list[int]]]:
    """Which edges stand alone, and the numbers of the edges of every other component.

    `left` and `right` (E,) number the ends of each edge, from 0. Components come in the order of their first edge,
    edges within one in their own order.
    """
    if not len(left):
        return np.zeros(0, bool), iter(())
    alone = (np.bincount(left)[left] == 1) & (np.bincount(right)[right] == 1)
    return alone, _groups(left, right, np.flatnonzero(~alone))


def _groups(left: Integers, right: Integers, edges: Integers) -> Iterator[list[int]]:
    if not len(edges):
        return
    _, left = np.unique(left[edges], return_inverse=True)
    _, right = np.unique(right[edges], return_inverse=True)
    lefts = int(left.max()) + 1
    nodes = lefts + int(right.max()) + 1
    graph = coo_array((np.ones(len(edges), np.int8), (left, right + lefts)), shape=(nodes, nodes))
    _, labels = connected_components(graph, directed=False)
    _, first, group = np.unique(labels[left], return_index=True, return_inverse=True)
    order = np.lexsort((edges, first[group]))
    sizes = np.bincount(first[group][order], minlength=1)
    ordered = edges[order].tolist()
    start = 0
    for size in sizes[sizes > 0].tolist():
        yield ordered[start : start + size]
        start += size


def dense(left: list[int], right: list[int], values: list[float], default: float) -> Doubles:
    """One component's edges as a matrix, ends in growing order, `default` where there is no edge."""
    row, column = ({end: i for i, end in enumerate(sorted(set(ends)))} for ends in (left, right))
    matrix = np.full((len(row), len(column)), default)
    for a, b, value in zip(left, right, values, strict=True):
        matrix[row[a], column[b]] = value
    return matrix


def cheapest(left: list[int], right: list[int], cost: list[float], never: float) -> list[int]:
    """Which edges of one component (places in the lists) the cheapest one-to-one assignment takes.

    A pair that is no edge costs `never`.
    """
    if len(set(left)) == 1 or len(set(right)) == 1:
        return [min(range(len(cost)), key=cost.__getitem__)]
    rows, columns = linear_sum_assignment(dense(left, right, cost, never))
    lefts, rights = sorted(set(left)), sorted(set(right))
    taken = {(lefts[r], rights[c]) for r, c in zip(rows.tolist(), columns.tolist(), strict=True)}
    return [place for place, ends in enumerate(zip(left, right, strict=True)) if ends in taken]


def best_assignment(left: Integers, right: Integers, gain: Doubles) -> NDArray[np.bool_]:
    """The one-to-one edges whose `gain` (E,), all above 0, is greatest in sum."""
    chosen, rest = components(left, right)
    ends, cost = (left.tolist(), right.tolist()), (-gain).tolist()
    for edges in rest:
        lefts, rights = [ends[0][e] for e in edges], [ends[1][e] for e in edges]
        for place in cheapest(lefts, rights, [cost[e] for e in edges], 0.0):
            chosen[edges[place]] = True
    return chosen
