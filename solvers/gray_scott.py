r"""Gray-Scott's autocatalysis u + 2 v -> 3 v, periodic or between walls.

    u_t = D_u Lap u - u v^2 + F (1 - u)
    v_t = D_v Lap v + u v^2 - (F + k) v

Diffusion alone is the symbol: with the decay in the exponent as well, an integrating factor would
no longer leave the steady states alone. The reaction is cut by the 2/3 rule (a cubic product is
then aliased only from waves beyond 4/9 of the Nyquist wave, which diffusion empties where the grid
is fine enough).

(1, 0) is a steady state; where (F + k)^2 < F / 4, two more exist, with A = sqrt(F) / (F + k):

    u = (A -+ sqrt(A^2 - 4)) / (2 A),     v = sqrt(F) (A +- sqrt(A^2 - 4)) / 2.

Patterns on a box of side 2 with D_u = 2e-5, D_v = 1e-5, as in The Well: gliders (F, k) =
(.014, .054), bubbles (.098, .057), maze (.029, .057), worms (.058, .065), spirals (.018, .051),
spots (.03, .062).

    Pearson, Science 261 (1993), doi:10.1126/science.261.5118.189
    Ohana et al., The Well (2024), arXiv:2412.00568
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from pushforward.solvers.equation import Equation, Nonlinear
from pushforward.solvers.grid import Grid
from pushforward.solvers.pruned import Pruned


@dataclass(frozen=True)
class GrayScott(Equation):
    """Two concentrations: u is fed at rate F, v is removed at rate F + k.

    The state at rest is (1, 0). What two drawn fields z_1, z_2 stand for is said by `start`:

    - "patches": (1/2, 1/4) where z_1 exceeds `patch_level` (in its own standard deviations if its
      deviation is 1), blurred over `patch_width`, and (1, 0) elsewhere
    - "mixture": u = 1 - z_1, v = z_2, for fields between 0 and 1 (`RandomBumps`)
    - "perturbation": u = u_0 + a z_1 / 2, v = v_0 + b z_2 / 2 about the steady state (u_0, v_0)
      with the most v, a and b being 9/10 of its distance from 0 or 1; about (1, 0) with a = b = 1
      where that is the only one (`RandomCells`)

    Raises ValueError for negative rates or diffusivities.

    >>> state = GrayScott().initial_state(torch.full((1, 2, 8, 8), 9.0), Grid((8, 8)))
    >>> [round(value, 3) for value in state[0, :, 0, 0].tolist()]
    [0.5, 0.25]
    """

    kind: Literal["gray_scott"] = "gray_scott"
    feed_rate: float = 0.029
    kill_rate: float = 0.057
    diffusivity_u: float = 2e-5
    diffusivity_v: float = 1e-5
    start: Literal["patches", "mixture", "perturbation"] = "patches"
    patch_level: float = 1.0
    patch_width: float = 0.25

    channels: ClassVar[dict[str, str]] = {
        "u": "concentration of the substrate",
        "v": "concentration of the autocatalyst",
    }
    scheme: ClassVar[str] = "ifrk54"
    boundary: ClassVar[tuple[str, ...]] = ("periodic", "neumann")
    draws: ClassVar[int] = 2

    def __post_init__(self) -> None:
        numbers = (self.feed_rate, self.kill_rate, self.diffusivity_u, self.diffusivity_v)
        if not all(0 <= number < math.inf for number in numbers) or not self.patch_width > 0:
            raise ValueError(
                "expected rates and diffusivities >= 0 and patch_width > 0, got "
                f"{numbers} and {self.patch_width}; change their signs"
            )
        if self.start not in ("patches", "mixture", "perturbation"):
            raise ValueError(
                "expected the start 'patches', 'mixture' or 'perturbation', got "
                f"{self.start!r}; choose one"
            )

    def linear(self, grid: Grid, device: torch.device | str = "cpu") -> Tensor:
        laplacian = grid.laplacian(device)
        return torch.stack([self.diffusivity_u * laplacian, self.diffusivity_v * laplacian])

    def nonlinear(self, grid: Grid, dtype: torch.dtype, device: torch.device | str) -> Nonlinear:
        cut = Pruned(grid, 2 / 3)
        channel, mean = -1 - grid.ndim, (..., *[0] * (1 + grid.ndim))
        decay = torch.tensor(
            [-self.feed_rate, -self.feed_rate - self.kill_rate], dtype=dtype, device=device
        ).view(2, *[1] * grid.ndim)

        def reaction(state_hat: Tensor, f_hat: Tensor | None) -> Tensor:
            u, v = cut.ifft(state_hat).unbind(channel)
            rate_hat = cut.fft(u.mul_(v).mul_(v))
            n_hat = decay * state_hat
            n_hat.select(channel, 0).sub_(rate_hat)
            n_hat.select(channel, 1).add_(rate_hat)
            n_hat[mean] += self.feed_rate
            return n_hat

        return reaction

    def initial_state(self, z: Tensor | None, grid: Grid) -> Tensor:
        if z is None:
            u = torch.ones(1, *grid.shape, dtype=torch.float64)
            return torch.stack([u, 1 - u], dim=1)
        first, second = z.unbind(1)
        if self.start == "patches":
            level = (first - self.patch_level) / self.patch_width
            # one by one: torch rounds the last few numbers of an array differently
            patch = torch.stack([torch.sigmoid(one) for one in level])
            return torch.stack([1 - patch / 2, patch / 4], dim=1)
        if self.start == "mixture":
            return torch.stack([1 - first, second], dim=1)
        (u, v), (a, b) = self._centre()
        return torch.stack([u + a / 2 * first, v + b / 2 * second], dim=1)

    def _centre(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The steady state with the most v, and how far one may go from it."""
        decay = self.feed_rate + self.kill_rate
        if self.feed_rate <= 4 * decay**2:
            return (1.0, 0.0), (1.0, 1.0)
        ratio = math.sqrt(self.feed_rate) / decay
        root = math.sqrt(ratio**2 - 4)
        u, v = (ratio - root) / (2 * ratio), math.sqrt(self.feed_rate) * (ratio + root) / 2
        return (u, v), (0.9 * min(u, 1 - u), 0.9 * min(v, 1 - v))
