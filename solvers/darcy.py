r"""Darcy's law: the pressure of a fluid that is fed into a porous plate and leaves at its rim.

    -div(a grad p) = f,    p = 0 on the boundary of a rectangle

The permeability a is a map of a Gaussian field z with cosine coefficients (no flux at the walls):
lognormal a = exp(s z), or binary, `high` where z >= 0 and `low` elsewhere. Cells are finite
volumes: a and p stand for their middles, the flux through a face is driven by the difference of
two pressures against the two half cells in series (the harmonic mean of a), and at the rim
against one half cell. That is exact for layers, conserves mass in every cell, and is of second
order where a is smooth. Across a jump of a that does not run along the faces it is of first order.

The set published with the Fourier neural operator (421 x 421) has f = 1, and a = 12 or 3 from
N(0, (-Laplacian + 9)^-2) without mean; the script distributed with it says 12 or 4. It puts a
(interpolated by splines, which overshoot at the jumps) on nodes that include the boundary, takes
arithmetic means at faces, and interpolates p back to the middles of cells. Its lognormal set
multiplies the field by 3: variance 9 (-Laplacian + 9)^-2.

    Eymard, Gallouet, Herbin, Finite volume methods (2000), doi:10.1016/S1570-8659(00)07005-8
    Li et al., Fourier neural operator (2021), arXiv:2010.08895
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.solvers import multigrid
from pushforward.solvers.elliptic import EllipticEquation
from pushforward.solvers.grid import Grid

RESIDUAL = 1e-10


@dataclass(frozen=True)
class Darcy(EllipticEquation):
    """Permeability a and pressure p; `coefficient` says what map of the drawn field a is.

    `scale` is s of a = exp(s z); `high` and `low` are the values of a binary permeability;
    `source` is f, the volume fed in per unit area and time, the same everywhere.

    Raises ValueError for values that are not positive or in order, and for grids that are not
    plates between walls.

    >>> plate = Grid((16, 16), (1.0, 1.0), "neumann")
    >>> darcy = Darcy()
    >>> fields = darcy.solve(darcy.initial_state(None, plate), plate)       # a = 1
    >>> round(fields[0, 1].max().item(), 3)
    0.073
    """

    kind: Literal["darcy"] = "darcy"
    coefficient: Literal["lognormal", "binary"] = "lognormal"
    scale: float = 1.0
    high: float = 12.0
    low: float = 3.0
    source: float = 1.0

    channels: ClassVar[dict[str, str]] = {
        "permeability": "permeability of the plate",
        "pressure": "pressure of the fluid",
    }
    unknowns: ClassVar[tuple[str, ...]] = ("pressure",)

    def __post_init__(self) -> None:
        if self.coefficient not in ("lognormal", "binary"):
            raise ValueError(
                f"expected the coefficient lognormal or binary, got {self.coefficient!r}; "
                "choose one"
            )
        numbers = (self.scale, self.high, self.low)
        positive = all(0 < number < math.inf for number in numbers)
        if not positive or self.low > self.high or not math.isfinite(self.source):
            raise ValueError(
                "expected scale > 0, high >= low > 0 and a finite source, got "
                f"{numbers} and {self.source}; change their signs or order"
            )

    def initial_state(self, z: Tensor | None, grid: Grid) -> Tensor:
        """The permeability, (member, 2, *grid), with pressure 0; None stands for z = 0.

        >>> plate = Grid((4, 4), (1.0, 1.0), "neumann")
        >>> Darcy(coefficient="binary").initial_state(None, plate)[0, :, 0, 0].tolist()
        [12.0, 0.0]
        """
        _check_plate(grid)
        z = torch.zeros(1, *grid.shape, dtype=torch.float64) if z is None else z
        if self.coefficient == "lognormal":
            a = torch.exp(self.scale * z)
        else:
            a = torch.where(z >= 0, self.high, self.low).to(z.dtype)
        return torch.stack([a, torch.zeros_like(a)], dim=1)

    def solve(
        self,
        state: Float[Tensor, "member channel ..."],
        grid: Grid,
        members: Sequence[int] | None = None,
    ) -> Float[Tensor, "member channel ..."]:
        """The state with the pressure of its permeability, solved in float64 on the CPU.

        `members` only names rows in errors. The relative residual is at most 1e-10.

        Raises ValueError for a permeability that is not positive, FloatingPointError when one
        varies too much to be solved for.

        >>> plate = Grid((8, 8), (1.0, 1.0), "neumann")
        >>> Darcy().solve(torch.zeros(1, 2, 8, 8), plate)
        Traceback (most recent call last):
            ...
        ValueError: expected a positive permeability, got a least value of 0 for member 0; ...
        """
        _check_plate(grid)
        expected = (len(state), len(self.channels), *grid.shape)
        if tuple(state.shape) != expected:
            raise ValueError(
                f"expected a state of shape (member, channel, *grid) = {expected}, "
                f"got {tuple(state.shape)}; make it with initial_state"
            )
        names = range(len(state)) if members is None else members
        pressures = [
            self._pressure(a.double().cpu().numpy(), grid, name)
            for a, name in zip(state[:, 0], names, strict=True)
        ]
        out = state.clone()
        for row, pressure in enumerate(pressures):
            out[row, 1] = torch.from_numpy(pressure).to(out)
        return out

    def restrict(
        self, fields: Float[Tensor, "*batch channel y x"], source: Grid, target: Grid
    ) -> Float[Tensor, "*batch channel v u"]:
        """Fields on a grid whose cells hold whole cells of `source`.

        The pressure is a cell's mean. A lognormal permeability is its geometric mean, the mean of
        the field it was made of; a binary one the value that fills at least half of the cell.

        Raises ValueError where cells would have to be cut.

        >>> plate, coarse = (Grid((n, n), (1.0, 1.0), "neumann") for n in (8, 4))
        >>> state = torch.full((3, 2, 8, 8), 3.0)
        >>> Darcy().restrict(state, plate, coarse).shape
        torch.Size([3, 2, 4, 4])
        """
        _check_plate(source)
        (n_y, n_x), (m_y, m_x) = source.shape, target.shape
        if replace(source, shape=target.shape) != target or n_y % m_y or n_x % m_x:
            raise ValueError(
                f"expected a target of the same box whose cells hold whole cells of {source}, "
                f"got {target}; choose a shape that divides {source.shape}"
            )
        cells = fields.unflatten(-1, (m_x, -1)).unflatten(-3, (m_y, -1))
        a, p = cells[..., 0, :, :, :, :], cells[..., 1, :, :, :, :]
        if self.coefficient == "lognormal":
            a = a.log().mean((-3, -1)).exp()
        else:
            middle = (self.high + self.low) / 2
            a = torch.where(a.mean((-3, -1)) >= middle, self.high, self.low).to(a)
        return torch.stack([a, p.mean((-3, -1))], dim=-3)

    def _pressure(self, a: np.ndarray, grid: Grid, member: int) -> np.ndarray:
        if not np.isfinite(a).all() or a.min() <= 0:
            raise ValueError(
                f"expected a positive permeability, got a least value of {a.min():g} for member "
                f"{member}; draw a field of smaller deviation, or compute in float64"
            )
        source = np.full(a.shape, self.source * math.prod(grid.spacing))
        pressure, residual = multigrid.solve(conductances(a, grid), source, RESIDUAL)
        if not residual <= 2 * RESIDUAL:
            raise FloatingPointError(
                f"member {member}'s pressure has a residual of {residual:.1e} with permeabilities "
                f"from {a.min():.1e} to {a.max():.1e}; draw a field of smaller deviation"
            )
        return pressure


def conductances(a: np.ndarray, grid: Grid) -> multigrid.Faces:
    """The flux through each face per unit difference of pressure, of permeabilities (ny, nx).

    >>> plate = Grid((4, 4), (1.0, 1.0), "neumann")
    >>> faces = conductances(np.repeat([[1.0, 1.0, 3.0, 3.0]], 4, axis=0), plate)
    >>> faces.x[0].tolist()                # half a cell at the walls, 2 * 3 / (1 + 3) between
    [2.0, 1.0, 1.5, 3.0, 6.0]
    """

    def along(a: np.ndarray, shape: float) -> np.ndarray:
        faces = np.empty((len(a), a.shape[1] + 1))
        faces[:, 1:-1] = 2 * a[:, 1:] * a[:, :-1] / (a[:, 1:] + a[:, :-1])
        faces[:, 0], faces[:, -1] = 2 * a[:, 0], 2 * a[:, -1]
        return faces * shape

    h_y, h_x = grid.spacing
    return multigrid.Faces(along(a, h_y / h_x), along(a.T, h_x / h_y).T)


def _check_plate(grid: Grid) -> None:
    if grid.ndim != 2 or grid.boundary != "neumann":
        raise ValueError(
            f"expected a grid of 2 axes with boundary neumann for a permeability, got {grid.ndim} "
            f"with boundary {grid.boundary}; use (ny, nx) and boundary: neumann"
        )
