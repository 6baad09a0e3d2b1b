"""The fields that papers name, against their formulas written out once more."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pushforward.solvers import GaussianField, Grid, priors, spectra

UNIT = Grid((32, 32), (1.0, 1.0))


def squares(n: int) -> np.ndarray:
    k = np.fft.fftfreq(n, 1 / n)
    return 4 * np.pi**2 * (k[:, None] ** 2 + k**2)


def test_the_initial_law_of_the_fno_data_is_the_codes_not_the_papers() -> None:
    """The published script, line by line: its draws have variance 0.0343, on any grid."""
    n = 64
    with np.errstate(divide="ignore"):
        sqrt_eig = n**2 * math.sqrt(2) * 7 ** (0.5 * (2 * 2.5 - 2)) * (squares(n) + 49) ** -1.25
    sqrt_eig[0, 0] = 0
    # real and imaginary parts of N(0, 1), the real part of the inverse transform kept
    variance = (sqrt_eig**2).sum() / n**4 / 2
    field = priors.fno_data()
    assert field.trace(Grid((n, n), (1.0, 1.0))) == pytest.approx(variance, rel=0.01)
    assert variance == pytest.approx(0.0343, rel=0.01)
    draws = field.sample(range(2000), UNIT, seed=1).square().mean((1, 2))
    error = draws.std() / math.sqrt(2000)
    assert abs(draws.mean() - 0.0343) < 4 * error
    assert error < 0.01 * 0.0343
    papers = GaussianField.matern(2.5, 1 / 7, amplitude=7**0.75, mean=False)
    assert abs(papers.trace(UNIT) - 0.0343) > 4 * error


def theirs(name: str, n: int) -> float:
    """The variance at a point of Multilevel diffusion's priors, from its code's formulas."""
    s = np.sin(np.pi * np.arange(n) / n) ** 2
    laplacian = 4 * n**2 * (s[:, None] + s)
    if name == "bessel":
        return float(((8 + laplacian) ** -1.1).sum()) / n**2
    laplacian[0, 0] = np.inf
    return float((20**2 * laplacian**-1.1).sum()) / n**2


@pytest.mark.parametrize("name", ["bessel", "laplacian"])
def test_multilevel_priors_are_theirs_but_for_the_number_of_points(name: str) -> None:
    field = getattr(priors, name)()
    for n, published in ((32, {"bessel": 0.0199, "laplacian": 0.356}),):
        ours = field.trace(Grid((n, n), (1.0, 1.0))) / n**2
        assert math.sqrt(theirs(name, n)) == pytest.approx(published[name], rel=0.01)
        # their five-point Laplacian is smaller at the shortest waves: rougher fields
        assert math.sqrt(ours) == pytest.approx(published[name], rel=0.08)
    sizes = [math.sqrt(field.trace(Grid((n, n), (1.0, 1.0)))) for n in (64, 128)]
    assert sizes[1] == pytest.approx(sizes[0], rel=0.08)  # barely of trace class
    assert math.sqrt(theirs(name, 128)) < 0.6 * math.sqrt(theirs(name, 64))


@pytest.mark.parametrize("boundary", ["periodic", "neumann"])
def test_a_random_layer_draws_with_its_own_spectrum(boundary) -> None:
    grid = Grid((16, 12), (1.0, 2.0), boundary)
    field = priors.fno((5, 4), law=3, amplitude=2.0)
    weights = spectra.random_filter(grid, (5, 4), 3)
    torch.testing.assert_close(field.symbol(grid), 4 * weights.abs().square() / 2.0)
    power = grid.fft(field.sample(range(600), grid, seed=1)).abs().square().mean(0)
    symbol = field.symbol(grid)
    inside = symbol > 0
    error = symbol * math.sqrt(2 / 600)
    assert bool((power - symbol).abs()[inside].lt(5 * error[inside]).all())
    assert bool((power - symbol).abs()[~inside].lt(1e-20).all())
    wrong = priors.fno((5, 4), law=4, amplitude=2.0).symbol(grid)
    assert not bool((power - wrong).abs()[inside].lt(5 * error[inside]).all())
    assert field.power(field.sample([0], grid), grid, -0.5).isfinite().all()


def test_combined_filters_act_on_one_noise() -> None:
    field = priors.combined((6, 6), law=2)
    k = (-UNIT.laplacian()).sqrt()
    laplacian = torch.where(k > 0, 10 * k.clamp_min(1e-9) ** -1.1, 0.0)
    filters = 0.5 * spectra.random_filter(UNIT, (6, 6), 2) + laplacian
    expected = filters.abs().square() * UNIT.resolved()
    torch.testing.assert_close(field.symbol(UNIT), expected)
    apart = 0.25 * spectra.random_filter(UNIT, (6, 6), 2).abs().square() + laplacian**2
    assert not torch.allclose(field.symbol(UNIT), apart * UNIT.resolved(), rtol=1e-2)
    with pytest.raises(ValueError, match="trace class"):
        priors.combined((6, 6), power=0.5).symbol(UNIT)
    with pytest.raises(ValueError, match="function of"):
        field.log_share(torch.ones(1), (1.0, 1.0))


def test_a_layer_without_modes_is_refused() -> None:
    for modes in ((), (0, 3)):
        with pytest.raises(ValueError, match="at least one mode an axis"):
            priors.fno(modes)
