r"""Where a flow's energy and enstrophy come from and go to.

For w_t + u . grad w = nu Lap w - mu w + f with E = <|u|^2> / 2, Z = <w^2> / 2 and the palinstrophy
P = <|grad w|^2> / 2, and the forces u_f whose curl is f,

    dE/dt = <u . u_f> - 2 nu Z - 2 mu E,        dZ/dt = <w f> - 2 nu P - 2 mu Z.

Advection is in neither: it makes no energy and no enstrophy, also when it is cut by the 2/3 rule.
So the sums over a solution's waves obey both lines exactly, and what is missing at the end of a
computed one is the error of its steps (and of the quadrature over the times that were kept).

    Boffetta, Ecke, Annu. Rev. Fluid Mech. 44 (2012), doi:10.1146/annurev-fluid-120710-101240
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.solvers.grid import Grid
from pushforward.solvers.navier_stokes import NavierStokes


@dataclass(frozen=True)
class Budget:
    """An amount per unit area, and what is put in and drained per unit time, all of one shape.

    >>> once = torch.ones(3)
    >>> Budget(amount=once, injection=2 * once, viscosity=once, drag=0 * once).rate.tolist()
    [1.0, 1.0, 1.0]
    """

    amount: Float[Tensor, ...]
    injection: Float[Tensor, ...]
    viscosity: Float[Tensor, ...]
    drag: Float[Tensor, ...]

    @property
    def rate(self) -> Float[Tensor, ...]:
        """What the amount grows by per unit time: what is put in less what is drained."""
        return self.injection - self.viscosity - self.drag

    def missing(self, times: Sequence[float]) -> Float[Tensor, ...]:
        """The amount at the last time less what the first one and the rate between account for.

        The last axis of the budget is time; the rate is integrated over the times by
        `quadrature`, so they must be close enough to follow it.

        >>> t = torch.linspace(0, 1, 9).double()
        >>> grown = Budget(amount=t**4, injection=4 * t**3, viscosity=0 * t, drag=0 * t)
        >>> abs(grown.missing(t.tolist()).item()) < 1e-14
        True
        """
        weights = quadrature(times).to(self.rate)
        return self.amount[..., -1] - self.amount[..., 0] - (self.rate * weights).sum(-1)


def energy_budget(
    vorticity: Float[Tensor, "... y x"],
    equation: NavierStokes,
    grid: Grid,
    forcing: Float[Tensor, "... y x"] | None = None,
) -> Budget:
    """The budget of the kinetic energy <|u|^2> / 2 (without the drift's) of vorticities.

    `forcing` is what was drawn beside the equation's own `waves`; it broadcasts.

    >>> grid = Grid((8, 8))
    >>> w = torch.cos(grid.coordinates()[0])[:, None].expand(8, 8).double()
    >>> budget = energy_budget(w, NavierStokes(viscosity=0.1), grid)      # 2 nu Z = nu / 2
    >>> round(budget.amount.item(), 12), round(budget.viscosity.item(), 12)
    (0.25, 0.05)
    """
    k2 = -grid.laplacian(vorticity.device)
    return _budget(vorticity, equation, grid, forcing, torch.where(k2 > 0, 1 / k2, 0.0))


def enstrophy_budget(
    vorticity: Float[Tensor, "... y x"],
    equation: NavierStokes,
    grid: Grid,
    forcing: Float[Tensor, "... y x"] | None = None,
) -> Budget:
    """The budget of the enstrophy <w^2> / 2 of vorticities, as `energy_budget`.

    >>> grid = Grid((8, 8))
    >>> w = torch.cos(2 * grid.coordinates()[0])[:, None].expand(8, 8).double()
    >>> budget = enstrophy_budget(w, NavierStokes(viscosity=0.1), grid)   # 2 nu P = 2 nu k^2 Z
    >>> round(budget.amount.item(), 12), round(budget.viscosity.item(), 12)
    (0.25, 0.2)
    """
    k2 = -grid.laplacian(vorticity.device)
    return _budget(vorticity, equation, grid, forcing, torch.where(k2 > 0, 1.0, 0.0))


def quadrature(times: Sequence[float], points: int = 8) -> Float[Tensor, " time"]:
    """Weights whose sum with a function's values is its integral from the first to the last time.

    Each interval integrates the polynomial through the `points` times nearest to it (all of them
    where there are fewer), so the error is O(interval^points).

    >>> t = torch.tensor([0.0, 0.5, 2.0, 3.0]).double()
    >>> round((quadrature(t.tolist()) * t**3).sum().item(), 10)     # 3^4 / 4
    20.25
    """
    t = torch.tensor(list(times), dtype=torch.float64)
    points = min(points, len(t))
    power = torch.arange(points, dtype=torch.float64)
    weights = torch.zeros_like(t)
    for i in range(len(t) - 1):
        first = min(max(i + 1 - points // 2, 0), len(t) - points)
        near = slice(first, first + points)
        scale = t[near][-1] - t[near][0]
        s, a, b = ((x - t[i]) / scale for x in (t[near], t[i], t[i + 1]))
        moments = (b ** (power + 1) - a ** (power + 1)) / (power + 1)
        weights[near] += scale * torch.linalg.solve(s ** power[:, None], moments)
    return weights


def _budget(
    vorticity: Tensor, equation: NavierStokes, grid: Grid, forcing: Tensor | None, weight: Tensor
) -> Budget:
    device = vorticity.device
    weight = weight * grid.multiplicity(device)
    w_hat = grid.fft(vorticity)
    density = (w_hat.abs().square() * weight).double()
    amount = density.sum(grid.axes) / 2
    f_hat = torch.zeros_like(w_hat)
    for f in (None if forcing is None else grid.fft(forcing), equation.steady(grid, device)):
        f_hat = f_hat if f is None else f_hat + f
    return Budget(
        amount=amount,
        injection=((w_hat.conj() * f_hat).real * weight).sum(grid.axes),
        viscosity=-equation.viscosity * (density * grid.laplacian(device)).sum(grid.axes),
        drag=2 * equation.drag * amount,
    )
