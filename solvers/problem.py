r"""A problem: an equation on a grid with random initial states and forcings, to be pushed forward.

Member m of seed s draws its initial state and its forcing from the addresses (s, m) alone, so any
subset of members, in any order, gives the same functions. They are the same on two grids as well
when both resolve the fields' cutoff within the 2/3 rule; without a cutoff, or for an initial state
that is a nonlinear map of a field (Gray-Scott's patches), each grid keeps the waves it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.solvers.equation import Equation
from pushforward.solvers.gaussian_field import GaussianField
from pushforward.solvers.grid import Grid
from pushforward.solvers.integrators import Scheme, integrate
from pushforward.solvers.normals import Use


@dataclass(frozen=True)
class Problem:
    """What a simulation computes, as plain values.

    `initial` and `forcing` are the laws of the initial state (None: at rest) and of the static
    forcing (None: none); `times` are the moments kept; `step` the largest time step; `dtype`
    "float32" or "float64".

    >>> from pushforward.solvers import NavierStokes
    >>> field = GaussianField.matern(4.0, 1 / 3, deviation=1.0, cutoff=5)
    >>> flow = NavierStokes(viscosity=0.01)
    >>> problem = Problem(Grid((16, 16)), flow, field, times=(0.5,), step=0.1)
    >>> problem.solve(members=range(2), seed=0).shape    # (member, time, channel, y, x)
    torch.Size([2, 1, 1, 16, 16])
    """

    grid: Grid
    equation: Equation
    initial: GaussianField | None = None
    forcing: GaussianField | None = None
    times: tuple[float, ...] = (1.0,)
    step: float = 1e-2
    scheme: Scheme = "etdrk4"
    dtype: str = "float32"

    def __post_init__(self) -> None:
        if self.dtype not in ("float32", "float64"):
            raise ValueError(f"expected dtype float32 or float64, got {self.dtype!r}; choose one")
        if self.forcing is not None and not self.equation.forced:
            raise ValueError(
                f"expected no forcing for {type(self.equation).__name__}, "
                f"got {self.forcing.kind}; remove it"
            )

    def on(self, grid: Grid) -> Problem:
        """The same problem on another grid.

        >>> from pushforward.solvers import GrayScott
        >>> Problem(Grid((8, 8)), GrayScott()).on(Grid((16, 16))).grid.shape
        (16, 16)
        """
        return replace(self, grid=grid)

    def start(
        self, members: Sequence[int], seed: int = 0, device: torch.device | str = "cpu"
    ) -> Float[Tensor, "member channel ..."]:
        """The members' initial states."""
        z = None
        if self.initial is not None:
            z = self.initial.sample(members, self.grid, seed, Use.INITIAL, device)
        state = self.equation.initial_state(z, self.grid)
        return state.expand(len(members), *state.shape[1:]).to(device, self._type)

    def force(
        self, members: Sequence[int], seed: int = 0, device: torch.device | str = "cpu"
    ) -> Float[Tensor, "member ..."] | None:
        """The members' drawn forcings, or None."""
        if self.forcing is None:
            return None
        f = self.forcing.sample(members, self.grid, seed, Use.FORCING, device)
        return f.to(self._type)

    def solve(
        self, members: Sequence[int], seed: int = 0, device: torch.device | str = "cpu"
    ) -> Float[Tensor, "member time channel ..."]:
        """The members' solutions at `times`, in one batch.

        Raises FloatingPointError naming the first member that blew up, and when.
        """
        members = list(members)
        return integrate(
            self.equation,
            self.grid,
            self.start(members, seed, device),
            times=self.times,
            step=self.step,
            forcing=self.force(members, seed, device),
            scheme=self.scheme,
            members=members,
        )

    @property
    def _type(self) -> torch.dtype:
        return torch.float32 if self.dtype == "float32" else torch.float64
