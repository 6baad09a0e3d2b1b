"""Where the energy and the enstrophy of a forced flow come from and go to, over time."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pushforward.solvers import GaussianField, Grid, NavierStokes
from pushforward.solvers.budgets import Budget, energy_budget, enstrophy_budget
from pushforward.solvers.integrators import evolve
from pushforward.solvers.normals import Use

UNTIL, EVERY, TOLERANCE = 20.0, 0.025, 1e-11


@dataclass(frozen=True)
class Closure:
    """A quantity's budget over `times`, and what is missing at the end, relative to its size."""

    name: str
    times: torch.Tensor
    budget: Budget
    missing: float


def closures() -> list[Closure]:
    """Energy and enstrophy of FNO's flow, nu = 1e-3, 64^2, float64."""
    grid = Grid((64, 64), (1.0, 1.0))
    flow = NavierStokes(viscosity=1e-3, waves=((1, 1, 0.1, 0.1),))
    law = GaussianField.matern(2.5, 1 / 7, amplitude=7**1.5, mean=False, cutoff=20)
    start = law.sample([0], grid, 0, Use.INITIAL)[:, None]
    times = [EVERY * i for i in range(round(UNTIL / EVERY) + 1)]
    vorticity = evolve(flow, grid, start, times=times, tolerance=TOLERANCE).fields[0, :, 0]
    found = []
    for name, make in (("energy", energy_budget), ("enstrophy", enstrophy_budget)):
        budget = make(vorticity, flow, grid)
        missing = float(budget.missing(times).abs() / budget.amount.max())
        found.append(Closure(name, torch.tensor(times), budget, missing))
    return found
