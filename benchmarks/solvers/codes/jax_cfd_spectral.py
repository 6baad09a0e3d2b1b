"""jax-cfd: pseudo-spectral vorticity, Crank-Nicolson and low-storage RK4.

The forcing is added to the explicit terms as coefficients, which is cheaper than its own way (a
velocity's forcing, transformed at every stage).
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax_cfd.base import grids
from jax_cfd.spectral import equations, time_stepping

from benchmarks.solvers.cases import Array, Case


class _Forced(equations.NavierStokes2D):
    def explicit_terms(self, vorticity_hat: Any) -> Any:
        return super().explicit_terms(vorticity_hat) + self.force


class JaxCfd:
    """A batch of states, stepped in Fourier space inside one compiled loop."""

    def __init__(self, case: Case, dtype: str) -> None:
        self.case, self.dtype = case, dtype
        n = case.points
        grid = grids.Grid((n, n), domain=((0, 1), (0, 1)))
        self.equation = _Forced(case.constants["viscosity"], grid, smooth=True)
        self.equation.force = jnp.fft.rfft2(jnp.asarray(case.forcing().T.astype(dtype)))
        initial = case.initial()[:, 0].swapaxes(-1, -2).astype(dtype)
        self.start = jnp.fft.rfft2(jnp.asarray(initial))
        self.run = jax.jit(self._run)

    def _run(self, u_hat: Any, step: Any, steps: Any) -> Any:
        one = jax.vmap(time_stepping.crank_nicolson_rk4(self.equation, step))
        return jax.lax.fori_loop(0, steps, lambda _, u: one(u), u_hat)

    def plan(self, setting: float) -> int:
        return round(setting)

    def advance(self, plan: int, share: float) -> None:
        step = jnp.asarray(self.case.time / plan, self.dtype)
        self.now = self.run(self.start, step, round(share * plan))
        self.now.block_until_ready()

    def state(self) -> Array:
        w = np.asarray(jnp.fft.irfft2(self.now)).astype(np.float64)
        return w.swapaxes(-1, -2)[:, None]


def build(case: Case, dtype: str) -> JaxCfd:
    """Its spectral Navier-Stokes; double precision is a setting of the process."""
    jax.config.update("jax_enable_x64", dtype == "float64")
    return JaxCfd(case, dtype)
