"""Spectra against their kernels by quadrature, tables, and the random filter's weights."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special

from pushforward.solvers import GaussianField, Grid, spectra

quick = settings(max_examples=25, deadline=None, derandomize=True)
LENGTH = 0.7


def transform(kernel, k: float, ndim: int) -> float:
    """The Fourier transform of an isotropic kernel, by quadrature over the radius."""

    def integrand(r: float) -> float:
        if ndim == 1:
            return 2 * math.cos(k * r) * kernel(r)
        if ndim == 2:
            return 2 * math.pi * r * special.j0(k * r) * kernel(r)
        return 4 * math.pi * r**2 * np.sinc(k * r / math.pi) * kernel(r)

    return integrate.quad(integrand, 0, 40 * LENGTH, limit=400, epsabs=1e-10)[0]


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("k", [0.0, 0.9, 3.0])
def test_spectra_are_the_transforms_of_their_kernels(ndim: int, k: float) -> None:
    k2 = torch.tensor([k**2], dtype=torch.float64)
    found = spectra.exponential(k2, LENGTH, ndim).item()
    assert found == pytest.approx(transform(lambda r: math.exp(-r / LENGTH), k, ndim), rel=1e-6)
    assert found != pytest.approx(transform(lambda r: math.exp(-8 * r), k, ndim), rel=1e-2)
    found = spectra.squared_exponential(k2, LENGTH, ndim).item()
    gauss = transform(lambda r: math.exp(-(r**2) / (2 * LENGTH**2)), k, ndim)
    assert found == pytest.approx(gauss, rel=1e-6)
    alpha = 2.2
    nu, scale = alpha - ndim / 2, special.gamma(alpha) * (4 * math.pi) ** (ndim / 2)
    # the Green's function of (1/l^2 - Laplacian)^alpha: Matern's kernel up to a constant
    variance = special.gamma(nu) / scale * LENGTH ** (2 * nu)

    def matern(r: float) -> float:
        x = max(r / LENGTH, 1e-12)
        return variance * 2 ** (1 - nu) / special.gamma(nu) * x**nu * special.kv(nu, x)

    found = spectra.matern(k2, alpha, LENGTH).item()
    assert found == pytest.approx(transform(matern, k, ndim), rel=1e-5)


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_the_exponential_is_materns_of_smoothness_one_half(ndim: int) -> None:
    k2 = torch.linspace(0, 50, 20, dtype=torch.float64)
    ratio = spectra.exponential(k2, LENGTH, ndim) / spectra.matern(k2, (ndim + 1) / 2, LENGTH)
    torch.testing.assert_close(ratio, ratio[:1].expand(20), rtol=1e-12, atol=0)
    wrong = spectra.exponential(k2, LENGTH, ndim) / spectra.matern(k2, (ndim + 2) / 2, LENGTH)
    assert wrong.max() > 1.5 * wrong.min()


@given(
    rows=st.lists(st.tuples(st.floats(0.1, 50), st.floats(1e-6, 1e6)), min_size=2, max_size=8),
    seed=st.integers(0, 99),
)
@quick
def test_a_table_is_met_at_its_rows_and_between_its_neighbours(
    rows: list[tuple[float, float]], seed: int
) -> None:
    table = sorted({round(k, 3): c for k, c in rows}.items())
    if len(table) < 2:
        return
    k, c = torch.tensor(table, dtype=torch.float64).T
    torch.testing.assert_close(spectra.tabulated(k**2, table), c, rtol=1e-9, atol=0)
    share = torch.rand(1, generator=torch.Generator().manual_seed(seed)).double()
    between = spectra.tabulated(k[:-1] ** (2 * (1 - share)) * k[1:] ** (2 * share), table)
    torch.testing.assert_close(between, c[:-1] ** (1 - share) * c[1:] ** share, rtol=1e-8, atol=0)
    outside = spectra.tabulated(torch.tensor([0.0, 1.01 * k[-1] ** 2]).double(), table)
    assert outside.tolist() == pytest.approx([c[0].item(), 0.0], rel=1e-9)


def test_a_fine_table_of_materns_spectrum_is_matern() -> None:
    grid, matern = Grid((32, 32)), GaussianField.matern(2.5, 0.4)
    k = torch.logspace(-1, 1.5, 400, dtype=torch.float64)
    rows = zip(k.tolist(), spectra.matern(k**2, 2.5, 0.4).tolist(), strict=True)
    table = GaussianField.tabulated([*rows], mean=False)
    expected = GaussianField.matern(2.5, 0.4, mean=False).symbol(grid)
    torch.testing.assert_close(table.symbol(grid), expected, rtol=1e-4, atol=0)
    u, v = (law.sample([3], grid) for law in (table, GaussianField.matern(2.5, 0.4, mean=False)))
    torch.testing.assert_close(u, v, rtol=0, atol=1e-4 * float(v.abs().max()))
    assert not torch.allclose(table.symbol(grid), matern.symbol(grid), rtol=1e-4)


@pytest.mark.parametrize(
    "rows",
    [[(1.0, 1.0)], [(1.0, 1.0), (1.0, 2.0)], [(2.0, 1.0), (1.0, 1.0)], [(0.0, 1.0), (1.0, 1.0)]],
)
def test_bad_tables_are_refused(rows: list[tuple[float, float]]) -> None:
    with pytest.raises(ValueError, match="expected a table of at least two rows"):
        GaussianField.tabulated(rows)


@pytest.mark.parametrize("boundary", ["periodic", "neumann"])
def test_the_filter_is_one_function_of_the_waves(boundary) -> None:
    coarse, fine = (Grid((n, n), boundary=boundary) for n in (12, 24))
    a, b = (spectra.random_filter(grid, (4, 3), 5) for grid in (coarse, fine))
    torch.testing.assert_close(b[:4, :3], a[:4, :3], rtol=0, atol=0)
    inside = a.abs() > 0
    y, x = coarse.integers()
    assert torch.equal(inside, (y.abs() < 4) & (x < 3))
    other = spectra.random_filter(coarse, (4, 3), 6)
    assert (other - a).abs()[inside].min() > 0
    if boundary == "periodic":  # a real operator
        torch.testing.assert_close(a[1:4, 0], a[-3:, 0].flip(0).conj(), rtol=0, atol=0)
        assert a[0, 0].imag == 0


def test_the_filters_weights_are_uniform() -> None:
    grid = Grid((64, 64))
    r = spectra.random_filter(grid, (32, 32), 0)[:32, 1:32].flatten()
    deviation = 0.8 / math.sqrt(12 * len(r))
    assert abs(r.real.mean() - 0.6) < 4 * deviation
    assert abs(r.imag.mean() - 0.4) < 4 * deviation
    assert abs(r.imag.mean() - 0.6) > 4 * deviation
    assert 0.2 <= r.real.min() < r.real.max() < 1.0
    correlation = torch.corrcoef(torch.stack([r.real, r.imag]))[0, 1]
    assert abs(correlation) < 4 / math.sqrt(len(r))


def test_a_box_of_other_axes_is_refused() -> None:
    with pytest.raises(ValueError, match="one number of modes per axis"):
        spectra.random_filter(Grid((8, 8)), (3,), 0)
