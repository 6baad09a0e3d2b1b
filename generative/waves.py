r"""The waves of a basis: which there are, where a grid keeps them, real coefficients of fields.

A half plane of integer wave numbers names every real function once, since u_{-k} = conj(u_k). Each
wave has two real coefficients, sqrt(2) Re u_k and sqrt(2) Im u_k; the constant one has its real
part alone.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.solvers import Grid


def half_plane(grid: Grid) -> Tensor:
    """The integer waves (n, axis) of one half plane, the constant first, no Nyquist waves."""
    k = torch.stack(torch.broadcast_tensors(*grid.integers()), -1)
    k = k[grid.resolved() & (grid.half_plane() > 0)]
    return torch.tensor(sorted(k.tolist(), key=lambda wave: (sum(n * n for n in wave), wave)))


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
