r"""The waves of a basis: which there are, where a grid keeps them, real coefficients of fields.

A half plane of integer wave numbers names every real function once, since u_{-k} = conj(u_k). Each
wave has two real coefficients, sqrt(2) Re u_k and sqrt(2) Im u_k; the constant one has its real
part alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.solvers import Grid

BANDS = 23  # shells 0 to 8, then 14 half octaves up to 1024


def half_plane(grid: Grid) -> Tensor:
    """The integer waves (n, axis) of one half plane, the constant first, no Nyquist waves."""
    k = torch.stack(torch.broadcast_tensors(*grid.integers()), -1)
    return ordered(k[grid.resolved() & (grid.half_plane() > 0)])


def ordered(waves: Tensor) -> Tensor:
    """Integer waves (n, axis) by their length, then by their components."""
    for axis in reversed(range(waves.shape[1])):
        waves = waves[torch.argsort(waves[:, axis], stable=True)]
    return waves[torch.argsort(waves.square().sum(1), stable=True)]


def length(waves: Tensor, extent: Sequence[float]) -> Tensor:
    """|k| of integer waves in units of the lowest wave of the longest side, float64."""
    ratio = torch.tensor([max(extent) / side for side in extent], dtype=torch.float64)
    return (waves * ratio.to(waves.device)).square().sum(1).sqrt()


def band(shell: Tensor) -> Tensor:
    """Which of BANDS bands a shell belongs to: one each up to 8, then half octaves.

    >>> band(torch.tensor([0, 8, 9, 11, 12, 16, 1023, 5000])).tolist()
    [0, 8, 9, 9, 10, 11, 22, 22]
    """
    octaves = torch.log2(shell.clamp_min(8).double() / 8)
    return torch.where(shell <= 8, shell, (9 + (2 * octaves).floor().long()).clamp_max(BANDS - 1))


def beyond(waves: Tensor, new: Tensor, grid: Grid, ratios: Sequence[float]) -> Tensor:
    """Which of the waves `new` a finer grid adds to the kept `waves`, bool.

    The kept ones fill a part of what their grid resolves, bounded by a box (as dealiasing does)
    and a ball; the finer grid has the same part of what it resolves, `ratios` times larger.
    """
    box, radius = waves.abs().amax(0), length(waves, grid.extent).max()
    size = length(new, grid.extent)
    ratio = torch.tensor(ratios, dtype=torch.float64, device=waves.device)
    inside = (new.abs() <= box).all(1) & (size <= radius)
    known = (new.abs() < (box + 1) * ratio).all(1) & (size < (radius + 1) * ratio.max())
    return known & ~inside


def flat_index(waves: Tensor, grid: Grid) -> Tensor:
    """Flat positions of integer waves in a tensor of `grid.spectral_shape`."""
    flat = torch.zeros(len(waves), dtype=torch.int64, device=waves.device)
    for k, n, stride in zip(waves.T, grid.shape, grid.spectral_shape, strict=True):
        flat = flat * stride + torch.where(k < 0, k + n, k)
    return flat


def pair_weight(waves: Tensor) -> Tensor:
    """What turns u_k into an orthonormal pair: sqrt(2), or 1 for the constant wave."""
    return torch.where((waves == 0).all(1), 1.0, 2.0).double().sqrt()


def coefficients(
    fields: Tensor, grid: Grid, waves: Tensor, slot: tuple[Tensor, ...] | None = None
) -> Tensor:
    """The orthonormal real coefficients (..., M) of fields; waves beyond the grid give 0."""
    flat = grid.fft(fields).flatten(-grid.ndim)
    weight = pair_weight(waves).to(fields)
    if slot is None or len(slot[2]) == len(waves):
        z = flat[..., slot[0] if slot else flat_index(waves, grid)]
    else:
        z = flat.new_zeros((*flat.shape[:-1], len(waves)))
        z = z.index_copy(-1, slot[2], flat[..., slot[0]])
    return torch.view_as_real(z * weight).flatten(-2)


def smooth_size(least: float) -> int:
    """The smallest even number of at least 4 above `least` with no prime factor beyond 5."""
    n = max(4, 2 * math.ceil(least / 2))
    while True:
        rest = n
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return n
        n += 2
