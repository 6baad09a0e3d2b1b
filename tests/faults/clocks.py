"""A clock that jumps while results are made: forwards over days, or back.

What jumps is what the process is told of the time; the times of files are the file server's, as
they are where a node of a cluster has lost its time server. A process whose clock is ahead sees
old files everywhere, and sweeps what it takes for the remains of killed writers.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from random import Random

from tests.faults.moments import At
from tests.faults.scene import Bench
from tests.faults.verdict import MISSED, Injection

DAYS = 30.0  # the largest jump
HELD = 1.0  # seconds that a writer is kept from moving its file into place


@dataclass(frozen=True)
class Jump:
    """Called in a process: from now on its clock is so many seconds ahead, or behind."""

    seconds: float

    def __call__(self) -> None:
        told, told_ns, ahead = time.time, time.time_ns, timedelta(seconds=self.seconds)

        class Shifted(datetime):
            """The time of day, shifted."""

            @classmethod
            def now(cls, tz: tzinfo | None = None) -> datetime:
                return datetime.now(tz) + ahead

        time.time = lambda: told() + self.seconds
        time.time_ns = lambda: told_ns() + round(1e9 * self.seconds)
        for name, module in [*sys.modules.items()]:
            if name.startswith("pushforward") and getattr(module, "datetime", None) is datetime:
                vars(module)["datetime"] = Shifted


@dataclass(frozen=True)
class Wait:
    """Called in a process: it is held for a while."""

    seconds: float

    def __call__(self) -> None:
        time.sleep(self.seconds)


def jump(draw: Random) -> Jump:
    """A jump of seconds to days, forwards or back."""
    size = 60.0 ** draw.uniform(0, 1) * (DAYS * 86400 / 60) ** draw.uniform(0, 1)
    return Jump(draw.choice((-1, 1)) * size)


def alone(bench: Bench, draw: Random, verb: str) -> Injection:
    """The clock of the one process jumps between two durable events."""
    with bench.small.scene(verb) as scene:
        return scene.settle(scene.run(arm=scene.at(draw, jump(draw))))


def beside(bench: Bench, draw: Random, verb: str) -> Injection:
    """A writer is held with a file half way; another one, whose clock is ahead, comes along."""
    with bench.small.scene(verb) as scene:
        held = scene.start(arm=At(draw.randrange(scene.events), Wait(HELD)))
        time.sleep(draw.uniform(0, min(HELD, scene.seconds)))
        at_work = held.running
        other = scene.run(arm=Jump(draw.uniform(700.0, DAYS * 86400)))
        ends = held.end(), other
        return scene.settle(*ends) if at_work else Injection(verb, MISSED)
