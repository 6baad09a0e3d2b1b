r"""What whitens the channels of each coefficient: Cholesky factors, one per shell.

Coefficients z of one shell share the covariance of their channels, and

    x = L^{-1} (z - m),        L L^T = E (z - m)(z - m)^T over the shell,

has unit variance. The factor is triangular, so a channel is whitened given the channels before it,
and its squared diagonal is the variance that these leave. What lies below a floor is dropped.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

ROUND_OFF = 1e-14  # relative to a channel's size: a deviation that a constant may have


def checked(fields: Tensor) -> Tensor:
    """Fields (n, C, ...) to fit a basis to, in float64.

    Raises ValueError for fewer than two of them or non-finite ones.
    """
    if len(fields) < 2 or not torch.isfinite(fields).all():
        raise ValueError(
            f"expected at least 2 finite fields to fit a basis, got {len(fields)} with "
            f"{int((~torch.isfinite(fields)).sum())} non-finite values; remove those members"
        )
    return fields.double()


def significant_mean(raw: Tensor, floor: float) -> Tensor:
    """The mean (C, M) of coefficients (n, C, M) where it is more than six standard errors from 0.

    Elsewhere 0, so that noise is not learnt as a mean.
    """
    mean = raw.mean(0)
    error = raw.std(0) / math.sqrt(len(raw))
    strong = mean.square() > floor * raw.square().mean(0).amax(-1, keepdim=True)
    return torch.where(strong & (mean.abs() > 6 * error), mean, 0.0)


def even_mean(raw: Tensor) -> Tensor:
    """The mean (C, M) of coefficients that stand side by side (n, C, M): a channel's average.

    Unless some coefficient's own mean is more than six standard errors away from that: then the
    channel has a mean that varies, and all of them are kept.
    """
    mean = raw.mean(0)
    level = mean.mean(-1, keepdim=True)
    error = (raw - raw.mean(-1, keepdim=True)).std(0) / math.sqrt(len(raw))
    varies = ((mean - level).abs() > 6 * error + 1e-12 * level.abs()).any(-1, keepdim=True)
    return torch.where(varies, mean, level)


def live_modes(power: Tensor, shell: Tensor, least: float) -> Tensor:
    """Which coefficients (M,) have at least `least` of the largest power (C, M) of their shell.

    One channel in which they do is enough.
    """
    number = shell.expand_as(power)
    largest = power.new_zeros(len(power), int(shell.max()) + 1)
    largest = largest.scatter_reduce(1, number, power, "amax")
    return ((power > 0) & (power >= least * largest.gather(1, number))).any(0)


def whitened(
    raw: Tensor, mean: Tensor, shell: Tensor, live: Tensor, floor: float, apart: bool
) -> dict[str, Tensor]:
    """The tensors that a basis whitens with: mean, shell, mask, factor and inverse.

    `apart` whitens each channel by itself.

    Raises ValueError for coefficients (n, C, M) that do not vary.
    """
    least = ROUND_OFF**2 * raw.square().sum(-1).mean(0)
    factor = factors(raw - mean, shell, live, floor, least, apart)
    mask = (factor.diagonal(dim1=-2, dim2=-1)[shell].T > 0) & live  # (C, M)
    if not mask.any():
        raise ValueError("expected fields that vary, got constant ones; check the simulation")
    inverse = inverse_factors(factor)
    return {"mean": mean, "shell": shell, "mask": mask, "factor": factor, "inverse": inverse}


def used(parts: dict[str, Tensor]) -> Tensor:
    """Which coefficients (M,) any channel keeps or has a mean in."""
    return parts["mask"].any(0) | (parts["mean"] != 0).any(0)


def columns(parts: dict[str, Tensor], which: Tensor) -> dict[str, Tensor]:
    """The tensors for some of the coefficients."""
    return {
        name: part[..., which] if name in ("mean", "mask", "shell") else part
        for name, part in parts.items()
    }


def factors(
    raw: Tensor,
    shell: Tensor,
    live: Tensor,
    floor: float,
    least: Tensor,
    apart: bool = False,
) -> Tensor:
    """Cholesky factors (shell, C, C) of each shell's covariance, or of its diagonal (`apart`).

    A row is 0 below the floor, relative to its channel's largest, or the absolute `least` (C,).
    """
    count = int(shell.max()) + 1
    outer = torch.einsum("nim,njm->mij", raw, raw)[live] / len(raw)
    size = torch.bincount(shell[live], minlength=count).clamp_min(1)
    covariance = outer.new_zeros((count, *outer.shape[1:])).index_add(0, shell[live], outer)
    covariance = covariance / size[:, None, None]
    if apart:
        covariance = torch.diag_embed(covariance.diagonal(dim1=-2, dim2=-1))
    largest = covariance.diagonal(dim1=-2, dim2=-1).amax(0)  # (C,)
    factor = torch.zeros_like(covariance)
    for i in range(covariance.shape[1]):
        rest = covariance[:, i, i] - factor[:, i, :i].square().sum(-1)
        keep = (rest > floor * largest[i]) & (rest > least[i])
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
