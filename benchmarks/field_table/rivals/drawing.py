"""Noise to fields by a network: what all rivals' draws share, and each its own way to march.

`march(network, noise, evaluations, generator)` turns noise (batch, channel, *grid) into fields of
unit scale on the same grid. GANO and the FNO with noise do it at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward.solvers import GaussianField, Grid

from .rival import Spent, Standard

LENGTH, SIZE = 0.05, 50
March = Callable[[Callable[..., Tensor], Tensor, int, torch.Generator], Tensor]


@dataclass
class Noise:
    """Draws of the noise: white, or Matern's of smoothness 1/2, its length `LENGTH` of the box."""

    channels: int
    coloured: bool = False

    def __call__(self, count: int, grid: Grid, generator: torch.Generator) -> Tensor:
        if not self.coloured:
            return torch.randn(count, self.channels, *grid.shape, generator=generator)
        exponent = (1 + grid.ndim) / 2
        law = GaussianField.matern(exponent, LENGTH * grid.extent[0], deviation=1.0)
        seed = int(torch.randint(2**31, (1,), generator=generator))
        fields = law.sample(range(count * self.channels), grid, seed=seed).float()
        return fields.unflatten(0, (count, self.channels))


def white(u: Tensor, generator: torch.Generator) -> Tensor:
    """Normals at every point of fields like u."""
    return torch.randn(u.shape, generator=generator)


def at_once(
    network: Callable[..., Tensor], noise: Tensor, evaluations: int, generator: torch.Generator
) -> Tensor:
    """The network's answer to the noise: there is only one evaluation to be had."""
    return network(noise)


@dataclass
class Drawing:
    """A network, the noise it starts from, and the march from that to fields."""

    network: Any
    noise: Noise
    march: March
    standard: Standard
    grid: Grid
    spent: Spent

    @torch.no_grad()
    def sample(
        self, count: int, seed: int = 0, *, evaluations: int, grid: Grid | None = None
    ) -> Tensor:
        """Members (count, channel, *grid)."""
        generator = torch.Generator().manual_seed(seed)
        out = []
        for start in range(0, count, SIZE):
            noise = self.noise(min(SIZE, count - start), grid or self.grid, generator)
            u = self.march(self.network, noise, evaluations, generator)
            out.append(self.standard.back(u))
        return torch.cat(out)

    def state(self) -> dict[str, Tensor]:
        """What training has changed."""
        return self.network.state_dict()

    def load(self, state: dict[str, Tensor]) -> None:
        """Takes over what another's training has changed."""
        self.network.load_state_dict(state)
