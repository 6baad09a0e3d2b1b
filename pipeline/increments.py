r"""Structure functions: the moments of differences between points, scale by scale.

With delta_r u(x) = u(x + r e) - u(x) along each axis e, at r = 1, 2, 4, ... points (up to half of
the box, or between walls all of it, where only pairs inside count), means over points and members:

    S_p(r) = <|delta_r u|^p>, p = 2, 3, 4, 6        T_p(r) = <(delta_r v)^p>, p = 2, 3 (signed)

v is u itself; where u is a vorticity on a plane, v is the velocity's component along e, whose
third moment is what Kolmogorov's law ties to the flux of energy: it vanishes for any field with
random phases, whatever its spectrum. S_2 alone is the spectrum again; the higher orders see how
rare and how strong differences are, and where in scale.

    structure_functions  sqrt(mean over e, r, p of log10(S_p,a / S_p,b)^2), dex
    increment_flatness   sqrt(mean over e, r of log10(F_a / F_b)^2), F = S_4 / S_2^2, dex: shapes
                         alone
    increment_skewness   sqrt(mean over e, r of (K_a - K_b)^2), K = T_3 / T_2^1.5

    Kolmogorov, Dokl. Akad. Nauk SSSR 32 (1941), reprinted doi:10.1098/rspa.1991.0076
    Frisch, Turbulence (1995), chapters 5 to 8, doi:10.1017/CBO9781139170666
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.scores import Score, Statistic
from pushforward.solvers import Grid, velocity
from pushforward.yardstick import Yardstick

ORDERS = (2, 3, 4, 6)
COLUMNS = len(ORDERS) + 2  # and T_2, T_3
TINY = 1e-300  # what a field without any differences is counted as


def separations(points: int, periodic: bool = True) -> list[int]:
    """The distances, in points, at which differences are taken along an axis.

    >>> separations(12), separations(12, periodic=False)
    ([1, 2, 4], [1, 2, 4, 8])
    """
    largest = points // 2 if periodic else points - 1
    return [2**i for i in range(largest.bit_length())]


def difference(u: Tensor, axis: int, r: int, periodic: bool = True) -> Tensor:
    """u(x + r e) - u(x) along a grid axis counted from the end; between walls inner pairs only.

    >>> difference(torch.tensor([0.0, 1.0, 3.0, 7.0]), -1, 1).tolist()
    [1.0, 2.0, 4.0, -7.0]
    >>> difference(torch.tensor([0.0, 1.0, 3.0, 7.0]), -1, 1, periodic=False).tolist()
    [1.0, 2.0, 4.0]
    """
    if periodic:
        return u.roll(-r, axis) - u
    n = u.shape[axis]
    return u.narrow(axis, r, n - r) - u.narrow(axis, 0, n - r)


def structure_functions(
    u: Float[Tensor, "member ..."], grid: Grid, along: Tensor | None = None
) -> Float[Tensor, "member pair moment"]:
    """S_2, S_3, S_4, S_6, T_2, T_3 of fields (member, *grid) at every axis and distance.

    `along` (member, axis, *grid) is what T is taken of along each axis, u itself by default.

    >>> x = Grid((16,)).coordinates()[0]        # differences of a sine: mean square 1 - cos r
    >>> structure_functions(torch.sin(x)[None], Grid((16,)))[0, -1, 0].item()
    2.0
    """
    rows = []
    for i, (axis, n) in enumerate(zip(grid.axes, grid.shape, strict=True)):
        for r in separations(n, grid.periodic):
            d = difference(u, axis, r, grid.periodic).flatten(1)
            d2 = d.square()
            size = d2 * d2
            moments = [d2, d2 * d.abs(), size, size * d2]
            if along is not None:
                d = difference(along[:, i], axis, r, grid.periodic).flatten(1)
                d2 = d.square()
            rows.append(torch.stack([m.mean(1) for m in (*moments, d2, d2 * d)], 1))
    return torch.stack(rows, 1)


def moments_of_increments(
    z: Float[Tensor, "member ..."], yardstick: Yardstick
) -> Float[Tensor, "member feature"]:
    """`structure_functions` of standardised members (member, *grid), T of a vorticity's velocity.

    >>> stick = Yardstick.fit(torch.randn(4, 8, 8), Grid((8, 8)), energy=True)
    >>> moments_of_increments(torch.randn(2, 8, 8).double(), stick).shape   # 2 axes, 3 distances
    torch.Size([2, 36])
    """
    along = velocity(z, yardstick.grid).flip(1) if yardstick.energy else None
    return structure_functions(z, yardstick.grid, along).flatten(1)  # (u, v) on axes (y, x)


def _rows(fields: Tensor, yardstick: Yardstick) -> Tensor:
    return moments_of_increments(yardstick.standardise(fields), yardstick)


def _pairs(m: Tensor) -> Tensor:
    return m.unflatten(-1, (-1, COLUMNS))


def _structure_functions(a: Tensor, b: Tensor, yardstick: Yardstick) -> Tensor:
    a, b = (_pairs(m)[..., : len(ORDERS)].clamp_min(TINY) for m in (a, b))
    return (a / b).log10().square().mean((-2, -1)).sqrt()


def _flatness(m: Tensor) -> Tensor:
    m = _pairs(m).clamp_min(TINY)
    return m[..., ORDERS.index(4)] / m[..., ORDERS.index(2)].square().clamp_min(TINY)


def _increment_flatness(a: Tensor, b: Tensor, yardstick: Yardstick) -> Tensor:
    ratio = _flatness(a).clamp_min(TINY) / _flatness(b).clamp_min(TINY)
    return ratio.log10().square().mean(-1).sqrt()


def _skewness(m: Tensor) -> Tensor:
    m = _pairs(m)
    return m[..., -1] / m[..., -2].clamp_min(TINY**0.5) ** 1.5


def _increment_skewness(a: Tensor, b: Tensor, yardstick: Yardstick) -> Tensor:
    return (_skewness(a) - _skewness(b)).square().mean(-1).sqrt()


INCREMENTS = Statistic("increments", _rows)
SCORES = (
    Score("structure_functions", "Structure functions", "dex", INCREMENTS, _structure_functions),
    Score("increment_flatness", "Increment flatness", "dex", INCREMENTS, _increment_flatness),
    Score("increment_skewness", "Increment skewness", "", INCREMENTS, _increment_skewness),
)
