r"""How a spectrum falls off: three laws, and what they say together of smaller scales.

log E|z|^2 over log |k| is fitted by weighted least squares with

    a + b log |k|                           a power law, as of what has no smallest scale
    a + b log(k0^2 + |k|^2)                 one that bends at k0, as Matern's
    a + b log |k| + c |k|,    c < 0         an exponential decay, as of analytic fields: what
                                            diffuses or is viscous

and beyond, the average of the three is followed, each by its Akaike weight exp(-AICc / 2): one law
alone where the points tell which it is. AICc has nothing to say of five points or fewer, which are
continued by the power law.

    Foias, Temam, Gevrey class regularity (1989), doi:10.1016/0022-1236(89)90015-3
    Burnham, Anderson, Model selection and multimodel inference (2002), doi:10.1007/b97636
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

BENDS = 48  # values of k0 that are tried, from a tenth of the last |k| to ten times it


def followed(
    x: Float[Tensor, " point"],
    y: Float[Tensor, " point"],
    weight: Float[Tensor, " point"],
    at: Float[Tensor, " other"],
) -> Float[Tensor, " other"]:
    """y = log E|z|^2 / 2 over x = log |k| (point,) at other x: the average of the three laws.

    `weight` is as many independent numbers as stand behind each point, up to a factor; at least
    two points are needed.

    >>> x = torch.arange(8.0, 17.0).double().log()
    >>> followed(x, 1 - 2 * x - 0.3 * x.exp(), torch.ones(9), x[-1:] + math.log(2))
    tensor([-15.5315], dtype=torch.float64)
    """
    laws, count = [_fit(x, y, weight, _power)], len(x)
    if count > 5:
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
