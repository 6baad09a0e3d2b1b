"""pushforward.solvers.evolve, called as a user calls it: conversions and tables are timed too."""

from __future__ import annotations

import torch

from benchmarks.solvers.cases import Array, Case
from pushforward.solvers import GrayScott, Grid, NavierStokes
from pushforward.solvers.equation import Equation
from pushforward.solvers.fitzhugh_nagumo import FitzHughNagumo, FitzHughNagumoCells
from pushforward.solvers.integrators import evolve


class Evolve:
    """A batch of states of one case; `setting` is a number of steps or a tolerance."""

    def __init__(
        self, case: Case, dtype: str, scheme: str, adaptive: bool, kernel: str, space: str
    ) -> None:
        self.case, self.scheme, self.adaptive, self.kernel = case, scheme, adaptive, kernel
        boundary = {"boundary": "neumann"} if case.walls else {}
        self.grid = Grid((case.points,) * 2, (case.extent,) * 2, **boundary)
        self.equation = equation(case, space)
        kind = getattr(torch, dtype)
        self.start = torch.from_numpy(case.initial()).to(kind)
        self.force = None
        if case.equation == "navier_stokes":
            force = torch.from_numpy(case.forcing()).to(kind)
            self.force = force.expand(len(self.start), *force.shape).contiguous()

    def plan(self, setting: float) -> dict[str, float]:
        if self.adaptive:
            return {"tolerance": setting}
        return {"step": self.case.time / round(setting)}

    def advance(self, plan: dict[str, float], share: float) -> None:
        self.found = evolve(
            self.equation, self.grid, self.start, times=(share * self.case.time,), **plan,
            scheme=self.scheme, forcing=self.force, kernel=self.kernel,
        )  # fmt: skip

    def state(self) -> Array:
        return self.found.fields[:, -1].double().numpy()

    def notes(self) -> dict[str, str | float]:
        """Which kernel did it, and in how many steps a member."""
        steps = self.found.steps + self.found.rejected
        return {"kernel": self.found.kernel, "steps": float(steps.double().mean())}


def equation(case: Case, space: str = "waves") -> Equation:
    """The case's equation in one of the reference's discretisations."""
    c = case.constants
    if case.equation == "navier_stokes":
        return NavierStokes(viscosity=c["viscosity"])
    if case.equation == "gray_scott":
        return GrayScott(**c)
    return {"waves": FitzHughNagumo, "stencil": FitzHughNagumoCells}[space](**c)


def build(
    case: Case, dtype: str, scheme: str, adaptive: bool, kernel: str = "auto", space: str = "waves"
) -> Evolve:
    """One of pushforward's integrators on one of its kernels."""
    torch.set_num_threads(1)
    return Evolve(case, dtype, scheme, adaptive, kernel, space)
