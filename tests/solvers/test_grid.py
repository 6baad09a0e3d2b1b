"""Transforms, derivatives and resampling of `Grid`, in one to three dimensions."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pushforward.solvers import Grid
from pushforward.solvers.grid import crop

even = st.integers(2, 8).map(lambda n: 2 * n)
shapes = st.lists(even, min_size=1, max_size=3).map(tuple)
quick = settings(max_examples=20, deadline=None, derandomize=True)
SHAPES = [(16,), (8, 12), (12, 8), (4, 6, 8)]


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
