"""How fast a training is: samples a second, milliseconds a step, and how long it waits for data.

A step is timed from asking for its batch to the averages of its weights, without validation and
checkpoints. The batch counts as a whole, however many ranks share it; the times are the first
rank's, which is as slow as the slowest since all wait for each other.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

TIMES = ("seconds", "samples_per_second", "step_ms_p50", "step_ms_p95", "data_wait")
RECENT = 64  # steps that the progress bar's rate is the mean of


def waits(lines: Sequence[Mapping[str, Any]]) -> float | None:
    """The share of a training's steps that was waiting for data, from the lines of its curve.

    None where they do not say. A line stands for all steps since the one before.

    >>> waits([{"step": 1, "step_ms_p50": 2, "data_wait": 0.5}, {"step": 4, "data_wait": 0.1}])
    0.2
    """
    known = [line for line in lines if line.get("data_wait") is not None]
    last, total, waited = 0, 0, 0.0
    for line in known:
        steps = line["step"] - last
        last, total, waited = line["step"], total + steps, waited + steps * line["data_wait"]
    return round(waited / total, 4) if total else None


class Pace:
    """The seconds of steps since the last line, and of waiting in them; `batch` members a step.

    >>> pace = Pace(batch=8)
    >>> pace.line()
    {}
    >>> pace.begin(), pace.fed(), pace.end()
    (None, None, None)
    >>> list(pace.line())
    ['samples_per_second', 'step_ms_p50', 'step_ms_p95', 'data_wait']
    """

    def __init__(self, batch: int, clock: Callable[[], float] = time.perf_counter) -> None:
        self.batch, self.clock = batch, clock
        self._began = self._fed = 0.0
        self._seconds: list[float] = []
        self._waited = 0.0
        self._recent: deque[float] = deque(maxlen=RECENT)

    def begin(self) -> None:
        """A step begins."""
        self._began = self._fed = self.clock()

    def fed(self) -> None:
        """It has its batch."""
        self._fed = self.clock()

    def end(self) -> None:
        """It is done, and counts."""
        seconds = self.clock() - self._began
        self._seconds.append(seconds)
        self._recent.append(seconds)
        self._waited += self._fed - self._began

    @property
    def rate(self) -> float:
        """Samples a second over the last few steps; 0 before the first."""
        total = sum(self._recent)
        return self.batch * len(self._recent) / total if total else 0.0

    def line(self) -> dict[str, float]:
        """What goes into a line of the learning curve, of the steps since the last one."""
        if not self._seconds:
            return {}
        total = max(sum(self._seconds), 1e-9)
        middle, high = 1000 * np.quantile(self._seconds, [0.5, 0.95])
        found = {
            "samples_per_second": round(self.batch * len(self._seconds) / total, 1),
            "step_ms_p50": round(float(middle), 2),
            "step_ms_p95": round(float(high), 2),
            "data_wait": round(self._waited / total, 4),
        }
        self._seconds.clear()
        self._waited = 0.0
        return found
