"""FitzHugh-Nagumo against ordinary differential equations: one for a uniform state, PDEBench's."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from pushforward.solvers import GaussianField, Grid, integrate
from pushforward.solvers.fitzhugh_nagumo import FitzHughNagumo, FitzHughNagumoCells
from pushforward.solvers.random_cells import RandomCells

GRIDS = [Grid((8,)), Grid((6, 10), (2.0, 2.0), "neumann"), Grid((4, 6, 8), boundary="neumann")]


@pytest.mark.parametrize("grid", GRIDS, ids=str)
@pytest.mark.parametrize("equation", [FitzHughNagumo(), FitzHughNagumoCells(threshold=0.1)])
def test_homogeneous_states_follow_the_reaction(
    grid: Grid, equation: FitzHughNagumo | FitzHughNagumoCells
) -> None:
    start, times = (0.8, -0.3), (2.0, 10.0)

    def rate(_: float, y: np.ndarray) -> list[float]:
        u, v = y
        return [u - u**3 - equation.threshold - v, u - v]

    exact = solve_ivp(
        rate, (0, 10), start, t_eval=times, rtol=1e-12, atol=1e-13, method="DOP853"
    ).y
    values = torch.tensor(start, dtype=torch.float64).view(1, 2, *[1] * grid.ndim)
    end = integrate(equation, grid, values.expand(1, 2, *grid.shape), times=times, tolerance=1e-11)
    flat = end[0].flatten(2)
    assert float((flat - flat[..., :1]).abs().max()) < 1e-12
    np.testing.assert_allclose(flat[..., 0], exact.T, rtol=0, atol=1e-9)
    assert abs(exact[:, 0] - np.array(start)).max() > 0.3


def stencil(u: np.ndarray, h: float) -> np.ndarray:
    """The five-point difference between walls: the cells beyond are the cells before."""
    p = np.pad(u, 1, mode="edge")
    return (p[2:, 1:-1] + p[:-2, 1:-1] + p[1:-1, 2:] + p[1:-1, :-2] - 4 * u) / h**2


def cells_rate(n: int, h: float) -> Any:
    def rate(_: float, flat: np.ndarray) -> np.ndarray:
        u, v = flat.reshape(2, n, n)
        u_t = 1e-3 * stencil(u, h) + u - u**3 - 5e-3 - v
        return np.concatenate([u_t.ravel(), (5e-3 * stencil(v, h) + u - v).ravel()])

    return rate


def test_cells_are_the_published_system() -> None:
    """PDEBench's right-hand side and noise, on fewer cells, by scipy's DOP853."""
    n, t = 12, 5.0
    grid = Grid((n, n), (2.0, 2.0), "neumann")
    law = RandomCells(cells=(n, n), noise="normal")
    start = torch.stack([law.sample([0], grid, step=i) for i in range(2)], dim=1)
    rate = cells_rate(n, 2.0 / n)
    exact = solve_ivp(
        rate, (0, t), start.numpy().ravel(), t_eval=(t,), method="DOP853", rtol=1e-11, atol=1e-12
    ).y[:, 0]
    equation = FitzHughNagumoCells()
    assert torch.equal(equation.initial_state(start, grid), start)
    end = integrate(equation, grid, start, times=(t,), tolerance=1e-11)[0, 0]
    np.testing.assert_allclose(end.ravel().numpy(), exact, rtol=0, atol=1e-8)
    smooth = integrate(FitzHughNagumo(), grid, start, times=(t,), tolerance=1e-8)[0, 0]
    assert abs(smooth.ravel().numpy() - exact).max() > 0.05  # the limit is another system


@pytest.mark.parametrize("boundary", ["periodic", "neumann"])
def test_cells_tend_to_the_field_as_the_square_of_their_size(
    boundary: Literal["periodic", "neumann"],
) -> None:
    fine = Grid((64, 64), (2.0, 2.0), boundary)
    field = GaussianField.matern(4.0, 0.3, deviation=0.7, cutoff=5)
    start = torch.stack([field.sample([i], fine) for i in range(2)], dim=1)
    exact = integrate(FitzHughNagumo(), fine, start, times=(3.0,), tolerance=1e-9)[:, 0]
    errors = []
    for n in (32, 64):
        grid = Grid((n, n), (2.0, 2.0), boundary)
        end = integrate(
            FitzHughNagumoCells(), grid, fine.resample(start, grid), times=(3.0,), tolerance=1e-9
        )[:, 0]
        errors.append(float((end - fine.resample(exact, grid)).square().mean().sqrt()))
    assert 1e-4 < errors[0] < 0.1
    assert math.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.15)


def test_a_field_agrees_with_another_integrator() -> None:
    """scipy's DOP853 in cosine coefficients, transforms written out as matrices."""
    n, t = 12, 3.0
    grid = Grid((n, n), (2.0, 2.0), "neumann")
    field = GaussianField.matern(3.0, 0.5, deviation=1.0, cutoff=7)
    start = torch.stack([field.sample([i], grid) for i in range(2)], dim=1)
    kept = 2 * n // 3
    waves = np.cos(np.pi * np.outer(np.arange(n) + 0.5, np.arange(kept)) / n)
    to_waves = np.linalg.pinv(waves)
    k2 = (np.pi * np.arange(kept) / 2.0) ** 2
    k2 = k2[:, None] + k2

    def rate(_: float, flat: np.ndarray) -> np.ndarray:
        a, b = flat.reshape(2, kept, kept)
        u = waves @ a @ waves.T
        a_t = -1e-3 * k2 * a + a - to_waves @ (u**3 + 5e-3) @ to_waves.T - b
        return np.concatenate([a_t.ravel(), (-5e-3 * k2 * b + a - b).ravel()])

    first = np.stack([to_waves @ z.numpy() @ to_waves.T for z in start[0]])
    last = (
        solve_ivp(
            rate, (0, t), first.ravel(), t_eval=(t,), method="DOP853", rtol=1e-11, atol=1e-12
        )
        .y[:, 0]
        .reshape(2, kept, kept)
    )
    end = integrate(FitzHughNagumo(), grid, start, times=(t,), tolerance=1e-11)[0, 0]
    for channel, a in zip(end, last, strict=True):
        np.testing.assert_allclose(channel.numpy(), waves @ a @ waves.T, rtol=0, atol=1e-9)
    assert (end - start[0]).abs().max() > 0.3


@pytest.mark.parametrize(("scheme", "order"), [("ifrk32", 3), ("ifrk54", 5), ("etdrk4", 4)])
def test_halved_steps_gain_the_order_of_the_scheme(
    scheme: Literal["ifrk32", "ifrk54", "etdrk4"], order: int
) -> None:
    grid, equation = Grid((24, 24), (2.0, 2.0), "neumann"), FitzHughNagumo()
    field = GaussianField.matern(4.0, 0.3, deviation=0.2, cutoff=7)
    start = torch.stack([field.sample([i], grid) for i in range(2)], dim=1)
    exact = integrate(equation, grid, start, times=(2.0,), tolerance=1e-13)
    errors = []
    for h in (2.0 / 20, 2.0 / 40):
        end = integrate(equation, grid, start, times=(2.0,), step=h, scheme=scheme)
        errors.append(float((end - exact).square().mean().sqrt()))
    assert errors[1] > 1e-12
    assert order - 0.5 < math.log2(errors[0] / errors[1]) < order + 0.9


def test_bad_numbers_are_refused() -> None:
    for family in (FitzHughNagumo, FitzHughNagumoCells):
        with pytest.raises(ValueError, match="diffusivities >= 0"):
            family(diffusivity_u=-1.0)
        with pytest.raises(ValueError, match="finite threshold"):
            family(threshold=math.nan)
