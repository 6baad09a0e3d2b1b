"""The pixel basis: one covariance, means per point or in common, rolling, dead points."""

from __future__ import annotations

import torch

from pushforward.generative.pixel import PixelBasis
from pushforward.solvers import Grid, Use

GRID = Grid((8, 12))


def white(count: int, seed: int = 0, channels: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, channels, *GRID.shape, generator=generator, dtype=torch.float64)


def test_coefficients_are_values() -> None:
    basis = PixelBasis.fit(white(60), GRID)
    u = white(3, seed=1)
    torch.testing.assert_close(basis.read(u, GRID), u.flatten(2) / 96**0.5)
    position = basis.modes.position
    assert position is not None
    assert position[0].tolist() == [1 / 16, 1 / 24]
    assert position[13].tolist() == [3 / 16, 3 / 24]
    torch.testing.assert_close(
        basis.modes.log_variance.exp(), torch.full((1, 96), 1 / 96).double()
    )


def test_the_mean_is_each_points_own_if_points_differ() -> None:
    profile = torch.linspace(-3, 5, 12).double()
    basis = PixelBasis.fit(white(400) + profile, GRID)
    average = basis.place(basis.mean, GRID)[0]
    assert (average - profile).abs().max() < 5 / 400**0.5  # the largest of 96 errors
    assert not basis.homogeneous
    level = PixelBasis.fit(white(400) + 5, GRID)
    assert level.homogeneous
    torch.testing.assert_close(level.place(level.mean, GRID)[0, 0, 0], (white(400) + 5).mean())
    # a common swing of all points moves their means together, which is no sign of a profile
    swing = torch.linspace(-9, 9, 400).double()[:, None, None, None]
    assert PixelBasis.fit(white(400) + swing, GRID).homogeneous


def test_translation_is_rolling() -> None:
    u = white(4, channels=2)
    basis = PixelBasis.fit(white(60, seed=1, channels=2), GRID)
    steps = [(3, 0), (0, -4), (5, 7), (8, 12)]
    shift = torch.tensor([[dy / 8, dx / 12] for dy, dx in steps])
    moved = basis.translate(basis.analyse(u, GRID), shift)
    for number, step in enumerate(steps):
        wanted = basis.analyse(u[number].roll(step, (-2, -1)), GRID)
        torch.testing.assert_close(moved[number], wanted, rtol=0, atol=1e-12)
    near = basis.translate(basis.analyse(u, GRID), shift + 0.03)
    torch.testing.assert_close(near, moved, rtol=0, atol=1e-12)
    assert (moved[0] - basis.analyse(u, GRID)[0]).abs().max() > 0.1


def test_points_that_never_vary_are_dropped() -> None:
    u = white(60, channels=2)
    u[:, :, 0] = 4.0
    basis = PixelBasis.fit(u, GRID)
    assert basis.dimensions == 2 * 84
    assert not basis.mask[:, :12].any()
    v = basis.synthesise(basis.noise(0, Use.PRIOR, range(2)).double(), GRID)
    torch.testing.assert_close(v[:, :, 0], torch.full((2, 2, 12), 4.0).double())
    torch.testing.assert_close(basis.synthesise(basis.analyse(u, GRID), GRID), u)
    # dequantised images vary a little everywhere, and have a density only if all points are kept
    faint = u + 1e-3 * white(60, seed=3, channels=2)
    assert PixelBasis.fit(faint, GRID).dimensions == 2 * 96


def test_spread_is_the_map_itself() -> None:
    basis = PixelBasis.fit(white(60), GRID)
    values = white(2, seed=5)
    assert torch.equal(basis.spread(values.flatten(2), GRID), values)
