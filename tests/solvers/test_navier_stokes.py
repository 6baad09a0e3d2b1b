"""Navier-Stokes against exact solutions, a brute-force convolution, symmetries and budgets."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch

from pushforward.solvers import GaussianField, Grid, NavierStokes, diagnostics, integrate, velocity

BOX = Grid((16, 16))


def wave(grid: Grid, ky: int, kx: int, phase: float = 0.0) -> torch.Tensor:
    y, x = grid.coordinates()
    ly, lx = (2 * math.pi / length for length in grid.extent)
    return torch.cos(ky * ly * y[:, None] + kx * lx * x + phase)


def advection(w: torch.Tensor, grid: Grid) -> torch.Tensor:
    """The coefficients of -u . grad w as the equation computes them, w (member, *grid)."""
    w_hat = grid.fft(w) * grid.resolved(2 / 3)
    return NavierStokes().nonlinear(grid, torch.float64, "cpu")(w_hat[:, None], None)[:, 0]


@pytest.mark.parametrize("extent", [(2 * math.pi, 2 * math.pi), (1.0, 3.0)])
def test_advection_is_the_convolution_sum(extent: tuple[float, float]) -> None:
    """sum over p + q = k of -(u_p . i q) w_q, every term written out."""
    grid, band = Grid((12, 12), extent), 3
    w = GaussianField.matern(1.5, 1.0, mean=False).sample([0], grid)
    w_hat = torch.fft.fft2(w[0], norm="forward").numpy()
    ly, lx = (2 * math.pi / length for length in extent)
    waves = list(itertools.product(range(-band, band + 1), repeat=2))
    expected = dict.fromkeys(waves, 0j)
    for p, q in itertools.product(waves, waves):
        k = (p[0] + q[0], p[1] + q[1])
        if k not in expected or p == (0, 0):
            continue
        py, px, qy, qx = p[0] * ly, p[1] * lx, q[0] * ly, q[1] * lx
        psi = w_hat[p] / (py**2 + px**2)
        u, v = 1j * py * psi, -1j * px * psi
        expected[k] -= (u * 1j * qx + v * 1j * qy) * w_hat[q]
    n_hat = advection(w, grid)[0].numpy()
    largest = max(abs(value) for value in expected.values())
    assert largest > 1e-3
    for (ky, kx), value in expected.items():
        if kx >= 0:
            assert n_hat[ky, kx] == pytest.approx(value, abs=1e-13 * max(1, largest))
    cut = ~grid.resolved(2 / 3).numpy()
    assert np.abs(n_hat[cut]).max() == 0


@pytest.mark.parametrize("shells", [[(1, 1)], [(3, 4), (4, -3), (5, 0), (0, 5), (4, 3)]])
def test_waves_of_one_length_only_decay(shells: list[tuple[int, int]]) -> None:
    """Taylor and Green's vortex and its relatives: w = |k|^2 psi, so the advection cancels."""
    grid, nu, mu, t = Grid((20, 20)), 0.03, 0.2, 1.5
    w = torch.stack([wave(grid, *k, phase=i) for i, k in enumerate(shells)]).sum(0)[None]
    u, v = velocity(w, grid).unbind(-3)
    assert (u * v).std() > 0.01  # the products do not vanish, their curl does
    equation = NavierStokes(viscosity=nu, drag=mu)
    end = integrate(equation, grid, w[:, None], times=(t,), step=0.1)[0, 0, 0]
    k2 = shells[0][0] ** 2 + shells[0][1] ** 2
    torch.testing.assert_close(end, math.exp(-(nu * k2 + mu) * t) * w[0], rtol=0, atol=1e-12)


def test_waves_of_two_lengths_interact() -> None:
    grid = Grid((20, 20))
    w = (wave(grid, 3, 4) + wave(grid, 1, 0, 0.3))[None]
    assert advection(w, grid).abs().max() > 0.1


@pytest.mark.parametrize("shape", [(16, 24), (24, 16)])
def test_parallel_flows_are_not_advected(shape: tuple[int, int]) -> None:
    grid = Grid(shape, (2.0, 3.0))
    shear = wave(grid, 1, 0) + wave(grid, 3, 0, 1.0)
    jet = wave(grid, 0, 2) + wave(grid, 0, 5, 1.0)
    assert advection(torch.stack([shear, jet]), grid).abs().max() < 1e-14
    assert advection((shear + jet)[None], grid).abs().max() > 1e-2


def test_tilted_shear_carries_a_wave_at_the_known_speed() -> None:
    """A weak wave on w = cos y: -u . grad w' and the shear's own gradient, by hand.

    psi = cos y gives u = -sin y, v = 0; with w' = e cos(3 x), psi' = w' / 9, v' = -psi'_x:
    -u w'_x - v' w_y = e (-3 sin y sin 3x + sin y sin(3 x) / 3).
    """
    e = 1e-3
    w = wave(BOX, 1, 0) + e * wave(BOX, 0, 3)
    y, x = BOX.coordinates()
    expected = e * (-3 + 1 / 3) * torch.sin(y)[:, None] * torch.sin(3 * x)
    torch.testing.assert_close(BOX.ifft(advection(w[None], BOX))[0], expected, rtol=0, atol=1e-14)


def test_solutions_move_turn_and_mirror_with_their_initial_state() -> None:
    grid = Grid((18, 18))
    w = GaussianField.matern(3.0, 0.5, deviation=3.0, mean=False).sample([0], grid)[:, None]
    images = [
        (lambda w: w, 1e-12),
        (lambda w: w.roll((5, 2), (-2, -1)), 1e-12),
        (lambda w: w.rot90(1, (-2, -1)), 1e-12),
        (lambda w: -w.transpose(-2, -1), 1e-12),  # a reflection turns the vorticity's sign
    ]
    start = torch.cat([image(w) for image, _ in images])
    end = integrate(NavierStokes(viscosity=0.01), grid, start, times=(1.0,), step=0.05)[:, 0]
    for i, (image, tolerance) in enumerate(images):
        torch.testing.assert_close(end[i], image(end[0]), rtol=0, atol=tolerance)
    assert (end[0] + end[0].transpose(-2, -1)).abs().max() > 0.1  # no symmetry of the state itself


@pytest.mark.parametrize("scheme", ["etdrk2", "etdrk4"])
def test_laminar_growth_under_a_forcing_is_exact(scheme: str) -> None:
    """w = f (1 - exp(-s t)) / s with s = nu k^2 + mu, whatever the step."""
    nu, mu, t = 0.05, 0.1, 2.0
    f = wave(BOX, 2, 1, 0.7)[None]
    rest = torch.zeros(1, 1, *BOX.shape, dtype=torch.float64)
    end = integrate(
        NavierStokes(viscosity=nu, drag=mu),
        BOX,
        rest,
        times=(t,),
        step=0.7,
        forcing=f,
        scheme=scheme,  # type: ignore[arg-type]
    )
    s = nu * 5 + mu
    torch.testing.assert_close(end[:, 0, 0], f * -math.expm1(-s * t) / s, rtol=0, atol=1e-12)


def test_kolmogorov_forcing_drives_its_laminar_profile() -> None:
    """u = A sin(kappa y) / (nu kappa^2) on a box of any height."""
    grid, nu, amplitude = Grid((24, 12), (3.0, 2.0)), 0.2, 0.5
    equation = NavierStokes(viscosity=nu, forcing_amplitude=amplitude, forcing_wavenumber=2)
    rest = torch.zeros(1, 1, *grid.shape, dtype=torch.float64)
    end = integrate(equation, grid, rest, times=(60.0,), step=0.5)[0, 0, 0]
    u, v = velocity(end, grid)
    kappa = 2 * math.pi / 3.0 * 2
    profile = amplitude / (nu * kappa**2) * torch.sin(kappa * grid.coordinates()[0])
    torch.testing.assert_close(u, profile[:, None].expand(grid.shape), rtol=0, atol=1e-10)
    assert v.abs().max() < 1e-12


@pytest.mark.parametrize("wavenumber", [0, 4, 6])
def test_kolmogorov_forcing_beyond_the_kept_waves_is_refused(wavenumber: int) -> None:
    equation = NavierStokes(forcing_amplitude=1.0, forcing_wavenumber=wavenumber)
    with pytest.raises(ValueError, match=f"got {wavenumber}; lower it or refine"):
        integrate(equation, Grid((12, 12)), torch.zeros(1, 1, 12, 12), times=(1.0,), step=0.5)


def test_advection_moves_energy_and_enstrophy_but_makes_none() -> None:
    grid = Grid((24, 32), (2.0, 3.0))
    w = GaussianField.matern(1.5, 0.5, mean=False).sample(range(4), grid)
    k2 = -grid.laplacian()
    inverse = torch.where(k2 > 0, 1 / k2.clamp_min(1e-9), 0.0) * grid.multiplicity()
    keep = grid.resolved(2 / 3)

    def rates(w_hat: torch.Tensor, n_hat: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        work = (w_hat.conj() * n_hat).real
        size = w_hat.abs() * n_hat.abs()
        energy, enstrophy = ((work * m).sum((-2, -1)) for m in (inverse, grid.multiplicity()))
        return energy / (size * inverse).sum((-2, -1)), enstrophy / size.sum((-2, -1))

    w_hat = grid.fft(w)
    for rate in rates(w_hat * keep, advection(w, grid)):
        assert rate.abs().max() < 1e-13
    # negative control: products of fields that were not dealiased leak
    u, v = velocity(w, grid).unbind(-3)
    d_y, d_x = diagnostics.gradients(w, grid).unbind(-3)
    leaky = grid.fft(-(u * d_x + v * d_y))
    assert all(rate.abs().max() > 1e-6 for rate in rates(w_hat, leaky))


@pytest.mark.parametrize(("scheme", "order"), [("etdrk2", 2), ("etdrk4", 4)])
def test_inviscid_energy_and_enstrophy_drift_with_the_order_of_the_scheme(
    scheme: str, order: int
) -> None:
    grid = Grid((24, 24))
    w = GaussianField.matern(3.0, 0.5, deviation=3.0, mean=False).sample([0], grid)
    w = grid.ifft(grid.fft(w) * grid.resolved(2 / 3))[:, None]
    drifts = []
    for step in (0.1, 0.05, 0.025):
        end = integrate(
            NavierStokes(viscosity=0.0),
            grid,
            w,
            times=(1.0,),
            step=step,
            scheme=scheme,  # type: ignore[arg-type]
        )[:, 0]
        changes = [
            float(spectrum(end, grid).sum() / spectrum(w, grid).sum()) - 1
            for spectrum in (diagnostics.energy_spectrum, diagnostics.enstrophy_spectrum)
        ]
        drifts.append(np.abs(changes))
        assert (end - w).abs().max() > 1
    slopes = np.log2(np.array(drifts[:-1]) / drifts[1:])
    assert (slopes > order - 0.2).all(), drifts
    assert (drifts[-1] < (1e-5 if order == 4 else 1e-2)).all()


def test_energy_and_enstrophy_budgets_close() -> None:
    """dE/dt = -2 nu Z - 2 mu E + <psi f>,  dZ/dt = -nu <|grad w|^2> - 2 mu Z + <w f>."""
    grid, nu, mu = Grid((24, 24)), 0.02, 0.3
    field = GaussianField.matern(3.0, 0.5, deviation=2.0, cutoff=7, mean=False)
    w, f = field.sample([0], grid)[:, None], field.sample([1], grid)
    times = tuple(np.linspace(0, 1, 65))
    frames = integrate(
        NavierStokes(viscosity=nu, drag=mu), grid, w, times=times, step=1 / 64, forcing=f
    )[0, :, 0]
    energy = diagnostics.energy_spectrum(frames, grid).sum(-1)
    enstrophy = diagnostics.enstrophy_spectrum(frames, grid).sum(-1)
    palinstrophy = diagnostics.gradients(frames, grid).square().sum(-3).mean((-2, -1))
    psi = grid.ifft(
        torch.where(grid.laplacian() < 0, grid.fft(frames) / -grid.laplacian().clamp_max(-1e-9), 0)
    )
    power, torque = ((field * f).mean((-2, -1)) for field in (psi, frames))
    weights = torch.tensor([1.0, *[4.0, 2.0] * 31, 4.0, 1.0]).double() / 64 / 3  # Simpson's rule
    energy_rate = -2 * nu * enstrophy - 2 * mu * energy + power
    enstrophy_rate = -nu * palinstrophy - 2 * mu * enstrophy + torque
    for quantity, rate in ((energy, energy_rate), (enstrophy, enstrophy_rate)):
        change = float(quantity[-1] - quantity[0])
        assert abs(change) > 0.05 * float(quantity[0])
        assert float((weights * rate).sum()) == pytest.approx(change, rel=1e-5)
    drag_free = energy_rate + 2 * mu * energy
    assert float((weights * drag_free).sum()) != pytest.approx(
        float(energy[-1] - energy[0]), rel=0.1
    )


@pytest.mark.parametrize("grid", [Grid((16, 24)), Grid((12, 10), (1.0, 3.0))], ids=str)
def test_velocity_has_no_divergence_and_the_right_curl(grid: Grid) -> None:
    w = GaussianField.matern(2.0, 0.5, mean=False).sample(range(2), grid)
    u, v = velocity(w, grid).unbind(-3)
    u_y, u_x = diagnostics.gradients(u, grid).unbind(-3)
    v_y, v_x = diagnostics.gradients(v, grid).unbind(-3)
    torch.testing.assert_close(v_x - u_y, w, rtol=0, atol=1e-12)
    assert (u_x + v_y).abs().max() < 1e-12 < u_x.abs().max()
    assert velocity(w.float(), grid).dtype == torch.float32


def test_mean_vorticity_stays_zero() -> None:
    """A torus has none, even where the drawn fields have means."""
    field = GaussianField.matern(3.0, 1.0, deviation=1.0, cutoff=4)
    z, f = field.sample([0, 1], BOX), field.sample([2, 3], BOX)
    assert z.mean((-2, -1)).abs().min() > 0.01
    equation = NavierStokes()
    start = equation.initial_state(z, BOX)
    end = integrate(equation, BOX, start, times=(0.0, 1.0), step=0.1, forcing=f)
    assert end.mean((-2, -1)).abs().max() < 1e-14


def test_only_planes_and_positive_numbers_are_accepted() -> None:
    with pytest.raises(ValueError, match="grid of 2 axes"):
        NavierStokes().linear(Grid((8, 8, 8)))
    with pytest.raises(ValueError, match="grid of 2 axes"):
        velocity(torch.zeros(8), Grid((8,)))
    bads: list[dict[str, Any]] = [{"viscosity": -1.0}, {"drag": -0.1}]
    for bad in bads:
        with pytest.raises(ValueError, match="change the sign"):
            NavierStokes(**bad)
