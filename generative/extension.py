"""A spectrum continued to scales that no data has shown.

The last octave of shells that data fills is followed beyond, channel by channel, as `decay` fits
it. The correlations between channels stay what they are on that octave on average. What falls
below the floor is dropped, as in a fit, and a channel that ends before the octave does is not
continued.

The corners of a grid hold parts of shells beyond the last whole one. They are not fitted: a
spectrum in a box need not be isotropic, and its diagonals may decay later than its axes. Where the
known part of such a shell lies above the shell's continued variance v, the waves that it lacks get
what is left of v, and at least v times v over the known part's. Where axes are resolved unequally,
most shells are known in part alone, and fewer than `FEW` whole ones say too little: then all are
fitted as if whole.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.generative.basis import Basis
from pushforward.generative.decay import followed
from pushforward.generative.whitening import inverse_factors
from pushforward.solvers import Grid

FEW = 6  # shells of an octave that can tell one law from another


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


def unextended(basis: Basis, shell: Tensor) -> None:
    """Refuses a basis whose coefficients are not in the shells (M,) where a fit puts them."""
    if not torch.equal(basis.shell, shell):
        raise ValueError(
            "expected a basis as it was fitted to data, got one that was extended; extend the "
            "fitted one to the grid that is wanted"
        )


def appended(
    basis: Basis, shell: Tensor, k: tuple[Tensor, Tensor], floor: float
) -> dict[str, Tensor]:
    """A basis's shared tensors with new coefficients of the shells (M',) put behind the old ones.

    `k` are the abscissae of the fit for the old coefficients (M,) and the new (M',). What is new
    in a shell that is filled in part has a factor of its own, behind those of all shells.
    """
    kept, known = basis.mask.any(0), len(basis.factor)
    number = max(known, int(shell.max()) + 1 if len(shell) else 0)
    count = torch.bincount(basis.shell[kept], minlength=number)
    added = torch.bincount(shell, minlength=number)
    total = count.new_zeros(number).to(k[1])
    total.index_add_(0, basis.shell[kept], k[0][kept].log())
    total.index_add_(0, shell, k[1].log())
    at = total / (count + added)
    even = math.isclose(max(basis.grid.spacing), min(basis.grid.spacing))
    fresh = continued(basis.factor, at, count, added, floor, even)
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


def continued(
    factor: Tensor, log_k: Tensor, count: Tensor, added: Tensor, floor: float, even: bool = True
) -> Tensor:
    """Factors (S', C, C) of what is new in shells at log |k| (S',); 0 where nothing is.

    `factor` (S, C, C), S <= S', are the fitted ones; of (S',) coefficients, `count` stand behind
    each and `added` are new. `even`: shells known in part are so in their corners.

    Raises ValueError when fewer than two shells of the last octave have any variance.
    """
    known = len(factor)
    out = factor.new_zeros(len(log_k), *factor.shape[1:])
    new = (added > 0) & torch.isfinite(log_k)
    if not new.any():
        return out
    deviation = factor.square().sum(-1).sqrt()  # (S, C) at one coefficient
    own = factor.diagonal(dim1=-2, dim2=-1) > 0
    filled = (count[:known] > 0) & own.any(1) & torch.isfinite(log_k[:known])
    octave = _last(filled & (added[:known] == 0), log_k[:known])
    if not even or int(octave.sum()) < FEW:
        even, octave = False, _last(filled, log_k[:known])
    if int(octave.sum()) < 2:
        raise ValueError(
            f"expected at least 2 shells with variance in the last octave of the spectrum, got "
            f"{int(octave.sum())}; fit the basis on a grid that resolves more scales"
        )
    beside = torch.cat([deviation, deviation.new_zeros(len(log_k) - known, factor.shape[1])])
    share = count / (count + added).clamp_min(1)
    end = octave & (log_k[:known] == log_k[:known][octave].max())
    for i, largest in enumerate(deviation.square().amax(0)):
        some = octave & own[:, i]
        if int(some.sum()) < 2 or not own[end, i].all():
            continue
        weight = count[:known][some].double()
        seen = log_k[:known][some], deviation[some, i].double().log()
        level = followed(*seen, weight, log_k[new]).exp()
        if even:
            level = _rest(level, beside[new, i].double(), share[new])
        row = (factor[some, i] / deviation[some, i, None] * weight[:, None]).sum(0)
        row = level[:, None] * row / row.square().sum().sqrt()
        row[:, i] *= row[:, i].square() > floor * largest
        out[new, i] = row.to(out)
    return out


def _last(shells: Tensor, log_k: Tensor) -> Tensor:
    """Those of some shells that lie in their last octave."""
    if not shells.any():
        return shells
    return shells & (log_k > log_k[shells].max() - math.log(2) - 1e-9)


def _rest(level: Tensor, known: Tensor, share: Tensor) -> Tensor:
    """Deviations of what shells lack of theirs, where a share of their coefficients is known."""
    left = (level.square() - share * known.square()).clamp_min(0) / (1 - share)
    least = level.square() * (level / known).square()
    return torch.where(known > level, torch.maximum(left, least).sqrt(), level)
