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

__all__ = ["best_assignment", "components", "dense"]


def components(left: Integers, right: Integers) -> tuple[NDArray[np.bool_], Iterator[Integers]]:
    """Which edges stand alone, and the numbers of the edges of every other component.

    `left` and `right` (E,) number the ends of each edge. Components come in the order of their first edge, edges
    within one in their own order.
    """
    if not len(left):
        return np.zeros(0, bool), iter(())
    _, left = np.unique(left, return_inverse=True)
    _, right = np.unique(right, return_inverse=True)
    lefts = int(left.max()) + 1
    nodes = lefts + int(right.max()) + 1
    graph = coo_array((np.ones(len(left), np.int8), (left, right + lefts)), shape=(nodes, nodes))
    _, labels = connected_components(graph, directed=False)
    label = labels[left]
    alone = np.bincount(label)[label] == 1
    return alone, _groups(label, np.flatnonzero(~alone))


def _groups(label: Integers, edges: Integers) -> Iterator[Integers]:
    if not len(edges):
        return
    _, first, group = np.unique(label[edges], return_index=True, return_inverse=True)
    order = np.lexsort((edges, first[group]))
    ends = np.flatnonzero(np.diff(first[group][order])) + 1
    yield from np.split(edges[order], ends)


def dense(
    left: Integers, right: Integers, values: Doubles, default: float
) -> tuple[Doubles, Integers, Integers]:
    """One component as a matrix, `default` where there is no edge, and each edge's row and column."""
    lefts, row = np.unique(left, return_inverse=True)
    rights, column = np.unique(right, return_inverse=True)
    matrix = np.full((len(lefts), len(rights)), default)
    matrix[row, column] = values
    return matrix, row, column


def best_assignment(left: Integers, right: Integers, gain: Doubles) -> NDArray[np.bool_]:
    """The one-to-one edges whose `gain` (E,), all above 0, is greatest in sum."""
    chosen, rest = components(left, right)
    for edges in rest:
        matrix, row, column = dense(left[edges], right[edges], gain[edges], 0.0)
        partner = np.full(len(matrix), -1)
        rows, columns = linear_sum_assignment(-matrix)
        partner[rows] = columns
        chosen[edges] = partner[row] == column
    return chosen
