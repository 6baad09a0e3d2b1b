"""What is no curve of a deterministic time step: plates, noise, Gaussian fields."""

from __future__ import annotations

import math

import torch

from pushforward.solvers import GaussianField, Grid
from pushforward.solvers.burgers import Burgers
from pushforward.solvers.darcy import Darcy
from pushforward.solvers.integrators import integrate
from pushforward.solvers.wiener import Wiener

Points = tuple[tuple[float, float], ...]


def plate() -> Points:
    """Darcy's pressure of a uniform plate against the double sine series: (width, error)."""
    found = []
    for n in (16, 32, 64, 128):
        grid = Grid((n, n), (1.0, 1.0), "neumann")
        darcy = Darcy()
        p = darcy.solve(darcy.initial_state(None, grid).double(), grid)[0, 1]
        odd = torch.arange(1, 400, 2, dtype=torch.float64)
        sines = torch.sin(math.pi * odd[:, None] * grid.coordinates()[0])
        weights = 16 / math.pi**4 / (odd[:, None] * odd * (odd[:, None] ** 2 + odd**2))
        exact = torch.einsum("ij,iy,jx->yx", weights, sines, sines)
        found.append((1 / n, float((p - exact).norm() / exact.norm())))
    return tuple(found)


def path() -> Points:
    """Stochastic Burgers on one Brownian path: (step, rms error against a much shorter step)."""
    grid = Grid((64,), (1.0,))
    law = GaussianField.matern(3.0, 0.2, deviation=1.0)
    start, noise = law.sample(range(16), grid)[:, None], Wiener(law, seed=1)

    def at(step: float) -> torch.Tensor:
        return integrate(
            Burgers(viscosity=0.5), grid, start, times=(1.0,), step=step, noise=noise
        )[:, -1, 0]

    exact = at(2.0**-11)
    steps = [2.0**-k for k in range(3, 8)]
    return tuple((step, float((at(step) - exact).norm() / exact.norm())) for step in steps)


def variance(members: int = 400) -> float:
    """How far the mean over waves of |u_k|^2 / E|u_k|^2 is from 1, for FNO's law."""
    grid = Grid((64, 64), (1.0, 1.0))
    law = GaussianField.matern(2.5, 1 / 7, amplitude=7**1.5, mean=False)
    u = grid.fft(law.sample(range(members), grid))
    symbol = law.symbol(grid)
    share = u.abs().square().mean(0)[symbol > 0] / symbol[symbol > 0]
    return float(share.mean()) - 1


def slope(points: Points) -> float:
    """The order that the last two points show."""
    (s, e), (r, f) = points[-2:]
    return math.log(e / f) / math.log(s / r)
