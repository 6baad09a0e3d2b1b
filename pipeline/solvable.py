"""Whether a solver can do what a study asks for: one sentence before anything is computed."""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from pushforward.solvers import Equation, GaussianField, Grid, Problem
from pushforward.solvers.arguments import check_noise, check_times
from pushforward.solvers.elliptic import EllipticEquation


def check(problem: Problem) -> None:
    """Raises ValueError for a problem that no solver can start on.

    >>> from pushforward.solvers import NavierStokes
    >>> check(Problem(Grid((8, 8)), NavierStokes()))
    Traceback (most recent call last):
    ValueError: expected a step or a tolerance, got neither; give tolerance=1e-5 for steps ...
    """
    equation, grid = problem.equation, problem.grid
    if grid.boundary not in equation.boundary:
        raise ValueError(
            f"expected boundary {' or '.join(equation.boundary)} for {_name(problem)}, got "
            f"{grid.boundary}; set grid.boundary"
        )
    if isinstance(equation, EllipticEquation):
        _check_timeless(problem)
    else:
        scheme = problem.scheme or ("etdrk2" if problem.noise is not None else equation.scheme)
        dtype = torch.float32 if problem.dtype == "float32" else torch.float64
        if problem.noise is not None:
            check_noise(equation, problem.times, problem.tolerance, scheme)
        check_times(problem.times, problem.step, problem.tolerance, scheme, dtype)
        # what the equation says about the grid, and about its forcing there
        equation.linear(problem.solved_on)
        equation.nonlinear(problem.solved_on, dtype, "cpu")
    equation.initial_state(None, replace(grid, shape=(8,) * grid.ndim))
    for law in (problem.initial, problem.forcing, problem.noise):
        if isinstance(law, GaussianField):
            replace(law, deviation=None).symbol(grid)  # of trace class?
        elif law is not None:
            law.sample([0], problem.solved_on)  # is there such a field on this box?


def critical(problem: Problem) -> Grid:
    """The smallest grid that holds what a problem's solver leaves on its grid, or that grid.

    >>> from pushforward.solvers import GrayScott
    >>> critical(Problem(Grid((128, 96)), GrayScott())).shape
    (86, 64)
    """
    grid, equation = problem.grid, problem.equation
    share = equation.dealias if isinstance(equation, Equation) else math.inf
    if share >= 1:
        return grid
    fine = problem.solved_on.shape
    # the waves |k| < share n / 2, in half waves k < share n: as many points, an even number
    points = [
        2 * math.ceil(share * n / 2) if grid.periodic else math.ceil(share * n) for n in fine
    ]
    shape = (min(max(m, 4), n) for m, n in zip(points, grid.shape, strict=True))
    return replace(grid, shape=tuple(shape))


def check_critical(problem: Problem) -> None:
    """Raises ValueError where storing on the critical grid would save nothing, or lose something.

    >>> from pushforward.solvers import GrayScott
    >>> check_critical(Problem(Grid((8, 8)), GrayScott(), solver_grid=Grid((16, 16))))
    Traceback (most recent call last):
    ValueError: expected a solver that cuts waves of (8, 8) points for storage critical, got ...
    """
    grid, small = problem.grid, critical(problem)
    if small.size == grid.size:
        raise ValueError(
            f"expected a solver that cuts waves of {grid.shape} points for storage critical, got "
            f"{_name(problem)} on {problem.solved_on.shape}, which leaves all; set storage: full"
        )
    law = problem.forcing
    kept = min(n // 2 - 1 if grid.periodic else n - 1 for n in small.shape)
    if law is not None and (law.cutoff is None or law.cutoff > kept):
        raise ValueError(
            f"expected a forcing with a cutoff of at most {kept} for storage critical, got "
            f"{law.cutoff}; give it one, or set storage: full"
        )


def _check_timeless(problem: Problem) -> None:
    given = [
        name for name in ("step", "tolerance", "scheme") if getattr(problem, name) is not None
    ]
    if given:
        raise ValueError(
            f"expected no {given[0]} for {_name(problem)}, which has no time, got "
            f"{getattr(problem, given[0])}; leave it out"
        )


def _name(problem: Problem) -> str:
    return type(problem.equation).__name__
