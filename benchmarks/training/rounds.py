"""Interleaved timing: every job once a round, in their order, so that all see the same machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

ROUNDS, WARM_UP = 7, 1


@dataclass
class Times:
    """Milliseconds of a job in every round: of the clock, and of the processor.

    Other work on a machine shows in the first and less in the second, which ratios are made of.
    """

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def add(self, job: Callable[[], object]) -> None:
        """Runs a job and takes its times."""
        wall, cpu = time.perf_counter(), time.process_time()
        job()
        self.cpu.append(1e3 * (time.process_time() - cpu))
        self.wall.append(1e3 * (time.perf_counter() - wall))

    @property
    def median(self) -> float:
        """Of the processor's time.

        >>> Times([9.0, 9.0, 9.0], [3.0, 1.0, 2.0]).median
        2.0
        """
        return statistics.median(self.cpu)

    @property
    def spread(self) -> float:
        """Half of the distance between the quartiles of the processor's time, in parts of the
        median.

        >>> Times([], [1.0, 2.0, 3.0]).spread
        0.25
        """
        low, _, high = statistics.quantiles(self.cpu, n=4, method="inclusive")
        return (high - low) / 2 / self.median


Name = TypeVar("Name")


def interleaved(
    jobs: Mapping[Name, Callable[[], object]], rounds: int = ROUNDS, warm_up: int = WARM_UP
) -> dict[Name, Times]:
    """The times of every job, A B C A B C ..., after some rounds that are not counted.

    >>> seen = []
    >>> found = interleaved({"a": lambda: seen.append("a"), "b": lambda: seen.append("b")}, 2, 1)
    >>> "".join(seen), len(found["a"].cpu)
    ('ababab', 2)
    """
    times = {name: Times() for name in jobs}
    for number in range(warm_up + rounds):
        for name, job in jobs.items():
            if number < warm_up:
                job()
            else:
                times[name].add(job)
    return times


def ratio(ours: Times, theirs: Times) -> tuple[float, float, float]:
    """The median over rounds of our time to theirs, and its quartiles.

    >>> ratio(Times([], [1.0, 2.0, 3.0]), Times([], [2.0, 4.0, 6.0]))
    (0.5, 0.5, 0.5)
    """
    ratios = [a / b for a, b in zip(ours.cpu, theirs.cpu, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return middle, low, high


def share(part: Times, parts: Iterable[Times]) -> float:
    """What part of the sum of all parts' medians one is.

    >>> share(Times([], [1.0]), [Times([], [1.0]), Times([], [3.0])])
    0.25
    """
    return part.median / sum(one.median for one in parts)
