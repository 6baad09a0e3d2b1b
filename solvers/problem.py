r"""A problem: an equation on a grid with random initial states and forcings, to be pushed forward.

Member m of seed s draws its initial state, its forcing and its noise from the addresses (s, m)
alone, so any subset of members, in any order, gives the same functions. They are the same on two
grids as well when both resolve the fields' cutoff within the 2/3 rule; without a cutoff each grid
keeps the waves it has.

A problem may be solved on a finer grid than it is kept on (`solver_grid`): what is kept are the
waves that `grid` has. Asked for another grid (`on`), it takes the functions that were drawn on its
own there, so that the two solutions differ by what the grid does to them alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.solvers.elliptic import EllipticEquation
from pushforward.solvers.equation import Equation
from pushforward.solvers.gaussian_field import GaussianField
from pushforward.solvers.grid import Grid
from pushforward.solvers.integrators import Scheme, evolve
from pushforward.solvers.law import Law
from pushforward.solvers.normals import Use
from pushforward.solvers.solution import Solution
from pushforward.solvers.wiener import Wiener


@dataclass(frozen=True)
class Problem:
    """What a simulation computes, as plain values.

    `initial` and `forcing` are the laws of the initial state (None: at rest) and of the static
    forcing (None: none); `noise` is the covariance of a forcing that is white in time; `times` are
    the moments kept. `tolerance` is the relative error allowed per step, `step` the largest time
    step (or, without a tolerance, the step); `scheme` the integrator (None: the equation's own);
    `dtype` "float32" or "float64"; `solver_grid` a finer grid to solve on.

    >>> from pushforward.solvers import NavierStokes
    >>> field = GaussianField.matern(4.0, 1 / 3, deviation=1.0, cutoff=5)
    >>> flow = NavierStokes(viscosity=0.01)
    >>> problem = Problem(Grid((16, 16)), flow, field, times=(0.5,), tolerance=1e-4)
    >>> problem.solve(members=range(2), seed=0).shape    # (member, time, channel, y, x)
    torch.Size([2, 1, 1, 16, 16])
    """

    grid: Grid
    equation: Equation | EllipticEquation
    initial: Law | None = None
    forcing: GaussianField | None = None
    times: tuple[float, ...] = (1.0,)
    step: float | None = None
    tolerance: float | None = None
    scheme: Scheme | None = None
    dtype: str = "float32"
    noise: GaussianField | None = None
    solver_grid: Grid | None = None

    def __post_init__(self) -> None:
        if self.dtype not in ("float32", "float64"):
            raise ValueError(f"expected dtype float32 or float64, got {self.dtype!r}; choose one")
        forced = isinstance(self.equation, Equation) and self.equation.forced
        for name in ("forcing", "noise"):
            law = getattr(self, name)
            if law is not None and not forced:
                raise ValueError(
                    f"expected no {name} for {type(self.equation).__name__}, "
                    f"got {law.kind}; remove it"
                )
        fine = self.solver_grid
        if fine is not None and (
            (fine.ndim, fine.extent, fine.boundary)
            != (self.grid.ndim, self.grid.extent, self.grid.boundary)
            or any(n < m for n, m in zip(fine.shape, self.grid.shape, strict=True))
        ):
            raise ValueError(
                f"expected a solver_grid of the box of {self.grid} with at least its points, got "
                f"{fine}; change its shape only"
            )
        if not self.equation.marches and self.times != (0.0,):
            raise ValueError(
                f"expected times (0.0,) for {type(self.equation).__name__}, which has no time, "
                f"got {self.times}; write times: [0]"
            )

    def on(self, grid: Grid) -> Problem:
        """The same problem on another grid.

        >>> from pushforward.solvers import GrayScott
        >>> Problem(Grid((8, 8)), GrayScott()).on(Grid((16, 16))).grid.shape
        (16, 16)
        """
        return replace(self, grid=grid, solver_grid=None)

    @property
    def solved_on(self) -> Grid:
        """The grid that is solved on, and that fields are drawn on."""
        return self.solver_grid or self.grid

    def start(
        self,
        members: Sequence[int],
        seed: int = 0,
        device: torch.device | str = "cpu",
        on: Grid | None = None,
    ) -> Float[Tensor, "member channel ..."]:
        """The members' initial states, drawn on `solved_on`, on that grid or the grid `on`."""
        target, z = on or self.solved_on, None
        if self.initial is not None:
            draws = [
                self.initial.sample(members, self.solved_on, seed, Use.INITIAL, device, step=i)
                for i in range(self.equation.draws)
            ]
            z = draws[0] if len(draws) == 1 else torch.stack(draws, dim=1)
            z = self.solved_on.resample(z, target)
        state = self.equation.initial_state(z, target)
        return state.expand(len(members), *state.shape[1:]).to(device, self._type)

    def force(
        self,
        members: Sequence[int],
        seed: int = 0,
        device: torch.device | str = "cpu",
        on: Grid | None = None,
    ) -> Float[Tensor, "member ..."] | None:
        """The members' drawn forcings as `start` gives its states, or None."""
        if self.forcing is None:
            return None
        f = self.forcing.sample(members, self.solved_on, seed, Use.FORCING, device)
        return self.solved_on.resample(f, on or self.solved_on).to(self._type)

    def solve(
        self, members: Sequence[int], seed: int = 0, device: torch.device | str = "cpu"
    ) -> Float[Tensor, "member time channel ..."]:
        """The members' solutions at `times` on `grid`.

        Raises FloatingPointError naming the first member that blew up, and when.
        """
        return self.run(members, seed, device).fields

    def run(
        self,
        members: Sequence[int],
        seed: int = 0,
        device: torch.device | str = "cpu",
        *,
        kernel: str = "auto",
        on: Grid | None = None,
    ) -> Solution:
        """`solve`, with what the solver did; `on` is another grid to solve on.

        `kernel` names what computes: "auto", "torch" or an instruction set, see `kernels`.
        """
        members, grid = list(members), on or self.solved_on
        if not members:
            raise ValueError("expected at least one member, got none; name those to be solved")
        start = self.start(members, seed, device, grid)
        if isinstance(self.equation, EllipticEquation):
            fields = self.equation.solve(start, grid, members)
            none = torch.zeros(len(members), dtype=torch.int64)
            fields = self.equation.restrict(fields, grid, self.grid)
            return Solution(fields[:, None], none, none, none[:, None].double(), "multigrid")
        solution = evolve(
            self.equation,
            grid,
            start,
            times=self.times,
            step=self.step,
            tolerance=self.tolerance,
            scheme=self.scheme,
            forcing=self.force(members, seed, device, grid),
            noise=None if self.noise is None else Wiener(self.noise, seed, self.solved_on),
            members=members,
            kernel=kernel,
        )
        return replace(solution, fields=grid.resample(solution.fields, self.grid))

    @property
    def _type(self) -> torch.dtype:
        return torch.float32 if self.dtype == "float32" else torch.float64
