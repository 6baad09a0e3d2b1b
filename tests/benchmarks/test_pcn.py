"""Preconditioned Crank-Nicolson against Kriging, its diagnostics against known chains."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from benchmarks.seeds import pcn
from pushforward.solvers import Darcy, GaussianField, Grid
from pushforward.solvers.interpolation import evaluate

GRID = Grid((6, 6), (1.0, 1.0), "neumann")
PRIOR = GaussianField.matern(2.0, 0.4, deviation=1.0, mean=False)
POINTS = torch.tensor([[0.2, 0.3], [0.7, 0.4], [0.4, 0.8]], dtype=torch.float64)
SEEN, NOISE = torch.tensor([1.0, -0.5, 0.8], dtype=torch.float64), 0.5
LENGTH = pcn.Length(chains=32, burn_in=200, steps=800, every=2)


UNITS = torch.eye(GRID.size, dtype=torch.float64).view(-1, *GRID.shape)
AT = evaluate(UNITS, GRID, POINTS)  # (point of the grid, sensor)


def kriging() -> tuple[Tensor, Tensor]:
    """The mean and the variances of the posterior's white coefficients, in closed form."""
    rows = AT.T @ PRIOR.color(UNITS, GRID).flatten(1).T  # (sensor, wave)
    gain = rows.T @ torch.linalg.inv(rows @ rows.T + NOISE**2 * torch.eye(len(SEEN)))
    return gain @ SEEN, torch.diagonal(torch.eye(GRID.size) - gain @ rows)


def misfit(u: Tensor, noise: float = NOISE) -> Tensor:
    return (u.flatten(1) @ AT - SEEN).square().sum(1) / (2 * noise**2)


def drawn(noise: float = NOISE) -> tuple[Tensor, float]:
    """White coefficients (draw, chain, wave), and the share accepted."""
    chains = pcn.run(PRIOR, GRID, lambda u: misfit(u, noise), LENGTH)
    x = PRIOR.whiten(chains.draws, GRID)
    return x.flatten(2)[..., 1:], chains.accepted  # there is no constant


def worst(x: Tensor) -> float:
    """How many standard errors the chains' means or variances are off."""
    mean, variance = (known[1:] for known in kriging())
    off = (x.mean((0, 1)) - mean) / (variance / pcn.effective_size(x)).sqrt()
    spread = (x - mean).square()
    deviation = (2 * variance.square() / pcn.effective_size(spread)).sqrt()
    wide = (spread.mean((0, 1)) - variance) / deviation
    return float(torch.stack([off, wide]).abs().max())


def test_the_posterior_is_kriging():
    x, accepted = drawn()
    assert accepted == pytest.approx(pcn.AIM, abs=0.05)
    assert pcn.r_hat(x).max() < 1.05
    assert worst(x) < 4.5  # the largest of 70


def test_a_wrong_noise_is_refused():
    assert worst(drawn(noise=0.5 * NOISE)[0]) > 10


def test_a_step_that_does_not_keep_the_prior_is_refused(monkeypatch):
    monkeypatch.setattr(pcn, "proposed", lambda u, xi, b: u + b * xi)
    assert worst(drawn()[0]) > 10


def test_chains_are_addressed_by_their_numbers():
    few, more = (
        pcn.run(PRIOR, GRID, lambda u: 0 * misfit(u), pcn.Length(n, 0, 8)).draws for n in (2, 3)
    )
    assert few.equal(more[:, :2])  # without a misfit b does not depend on company


def test_the_effective_size_of_an_autoregression():
    generator, rho = torch.Generator().manual_seed(0), 0.8
    x = [torch.randn(32, 5, generator=generator)]
    for _ in range(3999):
        kick = torch.randn(32, 5, generator=generator)
        x.append(rho * x[-1] + math.sqrt(1 - rho**2) * kick)
    found = pcn.effective_size(torch.stack(x)) / (32 * 4000 * (1 - rho) / (1 + rho))
    assert (found - 1).abs().max() < 0.1


def test_r_hat_sees_chains_that_have_not_met():
    x = torch.randn(400, 8, 1, generator=torch.Generator().manual_seed(0))
    assert pcn.r_hat(x) < 1.01
    assert pcn.r_hat(x + torch.linspace(0, 1, 400)[:, None, None] * 4) > 1.2  # nor arrived
    assert pcn.r_hat(x + torch.arange(8.0)[:, None] / 4) > 1.1


def test_what_is_refused():
    with pytest.raises(ValueError, match="at least 2 chains.*got 1 chains.*ask for more"):
        pcn.Length(1, 10, 10)
    with pytest.raises(FloatingPointError, match="chain 1 at step 0 is no number; give"):
        pcn.run(
            PRIOR,
            GRID,
            lambda u: torch.tensor([0.0, math.nan], dtype=torch.float64),
            pcn.Length(2, 0, 4),
        )


def test_many_plates_are_solved_as_one_by_one():
    from benchmarks.seeds.plates import pressures

    grid, darcy = Grid((12, 8), (1.5, 1.0), "neumann"), Darcy(scale=1.3, source=2.0)
    z = GaussianField.matern(2.0, 0.3, deviation=1.0).sample(range(5), grid)
    known = darcy.solve(darcy.initial_state(z, grid), grid)[:, 1]
    torch.testing.assert_close(pressures(darcy, z, grid), known, rtol=1e-8, atol=1e-12)
