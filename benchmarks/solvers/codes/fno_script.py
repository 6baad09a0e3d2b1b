r"""The scheme of the script behind FNO's Navier-Stokes data, written anew from its definition.

    w' = ((1 - h nu k^2 / 2) w - h F + h f) / (1 + h nu k^2 / 2),   F = u . grad w

explicit Euler for advection and forcing, Crank-Nicolson for diffusion, full complex transforms
(four inverse and one forward a step), waves beyond two thirds cut from F alone.
"""

from __future__ import annotations

import math

import torch

from benchmarks.solvers.cases import Array, Case


class FnoScript:
    """A batch of states in torch, all in the one precision as the script has it."""

    def __init__(self, case: Case, dtype: str) -> None:
        self.case, self.kind = case, getattr(torch, dtype)
        n = case.points
        k = torch.fft.fftfreq(n, 1 / n).to(self.kind)
        self.k_x, self.k_y = k[:, None].expand(n, n), k[None].expand(n, n)
        self.square = 4 * math.pi**2 * (self.k_x**2 + self.k_y**2)
        self.inverse = self.square.clone()
        self.inverse[0, 0] = 1
        bound = 2 / 3 * (n // 2)
        self.keep = ((self.k_x.abs() <= bound) & (self.k_y.abs() <= bound)).to(self.kind)
        self.force = torch.fft.fft2(torch.from_numpy(case.forcing().T.copy()).to(self.kind))
        self.start = torch.fft.fft2(torch.from_numpy(case.initial()[:, 0]).mT.to(self.kind))

    def plan(self, setting: float) -> int:
        return round(setting)

    @torch.no_grad()
    def advance(self, plan: int, share: float) -> None:
        step, w = self.case.time / plan, self.start
        diffusion = 0.5 * step * self.case.constants["viscosity"] * self.square
        for _ in range(round(share * plan)):
            psi = w / self.inverse
            u = torch.fft.ifft2(2j * math.pi * self.k_y * psi).real
            v = torch.fft.ifft2(-2j * math.pi * self.k_x * psi).real
            w_x = torch.fft.ifft2(2j * math.pi * self.k_x * w).real
            w_y = torch.fft.ifft2(2j * math.pi * self.k_y * w).real
            advection = self.keep * torch.fft.fft2(u * w_x + v * w_y)
            w = (-step * advection + step * self.force + (1 - diffusion) * w) / (1 + diffusion)
        self.now = w

    def state(self) -> Array:
        return torch.fft.ifft2(self.now).real.mT[:, None].double().numpy()


def build(case: Case, dtype: str) -> FnoScript:
    """The scheme at the case's grid."""
    return FnoScript(case, dtype)
