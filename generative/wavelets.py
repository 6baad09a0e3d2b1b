r"""Haar's transform: blocks of 2^d cells to means and differences, level by level.

One step takes the 2^d cells of a block to their mean and 2^d - 1 differences by an orthonormal
matrix of signs; the means are the next coarser grid. With fields scaled by 1 / sqrt(N) the
coefficients are orthonormal in L^2(dx / V). They come coarse to fine, by orientation and by block
within a level.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def level_numbers(first: int, ndim: int, depth: int) -> Tensor:
    """The level (N,) of every coefficient, for `first` blocks on the coarsest grid."""
    sizes = [first, *(((1 << ndim) - 1) * first << ndim * level for level in range(depth))]
    return torch.arange(depth + 1).repeat_interleave(torch.tensor(sizes))


def _signs(ndim: int, like: Tensor) -> Tensor:
    """The orthonormal matrix that takes the 2^d cells of a block to mean and differences."""
    one = torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=like.dtype, device=like.device)
    out = one
    for _ in range(ndim - 1):
        out = torch.kron(out, one)
    return out * 2 ** (-ndim / 2)


def analysed(u: Tensor, ndim: int, depth: int) -> Tensor:
    """The coefficients (..., N) of fields (..., *grid), halved `depth` times.

    >>> analysed(torch.tensor([1.0, 3.0, 0.0, 0.0]), 1, 2)      # mean, halves, pairs
    tensor([ 1.0000,  1.0000, -0.7071,  0.0000])
    """
    parts, signs, scale = [], _signs(ndim, u), math.prod(u.shape[-ndim:]) ** -0.5
    for _ in range(depth):
        shape, lead = [n // 2 for n in u.shape[-ndim:]], u.ndim - ndim
        cells = u.reshape(*u.shape[:lead], *(part for n in shape for part in (n, 2)))
        halves = [lead + 2 * axis + 1 for axis in range(ndim)]
        cells = cells.permute(*range(lead), *halves, *(axis - 1 for axis in halves))
        z = signs @ cells.reshape(*u.shape[:lead], 1 << ndim, -1)
        parts.append(z[..., 1:, :].flatten(-2))
        u = z[..., 0, :].unflatten(-1, shape)
    parts.append(u.flatten(-ndim))
    return torch.cat(parts[::-1], -1) * scale


def synthesised(raw: Tensor, shape: tuple[int, ...], depth: int) -> Tensor:
    """The fields of the coefficients up to a level; `shape` is the coarsest grid's."""
    ndim, end = len(shape), math.prod(shape)
    u, lead, signs = raw[..., :end], raw.ndim - 1, _signs(ndim, raw)
    for _ in range(depth):
        start, end = end, end << ndim
        z = torch.cat([u.unsqueeze(-2), raw[..., start:end].unflatten(-1, (-1, start))], -2)
        cells = (signs.T @ z).reshape(*raw.shape[:-1], *[2] * ndim, *shape)
        mixed = [lead + part * ndim + axis for axis in range(ndim) for part in (1, 0)]
        u = cells.permute(*range(lead), *mixed).reshape(*raw.shape[:-1], -1)
        shape = tuple(2 * n for n in shape)
    return u.unflatten(-1, shape) * math.prod(shape) ** 0.5


def repeated(u: Tensor, repeats: tuple[int, ...]) -> Tensor:
    """Cells (..., *grid) repeated along each axis."""
    for axis, repeat in zip(range(-len(repeats), 0), repeats, strict=True):
        u = u.repeat_interleave(repeat, axis) if repeat > 1 else u
    return u
