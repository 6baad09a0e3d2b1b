r"""Fourier neural operators: networks that act on functions, not on pixels.

Spectral convolutions, the same operators on every grid, alternate with pointwise layers,

    h <- h + W_2 silu(FiLM(K h + W_1 h)),

modulated by an embedding of the condition. The pointwise layers make waves without end, so two
grids agree in the limit of many points; `alias_free` evaluates them on twice as many. The last
layer starts at zero, so an untrained network is the zero operator.

On a box with walls (`periodic=False`) K multiplies half waves, and the input has coordinates.

    Li et al., Fourier neural operator (2021), arXiv:2010.08895
    Perez et al., FiLM (2018), arXiv:1709.07871
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from pushforward.generative.band import Activation
from pushforward.generative.head import headed
from pushforward.generative.layer import added, analysed, layered, middle
from pushforward.generative.pointwise import Pointwise, channels_last, embedding, located
from pushforward.generative.precision import island, low
from pushforward.generative.spectral import CosineConv, SpectralConv


class Block(nn.Module):
    """h + W_2 silu(FiLM(K h + W_1 h)): one residual Fourier layer."""

    def __init__(
        self,
        width: int,
        modes: int,
        ndim: int,
        features: int,
        *,
        periodic: bool = True,
        alias_free: bool = False,
    ) -> None:
        super().__init__()
        convolution = SpectralConv if periodic else CosineConv
        self.spectral = convolution(width, width, modes, ndim)
        self.local = nn.Parameter(torch.randn(width, width) / math.sqrt(width))
        self.mix = nn.Parameter(torch.randn(width, width) / math.sqrt(width))
        self.film = nn.Linear(features, 2 * width)
        self.activation = Activation(alias_free, periodic)

    def forward(self, h: Float[Tensor, "b c ..."], embedding: Float[Tensor, "b e"]) -> Tensor:
        last, shape = h.movedim(1, -1), h.shape[2:]
        scale, shift = self.film(embedding).chunk(2, 1)
        if low():
            return self._mixed(last, 1 + scale.float(), shift)
        gain = 1 + scale  # modulates matrices and coefficients, which are fewer than points
        into, back = self.spectral.ends(shape, h)
        last, z = analysed(last, into)
        z = self.spectral.modulated(z, shape, gain, shift)
        local, flat = (gain[..., None] * self.local).mT, last.flatten(1, -2)
        if self.activation.alias_free:
            seen = middle(flat, z, back, local).view(last.shape).movedim(-1, 1)
            active = self.activation(seen).movedim(1, -1).flatten(1, -2)
            out = added(flat, active, self.mix)
        else:
            out = layered(flat, z, back, local, self.mix)
        return out.view(last.shape).movedim(-1, 1)

    def _mixed(self, last: Tensor, gain: Tensor, shift: Tensor) -> Tensor:
        """The same, of fewer bits but for the convolution (see `precision`); channels last."""
        shape = last.shape[1:-1]
        waves = island(self._convolved)(last, gain, shift)
        local = (gain[..., None] * self.local).mT
        seen = torch.bmm(last.flatten(1, -2), local)
        seen = (seen + waves.to(seen)).unflatten(1, shape)
        active = self.activation(seen.movedim(-1, 1)).movedim(1, -1)
        return (last + functional.linear(active, self.mix)).movedim(-1, 1)

    def _convolved(self, last: Tensor, gain: Tensor, shift: Tensor) -> Tensor:
        """FiLM(K h) (batch, point, channel) of h (batch, *grid, channel)."""
        shape = last.shape[1:-1]
        into, back = self.spectral.ends(shape, last)
        z = self.spectral.modulated(into @ last.flatten(2), shape, gain, shift)
        return (back @ z).view(len(last), -1, last.shape[-1])


class FNO(nn.Module):
    """A Fourier neural operator conditioned on a vector, on any grid of `ndim` axes.

    (batch, channels_in, *grid), (batch, condition) -> (batch, channels_out, *grid). It returns
    exactly zero until it is trained. `alias_free` is exact within `BandLimited`.

    >>> network = FNO(2, 1, condition=5, width=8, modes=4, layers=2, ndim=2)
    >>> network(torch.randn(3, 2, 16, 16), torch.randn(3, 5)).abs().max().item()
    0.0
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        *,
        condition: int,
        width: int,
        modes: int,
        layers: int,
        ndim: int,
        periodic: bool = True,
        alias_free: bool = False,
    ) -> None:
        super().__init__()
        self.periodic, features = periodic, 4 * width
        self.embed = embedding(condition, features)
        self.lift = Pointwise(channels_in + (0 if periodic else ndim), width)
        self.blocks = nn.ModuleList(
            Block(width, modes, ndim, features, periodic=periodic, alias_free=alias_free)
            for _ in range(layers)
        )
        self.head = Pointwise(width, width)
        self.activation = Activation(alias_free, periodic)
        self.project = Pointwise(width, channels_out)
        nn.init.zeros_(self.project.weight)

    def forward(self, u: Float[Tensor, "b i ..."], condition: Float[Tensor, "b k"]) -> Tensor:
        embedding = self.embed(condition)
        h = self.lift(channels_last(u if self.periodic else located(u)))
        for block in self.blocks:
            h = block(h, embedding)
        if self.activation.alias_free:
            return self.project(self.activation(self.head(h))).contiguous()
        flat, ends = h.movedim(1, -1).flatten(1, -2), (self.head, self.project)
        weights = [part for end in ends for part in (end.weight, end.bias[:, 0])]
        return headed(flat, *weights).unflatten(2, h.shape[2:])
