"""Spectra that add up to what they split, and spectral derivatives."""

from __future__ import annotations

import math

import pytest
import torch

from pushforward.solvers import GaussianField, Grid, diagnostics, velocity

GRIDS = [Grid((32,)), Grid((16, 24)), Grid((64, 64)), Grid((8, 10, 12))]


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)], ids=str
)
@pytest.mark.parametrize("grid", GRIDS, ids=lambda grid: str(grid.shape))
def test_power_spectrum_adds_up_to_the_mean_square(
    grid: Grid, dtype: torch.dtype, tolerance: float
) -> None:
    u = torch.randn(3, 2, *grid.shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    spectrum = diagnostics.power_spectrum(u, grid)
    assert spectrum.dtype == dtype
    total = u.double().square().mean(grid.axes)
    torch.testing.assert_close(spectrum.double().sum(-1), total, rtol=tolerance, atol=0)


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)], ids=str
)
@pytest.mark.parametrize("extent", [(2 * math.pi, 2 * math.pi), (1.0, 3.0)])
def test_energy_and_enstrophy_add_up(
    dtype: torch.dtype, tolerance: float, extent: tuple[float, float]
) -> None:
    grid = Grid((64, 64), extent)
    field = GaussianField.matern(2.0, 0.3, mean=False)
    w = field.sample(range(3), grid).to(dtype)
    energy = velocity(w.double(), grid).square().sum(-3).mean((-2, -1)) / 2
    torch.testing.assert_close(
        diagnostics.energy_spectrum(w, grid).double().sum(-1), energy, rtol=tolerance, atol=0
    )
    enstrophy = w.double().square().mean((-2, -1)) / 2
    torch.testing.assert_close(
        diagnostics.enstrophy_spectrum(w, grid).double().sum(-1), enstrophy, rtol=tolerance, atol=0
    )


@pytest.mark.parametrize(
    ("k", "shell"), [((3, 0), 3), ((0, 2), 2), ((3, 4), 5), ((1, 1), 1), ((2, 2), 3)]
)
def test_single_mode_lies_in_one_shell(k: tuple[int, int], shell: int) -> None:
    grid = Grid((16, 16))
    y, x = grid.coordinates()
    w = 2 * torch.cos(k[0] * y[:, None] + k[1] * x)
    k2 = k[0] ** 2 + k[1] ** 2
    for spectrum, value in (
        (diagnostics.power_spectrum(w, grid), 2.0),
        (diagnostics.enstrophy_spectrum(w, grid), 1.0),
        (diagnostics.energy_spectrum(w, grid), 1.0 / k2),
    ):
        expected = torch.zeros_like(spectrum)
        expected[shell] = value
        torch.testing.assert_close(spectrum, expected, rtol=0, atol=1e-14)


def test_spectrum_does_not_depend_on_the_grid() -> None:
    coarse, fine = Grid((16, 16)), Grid((40, 32))
    u = GaussianField.matern(2.0, 0.5, cutoff=7).sample([0], coarse)
    a = diagnostics.power_spectrum(u, coarse)
    b = diagnostics.power_spectrum(coarse.resample(u, fine), fine)
    torch.testing.assert_close(b[:, : a.shape[-1]], a, rtol=0, atol=1e-14)
    assert b[:, a.shape[-1] :].abs().max() < 1e-20


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_gradient_of_a_mode(dtype: torch.dtype) -> None:
    grid = Grid((16, 20, 12), (2 * math.pi, 4 * math.pi, 1.0))
    z, y, x = (c.to(dtype) for c in torch.meshgrid(*grid.coordinates(), indexing="ij"))
    phase = 2 * z - 1.5 * y + 2 * math.pi * x
    d = diagnostics.gradients(torch.sin(phase)[None], grid)
    assert d.dtype == dtype
    expected = torch.stack([factor * torch.cos(phase) for factor in (2, -1.5, 2 * math.pi)])[None]
    torch.testing.assert_close(d, expected, rtol=0, atol=2e-5 if dtype == torch.float32 else 1e-12)


def test_mean_square_gradient_is_the_weighted_spectrum() -> None:
    grid = Grid((32, 32))
    u = GaussianField.matern(3.0, 0.5).sample([0], grid)
    density = grid.fft(u).abs().square() * -grid.laplacian()
    total = diagnostics.shell_sums(density, grid).sum(-1)
    squares = diagnostics.gradients(u, grid).square().sum(-3).mean((-2, -1))
    torch.testing.assert_close(squares, total)


def test_shells_are_round_on_a_box_of_unequal_sides() -> None:
    box = Grid((32, 32), (1.0, 3.0))
    short, long = diagnostics.shells(box)[1, 0], diagnostics.shells(box)[0, 3]
    assert short == long == 3  # one wave of the short side is as long as three of the long one


WALLS = [Grid((17,), (2.0,), "neumann"), Grid((12, 9), (1.5, 1.0), "neumann")]


@pytest.mark.parametrize("grid", WALLS, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_gradients_between_walls_are_those_of_the_cosines(grid: Grid, dtype: torch.dtype) -> None:
    points = torch.meshgrid(*grid.coordinates(), indexing="ij")
    kappa = [math.pi * k / length for k, length in zip((3, 5), grid.extent, strict=False)]
    waves = [torch.cos(k * x) for k, x in zip(kappa, points, strict=True)]
    u = torch.stack(torch.broadcast_tensors(*waves)).prod(0)
    d = diagnostics.gradients(u[None].to(dtype), grid)[0]
    assert d.dtype == dtype
    for axis, (k, x) in enumerate(zip(kappa, points, strict=True)):
        parts = [*waves[:axis], -k * torch.sin(k * x), *waves[axis + 1 :]]
        expected = torch.stack(parts).prod(0).to(dtype)
        torch.testing.assert_close(
            d[axis], expected, rtol=0, atol=2e-4 if dtype == torch.float32 else 1e-11
        )


def test_shells_between_walls_count_half_waves() -> None:
    grid = Grid((16, 12), (2.0, 1.0), "neumann")
    y, x = grid.coordinates()
    u = 2 * torch.cos(3 * math.pi * y / 2)[:, None] + torch.cos(2 * math.pi * x)
    spectrum = diagnostics.power_spectrum(u, grid)
    # three half waves of the long side; two of the short one are as long as four of it
    assert spectrum[3].item() == pytest.approx(2)
    assert spectrum[4].item() == pytest.approx(0.5)
    assert spectrum.sum().item() == pytest.approx(u.square().mean().item())


def test_vorticity_between_walls_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a vorticity on a periodic grid"):
        diagnostics.energy_spectrum(torch.zeros(12, 9), WALLS[1])
