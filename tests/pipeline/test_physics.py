"""Budgets and residuals: closed forms, scipy, the solver's own frames, wrong physics refused."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats

from pushforward.draws import Draws
from pushforward.members import Members
from pushforward.physics import (
    SCORES,
    amount_distance,
    dissipation,
    energy,
    flows,
    residual_size,
    residuals,
    variance,
)
from pushforward.residual import asked, residual_scores
from pushforward.solvers import (
    Burgers,
    Darcy,
    GaussianField,
    Grid,
    NavierStokes,
    Problem,
    energy_budget,
    enstrophy_budget,
)
from pushforward.spec import Simulation, Training
from pushforward.verdicts import table, titles
from pushforward.yardstick import Yardstick

GRID = Grid((32, 32))
FIELD = GaussianField.matern(4.0, 0.3, deviation=3.0, mean=False, cutoff=10)
FLOW = NavierStokes(viscosity=0.01)
TIMES = (0.5, 1.0)


@pytest.fixture(scope="module")
def problem() -> Problem:
    return Problem(GRID, FLOW, FIELD, times=TIMES, tolerance=1e-5)


@pytest.fixture(scope="module")
def frames(problem: Problem) -> torch.Tensor:
    """Trajectories (member, frame, channel, y, x)."""
    return problem.solve(range(24), seed=3)


def test_amounts_are_those_of_the_budgets(frames: torch.Tensor):
    w = frames[:, 0, 0].double()
    stick = Yardstick.fit(w, GRID, energy=True)
    scale = stick.deviation**2
    lines = energy_budget(w - stick.mean, FLOW, GRID), enstrophy_budget(w - stick.mean, FLOW, GRID)
    amount = energy(w, stick)
    assert amount is not None
    torch.testing.assert_close(amount[:, 0] * scale, lines[0].amount)
    torch.testing.assert_close(variance(w, stick)[:, 0] * scale, lines[1].amount)
    # the slope is the root mean square over both axes, so that the mean amount is 1/2
    drained = lines[1].viscosity / (2 * FLOW.viscosity)
    torch.testing.assert_close(dissipation(w, stick)[:, 0] * stick.slope**2 * 2, drained)


@pytest.mark.parametrize("last", [0.3, 1e10])  # one member of a that has blown up
def test_amounts_are_compared_as_scipy_does(last: float):
    x = torch.rand(60, 1, generator=torch.Generator().manual_seed(0)).double()
    x[0] = last
    a = torch.zeros(3, 60).double()
    a[:, :20], a[1, :5] = 1, 4
    b = torch.zeros(3, 60).double()
    b[:, 30:], b[2, 40:] = 1, 2
    found = amount_distance(x, a, b)
    for i in range(3):
        exact = stats.wasserstein_distance(x[:, 0], x[:, 0], a[i], b[i])
        repeated = x[:, 0].repeat_interleave(b[i].long())
        assert found[i].item() == pytest.approx(
            exact / repeated.std(correction=0).item(), rel=1e-6
        )


def test_an_ensemble_of_average_members_has_the_right_mean_and_is_far():
    energies = torch.rand(200, generator=torch.Generator().manual_seed(1)).double() + 0.5
    average = energies.mean().expand(200)
    x = torch.cat([average, energies])[:, None]
    a = torch.cat([torch.ones(200), torch.zeros(200)])[None].double()
    # of a uniform law about its mean: a quarter of its width, over width / sqrt 12
    assert amount_distance(x, a, 1 - a).item() == pytest.approx(math.sqrt(12) / 4, abs=0.05)


def test_only_a_vorticity_has_an_energy(frames: torch.Tensor):
    w = frames[:, 0, 0]
    assert [score.features(w, Yardstick.fit(w, GRID)) is None for score in SCORES] == [
        True,
        False,
        False,
    ]


def test_the_solvers_own_frames_follow_each_other_and_others_do_not(
    problem: Problem, frames: torch.Tensor
):
    r = residuals(frames, problem, TIMES)
    assert r.shape == (24,)
    assert r.max() < 1e-4
    swapped = torch.stack([frames[:, 0], frames[:, 1].roll(1, 0)], 1)
    assert residuals(swapped, problem, TIMES).min() > 0.3
    frozen = frames[:, :1].expand(-1, 2, -1, -1, -1)
    assert residuals(frozen, problem, TIMES).min() > 100 * r.max()


def test_a_slightly_wrong_viscosity_is_many_times_the_solvers_residual(
    problem: Problem, frames: torch.Tensor
):
    wrong = Problem(GRID, NavierStokes(viscosity=0.0105), FIELD, times=TIMES, tolerance=1e-5)
    own = residuals(frames, problem, TIMES)
    other = residuals(wrong.solve(range(24), seed=3), problem, TIMES)
    assert other.min() > 10 * own.max()
    squares = torch.cat([other, own]).square()[:, None]
    a = torch.cat([torch.ones(24), torch.zeros(24)])[None]
    sizes = [residual_size(squares, w, w).item() for w in (a, 1 - a)]
    assert sizes[0] / sizes[1] > 10


def test_frames_on_a_coarser_grid_are_moved_on_the_solvers():
    fine = Problem(
        Grid((16,)),
        Burgers(viscosity=0.02),
        GaussianField.matern(4.0, 0.5, deviation=1.0, cutoff=5),
        times=TIMES,
        tolerance=1e-5,
        solver_grid=Grid((128,)),
    )
    u = fine.solve(range(4))
    kept = residuals(u, fine, TIMES)
    alone = residuals(
        u, Problem(Grid((16,)), fine.equation, None, times=TIMES, tolerance=1e-5), TIMES
    )
    assert bool((kept < alone).all())


def test_a_member_that_blows_up_has_an_infinite_residual(
    problem: Problem, frames: torch.Tensor, monkeypatch: pytest.MonkeyPatch
):
    broken = frames[:3].clone()
    broken[1] *= 1e18
    r = residuals(broken, problem, TIMES)
    assert r.isinf().tolist() == [False, True, False]
    assert r[[0, 2]].max() < 1e-4


def test_what_a_state_does_not_determine_is_refused(problem: Problem, frames: torch.Tensor):
    forced = Problem(GRID, FLOW, FIELD, FIELD, times=TIMES, step=0.1)
    stirred = Problem(GRID, FLOW, FIELD, None, times=TIMES, step=0.1, noise=FIELD)
    still = Problem(Grid((8, 8), boundary="neumann"), Darcy(), times=(0.0,))
    assert [flows(p) for p in (problem, forced, stirred, still)] == [True, False, False, False]
    with pytest.raises(ValueError, match="expected an evolution that the state determines"):
        residuals(frames, forced, TIMES)
    with pytest.raises(ValueError, match="expected at least 2 frames and as many times, got 1"):
        residuals(frames[:, :1], problem, TIMES[:1])


def test_generated_frames_are_judged_by_the_solvers_own_residual(frames: torch.Tensor):
    simulation = Simulation(
        equation=FLOW, grid=GRID, initial=FIELD, times=TIMES, tolerance=1e-5, members=120
    )
    training = Training(simulation=simulation, frames=(1, 0), members=8, held_out=8, steps=0)
    solver = simulation.problem().solve(range(40, 104))[:, :, 0].flip(1)  # frames in its order
    other = simulation.problem().solve(range(24), seed=9)[:, :, 0].flip(1)
    wrong = torch.stack([other[:, 0].roll(1, 0), other[:, 1]], 1)
    sets = {name: Members.of(u) for name, u in (("right", other), ("wrong", wrong))}
    pool, size = Members.of(solver), asked(sets, Members.of(solver))
    draws = Draws.make(sets, size, 2 * size, size, splits=50, bootstrap=20, seed=0)
    ((name, variable, drawn),) = residual_scores(sets, pool, training, GRID, draws)
    assert (size, name, variable) == (24, "residual", None)
    found = table({"joint": {name: drawn}}, list(sets), titles(()), {}).isel(variable=0, score=0)
    assert found.p.values[1] == 1 / 51 < 0.1 < found.p.values[0]
    assert found.inside.values.tolist() == [True, False]
    assert found.ratio.sel(ensemble="right").item() == pytest.approx(1, abs=0.5)
    assert found.ratio.sel(ensemble="wrong").item() > 1000
    assert found.value.sel(ensemble="wrong").item() > 0.3
