r"""Problems whose solutions are known: in closed form, or by an integrator that shares no code.

    Navier-Stokes        scipy's DOP853 on the same waves in convective form, from an FNO state
    Taylor-Green         w = 2 cos(x - U t) cos(y - V t) exp(-2 nu t), with a mean flow (U, V)
    Gray-Scott           DOP853, from The Well's bumps
    FitzHugh-Nagumo      DOP853 on cosines, and on PDEBench's five-point cells, from noise
    Allen-Cahn           the running front tanh((x - a sqrt(2 D) t) / sqrt(2 D))
    Burgers              Cole and Hopf's integral, by the trapezoid rule
    Korteweg-de Vries    the soliton (3 c / a) sech^2(sqrt(c / b) (x - c t) / 2)

Errors are relative, in L2, the largest over channels.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from benchmarks.solvers.cases import CASES
from benchmarks.solvers.codes.pushforward_evolve import equation as equation_of
from benchmarks.solvers.reference import reference
from pushforward.solvers import Equation, Grid, NavierStokes
from pushforward.solvers.allen_cahn import AllenCahn
from pushforward.solvers.burgers import Burgers
from pushforward.solvers.integrators import evolve
from pushforward.solvers.kdv import KortewegDeVries
from pushforward.solvers.solution import Solution
from pushforward.solvers.tail import ResolutionWarning

ORDERS = {"ifrk32": 3, "ifrk43": 4, "ifrk54": 5, "etdrk4": 4, "etdrk2": 2}
INTEGRATING = ("ifrk32", "ifrk43", "ifrk54", "etdrk4")


@dataclass(frozen=True)
class Subject:
    """One problem in float64: a state (channel, *grid) at 0 and what it should be at `time`.

    `counts` are numbers of steps at which orders show; there are none where a scheme is exact.
    """

    title: str
    oracle: str
    equation: Equation
    grid: Grid
    start: Tensor
    exact: Tensor
    time: float
    counts: tuple[int, ...] = ()
    schemes: tuple[str, ...] = INTEGRATING
    forcing: Tensor | None = None

    def solve(self, **control: float | str) -> Solution:
        """The solution at `time`, by a step or a tolerance."""
        forcing = None if self.forcing is None else self.forcing[None]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResolutionWarning)  # noise in cells is not smooth
            return evolve(
                self.equation, self.grid, self.start[None], times=(self.time,), forcing=forcing,
                **control,
            )  # fmt: skip

    def error(self, solution: Solution) -> float:
        """How far a solution is from what it should be."""
        wrong = (solution.fields[0, -1] - self.exact).square().sum(self.grid.axes)
        return float((wrong / self.exact.square().sum(self.grid.axes)).sqrt().max())


def subjects() -> list[Subject]:
    """All of them."""
    makers: list[Callable[[], Subject]] = [
        _turbulence, _taylor_green, _gray_scott, lambda: _fitzhugh_nagumo("waves"),
        lambda: _fitzhugh_nagumo("stencil"), _front, _cole_hopf, _soliton,
    ]  # fmt: skip
    return [make() for make in makers]


def _by_reference(
    name: str, space: str, title: str, time: float, counts: tuple[int, ...]
) -> Subject:
    """The first member of a benchmark's case, held against its reference."""
    case = replace(CASES[name], members=1, time=time)
    flow = case.equation == "navier_stokes"
    return Subject(
        title,
        "DOP853 (scipy) on the " + ("five-point cells" if space == "stencil" else "same waves"),
        equation_of(case, space),
        Grid((case.points,) * 2, (case.extent,) * 2, "neumann" if case.walls else "periodic"),
        torch.from_numpy(case.initial()[0]),
        torch.from_numpy(reference(case, space)[-1, 0]),
        time,
        counts,
        forcing=torch.from_numpy(case.forcing()) if flow else None,
    )


def _turbulence() -> Subject:
    counts = (10, 20, 40, 80, 160)
    return _by_reference("ns64", "waves", "Navier-Stokes", 5.0, counts)


def _gray_scott() -> Subject:
    return _by_reference("gs128", "waves", "Gray-Scott", 40.0, (10, 20, 40, 80, 160))


def _fitzhugh_nagumo(space: str) -> Subject:
    where = "cells" if space == "stencil" else "cosines"
    counts = (10, 20, 40, 80, 160)
    return _by_reference("fhn128", space, f"FitzHugh-Nagumo, {where}", 1.0, counts)


def _taylor_green() -> Subject:
    viscosity, drift, time = 0.05, (0.7, -0.4), 3.0
    grid = Grid((32, 32))
    y, x = torch.meshgrid(*grid.coordinates(), indexing="ij")

    def vortices(t: float) -> Tensor:
        decay = math.exp(-2 * viscosity * t)
        return (2 * torch.cos(y - drift[0] * t) * torch.cos(x - drift[1] * t) * decay)[None]

    flow = NavierStokes(viscosity=viscosity, drift=drift)
    title = "Navier-Stokes, Taylor-Green with a drift"
    return Subject(title, "closed form", flow, grid, vortices(0), vortices(time), time)


def _front() -> Subject:
    diffusivity, threshold, time = 0.02, 0.3, 4.0
    grid, width = Grid((288,), (8.0,), "neumann"), math.sqrt(2 * diffusivity)

    def front(t: float) -> Tensor:
        middle = grid.extent[0] / 2 + threshold * width * t
        return torch.tanh((grid.coordinates()[0] - middle) / width)[None]

    equation = AllenCahn(diffusivity=diffusivity, threshold=threshold)
    counts = (10, 20, 40, 80)
    return Subject(
        "Allen-Cahn", "the running front", equation, grid, front(0), front(time), time, counts
    )


def _cole_hopf() -> Subject:
    viscosity, time = 0.05, 0.4
    grid = Grid((96,), (1.0,))
    x = grid.coordinates()[0]
    waves = ((0.7, 1, 0.3), (0.4, 2, 1.1), (0.25, 3, 2.0))

    def velocity(y: Tensor) -> Tensor:
        return 0.3 + sum((a * torch.sin(2 * math.pi * k * y + p) for a, k, p in waves), 0 * y)

    def potential(y: Tensor) -> Tensor:
        parts = (-a * torch.cos(2 * math.pi * k * y + p) / (2 * math.pi * k) for a, k, p in waves)
        return 0.3 * y + sum(parts, 0 * y)

    reach = 10 * math.sqrt(2 * viscosity * time) + 3 * time
    y = torch.linspace(-reach, 1 + reach, 8001, dtype=torch.float64)
    distance = x[:, None] - y
    weight = torch.softmax(-(potential(y) + distance**2 / (2 * time)) / (2 * viscosity), 1)
    exact = (weight * distance).sum(1) / time
    return Subject(
        "Burgers", "Cole and Hopf's integral", Burgers(viscosity=viscosity), grid,
        velocity(x)[None], exact[None], time, (20, 40, 80, 160, 320),
    )  # fmt: skip


def _soliton() -> Subject:
    speed, time = 2.0, 0.5
    grid = Grid((256,), (40.0,))

    def wave(t: float) -> Tensor:
        x = grid.coordinates()[0] - 15 - speed * t
        return (speed / 2 / torch.cosh(math.sqrt(speed) * x / 2) ** 2)[None]

    return Subject(
        "Korteweg-de Vries", "the soliton", KortewegDeVries(), grid, wave(0), wave(time), time,
        (25, 50, 100, 200), ("etdrk4", "etdrk2"),
    )  # fmt: skip
