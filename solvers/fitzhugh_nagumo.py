r"""FitzHugh-Nagumo's activator u and inhibitor v, between walls or periodic.

    u_t = D_u Lap u + u - u^3 - k - v
    v_t = D_v Lap v + u - v

in the form and with the numbers of PDEBench: D_u = 1e-3, D_v = 5e-3, k = 5e-3 on (-1, 1)^2 without
flux through the walls. Diffusion is the symbol; all else is the nonlinear part, whose cube is cut
by the 2/3 rule.

PDEBench solves a system of ordinary differential equations for its cells, of which this is the
limit: there the Laplacian is the five-point difference, and the cube is taken cell by cell with
nothing cut. Cosines (and waves) are eigenvectors of that difference, too, with

    -sum_i (4 / h_i^2) sin^2(k_i h_i / 2)      in place of      -|k|^2,

so `FitzHughNagumoCells` is that system exactly. PDEBench's initial state, a normal number for
every cell, is `RandomCells(cells=..., noise="normal")`.

    Takamoto et al., PDEBench (2022), arXiv:2210.07182
    Klaasen, Troy, SIAM J. Appl. Math. 44 (1984), doi:10.1137/0144008
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from pushforward.solvers.equation import Equation, Nonlinear
from pushforward.solvers.grid import Grid

CHANNELS = {"u": "activator", "v": "inhibitor"}


@dataclass(frozen=True)
class FitzHughNagumo(Equation):
    """Activator and inhibitor, each started from a drawn field of its own.

    At rest both are 0. The field may lie on one to three axes.

    Raises ValueError for negative diffusivities.

    >>> FitzHughNagumo().linear(Grid((4, 4), (2.0, 2.0), "neumann")).shape
    torch.Size([2, 4, 4])
    """

    kind: Literal["fitzhugh_nagumo"] = "fitzhugh_nagumo"
    diffusivity_u: float = 1e-3
    diffusivity_v: float = 5e-3
    threshold: float = 5e-3

    channels: ClassVar[dict[str, str]] = CHANNELS
    scheme: ClassVar[str] = "ifrk54"
    boundary: ClassVar[tuple[str, ...]] = ("neumann", "periodic")
    draws: ClassVar[int] = 2

    def __post_init__(self) -> None:
        _check(self.diffusivity_u, self.diffusivity_v, self.threshold)

    def linear(self, grid: Grid, device: torch.device | str = "cpu") -> Tensor:
        laplacian = grid.laplacian(device)
        return torch.stack([self.diffusivity_u * laplacian, self.diffusivity_v * laplacian])

    def nonlinear(self, grid: Grid, dtype: torch.dtype, device: torch.device | str) -> Nonlinear:
        return _reaction(grid, self.threshold, grid.resolved(2 / 3, device).to(dtype))

    def initial_state(self, z: Tensor | None, grid: Grid) -> Tensor:
        return _initial_state(z, grid)


@dataclass(frozen=True)
class FitzHughNagumoCells(Equation):
    """PDEBench's cells: the five-point difference, and a reaction in every cell by itself.

    The grid is part of the equation, then: a finer one has another solution, O(h^2) away.

    Raises ValueError for negative diffusivities.

    >>> grid = Grid((4, 4), (2.0, 2.0), "neumann")
    >>> FitzHughNagumoCells().linear(grid)[0, 0, 1] > FitzHughNagumo().linear(grid)[0, 0, 1]
    tensor(True)
    """

    kind: Literal["fitzhugh_nagumo_cells"] = "fitzhugh_nagumo_cells"
    diffusivity_u: float = 1e-3
    diffusivity_v: float = 5e-3
    threshold: float = 5e-3

    channels: ClassVar[dict[str, str]] = CHANNELS
    scheme: ClassVar[str] = "ifrk54"
    boundary: ClassVar[tuple[str, ...]] = ("neumann", "periodic")
    draws: ClassVar[int] = 2
    dealias: ClassVar[float] = math.inf

    def __post_init__(self) -> None:
        _check(self.diffusivity_u, self.diffusivity_v, self.threshold)

    def linear(self, grid: Grid, device: torch.device | str = "cpu") -> Tensor:
        laplacian = -sum(
            (
                (2 / h * torch.sin(k * h / 2)) ** 2
                for k, h in zip(grid.wavenumbers(device), grid.spacing, strict=True)
            ),
            torch.zeros((), dtype=torch.float64, device=device),
        )
        return torch.stack([self.diffusivity_u * laplacian, self.diffusivity_v * laplacian])

    def nonlinear(self, grid: Grid, dtype: torch.dtype, device: torch.device | str) -> Nonlinear:
        return _reaction(grid, self.threshold, None)

    def initial_state(self, z: Tensor | None, grid: Grid) -> Tensor:
        return _initial_state(z, grid)


def _reaction(grid: Grid, threshold: float, keep: Tensor | None) -> Nonlinear:
    channel, mean = -1 - grid.ndim, (..., *[0] * (1 + grid.ndim))

    def reaction(state_hat: Tensor, f_hat: Tensor | None) -> Tensor:
        u_hat, v_hat = state_hat.unbind(channel)
        u = grid.ifft(u_hat)
        cube_hat = grid.fft(u * u * u)
        difference = u_hat - v_hat
        activation = difference - (cube_hat if keep is None else cube_hat * keep)
        n_hat = torch.stack([activation, difference], dim=channel)
        n_hat[mean] -= threshold
        return n_hat

    return reaction


def _initial_state(z: Tensor | None, grid: Grid) -> Tensor:
    return torch.zeros(1, 2, *grid.shape, dtype=torch.float64) if z is None else z


def _check(diffusivity_u: float, diffusivity_v: float, threshold: float) -> None:
    if not (0 <= diffusivity_u < math.inf and 0 <= diffusivity_v < math.inf):
        raise ValueError(
            f"expected diffusivities >= 0, got {diffusivity_u} and {diffusivity_v}; "
            "change their signs"
        )
    if not math.isfinite(threshold):
        raise ValueError(f"expected a finite threshold, got {threshold}; choose a number")
