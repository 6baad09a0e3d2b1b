"""Preconditioned Crank-Nicolson against Kriging, its diagnostics against known chains."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import pytest
import torch
from torch import Tensor

from benchmarks.seeds import laplace, pcn
from pushforward.solvers import Darcy, GaussianField, Grid
from pushforward.solvers.interpolation import evaluate

GRID = Grid((6, 6), (1.0, 1.0), "neumann")
PRIOR = GaussianField.matern(2.0, 0.4, deviation=1.0, mean=False)
POINTS = torch.tensor([[0.2, 0.3], [0.7, 0.4], [0.4, 0.8]], dtype=torch.float64)
SEEN, NOISE = torch.tensor([1.0, -0.5, 0.8], dtype=torch.float64), 0.25
LENGTH = pcn.Length(chains=32, burn_in=200, steps=800, every=2)


UNITS = torch.eye(GRID.size, dtype=torch.float64).view(-1, *GRID.shape)
AT = evaluate(UNITS, GRID, POINTS)  # (point of the grid, sensor)


def kriging() -> tuple[Tensor, Tensor]:
    """The mean and the variances of the posterior's white coefficients, in closed form."""
    rows = AT.T @ PRIOR.color(UNITS, GRID).flatten(1).T  # (sensor, wave)
    gain = rows.T @ torch.linalg.inv(rows @ rows.T + NOISE**2 * torch.eye(len(SEEN)))
    return gain @ SEEN, torch.diagonal(torch.eye(GRID.size) - gain @ rows)


def forward(w: Tensor) -> Tensor:
    return PRIOR.color(w.view(-1, *GRID.shape), GRID).flatten(1) @ AT


def misfit(w: Tensor, noise: float = NOISE) -> Tensor:
    return (forward(w) - SEEN).square().sum(1) / (2 * noise**2)


def drawn() -> tuple[Tensor, float]:
    """White coefficients (draw, chain, wave), and the share accepted."""
    chains = pcn.run(misfit, GRID, LENGTH)
    return chains.draws.flatten(2)[..., 1:], chains.accepted  # there is no constant


plain = cache(drawn)


def beside(near: laplace.Reference, phi: Callable[[Tensor], Tensor] = misfit) -> Tensor:
    """The same of chains that step with a Gaussian."""
    v = pcn.run(near.misfit(phi), GRID, LENGTH).draws
    return near.place(v.flatten(0, 1)).view_as(v).flatten(2)[..., 1:]


def worst(x: Tensor) -> float:
    """How many standard errors the chains' means or variances are off."""
    mean, variance = (known[1:] for known in kriging())
    off = (x.mean((0, 1)) - mean) / (variance / pcn.effective_size(x)).sqrt()
    spread = (x - mean).square()
    deviation = (2 * variance.square() / pcn.effective_size(spread)).sqrt()
    wide = (spread.mean((0, 1)) - variance) / deviation
    return float(torch.stack([off, wide]).abs().max())


def test_the_posterior_is_kriging():
    x, accepted = plain()
    assert accepted == pytest.approx(pcn.AIM, abs=0.1)
    assert pcn.r_hat(x).max() < 1.1
    assert worst(x) < 4.5  # the largest of 70


def test_beside_the_right_gaussian_every_step_is_accepted():
    near = laplace.reference(forward, GRID.size, SEEN, NOISE)
    chains = pcn.run(near.misfit(misfit), GRID, pcn.Length(4, 200, 20))
    assert chains.accepted == pytest.approx(1)
    assert chains.step > 0.59
    x = beside(near)
    assert pcn.effective_size(x).min() > 5 * pcn.effective_size(plain()[0]).min()
    assert worst(x) < 4.5


def test_beside_a_wrong_gaussian_the_law_is_the_same():
    near = laplace.reference(forward, GRID.size, SEEN, NOISE)
    wrong = laplace.Reference(near.mean + 0.1, 1.1 * near.factor)
    assert worst(beside(wrong)) < 4.5
    forgot = pcn.run(lambda v: misfit(wrong.place(v)), GRID, LENGTH).draws  # that w is not v
    assert worst(wrong.place(forgot.flatten(0, 1)).view_as(forgot).flatten(2)[..., 1:]) > 7


def test_a_wrong_noise_is_refused():
    near = laplace.reference(forward, GRID.size, SEEN, NOISE)
    assert worst(beside(near, lambda w: misfit(w, 2 * NOISE))) > 7


def test_a_step_that_does_not_keep_the_prior_is_refused(monkeypatch):
    monkeypatch.setattr(pcn, "proposed", lambda u, xi, b: u + b * xi)
    assert worst(drawn()[0]) > 7


def test_chains_are_addressed_by_their_numbers():
    few, more = (pcn.run(lambda w: 0 * misfit(w), GRID, pcn.Length(n, 0, 8)).draws for n in (2, 3))
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
    with pytest.raises(ValueError, match=r"at least 2 chains.*got 1 chains.*ask for more"):
        pcn.Length(1, 10, 10)
    with pytest.raises(FloatingPointError, match="chain 1 at step 0 is no number; give"):
        pcn.run(
            lambda w: torch.tensor([0.0, math.nan], dtype=torch.float64),
            GRID,
            pcn.Length(2, 0, 4),
        )


def test_many_plates_are_solved_as_one_by_one():
    from benchmarks.seeds.plates import pressures

    grid, darcy = Grid((12, 8), (1.5, 1.0), "neumann"), Darcy(scale=1.3, source=2.0)
    z = GaussianField.matern(2.0, 0.3, deviation=1.0).sample(range(5), grid)
    known = darcy.solve(darcy.initial_state(z, grid), grid)[:, 1]
    torch.testing.assert_close(pressures(darcy, z, grid), known, rtol=1e-8, atol=1e-12)
