"""Torch on one thread: fastest for many blocks side by side, and of the same bits everywhere.

How a sum is split between threads decides its last bits, and networks at a point are compiled for
one thread (see `generative.perceptron`). Torch counts threads for every thread of Python by
itself, but what its linear algebra counts is the process's: so the first who wants one thread
remembers how many there were, and the last gives them back.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_lock = threading.Lock()
_own = threading.local()  # `left`: this thread was left with one, since others went on
_inside = 0
_before = 1


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread meanwhile, in this thread of Python; others may do so at once.

    >>> with one_thread():
    ...     torch.get_num_threads()
    1
    """
    global _inside, _before
    with _lock:
        if not _inside and not getattr(_own, "left", False):
            _before = torch.get_num_threads()
        _inside += 1
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            _own.left = _inside > 0
            if not _inside:
                torch.set_num_threads(_before)
