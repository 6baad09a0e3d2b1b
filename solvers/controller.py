r"""Step control, one member at a time: what it decides never depends on who is solved beside it.

With e the error estimate of a step of length h and q the order of its local error,

    error = max over channels of |e| / s,     s = max(norm of the channel now, largest yet / 10),

in the root mean square over space (so a channel may pass through 0, or die out), is compared with
the tolerance: the step is accepted when it is not larger. The wish for a length, shortened so that
a whole number of equal steps ends at the next moment to keep, gives h; what the error of h says
would do,

    h_new = 0.9 h (tolerance / error)^(1/q),

becomes the wish, at most five times the last one, unless it lies between 1 and 1.2 times that: as
long as steps stay equal, the tables of the scheme do. After a rejection the wish is h_new between
1/5 and 9/10 of h.

    Hairer, Norsett, Wanner, Solving Ordinary Differential Equations I (1993), section II.4
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pushforward.solvers.failure import HOPELESS, failure

SAFETY, SMALLEST, LARGEST, DEADBAND = 0.9, 0.2, 5.0, 1.2
FLOOR = 0.1  # of the largest norm so far: no channel is measured by less
EQUAL = 1e-9  # steps that differ by less are the same


class Controller:
    """The clock of one member: `propose` a step, `judge` what came of it, until `done`.

    `time` is where it stands, `index` the next of `times` to reach, `steps` and `rejected` count,
    `step` is the length proposed.

    >>> clock = Controller((1.0,), 0.4, 1e-3, order=4, scale=[1.0])
    >>> while not clock.done:
    ...     _ = clock.propose()
    ...     _ = clock.judge([2e-4], [1.0])
    >>> clock.steps, clock.time
    (3, 1.0)
    """

    def __init__(
        self,
        times: Sequence[float],
        longest: float,
        tolerance: float,
        order: int,
        scale: Sequence[float],
        name: int = 0,
    ) -> None:
        self.times, self.tolerance, self.order, self.name = times, tolerance, order, name
        self.longest = longest
        self.index = 1 if times[0] == 0 else 0
        self.largest = list(scale)
        self.time, self.steps, self.rejected, self.landed = 0.0, 0, 0, False
        self.wish = 0.0 if self.done else min(times[self.index], self.longest)
        self.step = math.nan

    @property
    def done(self) -> bool:
        """Whether the last moment is reached."""
        return self.index == len(self.times)

    def propose(self) -> bool:
        """Sets `step`; says whether it is another one than before."""
        remaining = self.times[self.index] - self.time
        count = max(math.ceil(remaining / self.wish * (1 - EQUAL)), 1)
        step = remaining / count
        self.landed = count == 1
        if abs(step / self.step - 1) < EQUAL:
            return False
        self.step = step
        return True

    def judge(self, errors: Sequence[float], sizes: Sequence[float]) -> bool:
        """Whether the step counts, from the norms of its error and of the new state, a channel.

        Raises FloatingPointError when no step is short enough.
        """
        scale = [max(FLOOR * s, size) for s, size in zip(self.largest, sizes, strict=True)]
        finite = all(map(math.isfinite, (*errors, *sizes)))
        error = max(_ratio(e, s) for e, s in zip(errors, scale, strict=True))
        fitting = self._fitting(error if finite else math.inf)
        if error <= self.tolerance and finite:
            self._accept(sizes, fitting)
            return True
        self.rejected += 1
        self.wish = min(max(fitting, SMALLEST * self.step), SAFETY * self.step)
        if self.wish < HOPELESS * self.times[-1]:
            raise failure(self.name, self.time, finite=finite, step=None, tolerance=self.tolerance)
        return False

    def _fitting(self, error: float) -> float:
        """The step whose error would be a little below the tolerance."""
        if error == 0:
            return math.inf
        return SAFETY * self.step * (self.tolerance / error) ** (1 / self.order)

    def _accept(self, sizes: Sequence[float], fitting: float) -> None:
        self.largest = [max(s, size) for s, size in zip(self.largest, sizes, strict=True)]
        self.steps += 1
        self.time = self.times[self.index] if self.landed else self.time + self.step
        self.index += self.landed
        if not self.wish <= fitting < DEADBAND * self.wish:
            self.wish = min(fitting, LARGEST * self.wish, self.longest)


def _ratio(error: float, scale: float) -> float:
    """error / scale, 0 / 0 being 0: a channel that is empty and stays so is exact."""
    if error == 0:
        return 0.0
    return error / scale if scale > 0 else math.inf
