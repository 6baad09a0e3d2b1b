"""What the kernels know of an equation: its family, its numbers, and whether they are all of it.

Vorticity (NavierStokes) on a torus, and on a torus or between walls two reacting species with

    N_c = scale_c R(u, v) + sum_d matrix_cd u_d + constant_c,     R = u v^2 or u^3

(GrayScott, FitzHughNagumo and its cells). The symbol must be real and a sum over the axes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.solvers.equation import Equation
from pushforward.solvers.fitzhugh_nagumo import FitzHughNagumo, FitzHughNagumoCells
from pushforward.solvers.gray_scott import GrayScott
from pushforward.solvers.grid import Grid
from pushforward.solvers.navier_stokes import NavierStokes

VORTICITY, REACTION, REACTION_NEUMANN = 0, 1, 2  # enum family of job.h
U_V_V, U_U_U = 0, 1  # enum rate
SMALLEST, LARGEST = 16, 1024  # points an axis
Pair = tuple[float, float]


@dataclass(frozen=True)
class Family:
    """An equation's numbers as the kernels take them."""

    kind: int
    rate: int = U_V_V
    scale: Pair = (0.0, 0.0)
    matrix: tuple[Pair, Pair] = ((0.0, 0.0), (0.0, 0.0))
    constant: Pair = (0.0, 0.0)


def family(equation: Equation, grid: Grid) -> Family | None:
    """The family of an equation on a grid, None for what the kernels do not know.

    >>> family(GrayScott(feed_rate=0.5), Grid((16, 16))).constant
    (0.5, 0.0)
    """
    if grid.ndim != 2 or not all(map(_length, grid.shape)):
        return None
    kind = REACTION if grid.periodic else REACTION_NEUMANN
    if grid.periodic and equation.dealias > 2 / 3:  # pruned transforms
        return None
    if isinstance(equation, NavierStokes):
        return Family(VORTICITY) if grid.periodic else None
    if isinstance(equation, GrayScott):
        feed, kill = equation.feed_rate, equation.kill_rate
        decay = ((-feed, 0.0), (0.0, -feed - kill))
        return Family(kind, U_V_V, (-1.0, 1.0), decay, (feed, 0.0))
    if isinstance(equation, FitzHughNagumo | FitzHughNagumoCells):
        linear = ((1.0, -1.0), (1.0, -1.0))
        return Family(kind, U_U_U, (-1.0, 0.0), linear, (-equation.threshold, 0.0))
    return None


def kept(equation: Equation, grid: Grid) -> tuple[int, int]:
    """The largest wave along each axis that a state holds.

    >>> kept(GrayScott(), Grid((64, 96)))
    (21, 31)
    """
    keep = grid.resolved(equation.dealias)
    last = [torch.where(keep.any(1 - axis))[0] for axis in range(2)]
    if grid.periodic:  # axis 0 holds the negative waves, too
        return (len(last[0]) - 1) // 2, int(last[1].max())
    return int(last[0].max()), int(last[1].max())


def symbols(equation: Equation, grid: Grid) -> tuple[Tensor, Tensor] | None:
    """L as one table an axis, (channel, wave 0..kept), float64; None if L is no such sum."""
    symbol = equation.linear(grid)
    if symbol.is_complex():
        return None
    k0, k1 = kept(equation, grid)
    along_0 = symbol[:, : k0 + 1, 0] - symbol[:, :1, 0]
    along_1 = symbol[:, 0, : k1 + 1]
    total = along_0[:, :, None] + along_1[:, None, :]
    part = symbol[:, : k0 + 1, : k1 + 1]
    if not torch.allclose(total, part, rtol=1e-12, atol=1e-300):
        return None
    return along_0.contiguous(), along_1.contiguous()


def _length(n: int) -> bool:
    """2^n or 3 2^n points that the transforms have."""
    return SMALLEST <= n <= LARGEST and n // (n & -n) in (1, 3) and n % 8 == 0
