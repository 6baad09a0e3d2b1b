"""Processes that are killed, or told to stop: the one that computes, and one of its workers."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from random import Random

from pushforward.shelf import CHECKPOINT
from tests.faults.commands import children
from tests.faults.moments import Signal
from tests.faults.scene import Bench, Scene
from tests.faults.verdict import FAILED, MISSED, Injection

WORKERS = 2
SPAWNED = "multiprocessing.spawn"  # in the command line of a worker
REQUEUE = 75  # EX_TEMPFAIL


def process(bench: Bench, draw: Random, verb: str) -> Injection:
    """SIGKILL of the command's process, before a durable event or at any time."""
    return _signalled(bench, draw, verb, signal.SIGKILL)


def term(bench: Bench, draw: Random, verb: str) -> Injection:
    """SIGTERM of a verb that has blocks."""
    return _signalled(bench, draw, verb, signal.SIGTERM)


def _signalled(bench: Bench, draw: Random, verb: str, number: int) -> Injection:
    with bench.small.scene(verb) as scene:
        if draw.random() < 0.5:
            end = scene.run(arm=scene.at(draw, Signal(number)))
        else:
            command = scene.start()
            time.sleep(draw.uniform(0, scene.seconds))
            with suppress(ProcessLookupError):  # it is done
                os.kill(command.pid, number)
            end = command.end()
        if end.code != -number or not scene.result.exists():
            return Injection(verb, MISSED)
        return scene.settle(end)


def grace(bench: Bench, draw: Random, verb: str) -> Injection:
    """SIGTERM of a training: it ends its step, stores a checkpoint and asks to be queued again."""
    with bench.small.scene(verb) as scene:
        end = scene.run(arm=scene.at(draw, Signal(signal.SIGTERM)))
        kept = (scene.result / CHECKPOINT).is_file()
        found = scene.settle(end)
        if end.code not in (0, REQUEUE):
            why = f"expected exit code {REQUEUE}, got {end.code}: {end.said[-300:]!r}"
            return Injection(verb, FAILED, found.sentence, found.seconds, why)
        if end.code == REQUEUE and not kept:
            return Injection(verb, FAILED, found.sentence, found.seconds, "no checkpoint")
        return found


def worker(bench: Bench, draw: Random, verb: str) -> Injection:
    """SIGKILL of a worker of the pool, after so many blocks are done."""
    with bench.wide.scene(verb) as scene:
        command = scene.start("--workers", str(WORKERS))
        blocks = len(bench.wide.clean.blocks(scene.spec))
        await_blocks(scene, draw.randrange(blocks // 2), lambda: command.running)
        time.sleep(draw.uniform(0, 0.05))
        workers = children(command.pid, SPAWNED)
        hit = bool(workers) and not scene.archive.sealed(scene.spec)
        if hit:
            with suppress(ProcessLookupError):
                os.kill(draw.choice(workers), signal.SIGKILL)
        end = command.end()
        if not hit:
            return Injection(verb, MISSED)
        return scene.settle(end)


def await_blocks(scene: Scene, count: int, alive: Callable[[], bool]) -> None:
    """Waits until so many blocks are marked as done, or nobody is there to do them."""
    folder = scene.result / "blocks"
    while alive():
        there = len([*folder.glob("*.json")]) if folder.is_dir() else -1
        if there >= count:
            return
        time.sleep(0.002)
