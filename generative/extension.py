r"""A spectrum continued to scales that no data has shown, channel by channel.

On the last octave of shells that data fills, log E|z|^2 of each channel is fitted by

    a + b log |k| + c |k|,        c <= 0:

a power law (c = 0) for what has no smallest scale, and a decay like exp(c |k|) for what is smooth,
as diffusing and viscous fields are: an analytic field has a spectrum that falls exponentially.
c is taken where the fit tells it from zero by `SURE` standard errors; else the power law alone.
The correlations between channels stay what they are on that octave on average. What falls below
the floor is dropped, as in a fit.

The corners of a grid hold parts of shells beyond the last whole one. They are not fitted: a
spectrum in a box need not be isotropic, and its diagonals may decay later than its axes. Where the
known part of such a shell lies above the shell's continued variance v, the waves that it lacks get
what is left of v, and at least v times v over the known part's.

    Foias, Temam, Gevrey class regularity (1989), doi:10.1016/0022-1236(89)90015-3
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.generative.basis import Basis
from pushforward.generative.whitening import inverse_factors
from pushforward.solvers import Grid

SURE = 4.0  # standard errors
FREE = 3  # degrees of freedom that a standard error needs to mean something


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

    `log_k` are the abscissae of the fit for the old coefficients (M,) and the new (M',). What is
    new in a shell that is filled in part has a factor of its own, behind those of all shells.
    """
    kept, known = basis.mask.any(0), len(basis.factor)
    number = max(known, int(shell.max()) + 1 if len(shell) else 0)
    count = torch.bincount(basis.shell[kept], minlength=number)
    added = torch.bincount(shell, minlength=number)
    total = count.new_zeros(number).to(log_k[1])
    total.index_add_(0, basis.shell[kept], log_k[0][kept]).index_add_(0, shell, log_k[1])
    fresh = continued(basis.factor, total / (count + added), count, added, floor)
    padded = torch.cat([basis.factor, fresh.new_zeros(fresh[known:].shape)])
    partly = (count > 0) & (added > 0)
    factor = torch.cat([torch.where((count > 0)[:, None, None], padded, fresh), fresh[partly]])
    place = torch.arange(number, device=shell.device)
    place[partly] = number + torch.arange(int(partly.sum()), device=shell.device)
    mask = factor.diagonal(dim1=-2, dim2=-1)[place[shell]].T > 0
    return {
        "mean": torch.cat([basis.mean, basis.mean.new_zeros(mask.shape)], 1),
        "mask": torch.cat([basis.mask, mask], 1),
        "shell": torch.cat([basis.shell, place[shell]]),
        "factor": factor,
        "inverse": inverse_factors(factor),
    }


def continued(factor: Tensor, log_k: Tensor, count: Tensor, added: Tensor, floor: float) -> Tensor:
    """Factors (S', C, C) of what is new in shells at log |k| (S',); 0 where nothing is.

    `factor` (S, C, C), S <= S', are the fitted ones; of (S',) coefficients, `count` stand behind
    each and `added` are new.

    Raises ValueError when fewer than two whole shells of the last octave have any variance.
    """
    known = len(factor)
    deviation = factor.square().sum(-1).sqrt()  # (S, C) at one coefficient
    filled = (count[:known] > 0) & (deviation > 0).any(1)
    whole = filled & (added[:known] == 0) & torch.isfinite(log_k[:known])
    last = log_k[:known][whole].max() if whole.any() else -math.inf
    octave = whole & (log_k[:known] > last - math.log(2) - 1e-9)
    if int(octave.sum()) < 2:
        raise ValueError(
            f"expected at least 2 shells with variance in the last octave of the spectrum, got "
            f"{int(octave.sum())}; fit the basis on a grid that resolves more scales"
        )
    out = factor.new_zeros(len(log_k), *factor.shape[1:])
    new = (added > 0) & torch.isfinite(log_k)
    beside = torch.cat([deviation, deviation.new_zeros(len(log_k) - known, factor.shape[1])])
    share = count / (count + added).clamp_min(1)
    for i, largest in enumerate(deviation.square().amax(0)):
        some = octave & (deviation[:, i] > 0)
        if int(some.sum()) < 2:
            continue
        weight = count[:known][some].double()
        level = decayed(log_k[:known][some], deviation[some, i].log(), weight, log_k[new]).exp()
        level = _rest(level, beside[new, i], share[new])
        row = (factor[some, i] / deviation[some, i, None] * weight[:, None]).sum(0)
        row = level[:, None] * row / row.square().sum().sqrt()
        row[:, i] *= row[:, i].square() > floor * largest
        out[new, i] = row
    return out


def _rest(level: Tensor, known: Tensor, share: Tensor) -> Tensor:
    """Deviations of what shells lack of theirs, where a share of their coefficients is known."""
    left = (level.square() - share * known.square()).clamp_min(0) / (1 - share)
    least = level.square() * (level / known).square()
    return torch.where(known > level, torch.maximum(left, least).sqrt(), level)


def decayed(x: Tensor, y: Tensor, weight: Tensor, at: Tensor) -> Tensor:
    """The weighted least squares fit y = a + b x + c exp(x), c <= 0, at other x.

    c = 0 where it is not sure, or there are too few points to say.

    >>> x = torch.arange(8.0, 17.0).double().log()
    >>> decayed(x, 1 - 2 * x - 0.3 * x.exp(), torch.ones(9), x[-1:] + math.log(2))
    tensor([-15.5315], dtype=torch.float64)
    """
    scale = x.max().exp()
    columns = torch.stack([torch.ones_like(x), x, x.exp() / scale], 1)
    root = weight.to(x).sqrt()[:, None]
    steep = torch.linalg.lstsq(root * columns, root * y[:, None]).solution
    left = float((weight.to(x) * (y - (columns @ steep)[:, 0]).square()).sum())
    free = len(x) - 3
    if free >= FREE and steep[2] < 0:
        spread = torch.linalg.inv((root * columns).T @ (root * columns))[2, 2]
        if steep[2].abs() > SURE * (left / free * spread).sqrt():
            return steep[0] + steep[1] * at + steep[2] * at.exp() / scale
    line = torch.linalg.lstsq(root * columns[:, :2], root * y[:, None]).solution
    return line[0] + line[1] * at
