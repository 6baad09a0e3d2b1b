"""Commands of the command line in processes of their own that begin at once, and how they end.

`multiprocessing`'s fork server imports the package once and forks a child for every command.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.moments import nothing

PATIENCE = 300.0  # seconds after which a command counts as one that hangs
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.faults.warm"])


@dataclass(frozen=True)
class End:
    """How a command ended: its exit code (-9: killed by signal 9), and what it said."""

    code: int
    said: str
    seconds: float = 0.0

    @property
    def sentences(self) -> list[str]:
        """The complaints: lines that the command line begins with its name."""
        mark = "pushforward: "
        lines = self.said.splitlines()
        return [line.removeprefix(mark) for line in lines if line.startswith(mark)]

    @property
    def traceback(self) -> str:
        """The last line of a traceback; nothing when there is none."""
        _, mark, rest = self.said.partition("Traceback (most recent call last)")
        return rest.strip().splitlines()[-1] if mark else ""


class Command:
    """A command that runs; `arm` is called in its process first, and may break something there."""

    def __init__(
        self,
        arguments: Sequence[str],
        log: Path,
        arm: Callable[[], object] = nothing,
        call: Callable[[Sequence[str]], object] | None = None,
    ) -> None:
        self.log, self.began = log, time.monotonic()
        log.unlink(missing_ok=True)
        self.process = _context.Process(target=_run, args=(arguments, log, arm, call or _main))
        self.process.start()

    @property
    def pid(self) -> int:
        return int(self.process.pid or 0)

    @property
    def running(self) -> bool:
        return self.process.is_alive()

    def end(self) -> End:
        """Waits for it, kills it when it hangs, and says how it ended."""
        self.process.join(PATIENCE)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
            return End(1, f"pushforward: no end in {PATIENCE:g} s\n{self._text()}", PATIENCE)
        return End(int(self.process.exitcode or 0), self._text(), time.monotonic() - self.began)

    def _text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""


def children(pid: int, word: str = "") -> list[int]:
    """The processes that one has started, with a word in their command lines."""
    found: list[int] = []
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            numbers = [int(text) for text in listed.read_text().split()]
        except OSError:  # that thread is gone
            continue
        found += [number for number in numbers if word in _called(number)]
    return found


def _called(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def _main(arguments: Sequence[str]) -> None:
    from pushforward.flows.cli import main

    main(arguments)


def _run(
    arguments: Sequence[str],
    log: Path,
    arm: Callable[[], object],
    call: Callable[[Sequence[str]], Any],
) -> None:
    """In the child: its output goes to a file, and what it was told to break is armed."""
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for stream in (1, 2):
        os.dup2(file, stream)
    arm()
    try:
        call(arguments)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
