"""Energy and enstrophy budgets of computed flows close; a missing term shows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from pushforward.solvers import GaussianField, Grid, NavierStokes, diagnostics, integrate, velocity
from pushforward.solvers.budgets import energy_budget, enstrophy_budget, quadrature


@pytest.mark.parametrize("drift", [(0.0, 0.0), (0.5, -1.0)])
def test_budgets_of_a_forced_flow_close(drift: tuple[float, float]) -> None:
    grid = Grid((24, 24), (2.0, 3.0))
    equation = NavierStokes(
        viscosity=0.02, drag=0.3, drift=drift, waves=((2, 1, 0.5, -0.7), (0, 1, 1.0, 0.0))
    )
    field = GaussianField.matern(3.0, 0.5, deviation=2.0, cutoff=7, mean=False)
    w, f = field.sample([0], grid)[:, None], field.sample([1], grid)
    times = tuple(np.linspace(0, 1, 97))
    frames = integrate(equation, grid, w, times=times, tolerance=1e-11, forcing=f)[0, :, 0]
    for budget in (
        energy_budget(frames, equation, grid, f),
        enstrophy_budget(frames, equation, grid, f),
    ):
        change = float(budget.amount[-1] - budget.amount[0])
        assert abs(change) > 0.05 * float(budget.amount[0])
        assert abs(float(budget.missing(times))) < 1e-8 * float(budget.amount[0])
        for term in ("injection", "viscosity", "drag"):  # negative control
            without = replace(budget, **{term: torch.zeros_like(budget.rate)})
            assert abs(float(without.missing(times))) > 1e-3 * float(budget.amount[0])


def test_amounts_are_the_means_of_fields() -> None:
    grid = Grid((24, 32), (2.0, 3.0))
    equation = NavierStokes(viscosity=0.1, drag=0.2)
    w, f = GaussianField.matern(3.0, 0.5, mean=False).sample(range(2), grid).unbind()
    energy, enstrophy = (
        budget(w, equation, grid, f) for budget in (energy_budget, enstrophy_budget)
    )
    speed, slopes = velocity(w, grid), diagnostics.gradients(w, grid)
    force = velocity(f, grid)  # of curl f and no divergence
    pairs = [
        (energy.amount, speed.square().sum(-3).mean() / 2),
        (energy.injection, (speed * force).sum(-3).mean()),
        (energy.viscosity, 0.1 * w.square().mean()),
        (energy.drag, 0.2 * speed.square().sum(-3).mean()),
        (enstrophy.amount, w.square().mean() / 2),
        (enstrophy.injection, (w * f).mean()),
        (enstrophy.viscosity, 0.1 * slopes.square().sum(-3).mean()),
        (enstrophy.drag, 0.2 * w.square().mean()),
    ]
    for value, expected in pairs:
        torch.testing.assert_close(value, expected, rtol=1e-10, atol=1e-12)


def test_an_ideal_flow_keeps_both() -> None:
    grid = Grid((24, 24))
    w = GaussianField.matern(3.0, 0.5, deviation=3.0, mean=False).sample([0], grid)[:, None]
    ideal = NavierStokes(viscosity=0.0)
    frames = integrate(ideal, grid, w, times=(0.0, 1.0), tolerance=1e-11)[0, :, 0]
    for budget in (energy_budget, enstrophy_budget):
        amount = budget(frames, ideal, grid).amount
        assert float(amount[1] / amount[0]) == pytest.approx(1, abs=1e-9)
    assert (frames[1] - frames[0]).abs().max() > 1


@pytest.mark.parametrize("points", [2, 4, 8])
def test_quadrature_is_of_the_order_of_its_points(points: int) -> None:
    def curve(t: np.ndarray) -> np.ndarray:
        return np.exp(np.sin(5 * t))

    exact = quad(curve, 0, 1, epsabs=1e-13, epsrel=1e-13)[0]
    errors = []
    for n in (24, 48):
        t = np.linspace(0, 1, n + 1) ** 1.1  # uneven
        errors.append(
            abs(float((quadrature(t.tolist(), points).numpy() * curve(t)).sum()) - exact)
        )
    assert np.log2(errors[0] / errors[1]) > points - 0.7
    t = np.linspace(0, 1, points) ** 1.5
    for power in range(points):
        integral = float((quadrature(t.tolist(), points).numpy() * t**power).sum())
        assert integral == pytest.approx(1 / (power + 1), rel=1e-11)
