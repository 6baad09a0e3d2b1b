"""Scores of fluxes: closed forms, phases seen, and nothing said where there is no flux."""

from __future__ import annotations

import pytest
import torch

from pushforward import fluxes
from pushforward.fluxes import FLUXES
from pushforward.solvers import GaussianField, Grid, NavierStokes, integrate
from pushforward.solvers.transfer import vorticity_fluxes
from pushforward.yardstick import Yardstick

GRID = Grid((32, 32))
SCORES = {score.name: score for score in fluxes.SCORES}


@pytest.fixture(scope="module")
def flow() -> torch.Tensor:
    """A vorticity that has decayed for a while."""
    start = GaussianField.matern(4.0, 0.3, deviation=3.0, mean=False).sample(range(96), GRID)
    return integrate(
        NavierStokes(viscosity=0.01), GRID, start[:, None], times=(1.0,), tolerance=1e-4
    )[:, 0, 0]


def value(name: str, a: torch.Tensor, b: torch.Tensor, grid: Grid = GRID, energy=True) -> float:
    stick = Yardstick.fit(b, grid, energy)
    return SCORES[name](FLUXES.sum(a, stick), FLUXES.sum(b, stick), stick).item()


@pytest.mark.parametrize("name", SCORES)
def test_a_field_twice_as_strong_has_eight_times_the_flux(name: str, flow: torch.Tensor):
    assert value(name, 2 * flow, flow) == pytest.approx(7.0, rel=1e-9)
    assert value(name, flow.flip(0), flow) < 1e-12
    # against time, and in a mirror: the flux turns round, and it does not
    assert value(name, -flow, flow) == pytest.approx(2.0, rel=1e-9)
    assert value(name, -flow.flip(-1).roll(1, -1), flow) < 1e-9


@pytest.mark.parametrize("name", SCORES)
def test_the_score_is_the_relative_distance_of_mean_fluxes(name: str, flow: torch.Tensor):
    a, b = flow[:48], flow[48:]
    part = list(SCORES).index(name)
    mean_a, mean_b = (vorticity_fluxes(u, GRID)[part].mean(0) for u in (a, b))
    kept = Yardstick.fit(b, GRID, True).resolved
    exact = (mean_a - mean_b)[kept].norm() / mean_b[kept].norm()
    assert value(name, a, b) == pytest.approx(exact.item(), rel=1e-6)


@pytest.mark.parametrize("name", SCORES)
def test_random_phases_carry_no_flux(name: str, flow: torch.Tensor):
    noise = GRID.fft(torch.randn(flow.shape, generator=torch.Generator().manual_seed(0)).double())
    copy = GRID.ifft(GRID.fft(flow).abs() * noise / noise.abs())
    assert value(name, copy, flow) > 0.5
    assert value(name, flow[:48], flow[48:]) < 0.5


def test_what_has_no_flux_has_no_score(flow: torch.Tensor):
    u = flow[:4]
    assert all(value(name, u, u, energy=False) != 0 for name in SCORES)  # NaN
    assert all(torch.isnan(torch.tensor(value(name, u, u, energy=False))) for name in SCORES)
    line, field = Grid((32,)), u[:, 0]
    assert value("energy_flux", 2 * field, field, line, False) == pytest.approx(7.0, rel=1e-6)
    assert torch.isnan(torch.tensor(value("enstrophy_flux", field, field, line, False)))
    walls = Grid((32,), boundary="neumann")
    assert torch.isnan(torch.tensor(value("energy_flux", field, field, walls, False)))


def test_draws_are_a_batch(flow: torch.Tensor):
    stick = Yardstick.fit(flow, GRID, True)
    rows = FLUXES.rows(flow, stick)
    draws = torch.eye(96).double()[:5], torch.ones(5, 96).double()
    for score in SCORES.values():
        many = score(draws[0] @ rows, draws[1] @ rows, stick)
        assert many.shape == (5,)
        assert many[3] == pytest.approx(score(rows[3], rows.sum(0), stick).item())
