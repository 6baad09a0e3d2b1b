r"""Viscous Burgers' equation on a periodic line.

    u_t + (u^2 / 2)_x = nu u_xx + f

The square is cut by the 2/3 rule, which leaves no aliases at all: the flux moves energy between
waves and makes none, and the mean of u changes by the mean of f only. Waves steepen into fronts of
thickness nu / |u|, which the grid must resolve. Without forcing, Cole and Hopf's u = -2 nu
phi_x / phi turns the equation into phi_t = nu phi_xx and solves it in closed form.

The sets published with the Fourier neural operator live on [0, 1) with u_0 drawn from
N(0, 625 (-Laplacian + 25)^-2), mean 0, and keep u(1): nu = 0.1 (`burgers_data_R10`), and nu = 0.01
for PINO (`burgers_v100`). The script that is distributed with them has other numbers, nu = 0.001
and N(0, 7^4 (-Laplacian + 49)^-2.5).

    Hopf, Comm. Pure Appl. Math. 3 (1950), doi:10.1002/cpa.3160030302
    Li et al., Fourier neural operator (2021), arXiv:2010.08895; PINO, arXiv:2111.03794
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from pushforward.solvers.equation import Equation, Nonlinear
from pushforward.solvers.grid import Grid


@dataclass(frozen=True)
class Burgers(Equation):
    """A velocity on a line with viscosity nu, and a static or white forcing f.

    The initial state is the drawn field itself, its mean included; the state at rest is 0.
    Good values: nu = 0.1..0.001 on a box of 1 with |u| near 1 (1 / nu points and more).

    Raises ValueError for a viscosity that is negative or no number, and for grids of more axes.

    >>> round(Burgers(viscosity=0.1).linear(Grid((8,), (1.0,)))[0, 1].item(), 4)    # -nu (2 pi)^2
    -3.9478
    """

    kind: Literal["burgers"] = "burgers"
    viscosity: float = 0.1

    channels: ClassVar[dict[str, str]] = {"velocity": "velocity along the line"}
    forced: ClassVar[bool] = True
    scheme: ClassVar[str] = "ifrk54"

    def __post_init__(self) -> None:
        if not 0 <= self.viscosity < float("inf"):
            raise ValueError(
                f"expected a viscosity >= 0, got {self.viscosity}; change the sign, or give a "
                "finite number"
            )

    def linear(self, grid: Grid, device: torch.device | str = "cpu") -> Tensor:
        check_line(grid, "velocity")
        return (self.viscosity * grid.laplacian(device))[None]

    def nonlinear(self, grid: Grid, dtype: torch.dtype, device: torch.device | str) -> Nonlinear:
        check_line(grid, "velocity")
        return steepening(1.0, grid, dtype, device)

    def initial_state(self, z: Tensor | None, grid: Grid) -> Tensor:
        check_line(grid, "velocity")
        return torch.zeros(1, 1, *grid.shape, dtype=torch.float64) if z is None else z[:, None]


def steepening(
    coefficient: float, grid: Grid, dtype: torch.dtype, device: torch.device | str
) -> Nonlinear:
    """The coefficients of f - coefficient (u^2 / 2)_x, dealiased, as an equation wants them.

    >>> grid = Grid((8,))
    >>> u_hat = grid.fft(torch.sin(grid.coordinates()[0]))[None]       # u u_x = sin(2 x) / 2
    >>> round(steepening(1.0, grid, torch.float64, "cpu")(u_hat, None)[0, 2].imag.item(), 12)
    0.25
    """
    (i_x,) = grid.gradient(device)
    slope = (-coefficient / 2 * i_x * grid.resolved(2 / 3, device)).to(dtype.to_complex())

    def rate(u_hat: Tensor, f_hat: Tensor | None) -> Tensor:
        n_hat = slope * grid.fft(grid.ifft(u_hat).square())
        return n_hat if f_hat is None else n_hat + f_hat

    return rate


def check_line(grid: Grid, what: str) -> None:
    """Raises ValueError unless the grid has one axis.

    >>> check_line(Grid((8,)), "velocity")
    """
    if grid.ndim != 1:
        raise ValueError(
            f"expected a grid of 1 axis for a {what} on a line, got {grid.ndim}; use (n,)"
        )
