r"""Spectral convolutions: multipliers on the lowest waves of a field, whatever its grid.

A spectral convolution multiplies the coefficients of waves |k_i| <= modes by a learnt matrix
across channels and drops the rest,

    (K h)_k = R_k h_k,        h_k the coefficients of `Grid.fft`,

so it is the same operator on every grid that resolves those waves: for a band-limited field its
output on M points is the output on N points, interpolated. R is kept for the half space k_1 >= 0;
where k_1 = 0 holds both k and -k, their matrices act as (R_k + conj R_{-k}) / 2, so that outputs
are real. R is stored as real numbers, one matrix per wave contiguous (mode-major), and applied as
one batched real product. Few waves are kept, so the transforms are truncated ones, matrix products
over each axis, without the FFT's copies of full size.

Between walls the waves are cos(pi k x), k = 0..2 modes, at cell centres x = (i + 1/2) / n: the
field is continued by reflection, and R is real. That is the convolution of the reflected field
with an even kernel; nothing comes around from the other side.

    Li et al., Fourier neural operator (2021), arXiv:2010.08895
    Strang, The discrete cosine transform (1999), doi:10.1137/S0036144598336745
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.generative.band import along


@lru_cache(maxsize=64)
def _waves(n: int, modes: int, half: bool, dtype: torch.dtype, device: torch.device) -> Tensor:
    """cos and sin (2, k, n) of the kept waves at n points: k = 0..modes, or -modes..modes."""
    with torch.inference_mode(False):  # what is remembered must serve training, too
        first = 0 if half else -modes
        k = torch.arange(first, modes + 1, dtype=torch.float64, device=device)
        points = torch.arange(n, dtype=torch.float64, device=device)
        phase = 2 * math.pi / n * torch.outer(k, points)
        return torch.stack([phase.cos(), phase.sin()]).to(dtype)


def _forward(h: Tensor, modes: Sequence[int]) -> Tensor:
    """Coefficients (b, c, k_1, ..., k_d, re/im) of fields: k_1 >= 0, the rest signed."""
    n, axes = h.shape[2], h.ndim - 2
    cos, sin = _waves(n, modes[0], True, h.dtype, h.device)
    first = torch.stack([cos, -sin], 1).flatten(0, 1) / n  # rows (k, re/im)
    z = (
        (first @ h.reshape(*h.shape[:3], -1))
        .unflatten(2, (-1, 2))
        .reshape(*h.shape[:2], -1, 2, *h.shape[3:])
    )
    for axis in range(1, axes):  # here z is (b, c, k_1.., re/im, n_axis, ...)
        n = h.shape[2 + axis]
        cos, sin = _waves(n, modes[axis], False, h.dtype, h.device)
        turn = torch.stack([torch.stack([cos, -sin]), torch.stack([sin, cos])]) / n
        # (in, out, k, n) -> (n and in, k and out)
        matrix = turn.permute(0, 3, 2, 1).flatten(2).flatten(0, 1)
        z = z.movedim(2 + axis + 1, -1).movedim(2 + axis, -2)
        z = (z.flatten(-2) @ matrix).unflatten(-1, (-1, 2)).movedim((-2, -1), (2 + axis, 3 + axis))
    return z


def _backward(z: Tensor, shape: Sequence[int]) -> Tensor:
    """The real fields (b, c, *shape) of coefficients as `_forward` gives them."""
    for axis in range(len(shape) - 1, 0, -1):
        n, k = shape[axis], z.shape[2 + axis]
        cos, sin = _waves(n, (k - 1) // 2, False, z.dtype, z.device)
        turn = torch.stack([torch.stack([cos, sin]), torch.stack([-sin, cos])])  # in, out, k, n
        matrix = turn.permute(2, 0, 1, 3).flatten(2).flatten(0, 1)
        z = z.movedim((2 + axis, 3 + axis), (-2, -1))
        z = (z.flatten(-2) @ matrix).unflatten(-1, (2, -1)).movedim((-2, -1), (2 + axis, 3 + axis))
    n, k = shape[0], z.shape[2]
    cos, sin = _waves(n, k - 1, True, z.dtype, z.device)
    count = torch.full((k, 1), 2.0, dtype=z.dtype, device=z.device)
    count[0] = 1
    last = torch.stack([cos * count, -sin * count], 1).flatten(0, 1).T.contiguous()
    return (last @ z.reshape(*z.shape[:2], 2 * k, -1)).reshape(*z.shape[:2], *shape)


class SpectralConv(nn.Module):
    """A learnt multiplier on the waves |k_i| <= modes, (batch, in, *grid) -> (batch, out, *grid).

    On a grid too coarse for `modes` the waves it resolves are used.

    >>> layer = SpectralConv(1, 2, modes=3, ndim=2)
    >>> layer(torch.randn(4, 1, 16, 12)).shape
    torch.Size([4, 2, 16, 12])
    """

    def __init__(self, channels_in: int, channels_out: int, modes: int, ndim: int) -> None:
        super().__init__()
        self.modes, self.ndim = modes, ndim
        box = (modes + 1, *[2 * modes + 1] * (ndim - 1))
        scale = 1 / math.sqrt(2 * channels_in)
        self.weight = nn.Parameter(scale * torch.randn(*box, channels_in, channels_out, 2))

    def forward(self, h: Float[Tensor, "b i ..."]) -> Float[Tensor, "b o ..."]:
        kept = [min(self.modes, (n - 1) // 2) for n in h.shape[2:]]
        z = _forward(h, kept)  # (b, i, *box, 2)
        box = z.shape[2:-1]
        major = z.flatten(2, -2).permute(2, 0, 3, 1).flatten(2)  # (wave, b, re/im x i)
        re, im = self._matrices(kept).unbind(-1)
        block = torch.cat([torch.cat([re, im], 2), torch.cat([-im, re], 2)], 1)
        out = torch.bmm(major, block).unflatten(2, (2, -1)).permute(1, 3, 0, 2)
        return _backward(out.unflatten(2, box).contiguous(), h.shape[2:])

    def _matrices(self, kept: Sequence[int]) -> Tensor:
        """The weights (wave, in, out, 2) of the waves that a grid resolves."""
        weight = self.weight[: kept[0] + 1]
        for axis, m in enumerate(kept[1:], start=1):
            weight = weight.narrow(axis, self.modes - m, 2 * m + 1)
        return weight.flatten(0, self.ndim - 1)


@lru_cache(maxsize=64)
def _half_waves(n: int, count: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The half waves (count, n) at n cell centres, each of mean square 1."""
    with torch.inference_mode(False):
        x = (torch.arange(n, dtype=torch.float64, device=device) + 0.5) / n
        k = torch.arange(count, dtype=torch.float64, device=device)
        waves = math.sqrt(2) * torch.cos(math.pi * torch.outer(k, x))
        waves[0] = 1
        return waves.to(dtype)


class CosineConv(nn.Module):
    """A learnt multiplier on the half waves k_i <= 2 modes of fields between reflecting walls,
    (batch, in, *grid) -> (batch, out, *grid).

    On a grid too coarse for `modes` the half waves it resolves are used.

    >>> layer = CosineConv(1, 2, modes=3, ndim=2)
    >>> layer(torch.randn(4, 1, 16, 11)).shape
    torch.Size([4, 2, 16, 11])
    """

    def __init__(self, channels_in: int, channels_out: int, modes: int, ndim: int) -> None:
        super().__init__()
        self.modes, self.ndim = modes, ndim
        box, scale = [2 * modes + 1] * ndim, 1 / math.sqrt(channels_in)
        self.weight = nn.Parameter(scale * torch.randn(*box, channels_in, channels_out))

    def forward(self, h: Float[Tensor, "b i ..."]) -> Float[Tensor, "b o ..."]:
        weight, waves = self.weight, []
        for axis, n in enumerate(h.shape[2:]):
            kept = min(2 * self.modes + 1, n)
            waves.append(_half_waves(n, kept, h.dtype, h.device))
            weight = weight.narrow(axis, 0, kept)
            h = along(h, waves[-1] / n, axis + 2)
        z = h.flatten(2).permute(2, 0, 1)  # (wave, b, i)
        out = torch.bmm(z, weight.flatten(0, self.ndim - 1)).permute(1, 2, 0)
        out = out.unflatten(2, h.shape[2:])
        for axis, wave in enumerate(waves):
            out = along(out, wave.T, axis + 2)
        return out
