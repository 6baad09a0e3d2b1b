r"""Sliced Wasserstein distance: the mean over fixed directions of one-dimensional distances.

Members are points c in the space of whitened POD coefficients (`pushforward.pod`), where every
mode counts as much as the strongest; between raw pixels the largest scales alone would decide.
Along unit vectors theta_1, ..., theta_512, the same ones in every evaluation,

    sliced_w1 = mean_i int |F_a,i(t) - F_b,i(t)| dt,

F_i(t) the share of members with theta_i . c <= t, in units of the solver's standard deviation
along a direction. Members counted by whole numbers have whole cumulated counts; a common multiple
of the two sizes makes the difference of the shares whole, too, so no rounding stands between two
draws. Every direction is sorted once for all draws.

    Bonneel et al., J. Math. Imaging Vis. 51 (2015), doi:10.1007/s10851-014-0506-3
    Grossi et al., Refereeing the referees (2024), arXiv:2409.16336
"""

from __future__ import annotations

import math
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.scores import SampleScore
from pushforward.solvers import Use, normals
from pushforward.yardstick import Yardstick

DIRECTIONS = 512
SEED = 20_240_916  # of the directions, here and everywhere
CHUNK = 2**24  # numbers worked on at once


@cache
def directions(modes: int, count: int = DIRECTIONS) -> Float[Tensor, "mode direction"]:
    """Unit vectors, columns, uniform on the sphere and the same for ever, float64.

    >>> v = directions(3)
    >>> v.shape, round(v[:, 7].norm().item(), 9)
    (torch.Size([3, 512]), 1.0)
    """
    z = normals(SEED, Use.SCORE, range(count), [torch.arange(modes)]).real
    return (z / z.norm(dim=1, keepdim=True)).T.contiguous()


def wasserstein(
    values: Float[Tensor, "member line"],
    a: Float[Tensor, "draw member"],
    b: Float[Tensor, "draw member"],
) -> Float[Tensor, "draw line"]:
    """Wasserstein-1 between members counted by a and by b, along every column of values.

    Counts are whole numbers, at least one on either side of a draw.

    >>> x = torch.tensor([[0.0], [1.0], [5.0]])
    >>> wasserstein(x, torch.tensor([[1.0, 1, 0]]), torch.tensor([[0.0, 0, 2]])).item()
    4.5
    """
    used = ((a > 0) | (b > 0)).any(0)
    values, a, b = values[used].double(), a[:, used].double(), b[:, used].double()
    totals = [w.sum(1, keepdim=True) for w in (a, b)]
    common = math.lcm(*(int(n) for w in totals for n in w.flatten().unique().tolist()))
    exact = common < 2**24  # whole numbers that single precision holds
    counts = (a * (common / totals[0]) - b * (common / totals[1])).T.contiguous()
    counts = counts.float() if exact else counts
    ordered, order = values.sort(0)
    gaps = ordered.diff(dim=0).to(counts.dtype)
    out = torch.empty(len(a), values.shape[1], dtype=torch.float64)
    step = max(1, CHUNK // max(1, len(values)))
    for i in range(0, len(a), step):
        part = counts[:, i : i + step]
        for line in range(values.shape[1]):
            gap = part[order[:-1, line]].cumsum(0).abs_()
            out[i : i + step, line] = (gaps[:, line] @ gap).double() / common
    return out


def sliced_distance(
    c: Float[Tensor, "member mode"],
    a: Float[Tensor, "draw member"],
    b: Float[Tensor, "draw member"],
) -> Float[Tensor, " draw"]:
    """The mean over all directions of the distance along them.

    >>> c = torch.randn(8, 3).double()
    >>> a = torch.tensor([[1.0] * 4 + [0] * 4])
    >>> sliced_distance(torch.cat([c[:4], c[:4]]), a, a.flip(1)).item()
    0.0
    """
    return wasserstein(c.double() @ directions(c.shape[1]), a, b).mean(1)


def coordinates(fields: Float[Tensor, "member ..."], yardstick: Yardstick) -> Tensor | None:
    """The whitened POD coefficients of members (member, *grid), or None without modes."""
    return None if yardstick.modes is None else yardstick.modes.whiten(fields)


SCORES = (SampleScore("sliced_w1", "Sliced W₁ (whitened POD)", "σ", coordinates, sliced_distance),)
