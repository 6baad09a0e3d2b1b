"""The Haar basis: explicit wavelets, halved and repeated grids, maps over space, levels."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pushforward.generative.haar import HaarBasis
from pushforward.solvers import Grid, Use

GRIDS = [Grid((24,)), Grid((16, 8)), Grid((8, 4, 12))]
EACH = pytest.mark.parametrize("grid", GRIDS, ids=lambda grid: str(grid.shape))


def white(grid: Grid, count: int, seed: int = 0, channels: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    shape = (count, channels, *grid.shape)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def wavelets(shape: tuple[int, ...], depth: int) -> np.ndarray:
    """All functions of the basis (N, *shape), each written down by itself."""
    coarsest = [n >> depth for n in shape]
    functions = []
    for level in range(depth + 1):
        blocks = [n << max(level - 1, 0) for n in coarsest]
        kinds = [0] if level == 0 else range(1, 1 << len(shape))
        for kind in kinds:
            for block in np.ndindex(*blocks):
                parts = []
                for axis, (n, count, at) in enumerate(zip(shape, blocks, block, strict=True)):
                    part, width = np.zeros(n), n // count
                    part[at * width : (at + 1) * width] = 1
                    if kind >> (len(shape) - 1 - axis) & 1:
                        part[at * width + width // 2 : (at + 1) * width] = -1
                    parts.append(part * math.sqrt(count))
                function = parts[0]
                for part in parts[1:]:
                    function = np.multiply.outer(function, part)
                functions.append(function)
    return np.stack(functions)


@EACH
def test_coefficients_are_those_of_explicit_wavelets(grid: Grid) -> None:
    basis = HaarBasis.fit(white(grid, 30), grid)
    e = torch.from_numpy(wavelets(grid.shape, basis.depth)).flatten(1)
    assert len(e) == grid.size
    u = white(grid, 4, seed=1)
    wanted = u.flatten(2) @ e.T / grid.size
    torch.testing.assert_close(basis.read(u, grid), wanted, rtol=0, atol=1e-13)
    z = basis.noise(0, Use.PRIOR, range(3)).double()
    torch.testing.assert_close(basis.place(z, grid).flatten(2), z @ e, rtol=0, atol=1e-12)
    # each wavelet's middle, from where its square is
    share = e.square() / e.square().sum(1, keepdim=True)
    position = basis.modes.position
    assert position is not None
    for axis, n in enumerate(grid.shape):
        view = [1] * grid.ndim
        view[axis] = n
        x = ((torch.arange(n).double() + 0.5) / n).view(view).expand(grid.shape)
        torch.testing.assert_close(position[:, axis].double(), share @ x.flatten())


@EACH
def test_halved_grids_see_means_and_finer_ones_repeat(grid: Grid) -> None:
    basis = HaarBasis.fit(white(grid, 30), grid)
    z = basis.noise(0, Use.PRIOR, range(3)).double()
    u = basis.place(z, grid)
    fine = Grid(tuple(2 * n for n in grid.shape), grid.extent)
    v = basis.place(z, fine)
    for axis in grid.axes:
        assert torch.equal(
            v.index_select(axis, torch.arange(0, v.shape[axis], 2)).repeat_interleave(2, axis), v
        )
    torch.testing.assert_close(basis.read(v, fine), z, rtol=0, atol=1e-12)
    half = Grid((12,)) if grid.ndim == 1 else Grid((8, 4)) if grid.ndim == 2 else None
    if half is None:
        return
    mean = u
    for axis in grid.axes:
        mean = mean.unflatten(axis, (-1, 2)).mean(axis)
    torch.testing.assert_close(basis.place(z, half), mean, rtol=0, atol=1e-12)
    held = basis.held(half)
    assert held.sum() == half.size
    seen = basis.read(mean, half)
    torch.testing.assert_close(seen, z * held, rtol=0, atol=1e-12)


def test_other_grids_are_refused() -> None:
    grid = Grid((16, 8))
    basis = HaarBasis.fit(white(grid, 30), grid)
    z = basis.noise(0, Use.PRIOR, [0])
    assert basis.place(z, Grid((48, 8))).shape == (1, 1, 48, 8)
    for shape in ((16, 4), (12, 8), (20, 10)):
        with pytest.raises(ValueError, match="halved up to 3 times or multiplied"):
            basis.place(z, Grid(shape))
        with pytest.raises(ValueError, match="halved up to 3 times or multiplied"):
            basis.held(Grid(shape))


def test_coarse_coefficients_are_the_same_on_finer_grids() -> None:
    coarse, fine = Grid((8, 16)), Grid((16, 32))
    v = white(fine, 40, channels=2)
    u = v.unflatten(-1, (-1, 2)).mean(-1).unflatten(-2, (-1, 2)).mean(-2)
    a, b = HaarBasis.fit(u, coarse), HaarBasis.fit(v, fine)
    n = coarse.size
    torch.testing.assert_close(b.read(v, fine)[..., :n], a.read(u, coarse))
    torch.testing.assert_close(b.analyse(v, fine)[..., :n], a.analyse(u, coarse))
    noise = b.noise(1, Use.PRIOR, range(4))
    assert torch.equal(noise[..., :n], a.noise(1, Use.PRIOR, range(4)))


def test_levels_can_be_chosen() -> None:
    grid = Grid((16, 24))
    two = HaarBasis.fit(white(grid, 30), grid, levels=2)
    assert torch.bincount(two.shell).tolist() == [24, 72, 288]
    assert HaarBasis.fit(white(grid, 30), grid).depth == 3
    for levels in (0, 4):
        with pytest.raises(ValueError, match=f"1 to 3 levels .* got {levels}"):
            HaarBasis.fit(white(grid, 30), grid, levels=levels)


def test_spread_averages_levels_over_their_blocks() -> None:
    grid = Grid((4, 8))
    basis = HaarBasis.fit(white(grid, 30), grid, levels=2)
    values = torch.zeros(1, 1, grid.size)
    values[..., basis.shell == 0] = torch.tensor([3.0, 6.0])  # 1 x 2 blocks
    one = (basis.shell == 1).nonzero()[:, 0]
    values[..., one[0]] = 3.0  # one of three orientations, the left block
    two = (basis.shell == 2).nonzero()[:, 0]
    values[..., two[7]] = 9.0  # the first orientation of block (1, 3) of 2 x 4
    wanted = torch.zeros(4, 8)
    wanted[:, :4] = (3 + 1) / 3
    wanted[:, 4:] = 6 / 3
    wanted[2:, 6:] += 3 / 3
    torch.testing.assert_close(basis.spread(values, grid)[0, 0], wanted)
    fine = basis.spread(values, Grid((8, 16)))[0, 0]
    torch.testing.assert_close(fine[::2, ::2], wanted)


def test_white_noise_has_one_variance_on_all_levels() -> None:
    grid = Grid((16, 16))
    basis = HaarBasis.fit(2 * white(grid, 1000), grid)
    count = 1000 * basis.shell_sum(basis.mask[0].double())
    v = basis.factor.flatten().square() * grid.size / 4
    assert ((v - 1).abs() < 4 * (2 / count).sqrt()).all()
    wrong = HaarBasis.fit(2 * white(grid, 1000) + white(grid, 1000, 1).roll(1, -1), grid)
    smooth = HaarBasis.fit(white(grid, 1000) + white(grid, 1000).roll(1, -1), grid)
    assert wrong.factor.min() > basis.factor.min()
    w = smooth.factor.flatten().square() * grid.size / 2
    assert not ((w - 1).abs() < 4 * (2 / count).sqrt()).all()


def test_a_mean_that_does_not_vary_is_one_number() -> None:
    grid = Grid((8, 24))  # one by three means on level 0
    flat = HaarBasis.fit(white(grid, 60) + 5, grid)
    assert flat.homogeneous
    assert flat.mean[0, :3].unique().numel() == 1
    assert (flat.mean[0, 3:] == 0).all()
    slope = HaarBasis.fit(white(grid, 60) + torch.linspace(0, 9, 24).double(), grid)
    assert not slope.homogeneous
    assert (slope.mean[0, 3:] != 0).any()


def test_points_that_never_vary_do_not_hinder() -> None:
    """Blocks without variance are dropped, their neighbours kept."""
    grid = Grid((16, 16))
    u = white(grid, 60)
    u[..., 8:] = 0
    basis = HaarBasis.fit(u, grid)
    x = basis.analyse(u, grid)
    torch.testing.assert_close(basis.synthesise(x, grid), u, rtol=0, atol=1e-10)
    # the left half; two differences between halves say again what two others have said
    assert basis.dimensions == 128 + 2
    v = basis.synthesise(basis.noise(0, Use.PRIOR, range(3)).double(), grid)
    outer = v[..., 8:].unflatten(-2, (2, 8)).flatten(-2)
    assert outer.std(-1).max() < 1e-12
    assert v[..., :8].std() > 0.5
