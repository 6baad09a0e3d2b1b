"""A learning curve: lines of JSON with the mean loss since the last one, and now and then a test.

{"step": 40, "loss": 0.71, "loss_by_level": [0.98, 0.9, 0.7, 0.5, 0.6], "learning_rate": 0.002,
 "seconds": 13.2, "samples_per_second": 412.5, "step_ms_p50": 38.1, "step_ms_p95": 44.0,
 "data_wait": 0.06, "held_out_loss": 0.74, "calibration": [...]}

`loss_by_level` is the same loss by band of the mean log snr, the noisiest first (see `bands`);
null where no member was. What follows `seconds` is said in `pace`; a test, in `validation`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from pushforward.archive import Archive
from pushforward.bands import added, means
from pushforward.checkpoint import State
from pushforward.loggers import Tell
from pushforward.pace import Pace
from pushforward.spec import Training

FILE = "metrics.jsonl"
LINES, TESTS = 200, 20  # of a whole curve


class Curve:
    """The curve of a training that goes on from a state; lines beyond it are dropped.

    Every line is told to `tell` as well (see `loggers`).
    """

    def __init__(self, training: Training, archive: Archive, state: State, tell: Tell) -> None:
        self.training, self.archive, self.state, self.tell = training, archive, state, tell
        self.every = max(training.steps // LINES, 1)
        lines = archive.read_lines(training, FILE)
        archive.write_lines(training, FILE, [one for one in lines if one["step"] <= state.step])

    def add(
        self,
        loss: float,
        tally: Sequence[float],
        rate: float,
        pace: Pace,
        test: Callable[[], dict[str, Any]],
    ) -> None:
        """Takes the loss of the state's last step; writes a line when one is due.

        `tally` is the loss by band, `rate` the learning rate, and `test` gives what now and then
        goes into a line, `held_out_loss` among it.

        Raises FloatingPointError when the loss is no number any more.
        """
        step, last = self.state.step, self.state.step == self.training.steps
        self._check(loss)
        self.state.losses.append(loss)
        self.state.tally = added([self.state.tally, tally])
        if step % self.every and not last:
            return
        line: dict[str, Any] = {
            "step": step,
            "loss": sum(self.state.losses) / len(self.state.losses),
            "loss_by_level": means(self.state.tally),
            "learning_rate": rate,
            "seconds": round(self.state.seconds, 3),
            **pace.line(),
        }
        if last or step % (self.every * (LINES // TESTS)) == 0:
            line |= test()
            if self.training.held_out:
                self._check(line["held_out_loss"])
        self.archive.append_line(self.training, FILE, line)
        self.tell(line)
        self.state.losses.clear()
        self.state.tally = added([])

    def _check(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"expected a finite loss, got {loss} at step {self.state.step}; lower "
                f"training.learning_rate (now {self.training.learning_rate:g})"
            )
