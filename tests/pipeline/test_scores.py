"""Statistics that add, and the scores of one member's row: closed forms, scipy, and refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from pushforward import yardstick
from pushforward.scores import SCORES, SLOPES, SPECTRUM, STATISTICS, VALUES, score
from pushforward.solvers import GaussianField, Grid
from pushforward.solvers.diagnostics import gradients, shells
from pushforward.yardstick import Yardstick

GRID = Grid((16, 16))
FIELD = GaussianField.matern(3.0, 0.5, deviation=1.0)


def gaussian(members: range, grid: Grid = GRID) -> torch.Tensor:
    return FIELD.sample(members, grid, seed=3)


def white(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("statistic", STATISTICS, ids=lambda s: s.name)
def test_sums_of_blocks_in_any_order_are_the_sum_of_the_whole(statistic):
    u = gaussian(range(24))
    stick = Yardstick.fit(u, GRID)
    whole = statistic.sum(u, stick)
    parts = [statistic.sum(u[i:j], stick) for i, j in ((11, 24), (0, 4), (4, 11))]
    assert whole[0] == 24
    torch.testing.assert_close(sum(parts), whole, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(statistic.sum(u.flip(0), stick), whole, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", SCORES)
def test_a_set_is_at_distance_zero_from_itself_and_from_its_permutation(name):
    u = gaussian(range(8))
    assert score(name, u, u, GRID) == 0
    assert score(name, u.flip(0), u, GRID) < 1e-12


@pytest.mark.parametrize("shift", [0.1, -0.7])
def test_w1_of_shifted_gaussians_is_the_shift(shift):
    u = white(64, 16, 16)
    assert score("w1", u + shift * u.std(correction=0), u, GRID) == pytest.approx(
        abs(shift), abs=2e-4
    )


def test_w1_of_gaussians_of_different_width_is_the_closed_form():
    a, b = white(256, 16, 16, seed=1), white(256, 16, 16, seed=2)
    # |s - 1| E|z|; the two sets themselves differ by about 1 / sqrt(their size)
    expected = 0.3 * math.sqrt(2 / math.pi)
    assert score("w1", 1.3 * a, b, GRID) == pytest.approx(expected, abs=4 / math.sqrt(b.numel()))


@pytest.mark.parametrize(
    "make",
    [
        lambda z: z,
        lambda z: z.exp(),  # a heavy tail
        lambda z: z.round(),  # atoms
        lambda z: torch.where(z > 2.5, 50 * z, 1e-3 * z),  # a narrow peak and rare large values
    ],
    ids=["normal", "lognormal", "atoms", "peak"],
)
def test_w1_agrees_with_scipy(make):
    b = make(white(64, 16, 16, seed=4))
    for a in (make(white(64, 16, 16, seed=5)), make(1.2 * white(64, 16, 16, seed=6) + 0.1)):
        exact = stats.wasserstein_distance(a.flatten(), b.flatten()) / b.std(correction=0).item()
        assert score("w1", a, b, GRID) == pytest.approx(exact, abs=1e-3 + 5e-3 * exact)


def test_gradient_w1_agrees_with_scipy_on_all_derivatives():
    b, a = gaussian(range(16)), 1.4 * gaussian(range(16, 32))
    da, db = (gradients(u, GRID).flatten() for u in (a, b))
    exact = stats.wasserstein_distance(da, db) / db.square().mean().sqrt().item()
    assert score("gradient_w1", a, b, GRID) == pytest.approx(exact, rel=1e-3)


@pytest.mark.parametrize("factor", [0.5, 10.0])
def test_the_log_spectral_distance_of_a_scaled_field_is_the_log_of_the_power(factor):
    u = gaussian(range(8))
    assert score("log_spectral_distance", factor * u, u, GRID) == pytest.approx(
        abs(2 * math.log10(factor)), rel=1e-9
    )


def test_shells_that_the_solver_dealiases_do_not_count():
    keep = GRID.resolved(2 / 3)
    u = GRID.ifft(GRID.fft(gaussian(range(16))) * keep)
    noisy = u + 1e-7 * white(16, 16, 16)
    lost = GRID.ifft(GRID.fft(u) * (shells(GRID) < 4))
    assert score("log_spectral_distance", noisy, u, GRID) < 1e-4
    assert score("log_spectral_distance", lost, u, GRID) > 1  # resolved ones do


def test_a_vorticity_is_scored_by_its_energy_spectrum():
    u = gaussian(range(8))
    stick = Yardstick.fit(u, GRID, energy=True)
    total = SPECTRUM.sum(u, stick)[1:].sum() / 8
    k2 = -GRID.laplacian()
    u_hat = GRID.fft((u - u.mean()) / u.std(correction=0))
    density = GRID.multiplicity() * u_hat.abs().square() / (2 * k2.clamp_min(1e-9))
    density[:, 0, 0] = 0
    assert total.item() == pytest.approx(density.sum().item() / 8, rel=1e-9)


def test_skewness_and_flatness_agree_with_scipy():
    a, b = white(32, 16, 16, seed=8).exp(), white(32, 16, 16, seed=9)
    skewness = abs(stats.skew(a.flatten()) - stats.skew(b.flatten()))
    flatness = abs(stats.kurtosis(a.flatten()) - stats.kurtosis(b.flatten()))
    assert score("skewness", a, b, GRID) == pytest.approx(skewness, rel=1e-8)
    assert score("flatness", a, b, GRID) == pytest.approx(flatness, rel=1e-8)
    da, db = (gradients(u, GRID).flatten() for u in (a, b))
    intermittency = abs(stats.kurtosis(da) - stats.kurtosis(db))
    assert score("gradient_flatness", a, b, GRID) == pytest.approx(intermittency, rel=1e-8)


def test_scores_have_no_units():
    a, b = white(16, 16, 16, seed=1).exp(), white(16, 16, 16, seed=2)
    for name in SCORES:
        scaled = score(name, 7 * a - 40, 7 * b - 40, GRID)
        assert scaled == pytest.approx(score(name, a, b, GRID), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("shape", [(32,), (8, 12), (6, 8, 10)])
def test_every_score_works_on_one_to_three_axes(shape):
    grid = Grid(shape)
    a, b = white(6, *shape, seed=1), 2 * white(6, *shape, seed=2)
    assert all(score(name, a, b, grid) > 0 for name in SCORES)


def test_whitening_gives_every_resolved_shell_the_same_power():
    u = gaussian(range(32)) + 5
    stick = Yardstick.fit(u, GRID)
    rows = SPECTRUM.rows(stick.whiten(u) * stick.deviation + stick.mean, stick)[:, 1:].mean(0)
    kept = rows[stick.resolved]
    torch.testing.assert_close(kept, kept[:1].expand_as(kept), rtol=1e-9, atol=0)
    assert stick.whiten(u).square().mean().item() == pytest.approx(1)


def test_the_distribution_function_counts_values():
    u = gaussian(range(4))
    stick = Yardstick.fit(u, GRID)
    row = VALUES.rows(u[:1], stick)[0, 7:]
    z = stick.standardise(u[:1]).flatten()
    for at in (0, 1000, 4096):
        assert row[at].item() == (z <= stick.points[at]).double().mean().item()
    assert SLOPES.rows(u, stick).shape == (4, 7 + 4097)


def test_a_yardstick_is_fitted_on_the_first_members_and_no_more(monkeypatch):
    u = gaussian(range(40))
    monkeypatch.setattr(yardstick, "FITTED", 16)
    stick, few = Yardstick.fit(u, GRID), Yardstick.fit(u[:16], GRID)
    assert stick.deviation == few.deviation
    assert torch.equal(stick.points, few.points)
    monkeypatch.setattr(yardstick, "NUMBERS", 3 * GRID.size)
    assert Yardstick.fit(u, GRID).deviation == Yardstick.fit(u[:3], GRID).deviation
    z = stick.standardise(u[:16]).flatten()
    exact = np.quantile(z, (np.arange(2048) / 2047)[[7, 1000, 2040]], method="median_unbiased")
    assert all((stick.points - x).abs().min() < 0.02 for x in exact)
    slopes = gradients(u[:16], GRID)
    assert stick.slope == pytest.approx(slopes.square().mean().sqrt().item(), rel=1e-12)


def test_mistakes_are_refused_in_one_sentence():
    u = gaussian(range(4))
    bad = u.clone()
    bad[2, 3, 3] = math.nan
    with pytest.raises(ValueError, match="NaN or infinity in member 2"):
        score("w1", bad, u, GRID)
    with pytest.raises(ValueError, match=r"expected members of shape \(member, 16, 16\), got"):
        score("w1", u[:, :8], u, GRID)
    with pytest.raises(ValueError, match="expected one of log_spectral_distance, w1"):
        score("w2", u, u, GRID)
    with pytest.raises(ValueError, match="expected solver members that vary in space"):
        score("w1", u, torch.ones(4, 16, 16), GRID)
