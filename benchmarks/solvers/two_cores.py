"""Work shared by one process a core, as a study shares it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from multiprocessing.queues import Queue
from typing import Any

import torch

from .workers import ONE_THREAD, cores


def two() -> list[int]:
    """The cores, two if there are that many."""
    return cores()[:2]


def shared(work: Callable[[Any], Any], jobs: Iterable[Any]) -> list[Any]:
    """The results of all jobs, in order."""
    context = get_context("spawn")
    free = context.Queue()
    for core in two():
        free.put(core)
    os.environ.update(ONE_THREAD)
    with ProcessPoolExecutor(len(two()), context, _pin, (free,)) as pool:
        return list(pool.map(work, jobs))


def _pin(free: Queue[int]) -> None:
    os.sched_setaffinity(0, {free.get()})
    torch.set_num_threads(1)
