"""What workers do in tests; it imports nothing that a fresh process would have to wait for."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path


def cube(name: str, block: int) -> int:
    return block**3


def inside(name: str, block: int) -> tuple[int, int, bool, str | None]:
    """What a worker is: its process, its threads, and whether Prefect came along."""
    import distributed

    from pushforward.simulation import simulate_block

    assert simulate_block  # with all that it takes to compute a block
    own = distributed.get_worker().state.nthreads
    return os.getpid(), own, "prefect" in sys.modules, os.environ.get("OMP_NUM_THREADS")


def process(name: str, block: int) -> int:
    return os.getpid()


def fragile(name: str, block: int) -> int:
    if block == 5:
        raise FloatingPointError("member 5 became non-finite at t=1.2; halve step (now 0.01)")
    return block


def deadly(name: str, block: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return block


def deadly_once(folder: str, name: str, block: int) -> int:
    mark = Path(folder, str(block))
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return block**3


def mark_and_wait(folder: str, name: str, block: int) -> int:
    Path(folder, str(os.getpid())).touch()
    time.sleep(60)
    return block
