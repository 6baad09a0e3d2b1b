r"""Allen and Cahn's separation into two phases, periodic or between walls, on one to three axes.

    u_t = D Lap u + (1 - u^2) (u - a)

Phases u = 1 and u = -1 part at fronts of width sqrt(2 D). With a = 0 they are equally good, the
energy <D |grad u|^2 / 2 + (1 - u^2)^2 / 4> decreases, and a straight front stands still; otherwise
it runs at the speed a sqrt(2 D) into u = 1:

    u(x, t) = tanh((x - a sqrt(2 D) t) / sqrt(2 D)).

Diffusion is the symbol; the reaction is cut by the 2/3 rule.

    Allen, Cahn, Acta Metall. 27 (1979), doi:10.1016/0001-6160(79)90196-2
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from pushforward.solvers.equation import Equation, Nonlinear
from pushforward.solvers.grid import Grid


@dataclass(frozen=True)
class AllenCahn(Equation):
    """An order parameter u with the diffusivity D and the unstable state a = `threshold`.

    Good values: D = 1e-3..1e-1 on a box of 2 pi; a grid should have 4 points in sqrt(2 D).

    Raises ValueError for a negative diffusivity, or a threshold beyond the two phases.

    >>> AllenCahn(diffusivity=0.5).linear(Grid((8,)))[0].tolist()
    [-0.0, -0.5, -2.0, -4.5, -8.0]
    """

    kind: Literal["allen_cahn"] = "allen_cahn"
    diffusivity: float = 1e-2
    threshold: float = 0.0

    channels: ClassVar[dict[str, str]] = {"u": "order parameter"}
    scheme: ClassVar[str] = "ifrk54"
    boundary: ClassVar[tuple[str, ...]] = ("periodic", "neumann")

    def __post_init__(self) -> None:
        if not 0 <= self.diffusivity < math.inf or not -1 < self.threshold < 1:
            raise ValueError(
                "expected diffusivity >= 0 and a threshold between -1 and 1, got "
                f"{self.diffusivity} and {self.threshold}; change them"
            )

    def linear(self, grid: Grid, device: torch.device | str = "cpu") -> Tensor:
        return (self.diffusivity * grid.laplacian(device))[None]

    def nonlinear(self, grid: Grid, dtype: torch.dtype, device: torch.device | str) -> Nonlinear:
        keep = grid.resolved(2 / 3, device).to(dtype)

        def reaction(u_hat: Tensor, f_hat: Tensor | None) -> Tensor:
            u = grid.ifft(u_hat)
            return grid.fft((1 - u * u) * (u - self.threshold)) * keep

        return reaction

    def initial_state(self, z: Tensor | None, grid: Grid) -> Tensor:
        if z is None:
            return torch.zeros(1, 1, *grid.shape, dtype=torch.float64)
        return z[:, None]
