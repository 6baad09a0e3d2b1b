r"""A spectrum continued to scales that no data has shown, channel by channel.

On the last octave of shells that data fills, three laws of log E|z|^2 are fitted to each channel:

    a + b log |k|                           a power law, as of what has no smallest scale
    a + b log(k0^2 + |k|^2)                 one that bends at k0, as Matern's
    a + b log |k| + c |k|,    c < 0         an exponential decay, as of analytic fields: what
                                            diffuses or is viscous

and their average is followed beyond, each by its Akaike weight, exp(-AICc / 2): one law alone
where the octave tells which it is. The correlations between channels stay what they are on that
octave on average. What falls below the floor is dropped, as in a fit, and a channel that ends
before the octave does is not continued.

The corners of a grid hold parts of shells beyond the last whole one. They are not fitted: a
spectrum in a box need not be isotropic, and its diagonals may decay later than its axes. Where the
known part of such a shell lies above the shell's continued variance v, the waves that it lacks get
what is left of v, and at least v times v over the known part's. Where axes are resolved unequally,
most shells are known in part alone, and all are fitted as if whole.

    Foias, Temam, Gevrey class regularity (1989), doi:10.1016/0022-1236(89)90015-3
    Burnham, Anderson, Model selection and multimodel inference (2002), doi:10.1007/b97636
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from pushforward.generative.basis import Basis
from pushforward.generative.whitening import inverse_factors
from pushforward.solvers import Grid

BENDS = 48  # values of k0 that are tried, from a tenth of the octave's end to ten times it


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

    Raises ValueError when fewer than two whole shells of the last octave have any variance.
    """
    known = len(factor)
    out = factor.new_zeros(len(log_k), *factor.shape[1:])
    new = (added > 0) & torch.isfinite(log_k)
    if not new.any():
        return out
    deviation = factor.square().sum(-1).sqrt()  # (S, C) at one coefficient
    own = factor.diagonal(dim1=-2, dim2=-1) > 0
    whole = (count[:known] > 0) & own.any(1) & torch.isfinite(log_k[:known])
    if even:
        whole &= added[:known] == 0
    last = log_k[:known][whole].max() if whole.any() else -math.inf
    octave = whole & (log_k[:known] > last - math.log(2) - 1e-9)
    if int(octave.sum()) < 2:
        raise ValueError(
            f"expected at least 2 shells with variance in the last octave of the spectrum, got "
            f"{int(octave.sum())}; fit the basis on a grid that resolves more scales"
        )
    beside = torch.cat([deviation, deviation.new_zeros(len(log_k) - known, factor.shape[1])])
    share = count / (count + added).clamp_min(1)
    end = octave & (log_k[:known] >= last)
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


def _rest(level: Tensor, known: Tensor, share: Tensor) -> Tensor:
    """Deviations of what shells lack of theirs, where a share of their coefficients is known."""
    left = (level.square() - share * known.square()).clamp_min(0) / (1 - share)
    least = level.square() * (level / known).square()
    return torch.where(known > level, torch.maximum(left, least).sqrt(), level)


def followed(x: Tensor, y: Tensor, weight: Tensor, at: Tensor) -> Tensor:
    """y over x = log |k| at other x: the average of three laws, fitted by weighted least squares.

    >>> x = torch.arange(8.0, 17.0).double().log()
    >>> followed(x, 1 - 2 * x - 0.3 * x.exp(), torch.ones(9), x[-1:] + math.log(2))
    tensor([-15.5315], dtype=torch.float64)
    """
    laws, count = [_fit(x, y, weight, _power)], len(x)
    if count > 5:  # or AICc has nothing to say of four numbers
        largest = x.max().exp()
        bends = largest * torch.logspace(-1, 1, BENDS, dtype=x.dtype, device=x.device)
        bent = [_fit(x, y, weight, partial(_bent, k0=k0)) for k0 in bends]
        steep = _fit(x, y, weight, partial(_steep, largest=largest))
        laws += [one for one in (min(bent, key=lambda fit: fit.left), steep) if one.falls]
    rounding = 1e-24 * float((weight.to(x) * (y - y.mean()).square()).sum())
    scores = []
    for numbers, law in zip((3, 4, 4), laws, strict=False):  # of the error's size, too
        scores.append(count * math.log(max(law.left, rounding, 1e-300)) + 2 * numbers)
        if len(laws) > 1:
            scores[-1] += 2 * numbers * (numbers + 1) / (count - numbers - 1)
    shares = torch.softmax(-0.5 * torch.tensor(scores, dtype=at.dtype, device=at.device), 0)
    return torch.stack([law.at(at) for law in laws], -1) @ shares


@dataclass(frozen=True)
class _Fit:
    """Coefficients of some columns in log |k|, and the weighted sum of squares that they leave."""

    columns: Callable[[Tensor], Tensor]
    coefficients: Tensor
    left: float

    def at(self, x: Tensor) -> Tensor:
        return self.columns(x) @ self.coefficients

    @property
    def falls(self) -> bool:
        """Whether the last column counts downwards."""
        return float(self.coefficients[-1]) < 0


def _fit(x: Tensor, y: Tensor, weight: Tensor, columns: Callable[[Tensor], Tensor]) -> _Fit:
    root = weight.to(x).sqrt()[:, None]
    found = torch.linalg.lstsq(root * columns(x), root * y[:, None]).solution[:, 0]
    return _Fit(columns, found, float((weight.to(x) * (y - columns(x) @ found).square()).sum()))


def _power(x: Tensor) -> Tensor:
    return torch.stack([torch.ones_like(x), x], -1)


def _bent(x: Tensor, k0: Tensor) -> Tensor:
    return torch.stack([torch.ones_like(x), torch.log1p((x.exp() / k0).square())], -1)


def _steep(x: Tensor, largest: Tensor) -> Tensor:
    return torch.stack([torch.ones_like(x), x, x.exp() / largest], -1)
