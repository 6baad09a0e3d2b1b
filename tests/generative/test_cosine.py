"""The cosine basis: scipy's transform, the same function on other grids, shells, cuts."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import fft

from pushforward.generative.cosine import CosineBasis
from pushforward.solvers import Grid, Use

GRIDS = [Grid((16,)), Grid((8, 12), (1.0, 2.0)), Grid((6, 4, 8))]
EACH = pytest.mark.parametrize("grid", GRIDS, ids=lambda grid: str(grid.shape))


def white(grid: Grid, count: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 1, *grid.shape, generator=generator, dtype=torch.float64)


@EACH
def test_coefficients_are_those_of_the_discrete_cosine_transform(grid: Grid) -> None:
    basis = CosineBasis.fit(white(grid, 30), grid)
    u = white(grid, 3, seed=1)
    wanted = torch.from_numpy(fft.dctn(u.numpy(), type=2, axes=grid.axes, norm="ortho"))
    wanted = wanted[(..., *basis.waves.T)] / math.sqrt(grid.size)
    torch.testing.assert_close(basis.read(u, grid), wanted, rtol=0, atol=1e-13)
    assert len(basis.waves) == grid.size


@EACH
def test_coefficients_are_functions_on_every_grid(grid: Grid) -> None:
    basis = CosineBasis.fit(white(grid, 30), grid)
    fine = Grid(tuple(2 * n + 2 for n in grid.shape), grid.extent)
    z = basis.noise(0, Use.PRIOR, range(3)).double()
    u = basis.place(z, fine)
    wanted = torch.zeros_like(u)
    for number, wave in enumerate(basis.waves.tolist()):
        function = torch.ones(1).double()
        for k, n in zip(wave, fine.shape, strict=True):
            x = (torch.arange(n).double() + 0.5) / n
            part = math.sqrt(2 if k else 1) * torch.cos(math.pi * k * x)
            function = function[..., None] * part
        wanted += z[..., number].view(3, 1, *[1] * grid.ndim) * function[0]
    torch.testing.assert_close(u, wanted, rtol=0, atol=1e-11)
    torch.testing.assert_close(basis.read(u, fine), z, rtol=0, atol=1e-12)
    single = basis.place(z.float(), fine)
    torch.testing.assert_close(single.double(), wanted, rtol=0, atol=1e-4)


def test_a_grid_too_coarse_shows_what_it_can() -> None:
    fine, coarse = Grid((16, 16)), Grid((6, 8))
    basis = CosineBasis.fit(white(fine, 30), fine)
    z = basis.noise(0, Use.PRIOR, range(2)).double()
    held = basis.held(coarse)
    assert held.sum() == 48
    seen = basis.read(basis.place(z, coarse), coarse)
    torch.testing.assert_close(seen, z * held, rtol=0, atol=1e-12)


def test_shells_count_half_waves_of_the_longest_side() -> None:
    basis = CosineBasis.fit(white(GRIDS[1], 30), GRIDS[1])  # the first side is half as long
    shell = {tuple(k): n for k, n in zip(basis.waves.tolist(), basis.shell.tolist(), strict=True)}
    assert shell[0, 0] == 0
    assert (shell[0, 1], shell[0, 2], shell[1, 0], shell[1, 1], shell[2, 3]) == (1, 2, 2, 2, 5)
    frequency = basis.modes.frequency
    assert frequency is not None
    assert frequency[basis.waves.tolist().index([1, 0])] == 1.0  # one wave per 2 units
    assert torch.equal(torch.round(2 * frequency).long(), basis.shell)


def spectrum(waves: torch.Tensor) -> torch.Tensor:
    return (1 + waves.square().sum(1)) ** -2.0


def unit(x: torch.Tensor, basis: CosineBasis) -> bool:
    """Whether every shell's mean square is within 4 standard errors of 1."""
    count = basis.shell_sum(basis.mask[0].double())
    power = basis.shell_sum(x[:, 0].square().mean(0)) / count
    return bool(((power - 1).abs() < 4 * (2 / (len(x) * count)).sqrt()).all())


def test_mean_and_spectrum_are_those_of_the_data() -> None:
    grid = Grid((16, 16))
    whole = CosineBasis.fit(white(grid, 30), grid)
    deviation = spectrum(whole.waves).sqrt()

    def draws(count: int, step: int, scale: torch.Tensor) -> torch.Tensor:
        z = whole.noise(5, Use.PRIOR, range(count), step).double()
        return whole.place(z * scale, grid) + profile

    profile = 3 + 2 * torch.cos(3 * math.pi * (torch.arange(16).double() + 0.5) / 16)
    basis = CosineBasis.fit(draws(1500, 0, deviation), grid)
    at = {tuple(k): m for k, m in zip(basis.waves.tolist(), basis.mean[0].tolist(), strict=True)}
    error = 4 / math.sqrt(1500)
    assert at[0, 0] == pytest.approx(3, abs=error * spectrum(torch.zeros(1, 2)).sqrt().item())
    assert at[0, 3] == pytest.approx(math.sqrt(2), abs=error * 0.1)
    assert sum(m != 0 for m in at.values()) == 2  # the rest is noise, not mean
    assert not basis.homogeneous
    zero = torch.zeros(1, 1, len(basis.shell)).double()
    average = basis.synthesise(zero, grid)[0, 0]
    assert (average - profile).abs().max() < error * 2
    assert unit(basis.analyse(draws(150, 1, deviation), grid), basis)
    assert not unit(basis.analyse(draws(150, 1, deviation**1.2), grid), basis)


def test_waves_that_were_cut_are_dropped() -> None:
    grid = Grid((12, 12))
    whole = CosineBasis.fit(white(grid, 30), grid)
    low = (whole.waves < 8).all(1)
    cut = whole.place(whole.read(white(grid, 60), grid) * low, grid)
    basis = CosineBasis.fit(cut + 1e-9 * white(grid, 60, seed=2), grid)
    assert basis.dimensions == 64
    assert int(basis.waves.max()) == 7
    v = basis.synthesise(basis.noise(0, Use.PRIOR, range(3)).double(), grid)
    assert (whole.read(v, grid) * ~low).abs().max() < 1e-12
    small = basis.working_grids()[-1]
    assert small.shape == (8, 8)
    assert basis.held(small).all()
    assert CosineBasis.fit(cut + 0.1 * white(grid, 60, seed=2), grid).dimensions == 144


def test_noise_does_not_depend_on_the_grid() -> None:
    coarse, fine = (CosineBasis.fit(white(Grid(s), 30), Grid(s)) for s in ((6, 8), (12, 8)))
    at = [fine.waves.tolist().index(wave) for wave in coarse.waves.tolist()]
    noise = fine.noise(2, Use.PRIOR, range(4))
    assert torch.equal(coarse.noise(2, Use.PRIOR, range(4)), noise[..., at])
