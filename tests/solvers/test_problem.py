"""Problems: members addressed by number, precision, grids, what does not fit."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
import torch

from pushforward.solvers import GaussianField, GrayScott, Grid, NavierStokes, Problem

FIELD = GaussianField.matern(4.0, 0.4, deviation=2.0, cutoff=7, mean=False)
FLOW = Problem(
    Grid((24, 24)), NavierStokes(viscosity=0.02), FIELD, FIELD, (0.5, 1.0), 0.1, dtype="float64"
)
PATCHES = Problem(
    Grid((24, 24), (1.0, 1.0)),
    GrayScott(),
    GaussianField.squared_exponential(0.15, cutoff=10),
    times=(10.0,),
    step=1.0,
    dtype="float64",
)
PROBLEMS = pytest.mark.parametrize("problem", [FLOW, PATCHES], ids=["flow", "patches"])


@PROBLEMS
def test_a_batch_repeats_bit_for_bit(problem: Problem) -> None:
    assert torch.equal(problem.solve(range(4), seed=3), problem.solve([0, 1, 2, 3], seed=3))
    assert not torch.equal(problem.solve(range(4), seed=3), problem.solve(range(4), seed=4))


@PROBLEMS
def test_a_member_does_not_depend_on_what_is_asked_beside_it(problem: Problem) -> None:
    whole = problem.solve(range(6))
    for some in ([5, 0, 3], [2], [4, 4]):
        torch.testing.assert_close(problem.solve(some), whole[some], rtol=0, atol=1e-11)
    assert (whole[0] - whole[1]).abs().max() > 0.01


@PROBLEMS
def test_solutions_have_a_member_time_and_channel_axis(problem: Problem) -> None:
    u = problem.solve(range(2))
    channels = len(problem.equation.channels)
    assert u.shape == (2, len(problem.times), channels, *problem.grid.shape)
    assert u.dtype == torch.float64
    assert replace(problem, dtype="float32").solve(range(2)).dtype == torch.float32


@PROBLEMS
def test_single_precision_follows_double(problem: Problem) -> None:
    double = problem.solve(range(2))
    single = replace(problem, dtype="float32").solve(range(2)).double()
    error = (single - double).abs().max() / double.abs().max()
    assert 1e-9 < error < 1e-5


def test_initial_state_and_forcing_are_independent_draws() -> None:
    start, force = FLOW.start(range(200)), FLOW.force(range(200))
    assert force is not None
    assert start.shape == (200, 1, 24, 24)
    assert force.shape == (200, 24, 24)
    symbol, count = FIELD.symbol(FLOW.grid), FLOW.grid.multiplicity()
    error = ((symbol**2 * count).sum() / (symbol * count).sum() ** 2 / 200).sqrt()
    scale = FIELD.trace(FLOW.grid)
    assert abs((start[:, 0] * force).mean()) / scale < 4 * error
    assert abs((start[:, 0] * start[:, 0]).mean()) / scale > 4 * error


def test_two_grids_start_from_the_same_functions() -> None:
    coarse, fine = FLOW.on(Grid((64, 64))), FLOW.on(Grid((128, 128)))
    for draw in (Problem.start, Problem.force):
        a, b = draw(coarse, [0, 9], seed=2), draw(fine, [0, 9], seed=2)
        assert a is not None
        assert b is not None
        torch.testing.assert_close(b[..., ::2, ::2], a, rtol=0, atol=1e-12)


def test_two_grids_end_at_the_same_solution_once_it_is_resolved() -> None:
    smooth = replace(FLOW, equation=NavierStokes(viscosity=0.1), times=(1.0,), step=0.025)
    ends = [smooth.on(Grid((n, n))).solve([0])[0, 0, 0] for n in (32, 64, 128)]
    errors = [
        float((fine[::2, ::2] - coarse).abs().max()) for coarse, fine in itertools.pairwise(ends)
    ]
    assert errors[1] < 1e-5
    assert errors[1] < errors[0] / 100


def test_from_rest_only_the_forcing_differs() -> None:
    rest = replace(FLOW, initial=None)
    assert rest.start(range(3)).shape == (3, 1, 24, 24)
    assert rest.start(range(3)).abs().max() == 0
    assert rest.solve(range(3)).std(0).min() > 0
    assert replace(FLOW, forcing=None).force([0]) is None


def test_forcing_of_an_equation_without_one_is_refused() -> None:
    with pytest.raises(
        ValueError, match="expected no forcing for GrayScott, got matern; remove it"
    ):
        Problem(Grid((8, 8)), GrayScott(), forcing=FIELD)


def test_unknown_precision_is_refused() -> None:
    with pytest.raises(ValueError, match="float32 or float64, got 'float16'"):
        Problem(Grid((8, 8)), NavierStokes(), dtype="float16")


def test_blow_up_names_the_member_by_its_number() -> None:
    wild = replace(
        FLOW, initial=replace(FIELD, deviation=1e4), dtype="float32", times=(50.0,), step=1.0
    )
    with pytest.raises(FloatingPointError, match=r"member 1[12] became non-finite at t=\d"):
        wild.solve([11, 12])


def test_solved_on_two_grids_a_member_starts_from_the_same_function() -> None:
    start = GaussianField.matern(6.0, 0.2, deviation=2.0, cutoff=10)
    force = GaussianField.matern(4.0, 0.3, deviation=1.0, cutoff=5)
    frames = [
        Problem(
            Grid((n, n)),
            NavierStokes(viscosity=0.02),
            start,
            force,
            times=(0.0, 0.1),
            step=0.01,
            dtype="float64",
        ).solve(range(2), seed=3)
        for n in (64, 128)
    ]
    coarse, fine = frames[0], frames[1][..., ::2, ::2]
    torch.testing.assert_close(coarse[:, 0], fine[:, 0], rtol=0, atol=1e-12)
    torch.testing.assert_close(coarse[:, 1], fine[:, 1], rtol=0, atol=1e-4)
    assert not torch.equal(coarse[:, 1], fine[:, 1])


@pytest.mark.parametrize("kernel", ["auto", "torch"])
def test_grids_agree_where_they_meet_and_converge_spectrally(kernel: str) -> None:
    """64, 128, 256 points: the same functions at t = 0, errors that fall much faster than h^4."""
    field = GaussianField.matern(4.0, 0.25, deviation=3.0, cutoff=12, mean=False)
    flow = Problem(
        Grid((64, 64)),
        NavierStokes(viscosity=0.05),
        field,
        field,
        times=(0.0, 0.5),
        tolerance=1e-9,
        dtype="float64",
    )
    at = {
        n: flow.on(Grid((n, n))).run([3], kernel=kernel).fields[..., :: n // 64, :: n // 64]
        for n in (64, 128, 256)
    }
    for n in (64, 128):
        torch.testing.assert_close(at[n][:, 0], at[256][:, 0], rtol=0, atol=1e-11)
    coarse, fine = (
        float((at[n] - at[256])[:, 1].norm() / at[256][:, 1].norm()) for n in (64, 128)
    )
    assert fine < 1e-7
    assert coarse > 100 * fine  # the control: 64 points are not enough


def test_nobody_and_another_box_are_refused() -> None:
    problem = Problem(Grid((16, 16)), GrayScott(), times=(1.0,), step=1.0)
    with pytest.raises(ValueError, match="expected at least one member, got none"):
        problem.solve([])
    with pytest.raises(ValueError, match="expected a solver_grid of the box"):
        replace(problem, solver_grid=Grid((32,)))


@pytest.mark.parametrize("exponent", [math.nan, math.inf])
def test_an_exponent_that_is_no_number_is_refused_by_the_law(exponent: float) -> None:
    with pytest.raises(ValueError, match="expected a finite exponent"):
        GaussianField.matern(exponent, 0.5, deviation=1.0)
