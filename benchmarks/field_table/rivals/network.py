"""The network of the rivals: the project's backbone, told the time and where it is.

It has what the benchmark's FNO has: the fields, coordinates (here the waves of the box, which have
no seam) and a time; and the width, modes and layers that pushforward's own network has.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from pushforward.generative import Backbone

FREQUENCIES = 8


class Network(nn.Module):
    """(batch, channels_in, *grid), time (batch,) in [0, 1] -> (batch, channels_out, *grid)."""

    def __init__(
        self, backbone: Backbone, channels_in: int, channels_out: int, ndim: int, seed: int
    ) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = backbone.build(
                channels_in + 2 * ndim, channels_out, condition=2 * FREQUENCIES, ndim=ndim
            )

    def forward(self, u: Tensor, t: Tensor | float = 0.0) -> Tensor:
        t = torch.as_tensor(t, dtype=u.dtype).expand(len(u))
        phase = t[:, None] * math.pi * 2.0 ** torch.arange(FREQUENCIES)
        condition = torch.cat([phase.sin(), phase.cos()], 1)
        return self.network(torch.cat([u, places(u)], 1), condition)


def places(u: Tensor) -> Tensor:
    """sin and cos of 2 pi x / L for each axis, (batch, 2 axes, *grid)."""
    axes = [2 * math.pi * torch.arange(n, dtype=u.dtype) / n for n in u.shape[2:]]
    mesh = torch.meshgrid(*axes, indexing="ij")
    waves = torch.stack([f(x) for x in mesh for f in (torch.sin, torch.cos)])
    return waves.expand(len(u), *waves.shape)
