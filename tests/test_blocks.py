import threading
import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posetrack.blocks import ahead, blocks
from posetrack.types import Frame

BLACK = np.zeros((2, 2, 3), np.uint8)


def frames(indexes):
    return [Frame(i, i / 25, BLACK) for i in indexes]


@given(st.sets(st.integers(0, 200)), st.integers(1, 20))
def test_blocks_hold_all_frames_in_order_and_end_at_multiples(indexes, size):
    made = list(blocks(frames(sorted(indexes)), size))
    assert [frame.index for block in made for frame in block.frames] == sorted(indexes)
    numbers = [{frame.index // size for frame in block.frames} for block in made]
    assert all(len(number) == 1 for number in numbers)
    assert len({min(number) for number in numbers}) == len(made)


@given(st.integers(1, 60), st.integers(0, 59), st.integers(1, 20))
def test_a_run_that_goes_on_sees_the_same_blocks_and_neighbours(count, edge, size):
    whole = list(blocks(frames(range(count)), size))
    edge = min(edge, count - 1) // size * size
    before = frames(range(count))[edge - 1] if edge else None
    rest = list(blocks(frames(range(edge, count)), size, before))

    def pairs(made):
        return [(a.index if a else None, b.index) for block in made for a, b in pairwise([block.before, *block.frames])]

    assert pairs(rest) == pairs(whole)[edge:]


def test_ahead_gives_everything_in_order():
    assert list(ahead(iter(range(50)), 3)) == list(range(50))
    assert list(ahead(iter(()))) == []


def test_ahead_makes_only_so_much_before_it_is_taken():
    made = []

    def items():
        for i in range(100):
            made.append(i)
            yield i

    taken = ahead(items(), 2)
    assert next(taken) == 0
    time.sleep(0.3)
    assert len(made) <= 4  # one taken, two waiting, one in hand
    taken.close()


def test_ahead_hands_errors_over_after_what_came_before_them():
    def items():
        yield 1
        raise KeyError("broken")

    taken = ahead(items())
    assert next(taken) == 1
    with pytest.raises(KeyError, match="broken"):
        next(taken)


def test_ahead_stops_its_thread_and_closes_what_it_reads_when_the_taker_leaves():
    closed = threading.Event()

    def items():
        try:
            while True:
                yield 0
        finally:
            closed.set()

    before = threading.active_count()
    taken = ahead(items(), 2)
    next(taken)
    taken.close()
    assert closed.wait(5)
    assert threading.active_count() == before
