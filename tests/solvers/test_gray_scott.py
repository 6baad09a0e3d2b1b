"""Gray-Scott against ordinary differential equations, its linearisation and another integrator."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from pushforward.solvers import GaussianField, GrayScott, Grid, integrate

WALLS = Grid((6, 10), (1.0, 2.0), "neumann")
GRIDS = [Grid((8,)), Grid((8, 12), (2.0, 2.0)), Grid((4, 6, 8)), WALLS]


@pytest.mark.parametrize("grid", GRIDS, ids=str)
@pytest.mark.parametrize("start", [(0.5, 0.25), (0.3, 0.6)])
def test_homogeneous_states_follow_the_reaction(grid: Grid, start: tuple[float, float]) -> None:
    equation, times = GrayScott(feed_rate=0.03, kill_rate=0.055), (10.0, 40.0)

    def rate(_: float, y: np.ndarray) -> list[float]:
        u, v = y
        return [-u * v * v + 0.03 * (1 - u), u * v * v - 0.085 * v]

    exact = solve_ivp(
        rate, (0, 40), start, t_eval=times, rtol=1e-12, atol=1e-13, method="DOP853"
    ).y
    values = torch.tensor(start, dtype=torch.float64).view(1, 2, *[1] * grid.ndim)
    state = values.expand(1, 2, *grid.shape)
    end = integrate(equation, grid, state, times=times, tolerance=1e-11)[0]
    flat = end.flatten(2)
    assert float((flat - flat[..., :1]).abs().max()) < 1e-12
    np.testing.assert_allclose(flat[..., 0], exact.T, rtol=1e-8)
    assert abs(exact[:, 0] - np.array(start)).max() > 0.05


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("boundary", ["periodic", "neumann"])
def test_state_at_rest_is_a_fixed_point(
    dtype: torch.dtype, boundary: Literal["periodic", "neumann"]
) -> None:
    grid, equation = Grid((8, 8), boundary=boundary), GrayScott()
    rest = equation.initial_state(None, grid).to(dtype)
    assert rest[0, :, 0, 0].tolist() == [1.0, 0.0]
    end = integrate(equation, grid, rest, times=(100.0,), step=1.0)[:, 0]
    assert end.dtype == dtype
    torch.testing.assert_close(end, rest, rtol=0, atol=1e-5 if dtype == torch.float32 else 1e-13)


def steady(feed: float, kill: float) -> tuple[float, float]:
    """The steady state with the most v, from (F + k) u v = ... by the quadratic formula for u."""
    u = (1 - math.sqrt(1 - 4 * (feed + kill) ** 2 / feed)) / 2
    return u, (feed + kill) / u


@pytest.mark.parametrize("boundary", ["periodic", "neumann"])
@pytest.mark.parametrize("half_waves", [(2, 0), (4, 6), (14, 14)])
def test_small_waves_grow_and_decay_as_the_jacobian_says(
    boundary: Literal["periodic", "neumann"], half_waves: tuple[int, int]
) -> None:
    """Turing's analysis of the bubbles' third steady state, mode by mode."""
    feed, kill, size, t = 0.098, 0.057, 1e-6, 8.0
    equation = GrayScott(feed_rate=feed, kill_rate=kill, diffusivity_u=2e-4, diffusivity_v=5e-5)
    grid = Grid((24, 24), (0.8, 1.2), boundary)
    u, v = steady(feed, kill)
    y, x = grid.coordinates()
    ky, kx = (math.pi * m / length for m, length in zip(half_waves, grid.extent, strict=True))
    shape = torch.cos(ky * y)[:, None] * torch.cos(kx * x)
    k2 = ky**2 + kx**2
    jacobian = torch.tensor(
        [
            [-2e-4 * k2 - v * v - feed, -2 * u * v],
            [v * v, -5e-5 * k2 + 2 * u * v - feed - kill],
        ],
        dtype=torch.float64,
    )
    mode = torch.tensor([0.7, 1.0], dtype=torch.float64)
    base = torch.tensor([u, v], dtype=torch.float64).view(2, 1, 1)
    start = base + size * mode.view(2, 1, 1) * shape
    end = integrate(equation, grid, start[None], times=(t,), tolerance=1e-13)[0, 0]
    expected = size * (torch.linalg.matrix_exp(jacobian * t) @ mode).view(2, 1, 1) * shape
    torch.testing.assert_close(
        end - base, expected, rtol=0, atol=2e-3 * float(expected.abs().max())
    )
    rates = torch.linalg.eigvals(jacobian).real
    assert bool(rates.max() > 0) == (half_waves == (4, 6))  # one of the three is unstable


@pytest.mark.parametrize("boundary", ["periodic", "neumann"])
def test_a_pattern_agrees_with_another_integrator(
    boundary: Literal["periodic", "neumann"],
) -> None:
    """scipy's DOP853 on the same waves, with transforms written out as matrices."""
    n, length, feed, kill = 32, 0.4, 0.03, 0.062
    grid = Grid((n,), (length,), boundary)
    j = np.arange(n)
    if boundary == "periodic":
        k = np.fft.fftfreq(n, 1 / n)
        forward = np.exp(-2j * np.pi * np.outer(k, j) / n) / n
        back, wave, keep = np.exp(2j * np.pi * np.outer(j, k) / n), 2 * np.pi * k, abs(k) < n / 3
    else:
        k = np.arange(n)
        back = np.cos(np.pi * np.outer(j + 0.5, k) / n)
        forward, wave, keep = np.linalg.inv(back), np.pi * k, k < 2 * n / 3
    damp = (wave / length) ** 2
    project = (back @ np.diag(keep) @ forward).real
    laplacian = (back @ np.diag(np.where(keep, -damp, 0)) @ forward).real

    def rate(_: float, flat: np.ndarray) -> np.ndarray:
        u, v = flat.reshape(2, n)
        burnt = project @ (u * v * v)
        u_t = 2e-5 * laplacian @ u - burnt + feed * (1 - u)
        return np.concatenate([u_t, 1e-5 * laplacian @ v + burnt - (feed + kill) * v])

    z = GaussianField.squared_exponential(0.05).sample([1], replace(grid, boundary="periodic"))
    z = z[:, None].expand(1, 2, n)
    equation = GrayScott(feed_rate=feed, kill_rate=kill, patch_level=0.5)
    start = equation.initial_state(z, grid)
    cut = start[0].numpy() @ project.T
    exact = solve_ivp(
        rate, (0, 100.0), cut.ravel(), t_eval=(100.0,), method="DOP853", rtol=1e-11, atol=1e-12
    ).y[:, 0]
    end = integrate(equation, grid, start, times=(100.0,), tolerance=1e-11)[0, 0]
    np.testing.assert_allclose(end.ravel().numpy(), exact, rtol=0, atol=1e-8)
    assert abs(exact - cut.ravel()).max() > 0.1


def test_walls_are_mirrors() -> None:
    """Between walls a solution is the periodic one of the state mirrored in them."""
    walls = Grid((18, 12), (0.5, 0.3), "neumann")
    torus = Grid((36, 24), (1.0, 0.6))
    equation = GrayScott()
    z = GaussianField.squared_exponential(0.1).sample([0], Grid((18, 12), (0.5, 0.3)))
    state = equation.initial_state(z[:, None].expand(-1, 2, -1, -1), walls)

    def mirrored(u: torch.Tensor) -> torch.Tensor:
        rows = torch.cat([u, u.flip(-2)], -2)
        return torch.cat([rows, rows.flip(-1)], -1)

    end = integrate(equation, walls, state, times=(30.0,), step=0.5)
    whole = integrate(equation, torus, mirrored(state), times=(30.0,), step=0.5)
    torch.testing.assert_close(mirrored(end), whole, rtol=0, atol=1e-12)
    assert (end[:, 0] - state).abs().max() > 0.05
    other = integrate(
        equation, replace(walls, boundary="periodic"), state, times=(30.0,), step=0.5
    )
    assert (end - other).abs().max() > 1e-3


@pytest.mark.parametrize(("scheme", "order"), [("ifrk32", 3), ("ifrk54", 5), ("etdrk4", 4)])
def test_halved_steps_gain_the_order_of_the_scheme(
    scheme: Literal["ifrk32", "ifrk54", "etdrk4"], order: int
) -> None:
    grid, equation = Grid((24, 24), (0.6, 0.6), "neumann"), GrayScott()
    z = GaussianField.squared_exponential(0.1, cutoff=7).sample([0], grid)
    start = equation.initial_state(z[:, None].expand(-1, 2, -1, -1), grid)
    exact = integrate(equation, grid, start, times=(40,), tolerance=1e-13)
    errors = []
    for h in (40 / 20, 40 / 40):
        end = integrate(equation, grid, start, times=(40,), step=h, scheme=scheme)
        errors.append(float((end - exact).square().mean().sqrt()))
    assert errors[1] > 1e-12
    assert order - 0.5 < math.log2(errors[0] / errors[1]) < order + 0.9


def test_reaction_conserves_what_it_turns_over() -> None:
    """Without feed and removal the mean of u + v stays."""
    grid = Grid((24, 24), (1.0, 1.0))
    equation = GrayScott(feed_rate=0.0, kill_rate=0.0)
    z = GaussianField.squared_exponential(0.2).sample([0], grid)
    state = equation.initial_state(z[:, None].expand(-1, 2, -1, -1), grid)
    end = integrate(equation, grid, state, times=(0.0, 30.0), step=0.5)[0]
    means = end.mean((-2, -1))
    assert float(means[0].sum()) == pytest.approx(float(means[1].sum()), rel=1e-12)
    assert float(means[1, 1] - means[0, 1]) > 0.005  # v grows on u


def test_patches_stand_where_the_first_field_is_high() -> None:
    grid = Grid((16, 16))
    z = torch.zeros(1, 2, 16, 16, dtype=torch.float64)
    z[0, 0, :8] = 10.0
    z[0, 1, 8:] = 10.0
    state = GrayScott().initial_state(z - 4, grid)
    assert state.shape == (1, 2, 16, 16)
    torch.testing.assert_close(state[0, :, 0, 0], torch.tensor([0.5, 0.25]).double())
    torch.testing.assert_close(state[0, :, 15, 0], torch.tensor([1.0, 0.0]).double())


def test_mixtures_and_perturbations_take_a_field_each() -> None:
    grid = Grid((4, 4))
    z = torch.tensor([0.25, -0.5]).double().view(1, 2, 1, 1).expand(1, 2, 4, 4)
    mixture = GrayScott(start="mixture").initial_state(z, grid)
    assert mixture[0, :, 0, 0].tolist() == [0.75, -0.5]
    alone = GrayScott(start="perturbation").initial_state(z, grid)  # (1, 0) is the only one
    assert alone[0, :, 0, 0].tolist() == [1.125, -0.25]
    bubbles = GrayScott(feed_rate=0.098, kill_rate=0.057, start="perturbation")
    state = bubbles.initial_state(z, grid)[0, :, 0, 0]
    u, v = steady(0.098, 0.057)
    assert 0.3 < u < 0.5 < 0.55 < v + u
    expected = [u + 0.9 * u * 0.125, v - 0.9 * min(v, 1 - v) * 0.25]
    assert state.tolist() == pytest.approx(expected)


@pytest.mark.parametrize("bad", ["feed_rate", "kill_rate", "diffusivity_u", "diffusivity_v"])
def test_negative_numbers_are_refused(bad: str) -> None:
    for value in (-0.01, math.nan, math.inf):
        numbers: dict[str, Any] = {bad: value}
        with pytest.raises(ValueError, match="change their signs"):
            GrayScott(**numbers)
    with pytest.raises(ValueError, match="patch_width > 0"):
        GrayScott(patch_width=0.0)
