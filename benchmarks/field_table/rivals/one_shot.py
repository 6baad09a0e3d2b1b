r"""Noise to fields in one evaluation: the parts that GANO and the FNO with noise share.

The network is fed Matern's noise (smoothness 1/2, length 0.05 of the box) in place of a field.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.solvers import Grid

from .flow import Noise
from .network import Network, in_batches
from .rival import Spent, Standard


@dataclass
class OneShot:
    """A network of noise."""

    network: Network
    noise: Noise
    standard: Standard
    grid: Grid
    spent: Spent
    evaluations: int = 1

    @torch.no_grad()
    def sample(
        self, count: int, seed: int = 0, evaluations: int | None = None, grid: Grid | None = None
    ) -> Tensor:
        """Members (count, channel, *grid); there is only one evaluation to be had."""
        generator = torch.Generator().manual_seed(seed)
        parts = [self.noise(size, grid or self.grid, generator) for size in in_batches(count)]
        return torch.cat([self.standard.back(self.network(part)) for part in parts])


def norm(u: Tensor) -> Tensor:
    """The function's norm, its root mean square over the box: the same on every grid."""
    return (u.flatten(1).square().mean(1) + 1e-12).sqrt()
