"""The benchmark's metrics against independent libraries and closed forms."""

from __future__ import annotations

import math

import numpy as np
import ot
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.stats import kurtosis, wasserstein_distance

from benchmarks.field_table import metrics


@pytest.fixture
def fields() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(60, 8, 8, generator=generator)
    return x, 1.3 * torch.randn(25, 8, 8, generator=generator) + 0.2


def test_mmd_is_the_u_statistic_of_three_kernels(fields):
    x, y = (z.flatten(1).double().numpy() for z in fields)
    n, m, expected = len(x), len(y), 0.0
    scale = metrics.median_distance(*fields, seed=3)
    for width in (0.5, 1, 2):
        k = [np.exp(-(cdist(a, b) ** 2) / (2 * (width * scale) ** 2))
             for a, b in ((x, x), (y, y), (x, y))]  # fmt: skip
        off = [(part.sum() - len(part)) / (len(part) * (len(part) - 1)) for part in k[:2]]
        expected += (off[0] + off[1] - 2 * k[2].sum() / (n * m)) / 3
    assert metrics.mmd(*fields, seed=3) == pytest.approx(expected, rel=1e-9)


def test_mmd_has_mean_zero_between_the_same_laws():
    generator = torch.Generator().manual_seed(0)
    values = []
    for i in range(40):
        x, y = torch.randn(2, 40, 4, 4, generator=generator)
        values.append(metrics.mmd(x, y, i))
    assert abs(np.mean(values)) < 4 * np.std(values) / math.sqrt(40)
    assert metrics.mmd(x, torch.mul(y, 2)) > 10 * np.std(values)  # control: another law


def test_median_is_of_distances_not_of_squares():
    x, y = torch.zeros(2, 1), torch.full((2, 1), 3.0)
    assert metrics.median_distance(x, y) == 3.0


def test_sliced_wasserstein_is_that_of_pot(fields):
    x, y = (z.flatten(1).double().numpy() for z in fields)
    directions = np.random.default_rng(5).normal(size=(64, metrics.DIRECTIONS))
    directions /= np.linalg.norm(directions, axis=0)
    expected = ot.sliced_wasserstein_distance(x, y, projections=directions)
    assert metrics.sliced_wasserstein(*fields, seed=5) == pytest.approx(expected, rel=1e-9)


def test_marginal_wasserstein_is_that_of_scipy(fields):
    x, y = (z.flatten(1).double() for z in fields)
    expected = np.mean([wasserstein_distance(a, b) for a, b in zip(x.T, y.T, strict=True)])
    assert metrics.marginal_wasserstein(x, y) == pytest.approx(expected, rel=1e-9)


def test_pointwise_errors_of_a_shift_and_a_scale():
    x = torch.randn(50, 4, 4, generator=torch.Generator().manual_seed(0))
    found = metrics.pointwise(x, x + 3)
    assert found["mean_mse"] == pytest.approx(9, rel=1e-5)
    assert max(found[k] for k in found if k != "mean_mse") < 1e-9
    found = metrics.pointwise(x, 2 * x)
    variances = x.flatten(1).double().var(0)
    assert found["variance_mse"] == pytest.approx((9 * variances**2).mean().item(), rel=1e-5)
    tails = kurtosis(x.flatten(1).double().numpy()), kurtosis((x**3).flatten(1).double().numpy())
    expected = np.mean((tails[0] - tails[1]) ** 2)
    assert metrics.pointwise(x, x**3)["kurtosis_mse"] == pytest.approx(expected, rel=1e-4)


def test_spectrum_of_one_wave_lies_in_the_bin_of_its_components_sum():
    n, at = 16, torch.arange(16) / 16
    y, x = torch.meshgrid(at, at, indexing="ij")
    wave = torch.cos(2 * math.pi * (2 * x + 3 * y))[None]
    found = metrics.spectrum(wave)
    assert found.argmax() == 5 - 1
    assert found[4] == pytest.approx(n * n / 2, rel=1e-5)
    assert np.delete(found, 4).max() < 1e-3


def test_spectrum_cancels_opposite_phases():
    """What makes it no energy spectrum: two waves of one bin whose coefficients cancel."""
    at = torch.arange(16) / 16
    y, x = torch.meshgrid(at, at, indexing="ij")
    both = torch.cos(2 * math.pi * 3 * x) - torch.cos(2 * math.pi * 3 * y)
    assert metrics.spectrum(both[None])[2] < 1e-3


def test_log_spectrum_of_a_tenfold_field_is_one():
    x = torch.randn(20, 16, 16, generator=torch.Generator().manual_seed(0))
    assert metrics.log_spectrum(x, 10 * x) == pytest.approx(1, rel=1e-5)
    line = x.flatten(1)
    assert metrics.log_spectrum(line, 10 * line) == pytest.approx(4, rel=1e-5)  # a density


def test_the_resolved_spectrum_leaves_out_what_only_round_off_fills():
    grid = torch.arange(16) / 16
    wave = torch.cos(2 * torch.pi * (grid[:, None] + 0 * grid)).expand(5, 16, 16)
    faint = torch.cos(2 * torch.pi * (5 * grid[:, None] + 0 * grid)).expand(5, 16, 16)
    real, generated = wave + 1e-6 * faint, wave + 1e-3 * faint
    assert metrics.log_spectrum(real, generated) > 1
    assert metrics.log_spectrum(real, generated, metrics.RESOLVED) < 1e-6
    assert metrics.log_spectrum(real, 10 * wave, metrics.RESOLVED) == pytest.approx(1, rel=1e-4)


def test_vorticity_of_a_doubled_field():
    x = torch.randn(30, 8, 8, generator=torch.Generator().manual_seed(0))
    found = metrics.vorticity(x, 2 * x)
    enstrophy = x.square().mean((1, 2)) / 2
    assert found["enstrophy_w1"] == pytest.approx(3 * enstrophy.mean().item(), rel=1e-5)
    assert found["pdf_w1"] == pytest.approx(x.abs().mean().item(), rel=1e-5)
    assert found["pdf_skewness"] < 1e-5
