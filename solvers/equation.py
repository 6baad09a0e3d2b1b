r"""The contract of an equation: u_t = L u + N(u, f), L diagonal in the waves.

An equation says two things and nothing else: its linear symbol, which the integrators treat
exactly, and its nonlinear part, evaluated in physical space and handed back as coefficients. Both
act on *all* channels, tensors (..., channel, *grid). What is random (initial state, forcing) and
what is numerical (grid, step) stays outside.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from pushforward.solvers.grid import Grid

Nonlinear = Callable[[Tensor, Tensor | None], Tensor]


class Equation(ABC):
    """One equation family; subclasses are frozen dataclasses of plain numbers, final.

    `channels` maps each channel's name to what it is. `forced` says whether N takes a forcing,
    `scheme` which integrator serves when none is named, `boundary` what its box may end in,
    `draws` how many independent fields its initial state takes (more than one: z is
    (member, draw, *grid)), `dealias` the fraction of the grid's waves that a state may hold
    (above 1 the cells are the equation's own, and no wave is cut). It `marches`: solved in steps.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class AllenCahn(Equation):               # u_t = D Lap u + u - u^3
    ...     diffusivity: float = 0.05
    ...     channels = {"u": "order parameter"}
    ...     def linear(self, grid, device="cpu"):
    ...         return (self.diffusivity * grid.laplacian(device) + 1)[None]
    ...     def nonlinear(self, grid, dtype, device):
    ...         keep = grid.resolved(2 / 3, device)
    ...         return lambda u_hat, f_hat: -grid.fft(grid.ifft(u_hat) ** 3) * keep
    ...     def initial_state(self, z, grid):
    ...         return z[:, None]
    >>> from pushforward.solvers import GaussianField, Problem
    >>> start = GaussianField.matern(3.0, 0.5, deviation=0.1)
    >>> problem = Problem(Grid((32, 32)), AllenCahn(), start, times=(20.0,), step=0.1)
    >>> bool(problem.solve([0]).abs().max() < 1.05)    # phases of +1 and -1
    True
    """

    channels: ClassVar[dict[str, str]]
    forced: ClassVar[bool] = False
    scheme: ClassVar[str] = "etdrk4"
    boundary: ClassVar[tuple[str, ...]] = ("periodic",)
    draws: ClassVar[int] = 1
    dealias: ClassVar[float] = 2 / 3
    marches: ClassVar[bool] = True

    @property
    def refinable(self) -> bool:
        """Whether a finer grid has the same solution, only closer: not of cells of its own."""
        return self.dealias <= 1

    @abstractmethod
    def linear(self, grid: Grid, device: torch.device | str = "cpu") -> Tensor:
        """The symbol of L, float64 or complex128, shape (channel, *spectral_shape)."""

    @abstractmethod
    def nonlinear(self, grid: Grid, dtype: torch.dtype, device: torch.device | str) -> Nonlinear:
        """A function (u_hat, f_hat) -> N_hat on dealiased coefficients.

        All are (..., channel, *spectral_shape). `dtype` is the real type to compute in; f_hat is
        None or broadcasts against u_hat.
        """

    @abstractmethod
    def initial_state(self, z: Tensor | None, grid: Grid) -> Tensor:
        """The state that a drawn field z (member, *grid) stands for: (member, channel, *grid).

        Of more than one draw, z is (member, draw, *grid). `None` asks for the state at rest, with
        one member to be broadcast.
        """
