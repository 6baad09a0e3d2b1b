"""A learning curve: lines of JSON with the mean loss since the last one, and now and then a test.

{"step": 40, "loss": 0.71, "learning_rate": 0.002, "seconds": 13.2, "held_out_loss": 0.74, ...}
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from pushforward.archive import Archive
from pushforward.checkpoint import State
from pushforward.spec import Training

FILE = "metrics.jsonl"
LINES, TESTS = 200, 20  # of a whole curve


class Curve:
    """The curve of a training that goes on from a state; lines beyond it are dropped."""

    def __init__(self, training: Training, archive: Archive, state: State) -> None:
        self.training, self.archive, self.state = training, archive, state
        self.every = max(training.steps // LINES, 1)
        lines = archive.read_lines(training, FILE)
        archive.write_lines(training, FILE, [one for one in lines if one["step"] <= state.step])

    def add(self, loss: float, rate: float, test: Callable[[], dict[str, Any]]) -> None:
        """Takes the loss of the state's last step; writes a line when one is due.

        `test` gives what now and then goes into a line, `held_out_loss` among it.

        Raises FloatingPointError when the loss is no number any more.
        """
        step, last = self.state.step, self.state.step == self.training.steps
        self._check(loss)
        self.state.losses.append(loss)
        if step % self.every and not last:
            return
        line: dict[str, Any] = {
            "step": step,
            "loss": sum(self.state.losses) / len(self.state.losses),
            "learning_rate": rate,
            "seconds": round(self.state.seconds, 3),
        }
        if last or step % (self.every * (LINES // TESTS)) == 0:
            line |= test()
            if self.training.held_out:
                self._check(line["held_out_loss"])
        self.archive.append_line(self.training, FILE, line)
        self.state.losses.clear()

    def _check(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"expected a finite loss, got {loss} at step {self.state.step}; lower "
                f"training.learning_rate (now {self.training.learning_rate:g})"
            )
