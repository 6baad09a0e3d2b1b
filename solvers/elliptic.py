r"""The contract of an equation without time: a random coefficient in, a solution out.

The drawn field becomes the coefficient, one channel of the state; `solve` fills the others. There
is one frame and no time step, and every member is solved for by itself. Coefficients may jump, so
that a solution of a finer grid is brought to a coarser one by the equation's own means
(`restrict`) and not by its waves.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from pushforward.solvers.grid import Grid


class EllipticEquation(ABC):
    """One elliptic equation; subclasses are frozen dataclasses of plain numbers, final.

    `channels`, `boundary` and `draws` are as in `Equation`; `unknowns` are the channels that are
    solved for, whose error is the solver's. Nothing `marches` in time, and any grid is an
    approximation, `refinable`.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Poisson(EllipticEquation):                      # Lap u = z, no flux, mean 0
    ...     channels = {"source": "what flows in", "u": "potential"}
    ...     unknowns = ("u",)
    ...     def initial_state(self, z, grid):
    ...         return torch.stack([z, torch.zeros_like(z)], 1)
    ...     def solve(self, state, grid, members=None):
    ...         symbol = grid.laplacian()
    ...         inverse = torch.where(symbol < 0, 1 / symbol, 0.0)
    ...         u = grid.ifft(inverse * grid.fft(state[:, 0]))
    ...         return torch.stack([state[:, 0], u], 1)
    ...     def restrict(self, fields, source, target):
    ...         return source.resample(fields, target)
    >>> import torch
    >>> from pushforward.solvers import GaussianField, Grid
    >>> grid, poisson = Grid((8, 8), (1.0, 1.0), "neumann"), Poisson()
    >>> z = GaussianField.matern(3.0, 0.5).sample(range(3), grid)
    >>> poisson.solve(poisson.initial_state(z, grid), grid).shape
    torch.Size([3, 2, 8, 8])
    """

    channels: ClassVar[dict[str, str]]
    unknowns: ClassVar[tuple[str, ...]]
    boundary: ClassVar[tuple[str, ...]] = ("neumann",)
    draws: ClassVar[int] = 1
    marches: ClassVar[bool] = False
    refinable: ClassVar[bool] = True

    @abstractmethod
    def initial_state(self, z: Tensor | None, grid: Grid) -> Tensor:
        """The coefficient that a drawn field z (member, *grid) stands for, in all channels."""

    @abstractmethod
    def solve(self, state: Tensor, grid: Grid, members: Sequence[int] | None = None) -> Tensor:
        """The state (member, channel, *grid) with the solution in its channels.

        `members` only names rows in errors.
        """

    @abstractmethod
    def restrict(self, fields: Tensor, source: Grid, target: Grid) -> Tensor:
        """Fields (..., channel, *source) on a coarser grid of the same box."""
