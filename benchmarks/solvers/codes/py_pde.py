"""py-pde: second-order finite differences, explicit RK4, compiled by numba.

Errors are found with its numpy backend (the same arithmetic), because numba compiles anew for
every step length; timed is what numba made, compilation left out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pde

from benchmarks.solvers.cases import Array, Case

RATES = {
    "gray_scott": {
        "u": "diffusivity_u * laplace(u) + feed_rate * (1 - u) - u * v**2",
        "v": "diffusivity_v * laplace(v) + u * v**2 - (feed_rate + kill_rate) * v",
    },
    "fitzhugh_nagumo": {
        "u": "diffusivity_u * laplace(u) + u - u**3 - threshold - v",
        "v": "diffusivity_v * laplace(v) + u - v",
    },
}


class PyPde:
    """The members in turn, as it has no batches."""

    def __init__(self, case: Case) -> None:
        self.case = case
        n, corner = case.points, case.corner
        side = (corner, corner + case.extent)
        self.grid = pde.CartesianGrid([side, side], [n, n], periodic=not case.walls)
        boundary = {"derivative": 0} if case.walls else "periodic"
        self.equation = pde.PDE(RATES[case.equation], bc=boundary, consts=case.constants)
        self.backend = "numpy"

    def plan(self, setting: float) -> Any:
        solver = pde.solvers.RungeKuttaSolver(self.equation, backend=self.backend)
        state = self._fields(self.case.initial()[0])
        return solver.make_stepper(state, self.case.time / round(setting))

    def compile(self) -> None:
        """From the next plan on, by numba."""
        self.backend = "numba"

    def advance(self, plan: Any, share: float) -> None:
        self.states = [self._fields(u) for u in self.case.initial()]
        for state in self.states:
            plan(state, 0.0, share * self.case.time)

    def state(self) -> Array:
        return np.stack([state.data for state in self.states])

    def _fields(self, u: Array) -> pde.FieldCollection:
        return pde.FieldCollection([pde.ScalarField(self.grid, one.copy()) for one in u])


def build(case: Case, dtype: str) -> PyPde:
    """The equation as expressions; its precision is double."""
    return PyPde(case)
