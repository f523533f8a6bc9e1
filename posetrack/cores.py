"""Threads that compute with one core each.

Networks and flow give different last bits with another number of threads inside an operation. So no operation here
uses more than one thread; what keeps several cores busy is several frames at once. The same bytes come out on every
number of cores, and on two it is also faster than two threads inside each operation.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import cv2

__all__ = ["core_count", "pool", "single_threaded_opencv"]


def core_count() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def pool(threads: int) -> ThreadPoolExecutor:
    """A pool of `threads` threads, each of which runs torch on one core (torch keeps this number a thread)."""
    import torch  # here, since flow alone does without

    return ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))


@contextmanager
def single_threaded_opencv() -> Iterator[None]:
    """OpenCV computes with one thread in here; it is as before afterwards (the number is the process's)."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
