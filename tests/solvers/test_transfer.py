"""Fluxes through shells: sums over triads by hand, conservation, signs of known cascades."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch

from pushforward.solvers import Burgers, GaussianField, Grid, NavierStokes, integrate
from pushforward.solvers.diagnostics import power_spectrum, shells
from pushforward.solvers.transfer import line_flux, vorticity_fluxes

FIELD = GaussianField.matern(2.0, 0.5, deviation=1.0, mean=False)


def full(grid: Grid, u: torch.Tensor) -> dict[tuple[int, ...], complex]:
    """All coefficients below the Nyquist waves, by wave number."""
    u_hat = torch.fft.fftn(u, norm="forward")
    ranges = [range(-n // 2 + 1, n // 2) for n in grid.shape]
    return {k: complex(u_hat[k]) for k in product(*ranges)}


def triads(grid: Grid, w: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Pi_E and Pi_Z as a sum over all triads k = p + q of an unpadded convolution."""
    w_hat = full(grid, w)
    unit = [2 * math.pi / side for side in grid.extent]
    count = int(shells(grid).max()) + 1
    energy, enstrophy = torch.zeros(count).double(), torch.zeros(count).double()
    longest = max(grid.extent)
    for (ky, kx), w_k in w_hat.items():
        rate = 0j
        for (py, px), w_p in w_hat.items():
            q = (ky - py, kx - px)
            if q in w_hat and (py or px):
                y, x, qy, qx = py * unit[0], px * unit[1], q[0] * unit[0], q[1] * unit[1]
                # u = (psi_y, -psi_x), psi = w / p^2: -(u . grad w)_k = sum (p x q) / p^2 w_p w_q
                rate += (y * qx - x * qy) / (x * x + y * y) * w_p * w_hat[q]
        t = (w_k.conjugate() * rate).real
        y, x = ky * unit[0], kx * unit[1]
        lengths = (ky * longest / grid.extent[0], kx * longest / grid.extent[1])
        shell = round(math.hypot(*lengths))
        enstrophy[shell] -= t
        energy[shell] -= t / (x * x + y * y) if ky or kx else 0.0
    return energy.cumsum(0), enstrophy.cumsum(0)


@pytest.mark.parametrize("grid", [Grid((8, 8)), Grid((6, 10), (1.0, 3.0))], ids=str)
def test_vorticity_fluxes_are_the_sums_over_triads(grid: Grid):
    w = FIELD.sample(range(1), grid)[0]
    w /= w.std()
    for found, exact in zip(vorticity_fluxes(w, grid), triads(grid, w), strict=True):
        torch.testing.assert_close(found, exact, rtol=1e-10, atol=1e-16)
        assert exact.abs().max() > 1e-5


def test_a_line_flux_is_the_sum_over_triads():
    grid = Grid((10,), (3.0,))
    u = FIELD.sample(range(1), grid)[0]
    u_hat, exact = full(grid, u), torch.zeros(6).double()
    for (k,), u_k in u_hat.items():
        square = sum(u_p * u_hat[(k - p,)] for (p,), u_p in u_hat.items() if (k - p,) in u_hat)
        exact[abs(k)] += (u_k.conjugate() * 0.5j * 2 * math.pi / 3 * k * square).real
    torch.testing.assert_close(line_flux(u, grid), exact.cumsum(0), rtol=1e-10, atol=1e-13)
    torch.testing.assert_close(
        line_flux(u, grid, 6.0), 6 * exact.cumsum(0), rtol=1e-10, atol=1e-12
    )


@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 3e-7), (torch.float64, 1e-15)])
def test_the_nonlinear_term_makes_no_energy_and_no_enstrophy(dtype: torch.dtype, error: float):
    grid = Grid((32, 48), (2.0, 3.0))
    w = FIELD.sample(range(4), grid).to(dtype)
    for flux in vorticity_fluxes(w, grid):
        assert flux.shape == (4, int(shells(grid).max()) + 1)
        assert flux.dtype == dtype
        assert flux[:, -1].abs().max() < error * flux.abs().max() * 10
    line = Grid((64,))
    u = FIELD.sample(range(4), line).to(dtype)
    assert line_flux(u, line)[:, -1].abs().max() < error * line_flux(u, line).abs().max() * 10


def test_the_flux_is_what_an_inviscid_flow_loses():
    grid = Grid((32, 32))
    start = FIELD.sample(range(2), grid)
    start = grid.ifft(grid.fft(start) * grid.resolved(2 / 3))
    dt = 1e-4
    ahead, behind = (
        integrate(
            NavierStokes(viscosity=0.0), grid, sign * start[:, None], times=(dt,), tolerance=1e-12
        )
        for sign in (1, -1)  # -w runs backwards
    )
    spectra = [power_spectrum(u[:, 0, 0], grid).cumsum(-1) / 2 for u in (ahead, behind)]
    lost = -(spectra[0] - spectra[1]) / (2 * dt)
    inside = 10  # the solver's own rule cuts transfers to waves beyond
    _, enstrophy = vorticity_fluxes(start, grid)
    scale = enstrophy.abs().max().item()
    torch.testing.assert_close(
        lost[:, : inside + 1], enstrophy[:, : inside + 1], rtol=0, atol=1e-5 * scale
    )


def test_shocks_send_energy_to_small_scales_and_random_phases_send_none():
    grid = Grid((128,))
    u = GaussianField.matern(4.0, 0.5, deviation=1.0, mean=False).sample(range(64), grid)
    u = integrate(Burgers(viscosity=0.1), grid, u[:, None], times=(1.0,), tolerance=1e-5)[:, 0, 0]
    flux = line_flux(u, grid).mean(0)[1:20]
    assert flux.min() > 0
    noise = grid.fft(torch.randn(u.shape, generator=torch.Generator().manual_seed(0)).double())
    copy = grid.ifft(grid.fft(u).abs() * noise / noise.abs())
    other = line_flux(copy, grid)[:, 1:20]
    assert bool((other.mean(0).abs() < 4 * other.std(0) / 8).all())
    assert flux.max() > 3 * other.mean(0).abs().max()


def test_what_has_no_fluxes_is_refused():
    with pytest.raises(ValueError, match="expected a periodic grid for fluxes through shells"):
        line_flux(torch.zeros(8), Grid((8,), boundary="neumann"))
    with pytest.raises(ValueError, match="expected a grid of 1 axis"):
        line_flux(torch.zeros(8, 8), Grid((8, 8)))
    with pytest.raises(ValueError, match="expected a grid of 2 axes"):
        vorticity_fluxes(torch.zeros(8), Grid((8,)))
