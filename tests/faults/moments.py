"""The moments at which a process makes something durable, and what can be done before one of them.

A verb decides by what is on the disk, so that what matters is between which two durable events
(fsync, rename) a fault comes. Here each of them is counted, and before one that is drawn at random
something happens: a kill, a full disk, another time of day.
"""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

DURABLE = ("fsync", "replace", "rename")


def before_each(action: Callable[[], object]) -> None:
    """Does something before every durable event of this process from now on."""

    def armed(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            action()
            return function(*arguments, **options)

        return call

    for name in DURABLE:
        setattr(os, name, armed(getattr(os, name)))


@dataclass(frozen=True)
class At:
    """Called in a process: does `action` once, before the durable event of number `event`."""

    event: int
    action: Callable[[], object]

    def __call__(self) -> None:
        numbers = itertools.count()  # one step of it is atomic: events come from many threads

        def look() -> None:
            if next(numbers) == self.event:
                self.action()

        before_each(look)


@dataclass(frozen=True)
class Count:
    """Called in a process: adds a byte to a file before every durable event."""

    path: Path

    def __call__(self) -> None:
        tally = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        before_each(partial(os.write, tally, b"."))


@dataclass(frozen=True)
class Signal:
    """Sends this process a signal."""

    number: int = signal.SIGKILL

    def __call__(self) -> None:
        os.kill(os.getpid(), self.number)


def nothing() -> None:
    """No fault at all."""
