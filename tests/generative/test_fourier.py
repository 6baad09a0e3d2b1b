"""The Fourier basis: inverse pairs, unit variance, correlated channels, addresses, any grid."""

from __future__ import annotations

import math

import pytest
import torch

from pushforward.generative.fourier import FourierBasis
from pushforward.solvers import GaussianField, Grid, Use, diagnostics

FIELD = GaussianField.matern(3.0, 0.5, deviation=2.0, cutoff=5)
GRIDS = [Grid((32,)), Grid((16, 20), (2.0, 2.0)), Grid((12, 12, 12))]
PINNED = [
    -2.2384791374206543,
    0.0,
    -0.1025310754776001,
    -1.1696457862854004,
    0.4662180542945862,
    -1.3205524682998657,
]
EACH = pytest.mark.parametrize("grid", GRIDS, ids=lambda grid: str(grid.shape))


def draws(grid: Grid, count: int = 200, seed: int = 0) -> torch.Tensor:
    return FIELD.sample(range(count), grid, seed)[:, None]


def mixed(grid: Grid, count: int = 400, seed: int = 0) -> torch.Tensor:
    """Two channels whose correlation depends on the scale."""
    a, b = FIELD.sample(range(count), grid, seed), FIELD.sample(range(count), grid, seed + 1000)
    smooth = grid.ifft(grid.fft(a) * torch.exp(grid.laplacian() / 4))
    return torch.stack([a, 3 * smooth + 0.5 * b], 1)


@EACH
def test_synthesis_undoes_analysis(grid: Grid) -> None:
    u = draws(grid) + 3.0
    basis = FourierBasis.fit(u, grid)
    x = basis.analyse(u, grid)
    assert x.shape == (200, 1, 2 * len(basis.waves))
    torch.testing.assert_close(basis.synthesise(x, grid), u, rtol=0, atol=1e-10)
    z = basis.noise(0, Use.PRIOR, range(4)).double()
    torch.testing.assert_close(
        basis.analyse(basis.synthesise(z, grid), grid), z, atol=1e-9, rtol=0
    )


@EACH
def test_plain_coefficients_are_orthonormal(grid: Grid) -> None:
    u = draws(grid)
    basis = FourierBasis.fit(u, grid)
    raw = basis.read(u, grid)
    torch.testing.assert_close(raw.square().sum(-1), u.square().mean(grid.axes))
    torch.testing.assert_close(basis.place(raw, grid), u, rtol=0, atol=1e-12)


def unit(x: torch.Tensor, basis: FourierBasis) -> bool:
    """Whether every shell's mean square is within 4 standard errors of 1."""
    mask = basis.mask.double()
    count = basis.shell_sum(mask)
    power = basis.shell_sum(x.double().square().mean(0) * mask) / count.clamp_min(1)
    limit = 4 * (2 / (len(x) * count.clamp_min(1))).sqrt()
    return bool(((power - 1).abs() < limit)[count > 0].all())


@EACH
def test_other_draws_have_unit_variance_on_every_shell(grid: Grid) -> None:
    basis = FourierBasis.fit(draws(grid, 1500), grid)
    x = basis.analyse(draws(grid, 150, seed=1), grid)
    assert unit(x, basis)
    wrong = GaussianField.matern(4.0, 0.5, deviation=2.0, cutoff=5)
    y = basis.analyse(wrong.sample(range(150), grid, seed=1)[:, None], grid)
    assert not unit(y, basis)


def test_the_fitted_fields_have_unit_variance_exactly() -> None:
    grid = GRIDS[1]
    u = mixed(grid)
    basis = FourierBasis.fit(u, grid)
    x = basis.analyse(u, grid) * basis.mask
    count = basis.shell_sum(basis.mask.double())
    power = basis.shell_sum(x.square().mean(0))
    torch.testing.assert_close(power, count, rtol=1e-9, atol=0)


def correlations(x: torch.Tensor, basis: FourierBasis) -> torch.Tensor:
    """The correlation of the two channels on each shell, in standard errors."""
    both = (basis.mask[0] & basis.mask[1]).to(x)
    count = basis.shell_sum(both)
    error = (len(x) * count.clamp_min(1)).rsqrt()
    product = basis.shell_sum((x[:, 0] * x[:, 1]).mean(0) * both) / count.clamp_min(1)
    power = basis.shell_sum(x.square().mean(0) * both) / count.clamp_min(1)
    return (product / power.prod(0).clamp_min(1e-30).sqrt() / error)[count > 0]


def test_correlated_channels_become_uncorrelated() -> None:
    grid = GRIDS[1]
    basis = FourierBasis.fit(mixed(grid, 4000), grid)
    u = mixed(grid, 300, seed=7)
    x = basis.analyse(u, grid)
    assert correlations(x, basis).abs().max() < 4
    assert unit(x, basis)
    raw = basis.read(u, grid)
    assert correlations(raw, basis).abs().max() > 10  # negative control: before whitening
    torch.testing.assert_close(basis.synthesise(x, grid), u, rtol=0, atol=1e-9)


def test_perfectly_correlated_channels_are_one_degree_of_freedom() -> None:
    grid = GRIDS[0]
    a = draws(grid)
    u = torch.cat([a, 2 * a], 1)
    basis = FourierBasis.fit(u, grid)
    assert basis.mask[0].any()
    assert not basis.mask[1].any()
    torch.testing.assert_close(
        basis.synthesise(basis.analyse(u, grid), grid), u, atol=1e-9, rtol=0
    )


def test_constant_channel_is_all_mean() -> None:
    grid = GRIDS[0]
    a = draws(grid)
    u = torch.cat([a, torch.full_like(a, 3.0)], 1)
    basis = FourierBasis.fit(u, grid)
    assert not basis.mask[1].any()
    assert torch.isfinite(basis.log_variance).all()
    v = basis.synthesise(basis.noise(0, Use.PRIOR, range(3)), grid)
    torch.testing.assert_close(v[:, 1], torch.full_like(v[:, 1], 3.0))


def test_floor_drops_waves_without_variance() -> None:
    grid = Grid((24, 24))
    rough = GaussianField.matern(2.0, 0.5, mean=False).sample(range(300), grid)
    cut = grid.ifft(grid.fft(rough) * grid.resolved(2 / 3))[:, None]
    noise = 1e-8 * torch.randn(cut.shape, generator=torch.Generator().manual_seed(0)).double()
    basis = FourierBasis.fit(cut + noise, grid, floor=1e-9)
    assert basis.waves.abs().max() == 7  # the largest wave below 2/3 of 12
    kept = basis.mask.sum().item()
    assert kept == 15 * 15 - 1  # pairs of a half plane, no constant
    x = basis.noise(0, Use.PRIOR, range(3))
    beyond = grid.fft(basis.synthesise(x, grid)).abs() * ~grid.resolved(2 / 3)
    assert beyond.max() < 1e-7
    assert len(FourierBasis.fit(cut + noise, grid, floor=1e-30).waves) > len(basis.waves)


def test_only_a_significant_mean_is_kept() -> None:
    grid = Grid((32,))
    centred = GaussianField.matern(3.0, 0.5, deviation=1.0, cutoff=5).sample(range(100), grid)
    assert FourierBasis.fit(centred[:, None], grid).mean.abs().max() == 0
    profile = 0.7 + 2 * torch.sin(3 * grid.coordinates()[0])
    basis = FourierBasis.fit((centred + profile)[:, None], grid)
    zero = torch.zeros(1, *basis.mean.shape, dtype=torch.float64)
    average = basis.synthesise(zero, grid)[0, 0]
    assert (average - profile).abs().max() < 1.0 < profile.abs().max()
    assert int((basis.mean != 0).sum()) <= 3


def test_translation_is_rolling() -> None:
    grid = GRIDS[1]
    u = mixed(grid, 50)
    basis = FourierBasis.fit(u, grid)
    x = basis.analyse(u, grid)
    steps = [(3, 0), (0, -4), (5, 7), (16, 20)]
    for number, (dy, dx) in enumerate(steps):
        shift = torch.tensor([[dy / 16, dx / 20]])
        moved = basis.translate(x[number][None], shift)
        expected = basis.analyse(u[number].roll((dy, dx), (-2, -1)), grid)[None]
        # the fitted mean stays where it is: it is the mean of all translates
        torch.testing.assert_close(moved, expected, rtol=0, atol=1e-6)
    half = torch.full((50, 2), 0.5 / 16)
    there = basis.translate(x, half)
    torch.testing.assert_close(basis.translate(there, -half), x, rtol=0, atol=1e-6)
    assert (there - x).abs().max() > 0.1
    torch.testing.assert_close(there.square().sum(-1), x.square().sum(-1))


def test_noise_is_addressed_by_member_channel_and_wave() -> None:
    grid = GRIDS[1]
    basis = FourierBasis.fit(mixed(grid), grid)
    noise = basis.noise(3, Use.CHURN, range(6), 2)
    assert noise.dtype == torch.float32
    assert torch.equal(basis.noise(3, Use.CHURN, [5, 1], 2), noise[[5, 1]])
    for other in (
        basis.noise(4, Use.CHURN, range(6), 2),
        basis.noise(3, Use.PRIOR, range(6), 2),
        basis.noise(3, Use.CHURN, range(6), 3),
        basis.noise(3, Use.CHURN, range(6, 12), 2),
        noise.flip(1),
    ):
        assert not ((other == noise) & (noise != 0)).any()
    few = FourierBasis.fit(mixed(Grid((8, 8), grid.extent)), Grid((8, 8), grid.extent))
    at = [basis.waves.tolist().index(wave) for wave in few.waves.tolist()]
    pairs = noise.unflatten(-1, (-1, 2))[:, :, at]
    both = few.mask & basis.mask.unflatten(-1, (-1, 2))[:, at].flatten(1)
    assert (both.sum(1) > 20).all()
    small = few.noise(3, Use.CHURN, range(6), 2)
    assert torch.equal(small * both, pairs.flatten(-2) * both)


def test_noise_is_white_where_kept_and_zero_where_dropped() -> None:
    grid = GRIDS[1]
    basis = FourierBasis.fit(mixed(grid), grid)
    noise = basis.noise(0, Use.PRIOR, range(500))
    assert unit(noise, basis)
    assert not unit(1.1 * noise, basis)
    assert correlations(noise, basis).abs().max() < 4
    assert (noise * ~basis.mask).abs().max() == 0


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_coefficients_do_not_depend_on_the_resolution(ndim: int) -> None:
    coarse, fine = (Grid((n,) * ndim) for n in ((32, 64) if ndim < 3 else (12, 16)))
    u, v = (draws(grid, 100) for grid in (coarse, fine))
    a, b = FourierBasis.fit(u, coarse), FourierBasis.fit(v, fine)
    assert torch.equal(a.waves, b.waves)
    assert torch.equal(a.mask, b.mask)
    x = a.analyse(u, coarse)
    torch.testing.assert_close(b.analyse(v, fine), x, rtol=0, atol=1e-9)
    torch.testing.assert_close(a.analyse(v, fine), x, rtol=0, atol=1e-9)
    torch.testing.assert_close(a.synthesise(x, fine), v, rtol=0, atol=1e-10)
    torch.testing.assert_close(a.log_variance, b.log_variance)


def test_a_grid_too_coarse_shows_what_it_can() -> None:
    fine, coarse = Grid((32, 32)), Grid((6, 8))
    u = draws(fine, 50)
    basis = FourierBasis.fit(u, fine)
    x = basis.analyse(u, fine)
    shown = basis.synthesise(x, coarse)
    torch.testing.assert_close(shown, fine.resample(u, coarse), rtol=0, atol=1e-10)
    resolved = (basis.waves.abs() < torch.tensor([3, 4])).all(1).repeat_interleave(2)
    seen = basis.read(shown, coarse)
    torch.testing.assert_close(seen, basis.read(u, fine) * resolved, rtol=0, atol=1e-10)


def test_spectrum_and_scale_are_those_of_the_data() -> None:
    grid = Grid((32, 32))
    basis = FourierBasis.fit(draws(grid, 2000), grid)
    assert basis.log_variance.exp()[basis.mask].sum().item() == pytest.approx(1, rel=1e-12)
    assert basis.scale.item() == pytest.approx(2.0, rel=4 / math.sqrt(2 * 2000 * 5))
    symbol, count = (
        diagnostics.shell_sums(density, grid)
        for density in (FIELD.symbol(grid), (FIELD.symbol(grid) > 0).double())
    )
    theory = torch.log(symbol / count)[basis.shell] - math.log(4.0)  # of a variance of 2^2
    total = (
        2 * (symbol**2 / count.clamp_min(1)).sum() / 2000 / 4.0**2
    )  # the squared error of log scale^2
    error = (2 / (2000 * count[basis.shell]) + total).sqrt()
    gap = (basis.log_variance[0] - theory).abs()[basis.mask[0]]
    assert (gap < 4 * error[basis.mask[0]]).all()
    assert not (gap + 0.2 < 4 * error[basis.mask[0]]).all()


def test_working_grid_holds_every_kept_wave() -> None:
    grid = Grid((64, 48))
    basis = FourierBasis.fit(draws(grid, 50), grid)
    for oversampling in (1.0, 1.5, 2.0):
        small = basis.working_grids(oversampling)[-1]
        assert all(n > oversampling * 10 for n in small.shape)
        x = basis.noise(0, Use.PRIOR, [0]).double()
        torch.testing.assert_close(
            basis.analyse(basis.synthesise(x, small), small), x, rtol=0, atol=1e-10
        )


def test_held_is_what_a_grid_shows() -> None:
    fine, coarse = Grid((32, 32)), Grid((6, 8))
    basis = FourierBasis.fit(draws(fine, 50), fine)
    held = basis.held(coarse)
    assert held.shape == basis.shell.shape
    x = basis.noise(0, Use.PRIOR, [0]).double()
    seen = basis.read(basis.place(x, coarse), coarse)
    torch.testing.assert_close(seen, x * held, rtol=0, atol=1e-12)
    assert 0 < held.sum() < len(held)


def test_draws_are_what_they_have_always_been() -> None:
    """Pinned numbers: stored surrogates must draw the members they drew."""
    grid = Grid((8, 8))
    u = GaussianField.matern(3.0, 0.5, cutoff=2).sample(range(32), grid)[:, None]
    basis = FourierBasis.fit(u, grid)
    assert basis.waves.tolist()[:5] == [[0, 0], [0, 1], [1, 0], [-1, 1], [1, 1]]
    noise = basis.noise(3, Use.PRIOR, [7])[0, 0, :6].tolist()
    assert noise == PINNED
    assert basis.noise(3, Use.PRIOR, [8])[0, 0, :6].tolist() != PINNED


def test_fields_that_cannot_be_fitted_are_refused() -> None:
    grid = Grid((8, 8))
    broken = draws(grid, 3)
    broken[1, 0, 0, 0] = math.nan
    with pytest.raises(ValueError, match="1 non-finite values; remove those members"):
        FourierBasis.fit(broken, grid)
    with pytest.raises(ValueError, match="at least 2 finite fields"):
        FourierBasis.fit(draws(grid, 1), grid)
    with pytest.raises(ValueError, match="fields that vary"):
        FourierBasis.fit(torch.ones(4, 1, 8, 8), grid)
    basis = FourierBasis.fit(draws(grid, 20), grid)
    with pytest.raises(ValueError, match="keep the box"):
        basis.analyse(torch.zeros(1, 8, 8), Grid((8, 8), (1.0, 1.0)))
