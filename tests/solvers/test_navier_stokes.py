"""Navier-Stokes against exact solutions, a brute-force convolution, symmetries and budgets."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

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


def test_waves_are_the_forcing_they_say() -> None:
    """Against the sum written out at the points, with waves on every side of the plane."""
    grid = Grid((12, 10), (1.0, 3.0))
    rows = ((1, 1, 0.1, 0.2), (-2, 1, 0.3, 0.4), (3, 0, 0.5, 0.6), (-1, 0, 0.7, 0.8))
    rows += ((0, 2, 0.9, 1.0), (0, -3, 1.1, 1.2), (2, -1, 1.3, 1.4), (1, 1, 1.5, 1.6))
    y, x = grid.coordinates()
    expected = torch.zeros(grid.shape, dtype=torch.float64)
    for ky, kx, a, b in rows:
        angle = 2 * math.pi * (ky * y[:, None] / 1.0 + kx * x / 3.0)
        expected += a * torch.cos(angle) + b * torch.sin(angle)
    steady = NavierStokes(waves=rows).steady(grid)
    assert steady is not None
    torch.testing.assert_close(steady, grid.fft(expected), rtol=0, atol=1e-15)
    assert NavierStokes().steady(grid) is None


@pytest.mark.parametrize("n", [16, 64])
def test_the_published_forcing_drives_its_laminar_flow(n: int) -> None:
    """f = 0.1 (sin + cos)(2 pi (x + y)), from rest: w = f (1 - exp(-s t)) / s, s = 8 pi^2 nu."""
    grid, nu, times = Grid((n, n), (1.0, 1.0)), 1e-3, (1.0, 10.0, 50.0)
    y, x = grid.coordinates()
    angle = 2 * math.pi * (y[:, None] + x)
    f = 0.1 * (torch.sin(angle) + torch.cos(angle))
    rest = torch.zeros(1, 1, n, n, dtype=torch.float64)
    equation = NavierStokes(viscosity=nu, waves=((1, 1, 0.1, 0.1),))
    # the flow is unstable: what a step leaves in other waves grows until t = 50
    frames = integrate(equation, grid, rest, times=times, tolerance=1e-13)[0, :, 0]
    s = 8 * math.pi**2 * nu
    for frame, t in zip(frames, times, strict=True):
        torch.testing.assert_close(frame, f * -math.expm1(-s * t) / s, rtol=0, atol=1e-11)
    assert float(frames[-1].max()) == pytest.approx(0.1 * 2**0.5 / s * -math.expm1(-50 * s))


def test_kolmogorov_forcing_drives_its_laminar_profile() -> None:
    """u = A sin(kappa y) (1 - exp(-s t)) / s, s = nu kappa^2 + mu, on a box of any height."""
    grid, nu, mu, amplitude = Grid((24, 12), (3.0, 2.0)), 0.2, 0.1, 0.5
    equation = NavierStokes.kolmogorov(nu, 2, amplitude, drag=mu, height=3.0)
    rest = torch.zeros(1, 1, *grid.shape, dtype=torch.float64)
    frames = integrate(equation, grid, rest, times=(0.3, 3.0), tolerance=1e-11)[0, :, 0]
    kappa = 2 * math.pi / 3.0 * 2
    s = nu * kappa**2 + mu
    profile = amplitude * torch.sin(kappa * grid.coordinates()[0])[:, None].expand(grid.shape)
    for frame, t in zip(frames, (0.3, 3.0), strict=True):
        u, v = velocity(frame, grid)
        torch.testing.assert_close(u, profile * -math.expm1(-s * t) / s, rtol=0, atol=1e-10)
        assert v.abs().max() < 1e-12


def growth_rates(nu: float, kx: int, n: int, amplitude: float, reach: int) -> np.ndarray:
    """Eigenvalues of small disturbances exp(i kx x) sum_m a_m exp(i m y) of u = A sin(n y).

    w' obeys w'_t = nu Lap w' - A sin(n y) d_x (w' + n^2 Lap^-1 w').
    """
    m = np.arange(-reach, reach + 1)
    k2 = m**2 + kx**2
    coupling = -amplitude / 2 * kx * (1 - n**2 / k2)  # sin = (e - e*) / 2i, d_x = i kx
    matrix = np.diag(-nu * k2).astype(complex)
    for i in range(len(m)):
        if i + n < len(m):
            matrix[i + n, i] += coupling[i]
            matrix[i, i + n] -= coupling[i + n]
    return np.linalg.eigvals(matrix)


@pytest.mark.parametrize("nu", [0.05, 0.6])
def test_disturbances_of_kolmogorovs_flow_grow_and_decay_at_their_rates(nu: float) -> None:
    """Meshalkin and Sinai's problem: the largest eigenvalue of the linearised flow, n = 2."""
    grid, n, amplitude = Grid((48, 12)), 2, 1.0
    equation = NavierStokes.kolmogorov(nu, n, amplitude * nu * n**2)  # laminar: u = A sin(n y)
    base = -amplitude * n * wave(grid, n, 0)
    noise = wave(grid, 1, 1) + wave(grid, 0, 1, 0.5) + wave(grid, -1, 1, 0.2)
    start = (base + 1e-6 * noise)[None, None]
    frames = integrate(equation, grid, start, times=(9.0, 10.0), tolerance=1e-11)[0, :, 0]
    size = (frames - base).square().mean((-2, -1)).sqrt()
    assert float(size[1]) < 1e-3
    rate = math.log(float(size[1] / size[0]))
    expected = np.real(growth_rates(nu, 1, n, amplitude, 15)).max()
    assert rate == pytest.approx(expected, rel=2e-3)
    assert (expected > 0.1) if nu < 0.1 else (expected < -0.1)


def test_steady_flows_that_a_forcing_holds_stay() -> None:
    """Any w is steady under f = u . grad w - nu Lap w; f here is a product on a finer grid."""
    fine, nu = Grid((36, 36)), 0.2
    w = wave(fine, 1, 2) + 0.5 * wave(fine, 2, -1, 0.4) + 0.7 * wave(fine, 0, 1, 1.0)
    u, v = velocity(w, fine)
    w_y, w_x = diagnostics.gradients(w, fine)
    advected = u * w_x + v * w_y
    assert advected.abs().max() > 0.5
    f = advected - nu * fine.ifft(fine.laplacian() * fine.fft(w))
    grid = Grid((18, 18))
    start, force = fine.resample(w, grid)[None, None], fine.resample(f, grid)[None]
    equation = NavierStokes(viscosity=nu)
    end = integrate(equation, grid, start, times=(2.0,), tolerance=1e-13, forcing=force)
    torch.testing.assert_close(end[:, 0], start, rtol=0, atol=1e-11)
    free = integrate(equation, grid, start, times=(2.0,), tolerance=1e-6)
    assert (free[:, 0] - start).abs().max() > 0.1


def test_a_flow_agrees_with_another_integrator_and_another_form() -> None:
    """scipy's DOP853 on w_t = -(u + U) . grad w + nu Lap w - mu w + f, products dealiased."""
    n, nu, mu, drift = 12, 0.05, 0.1, (0.7, -0.4)
    grid = Grid((n, n), (2.0, 3.0))
    field = GaussianField.matern(3.0, 0.5, deviation=2.0, cutoff=3, mean=False)
    w, f = field.sample([0], grid), field.sample([1], grid)
    k = np.fft.fftfreq(n, 1 / n)
    ky, kx = 2 * np.pi / 2.0 * k[:, None], 2 * np.pi / 3.0 * k[None]
    keep = (abs(k) < n / 3)[:, None] & (abs(k) < n / 3)
    k2 = ky**2 + kx**2
    psi = np.divide(keep, k2, where=k2 > 0, out=np.zeros_like(k2))

    def physical(a: np.ndarray) -> np.ndarray:
        return np.fft.ifft2(a).real

    def rate(_: float, flat: np.ndarray) -> np.ndarray:
        w_hat = np.fft.fft2(flat.reshape(n, n)) * keep
        u = physical(1j * ky * psi * w_hat) + drift[1]
        v = physical(-1j * kx * psi * w_hat) + drift[0]
        advected = u * physical(1j * kx * w_hat) + v * physical(1j * ky * w_hat)
        n_hat = np.fft.fft2(f[0].numpy() - advected) - (nu * k2 + mu) * w_hat
        return physical(n_hat * keep).ravel()

    exact = solve_ivp(
        rate,
        (0, 1.0),
        w[0].numpy().ravel(),
        t_eval=(1.0,),
        method="DOP853",
        rtol=1e-12,
        atol=1e-12,
    ).y[:, 0]
    equation = NavierStokes(viscosity=nu, drag=mu, drift=drift)
    end = integrate(equation, grid, w[:, None], times=(1.0,), tolerance=1e-12, forcing=f)
    np.testing.assert_allclose(end[0, 0, 0].ravel().numpy(), exact, rtol=0, atol=1e-9)
    assert abs(exact - w[0].numpy().ravel()).max() > 0.5


def test_a_drift_carries_taylor_and_greens_vortex_along() -> None:
    """w(x, t) = w_0(x - U t) exp(-2 nu t), to 1e-10; and any flow, as no drift at all would."""
    grid, nu, drift, t = Grid((20, 20)), 0.02, (0.9, -1.7), 2.0
    y, x = grid.coordinates()
    equation = NavierStokes(viscosity=nu, drift=drift)
    start = (2 * torch.sin(y)[:, None] * torch.sin(x))[None, None]
    end = integrate(equation, grid, start, times=(t,), step=0.1)[0, 0, 0]
    moved = 2 * torch.sin(y - drift[0] * t)[:, None] * torch.sin(x - drift[1] * t)
    torch.testing.assert_close(end, moved * math.exp(-2 * nu * t), rtol=0, atol=1e-10)
    assert (end - start[0, 0]).abs().max() > 1
    w = GaussianField.matern(4.0, 0.5, deviation=2.0, mean=False).sample([0], grid)[:, None]
    drifted, still = (
        integrate(one, grid, w, times=(1.0,), tolerance=1e-11)[0, 0, 0]
        for one in (equation, NavierStokes(viscosity=nu))
    )
    i_y, i_x = grid.gradient()
    shift = torch.exp(-(drift[0] * i_y + drift[1] * i_x))
    torch.testing.assert_close(drifted, grid.ifft(grid.fft(still) * shift), rtol=0, atol=1e-8)


def test_single_precision_keeps_the_viscosity() -> None:
    """At nu = 1e-5 the generator of FNO's data, in float32 with its step of 1e-4, has none.

    Its step multiplies a wave by (1 - dt nu k^2 / 2) / (1 + dt nu k^2 / 2), both rounded to 1.
    """
    grid, nu, t = Grid((16, 16), (1.0, 1.0)), 1e-5, 20.0
    start = wave(grid, 0, 1)[None, None].float()
    end = integrate(NavierStokes(viscosity=nu), grid, start, times=(t,), step=0.1)[:, 0]
    lost = 1 - float((end * start).sum() / start.square().sum())
    exact = -math.expm1(-nu * 4 * math.pi**2 * t)
    assert exact == pytest.approx(7.9e-3, rel=0.01)
    assert lost == pytest.approx(exact, rel=1e-3)

    def published(dtype: torch.dtype, dt: float = 1e-4, steps: int = 1000) -> float:
        k2 = torch.tensor(4 * math.pi**2, dtype=dtype)
        w = torch.ones((), dtype=dtype)
        for _ in range(steps):
            w = (w - 0.5 * dt * nu * k2 * w) / (1.0 + 0.5 * dt * nu * k2)
        return float(-torch.log(w)) / (nu * 4 * math.pi**2 * dt * steps)

    assert published(torch.float64) == pytest.approx(1.0, rel=1e-6)
    assert published(torch.float32) == 0.0


@pytest.mark.parametrize("wavenumber", [4, -4, 6])
def test_waves_beyond_the_kept_ones_are_refused(wavenumber: int) -> None:
    for waves in (((wavenumber, 0, 1.0, 0.0),), ((1, wavenumber, 1.0, 0.0),)):
        with pytest.raises(ValueError, match=rf"got \(.*{wavenumber}.*\); lower them or refine"):
            NavierStokes(waves=waves).steady(Grid((12, 12)))


@pytest.mark.parametrize("row", [(0, 0, 1.0, 0.0), (1, 0, math.nan, 0.0), (1, 0, 0.0, math.inf)])
def test_waves_that_are_no_vorticity_are_refused(row: tuple[int, int, float, float]) -> None:
    with pytest.raises(ValueError, match="whole ky, kx, not both 0"):
        NavierStokes(waves=(row,))


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
    bads: list[dict[str, Any]] = [{"viscosity": -1.0}, {"drag": -0.1}, {"viscosity": math.nan}]
    for bad in bads:
        with pytest.raises(ValueError, match="change the sign"):
            NavierStokes(**bad)
    with pytest.raises(ValueError, match="two finite velocities"):
        NavierStokes(drift=(1.0, math.inf))
