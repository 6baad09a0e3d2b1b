"""Korteweg and de Vries' equation: solitons in closed form, collisions, invariants, refusals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from pushforward.solvers import GaussianField, Grid, integrate
from pushforward.solvers.kdv import KortewegDeVries

BOX = Grid((256,), (40.0,))  # tails of the solitons below are under 1e-12 half a box away


def soliton(x: torch.Tensor, speed: float, a: float = 6.0, b: float = 1.0) -> torch.Tensor:
    return 3 * speed / a / torch.cosh(math.sqrt(speed / b) * x / 2) ** 2


def hirota(x: torch.Tensor, time: float, k: tuple[float, float], shift: float) -> torch.Tensor:
    """Two solitons of u_t + 6 u u_x + u_xxx = 0: u = 2 (log F)_xx, `shift` apart at time 0."""
    meeting = ((k[0] - k[1]) / (k[0] + k[1])) ** 2
    phases = [k[0] * (x + shift) - k[0] ** 3 * time, k[1] * (x - shift) - k[1] ** 3 * time]
    terms = [(0.0, 0 * x), (k[0], phases[0]), (k[1], phases[1])]
    terms.append((k[0] + k[1], phases[0] + phases[1] + math.log(meeting)))
    weights = torch.softmax(torch.stack([phase for _, phase in terms]), 0)
    slopes = torch.tensor([slope for slope, _ in terms], dtype=torch.float64)[:, None]
    mean = (weights * slopes).sum(0)  # F_x / F; its derivative is the variance of the slopes
    return 2 * (weights * (slopes - mean) ** 2).sum(0)


@pytest.mark.parametrize(("a", "b", "speed"), [(6.0, 1.0, 4.0), (1.0, 0.5, 1.5), (-2.0, 2.0, 3.0)])
def test_a_soliton_travels_unchanged(a: float, b: float, speed: float) -> None:
    (x,) = BOX.coordinates()
    equation = KortewegDeVries(nonlinearity=a, dispersion=b)
    start, time = soliton(x - 15, speed, a, b), 2.0
    end = integrate(equation, BOX, start[None, None], times=(time,), step=1e-3)[0, 0, 0]
    exact = soliton(x - 15 - speed * time, speed, a, b)
    torch.testing.assert_close(end, exact, rtol=0, atol=1e-7 * float(start.abs().max()))
    # negative control: the right shape at a speed that is a little off
    assert (end - soliton(x - 15 - 1.001 * speed * time, speed, a, b)).abs().max() > 1e-4


def test_two_solitons_pass_through_each_other() -> None:
    k, shift, times = (2.2, 1.2), 3.0, (1.7, 3.5)
    grid = Grid((384,), (60.0,))
    x = grid.coordinates()[0] - 20
    start = hirota(x, 0.0, k, shift)
    frames = integrate(KortewegDeVries(), grid, start[None, None], times=times, step=1e-3)[0, :, 0]
    for frame, time in zip(frames, times, strict=True):
        exact = hirota(x, time, k, shift)
        torch.testing.assert_close(frame, exact, rtol=0, atol=1e-6)
    # they met, and stand apart from where either would be by itself
    alone = soliton(x + shift - k[0] ** 2 * times[1], k[0] ** 2)
    assert (frames[1] - alone).abs()[alone > 0.5 * alone.max()].max() > 0.1
    assert frames[0].max() < 0.85 * frames[1].max()


@pytest.mark.parametrize(("scheme", "order"), [("etdrk2", 2), ("etdrk4", 4)])
def test_error_falls_with_the_order_of_the_scheme(scheme: Any, order: int) -> None:
    (x,) = BOX.coordinates()
    time, errors, counts = 0.5, [], [25, 50, 100, 200]
    for count in counts:
        end = integrate(
            KortewegDeVries(),
            BOX,
            soliton(x - 15, 2.0)[None, None],
            times=(time,),
            step=time / count,
            scheme=scheme,
        )[0, 0, 0]
        errors.append(float((end - soliton(x - 15 - 2 * time, 2.0)).abs().max()))
    slope = -np.polyfit(np.log(counts), np.log(errors), 1)[0]
    assert order - 0.3 < slope < order + 0.5, errors


def invariants(u: torch.Tensor, grid: Grid, a: float, b: float) -> torch.Tensor:
    """Mass, momentum and energy, with the exact cube of a truncated series."""
    (i_x,) = grid.gradient()
    slope = grid.ifft(i_x * grid.fft(u))
    energy = a * u**3 / 3 - b * slope**2
    return torch.stack([u.mean(-1), u.square().mean(-1), energy.mean(-1)], -1)


@pytest.mark.filterwarnings("ignore::pushforward.solvers.tail.ResolutionWarning")
@pytest.mark.parametrize(("scheme", "order"), [("etdrk2", 2), ("etdrk4", 4)])
def test_invariants_drift_with_the_order_of_the_scheme_only(scheme: Any, order: int) -> None:
    """On a grid far too coarse for the waves the truncated series still keeps all three."""
    grid, a, b = Grid((48,), (2.0,)), 1.0, 0.0025
    field = GaussianField.squared_exponential(0.25, deviation=0.7, cutoff=4)
    start, drifts = field.sample([1], grid)[:, None], []
    for count in (100, 200, 400):
        frames = integrate(
            KortewegDeVries(nonlinearity=a, dispersion=b),
            grid,
            start,
            times=(0.0, 1.0),
            step=1 / count,
            scheme=scheme,
        )[0, :, 0]
        before, after = invariants(frames, grid, a, b)
        drifts.append((after - before).abs().numpy())
    drift = np.array(drifts)
    assert drift[:, 0].max() < 1e-14  # mass has no step error at all
    assert (np.log2(drift[0, 1:] / drift[2, 1:]) / 2 > order - 0.3).all(), drift
    assert (drift[2, 1:] < (1e-6 if order == 4 else 1e-2)).all()
    assert (frames[1] - frames[0]).abs().max() > 0.5  # it moved


def test_viscosity_drains_momentum_as_the_budget_says() -> None:
    """d<u^2>/dt = -2 nu <u_x^2> + 2 <u f>: dispersion and steepening do no work."""
    grid, nu, steps = Grid((96,), (2.0,)), 1e-3, 512
    field = GaussianField.squared_exponential(0.3, deviation=0.5, cutoff=4)
    u, f = field.sample([0], grid)[:, None], field.sample([1], grid)
    equation = KortewegDeVries(nonlinearity=1.0, dispersion=0.0025, viscosity=nu)
    times = tuple(np.linspace(0, 0.5, steps + 1))
    frames = integrate(equation, grid, u, times=times, step=1e-3, forcing=f)[0, :, 0]
    (i_x,) = grid.gradient()
    slopes = grid.ifft(i_x * grid.fft(frames)).square().mean(-1)
    rate = 2 * (frames * f).mean(-1) - 2 * nu * slopes
    weights = torch.tensor([1.0, *[4.0, 2.0] * (steps // 2 - 1), 4.0, 1.0]).double() / 3
    change = float(frames[-1].square().mean() - frames[0].square().mean())
    assert float((weights * rate).sum()) * 0.5 / steps == pytest.approx(change, abs=1e-8)
    assert float((weights * nu * slopes).sum()) / steps > 1e-3


@pytest.mark.parametrize("viscosity", [0.0, 0.01])
def test_small_waves_run_and_decay_at_their_own_rates(viscosity: float) -> None:
    """About a mean m: exp(i k (x - (a m - b k^2) t) - nu k^2 t)."""
    grid, a, b, m, e, t = Grid((32,), (2.0,)), 3.0, 0.02, 0.4, 1e-9, 0.7
    (x,) = grid.coordinates()
    equation = KortewegDeVries(nonlinearity=a, dispersion=b, viscosity=viscosity)
    for number in (1, 3, 5):
        k = math.pi * number
        start = m + e * torch.cos(k * x)
        end = integrate(equation, grid, start[None, None], times=(t,), step=1e-3)[0, 0, 0]
        decay = math.exp(-viscosity * k**2 * t)
        exact = m + e * decay * torch.cos(k * (x - (a * m - b * k**2) * t))
        torch.testing.assert_close(end, exact, rtol=0, atol=2e-12)


def test_the_published_trajectory() -> None:
    """(1, 0.0025) on [-1, 1) from cos(pi x): four values of the published set at t = 0.8."""
    grid = Grid((256,), (2.0,))
    x = grid.coordinates()[0] - 1
    equation = KortewegDeVries(nonlinearity=1.0, dispersion=0.0025)
    start = torch.cos(math.pi * x)[None, None]
    end = integrate(equation, grid, start, times=(0.8,), step=1e-3)[0, 0, 0]
    published = [
        -0.39635903664527194,
        0.40189357742424825,
        0.6179700248808954,
        0.05060432883180921,
    ]
    assert end[::64].tolist() == pytest.approx(published, abs=1e-6)


@pytest.mark.parametrize(
    "numbers",
    [{"viscosity": -1e-3}, {"nonlinearity": math.nan}, {"dispersion": math.inf}],
    ids=str,
)
def test_numbers_that_are_none_are_refused(numbers: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^expected finite numbers .*; change the viscosity's"):
        KortewegDeVries(**numbers)


def test_only_lines_are_accepted() -> None:
    plane = Grid((8, 8))
    for call in (
        lambda: KortewegDeVries().linear(plane),
        lambda: KortewegDeVries().nonlinear(plane, torch.float64, "cpu"),
        lambda: KortewegDeVries().initial_state(None, plane),
    ):
        with pytest.raises(ValueError, match=r"^expected a grid of 1 axis .*, got 2; use \(n,\)$"):
            call()
