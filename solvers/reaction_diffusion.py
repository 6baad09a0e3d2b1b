r"""Gray-Scott's autocatalysis u + 2 v -> 3 v, on a periodic box.

    u_t = D_u Lap u - u v^2 + F (1 - u)
    v_t = D_v Lap v + u v^2 - (F + k) v

Linear decay and diffusion are the symbol; the reaction and the feed are the nonlinear part, cut by
the 2/3 rule (a cubic product is then aliased only from waves beyond 4/9 of the Nyquist wave, which
diffusion empties).

Patterns on a box of side 2 with D_u = 2e-5, D_v = 1e-5 (Pearson's types, as in The Well): gliders
(F, k) = (.014, .054), bubbles (.098, .057), maze (.029, .057), worms (.058, .065), spirals
(.018, .051), spots (.03, .062).

    Pearson, Science 261 (1993), doi:10.1126/science.261.5118.189
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from pushforward.solvers.equation import Equation, Nonlinear
from pushforward.solvers.grid import Grid


@dataclass(frozen=True)
class GrayScott(Equation):
    """Two concentrations: u is fed at rate F, v is removed at rate F + k.

    The state at rest is (1, 0). A drawn field z becomes patches of (1/2, 1/4) where it exceeds
    `patch_level` (in its own standard deviations if its deviation is 1), blurred over
    `patch_width`.

    Raises ValueError for negative rates or diffusivities.

    >>> state = GrayScott().initial_state(torch.full((1, 8, 8), 9.0), Grid((8, 8)))
    >>> [round(value, 3) for value in state[0, :, 0, 0].tolist()]
    [0.5, 0.25]
    """

    kind: Literal["gray_scott"] = "gray_scott"
    feed_rate: float = 0.029
    kill_rate: float = 0.057
    diffusivity_u: float = 2e-5
    diffusivity_v: float = 1e-5
    patch_level: float = 1.0
    patch_width: float = 0.25

    channels: ClassVar[dict[str, str]] = {
        "u": "concentration of the substrate",
        "v": "concentration of the autocatalyst",
    }

    def __post_init__(self) -> None:
        numbers = (self.feed_rate, self.kill_rate, self.diffusivity_u, self.diffusivity_v)
        if min(numbers) < 0 or self.patch_width <= 0:
            raise ValueError(
                "expected rates and diffusivities >= 0 and patch_width > 0, got "
                f"{numbers} and {self.patch_width}; change their signs"
            )

    def linear(self, grid: Grid, device: torch.device | str = "cpu") -> Tensor:
        laplacian = grid.laplacian(device)
        return torch.stack(
            [
                self.diffusivity_u * laplacian - self.feed_rate,
                self.diffusivity_v * laplacian - (self.feed_rate + self.kill_rate),
            ]
        )

    def nonlinear(self, grid: Grid, dtype: torch.dtype, device: torch.device | str) -> Nonlinear:
        keep = grid.resolved(2 / 3, device).to(dtype)
        channel = 1 + grid.ndim

        def reaction(u_hat: Tensor, f_hat: Tensor | None) -> Tensor:
            u, v = grid.ifft(u_hat).unbind(-channel)
            rate_hat = grid.fft(u * v * v) * keep
            n_hat = torch.stack([-rate_hat, rate_hat], dim=-channel)
            n_hat[(..., 0, *[0] * grid.ndim)] += self.feed_rate
            return n_hat

        return reaction

    def initial_state(self, z: Tensor | None, grid: Grid) -> Tensor:
        if z is None:
            z = torch.full((1, *grid.shape), -torch.inf, dtype=torch.float64)
        patch = torch.sigmoid((z - self.patch_level) / self.patch_width)
        return torch.stack([1 - patch / 2, patch / 4], dim=1)
