"""What the solver did: which kernel, how many steps, how much lies in the last waves it resolves.

Each batch of members leaves one such record, a block sums them up in its marker, and a result is
the sum over its markers. Nothing here is part of a result, or of its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from pushforward.solvers.solution import Solution
from pushforward.solvers.tail import COARSE


@dataclass(frozen=True)
class Effort:
    """Some members' solver steps: least, all and most of a member, and the rejected ones.

    `tail` is the largest share of a field's rms in the outermost resolved waves, of `member` at
    `time`, beyond t = 0 (see `solvers.tail`).

    >>> one = Effort(("avx2",), 2, 10, 25, 15, 1, 1e-6, 0, 2.0)
    >>> print(one)
    10 to 15 steps a member (1 rejected in all), kernel avx2, tail 1e-06
    """

    kernels: tuple[str, ...]
    members: int
    least: int
    steps: int
    most: int
    rejected: int
    tail: float
    member: int
    time: float

    @classmethod
    def of(cls, solution: Solution, members: Sequence[int], times: Sequence[float]) -> Effort:
        """What one batch took."""
        steps = solution.steps
        tail = solution.tail * (torch.tensor(times) > 0)  # at 0 it is what was asked for
        member, time = divmod(int(tail.argmax()), tail.shape[1])
        return cls(
            (solution.kernel,),
            len(steps),
            int(steps.min()),
            int(steps.sum()),
            int(steps.max()),
            int(solution.rejected.sum()),
            float(tail[member, time]),
            members[member],
            times[time],
        )

    @classmethod
    def total(cls, parts: Iterable[Effort]) -> Effort | None:
        """What several batches or blocks took together; None when there are none."""
        parts = list(parts)
        if not parts:
            return None
        worst = max(parts, key=lambda part: part.tail)
        return cls(
            tuple(sorted({kernel for part in parts for kernel in part.kernels})),
            sum(part.members for part in parts),
            min(part.least for part in parts),
            sum(part.steps for part in parts),
            max(part.most for part in parts),
            sum(part.rejected for part in parts),
            worst.tail,
            worst.member,
            worst.time,
        )

    @classmethod
    def read(cls, markers: Iterable[dict[str, Any]]) -> Effort | None:
        """The sum over the markers of blocks; None when none of them says."""
        said = [marker["solver"] for marker in markers if "solver" in marker]
        return cls.total(cls(tuple(one["kernels"]), **_rest(one)) for one in said)

    def values(self) -> dict[str, Any]:
        """As JSON values."""
        return {**asdict(self), "kernels": list(self.kernels)}

    def __str__(self) -> str:
        kernels = f"kernel {', '.join(self.kernels)}"
        if not self.steps:
            return kernels
        many = f"{self.least}" if self.least == self.most else f"{self.least} to {self.most}"
        return (
            f"{many} steps a member ({self.rejected} rejected in all), {kernels}, "
            f"tail {self.tail:.2g}"
        )

    @property
    def warning(self) -> str:
        """One sentence on a grid that is too coarse, or nothing.

        >>> Effort(("torch",), 1, 5, 5, 5, 0, 0.4, 3, 2.0).warning
        'the grid is too coarse: 0.4 of the rms of member 3 at t=2 lies in the last waves ...'
        """
        if self.tail <= COARSE:
            return ""
        return (
            f"the grid is too coarse: {self.tail:.2g} of the rms of member {self.member} at "
            f"t={self.time:g} lies in the last waves that it resolves (at most {COARSE:g} is "
            "sound); set simulation.solver_grid to a finer one"
        )


def _rest(one: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in one.items() if key != "kernels"}
