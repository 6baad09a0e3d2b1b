"""Where fields come from that nobody solves for: the contract of a source of data.

A study may learn from an equation's solutions, or from members that are drawn from a law of their
own or read from files (see `Simulation.data`). A source is a value with a name, as an equation is,
and a member of it is one function, which every grid samples as far as the source allows it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from pushforward.solvers.grid import Grid


@runtime_checkable
class Source(Protocol):
    """A source of members by their numbers: its kind, its variables, and the boxes it lies on.

    >>> isinstance("gaussian_mixture", Source)
    False
    """

    @property
    def kind(self) -> str:
        """The source's name."""
        ...

    @property
    def channels(self) -> Mapping[str, str]:
        """The variables, and what each of them is."""
        ...

    @property
    def boundary(self) -> tuple[str, ...]:
        """The boundaries of boxes that it may lie on."""
        ...

    def check(self, grid: Grid, members: int) -> None:
        """Raises ValueError, in one sentence, for members 0..members-1 on a grid that it has not.

        Reads nothing.
        """
        ...

    def draw(
        self, members: Sequence[int], grid: Grid, seed: int = 0
    ) -> Float[Tensor, "member channel *grid"]:
        """Members on a grid, addressed by (seed, member)."""
        ...
