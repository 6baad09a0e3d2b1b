r"""The front of a window whose columns clear one after another, and where it may move on.

On a path whose `Windows` go by column, column g of n has at time t the time of its own

    u_g(t) = clip((t - delay + g d) / (1 - delay), 0, 1),      d = delay / (n - 1),

clear (0) at the left, noise (1) at the right. A window that is to move on by r columns rests where
those that leave are clear and those that enter would be noise,

    u_{r-1} = 0   and   u_n = 1:      1 - delay - d <= rest <= delay - (r - 1) d.

The rest is taken as early as that allows, max(0, 1 - delay - d), which leaves the most columns
clear; it takes delay >= 1/2, or a window is narrower than its front. See `sliding`.

    Gerdes et al., GUD (2024), arXiv:2410.02667, section 5
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pushforward.generative.surrogate import Surrogate

ROUNDING = 1e-9  # of a column's turn


@dataclass(frozen=True)
class Front:
    """Where the columns of a window stand at rest: `groups` of them taking turns with a `delay`.

    Raises ValueError where no two of them are clear before the first beyond the window moves.

    >>> front = Front(groups=11, delay=0.6)
    >>> round(front.rest, 2), front.clear          # the first 5 are clear, the 12th is noise
    (0.34, 5)
    """

    groups: int
    delay: float

    def __post_init__(self) -> None:
        if self.groups < 2 or self.clear < 2:
            raise ValueError(
                f"expected windows with a delay of at least 0.5 and two columns, got "
                f"{self.delay} and {self.groups}: the front is wider than the window; train with "
                "a larger path.windows.delay"
            )

    @property
    def spacing(self) -> float:
        """d, the time from one column's turn to the next's."""
        return self.delay / (self.groups - 1)

    @property
    def rest(self) -> float:
        """The time at which the window may move on."""
        return max(0.0, 1 - self.delay - self.spacing)

    @property
    def clear(self) -> int:
        """How many columns are clear at rest."""
        if self.delay == 0:
            return 0
        turns = (self.delay - self.rest) / self.spacing
        return min(self.groups, math.floor(turns + ROUNDING) + 1)


def front_of(surrogate: Surrogate) -> tuple[Front, int]:
    """The front of a surrogate's path, and how many columns take a turn together.

    Raises ValueError for a surrogate whose windows cannot slide.
    """
    basis, windows = surrogate.basis, surrogate.architecture.path.windows
    if basis.kind != "pixel" or windows is None or windows.by != "column":
        by = "no windows" if windows is None else f"windows by {windows.by}"
        raise ValueError(
            f"expected the basis pixel and windows by column to slide, got {basis.kind} and {by}; "
            "train with surrogate.basis pixel and path.windows.by column"
        )
    if basis.grid.periodic:
        raise ValueError(
            "expected a box whose ends do not meet, got a periodic one, whose first column is "
            "the last one's neighbour; train with grid.boundary neumann"
        )
    columns = basis.grid.shape[-1]
    alike = basis.mask.unflatten(-1, basis.grid.shape)
    if columns % windows.size or not bool((alike == alike[..., :1]).all()):
        raise ValueError(
            f"expected columns that all vary in the same points and fall into windows of "
            f"{windows.size}, got {columns} of them or some that never vary; choose a size that "
            "divides them and fields that are alike everywhere"
        )
    return Front(columns // windows.size, windows.delay), windows.size
