"""What was made lately: made once, held up to a limit, and failures told to all who wait."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pushforward.drawn import Drawn


def test_threads_that_want_the_same_make_it_once() -> None:
    drawn, calls, together = Drawn(limit=100), [], threading.Barrier(4)

    def make() -> dict[str, np.ndarray]:
        calls.append(threading.get_ident())
        together.wait(timeout=5)  # with the three that ask meanwhile
        return {"u": np.ones(3)}

    def ask(n: int) -> np.ndarray:
        if n:
            while not calls:
                pass
            together.wait(timeout=5)
        return drawn.get("block", make)["u"]

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(ask, range(4)))
    assert len(calls) == 1
    assert all(one is found[0] for one in found)


def test_threads_that_want_different_things_do_not_wait_for_each_other() -> None:
    drawn, together = Drawn(limit=100), threading.Barrier(2)

    def ask(n: int) -> int:
        # would not end if one were made after the other
        drawn.get(n, lambda: {"u": np.full(1, together.wait(timeout=5))})
        return n

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(ask, range(2))) == [0, 1]


def test_a_failure_is_told_and_not_held() -> None:
    drawn = Drawn(limit=100)

    def fail() -> dict[str, np.ndarray]:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        drawn.get(1, fail)
    assert drawn.get(1, lambda: {"u": np.ones(1)})["u"] == 1


@pytest.mark.parametrize(("size", "held"), [(0, 0), (12, 96), (13, 0)])
def test_what_is_larger_than_the_limit_or_empty_is_not_held(size: int, held: int) -> None:
    drawn = Drawn(limit=100)
    for _ in range(2):
        drawn.get(size, lambda: {"u": np.zeros(size)})
    assert drawn.bytes == held


def test_what_was_asked_for_last_stays() -> None:
    drawn, made = Drawn(limit=50), []
    for key in (1, 2, 3, 1):  # two of 24 bytes each
        drawn.get(key, lambda key=key: made.append(key) or {"u": np.zeros(3)})
    assert made == [1, 2, 3, 1]
    assert drawn.bytes == 48
    drawn.clear()
    assert drawn.bytes == 0
