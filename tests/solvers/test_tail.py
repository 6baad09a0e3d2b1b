"""The resolution guard: what it measures, and that it fires where a finer grid disagrees."""

from __future__ import annotations

import warnings

import pytest
import torch

from pushforward.solvers import GaussianField, GrayScott, Grid, NavierStokes
from pushforward.solvers.integrators import evolve
from pushforward.solvers.tail import COARSE, ResolutionWarning, complaint, tail


@pytest.mark.parametrize("boundary", ["periodic", "neumann"])
def test_tail_is_the_share_of_the_outermost_waves(boundary: str) -> None:
    grid = Grid((48, 48), boundary=boundary)  # type: ignore[arg-type]
    last = 15 if boundary == "periodic" else 31  # below two thirds of the Nyquist wave
    u_hat = torch.zeros(2, 2, *grid.spectral_shape, dtype=grid.fft(torch.zeros(48, 48)).dtype)
    u_hat[:, :, 0, 0] = 100.0  # a mean does not count
    u_hat[:, :, 1, 1] = 1.0
    u_hat[0, 1, 2, last] = 0.1
    u_hat[1, 0, last // 2, 3] = 0.1
    expected = 0.1 / (1 + 0.1**2) ** 0.5
    torch.testing.assert_close(tail(u_hat, grid), torch.tensor([expected, 0.0]).double())
    assert tail(0 * u_hat, grid).tolist() == [0.0, 0.0]


def solutions(name: str, shape: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor, Grid]:
    """Fields and tails at two late times, from one initial state for all grids."""
    if name == "pattern":
        equation, box, times = GrayScott(), (1.2, 1.2), (60.0, 120.0)
        z = GaussianField.squared_exponential(0.15, cutoff=12)
    else:
        equation = NavierStokes(viscosity=float(name), waves=((1, 1, 0.1, 0.1),))
        box, times = (1.0, 1.0), (1.0, 3.0)
        z = GaussianField.matern(2.5, 1 / 7, amplitude=7**1.5, mean=False)
    fine, grid = Grid((128, 128), box), Grid(shape, box)
    drawn = z.sample([0, 1], fine)
    state = equation.initial_state(drawn if name != "pattern" else drawn[None], fine)
    start = fine.resample(state[:1], grid)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = evolve(equation, grid, start, times=(0.0, *times), tolerance=1e-6)
    return found.fields[0, 1:], found.tail[0], grid


@pytest.mark.parametrize(
    ("name", "shape", "coarse"),
    [
        ("1e-3", (64, 64), False),  # published at this size: its error is 1e-9
        ("1e-3", (24, 24), True),
        ("1e-4", (64, 64), True),  # 1e-3
        ("pattern", (48, 48), True),
    ],
)
def test_guard_fires_where_a_finer_grid_disagrees(
    name: str, shape: tuple[int, int], coarse: bool
) -> None:
    exact, _, fine = solutions(name, (128, 128))
    found, tails, grid = solutions(name, shape)
    exact = fine.resample(exact, grid)
    distance = (found - exact).flatten(2).norm(dim=2) / exact.flatten(2).norm(dim=2)
    error = float(distance.max())
    warned = complaint(tails[None], (0.0, 1.0, 2.0), [0], grid) is not None
    assert warned == coarse
    assert error > 5e-4 if coarse else error < 1e-5, error
    if coarse:  # the tail is the size of the error
        assert error / 10 < float(tails[1:].max()) < 10 * error


def test_one_warning_names_the_worst_member_and_time() -> None:
    grid = Grid((32, 32), (1.0, 1.0))
    law = GaussianField.matern(2.5, 1 / 7, amplitude=7**1.5, mean=False)
    w = law.sample([0, 1], grid)[:, None] * torch.tensor([0.0, 1.0]).view(2, 1, 1, 1)
    with pytest.warns(ResolutionWarning) as caught:
        evolve(
            NavierStokes(viscosity=1e-5), grid, w, times=(0.0, 0.5, 2.0), step=0.1, members=[3, 8]
        )
    assert len(caught) == 1
    text = str(caught[0].message)
    assert text.startswith(f"expected less than {COARSE:g} of the field in the outermost waves")
    assert "for member 8 at t=" in text
    assert text.endswith("refine the grid")


def test_initial_state_does_not_warn() -> None:
    grid = Grid((32, 32), (1.0, 1.0))
    law = GaussianField.matern(2.5, 1 / 7, amplitude=7**1.5, mean=False)
    w = law.sample([0], grid)[:, None]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = evolve(NavierStokes(viscosity=0.1), grid, w, times=(0.0, 1.0), tolerance=1e-4)
    assert found.tail[0, 0] > COARSE > found.tail[0, 1]
