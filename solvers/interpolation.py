r"""Fields at any points: the values of the functions that a grid's points stand for.

A grid of n points an axis tells a function of its box apart from all others with waves below n/2
(periodic) or half waves below n (walls). Its value anywhere is a sum over the grid's points with
the reproducing kernel of these waves, a product over the axes of

    D(x, x_j) = 1/n sum_{|k| < n/2} cos(2 pi k (x - x_j) / L)                     periodic
    D(x, x_j) = 1/n (1 + 2 sum_{0 < k < n} cos(pi k x / L) cos(pi k x_j / L))     walls

with the cosine of the wave n/2 beside them, which the grid holds as well (n is even). At a point
of the grid it is the value there.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.solvers.grid import Grid


def evaluate(
    fields: Float[Tensor, "... n"], grid: Grid, points: Float[Tensor, "point axis"]
) -> Float[Tensor, "... point"]:
    """The values of fields (..., *grid) at points given by their coordinates, in the box's units.

    Exact for what the grid resolves, not linear between its points. On a periodic axis points may
    lie anywhere; between walls they must lie inside.

    Raises ValueError for points of another dimension, not finite, or beyond a wall.

    >>> grid = Grid((8,))
    >>> (x,) = grid.coordinates()
    >>> u = torch.sin(2 * math.pi * x / grid.extent[0])
    >>> evaluate(u, grid, torch.tensor([[grid.extent[0] / 4]])).round(decimals=6)
    tensor([1.], dtype=torch.float64)
    """
    checked(points, grid)
    out = fields
    for axis in range(grid.ndim):
        kernel = _kernel(points[:, axis].to(fields.device), grid, axis).to(fields)
        if axis == 0:
            out = torch.einsum("...n,in->...i", out.movedim(-grid.ndim, -1), kernel)
        else:  # the axes that are left stand first among the grid's, the points last
            out = torch.einsum("...ni,in->...i", out.movedim(axis - grid.ndim - 1, -2), kernel)
    return out


def checked(points: Tensor, grid: Grid) -> None:
    """Raises ValueError for points (point, axis) that are none of the grid's box."""
    if points.ndim != 2 or points.shape[1] != grid.ndim or not points.isfinite().all():
        raise ValueError(
            f"expected finite points (point, {grid.ndim}), got {tuple(points.shape)}; give every "
            "point one coordinate an axis"
        )
    if grid.periodic:
        return
    side = torch.tensor(grid.extent, dtype=points.dtype, device=points.device)
    beyond = ((points < 0) | (points > side)).any(1)
    if beyond.any():
        raise ValueError(
            f"expected points between the walls of the box {grid.extent}, got "
            f"{int(beyond.sum())} beyond them; leave these out"
        )


def _kernel(x: Tensor, grid: Grid, axis: int) -> Float[Tensor, "point n"]:
    """D(x, x_j) of one axis, float64."""
    n, side = grid.shape[axis], grid.extent[axis]
    at = grid.coordinates()[axis].double().flatten().to(x.device) / side
    x = x.double() / side
    if grid.periodic:
        k = torch.arange(n // 2, dtype=torch.float64, device=x.device)
        weight = torch.where(k > 0, 2.0, 1.0)
        phase = 2 * math.pi * (x[:, None] - at)[..., None] * k
        last = torch.cos(math.pi * n * x)[:, None] * torch.cos(math.pi * n * at)
        return ((weight * phase.cos()).sum(-1) + last) / n
    k = torch.arange(n, dtype=torch.float64, device=x.device)
    weight = torch.where(k > 0, 2.0, 1.0)
    there, here = (torch.cos(math.pi * point[:, None] * k) for point in (x, at))
    return (there * weight) @ here.T / n
