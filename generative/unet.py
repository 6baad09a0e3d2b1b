r"""A convolutional U-Net, for pixels and images: local at first, global at its coarsest grid.

Residual blocks of 3-point convolutions, h + conv silu(FiLM(norm conv silu(norm h))), on grids that
halve from one resolution to the next, with skips, and self-attention at the coarsest. Its reach
is counted in points, so on a finer grid it is another operator; for fields, where that matters,
take an FNO or a UNO.

Convolutions wrap around on periodic grids, else they see the field reflected at the walls (its
border points doubled, as for the cosine basis), and coordinates beside it. Grids of any size are
halved by means of two points; an odd axis is first continued by one point and cropped again on
the way up.

    Ronneberger et al., U-Net (2015), arXiv:1505.04597
    Ho et al., Denoising diffusion probabilistic models (2020), arXiv:2006.11239
    Wu and He, Group normalization (2018), arXiv:1803.08494
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from pushforward.generative.pointwise import Pointwise, embedding, located

HEAD = 32  # channels of an attention head


def halve(h: Float[Tensor, "b c ..."], periodic: bool = True) -> Float[Tensor, "b c ..."]:
    """Means of neighbouring points, half as many an axis (rounded up).

    >>> halve(torch.tensor([[[1.0, 3.0, 4.0]]]))     # 4 and, around the corner, 1
    tensor([[[2.0000, 2.5000]]])
    """
    for axis in range(2, h.ndim):
        n = h.shape[axis]
        if n % 2:
            h = torch.cat([h, h.narrow(axis, 0 if periodic else n - 1, 1)], axis)
        h = h.unflatten(axis, (-1, 2)).mean(axis + 1)
    return h


def double(h: Float[Tensor, "b c ..."], shape: Sequence[int]) -> Float[Tensor, "b c ..."]:
    """Each point twice along every axis, cropped to `shape`.

    >>> double(torch.tensor([[[1.0, 2.0]]]), (3,))
    tensor([[[1., 1., 2.]]])
    """
    for axis, n in enumerate(shape, start=2):
        twice = torch.stack([h, h], axis + 1).flatten(axis, axis + 1)
        h = twice.narrow(axis, 0, n)
    return h


def _convolution(channels_in: int, channels_out: int, ndim: int, periodic: bool) -> nn.Module:
    kind = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[ndim - 1]
    # one replicated border point is the reflection at the wall
    mode = "circular" if periodic else "replicate"
    return kind(channels_in, channels_out, 3, padding=1, padding_mode=mode)


def _norm(channels: int) -> nn.GroupNorm:
    """Groups of four channels or so; one channel alone would lose its mean."""
    return nn.GroupNorm(math.gcd(channels, max(1, channels // 4)), channels)


class ResidualBlock(nn.Module):
    """carry(h) + conv silu(FiLM(norm conv silu(norm h))), (b, in, *grid) -> (b, out, *grid)."""

    def __init__(
        self, channels_in: int, channels_out: int, ndim: int, features: int, *, periodic: bool
    ) -> None:
        super().__init__()
        alike = channels_in == channels_out
        self.carry = nn.Identity() if alike else Pointwise(channels_in, channels_out)
        self.norm_in, self.norm = _norm(channels_in), _norm(channels_out)
        self.conv_in = _convolution(channels_in, channels_out, ndim, periodic)
        self.film = nn.Linear(features, 2 * channels_out)
        self.conv = _convolution(channels_out, channels_out, ndim, periodic)

    def forward(self, h: Float[Tensor, "b i ..."], embedding: Float[Tensor, "b e"]) -> Tensor:
        middle = self.norm(self.conv_in(F.silu(self.norm_in(h))))
        modulation = self.film(embedding).view(len(h), -1, *[1] * (h.ndim - 2))
        scale, shift = modulation.chunk(2, 1)
        return self.carry(h) + self.conv(F.silu(torch.addcmul(shift, middle, 1 + scale)))


class Attention(nn.Module):
    """h + self-attention between all points, (batch, channels, *grid) -> the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = max(1, channels // HEAD)
        while channels % self.heads:
            self.heads -= 1
        self.norm = _norm(channels)
        self.read = nn.Linear(channels, 3 * channels, bias=False)
        self.write = nn.Linear(channels, channels)

    def forward(self, h: Float[Tensor, "b c ..."]) -> Float[Tensor, "b c ..."]:
        tokens = self.norm(h).flatten(2).transpose(1, 2)  # (b, point, c)
        parts = self.read(tokens).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        query, key, value = parts.unbind()
        # spelt out: the fused kernel has no forward derivative and no second one
        match = query @ key.transpose(2, 3) / math.sqrt(query.shape[-1])
        seen = (torch.softmax(match, -1) @ value).transpose(1, 2).flatten(2)
        return h + self.write(seen).transpose(1, 2).view_as(h)


class UNet(nn.Module):
    """A U-Net of `layers` resolutions conditioned on a vector, on any grid of 1 to 3 axes.

    (batch, channels_in, *grid), (batch, condition) -> (batch, channels_out, *grid). It returns
    exactly zero until it is trained.

    >>> network = UNet(2, 1, condition=5, width=8, layers=3, ndim=2)
    >>> network(torch.randn(3, 2, 16, 15), torch.randn(3, 5)).abs().max().item()
    0.0
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        *,
        condition: int,
        width: int,
        layers: int,
        ndim: int,
        periodic: bool = True,
    ) -> None:
        super().__init__()
        self.periodic, features = periodic, 4 * width
        widths = [width * 2 ** min(depth, 2) for depth in range(layers)]

        def block(channels_in: int, channels_out: int) -> ResidualBlock:
            return ResidualBlock(channels_in, channels_out, ndim, features, periodic=periodic)

        self.embed = embedding(condition, features)
        self.lift = _convolution(channels_in + (0 if periodic else ndim), width, ndim, periodic)
        self.down = nn.ModuleList(block(widths[max(d - 1, 0)], widths[d]) for d in range(layers))
        self.attention = Attention(widths[-1])
        self.middle = block(widths[-1], widths[-1])
        self.up = nn.ModuleList(
            block(widths[d] + widths[d + 1], widths[d]) for d in range(layers - 1)
        )
        self.norm = _norm(width)
        self.project = Pointwise(width, channels_out)
        nn.init.zeros_(self.project.weight)

    def forward(self, u: Float[Tensor, "b i ..."], condition: Float[Tensor, "b k"]) -> Tensor:
        embedding = self.embed(condition)
        h, made = self.lift(u if self.periodic else located(u)), []
        for depth, block in enumerate(self.down):
            h = block(h if depth == 0 else halve(h, self.periodic), embedding)
            made.append(h)
        h = self.middle(self.attention(made.pop()), embedding)
        for block in reversed(self.up):
            skip = made.pop()
            h = block(torch.cat([double(h, skip.shape[2:]), skip], 1), embedding)
        return self.project(F.silu(self.norm(h)))
