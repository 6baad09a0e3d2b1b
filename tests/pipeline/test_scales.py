"""Single scales: closed forms for a scaled shell, a shifted mean and filled waves."""

from __future__ import annotations

import math

import pytest
import torch

from pushforward import scales
from pushforward.scales import FRAMES, frames, log_ratio
from pushforward.scores import SPECTRUM, Statistic
from pushforward.solvers import GaussianField, Grid
from pushforward.solvers.diagnostics import shells
from pushforward.yardstick import Yardstick

GRID = Grid((32, 32))
FIELD = GaussianField.matern(2.0, 0.5, deviation=1.0, mean=False)
SCORES = {score.name: score for score in scales.SCORES}


def solver(members: range, grid: Grid = GRID) -> torch.Tensor:
    """Dealiased members in single precision."""
    u = FIELD.sample(members, grid, seed=5)
    return grid.ifft(grid.fft(u) * grid.resolved(2 / 3)).float()


def value(name: str, a: torch.Tensor, b: torch.Tensor, grid: Grid = GRID) -> float:
    stick = Yardstick.fit(b, grid)
    statistic: Statistic = SCORES[name].statistic
    return SCORES[name](statistic.sum(a, stick), statistic.sum(b, stick), stick).item()


def test_one_shell_too_strong_is_the_worst_and_counts_for_itself():
    u = solver(range(16)).double()
    loud = GRID.ifft(GRID.fft(u) * torch.where(shells(GRID) == 9, 10**0.5, 1.0))
    assert value("worst_shell", loud, u) == pytest.approx(1.0, abs=1e-7)
    top = 14 - 8 + 1  # the corner of the 2/3 rule is wave 14: shells 8 to 14
    assert value("top_octave", loud, u) == pytest.approx(1 / math.sqrt(top), abs=1e-7)
    low = GRID.ifft(GRID.fft(u) * torch.where(shells(GRID) == 3, 10**0.5, 1.0))
    assert value("worst_shell", low, u) == pytest.approx(1.0, abs=1e-7)
    assert value("top_octave", low, u) < 1e-7


def test_log_ratios_broadcast_over_draws():
    stick = Yardstick.fit(solver(range(8)), GRID)
    rows = SPECTRUM.rows(solver(range(8)), stick)[:, 1:]
    both = log_ratio(rows[:5], 2 * rows[:5], stick)
    torch.testing.assert_close(both, torch.full_like(both, -math.log10(2)))


@pytest.mark.parametrize("energy", [False, True])
def test_a_mean_that_a_law_of_conservation_forbids_is_seen(energy: bool):
    u = solver(range(16))
    stick = Yardstick.fit(u, GRID, energy=energy)
    score = SCORES["mean_mode"]
    base = FRAMES.sum(u, stick)
    offset = FRAMES.sum(u + 0.01 * u.std(), stick)
    assert score(base, base, stick) == 0
    assert score(FRAMES.sum(solver(range(16, 32)), stick), base, stick) == 0  # round-off is none
    assert score(offset, base, stick).item() == pytest.approx(0.01, rel=1e-3)


def test_a_mean_that_varies_must_vary_as_much():
    u = solver(range(64)).double()
    u = u / u.std(correction=0)
    bias = torch.linspace(-1, 1, 64).double()[:, None, None]
    b = u + bias
    size = bias.square().mean().sqrt() / b.std(correction=0)
    assert value("mean_mode", u + 2 * bias, b) == pytest.approx(size.item(), rel=1e-6)


def test_power_in_waves_that_the_solver_leaves_empty_is_their_share():
    u = solver(range(16))
    y = GRID.coordinates()[0][:, None]
    share = 1e-4
    hum = u + (2 * share) ** 0.5 * u.std() * torch.cos(15 * y)
    assert value("dealiased_tail", u, u) == 0
    assert value("dealiased_tail", solver(range(16, 32)), u) == 0
    assert value("dealiased_tail", hum, u) == pytest.approx(share, rel=1e-3)
    inside = u + 0.1 * u.std() * torch.cos(9 * y)  # no empty wave
    assert value("dealiased_tail", inside, u) == 0


def test_where_no_wave_is_empty_there_is_no_tail():
    u = torch.randn(16, 12, 8, generator=torch.Generator().manual_seed(0))
    grid = Grid((12, 8), boundary="neumann")
    assert math.isnan(value("dealiased_tail", 2 * u, u, grid))


def test_frames_are_what_the_two_thirds_rule_cuts():
    grid = Grid((24, 12))
    number = frames(grid)
    assert bool(((number < 8) == grid.resolved(2 / 3)).all())
    assert int(number.max()) == 12
    walls = Grid((12, 12), boundary="neumann")
    assert bool(((frames(walls) < 8) == walls.resolved(2 / 3)).all())
