"""What a second process brings: the same work on one core, and on two cores at once."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, replace

from .cases import CASES, Case
from .codes import entries
from .workers import Failed, Worker, cores

MEMBERS = 512
ROUNDS = 5


@dataclass
class Scaling:
    """Seconds of one process alone, and of two at once; `failed` says why there are none."""

    alone: float = 0.0
    both: float = 0.0
    members: int = MEMBERS
    failed: str = ""

    @property
    def ratio(self) -> float:
        """How many times the work of one process two do in the same time."""
        return 2 * self.alone / self.both


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
        alone, both = [], []
        for _ in range(rounds):
            alone.append(_wall(pair[:1], name, case))
            both.append(_wall(pair, name, case))
    except Failed as reason:
        return Scaling(failed=str(reason))
    finally:
        for worker in pair:
            with suppress(OSError):
                worker.close()
    return Scaling(min(alone), min(both), members)


def _wall(pair: list[Worker], name: str, case: Case) -> float:
    began = time.perf_counter()
    for worker in pair:
        worker.send("advance", name, case, setting=1e-4, share=1.0)
    for worker in pair:
        worker.receive()
    return time.perf_counter() - began
