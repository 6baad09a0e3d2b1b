"""Gray-Scott against an ordinary differential equation, its fixed point and its linearisation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from pushforward.solvers import GaussianField, GrayScott, Grid, integrate

GRIDS = [Grid((8,)), Grid((8, 12), (2.0, 2.0)), Grid((4, 6, 8))]


@pytest.mark.parametrize("grid", GRIDS, ids=lambda grid: str(grid.shape))
@pytest.mark.parametrize("start", [(0.5, 0.25), (0.9, 0.4), (0.3, 0.6)])
def test_homogeneous_states_follow_the_reaction(grid: Grid, start: tuple[float, float]) -> None:
    equation, times = GrayScott(feed_rate=0.03, kill_rate=0.055), (10.0, 40.0)

    def rate(_: float, y: np.ndarray) -> list[float]:
        u, v = y
        return [-u * v * v + 0.03 * (1 - u), u * v * v - 0.085 * v]

    exact = solve_ivp(
        rate, (0, 40), start, t_eval=times, rtol=1e-10, atol=1e-12, method="DOP853"
    ).y
    values = torch.tensor(start, dtype=torch.float64).view(1, 2, *[1] * grid.ndim)
    state = values.expand(1, 2, *grid.shape)
    end = integrate(equation, grid, state, times=times, step=0.1)[0]
    flat = end.flatten(2)
    assert float((flat - flat[..., :1]).abs().max()) < 1e-13
    np.testing.assert_allclose(flat[..., 0], exact.T, rtol=1e-7)
    assert abs(exact[:, 0] - np.array(start)).max() > 0.05


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_state_at_rest_is_a_fixed_point(dtype: torch.dtype) -> None:
    grid, equation = Grid((8, 8)), GrayScott()
    rest = equation.initial_state(None, grid).to(dtype)
    assert rest[0, :, 0, 0].tolist() == [1.0, 0.0]
    end = integrate(equation, grid, rest, times=(100.0,), step=1.0)[:, 0]
    assert end.dtype == dtype
    torch.testing.assert_close(end, rest, rtol=0, atol=1e-5 if dtype == torch.float32 else 1e-13)


def test_small_perturbations_of_the_state_at_rest_diffuse_and_decay() -> None:
    """Linearised at (1, 0): u' decays at F + D_u k^2, v at F + k + D_v k^2."""
    grid = Grid((16, 16), (0.3, 0.2))
    equation = GrayScott(diffusivity_u=4e-5, diffusivity_v=1e-5)
    y, x = grid.coordinates()
    ky, kx = 2 * math.pi * 2 / 0.3, 2 * math.pi * 3 / 0.2
    shape = torch.cos(ky * y[:, None] + kx * x)
    e, t, k2 = 1e-7, 5.0, ky**2 + kx**2
    state = torch.stack([1 + e * shape, e * shape])[None]
    end = integrate(equation, grid, state, times=(t,), step=0.5)[0, 0]
    decay_u = math.exp(-(0.029 + 4e-5 * k2) * t)
    decay_v = math.exp(-(0.029 + 0.057 + 1e-5 * k2) * t)
    torch.testing.assert_close(end[0] - 1, e * decay_u * shape, rtol=0, atol=1e-13)
    torch.testing.assert_close(end[1], e * decay_v * shape, rtol=0, atol=1e-13)
    assert decay_u < 0.5 * decay_v  # the two are told apart


def test_reaction_conserves_what_it_turns_over() -> None:
    """Without feed and removal the mean of u + v stays."""
    grid = Grid((24, 24), (1.0, 1.0))
    equation = GrayScott(feed_rate=0.0, kill_rate=0.0)
    z = GaussianField.squared_exponential(0.2).sample([0], grid)
    state = equation.initial_state(z, grid)
    end = integrate(equation, grid, state, times=(0.0, 30.0), step=0.5)[0]
    means = end.mean((-2, -1))
    assert float(means[0].sum()) == pytest.approx(float(means[1].sum()), rel=1e-12)
    assert float(means[1, 1] - means[0, 1]) > 0.005  # v grows on u


def test_patches_stand_where_the_drawn_field_is_high() -> None:
    grid = Grid((16, 16))
    z = torch.zeros(1, 16, 16, dtype=torch.float64)
    z[0, :8] = 10.0
    state = GrayScott().initial_state(z - 4, grid)
    assert state.shape == (1, 2, 16, 16)
    torch.testing.assert_close(state[0, :, 0, 0], torch.tensor([0.5, 0.25]).double())
    torch.testing.assert_close(state[0, :, 15, 0], torch.tensor([1.0, 0.0]).double())


@pytest.mark.parametrize("bad", ["feed_rate", "kill_rate", "diffusivity_u", "diffusivity_v"])
def test_negative_numbers_are_refused(bad: str) -> None:
    numbers: dict[str, Any] = {bad: -0.01}
    with pytest.raises(ValueError, match="change their signs"):
        GrayScott(**numbers)
    with pytest.raises(ValueError, match="patch_width > 0"):
        GrayScott(patch_width=0.0)
