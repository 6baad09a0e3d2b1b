"""torch-cfd: jax-cfd's pseudo-spectral vorticity in torch, low-storage RK4 and Crank-Nicolson.

The forcing is added to the explicit terms as coefficients, which is cheaper than its own way (a
field, transformed at every stage).
"""

from __future__ import annotations

from typing import Any

import torch
from torch_cfd.grids import Grid
from torch_cfd.spectral import NavierStokes2DSpectral, RK4CrankNicolsonStepper

from benchmarks.solvers.cases import Array, Case


class _Forced(NavierStokes2DSpectral):
    force: torch.Tensor

    def explicit_terms(self, vort_hat: Any, t: float | None = 0.0) -> Any:
        return super().explicit_terms(vort_hat, t) + self.force


class TorchCfd:
    """A batch of states; one call of its stepper a step."""

    def __init__(self, case: Case, dtype: str) -> None:
        self.case, self.kind = case, getattr(torch, dtype)
        n = case.points
        grid = Grid((n, n), domain=((0.0, 1.0), (0.0, 1.0)))
        self.stepper = RK4CrankNicolsonStepper().to(self.kind)
        equation = _Forced(case.constants["viscosity"], grid, smooth=True, step_fn=self.stepper)
        self.equation = equation.to(self.kind)
        force = torch.from_numpy(case.forcing().T.copy()).to(self.kind)
        self.equation.force = torch.fft.rfft2(force)
        initial = torch.from_numpy(case.initial()[:, 0]).mT.to(self.kind)
        self.start = torch.fft.rfft2(initial)

    def plan(self, setting: float) -> int:
        return round(setting)

    @torch.no_grad()
    def advance(self, plan: int, share: float) -> None:
        step, u = self.case.time / plan, self.start
        for _ in range(round(share * plan)):
            u = self.stepper(u, step, self.equation)
        self.now = u

    def state(self) -> Array:
        return torch.fft.irfft2(self.now).mT[:, None].double().numpy()


def build(case: Case, dtype: str) -> TorchCfd:
    """Its spectral Navier-Stokes with the stepper that its papers use."""
    torch.set_default_dtype(getattr(torch, dtype))  # its meshes take the default
    return TorchCfd(case, dtype)
