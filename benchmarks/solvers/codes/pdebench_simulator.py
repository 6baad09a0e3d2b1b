"""PDEBench's two-dimensional reaction-diffusion simulator, written anew from its definition.

Five-point finite volumes with no flux through the walls as one sparse matrix, both fields in one
vector, scipy's RK45, one sample after another. Its tolerances are scipy's defaults (1e-3 relative,
1e-6 absolute); for other errors both are scaled together.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.integrate import solve_ivp

from benchmarks.solvers.cases import Array, Case

DEFAULT = 1e-3


class Simulator:
    """All samples of a case in turn; `setting` is the relative tolerance."""

    def __init__(self, case: Case) -> None:
        self.case = case
        n, width = case.points, case.extent / case.points
        line = sparse.diags_array([1.0, -2.0, 1.0], offsets=[-1, 0, 1], shape=(n, n)).tolil()
        line[0, 0] = line[-1, -1] = -1.0
        self.laplacian = sparse.csr_array(sparse.kronsum(line, line)) / width**2

    def plan(self, setting: float) -> float:
        return setting

    def advance(self, plan: float, share: float) -> None:
        c, size, end = self.case.constants, self.case.points**2, share * self.case.time

        def rate(t: float, y: Array) -> Array:
            u, v = y[:size], y[size:]
            u_t = u - u**3 - c["threshold"] - v + c["diffusivity_u"] * (self.laplacian @ u)
            v_t = u - v + c["diffusivity_v"] * (self.laplacian @ v)
            return np.concatenate([u_t, v_t])

        self.found = []
        for state in self.case.initial():
            solution = solve_ivp(
                rate, (0, end), state.ravel(), t_eval=[end],
                rtol=plan, atol=1e-6 * plan / DEFAULT,
            )  # fmt: skip
            self.found.append(solution.y[:, -1].reshape(state.shape))

    def state(self) -> Array:
        return np.stack(self.found)


def build(case: Case, dtype: str) -> Simulator:
    """The simulator; it has one precision, double."""
    return Simulator(case)
