r"""The Korteweg-de Vries equation of long waves on shallow water, on a periodic line.

    u_t + a (u^2 / 2)_x + b u_xxx = nu u_xx + f

Waves steepen (a), disperse (b) and, where the two balance, travel as solitons

    u = (3 c / a) sech^2( sqrt(c / b) (x - c t) / 2 ),

which pass through each other unchanged. The symbol i b kappa^3 - nu kappa^2 is imaginary where it
is large. ETDRK4 then takes steps as short as the solitons ask for; with an integrating factor the
highest wave sets the step, ten times shorter. With nu = 0 and f = 0 mass <u>, momentum <u^2> and
energy <a u^3 / 3 - b u_x^2> are constant, for a series that the 2/3 rule truncates as well: only
time steps change them.

Numbers: (a, b) = (6, 1) is the usual form. `KdV.mat`, the set of Raissi's PINNs that kernel
functional flow matching learns from, is one trajectory with (1, 0.0025) on [-1, 1) from cos(pi x)
to t = 1, 201 frames of 512 points. Stochastic KdV of Neural SPDEs has (6, 0.1), nu = 0.001 on
[0, 1) to t = 1, from x (1 - x), stirred by a Wiener process smooth in space; the notebook that is
published with it leaves the slope u_x undivided by the spacing, so that waves hardly steepen.

    Zabusky, Kruskal, Phys. Rev. Lett. 15 (1965), doi:10.1103/PhysRevLett.15.240
    Raissi, Perdikaris, Karniadakis, J. Comput. Phys. 378 (2019), doi:10.1016/j.jcp.2018.10.045
    Salvi, Lemercier, Gerasimovics, Neural stochastic PDEs (2022), arXiv:2110.10249
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from pushforward.solvers.burgers import check_line, steepening
from pushforward.solvers.equation import Equation, Nonlinear
from pushforward.solvers.grid import Grid


@dataclass(frozen=True)
class KortewegDeVries(Equation):
    """A wave's height with nonlinearity a, dispersion b, viscosity nu and a forcing f.

    The initial state is the drawn field itself, its mean included; the state at rest is 0.

    Raises ValueError for a negative viscosity, for numbers that are none, and for grids of more
    axes.

    >>> KortewegDeVries().linear(Grid((8,)))[0, :4].tolist()    # i k^3
    [0j, 1j, 8j, 27j]
    """

    kind: Literal["kdv"] = "kdv"
    nonlinearity: float = 6.0
    dispersion: float = 1.0
    viscosity: float = 0.0

    channels: ClassVar[dict[str, str]] = {"height": "height of the wave"}
    forced: ClassVar[bool] = True
    scheme: ClassVar[str] = "etdrk4"

    def __post_init__(self) -> None:
        numbers = (self.nonlinearity, self.dispersion, self.viscosity)
        if self.viscosity < 0 or not all(map(math.isfinite, numbers)):
            raise ValueError(
                "expected finite numbers nonlinearity, dispersion and viscosity >= 0, got "
                f"{numbers}; change the viscosity's sign, or give numbers"
            )

    def linear(self, grid: Grid, device: torch.device | str = "cpu") -> Tensor:
        check_line(grid, "wave")
        (i_x,) = grid.gradient(device)
        # 0 - z has no negative zeros as real part where -z would
        return (self.viscosity * grid.laplacian(device) + 0j - self.dispersion * i_x**3)[None]

    def nonlinear(self, grid: Grid, dtype: torch.dtype, device: torch.device | str) -> Nonlinear:
        check_line(grid, "wave")
        return steepening(self.nonlinearity, grid, dtype, device)

    def initial_state(self, z: Tensor | None, grid: Grid) -> Tensor:
        check_line(grid, "wave")
        return torch.zeros(1, 1, *grid.shape, dtype=torch.float64) if z is None else z[:, None]
