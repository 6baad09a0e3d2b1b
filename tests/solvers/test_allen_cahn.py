"""Allen-Cahn against its fronts, its energy and another integrator."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from pushforward.solvers import GaussianField, Grid, integrate
from pushforward.solvers.allen_cahn import AllenCahn


@pytest.mark.parametrize("threshold", [0.0, 0.3, -0.5])
def test_fronts_stand_and_run_at_their_speed(threshold: float) -> None:
    """u = tanh((x - a sqrt(2 D) t - x_0) / sqrt(2 D)); the walls are out of sight."""
    d, times = 0.02, (1.0, 4.0)
    grid = Grid((288,), (8.0,), "neumann")
    x, width = grid.coordinates()[0], math.sqrt(2 * d)

    def front(t: float) -> torch.Tensor:
        return torch.tanh((x - 4 - threshold * width * t) / width)

    equation = AllenCahn(diffusivity=d, threshold=threshold)
    frames = integrate(equation, grid, front(0)[None, None], times=times, tolerance=1e-11)[0, :, 0]
    for frame, t in zip(frames, times, strict=True):
        torch.testing.assert_close(frame, front(t), rtol=0, atol=1e-8)
    moved = float((frames[-1] - front(0)).abs().max())
    assert moved > 0.3 if threshold else moved < 1e-8


@pytest.mark.parametrize(
    "grid",
    [Grid((32,)), Grid((24, 16)), Grid((8, 8, 8)), Grid((18, 12), (4.0, 3.0), "neumann")],
    ids=str,
)
def test_the_energy_decreases_to_that_of_the_phases(grid: Grid) -> None:
    d = 0.3
    start = GaussianField.matern(4.0, 0.5, deviation=0.2).sample([0, 1], grid)[:, None]
    times = tuple(0.25 * i for i in range(41))
    frames = integrate(AllenCahn(diffusivity=d), grid, start, times=times, tolerance=1e-8)[:, :, 0]
    u_hat = grid.fft(frames)
    slope = (u_hat.abs().square() * -grid.laplacian() * grid.multiplicity()).sum(grid.axes)
    energy = d * slope / 2 + ((1 - frames**2) ** 2 / 4).mean(grid.axes)
    assert bool((energy.diff(dim=1) < 0).all())
    assert bool((energy[:, -1] < 0.8 * energy[:, 0]).all())
    assert frames[:, -1].abs().max() < 1.01


@pytest.mark.parametrize("boundary", ["periodic", "neumann"])
def test_it_agrees_with_another_integrator(boundary: Literal["periodic", "neumann"]) -> None:
    """scipy's DOP853 on u_t = D Lap u + (1 - u^2)(u - a), the waves written out as matrices."""
    n, d, a, t = 24, 0.05, 0.2, 2.0
    grid = Grid((n,), (3.0,), boundary)
    points = grid.coordinates()[0].numpy()
    low = np.arange(n // 3) if boundary == "periodic" else np.arange(2 * n // 3)
    k = low * (2 if boundary == "periodic" else 1) * np.pi / 3.0
    waves = np.cos(np.outer(points, k))
    if boundary == "periodic":
        waves, k = np.hstack([waves, np.sin(np.outer(points, k[1:]))]), np.append(k, k[1:])
    to_waves = np.linalg.pinv(waves)

    def rate(_: float, c: np.ndarray) -> np.ndarray:
        u = waves @ c
        return -d * k**2 * c + to_waves @ ((1 - u**2) * (u - a))

    z = torch.from_numpy(np.cos(2 * np.pi * points / 3.0 * 2) + 0.3 * np.cos(2 * np.pi * points))
    start = to_waves @ z.numpy()
    exact = (
        waves
        @ solve_ivp(rate, (0, t), start, t_eval=(t,), method="DOP853", rtol=1e-11, atol=1e-12).y[
            :, 0
        ]
    )
    equation = AllenCahn(diffusivity=d, threshold=a)
    end = integrate(equation, grid, z[None, None], times=(t,), tolerance=1e-11)[0, 0, 0]
    np.testing.assert_allclose(end.numpy(), exact, rtol=0, atol=1e-9)
    assert abs(exact - z.numpy()).max() > 0.1


@pytest.mark.parametrize("grid", [Grid((8, 8)), Grid((6,), (1.0,), "neumann")], ids=str)
def test_homogeneous_states_leave_the_threshold(grid: Grid) -> None:
    """du/dt = u - u^3: u = u_0 e^t / sqrt(1 + u_0^2 (e^2t - 1))."""
    start, t = 0.1, 3.0
    state = torch.full((1, 1, *grid.shape), start, dtype=torch.float64)
    end = integrate(AllenCahn(), grid, state, times=(t,), tolerance=1e-11)
    exact = start * math.exp(t) / math.sqrt(1 + start**2 * math.expm1(2 * t))
    assert float((end - exact).abs().max()) < 1e-9


@pytest.mark.parametrize(("scheme", "order"), [("ifrk32", 3), ("ifrk54", 5), ("etdrk4", 4)])
def test_halved_steps_gain_the_order_of_the_scheme(
    scheme: Literal["ifrk32", "ifrk54", "etdrk4"], order: int
) -> None:
    grid, equation = Grid((24, 24)), AllenCahn(diffusivity=0.1, threshold=0.2)
    start = GaussianField.matern(4.0, 0.5, deviation=0.2, cutoff=7).sample([0], grid)[:, None]
    exact = integrate(equation, grid, start, times=(2.0,), tolerance=1e-13)
    errors = []
    for h in (2.0 / 20, 2.0 / 40):
        end = integrate(equation, grid, start, times=(2.0,), step=h, scheme=scheme)
        errors.append(float((end - exact).square().mean().sqrt()))
    assert errors[1] > 1e-12
    assert order - 0.5 < math.log2(errors[0] / errors[1]) < order + 0.9


def test_bad_numbers_are_refused() -> None:
    bads: list[dict[str, Any]] = [
        {"diffusivity": -1.0},
        {"threshold": 1.0},
        {"threshold": math.nan},
    ]
    for bad in bads:
        with pytest.raises(ValueError, match="threshold between -1 and 1"):
            AllenCahn(**bad)
