r"""What whitens the channels of each wave: Cholesky factors of covariances averaged over shells.

The factor is triangular, so a channel is whitened given the channels before it, and its squared
diagonal is the variance that these leave. What lies below a floor is dropped.
"""

from __future__ import annotations

import torch
from torch import Tensor


def live_waves(raw: Tensor, shell: Tensor, least: float = 1e-4) -> Tensor:
    """Which waves (M,) have at least `least` of the largest variance of their shell, in a channel.

    A solver that dealiases in a box empties part of the outer shells.
    """
    power = raw.square().mean(0).unflatten(-1, (-1, 2)).mean(-1)
    number = shell[::2].expand_as(power)
    largest = power.new_zeros(len(power), int(shell.max()) + 1)
    largest = largest.scatter_reduce(1, number, power, "amax")
    return ((power > 0) & (power >= least * largest.gather(1, number))).any(0).repeat_interleave(2)


def factors(raw: Tensor, shell: Tensor, live: Tensor, floor: float) -> Tensor:
    """Cholesky factors (shell, C, C) of each shell's covariance; below the floor a row is 0."""
    count = int(shell.max()) + 1
    outer = torch.einsum("nim,njm->mij", raw, raw)[live] / len(raw)
    size = torch.bincount(shell[live], minlength=count).clamp_min(1)
    covariance = outer.new_zeros((count, *outer.shape[1:])).index_add(0, shell[live], outer)
    covariance = covariance / size[:, None, None]
    largest = covariance.diagonal(dim1=-2, dim2=-1).amax(0)  # (C,)
    factor = torch.zeros_like(covariance)
    for i in range(covariance.shape[1]):
        rest = covariance[:, i, i] - factor[:, i, :i].square().sum(-1)
        keep = rest > floor * largest[i]
        diagonal = torch.where(keep, rest, 0.0).sqrt()
        factor[:, i, i] = diagonal
        for j in range(i + 1, covariance.shape[1]):
            value = covariance[:, j, i] - (factor[:, j, :i] * factor[:, i, :i]).sum(-1)
            factor[:, j, i] = torch.where(keep, value / diagonal.clamp_min(1e-300), 0.0)
    return factor


def inverse_factors(factor: Tensor) -> Tensor:
    """The inverse of triangular factors; a dropped channel (zero diagonal) gives a zero row."""
    diagonal = factor.diagonal(dim1=-2, dim2=-1)
    safe = factor + torch.diag_embed((diagonal == 0).double())
    return torch.linalg.inv(safe) * (diagonal > 0)[..., None]
