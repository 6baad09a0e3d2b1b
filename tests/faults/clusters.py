"""Dask: one of its workers is killed while blocks are computed, or its scheduler is."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from random import Random

from tests.faults.commands import Command, End
from tests.faults.dask_cluster import Cluster, kill
from tests.faults.kills import await_blocks
from tests.faults.scene import Bench, Scene
from tests.faults.verdict import MISSED, Injection

PATIENCE = "8s"


def worker(bench: Bench, draw: Random, verb: str) -> Injection:
    """SIGKILL of a worker, after so many blocks are done: another one computes what it was at."""
    return _killed(bench.dask, bench, draw, verb, lambda found: draw.choice(found.workers))


def scheduler(bench: Bench, draw: Random, verb: str) -> Injection:
    """SIGKILL of the scheduler, after so many blocks are done; the remedy is to start another."""
    return _killed(bench.lone_dask, bench, draw, verb, lambda found: found.scheduler)


def _killed(
    cluster: Cluster, bench: Bench, draw: Random, verb: str, whom: Callable[[Cluster], int]
) -> Injection:
    cluster.start()
    with bench.wide.scene(verb) as scene:
        command = _on(scene, cluster)
        blocks = len(bench.wide.clean.blocks(scene.spec))
        await_blocks(scene, draw.randrange(blocks // 2), lambda: command.running)
        time.sleep(draw.uniform(0, 0.05))
        hit = command.running and not scene.archive.sealed(scene.spec) and bool(cluster.workers)
        if hit:
            kill(whom(cluster))
        end = command.end()
        if not hit:
            return Injection(verb, MISSED)
        again = partial(_again, scene, cluster)
        return scene.settle(end, again=again, remedy=cluster.start)


def _on(scene: Scene, cluster: Cluster) -> Command:
    """The verb's command, on the cluster, told to look for a lost one for so long only."""
    return scene.command(scene.words("--cluster", str(cluster.page)), impatient)


def impatient() -> None:
    """Called in a process: Dask's clients give up sooner than by themselves (30 s)."""
    from dask import config

    config.set({"distributed.comm.timeouts.connect": PATIENCE})


def _again(scene: Scene, cluster: Cluster) -> End:
    return _on(scene, cluster).end()
