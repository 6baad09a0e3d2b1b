"""What all backbones share at a point: linear layers, the condition's embedding, coordinates.

FiLM lets a condition speak in every block: an embedding e of it scales and shifts channels,
h -> (1 + a(e)) h + b(e), alike at all points, so it is the same on every grid.

    Perez et al., FiLM (2018), arXiv:1709.07871
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Pointwise(nn.Module):
    """A linear layer across channels at every point, (batch, in, *grid) -> (batch, out, *grid).

    It is one matrix product without a copy, and its output lies in memory as its input does,
    channels last or not.

    >>> Pointwise(2, 3)(torch.ones(1, 2, 5, 4)).shape
    torch.Size([1, 3, 5, 4])
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels_out, channels_in) / math.sqrt(channels_in))
        self.bias = nn.Parameter(torch.zeros(channels_out, 1))

    def forward(self, h: Float[Tensor, "b i ..."]) -> Float[Tensor, "b o ..."]:
        flat = h.flatten(2)
        if h.stride(1) == 1:  # channels last
            weight = self.weight.T.expand(len(h), -1, -1)
            out = torch.baddbmm(self.bias[:, 0], flat.mT, weight).mT
        else:
            out = torch.baddbmm(self.bias, self.weight.expand(len(h), -1, -1), flat)
        return out.unflatten(2, h.shape[2:])


def channels_last(h: Float[Tensor, "b c ..."]) -> Float[Tensor, "b c ..."]:
    """The same fields with the channels of a point beside each other in memory.

    So every layer of an FNO is a matrix product without a copy: across channels (point, c) @
    (c, c), along an axis (m, n) @ (n, the other axes and c).

    >>> channels_last(torch.zeros(2, 3, 8, 4)).stride()
    (96, 1, 12, 3)
    """
    return h.movedim(1, -1).contiguous().movedim(-1, 1)


def embedding(condition: int, features: int) -> nn.Sequential:
    """A network (batch, condition) -> (batch, features) that every block's FiLM reads.

    >>> embedding(3, 8)(torch.zeros(2, 3)).shape
    torch.Size([2, 8])
    """
    return nn.Sequential(
        nn.Linear(condition, features), nn.SiLU(), nn.Linear(features, features), nn.SiLU()
    )


def located(u: Float[Tensor, "b i ..."]) -> Float[Tensor, "b o ..."]:
    """Fields between walls with a channel cos(pi x_i) for each axis appended.

    Even multipliers cannot tell left from right; these coordinates can. As single half waves they
    are the same functions on every grid, which a ramp, cut to its band, would not be.

    >>> located(torch.zeros(1, 1, 2))[0, 1]
    tensor([ 0.7071, -0.7071])
    """
    axes = [
        torch.cos(math.pi * (torch.arange(n, dtype=u.dtype, device=u.device) + 0.5) / n)
        for n in u.shape[2:]
    ]
    channels = torch.stack(torch.meshgrid(*axes, indexing="ij"))
    return torch.cat([u, channels.expand(len(u), *channels.shape)], 1)
