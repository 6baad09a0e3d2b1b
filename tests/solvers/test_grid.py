"""Transforms, derivatives and resampling of `Grid`, in one to three dimensions."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import fft

from pushforward.solvers import Grid, cosine
from pushforward.solvers.grid import crop

even = st.integers(2, 8).map(lambda n: 2 * n)
shapes = st.lists(even, min_size=1, max_size=3).map(tuple)
quick = settings(max_examples=20, deadline=None, derandomize=True)
SHAPES = [(16,), (8, 12), (12, 8), (4, 6, 8)]
any_shapes = st.lists(st.integers(4, 13), min_size=1, max_size=3).map(tuple)
WALLS = [Grid((9,), (2.0,), "neumann"), Grid((6, 11), (0.5, 1.5), "neumann")]
WALLS += [Grid((4, 5, 6), (1.0, 2.0, 3.0), "neumann")]


def band_limited(grid: Grid, waves: int, seed: int = 0) -> torch.Tensor:
    """A random field with |k_i| <= waves, its coefficients the same on every grid."""
    small = Grid((2 * waves + 2,) * grid.ndim, grid.extent)
    noise = torch.randn(small.shape, generator=torch.Generator().manual_seed(seed)).double()
    return small.resample(small.ifft(small.fft(noise) * small.resolved()), grid)


@given(shape=shapes, seed=st.integers(0, 99))
@quick
def test_transform_inverts_and_keeps_the_mean_square(shape: tuple[int, ...], seed: int) -> None:
    grid = Grid(shape, tuple(1.0 + axis for axis in range(len(shape))))
    u = torch.randn(3, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    u_hat = grid.fft(u)
    torch.testing.assert_close(grid.ifft(u_hat), u, rtol=0, atol=1e-13)
    power = (u_hat.abs().square() * grid.multiplicity()).sum(grid.axes)
    torch.testing.assert_close(power, u.square().mean(grid.axes), rtol=1e-12, atol=0)


@given(shape=shapes)
@quick
def test_multiplicity_counts_every_wave_of_the_full_spectrum(shape: tuple[int, ...]) -> None:
    assert Grid(shape).multiplicity().sum().item() == math.prod(shape)


@pytest.mark.parametrize("shape", SHAPES)
def test_derivative_of_a_mode_on_a_box_of_any_size(shape: tuple[int, ...]) -> None:
    grid = Grid(shape, tuple(0.5 + axis for axis in range(len(shape))))
    points = torch.meshgrid(*grid.coordinates(), indexing="ij")
    for axis, (x, length) in enumerate(zip(points, grid.extent, strict=True)):
        kappa = 2 * math.pi / length
        u_hat = grid.fft(torch.sin(kappa * x))
        torch.testing.assert_close(
            grid.ifft(grid.gradient()[axis] * u_hat), kappa * torch.cos(kappa * x)
        )
        torch.testing.assert_close(
            grid.ifft(grid.laplacian() * u_hat), -(kappa**2) * torch.sin(kappa * x)
        )


def test_derivative_leaves_the_nyquist_wave_out() -> None:
    grid = Grid((8, 8))
    y, x = grid.coordinates()
    zigzag = torch.cos(4 * y)[:, None] * torch.cos(x)
    assert grid.ifft(grid.gradient()[0] * grid.fft(zigzag)).abs().max() < 1e-14
    assert grid.ifft(grid.gradient()[1] * grid.fft(zigzag)).abs().max() > 0.5


@pytest.mark.parametrize("shape", SHAPES)
def test_resampling_up_and_down_returns_the_field(shape: tuple[int, ...]) -> None:
    coarse, fine = Grid(shape), Grid(tuple(2 * n + 4 for n in shape))
    noise = torch.randn(2, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    u = coarse.ifft(coarse.fft(noise) * coarse.resolved())
    there = coarse.resample(u, fine)
    torch.testing.assert_close(fine.resample(there, coarse), u, rtol=0, atol=1e-13)
    assert there.square().mean().item() == pytest.approx(u.square().mean().item(), rel=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_resampling_interpolates_at_shared_points(shape: tuple[int, ...]) -> None:
    coarse, fine = Grid(shape), Grid(tuple(2 * n for n in shape))
    u = band_limited(coarse, 1)
    every_second = (slice(None, None, 2),) * len(shape)
    torch.testing.assert_close(coarse.resample(u, fine)[every_second], u, rtol=0, atol=1e-14)


def test_resampling_works_axis_by_axis() -> None:
    source, target = Grid((16, 8)), Grid((8, 20))  # down on one axis, up on the other
    torch.testing.assert_close(
        source.resample(band_limited(source, 2), target), band_limited(target, 2)
    )


def test_crop_drops_what_the_target_lacks() -> None:
    source, target = Grid((16, 16)), Grid((8, 8))
    y, x = source.coordinates()
    lost = torch.cos(6 * y)[:, None] * torch.cos(x)
    held = torch.sin(-3 * y)[:, None] * torch.cos(2 * x)
    kept = crop(source.fft(lost + held), source, target)
    torch.testing.assert_close(kept, target.fft(held[::2, ::2]), rtol=0, atol=1e-15)


def test_two_thirds_rule_keeps_products_free_of_aliases() -> None:
    for n in (12, 16, 18, 20):
        grid = Grid((n,))
        largest = int(grid.integers()[0][grid.resolved(2 / 3)].max())
        assert n - 2 * largest > largest  # the alias of the product's highest wave is cut
        assert 3 * (largest + 1) >= n  # and no wave is cut without need


@pytest.mark.parametrize(
    ("shape", "extent", "message"),
    [
        ((7,), (), "even grid sizes"),
        ((8, 9), (), "even grid sizes"),
        ((2, 8), (), "at least 4"),
        ((), (), "1 to 3 axes"),
        ((4, 4, 4, 4), (), "1 to 3 axes"),
        ((8, 8), (1.0,), "2 positive side lengths"),
        ((8,), (-1.0,), "1 positive side lengths"),
        ((8, 0), (), "at least 4"),
    ],
)
def test_bad_grids_are_refused(
    shape: tuple[int, ...], extent: tuple[float, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Grid(shape, extent)


def test_misplaced_axes_and_other_boxes_are_refused() -> None:
    grid = Grid((8, 8))
    with pytest.raises(ValueError, match="put the grid's axes last"):
        grid.fft(torch.zeros(8, 8, 1))
    with pytest.raises(ValueError, match="same box"):
        grid.resample(torch.zeros(8, 8), Grid((8, 8), (1.0, 1.0)))
    with pytest.raises(ValueError, match="neumann"):
        grid.resample(torch.zeros(8, 8), Grid((16, 16), boundary="neumann"))


def test_bad_boxes_with_walls_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 4"):
        Grid((3, 9), boundary="neumann")
    grid = Grid((5, 7), boundary="neumann")
    with pytest.raises(ValueError, match="expected a periodic grid for derivatives"):
        grid.gradient()
    object.__setattr__(grid, "boundary", "dirichlet")  # past the type checker of the tests
    with pytest.raises(ValueError, match="periodic or neumann, got 'dirichlet'; choose one"):
        grid.__post_init__()


@given(shape=any_shapes, seed=st.integers(0, 99))
@quick
def test_cosine_coefficients_are_scipys_and_keep_the_mean_square(
    shape: tuple[int, ...], seed: int
) -> None:
    grid = Grid(shape, tuple(1.0 + axis for axis in range(len(shape))), "neumann")
    u = torch.randn(3, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    u_hat = grid.fft(u)
    scipys = torch.as_tensor(fft.dctn(u.numpy(), type=2, axes=grid.axes, norm="ortho"))
    torch.testing.assert_close(u_hat, scipys / math.sqrt(grid.size), rtol=0, atol=1e-14)
    torch.testing.assert_close(grid.ifft(u_hat), u, rtol=0, atol=1e-13)
    power = (u_hat.square() * grid.multiplicity()).sum(grid.axes)
    torch.testing.assert_close(power, u.square().mean(grid.axes), rtol=1e-12, atol=0)


@pytest.mark.parametrize("n", [4, 5, 6, 7, 12, 33])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_long_axes_have_the_same_transform_as_short_ones(n: int, dtype: torch.dtype) -> None:
    u = torch.randn(2, n, 5, dtype=dtype, generator=torch.Generator().manual_seed(n))
    kept = (n - 1, 3)
    by_table, by_fft = (cosine.analyse(u, kept, table) for table in (1000, 0))
    assert by_fft.dtype == dtype
    tolerance = {"rtol": 0, "atol": 40 * torch.finfo(dtype).eps}
    torch.testing.assert_close(by_table, by_fft, **tolerance)
    back = [cosine.synthesise(by_table, (n, 5), table) for table in (1000, 0)]
    torch.testing.assert_close(*back, **tolerance)
    assert (back[0] - u).abs().max() > 0.1  # the waves left out


@pytest.mark.parametrize("grid", WALLS, ids=str)
def test_waves_between_walls_are_eigenfunctions_without_flux(grid: Grid) -> None:
    points = torch.meshgrid(*grid.coordinates(), indexing="ij")
    for axis, (x, length, n) in enumerate(zip(points, grid.extent, grid.shape, strict=True)):
        assert x.min() == pytest.approx(length / n / 2)
        assert x.max() == pytest.approx(length - length / n / 2)
        kappa = 3 * math.pi / length
        wave = torch.cos(kappa * x)
        u_hat = grid.fft(wave)
        at = [0] * grid.ndim
        at[axis] = 3
        assert u_hat[tuple(at)] == pytest.approx(math.sqrt(0.5))
        assert u_hat.abs().sum() == pytest.approx(math.sqrt(0.5))
        torch.testing.assert_close(grid.ifft(grid.laplacian() * u_hat), -(kappa**2) * wave)
        assert grid.wavenumbers()[axis].flatten()[3] == pytest.approx(kappa)
    assert grid.spectral_shape == grid.shape
    assert grid.multiplicity().sum() == grid.size
    assert bool((grid.half_plane() == 1).all())
    assert bool(grid.resolved().all())


@pytest.mark.parametrize("grid", WALLS, ids=str)
def test_resampling_between_walls_keeps_the_function(grid: Grid) -> None:
    fine = Grid(tuple(3 * n for n in grid.shape), grid.extent, "neumann")
    u = torch.randn(2, *grid.shape, generator=torch.Generator().manual_seed(1)).double()
    there = grid.resample(u, fine)
    shared = (..., *[slice(1, None, 3)] * grid.ndim)  # middles of every third cell
    torch.testing.assert_close(there[shared], u, rtol=0, atol=1e-13)
    torch.testing.assert_close(fine.resample(there, grid), u, rtol=0, atol=1e-13)
    assert there.square().mean().item() == pytest.approx(u.square().mean().item(), rel=1e-12)


def test_two_thirds_rule_keeps_products_between_walls_free_of_aliases() -> None:
    for n in (9, 12, 16, 19):
        grid = Grid((n,), boundary="neumann")
        largest = int(grid.integers()[0][grid.resolved(2 / 3)].max())
        e = torch.zeros(n).double()
        e[largest] = 1
        product = grid.fft(grid.ifft(e) ** 2)
        kept = product * grid.resolved(2 / 3)
        # cos^2 = (1 + cos of twice the wave) / 2: the second part folds beyond the cut
        assert kept.abs().sum() == pytest.approx(1.0, abs=1e-12)
        assert product.abs().sum() > 1.5
        assert 3 * (largest + 1) >= 2 * n  # and no wave is cut without need
