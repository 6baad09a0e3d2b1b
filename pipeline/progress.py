"""What a person sees while a verb runs: one-line messages, and bars with a rate and the time left.

Everything goes through the logger ``pushforward``, so that a program which has configured logging
(or Prefect, which configures it for a flow) decides where the lines end up; when nobody has, they
are written to stderr, or as JSON where that is asked for (see `logs`). A bar is drawn only when
stderr is a terminal. Elsewhere, in a batch job's log or a pipe, the same facts come as plain
lines, at most one every ``QUIET_SECONDS``, because a log file with one line per member helps
nobody. When a bar ends, one line with the total time and the mean rate stays behind in both cases.

All bars of the process share one display: two redrawing at once would overwrite each other. Log
lines printed while it is shown appear above it. Nothing in this module changes a result.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
)
from rich.text import Text

from pushforward import logs
from pushforward.credentials import hidden

QUIET_SECONDS = 15.0
EVENT_SECONDS = 5.0  # between two events of one bar

logger = logging.getLogger("pushforward")
_json = os.environ.get(logs.VARIABLE)
console = Console(stderr=True, soft_wrap=True, quiet=_json == "json")

_lock = threading.RLock()
_display: Progress | None = None
_shown = 0


class Advance(Protocol):
    """What `bar` yields: call it to say that n more units are done, with facts to show beside."""

    def __call__(self, n: int = 1, **facts: object) -> None: ...


class Paced(Advance, Protocol):
    """The same, which says how fast it goes."""

    def pace(self) -> tuple[float, float | None]:
        """Units a second of this run, and the seconds left if that can be told."""
        ...


class _Terminal(logging.Handler):
    """Writes the message to stderr when no handler above this logger does."""

    def emit(self, record: logging.LogRecord) -> None:
        above = logging.getLogger().handlers
        if logger.propagate and any(isinstance(h, logging.StreamHandler) for h in above):
            return
        try:
            console.print(Text(self.format(record)))
        except OSError:  # a closed pipe or terminal must not end a long run
            self.handleError(record)


class _Rate(ProgressColumn):
    """Units per second and the time left, as of the last advance; the time counts down."""

    def render(self, task: Task) -> Text:
        text, end = task.fields["rate"], task.fields["end"]
        if end is not None:
            text += f", {_clock(end - time.monotonic())} left"
        return Text(text, style="cyan")


if not any(isinstance(handler, _Terminal) for handler in logger.handlers):
    if _json != "json":
        logger.addHandler(_Terminal())
    logs.install(_json, logger)
    logger.setLevel(logging.INFO)


def say(text: str, **facts: object) -> None:
    """Tells the user one line, through the logger ``pushforward``; `facts` are for `logs`.

    >>> import logging
    >>> record = []
    >>> class Keep(logging.Handler):
    ...     def emit(self, line):
    ...         record.append(line.getMessage())
    >>> logger.addHandler(keep := Keep())
    >>> say("simulation-1a2b3c4d5e is complete: nothing to do")
    >>> logger.removeHandler(keep)
    >>> record
    ['simulation-1a2b3c4d5e is complete: nothing to do']
    """
    logger.info("%s", hidden(text), extra={"facts": facts})


@contextmanager
def bar(description: str, total: int | None, unit: str, done: int = 0) -> Iterator[Paced]:
    """Shows how far a loop is; yields `advance(n=1, **facts)`.

    `total` counts all units (None when it is not known), `done` those finished by an earlier run;
    the rate counts only what this run did. `facts` are shown beside the bar, as in
    ``advance(1, loss=0.12)``. On a terminal this is a bar, elsewhere a line now and then.

    >>> with bar("simulate", total=8, unit="members") as advance:
    ...     for member in range(0, 8, 4):
    ...         advance(4, block=member // 4)
    """
    shown = _Bar(description, total, unit, done)
    try:
        yield shown
    finally:
        shown.close()
    shown.summarise()


@contextmanager
def quiet(silent: bool) -> Iterator[None]:
    """Says nothing and draws nothing meanwhile, if `silent`: one of many processes speaks.

    Warnings come through.

    >>> with quiet(True):
    ...     logger.isEnabledFor(logging.INFO), logger.isEnabledFor(logging.WARNING)
    (False, True)
    """
    before = logger.level, console.quiet, logs.events.level
    if silent:
        logs.events.setLevel(logging.WARNING)
        logger.setLevel(logging.WARNING)
        console.quiet = True
    try:
        yield
    finally:
        logger.setLevel(before[0])
        console.quiet = before[1]
        logs.events.setLevel(before[2])


class _Bar:
    """One bar: drawn in the shared display on a terminal, told in plain lines elsewhere."""

    def __init__(self, description: str, total: int | None, unit: str, done: int) -> None:
        self.description, self.total, self.unit = description, total, unit
        self.before, self.done, self.facts = done, done, ""
        self.last: dict[str, object] = {}
        self.began = self.spoke = self.told = time.monotonic()
        self.task: TaskID | None = None
        if console.is_terminal and not console.is_dumb_terminal:
            self.task = _open().add_task(
                description, total=total, completed=done, unit=unit, facts="", rate="", end=None
            )

    def __call__(self, n: int = 1, **facts: object) -> None:
        """Counts n units and shows it."""
        with _lock:
            self.done += n
            if facts:
                self.last = facts
                self.facts = ", ".join(f"{key} {_fact(value)}" for key, value in facts.items())
            now = time.monotonic()
            rate, left = self._pace(now - self.began)
            if now - self.told >= EVENT_SECONDS:
                self.told = now
                self._tell("progress", rate, left_seconds=None if left is None else round(left, 1))
            if _display is not None and self.task is not None:
                _display.update(
                    self.task,
                    advance=n,
                    facts=self.facts,
                    rate=_rate(rate, self.unit),
                    end=None if left is None else now + left,
                )
                return
            if now - self.spoke < QUIET_SECONDS:
                return
            self.spoke = now
        say(self._line(now - self.began))

    def pace(self) -> tuple[float, float | None]:
        """Units a second of this run, and the seconds left if that can be told."""
        return self._pace(time.monotonic() - self.began)

    def close(self) -> None:
        """Takes the bar off the display."""
        if _display is not None and self.task is not None:
            _display.remove_task(self.task)
            _close()

    def summarise(self) -> None:
        """Leaves one line behind: how many units, how long, how fast."""
        seconds, count = time.monotonic() - self.began, self.done - self.before
        if count and seconds > 0:
            self._tell("finished", count / seconds, seconds=round(seconds, 3))
            took = (
                f"{count} {self.unit} in {_clock(seconds)} ({_rate(count / seconds, self.unit)})"
            )
            say(", ".join(filter(None, (f"{self.description}: {took}", self.facts))))

    def _tell(self, event: str, rate: float, **facts: object) -> None:
        """An event for those who read JSON."""
        about = {"task": self.description, "done": self.done, "total": self.total}
        logs.tell(event, **about, unit=self.unit, rate=round(rate, 3), **facts, **self.last)

    def _pace(self, seconds: float) -> tuple[float, float | None]:
        """Units per second over this run, and the seconds left if that can be told."""
        rate = (self.done - self.before) / max(seconds, 1e-9)
        return rate, (self.total - self.done) / rate if self.total is not None and rate else None

    def _line(self, seconds: float) -> str:
        rate, left = self._pace(seconds)
        of = "" if self.total is None else f" of {self.total}"
        parts = [f"{self.description}: {self.done}{of} {self.unit}", _rate(rate, self.unit)]
        if left is not None:
            parts.append(f"{_clock(left)} left")
        return ", ".join(filter(None, (*parts, self.facts)))


def _open() -> Progress:
    """The process's one display, started by the first bar."""
    global _display, _shown
    with _lock:
        if _display is None:
            display = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=28),
                MofNCompleteColumn(),
                TextColumn("{task.fields[unit]}"),
                _Rate(),
                TextColumn("{task.fields[facts]}", style="dim"),
                console=console,
                transient=True,
                refresh_per_second=4,
            )
            display.start()
            _display = display
        _shown += 1
        return _display


def _close() -> None:
    """Takes the display away with the last bar."""
    global _display, _shown
    with _lock:
        _shown -= 1
        if _shown == 0 and _display is not None:
            _display.stop()
            _display = None


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(max(seconds, 0.0))))


def _rate(speed: float, unit: str) -> str:
    return f"{speed:,.0f} {unit}/s" if speed >= 100 else f"{speed:.3g} {unit}/s"


def _fact(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
