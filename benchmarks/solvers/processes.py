"""What a second process brings: the same work on each core by itself, and on both at once.

Timed is `evolve` alone: processes are started, states drawn and the first call made before. Cores
differ (one serves interrupts), and two at once last as long as the slower. So each core is timed
by itself too, in every round, and the ratio is of rates,

    ratio = (2 / both) / ((1 / a + 1 / b) / 2),    in units of one process,

a and b the seconds of the two cores alone. Each timing lasts `BURST` seconds at least.
"""

from __future__ import annotations

import math
import time
from contextlib import suppress
from dataclasses import dataclass, replace

from .cases import CASES, Case
from .codes import entries
from .workers import Failed, Worker, cores

MEMBERS = 512
ROUNDS = 5
BURST = 1.0  # seconds


@dataclass
class Scaling:
    """Seconds of the same work on each core alone, and on both at once; `failed` says why not."""

    one: float = 0.0
    other: float = 0.0
    both: float = 0.0
    members: int = MEMBERS
    failed: str = ""

    @property
    def ratio(self) -> float:
        """How many times the work of one process two do in the same time.

        >>> Scaling(1, 1, 1).ratio, Scaling(1, 1, 2).ratio
        (2.0, 1.0)
        """
        return (2 / self.both) / ((1 / self.one + 1 / self.other) / 2)


def scaling(members: int = MEMBERS, rounds: int = ROUNDS) -> Scaling:
    """Navier-Stokes at 64^2 to error 1e-3, float32, by the default kernel."""
    if len(cores()) < 2:
        return Scaling(failed="one core only")
    case, name = replace(CASES["ns64"], batch=members), "ours-54a"
    pair: list[Worker] = []
    try:
        pair = [Worker(entries(case)[name], "float32", core) for core in cores()[:2]]
        for worker in pair:
            worker.ask("prepare", name, case, setting=1e-4, share=0.1)
        times = math.ceil(BURST / _wall(pair[:1], name, case))
        groups = (pair[:1], pair[1:], pair)
        seconds = [[_wall(group, name, case, times) for group in groups] for _ in range(rounds)]
    except Failed as reason:
        return Scaling(failed=str(reason))
    finally:
        for worker in pair:
            with suppress(OSError):
                worker.close()
    return Scaling(*map(min, zip(*seconds, strict=True)), members=members)


def _wall(group: list[Worker], name: str, case: Case, times: int = 1) -> float:
    """Seconds until the last of some processes has done the work so many times."""
    began = time.perf_counter()
    for _ in range(times):
        for worker in group:
            worker.send("advance", name, case, setting=1e-4, share=1.0)
    for worker in group:
        for _ in range(times):
            worker.receive()
    return time.perf_counter() - began
