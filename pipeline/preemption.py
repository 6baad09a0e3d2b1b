"""When a loop has to stop before its end: a signal of the batch system, or a time budget.

SIGTERM comes before a node is taken away, SIGUSR1 is what `sbatch --signal=USR1@120` sends two
minutes before the time limit. Both only set a flag, which the loop looks at after every step: it
then stores what it has and stops with an InterruptedError, for which the command line exits with
75 (EX_TEMPFAIL), "again, please".
"""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

SIGNALS = ("SIGTERM", "SIGUSR1")  # the second is not known to Windows


class Preemption:
    """Whether to stop; a context in which signals set the flag, in the main thread.

    `max_seconds` count from its making (None: no end). In another thread, where Python takes no
    signals, the budget alone counts.
    Raises ValueError for a budget that is not above 0.

    >>> import os
    >>> with Preemption(max_seconds=3600) as stop:
    ...     before = stop.asked
    ...     os.kill(os.getpid(), signal.SIGTERM)
    >>> before, stop.asked, stop.reason
    (False, True, 'SIGTERM')
    """

    def __init__(self, max_seconds: float | None = None) -> None:
        if max_seconds is not None and not max_seconds > 0:
            raise ValueError(
                f"expected max_seconds above 0, got {max_seconds:g}; raise it or leave it out"
            )
        self.max_seconds, self.began = max_seconds, time.monotonic()
        self.signal = ""
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Preemption:
        if threading.current_thread() is threading.main_thread():
            for name in SIGNALS:
                if (number := getattr(signal, name, None)) is not None:
                    self._before[number] = signal.signal(number, self._flag)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            # None: a handler that was not made in Python, and cannot be put back from it
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before.clear()

    @property
    def asked(self) -> bool:
        """Whether a signal came or the budget is spent."""
        return bool(self.reason)

    @property
    def reason(self) -> str:
        """Why to stop, in a few words; nothing while there is no reason."""
        if self.signal:
            return self.signal
        if self.max_seconds is not None and time.monotonic() - self.began >= self.max_seconds:
            return f"after {self.max_seconds:g} s"
        return ""

    def _flag(self, number: int, frame: FrameType | None) -> None:
        self.signal = signal.Signals(number).name
