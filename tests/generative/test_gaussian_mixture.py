"""The law of `solvers.GaussianMixture` has the exact denoisers that its numbers make."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import pytest
import torch

from pushforward.generative import (
    CovarianceDenoiser,
    Denoiser,
    FourierBasis,
    GaussianDenoiser,
    MixtureDenoiser,
)
from pushforward.generative.basis import Basis
from pushforward.generative.cosine import CosineBasis
from pushforward.solvers import GaussianField, GaussianMixture, Grid, Ramp

WALLS = Grid((6,), (1.0,), "neumann")
TORUS = Grid((4, 6), (1.0, 1.0))
FIELD = GaussianField.matern(2.0, 0.3, deviation=1.0)
LAW = GaussianMixture(
    means=(Ramp((1.0,), -0.5), Ramp((-1.0,), 0.9)), field=FIELD, weights=(1.0, 2.0)
)
APART = replace(LAW, means=(Ramp((4.0,), -2.0), Ramp((-4.0,), 2.4)))
SMOOTH = GaussianMixture(
    means=(Ramp((0.0, 2.0)), Ramp((-2.0, 0.0), 1.0)),
    field=GaussianField.matern(1.5, 0.3, amplitude=5.0),
    smooth=True,
)


def waves(grid: Grid) -> torch.Tensor:
    """An orthonormal basis of a grid's waves as rows, in the mean over its points."""
    if not grid.periodic:
        return grid.ifft(torch.eye(grid.size, dtype=torch.float64))
    one = torch.eye(grid.size, dtype=torch.float64).view(-1, *grid.shape)
    k = grid.fft(one).flatten(1).T  # every row a wave, its cosine and its sine
    parts = torch.cat([k.real, k.imag])
    rows: list[torch.Tensor] = []
    for part in parts:
        rest = part - sum((row * (row @ part) for row in rows), torch.zeros(()))
        if float(rest.norm()) > 1e-9:
            rows.append(rest / rest.norm())
    return torch.stack(rows) * grid.size**0.5


def in_waves(law: GaussianMixture, grid: Grid) -> tuple[MixtureDenoiser, torch.Tensor]:
    """The denoiser in orthonormal waves, where the covariance is diagonal, and these waves."""
    rows = waves(grid)
    means = law.components(grid).flatten(1) @ rows.T / grid.size
    matrix = rows @ law.covariance(grid) @ rows.T / grid.size**2
    variance = matrix.diagonal()
    torch.testing.assert_close(matrix, torch.diag(variance), rtol=0, atol=1e-12)
    spectrum = law.field.symbol(grid) if isinstance(law.field, GaussianField) else variance
    held = grid.multiplicity() if grid.periodic else torch.ones(spectrum.shape)
    assert float(variance.sum()) == pytest.approx(float((spectrum * held).sum()), rel=1e-12)
    few = (len(law.means), 1, grid.size)
    return MixtureDenoiser(
        law.probabilities, means[:, None], variance.clamp_min(0).expand(few)
    ), rows


def posterior(x: torch.Tensor, xi: torch.Tensor, log_snr: float) -> torch.Tensor:
    """The mean of draws x given each of xi, by weights, and its standard error, (2, xi, point)."""
    distance = (xi[:, None] - x).square().sum(-1)
    weight = torch.softmax(-0.5 * torch.tensor(log_snr).exp() * distance, 1)
    mean = weight @ x
    error = (weight.square()[..., None] * (x - mean[:, None]).square()).sum(1).sqrt()
    return torch.stack([mean, error])


@lru_cache
def draws(law: GaussianMixture, grid: Grid) -> torch.Tensor:
    return law.draw(range(12_000), grid, seed=1).flatten(1)


def off(exact: Denoiser, rows: torch.Tensor, law: GaussianMixture, grid: Grid) -> float:
    """How many errors a denoiser in waves lies off the posterior mean of the law's own draws."""
    log_snr = 0.0  # of a coefficient: noise of variance 1 in every one
    x = draws(law, grid) @ rows.T / grid.size
    xi = x[:40] + torch.randn(40, grid.size, generator=torch.Generator().manual_seed(0))
    mean, error = posterior(x[40:], xi.double(), log_snr)
    level = torch.full((40, 1, grid.size), log_snr, dtype=torch.float64)
    found = exact(xi[:, None].double(), level)[:, 0]
    sure = error > 1e-9  # waves that the field does not have are 0
    return float(((found - mean)[sure] / error[sure]).square().mean().sqrt())


def explained(exact: Denoiser, other: Denoiser, x: torch.Tensor) -> float:
    """How far what a denoiser leaves of x correlates with what was seen, and with another guess.

    Nothing that is made of xi says more of x than the posterior mean. In standard errors.
    """
    level = torch.linspace(-4, 4, len(x), dtype=torch.float64)[:, None]
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).double()
    xi = x + torch.exp(-level / 2) * noise
    levels = level[:, None].expand(-1, 1, x.shape[1])
    rest = x - exact(xi[:, None], levels)[:, 0]
    guess = other(xi[:, None], levels)[:, 0]
    products = torch.cat([rest * xi * torch.exp(level / 2), rest * guess], 1)
    error = products.std(0) / len(x) ** 0.5
    return float((products.mean(0) / error.clamp_min(1e-12)).abs().max())


@pytest.mark.parametrize(("law", "grid"), [(LAW, WALLS), (SMOOTH, TORUS)], ids=["walls", "torus"])
def test_denoiser_made_of_the_law_is_the_posterior_mean_of_its_draws(
    law: GaussianMixture, grid: Grid
) -> None:
    exact, rows = in_waves(law, grid)
    assert off(exact, rows, law, grid) < 1.5
    assert isinstance(law.field, GaussianField)
    rougher = replace(law, field=replace(law.field, exponent=1.1), smooth=False)
    wrong = MixtureDenoiser(exact.log_weights.exp(), exact.means, in_waves_of(rougher, rows, grid))
    assert off(wrong, rows, law, grid) > 2
    alone = MixtureDenoiser(torch.ones(1).double(), exact.means[:1], exact.variances[:1])
    assert off(alone, rows, law, grid) > 2


def in_waves_of(law: GaussianMixture, rows: torch.Tensor, grid: Grid) -> torch.Tensor:
    """The variances of another law's coefficients."""
    flat = replace(law, means=tuple(Ramp((0.0,) * grid.ndim) for _ in law.means))
    variance = (rows @ flat.covariance(grid) @ rows.T / grid.size**2).diagonal()
    return variance.clamp_min(0).expand(len(law.means), 1, -1)


@pytest.mark.parametrize(
    ("law", "grid", "basis"),
    [(APART, WALLS, CosineBasis), (SMOOTH, TORUS, FourierBasis)],
    ids=["walls", "torus"],
)
def test_denoiser_of_whitened_coefficients(
    law: GaussianMixture, grid: Grid, basis: type[Basis]
) -> None:
    """In a basis that was fitted to draws, as a sampler's is: what a network is to learn."""
    u = draws(law, grid).view(-1, 1, *grid.shape)
    fitted = basis.fit(u, grid)
    one = torch.eye(grid.size, dtype=torch.float64).view(-1, 1, *grid.shape)
    origin = fitted.analyse(torch.zeros_like(one[:1]), grid)
    rows = (fitted.analyse(one, grid) - origin)[:, 0].T
    matrix = rows @ law.covariance(grid) @ rows.T
    torch.testing.assert_close(matrix, torch.diag(matrix.diagonal()), rtol=0, atol=1e-10)
    means = fitted.analyse(law.components(grid)[:, None], grid)
    variances = matrix.diagonal().clamp_min(0).expand(len(law.means), 1, -1)
    x = fitted.analyse(u, grid)[:, 0]
    exact = MixtureDenoiser(law.probabilities, means, variances)
    wiener = GaussianDenoiser(torch.ones(1, x.shape[1], dtype=torch.float64))
    one_mean = MixtureDenoiser(law.probabilities[:1], means[:1], variances[:1])
    for other in (wiener, one_mean):
        assert explained(exact, other, x) < 4.5
        assert explained(other, exact, x) > 6


def test_full_and_diagonal_denoisers_agree() -> None:
    exact, rows = in_waves(LAW, WALLS)
    matrix = rows @ LAW.covariance(WALLS) @ rows.T / WALLS.size**2
    full = CovarianceDenoiser(LAW.probabilities, exact.means, matrix.expand(2, -1, -1))
    xi = torch.randn(9, 1, 6, generator=torch.Generator().manual_seed(2)).double()
    level = torch.full_like(xi, 1.0)
    torch.testing.assert_close(full(xi, level), exact(xi, level), rtol=0, atol=1e-10)


def test_ddo_law_is_denoised_at_its_points() -> None:
    """A stationary field has no waves between walls: its denoiser takes the whole matrix."""
    law, grid = GaussianMixture(means=(Ramp((2.0,), -1.0), Ramp((-2.0,), 1.0))), WALLS
    scale = grid.size**0.5  # of orthonormal coordinates
    parts = (law.components(grid)[:, None] / scale, law.covariance(grid) / grid.size)
    exact = CovarianceDenoiser(law.probabilities, parts[0], parts[1].expand(2, -1, -1))
    rows = torch.eye(grid.size, dtype=torch.float64) * scale
    assert off(exact, rows, law, grid) < 1.5
    diagonal = MixtureDenoiser(law.probabilities, parts[0], parts[1].diagonal().expand(2, 1, -1))
    assert off(diagonal, rows, law, grid) > 2
