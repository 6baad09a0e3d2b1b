"""What holds for every equation: bits of a member, functions on several grids, plain refusals."""

from __future__ import annotations

import itertools
import math
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pushforward.solvers import GaussianField, GrayScott, Grid, NavierStokes, Problem, integrate
from pushforward.solvers.allen_cahn import AllenCahn
from pushforward.solvers.burgers import Burgers
from pushforward.solvers.darcy import Darcy
from pushforward.solvers.equation import Equation
from pushforward.solvers.fitzhugh_nagumo import FitzHughNagumo
from pushforward.solvers.kdv import KortewegDeVries

MEMBERS = 6


def smooth(length: float, cutoff: int, deviation: float = 1.0, mean: bool = True) -> GaussianField:
    return GaussianField.matern(4.0, length, deviation, cutoff=cutoff, mean=mean)


ROUGH = smooth(0.2, 6, mean=False)
STIR = GaussianField.matern(4.0, 0.3, deviation=0.5, cutoff=3, mean=False)
PLANE, WALLS, LINE = Grid((16, 16)), Grid((16, 16), (2.0, 2.0), "neumann"), Grid((32,), (1.0,))
FLOW, WAVES = NavierStokes(viscosity=0.05), KortewegDeVries(nonlinearity=1.0, dispersion=1e-3)
PROBLEMS = {
    "navier_stokes": Problem(PLANE, FLOW, smooth(0.5, 4, 2.0, mean=False), STIR, (0.2, 0.5)),
    "stochastic_navier_stokes": Problem(PLANE, FLOW, noise=STIR, times=(0.5, 1.0), step=0.125),
    "gray_scott": Problem(PLANE, GrayScott(), smooth(0.5, 4), times=(20.0,)),
    "fitzhugh_nagumo": Problem(WALLS, FitzHughNagumo(), smooth(0.3, 4), times=(0.5, 1.0)),
    "allen_cahn": Problem(WALLS, AllenCahn(), smooth(0.3, 4, 0.3), times=(0.5,)),
    "burgers": Problem(LINE, Burgers(viscosity=0.1), smooth(0.1, 5), times=(0.1, 0.3)),
    "kdv": Problem(LINE, WAVES, smooth(0.2, 4), times=(0.2,)),
    "stochastic_kdv": Problem(LINE, WAVES, smooth(0.2, 4), noise=STIR, times=(0.2,), step=0.05),
    "darcy": Problem(replace(WALLS, extent=(1.0, 1.0)), Darcy(), ROUGH, times=(0.0,)),
    "darcy_binary": Problem(
        replace(WALLS, extent=(1.0, 1.0)), Darcy(coefficient="binary"), ROUGH, times=(0.0,)
    ),
}
ODD = {1: (22,), 2: (10, 14)}  # no multiple of a vector: the last numbers of an array are apart
PROBLEMS |= {
    f"{name}, odd": replace(one, grid=replace(one.grid, shape=ODD[one.grid.ndim]))
    for name, one in PROBLEMS.items()
}
MARCHING = [name for name, problem in PROBLEMS.items() if problem.equation.marches]


def posed(name: str, dtype: str, **changes: Any) -> Problem:
    """A problem with its own fixed step, or else a tolerance."""
    problem = replace(PROBLEMS[name], dtype=dtype, **changes)
    steps = problem.step is not None or problem.tolerance is not None
    return problem if steps or not problem.equation.marches else replace(problem, tolerance=1e-4)


def solved(problem: Problem, members: Sequence[int], seed: int = 0) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some of these grids are coarse on purpose
        return problem.run(members, seed, kernel="torch").fields


@cache
def by_itself(name: str, dtype: str, member: int) -> torch.Tensor:
    return solved(posed(name, dtype), [member])[0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", PROBLEMS)
@given(
    members=st.lists(st.integers(0, MEMBERS - 1), min_size=1, max_size=5),
)
@settings(max_examples=6, deadline=None, derandomize=True)
def test_a_member_has_the_same_bits_in_any_company(
    name: str, dtype: str, members: list[int]
) -> None:
    together = solved(posed(name, dtype), members)
    assert together.dtype == getattr(torch, dtype)
    for row, member in enumerate(members):
        assert torch.equal(together[row], by_itself(name, dtype, member))


@pytest.mark.parametrize("name", PROBLEMS)
def test_members_and_seeds_differ(name: str) -> None:
    """The negative control of equal bits: nobody gets a constant, or another's fields."""
    problem = posed(name, "float64")
    fields = solved(problem, range(3))
    another = solved(problem, [0], seed=1)
    for one, other in itertools.combinations([*fields, another[0]], 2):
        assert not torch.equal(one, other)
    assert torch.isfinite(fields).all()


def points(u: torch.Tensor, times: int, ndim: int) -> torch.Tensor:
    """Every `times`-th point, which a coarser periodic grid shares."""
    return u[(..., *[slice(None, None, times)] * ndim)]


SHARED = {
    "navier_stokes": (PLANE, NavierStokes(viscosity=0.02), 0.5),
    "gray_scott": (
        PLANE,
        GrayScott(diffusivity_u=0.02, diffusivity_v=0.01, patch_width=2.0),
        20.0,
    ),
    "fitzhugh_nagumo": (PLANE, FitzHughNagumo(diffusivity_u=0.05, diffusivity_v=0.1), 2.0),
    "allen_cahn": (PLANE, AllenCahn(diffusivity=0.02), 2.0),
    "burgers": (LINE, Burgers(viscosity=0.02), 0.2),
    "kdv": (LINE, KortewegDeVries(nonlinearity=1.0, dispersion=1e-4), 0.15),
}


@pytest.mark.parametrize("name", SHARED)
def test_grids_agree_at_shared_points_at_first_and_converge_later(name: str) -> None:
    """The same functions on n, 2 n, 4 n points; the error falls faster than any power."""
    grid, equation, time = SHARED[name]
    start = smooth(0.05 * grid.extent[0], 4)  # within the 2/3 rule of the coarsest grid
    base = Problem(grid, equation, start, times=(0.0, time), tolerance=1e-9, dtype="float64")
    problems = [base.on(replace(grid, shape=tuple(m * n for n in grid.shape))) for m in (1, 2, 4)]
    frames = [
        points(solved(p, [3])[0], m, grid.ndim) for m, p in zip((1, 2, 4), problems, strict=True)
    ]
    errors = [
        [float((f - g).norm() / g.norm()) for f, g in zip(x, frames[-1], strict=True)]
        for x in frames
    ]
    (first_1, last_1), (first_2, last_2), _ = errors
    if name != "gray_scott":  # whose state is a nonlinear map of the drawn field
        assert max(first_1, first_2) < 1e-12
    assert (frames[-1][1] - frames[-1][0]).norm() > 0.05 * frames[-1][0].norm()  # it moved
    assert last_1 > 1e-5  # the coarsest grid is too coarse
    assert last_2 < max(last_1**1.6, 1e-7)  # and waves fall exponentially: e^-2n = (e^-n)^2


@dataclass(frozen=True)
class Refusal:
    """A mistake, and what the sentence about it must say: expected, got, remedy."""

    call: Callable[[], object]
    expected: str
    got: str
    remedy: str


def ones(problem: Problem, grid: Grid | None = None) -> torch.Tensor:
    grid = grid or problem.grid
    return torch.ones(1, len(problem.equation.channels), *grid.shape, dtype=torch.float64)


def marched(name: str, start: torch.Tensor, grid: Grid | None = None, **more: Any) -> object:
    problem = PROBLEMS[name]
    equation = problem.equation
    assert isinstance(equation, Equation)
    arguments = {"times": (0.1,), "step": 0.1, **more}
    return integrate(equation, grid or problem.grid, start, **arguments)


def mistakes_of(name: str) -> dict[str, Refusal]:
    """What goes wrong in the same way with every equation that marches in time."""
    problem = PROBLEMS[name]
    grid, start = problem.grid, ones(problem)
    wild = start.clone()
    wild[0, 0].view(-1)[5] = math.nan
    equation = problem.equation
    assert isinstance(equation, Equation)
    other = "neumann" if equation.boundary == ("periodic",) else None
    found = {
        "shape": Refusal(
            lambda: marched(name, start[:, 0]), "an initial state of shape", "got (", "add"
        ),
        "nan": Refusal(lambda: marched(name, wild), "a finite", "member 0", "check"),
        "step": Refusal(
            lambda: marched(name, start, step=-0.1), "a positive step", "-0.1", "choose"
        ),
        "no step": Refusal(
            lambda: marched(name, start, step=None), "a step or a tolerance", "neither", "give"
        ),
        "tolerance": Refusal(
            lambda: marched(name, start, tolerance=-1.0), "a tolerance", "-1.0", "choose"
        ),
        "tolerance of float32": Refusal(
            lambda: marched(name, start.float(), tolerance=1e-9), "at least 2e-06", "1e-09", "64"
        ),
        "times": Refusal(
            lambda: marched(name, start, times=(2.0, 1.0)),
            "increasing times",
            "(2.0, 1.0)",
            "sort",
        ),
        "forcing": Refusal(
            lambda: marched(name, start, forcing=torch.ones(1, 5)),
            "forcing",
            "got",
            "draw it" if equation.forced else "leave it out",
        ),
    }
    if other:
        walls = replace(grid, boundary=other)
        found["boundary"] = Refusal(
            lambda: marched(name, ones(problem, walls), walls), "periodic", "neumann", "make"
        )
    return found


def elsewhere(boundary: str) -> None:
    """A grid with a boundary that a type checker would not let pass."""
    grid = Grid((8, 8))
    object.__setattr__(grid, "boundary", boundary)
    grid.__post_init__()


GRIDS = {
    "boundary": Refusal(lambda: elsewhere("robin"), "periodic or neumann", "'robin'", "choose"),
    "odd": Refusal(lambda: Grid((15, 16)), "even grid sizes of at least 4", "(15, 16)", "choose"),
    "tiny": Refusal(lambda: Grid((2, 16)), "even grid sizes of at least 4", "(2, 16)", "choose"),
    "tiny walls": Refusal(
        lambda: Grid((3, 3), boundary="neumann"), "sizes of at least 4", "(3, 3)", "raise"
    ),
    "axes": Refusal(lambda: Grid((8,) * 4), "1 to 3 axes", "(8, 8, 8, 8)", "give"),
    "extent": Refusal(lambda: Grid((8, 8), (1.0, -1.0)), "positive side", "(1.0, -1.0)", "give"),
    "rough forcing": Refusal(
        lambda: GaussianField.matern(1.0, 0.3).sample([0], Grid((16, 16))), ">", "1", "cutoff"
    ),
    "negative length": Refusal(
        lambda: GaussianField.matern(3.0, -0.3), "length > 0", "-0.3", "change"
    ),
    "noise without forcing": Refusal(
        lambda: Problem(PLANE, GrayScott(), noise=STIR, step=0.1), "no noise", "matern", "remove"
    ),
    "times of no time": Refusal(
        lambda: Problem(WALLS, Darcy(), times=(1.0,)), "times (0.0,)", "(1.0,)", "write"
    ),
}
NUMBERS = {
    "navier_stokes": Refusal(lambda: NavierStokes(viscosity=-1.0), ">= 0", "-1.0", "change"),
    "gray_scott": Refusal(lambda: GrayScott(feed_rate=-1.0), ">= 0", "-1.0", "change"),
    "fitzhugh_nagumo": Refusal(lambda: FitzHughNagumo(diffusivity_u=-1.0), ">= 0", "-1", "change"),
    "allen_cahn": Refusal(lambda: AllenCahn(diffusivity=-1.0), ">= 0", "-1.0", "change"),
    "burgers": Refusal(lambda: Burgers(viscosity=-1.0), ">= 0", "-1.0", "change"),
    "kdv": Refusal(lambda: KortewegDeVries(viscosity=-1.0), ">= 0", "-1.0", "change"),
    "darcy": Refusal(lambda: Darcy(low=-1.0), "> 0", "-1.0", "change"),
}
REFUSALS = {
    **{f"numbers: {name}": refusal for name, refusal in NUMBERS.items()},
    **{f"grids: {name}": refusal for name, refusal in GRIDS.items()},
    **{
        f"{name}: {mistake}": refusal
        for name in MARCHING
        for mistake, refusal in mistakes_of(name).items()
    },
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_mistakes_are_told_in_one_sentence(refusal: Refusal) -> None:
    """expected ..., got ...; what to do: one sentence, of the built-in ValueError."""
    with pytest.raises(ValueError, match=r"^expected ") as caught:
        refusal.call()
    sentence = str(caught.value)
    expected, got, remedy = re.fullmatch(r"expected (.+), got (.+); (.+)", sentence).groups()  # type: ignore[union-attr]
    assert refusal.expected in expected
    assert refusal.got in f"got {got}"
    assert refusal.remedy in remedy
    assert "\n" not in sentence
    assert not sentence.endswith(".")


@pytest.mark.parametrize("name", MARCHING)
def test_what_blows_up_names_member_and_time(name: str) -> None:
    problem = PROBLEMS[name]
    generator = torch.Generator().manual_seed(0)
    start = ones(problem) * torch.randn(ones(problem).shape, generator=generator).double()
    states = torch.cat([0 * start, 1e180 * start])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(FloatingPointError, match=r"^member 7 .* t=[\d.e+-]+; "):
            marched(name, states, members=[3, 7], kernel="torch")
