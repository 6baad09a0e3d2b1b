"""Transforms of fields that a rule has cut, without the waves that are cut anyway.

Of the N / 2 + 1 columns of waves that a plane's real transform has along its last axis, the 2/3
rule keeps N / 3: only those are transformed along the first axis, and what is cut is never
written. The numbers are those of `Grid.fft` and `Grid.ifft`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Complex, Float, Inexact
from torch import Tensor

from pushforward.solvers.grid import Grid


@dataclass(frozen=True)
class Pruned:
    """A grid's transforms for waves |k_i| < fraction N_i / 2; `fft` cuts the others.

    >>> grid = Grid((8, 8))
    >>> u = torch.cos(2 * grid.coordinates()[0]).expand(1, 8, 8)
    >>> cut = Pruned(grid, 2 / 3)
    >>> bool((cut.ifft(cut.fft(u)) - u).abs().max() < 1e-12)
    True
    """

    grid: Grid
    fraction: float

    @cached_property
    def _kept(self) -> tuple[int, int]:
        """The largest wave kept along each axis: k < fraction N / 2."""
        keep = self.grid.resolved(self.fraction)
        return int(keep[: len(keep) // 2, 0].sum()) - 1, int(keep[0].sum()) - 1

    def fft(self, u: Float[Tensor, ...]) -> Inexact[Tensor, ...]:
        """The coefficients of real fields, zero where they are cut."""
        if not self._planes(u):
            return self.grid.fft(u) * self.grid.resolved(self.fraction, u.device)
        first, last = self._kept
        rows = torch.fft.rfft(u, norm="forward")[..., : last + 1]
        waves = torch.fft.fft(_turned(rows), norm="forward").movedim(-1, -2)
        u_hat = waves.new_zeros((*u.shape[:-1], self.grid.spectral_shape[-1]))
        u_hat[..., : first + 1, : last + 1] = waves[..., : first + 1, :]
        if first:
            u_hat[..., -first:, : last + 1] = waves[..., -first:, :]
        return u_hat

    def ifft(self, u_hat: Inexact[Tensor, ...]) -> Float[Tensor, ...]:
        """The real fields of coefficients that are zero where they are cut."""
        if not self._planes(u_hat):
            return self.grid.ifft(u_hat)
        last = self._kept[1]
        waves = torch.fft.ifft(_turned(u_hat[..., : last + 1]), norm="forward")
        rows = torch.zeros_like(u_hat)
        rows[..., : last + 1] = waves.movedim(-1, -2)
        return torch.fft.irfft(rows, self.grid.shape[-1], norm="forward")

    def _planes(self, u: Tensor) -> bool:
        return self.grid.periodic and self.grid.ndim == 2 and u.device.type == "cpu"


def _turned(u_hat: Complex[Tensor, ...]) -> Complex[Tensor, ...]:
    """The first axis last and in one run: a strided transform of a batch is grouped by what else
    is in it, and a member's last bits would depend on its company."""
    return u_hat.movedim(-2, -1).contiguous()
