"""Burgers' equation against Cole and Hopf's closed form, a convolution sum, and its budgets."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from pushforward.solvers import GaussianField, Grid, integrate
from pushforward.solvers.burgers import Burgers

LINE = (1.0,)


def waves(x: torch.Tensor, derivative: int = 0) -> torch.Tensor:
    """A velocity of three waves and a mean, or its integral from 0 (derivative -1)."""
    parts = [(0.7, 1, 0.3), (0.4, 2, 1.1), (0.25, 3, 2.0)]
    u = 0.3 * x if derivative else torch.full_like(x, 0.3)
    for a, k, p in parts:
        phase = 2 * math.pi * k * x + p
        whole = (math.cos(p) - torch.cos(phase)) / (2 * math.pi * k)
        u = u + a * (whole if derivative else torch.sin(phase))
    return u


def cole_hopf(x: torch.Tensor, time: float, viscosity: float) -> torch.Tensor:
    """u(x, t) = <(x - y) / t> under exp(-(U(y) + (x - y)^2 / (2 t)) / (2 nu)), U' = u_0.

    The integrand is analytic and falls like a Gaussian: the trapezoid rule is spectrally exact,
    and all its terms are positive.
    """
    reach = 10 * math.sqrt(2 * viscosity * time) + 3 * time
    y = torch.linspace(float(x[0]) - reach, float(x[-1]) + reach, 8001, dtype=torch.float64)
    d = x[:, None] - y
    weights = torch.softmax(-(waves(y, -1) + d**2 / (2 * time)) / (2 * viscosity), dim=1)
    return (weights * d).sum(1) / time


@pytest.mark.parametrize(("viscosity", "points"), [(0.1, 64), (0.01, 512)])
def test_cole_and_hopf(viscosity: float, points: int) -> None:
    grid, times = Grid((points,), LINE), (0.1, 0.4, 1.0)
    (x,) = grid.coordinates()
    end = integrate(
        Burgers(viscosity=viscosity), grid, waves(x)[None, None], times=times, tolerance=1e-11
    )[0, :, 0]
    some = x[:: points // 64]
    for frame, time in zip(end, times, strict=True):
        exact = cole_hopf(some, time, viscosity)
        torch.testing.assert_close(frame[:: points // 64], exact, rtol=0, atol=2e-9)
        # negative control: the viscosity of a neighbour is told apart
        assert (cole_hopf(some, time, 1.02 * viscosity) - exact).abs().max() > 1e-5


@pytest.mark.filterwarnings("ignore::pushforward.solvers.tail.ResolutionWarning")
def test_error_falls_spectrally_with_the_points() -> None:
    errors = []
    for points in (24, 32, 48, 64):
        grid = Grid((points,), LINE)
        (x,) = grid.coordinates()
        start = waves(x)[None, None]
        end = integrate(Burgers(viscosity=0.03), grid, start, times=(0.3,), tolerance=1e-12)[
            0, 0, 0
        ]
        errors.append(float((end - cole_hopf(x, 0.3, 0.03)).abs().max()))
    assert errors[0] > 1e-5
    assert errors[-1] < 1e-8
    orders = np.diff(np.log(errors)) / -np.diff(np.log([24, 32, 48, 64]))
    assert (np.diff(orders) > 0).all()  # no fixed order: each refinement gains more
    assert orders[-1] > 8


@pytest.mark.parametrize(("scheme", "order"), [("etdrk2", 2), ("etdrk4", 4)])
def test_error_falls_with_the_order_of_the_scheme(scheme: Any, order: int) -> None:
    grid = Grid((96,), LINE)
    (x,) = grid.coordinates()
    exact, errors = cole_hopf(x, 0.4, 0.05), []
    counts = [20, 40, 80, 160]
    for count in counts:
        end = integrate(
            Burgers(viscosity=0.05),
            grid,
            waves(x)[None, None],
            times=(0.4,),
            step=0.4 / count,
            scheme=scheme,
        )[0, 0, 0]
        errors.append(float((end - exact).abs().max()))
    slope = -np.polyfit(np.log(counts), np.log(errors), 1)[0]
    assert order - 0.3 < slope < order + 0.5, errors


def test_steepening_is_the_convolution_sum() -> None:
    """-(i k / 2) sum over p + q = k of u_p u_q, every term written out."""
    grid, band = Grid((24,), (3.0,)), 7
    u = GaussianField.matern(1.0, 0.5, cutoff=7).sample([0], grid)
    u_hat = torch.fft.fft(u[0], norm="forward").numpy()
    found = Burgers().nonlinear(grid, torch.float64, "cpu")(grid.fft(u)[:, None], None)[0, 0]
    for k in range(band + 1):
        pairs = sum(u_hat[p] * u_hat[k - p] for p in range(k - band, band + 1))
        expected = -0.5j * (2 * math.pi / 3.0 * k) * pairs
        assert found[k].item() == pytest.approx(expected, abs=1e-13)
    assert found[band + 1 :].abs().max() == 0


def test_flux_moves_energy_but_makes_none() -> None:
    grid = Grid((64,), LINE)
    u = GaussianField.matern(1.5, 0.2, deviation=1.0).sample(range(4), grid)
    u_hat = (grid.fft(u) * grid.resolved(2 / 3))[:, None]
    n_hat = Burgers().nonlinear(grid, torch.float64, "cpu")(u_hat, None)
    work = (u_hat.conj() * n_hat).real * grid.multiplicity()
    scale = (u_hat.abs() * n_hat.abs()).sum((-2, -1))
    assert (work.sum((-2, -1)) / scale).abs().max() < 1e-14
    # negative control: a square that was not dealiased leaks
    (i_x,) = grid.gradient()
    v_hat = grid.fft(u)[:, None]
    leaky = -0.5 * i_x * grid.fft(grid.ifft(v_hat) ** 2)
    work = (v_hat.conj() * leaky).real * grid.multiplicity()
    scale = (v_hat.abs() * leaky.abs()).sum((-2, -1))
    assert (work.sum((-2, -1)) / scale).abs().max() > 1e-4


def test_energy_budget_closes_and_the_mean_grows_with_the_force() -> None:
    """d<u^2>/2 dt = -nu <u_x^2> + <u f>,  d<u>/dt = <f>."""
    grid, nu, steps = Grid((128,), LINE), 0.02, 256
    field = GaussianField.squared_exponential(0.2, deviation=0.8, cutoff=6)
    u, f = field.sample([0], grid)[:, None], field.sample([1], grid)
    times = tuple(np.linspace(0, 1, steps + 1))
    frames = integrate(Burgers(viscosity=nu), grid, u, times=times, step=1 / steps, forcing=f)[
        0, :, 0
    ]
    means = frames.mean(-1)
    expected = means[0] + torch.tensor(times) * f.mean()
    torch.testing.assert_close(means, expected, rtol=0, atol=1e-13)
    assert abs(float(f.mean())) > 0.05
    (i_x,) = grid.gradient()
    gradients = grid.ifft(i_x * grid.fft(frames)).square().mean(-1)
    power = (frames * f).mean(-1)
    weights = torch.tensor([1.0, *[4.0, 2.0] * (steps // 2 - 1), 4.0, 1.0]).double() / steps / 3
    change = float(frames[-1].square().mean() - frames[0].square().mean()) / 2
    assert float((weights * (power - nu * gradients)).sum()) == pytest.approx(change, abs=1e-8)
    assert float((weights * nu * gradients).sum()) > 0.05


def test_a_mean_carries_the_solution_along() -> None:
    """Galilei: with u_0 + c the solution is u(x - c t, t) + c; here c t is a whole box."""
    grid = Grid((96,), LINE)
    u = GaussianField.squared_exponential(0.2, cutoff=5, mean=False).sample([3], grid)[:, None]
    start = torch.cat([u, u + 2.0])
    end = integrate(Burgers(viscosity=0.05), grid, start, times=(0.5,), tolerance=1e-11)[:, 0]
    torch.testing.assert_close(end[1] - 2.0, end[0], rtol=0, atol=1e-9)


def test_published_initial_states_have_their_variance() -> None:
    """N(0, 625 (-Lap + 25)^-2) on [0, 1), no mean: 2 sum over k of 625 ((2 pi k)^2 + 25)^-2."""
    field = GaussianField.matern(2.0, 0.2, amplitude=25.0, mean=False)
    k = np.arange(1, 100_000)
    variance = 2 * (625 * ((2 * math.pi * k) ** 2 + 25.0) ** -2).sum()
    assert field.trace(Grid((1024,), LINE)) == pytest.approx(variance, rel=1e-6)
    assert math.sqrt(variance) == pytest.approx(0.5936, abs=1e-4)


@pytest.mark.parametrize("viscosity", [-0.1, math.nan, math.inf])
def test_viscosities_that_are_none_are_refused(viscosity: float) -> None:
    with pytest.raises(ValueError, match=r"^expected a viscosity >= 0, got .*; change the sign"):
        Burgers(viscosity=viscosity)


def test_only_lines_are_accepted() -> None:
    plane = Grid((8, 8))
    for call in (
        lambda: Burgers().linear(plane),
        lambda: Burgers().nonlinear(plane, torch.float64, "cpu"),
        lambda: Burgers().initial_state(None, plane),
    ):
        with pytest.raises(ValueError, match=r"^expected a grid of 1 axis .*, got 2; use \(n,\)$"):
            call()
