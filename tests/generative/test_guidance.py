"""Guidance against Kriging, a full covariance and a mixture; resolutions, starts, refusals."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from jaxtyping import TypeCheckError
from torch import Tensor

from pushforward.generative import (
    Backbone,
    Denoiser,
    GaussianDenoiser,
    Observation,
    Sampler,
    Surrogate,
    integrate_path,
    observe,
    preset,
)
from pushforward.generative.guidance import (
    Functionals,
    Guided,
    at_points,
    functionals,
    together,
)
from pushforward.solvers import GaussianField, Grid
from pushforward.solvers.interpolation import evaluate

COUNT = 1000
GRID = Grid((12, 12))
FIELD = GaussianField.matern(3.0, 0.6, deviation=1.0, cutoff=4)
SMALL = Backbone(width=8, modes=4, layers=1)


def surrogate(name: str = "gud", **changes: Any) -> Surrogate:
    """Untrained: the exact Gaussian surrogate of the field."""
    u = FIELD.sample(range(256), GRID)[:, None]
    return Surrogate.fit(preset(name, backbone=SMALL, **changes), u, GRID).gaussian()


def sensors(basis: Any, deviation: float, count: int = 12) -> Functionals:
    generator = torch.Generator().manual_seed(0)
    points = 2 * math.pi * torch.rand(count, 2, generator=generator, dtype=torch.float64)
    truth = FIELD.sample([1000], GRID)
    noise = torch.randn(count, generator=generator, dtype=torch.float64)
    values = evaluate(truth, GRID, points)[0] + deviation * noise
    return at_points(basis, points, 0, values, deviation)


def kriging(seen: Functionals, kept: Tensor, prior: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Mean and covariance of kept coefficients given functionals, in float64, by one solve."""
    H = seen.rows.flatten(1)[:, kept].double()
    C = torch.eye(H.shape[1], dtype=torch.float64) if prior is None else prior
    gain = C @ H.T @ torch.linalg.inv(H @ C @ H.T + torch.diag(seen.variance.double()))
    return gain @ seen.values.double(), C - gain @ H @ C


def off(x: Tensor, mean: Tensor, covariance: Tensor) -> tuple[float, float]:
    """The largest error of means, and of variances, along the covariance's axes, in its errors."""
    spread, axes = torch.linalg.eigh(covariance)
    z = (x.double() - mean) @ axes / spread.clamp_min(1e-12).sqrt()
    means = z.mean(0) * math.sqrt(len(z))
    variances = (z.var(0) - 1) * math.sqrt(len(z) / 2)
    # the largest of n normals is expected at sqrt(2 log n)
    most = math.sqrt(2 * math.log(2 * z.shape[1]))
    return float(means.abs().max()) - most, float(variances.abs().max()) - most


@pytest.mark.parametrize("churn", [0.0, 1.0])
def test_sensors_of_a_gaussian_field_are_kriging(churn: float) -> None:
    one = surrogate()
    seen = sensors(one.basis, 0.3)
    kept = one.basis.mask.flatten()
    mean, covariance = kriging(seen, kept)
    sampler = one._own(Sampler(steps=100, churn=churn))
    x = one._draw(list(range(COUNT)), 0, sampler, None, seen).flatten(1)[:, kept]
    means, variances = off(x, mean, covariance)
    assert means < 4
    assert variances < 4
    prior = one._draw(list(range(COUNT)), 0, sampler, None, None).flatten(1)[:, kept]
    assert off(prior, mean, covariance)[0] > 20  # what was not told is not known


def test_more_steps_come_closer_to_kriging() -> None:
    """The error of the variance falls like 1 / steps, on average over the ten best known axes."""
    one = surrogate()
    seen = sensors(one.basis, 0.1)
    kept = one.basis.mask.flatten()
    mean, covariance = kriging(seen, kept)
    spread, axes = torch.linalg.eigh(covariance)
    errors = []
    for steps in (10, 40):
        x = one._draw(list(range(COUNT)), 0, one._own(Sampler(steps=steps)), None, seen)
        z = (x.flatten(1)[:, kept].double() - mean) @ axes[:, :10] / spread[:10].sqrt()
        errors.append(abs(float(z.var(0).mean()) - 1))
    noise = 4 * math.sqrt(2 / COUNT / 10)
    assert errors[0] > 0.2
    assert errors[1] < errors[0] / 3 + noise


def test_the_start_of_a_short_path_must_know_what_is_seen() -> None:
    """With a noisy end at snr 1 the start matters: without Matheron's rule it is wrong."""
    levels = lambda t: (9 - 9 * t.double())[:, None, None].expand(-1, 1, 2)  # noqa: E731
    seen = Functionals(torch.tensor([[[1.0, 0.5]]]), torch.tensor([2.0]), torch.tensor([0.01])).to(
        torch.zeros(1, dtype=torch.float64)
    )
    mean, covariance = kriging(seen, torch.ones(2, dtype=torch.bool))
    generator = torch.Generator().manual_seed(0)
    y, other = torch.randn(2, COUNT, 1, 2, generator=generator, dtype=torch.float64)
    noise = torch.randn(COUNT, 1, generator=generator, dtype=torch.float64)
    guided = Guided(GaussianDenoiser(), seen)
    start = seen.start(y, levels(torch.ones(1))[0], other, noise)
    draw = lambda at: integrate_path(guided, levels, lambda i: y, steps=200, start=at)  # noqa: E731
    assert max(off(draw(start).flatten(1), mean, covariance)) < 4
    assert max(off(draw(y).flatten(1), mean, covariance)) > 10


class Knowing(Denoiser):
    """The exact denoiser of coefficients whose variance is not what they were whitened by."""

    def __init__(self, variance: Tensor) -> None:
        super().__init__()
        self.variance = variance

    def correction(self, y: Tensor, log_snr: Tensor) -> Tensor:
        sin, cos = (f(torch.atan(torch.exp(-log_snr / 2))) for f in (torch.sin, torch.cos))
        return sin * cos * (self.variance - 1) / (self.variance * cos**2 + sin**2) * y

    def left(self, log_snr: Tensor) -> Tensor:
        """Its posterior variance over the Wiener filter's."""
        cos = torch.sigmoid(log_snr)
        return self.variance / (self.variance * cos + 1 - cos)


def test_what_the_network_leaves_unknown_weighs_what_is_seen() -> None:
    """Coefficients of variance 0.1, which the network knows: r makes the update Kalman's own."""
    variance = torch.tensor([[0.1, 0.5, 1.0]], dtype=torch.float64)
    one = Knowing(variance)
    rows = torch.tensor([[[1.0, 1.0, 0.5]], [[0.0, 1.0, -1.0]]], dtype=torch.float64)
    seen = Functionals(rows, torch.tensor([1.0, -0.5]).double(), torch.full((2,), 0.04).double())
    C = torch.diag(variance[0])
    mean, covariance = kriging(seen, torch.ones(3, dtype=torch.bool), C)
    for level in (-6.0, 0.0, 3.0):
        y = torch.randn(3, 1, 3, generator=torch.Generator().manual_seed(2)).double()
        log_snr = torch.full((1, 1, 3), level, dtype=torch.float64)
        noise = math.exp(-level) * torch.eye(3, dtype=torch.float64)
        H = torch.cat([torch.eye(3, dtype=torch.float64), rows[:, 0]])
        R = torch.block_diag(noise, torch.diag(seen.variance))
        both = torch.cat([y[:, 0], seen.values.expand(3, -1)], 1)
        exact = both @ torch.linalg.solve(H @ C @ H.T + R, H @ C)
        found = Guided(one, seen, one.left)(y, log_snr)[:, 0]
        torch.testing.assert_close(found, exact, rtol=1e-9, atol=1e-9)
        assert float((Guided(one, seen)(y, log_snr)[:, 0] - exact).abs().max()) > 0.02
    levels = lambda t: (9 - 21 * t.double())[:, None, None].expand(-1, 1, 3)  # noqa: E731
    normal = torch.randn(COUNT, 1, 3, generator=torch.Generator().manual_seed(3)).double()
    x = integrate_path(Guided(one, seen, one.left), levels, lambda i: normal, steps=200)
    assert max(off(x.flatten(1), mean, covariance)) < 4


def test_what_is_drawn_does_not_depend_on_a_grid() -> None:
    """The same functionals of the same functions, on either grid: the same members."""
    fine = Grid((24, 24))
    points = torch.tensor([[0.3, 1.0], [4.0, 2.0]], dtype=torch.float64)
    values = torch.tensor([1.0, -1.0], dtype=torch.float64)
    drawn = []
    for grid in (GRID, fine):
        one = Surrogate.fit(
            preset("gud", backbone=SMALL), FIELD.sample(range(64), grid)[:, None], grid
        )
        seen = at_points(one.basis, points, 0, values, 0.1)
        drawn.append(one.sample(range(4), fine, guided=seen, sampler=Sampler(steps=8)))
    torch.testing.assert_close(*drawn, rtol=0, atol=2e-4)
    one = surrogate()
    seen = at_points(one.basis, points, 0, values, 1e-3)
    u = one.sample(range(4), fine, guided=seen, sampler=Sampler(steps=64))
    torch.testing.assert_close(
        evaluate(u[:, 0].double(), fine, points), values.expand(4, 2), rtol=0, atol=0.02
    )


def test_clean_coefficients_and_sensors_together() -> None:
    """A clean channel starts and stays; the other is then Kriging given both."""
    grid = Grid((8, 8))
    u = FIELD.sample(range(512), grid).unflatten(0, (256, 2))
    u[:, 1] = 0.8 * u[:, 0] + 0.6 * u[:, 1]
    one = Surrogate.fit(preset("gud", backbone=SMALL), u, grid).gaussian()
    clean = torch.zeros_like(one.basis.mask)
    clean[0] = one.basis.mask[0]
    known = observe(one.basis, u[0], grid, clean)
    points = torch.tensor([[0.3, 1.0], [4.0, 2.0], [1.0, 5.0]], dtype=torch.float64)
    seen = at_points(one.basis, points, 1, evaluate(u[0, 1], grid, points), 0.1)
    sampler = one._own(Sampler(steps=120))
    x = one._draw(list(range(COUNT)), 0, sampler, known, seen)
    torch.testing.assert_close(
        x[:, 0], (known.values[0] * clean[0]).float().expand(COUNT, -1), rtol=0, atol=1e-5
    )
    kept = one.basis.mask[1]
    rest = Functionals(
        seen.rows[:, 1:], seen.values - seen.of(known.values[None])[0], seen.variance
    )
    mean, covariance = kriging(rest, kept)
    assert max(off(x[:, 1][:, kept], mean, covariance)) < 4


def test_averages_and_several_observations() -> None:
    one = surrogate()
    cells = functionals(
        one.basis,
        lambda u: torch.nn.functional.avg_pool2d(u[None], 6).flatten(),
        GRID,
        torch.ones(4),
        0.01,
    )
    both = together(cells, at_points(one.basis, torch.ones(1, 2), 0, torch.zeros(1), 0.01))
    assert both.rows.shape[0] == 5
    u = one.sample(range(3), guided=both, sampler=Sampler(steps=64))
    found = torch.nn.functional.avg_pool2d(u, 6).flatten(1)
    torch.testing.assert_close(found, torch.ones(3, 4), rtol=0, atol=0.06)
    assert float(evaluate(u[:, 0].double(), GRID, torch.ones(1, 2).double()).abs().max()) < 0.06


def test_members_of_their_own_and_in_any_company() -> None:
    one = surrogate()
    seen = sensors(one.basis, 0.1)
    each = replace(seen, values=torch.stack([seen.values, -seen.values, seen.values]))
    sampler = Sampler(steps=6, churn=1.0)
    whole = one.sample(range(3), guided=each, sampler=sampler)
    parts = one.sample(range(3), guided=each, sampler=sampler, batch=2)
    alone = one.sample([2], guided=seen, sampler=sampler)
    torch.testing.assert_close(whole, parts, rtol=0, atol=1e-4)
    torch.testing.assert_close(whole[2:], alone, rtol=0, atol=1e-4)
    assert float((whole[0] - whole[1]).abs().max()) > 0.5


@pytest.mark.parametrize("method", ["heun", "strang", "bridge"])
def test_every_sampler_can_be_guided(method: Any) -> None:
    one = surrogate("vp") if method != "heun" else surrogate()
    seen = sensors(one.basis, 0.1)
    u = one.sample(range(64), guided=seen, sampler=Sampler(method, steps=60))
    x = one.basis.analyse(u, GRID)
    mean, _ = kriging(seen, one.basis.mask.flatten())
    miss = x.flatten(1)[:, one.basis.mask.flatten()].mean(0) - mean
    assert float(miss.square().mean().sqrt()) < 0.25


def test_what_cannot_be_is_refused() -> None:
    rows, one = torch.ones(1, 1, 2), torch.ones(1)
    with pytest.raises((ValueError, TypeCheckError), match="functional"):
        Functionals(rows, torch.ones(2), one)
    with pytest.raises(ValueError, match="variances above 0"):
        Functionals(rows, one, torch.zeros(1))
    with pytest.raises(ValueError, match="finite values"):
        Functionals(rows, torch.tensor([math.nan]), one)
    seen = Functionals(torch.ones(2, 1, 2), torch.ones(2), torch.full((2,), 1e-40))
    with pytest.raises(ValueError, match="repeat"):
        seen.update(torch.zeros(1, 1, 2), torch.ones(1, 2))
    with pytest.raises(ValueError, match="same levels"):
        Guided(GaussianDenoiser(), Functionals(rows, one, one)).correction(
            torch.ones(2, 1, 2), torch.tensor([0.0, 1.0])[:, None, None].expand(2, 1, 2)
        )
    fitted = surrogate()
    with pytest.raises(ValueError, match="affine"):
        functionals(fitted.basis, lambda u: u.square().mean()[None], GRID, torch.ones(1), 0.1)
    noisy = Observation(torch.zeros_like(fitted.basis.mean), torch.ones_like(fitted.basis.mean))
    with pytest.raises(ValueError, match="churn 1"):
        fitted.sample([0], observed=noisy, guided=sensors(fitted.basis, 0.1))
