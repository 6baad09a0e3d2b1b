r"""The check of a data set: a pilot of its first members, solved again with everything refined.

In float64 and on the same functions (initial state, forcing and noise are drawn once, on the
study's own grid, and are carried to a finer one by their coefficients), it compares

    time step    tolerance or step   with half of it, steps at most half as long as their mean
    grid         the solver's grid   with twice the points an axis
    precision    the dtype           with float64, if it is not that
    reference    all as specified    with a tenth of the tolerance and a quarter of the step, twice
                                     the points, float64

An elliptic equation has no time step, and its coefficient is given: only what it solves for is
compared. An equation whose cells are its own (no wave is cut) keeps its grid. Noise is refined
along its path: half a step is a step on the same Brownian motion.
"""

from __future__ import annotations

import math
import time
import warnings
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pushforward.archive import Archive
from pushforward.blocks import Map, mapping
from pushforward.certificate import FILE, REFERENCE, Certificate, Difference
from pushforward.progress import bar, say
from pushforward.provenance import code, machine, now
from pushforward.solvers import Grid, Problem
from pushforward.solvers.tail import ResolutionWarning
from pushforward.spec import Simulation
from pushforward.threads import one_thread

SPACE = 2**29  # bytes of the largest solution that a pilot holds
LIMIT, MEMBERS = 1e-3, 4


def certify(
    simulation: Simulation,
    archive: Archive,
    *,
    members: int = MEMBERS,
    limit: float = LIMIT,
    workers: int = 1,
) -> Certificate:
    """Checks a simulation on its first `members` members, and stores the certificate with it.

    The data need not be there yet; a certificate that is there is replaced. `limit` is the largest
    relative L2 error that is called converged; `workers` > 1 uses as many processes.

    Raises ValueError for a limit or a number of members below what makes sense, FloatingPointError
    when a member blows up.

    >>> import tempfile
    >>> from pushforward.study import Study
    >>> simulation, archive = Study.load("smoke").simulation, Archive(tempfile.mkdtemp())
    >>> certify(simulation, archive, members=1, limit=0.5).converged
    True
    """
    if members < 1 or not 0 < limit < math.inf:
        raise ValueError(
            f"expected at least 1 member and a limit above 0, got {members} and {limit}; "
            "raise them"
        )
    began, pilot = time.monotonic(), Pilot.of(simulation, members)
    with mapping(map, workers) as mapped:
        solved = _solve_all(pilot.first(), simulation.seed, pilot.members, mapped)
        runs = pilot.second(max(solution.steps for solution in solved.values()))
        solved |= _solve_all(list(runs.values()), simulation.seed, pilot.members, mapped)
    given = not pilot.base.equation.marches  # the coefficient, channel 0
    errors = {}
    for cause, (one, other) in pilot.pairs(runs).items():
        difference = _difference(solved[one].fields, solved[other].fields)[..., given:]
        errors[cause] = Difference(
            change=_change(one, other),
            remedy=_remedy(cause, pilot.base, limit / max(float(difference.max()), 1e-300)),
            largest=difference.max(0).tolist(),
            mean=difference.mean(0).tolist(),
        )
    certificate = Certificate(
        limit=limit,
        members=len(pilot.members),
        times=pilot.base.times,
        channels=simulation.channels[given:],
        errors=errors,
        tail=solved[Run(pilot.base)].tail,
        seconds=round(time.monotonic() - began, 3),
        made={"code": code(), "machine": machine(), "time": now()},
    )
    archive.create(simulation)
    archive.write_json(simulation, FILE, certificate.model_dump(mode="json"))
    say(f"certificate: {archive.folder(simulation) / FILE}")
    return certificate


@dataclass(frozen=True)
class Run:
    """One solution of a pilot: a problem, and the grid to solve it on (None: its own)."""

    problem: Problem
    on: Grid | None = None

    @property
    def grid(self) -> Grid:
        """The grid that is solved on."""
        return self.on or self.problem.solved_on


@dataclass(frozen=True)
class Pilot:
    """Which solutions are made: those as specified first, since they say how long steps are."""

    base: Problem
    members: range

    @classmethod
    def of(cls, simulation: Simulation, members: int) -> Pilot:
        """The pilot of a simulation, on as many of its times as memory holds."""
        chosen = range(min(members, simulation.members))
        return cls(thinned(simulation.problem(), len(chosen)), chosen)

    @property
    def exact(self) -> Problem:
        """The problem as specified, but in float64."""
        return replace(self.base, dtype="float64")

    def first(self) -> list[Run]:
        """The solutions as specified, in the precision asked for and in float64."""
        return list(dict.fromkeys([Run(self.exact), Run(self.base)]))

    def second(self, steps: int) -> dict[str, Run]:
        """The refined solutions by cause, where the busiest member took so many steps."""
        exact, grid = self.exact, self.base.solved_on
        fine = replace(grid, shape=tuple(2 * n for n in grid.shape))
        if not exact.equation.refinable:
            fine = grid
        runs = {REFERENCE: Run(self._refined(10, 4, steps), fine)}
        if fine != grid:
            runs["grid"] = Run(exact, fine)
        if exact.equation.marches:
            runs["time step"] = Run(self._refined(2, 2, steps))
        return runs

    def pairs(self, runs: dict[str, Run]) -> dict[str, tuple[Run, Run]]:
        """Which two solutions are compared for each cause."""
        base, exact = Run(self.base), Run(self.exact)
        pairs = {cause: (exact, runs[cause]) for cause in ("time step", "grid") if cause in runs}
        if base != exact:
            pairs["precision"] = (base, exact)
        return {**pairs, REFERENCE: (base, runs[REFERENCE])}

    def _refined(self, tolerance: float, step: float, steps: int) -> Problem:
        """In float64, with smaller steps: also where the tolerance is not what limits them."""
        problem = self.exact
        if not problem.equation.marches or not steps:
            return problem
        if problem.tolerance is None:
            return replace(problem, step=taken(problem) / step)
        longest = problem.times[-1] / steps
        if problem.step is not None:
            longest = min(longest, problem.step)
        return replace(problem, tolerance=problem.tolerance / tolerance, step=longest / step)


class Solved(NamedTuple):
    """Fields (member, time, channel, *grid), float64, the most steps of a member, and the tail."""

    fields: NDArray[np.float64]
    steps: int
    tail: float


def _change(one: Run, other: Run) -> str:
    """What was refined, as far as it differs."""
    a, b = one.problem, other.problem
    parts = []
    if a.tolerance != b.tolerance:
        parts.append(f"tolerance {a.tolerance:g} -> {b.tolerance:g}, steps up to {b.step:.2g}")
    elif a.step != b.step:
        parts.append(f"step {a.step:g} -> {b.step:g}")
    if one.grid != other.grid:
        parts.append(f"{_size(one.grid)} -> {_size(other.grid)} points")
    if a.dtype != b.dtype:
        parts.append(f"{a.dtype} -> {b.dtype}")
    return "; ".join(parts)


def _remedy(cause: str, base: Problem, ratio: float) -> str:
    """The setting that makes a difference smaller, where limit / error is `ratio`."""
    if cause == "time step" and base.tolerance is not None:
        return f"set simulation.tolerance={0.5 * ratio * base.tolerance:.1g}"
    if cause == "time step":
        return f"set simulation.step={taken(base) / 2:g}"
    if cause == "grid":
        shape = [2 * n for n in base.solved_on.shape]
        return f"solve on a finer grid, simulation.solver_grid.shape={shape}"
    return "set simulation.dtype=float64" if cause == "precision" else "refine all three"


def _solve_all(runs: list[Run], seed: int, members: range, mapped: Map) -> dict[Run, Solved]:
    runs, found = list(dict.fromkeys(runs)), {}
    count = len(runs)
    with bar("check", total=count, unit="solutions") as advance:
        solutions = mapped(solve, runs, [seed] * count, [members] * count)
        for run, solution in zip(runs, solutions, strict=True):
            found[run] = solution
            advance()
    return found


def solve(run: Run, seed: int, members: range) -> Solved:
    """One solution of a pilot."""
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ResolutionWarning)  # the errors say more
        solution = run.problem.run(members, seed, on=run.on)
    fields = solution.fields.double().numpy()
    return Solved(fields, int(solution.steps.max()), float(solution.tail.max()))


def _difference(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Relative differences (member, time, channel) in L2; two zeros do not differ."""
    space = tuple(range(3, one.ndim))
    a, b, c = (np.sqrt(np.square(x).mean(space)) for x in (one, other, one - other))
    return c / np.maximum(np.maximum(a, b), 1e-300)


def taken(problem: Problem) -> float:
    """The shortest step that equal steps of a problem are: whole numbers of them fill intervals.

    >>> from pushforward.solvers import GrayScott
    >>> taken(Problem(Grid((8, 8)), GrayScott(), times=(0.5, 2.0), step=1.0))
    0.5
    """
    lengths = []
    for begin, end in pairwise((0.0, *problem.times)):
        if end > begin:
            count = max(math.ceil((end - begin) / (problem.step or math.nan) - 1e-9), 1)
            if problem.noise is not None:  # intervals are halved again and again
                count = 2 ** math.ceil(math.log2(count))
            lengths.append((end - begin) / count)
    return min(lengths, default=math.nan)


def thinned(problem: Problem, members: int) -> Problem:
    """The problem at as many of its times as fit in memory, with steps as they would be at all.

    A path of noise is laid over the intervals between all times, which therefore stay.
    """
    fine = 2**problem.grid.ndim * problem.solved_on.size
    fitting = max(SPACE // (8 * fine * members * len(problem.equation.channels)), 2)
    times, count = problem.times, len(problem.times)
    if count <= fitting or problem.noise is not None:
        return problem
    steps = [b - a for a, b in pairwise((0.0, *times)) if b > a]
    if problem.step is not None:
        steps = [interval / math.ceil(interval / problem.step - 1e-9) for interval in steps]
    kept = sorted({round(i * (count - 1) / (fitting - 1)) for i in range(fitting)})
    return replace(problem, times=tuple(times[i] for i in kept), step=max(steps))


def _size(grid: Grid) -> str:
    return "x".join(map(str, grid.shape))
