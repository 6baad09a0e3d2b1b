r"""Independent numbers for the cells of a fixed lattice, and the field through them.

The field is the interpolant of the lattice's values by the waves of the box: trigonometric on a
periodic box, of cosines between walls,

    z(x) = sum_j D_1(x_1, j_1) ... D_d(x_d, j_d) g_j,      D_i(x, j) = sum_k e_k(x) e_k(x_j) / n_i,

e_k being the orthonormal waves of axis i that n_i cells tell apart (the last one of a periodic
axis, k = n_i / 2, enters as a cosine), so a lattice and a seed make one function, that every grid
samples as far as it resolves it. On the lattice itself the values are the numbers.

PDEBench starts FitzHugh-Nagumo with a normal number in each of 128^2 cells; The Well perturbs
Gray-Scott with 32^2 uniform ones.

    Takamoto et al., PDEBench (2022), arXiv:2210.07182; Ohana et al., The Well (2024),
    arXiv:2412.00568
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.solvers.grid import Grid
from pushforward.solvers.normals import Use, normals, uniforms


@dataclass(frozen=True)
class RandomCells:
    """The interpolant of independent numbers, one for each of `cells` (one count per axis).

    `noise` "uniform" draws from [-1/2, 1/2), "normal" from N(0, 1); `scale` multiplies both.

    Raises ValueError for lattices of less than 2 cells an axis, or odd ones on a periodic box.

    >>> z = RandomCells(cells=(4, 4), noise="normal").sample([0], Grid((8, 8)))
    >>> z.shape
    torch.Size([1, 8, 8])
    """

    kind: Literal["random_cells"] = "random_cells"
    cells: tuple[int, ...] = (32, 32)
    noise: Literal["uniform", "normal"] = "uniform"
    scale: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "cells", tuple(self.cells))
        if self.noise not in ("uniform", "normal"):
            raise ValueError(
                f"expected the noise 'uniform' or 'normal', got {self.noise!r}; choose one"
            )
        if not self.cells or min(self.cells) < 2 or not 0 <= self.scale < math.inf:
            raise ValueError(
                f"expected at least 2 cells an axis and a scale >= 0, got {self.cells} and "
                f"{self.scale}; raise them"
            )

    def sample(
        self,
        members: Sequence[int],
        grid: Grid,
        seed: int = 0,
        use: Use = Use.INITIAL,
        device: torch.device | str = "cpu",
        step: int = 0,
    ) -> Float[Tensor, "member ..."]:
        """Draws on a grid, float64, shape (member, *grid.shape), addressed by (seed, member).

        `step` numbers further, independent draws of a member.

        >>> law, grid = RandomCells(cells=(8,)), Grid((24,), (1.0,), "neumann")
        >>> cells = law.sample([5], Grid((8,), (1.0,), "neumann"))
        >>> torch.allclose(law.sample([5], grid)[:, 1::3], cells)    # the middles of the cells
        True
        """
        if len(self.cells) != grid.ndim or (grid.periodic and any(n % 2 for n in self.cells)):
            raise ValueError(
                f"expected {grid.ndim} counts of cells{' that are even' * grid.periodic}, got "
                f"{self.cells}; give one per axis"
            )
        places = [
            torch.arange(n, device=device).view([-1 if i == axis else 1 for i in range(grid.ndim)])
            for axis, n in enumerate(self.cells)
        ]
        if self.noise == "normal":
            z = normals(seed, use, members, places, step).real
        else:
            z = uniforms(seed, use, members, places, step) - 0.5
        z = self.scale * z
        for axis, (n, points) in enumerate(zip(self.cells, grid.shape, strict=True)):
            matrix = _interpolation(n, points, grid.periodic).to(device)
            z = torch.movedim(z, 1 + axis, -1) @ matrix.T
            z = torch.movedim(z, -1, 1 + axis)
        return z.contiguous()


def _interpolation(n: int, points: int, periodic: bool) -> Tensor:
    """The matrix (points, n) from n equidistant values to equidistant points of their interpolant.

    Waves that the points do not resolve are left out.
    """
    half = 0.0 if periodic else 0.5
    x, cell = ((torch.arange(m, dtype=torch.float64) + half) / m for m in (points, n))
    if points == n:
        return torch.eye(n, dtype=torch.float64)
    if periodic:
        k = torch.arange(1, (min(n, points) + 1) // 2, dtype=torch.float64)
        angle = 2 * math.pi * (x[:, None] - cell)
        waves = 1 + 2 * torch.cos(k[:, None, None] * angle).sum(0)
        if points > n:
            waves = waves + torch.cos(n / 2 * angle)
        return waves / n
    k = torch.arange(1, min(n, points), dtype=torch.float64)[:, None, None]
    waves = torch.cos(math.pi * k * x[:, None]) * torch.cos(math.pi * k * cell)
    return (1 + 2 * waves.sum(0)) / n
