r"""Partial Fourier transforms: the lowest waves of fields, as products with channels last.

Of n points an axis the waves |k| <= K are wanted, K well below n/2. A transform axis by axis is
then one matrix product each,

    (k re/im, y) @ (y, x c),  then  (q re/im, re/im x) @ (re/im x, c)  for every k,  and back,

K/n of the work of dense transforms, and all of it work that a processor does at its peak: with
channels last in memory (batch, *grid, channel) no product needs a copy, where an FFT of full size
makes several and throws most of its result away. The work grows with K, the FFT's does not: on 256
points an axis and more an FFT is the faster one once half of all waves are kept (K = n/4), which
networks of smooth fields do not do; there is no such path here.

    Van Loan, Computational frameworks for the fast Fourier transform (1992),
    doi:10.1137/1.9781611970999, for transforms as matrices
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.generative.band import along, remembered


def coefficients(
    h: Float[Tensor, "b ... c"], modes: Sequence[int]
) -> Float[Tensor, "b wave reim c"]:
    """The coefficients of fields (batch, *grid, channel): waves k_1 = 0..modes_1, the other k_i
    = -modes_i..modes_i, in their order, of the transform that divides by the number of points.

    >>> y = torch.arange(8) / 8
    >>> z = coefficients((3 + torch.cos(2 * math.pi * y))[None, :, None], [1])
    >>> z[0, :, 0, 0]                                                       # real parts, k = 0, 1
    tensor([3.0000, 0.5000])
    """
    shape = h.shape[1:-1]
    return others(along(h, half(shape[0], modes[0], h.dtype, h.device), 1), modes, shape)


def others(
    z: Float[Tensor, "b ..."], modes: Sequence[int], shape: Sequence[int]
) -> Float[Tensor, "b wave reim c"]:
    """`coefficients` of what has been transformed along the first axis by `half`."""
    b, lead, kind = len(z), modes[0] + 1, (z.dtype, z.device)
    for axis in range(1, len(shape)):
        z = z.reshape(b, lead, 2 * shape[axis], -1)  # wave, re/im and point, the rest
        z = along(z, _whole(shape[axis], modes[axis], *kind), 2)
        lead *= 2 * modes[axis] + 1
    return z.reshape(b, lead, 2, -1)


def fields(
    z: Float[Tensor, "b wave reim c"],
    modes: Sequence[int],
    shape: Sequence[int],
) -> Float[Tensor, "b ... c"]:
    """The real fields (batch, *shape, channel) of `coefficients`.

    >>> h = torch.randn(2, 7, 9, 3)
    >>> torch.allclose(fields(coefficients(h, [3, 4]), [3, 4], (7, 9)), h, atol=1e-5)
    True
    """
    rows = others_back(z, modes, shape)
    back = half_back(shape[0], modes[0], z.dtype, z.device)
    return along(rows, back, 1).reshape(len(z), *shape, z.shape[-1])


def others_back(
    z: Float[Tensor, "b wave reim c"], modes: Sequence[int], shape: Sequence[int]
) -> Float[Tensor, "b k rest"]:
    """Fields along all axes but the first, where they still are waves, for `half_back`."""
    b, lead, kind = len(z), z.shape[1], (z.dtype, z.device)
    for axis in range(len(shape) - 1, 0, -1):
        lead //= 2 * modes[axis] + 1
        z = z.reshape(b, lead, 2 * (2 * modes[axis] + 1), -1)
        z = along(z, _whole_back(shape[axis], modes[axis], *kind), 2)
    return z.reshape(b, 2 * (modes[0] + 1), -1)


def constant(
    modes: Sequence[int], dtype: torch.dtype, device: torch.device
) -> Float[Tensor, "wave reim channel"]:
    """The coefficients of the field 1, with one channel.

    >>> constant([1], torch.float32, torch.device("cpu"))[..., 0]
    tensor([[1., 0.],
            [0., 0.]])
    """
    return _constant(tuple(modes), dtype, device)


def _waves(n: int, first: int, last: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """cos and sin (k, n) of the waves k = first..last at n points, float64."""
    k = torch.arange(first, last + 1, dtype=torch.float64, device=device)
    points = torch.arange(n, dtype=torch.float64, device=device)
    phase = 2 * math.pi / n * torch.outer(k, points)
    return phase.cos(), phase.sin()


@remembered
def half(n: int, modes: int, device: torch.device) -> Tensor:
    """(k re/im, n): real points to the waves k = 0..modes."""
    cos, sin = _waves(n, 0, modes, device)
    return torch.stack([cos, -sin], 1).flatten(0, 1) / n


@remembered
def _whole(n: int, modes: int, device: torch.device) -> Tensor:
    """(k re/im, re/im n): complex points to the waves k = -modes..modes."""
    cos, sin = _waves(n, -modes, modes, device)
    turn = torch.stack([torch.stack([cos, sin], 1), torch.stack([-sin, cos], 1)], 1)
    return turn.flatten(2).flatten(0, 1) / n


@remembered
def _whole_back(n: int, modes: int, device: torch.device) -> Tensor:
    """(re/im n, k re/im): the waves k = -modes..modes at complex points, `_whole` conjugated."""
    return n * _whole(n, modes, torch.float64, device).T.contiguous()


@remembered
def half_back(n: int, modes: int, device: torch.device) -> Tensor:
    """(n, k re/im): a real field at its points from its waves k >= 0, each twice but the first."""
    cos, sin = _waves(n, 0, modes, device)
    count = torch.full((modes + 1, 1), 2.0, dtype=torch.float64, device=device)
    count[0] = 1
    return torch.stack([cos * count, -sin * count], 1).flatten(0, 1).T.contiguous()


@remembered
def _constant(modes: tuple[int, ...], device: torch.device) -> Tensor:
    at = 0
    for m in modes[1:]:
        at = at * (2 * m + 1) + m
    waves = (modes[0] + 1) * math.prod(2 * m + 1 for m in modes[1:])
    one = torch.zeros(waves, 2, 1, dtype=torch.float64, device=device)
    one[at, 0] = 1
    return one
