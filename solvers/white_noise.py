r"""White noise on the waves of a grid: one normal per wave, whatever the grid.

A wave is addressed by its integer numbers, so a finer grid has the coefficients of a coarser one
and adds its own. On a periodic box the waves k and -k of a real field share one address.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.solvers.grid import Grid
from pushforward.solvers.normals import Use, normals


def white(
    members: Sequence[int],
    grid: Grid,
    seed: int = 0,
    use: Use = Use.INITIAL,
    device: torch.device | str = "cpu",
    step: int = 0,
) -> Tensor:
    """White coefficients of real fields: unit variance, no Nyquist waves.

    Shape (member, *grid.spectral_shape), complex128 and Hermitian on a periodic box, where waves k
    and -k share one address; float64 between walls.

    >>> w = white([0], Grid((8, 8)))
    >>> bool(w[0, 1, 0] == w[0, -1, 0].conj())
    True
    """
    waves = grid.integers(device)
    if not grid.periodic:
        return normals(seed, use, members, waves, step).real.contiguous()
    sign = grid.half_plane(device)
    g = normals(seed, use, members, [k * sign for k in waves], step)
    # E|g|^2 = 1 is shared by two parts; the constant is real, of variance 1
    g = torch.where(sign > 0, g, g.conj()) * math.sqrt(0.5)
    g[(..., *[0] * grid.ndim)] = g[(..., *[0] * grid.ndim)].real * math.sqrt(2)
    return g * grid.resolved(1.0, device)
