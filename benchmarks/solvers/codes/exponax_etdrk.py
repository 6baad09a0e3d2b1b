"""exponax: ETDRK2 and ETDRK4 on Fourier waves, in jax.

FNO's forcing is put into the nonlinear term, as exponax does for Kolmogorov flow: its
ForcedStepper would be of first order. The dealiasing fraction is the one that keeps the waves that
the others keep.
"""

from __future__ import annotations

from typing import Any

import equinox
import exponax
import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.solvers.cases import Array, Case


class _Forced(exponax.nonlin_fun.VorticityConvection2d):
    forcing: jax.Array

    def __init__(self, *arguments: Any, forcing: jax.Array, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.forcing = forcing

    def __call__(self, u_hat: Any) -> Any:
        return super().__call__(u_hat) + self.forcing


class _NavierStokes(exponax.stepper.NavierStokesVorticity):
    forcing: jax.Array

    def __init__(self, *arguments: Any, forcing: Array, **options: Any) -> None:
        self.forcing = exponax.fft(jnp.asarray(forcing)[None], num_spatial_dims=2)
        super().__init__(*arguments, **options)

    def _build_nonlinear_fun(self, derivative_operator: Any) -> _Forced:
        return _Forced(
            self.num_spatial_dims,
            self.num_points,
            derivative_operator=derivative_operator,
            dealiasing_fraction=self.dealiasing_fraction,
            forcing=self.forcing,
        )


class Exponax:
    """A batch of states, stepped in Fourier space inside one compiled loop."""

    def __init__(self, case: Case, dtype: str, order: int) -> None:
        self.case, self.order, self.dtype = case, order, np.dtype(dtype)
        self.start = exponax.fft(jnp.asarray(case.initial().astype(dtype)), num_spatial_dims=2)
        self.rest: Any = None
        self.run = jax.jit(self._run)

    def _run(self, weights: Any, u_hat: Any, steps: Any) -> Any:
        one = jax.vmap(equinox.combine(weights, self.rest).step_fourier)
        return jax.lax.fori_loop(0, steps, lambda _, u: one(u), u_hat)

    def plan(self, setting: float) -> tuple[Any, int]:
        case, steps = self.case, round(setting)
        n, c = case.points, case.constants
        shared = {"order": self.order, "dealiasing_fraction": (n // 3 + 1) / (n // 2)}
        step = case.time / steps
        if case.equation == "navier_stokes":
            stepper = _NavierStokes(
                2, case.extent, n, step, diffusivity=c["viscosity"],
                forcing=case.forcing().astype(self.dtype), **shared,
            )  # fmt: skip
        else:
            stepper = exponax.stepper.reaction.GrayScott(
                2, case.extent, n, step, diffusivity_1=c["diffusivity_u"],
                diffusivity_2=c["diffusivity_v"], feed_rate=c["feed_rate"],
                kill_rate=c["kill_rate"], **shared,
            )  # fmt: skip

        # Weights are arguments, the same program serves all steps: their length enters by weights.
        weights, rest = equinox.partition(stepper, equinox.is_array)
        self.rest = self.rest or rest
        return weights, steps

    def advance(self, plan: tuple[Any, int], share: float) -> None:
        weights, steps = plan
        self.now = self.run(weights, self.start, round(share * steps))
        self.now.block_until_ready()

    def state(self) -> Array:
        u = exponax.ifft(self.now, num_spatial_dims=2, num_points=self.case.points)
        return np.asarray(u).astype(np.float64)


def build(case: Case, dtype: str, order: int) -> Exponax:
    """Stepper of a given order; double precision is a setting of the process."""
    jax.config.update("jax_enable_x64", dtype == "float64")
    return Exponax(case, dtype, order)
