r"""Many plates of Darcy's law at once, for chains that solve thousands of times.

The system is that of `solvers.darcy`, face by face. On a grid of 16 x 16 cells elimination within
the band costs less than anything iterative, and the bands of all plates, one behind the other and
not coupled, are one system for LAPACK.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float
from scipy.linalg import solveh_banded
from torch import Tensor

from pushforward.solvers import Darcy, Grid
from pushforward.solvers.darcy import conductances


def pressures(
    darcy: Darcy, z: Float[Tensor, "member y x"], grid: Grid
) -> Float[Tensor, "member y x"]:
    """The pressures of drawn fields z, float64: what `Darcy.solve` gives, to round-off.

    >>> plate = Grid((8, 8), (1.0, 1.0), "neumann")
    >>> p = pressures(Darcy(), torch.zeros(3, 8, 8, dtype=torch.float64), plate)
    >>> round(p.max().item(), 3)
    0.073
    """
    a = darcy.initial_state(z, grid)[:, 0].double().numpy()
    count, (ny, nx) = len(a), grid.shape
    # rows of cells do not know each other across a face of x, nor columns across one of y
    x = conductances(a.reshape(-1, nx), grid).x.reshape(count, ny, nx + 1)
    y = conductances(a.swapaxes(0, 1).reshape(ny, -1), grid).y.reshape(ny + 1, count, nx)
    y = y.swapaxes(0, 1)
    band = np.zeros((nx + 1, count, ny, nx))  # the diagonal and what lies below it
    band[0] = x[..., 1:] + x[..., :-1] + y[:, 1:] + y[:, :-1]
    band[1, ..., :-1] = -x[..., 1:-1]
    band[nx, :, :-1] = -y[:, 1:-1]
    source = np.full(a.size, darcy.source * math.prod(grid.spacing))
    return torch.from_numpy(
        solveh_banded(
            band.reshape(nx + 1, -1),
            source,
            lower=True,
            overwrite_ab=True,
            overwrite_b=True,
            check_finite=False,
        ).reshape(a.shape)
    )
