"""The fewest steps, or the loosest tolerance, that keep a code's error below a target."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

STEPS = sorted({10 * round(2 ** (i / 4)) for i in range(64)})
TOLERANCES = [10 ** (-i / 4) for i in range(4, 45)]
LONGEST = 25.0  # seconds that a solution may take before its error is extrapolated instead


@dataclass(frozen=True)
class Found:
    """What a search ended with: a setting and its error, both extrapolated perhaps, or neither.

    `error` is then the least error seen, and `setting` where it was seen.
    """

    setting: float
    error: float
    reached: bool
    extrapolated: bool = False


class Search:
    """Solves at settings of a ladder, each once; `solve` gives {"error", "seconds", "notes"}."""

    def __init__(
        self, solve: Callable[[float], dict[str, Any]], order: float, adaptive: bool
    ) -> None:
        self.solve, self.order = solve, order
        self.ladder = TOLERANCES if adaptive else STEPS
        # Finer by one rung, the error falls by this factor, roughly.
        self.gain = 10**0.25 if adaptive else 2 ** (order / 4)
        self.adaptive = adaptive
        self.seen: dict[int, dict[str, Any]] = {}
        self.end = len(self.ladder)  # the code refuses this rung, and all that are finer

    def target(self, target: float, start: float) -> Found:
        """The coarsest rung whose error is at most the target, coming from a first guess."""
        rungs = range(len(self.ladder))
        rung = min(rungs, key=lambda i: abs(math.log(self.ladder[i] / start)))
        high = min((i for i in self.seen if self._error(i) <= target), default=self.end)
        low = max((i for i in self.seen if i < high), default=-1)
        while high - low > 1:
            rung = min(max(rung, low + 1), high - 1)
            if rung not in self.seen and self._seconds(rung) > LONGEST:
                return self._beyond(target, low)
            error = self._error(rung)
            if rung >= self.end or error <= target:
                high = rung
            else:
                low = rung
                if high == self.end and self._flat(rung):
                    break
            rung += -1 if rung >= self.end else self._rungs(error, target)
        if high in self.seen and self._error(high) <= target:
            return Found(self.ladder[high], self._error(high), reached=True)
        best = min(self.seen, key=self._error)
        return Found(self.ladder[best], self._error(best), reached=False)

    def _error(self, rung: int) -> float:
        if rung not in self.seen:
            self.seen[rung] = self.solve(self.ladder[rung])
            if "refused" in self.seen[rung].get("notes", {}):
                self.end = min(self.end, rung)
        error = self.seen[rung]["error"]
        return math.inf if error is None else error

    def _rungs(self, error: float, target: float) -> int:
        if error > 1:  # far from where an order shows
            return 3
        away = math.log(error / target) / math.log(self.gain)
        return math.ceil(away) if away > 0 else min(math.floor(away) + 1, -1)

    def _seconds(self, rung: int) -> float:
        """What a rung will take, from the finest that was solved at all."""
        known = [i for i in self.seen if self.seen[i]["seconds"] > 0]
        if not known or self.adaptive:
            return 0.0
        i = max(known)
        return self.seen[i]["seconds"] * self.ladder[rung] / self.ladder[i]

    def _flat(self, rung: int) -> bool:
        """Whether round-off holds the error up: three rungs finer or more, and hardly better."""
        before = [self._error(i) for i in self.seen if i <= rung - 3]
        return bool(before) and self._error(rung) > 0.7 * min(before) < math.inf

    def _beyond(self, target: float, finest: int) -> Found:
        error, steps = self._error(finest), self.ladder[finest]
        return Found(steps * (error / target) ** (1 / self.order), target, True, True)
