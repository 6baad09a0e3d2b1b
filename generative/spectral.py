r"""Spectral convolutions: multipliers on the lowest waves of a field, whatever its grid.

A spectral convolution multiplies the coefficients of waves |k_i| <= modes by a learnt matrix
across channels and drops the rest,

    (K h)_k = R_k h_k,        h_k the coefficients of `Grid.fft`,

so it is the same operator on every grid that resolves those waves: for a band-limited field its
output on M points is the output on N points, interpolated. R is kept for the half space k_1 >= 0;
where k_1 = 0 holds both k and -k, their matrices act as (R_k + conj R_{-k}) / 2, so that outputs
are real. R is stored as real numbers, one matrix (in, out re/im) per wave contiguous, and
multiplied as it lies, in one batched real product, by the real and imaginary parts of all members.
The transforms are products, too (see `partial_dft`).

Between walls the waves are cos(pi k x), k = 0..2 modes, at cell centres x = (i + 1/2) / n: the
field is continued by reflection, and R is real. That is the convolution of the reflected field
with an even kernel; nothing comes around from the other side.

The transforms along the first axis, where fields are of full size, are told by `ends`, so that a
layer can join them with its own products (see `layer`); between them is `modulated`. What scales
and shifts all points of a member alike costs nothing there: gains multiply its few coefficients,
shifts are added to the constant one.

    Li et al., Fourier neural operator (2021), arXiv:2010.08895
    Strang, The discrete cosine transform (1999), doi:10.1137/S0036144598336745
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.generative import partial_dft
from pushforward.generative.band import along, remembered


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
        kept, shape = self._kept(h.shape[2:]), h.shape[2:]
        z = self._product(partial_dft.coefficients(h.movedim(1, -1), kept), kept)
        return partial_dft.fields(z, kept, shape).movedim(-1, 1)

    def ends(self, shape: Sequence[int], like: Tensor) -> tuple[Tensor, Tensor]:
        """The transforms along the first axis of a grid: (k, n) into waves, (n, k) back."""
        n, modes, kind = shape[0], self._kept(shape)[0], (like.dtype, like.device)
        return partial_dft.half(n, modes, *kind), partial_dft.half_back(n, modes, *kind)

    def modulated(
        self,
        z: Float[Tensor, "b k inner"],
        shape: Sequence[int],
        gain: Float[Tensor, "b o"],
        shift: Float[Tensor, "b o"],
    ) -> Float[Tensor, "b k outer"]:
        """gain K h + shift between both `ends`, on a grid of that shape.

        >>> layer, h = SpectralConv(1, 2, modes=3, ndim=1), torch.ones(4, 16, 1)
        >>> into, back = layer.ends([16], h)
        >>> gain, shift = torch.zeros(4, 2), torch.full((4, 2), 0.5)
        >>> torch.allclose(back @ layer.modulated(into @ h, [16], gain, shift), torch.tensor(0.5))
        True
        """
        kept = self._kept(shape)
        one = partial_dft.constant(kept, z.dtype, z.device)
        z = self._product(partial_dft.others(z, kept, shape), kept)
        z = torch.addcmul(shift[:, None, None] * one, z, gain[:, None, None])
        return partial_dft.others_back(z, kept, shape)

    def _kept(self, shape: Sequence[int]) -> list[int]:
        """The waves of each axis that a grid resolves."""
        return [min(self.modes, (n - 1) // 2) for n in shape]

    def _product(self, z: Tensor, kept: Sequence[int]) -> Tensor:
        """R_k h_k (b, wave, re/im, o) of coefficients (b, wave, re/im, i)."""
        z = z.permute(1, 2, 0, 3)  # (wave, re/im, b, i)
        weight = self._matrices(kept).flatten(2)  # (wave, i, o re/im)
        parts = torch.bmm(z.flatten(1, 2), weight).unflatten(1, z.shape[1:3])
        (re_re, re_im), (im_re, im_im) = (
            part.unflatten(2, (-1, 2)).unbind(3) for part in parts.unbind(1)
        )
        return torch.stack([re_re - im_im, re_im + im_re], 2).transpose(0, 1)

    def _matrices(self, kept: Sequence[int]) -> Tensor:
        """The weights (wave, in, out, 2) of the waves that a grid resolves."""
        weight = self.weight[: kept[0] + 1]
        for axis, m in enumerate(kept[1:], start=1):
            weight = weight.narrow(axis, self.modes - m, 2 * m + 1)
        return weight.flatten(0, self.ndim - 1)


@remembered
def _half_waves(n: int, count: int, device: torch.device) -> Tensor:
    """The half waves (count, n) at n cell centres, each of mean square 1."""
    x = (torch.arange(n, dtype=torch.float64, device=device) + 0.5) / n
    k = torch.arange(count, dtype=torch.float64, device=device)
    waves = math.sqrt(2) * torch.cos(math.pi * torch.outer(k, x))
    waves[0] = 1
    return waves


@remembered
def _first_half_wave(waves: int, device: torch.device) -> Tensor:
    """The coefficients (wave, 1) of the field 1."""
    return torch.eye(waves, 1, dtype=torch.float64, device=device)


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
        waves = self._waves(h.shape[2:], h)
        last = along(h.movedim(1, -1), waves[0] / h.shape[2], 1)
        z = self._synthesis(self._product(last, waves), waves)
        return along(z, waves[0].T, 1).unflatten(2, [*h.shape[3:], -1]).movedim(-1, 1)

    def ends(self, shape: Sequence[int], like: Tensor) -> tuple[Tensor, Tensor]:
        """The transforms along the first axis of a grid: (k, n) into waves, (n, k) back."""
        wave = self._waves(shape[:1], like)[0]
        return wave / shape[0], wave.T

    def modulated(
        self,
        z: Float[Tensor, "b k inner"],
        shape: Sequence[int],
        gain: Float[Tensor, "b o"],
        shift: Float[Tensor, "b o"],
    ) -> Float[Tensor, "b k outer"]:
        """gain K h + shift between both `ends`, on a grid of that shape."""
        waves = self._waves(shape, z)
        z = self._product(z, waves)
        one = _first_half_wave(z.shape[1], z.dtype, z.device)
        z = torch.addcmul(shift[:, None] * one, z, gain[:, None])
        return self._synthesis(z, waves)

    def _waves(self, shape: Sequence[int], like: Tensor) -> list[Tensor]:
        """The half waves (k, n) of each axis that a grid resolves."""
        counts = [min(2 * self.modes + 1, n) for n in shape]
        pairs = zip(shape, counts, strict=True)
        return [_half_waves(n, count, like.dtype, like.device) for n, count in pairs]

    def _product(self, z: Tensor, waves: Sequence[Tensor]) -> Tensor:
        """R_k h_k (b, wave, o) of fields transformed along the first axis, (b, k, the rest)."""
        weight, lead = self.weight.narrow(0, 0, len(waves[0])), len(waves[0])
        for axis, wave in enumerate(waves[1:], start=1):
            weight = weight.narrow(axis, 0, len(wave))
            z = along(z.reshape(len(z), lead, wave.shape[1], -1), wave / wave.shape[1], 2)
            lead *= len(wave)
        z = z.reshape(len(z), lead, -1).transpose(0, 1)  # (wave, b, i)
        return torch.bmm(z, weight.flatten(0, self.ndim - 1)).transpose(0, 1)

    def _synthesis(self, z: Tensor, waves: Sequence[Tensor]) -> Tensor:
        """Fields along all axes but the first, (b, k, the rest), of coefficients (b, wave, o)."""
        lead = z.shape[1]
        for wave in reversed(waves[1:]):
            lead //= len(wave)
            z = along(z.reshape(len(z), lead, len(wave), -1), wave.T, 2)
        return z.reshape(len(z), len(waves[0]), -1)
