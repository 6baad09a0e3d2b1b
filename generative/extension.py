r"""A spectrum continued to scales that no data has shown: a power law, channel by channel.

On the last octave of shells that data resolves, a straight line is laid through log E|z|^2 of each
channel against log |k|, and followed beyond. The correlations between channels stay what they are
on that octave on average. What falls below the floor is dropped, as in a fit.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.generative.basis import Basis
from pushforward.generative.whitening import inverse_factors
from pushforward.solvers import Grid


def finer(old: Grid, new: Grid) -> list[float]:
    """How many times more points the new grid has along each axis.

    Raises ValueError unless it is a grid of the same box with at least as many points.
    """
    ratios = [m / n for n, m in zip(old.shape, new.shape, strict=False)]
    if (new.extent, new.boundary) != (old.extent, old.boundary) or min(ratios) < 1:
        raise ValueError(
            f"expected a grid of the box {old.extent}, {old.boundary}, with at least {old.shape} "
            f"points, got {new.shape} on {new.extent}, {new.boundary}; extend to more points of "
            "the same box"
        )
    return ratios


def appended(
    basis: Basis, shell: Tensor, log_k: tuple[Tensor, Tensor], floor: float
) -> dict[str, Tensor]:
    """A basis's shared tensors with new coefficients of the shells (M',) put behind the old ones.

    `log_k` are the abscissae of the power law for the old coefficients (M,) and the new (M',). A
    shell lies at their average over its coefficients, not all of which a grid's corners have.
    """
    kept = basis.mask.any(0)
    count = torch.bincount(basis.shell[kept], minlength=len(basis.factor))
    number = max(len(count), int(shell.max()) + 1 if len(shell) else 0)
    old = _average(log_k[0][kept], basis.shell[kept], number)
    at = torch.where(torch.isnan(old), _average(log_k[1], shell, number), old)
    factor = continued(basis.factor, at, count, floor)
    mask = factor.diagonal(dim1=-2, dim2=-1)[shell].T > 0
    return {
        "mean": torch.cat([basis.mean, basis.mean.new_zeros(mask.shape)], 1),
        "mask": torch.cat([basis.mask, mask], 1),
        "shell": torch.cat([basis.shell, shell]),
        "factor": factor,
        "inverse": inverse_factors(factor),
    }


def _average(values: Tensor, shell: Tensor, number: int) -> Tensor:
    """The mean of values over each shell; nan for shells without any."""
    total = values.new_zeros(number).index_add(0, shell, values)
    return total / torch.bincount(shell, minlength=number)


def continued(factor: Tensor, log_k: Tensor, count: Tensor, floor: float) -> Tensor:
    """Factors (S', C, C) for shells at log |k| (S',), the first S of which data has filled.

    `factor` (S, C, C) are the fitted ones and `count` (S,) says how many coefficients stand behind
    each; shells without any are filled as well, except for those at log |k| = -inf.

    Raises ValueError when fewer than two shells of the last octave have any variance.
    """
    known = len(factor)
    deviation = factor.square().sum(-1).sqrt()  # (S, C) at one coefficient
    filled = (count > 0) & (deviation > 0).any(1)
    last = log_k[:known][filled].max()
    octave = filled & (log_k[:known] > last - math.log(2) - 1e-9)
    if int(octave.sum()) < 2:
        raise ValueError(
            f"expected at least 2 shells with variance in the last octave of the spectrum, got "
            f"{int(octave.sum())}; fit the basis on a grid that resolves more scales"
        )
    out = torch.cat([factor, factor.new_zeros(len(log_k) - known, *factor.shape[1:])])
    empty = torch.cat([~filled, filled.new_ones(len(log_k) - known)]) & torch.isfinite(log_k)
    largest = deviation.square().amax(0)
    for i in range(factor.shape[1]):
        some = octave & (deviation[:, i] > 0)
        if int(some.sum()) < 2:
            continue
        weight = count[some].double()
        new = _line(log_k[:known][some], deviation[some, i].log(), weight, log_k[empty]).exp()
        row = (factor[some, i] / deviation[some, i, None] * weight[:, None]).sum(0)
        row = new[:, None] * row / row.square().sum().sqrt()
        row[:, i] *= row[:, i].square() > floor * largest[i]
        out[empty, i] = row
    return out


def _line(x: Tensor, y: Tensor, weight: Tensor, at: Tensor) -> Tensor:
    """The weighted least squares line through (x, y)."""
    weight = weight / weight.sum()
    middle, level = (weight * x).sum(), (weight * y).sum()
    slope = (weight * (x - middle) * (y - level)).sum() / (weight * (x - middle) ** 2).sum()
    return level + slope * (at - middle)
