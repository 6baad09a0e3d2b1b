"""Every page of the catalogue is a study of the numbers that were published, and is solved."""

from __future__ import annotations

import math
from importlib import resources

import numpy as np
import pytest
import torch

from pushforward import Archive, Study, simulate
from pushforward.solvers import GaussianField, GrayScott, NavierStokes, Problem

PAGES = sorted(
    entry.name.removesuffix(".yaml")
    for entry in resources.files("pushforward.catalogs").iterdir()
    if entry.name.endswith(".yaml")
)
# F and k of The Well, arXiv:2412.00568
WELL = {
    "gliders": (0.014, 0.054),
    "bubbles": (0.098, 0.057),
    "maze": (0.029, 0.057),
    "worms": (0.058, 0.065),
    "spirals": (0.018, 0.051),
    "spots": (0.03, 0.062),
}


def problem(name: str) -> Problem:
    return Study.load(name).simulation.problem()


def amplitudes(law: object, waves: list[tuple[int, int]], box: Problem) -> list[float]:
    """E|u_k|^2 V of a drawn field: the eigenvalues of its covariance in L^2(dx)."""
    assert isinstance(law, GaussianField)
    symbol = law.symbol(box.solved_on) * box.grid.volume
    return [float(symbol[wave]) for wave in waves]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_solved_and_stays_finite(name: str, tmp_path) -> None:
    archive, simulation = Archive(tmp_path), Study.load(name).smoke().simulation
    simulate(simulation, archive)
    data = archive.open(simulation).load()
    for channel in simulation.channels:
        assert np.isfinite(data[channel]).all()
        assert float(data[channel][:, -1].std()) > 0


@pytest.mark.parametrize("nu", ["1e-3", "1e-4", "1e-5"])
def test_the_flow_of_the_fourier_neural_operator(nu: str) -> None:
    flow = problem(f"fno_{nu}")
    assert flow.equation == NavierStokes(viscosity=float(nu), waves=((1, 1, 0.1, 0.1),))
    assert flow.grid.extent == (1.0, 1.0)
    assert flow.times[-1] == {"1e-3": 50, "1e-4": 30, "1e-5": 20}[nu]
    expected = [7**3 * (4 * math.pi**2 * k2 + 49) ** -2.5 for k2 in (1, 25)]
    assert amplitudes(flow.initial, [(0, 1), (3, 4)], flow) == pytest.approx(expected, rel=1e-6)


def test_the_push_forward_of_forcings() -> None:
    flow = problem("navier_stokes")
    assert (flow.equation, flow.initial) == (NavierStokes(viscosity=1 / 500), None)
    assert flow.times[-1] == 5
    # N(0, 27 (-Laplacian + 9)^-4) for waves normalised in L^2(dx / V): V = (2 pi)^2 more in dx
    expected = [27 * (2 * math.pi) ** 2 * (k2 + 9) ** -4 for k2 in (1, 25)]
    assert amplitudes(flow.forcing, [(0, 1), (3, 4)], flow) == pytest.approx(expected, rel=1e-5)


def test_kolmogorov_flow_is_the_curl_of_its_force() -> None:
    flow = problem("kolmogorov")
    assert flow.equation == NavierStokes.kolmogorov(1e-3, drag=0.1)
    y = flow.grid.coordinates()[0]
    steady = flow.grid.ifft(flow.equation.steady(flow.grid))  # type: ignore[union-attr]
    torch.testing.assert_close(steady[:, 0], -4 * torch.cos(4 * y))  # -d_y sin(4 y)


@pytest.mark.parametrize("name", WELL)
def test_the_well(name: str) -> None:
    reaction = problem(f"gray_scott_{name}")
    assert isinstance(reaction.equation, GrayScott)
    assert (reaction.equation.feed_rate, reaction.equation.kill_rate) == WELL[name]
    assert (reaction.equation.diffusivity_u, reaction.equation.diffusivity_v) == (2e-5, 1e-5)
    assert reaction.grid.extent == (2.0, 2.0)
    cells = ["simulation.initial={kind: random_cells, cells: [32, 32]}"]
    other = Study.load(
        f"gray_scott_{name}", [*cells, "simulation.equation.start=perturbation"]
    ).simulation
    assert torch.isfinite(other.problem().start([0])).all()  # its other half starts


def test_pdebench() -> None:
    for name in ("fitzhugh_nagumo", "fitzhugh_nagumo_cells"):
        waves = problem(name)
        assert waves.grid.boundary == "neumann"
        assert waves.grid.extent == (2.0, 2.0)
        numbers = vars(waves.equation)
        assert [numbers[key] for key in ("diffusivity_u", "diffusivity_v", "threshold")] == [
            1e-3,
            5e-3,
            5e-3,
        ]
    noise = problem("fitzhugh_nagumo_cells").start([0, 1, 2]).double()
    cells = waves.solved_on.resample(noise, waves.grid)  # independent N(0, 1), whatever the grid
    count = cells.numel()
    assert abs(float(cells.square().mean()) - 1) < 4 * math.sqrt(2 / count)
    beside = (cells[..., 1:] * cells[..., :-1]).mean()
    assert abs(float(beside)) < 4 / math.sqrt(count)
