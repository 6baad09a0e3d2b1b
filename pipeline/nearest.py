r"""Memorisation: how near every member lies to the nearest training member.

On translation-invariant data any shift of a training member on the periodic grid counts as that
member, through the cross-correlation, one inverse FFT a pair:

    d^2(u, v) = min_s |u - v(. - s)|^2 = |u|^2 + |v|^2 - 2 max_s (u * v)(s).

A coarse grid, which holds the energetic scales, proposes candidates and the full grid decides.
Training members are read in blocks, twice: once for proposals, of which every member keeps the
best eight, and once for the decision. So the training set may be of any size.

    memorisation     the mean distance of generated members over that of solver members that were
                     not trained on: 1 for fresh members, near 0 for copies, whatever their shift
    closest_members  the same of geometric means, no distance counted beyond the median of the
                     solver's members: a copy among members that lie too far away, which make up
                     for it above, is orders of magnitude here
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.distances import gram
from pushforward.members import Members
from pushforward.solvers import Grid
from pushforward.threads import one_thread
from pushforward.yardstick import BLOCK, Yardstick, blocks

COARSE = {1: 64, 2: 16, 3: 8}  # points an axis on which candidates are looked for
CANDIDATES = 8
HELD = 2**25  # numbers of members whose neighbours are looked for at once
READ = 2**24  # numbers of training members read at once


def distances(
    members: Members,
    training: Members,
    sticks: Sequence[Yardstick],
    grid: Grid,
    translations: bool,
) -> dict[int | None, Float[Tensor, " member"]]:
    """Every standardised member's distance to the nearest training member, by variable.

    The number of the variable is None for all together, where there are several.
    """
    alone: list[list[int]] = [[v] for v in range(len(sticks))]
    chosen = [*alone, *([[*range(len(sticks))]] if len(sticks) > 1 else [])]
    found: dict[int | None, Tensor] = {}
    with one_thread():
        for variables in chosen:
            size = max(1, HELD // (grid.size * len(variables)))
            theirs = _standardised(training, sticks, variables)
            parts = [
                nearest(part.read(0, part.count), theirs, grid, translations)
                for _, part in _standardised(members, sticks, variables).blocks(size)
            ]
            found[variables[0] if len(variables) == 1 else None] = torch.cat(parts)
    return found


def nearest(
    fields: Float[Tensor, "member variable ..."],
    training: Tensor | Members,
    grid: Grid,
    translations: bool = True,
) -> Float[Tensor, " member"]:
    """Every member's root mean square distance to the nearest training member, float64.

    With `translations` any periodic shift of a training member counts as that member; between
    walls there are none.

    >>> u = torch.randn(4, 1, 16, 16)
    >>> nearest(u[:2].roll(5, -1), u, Grid((16, 16))).max().item() < 1e-3
    True
    """
    training = Members.of(training)
    size = max(1, READ // fields[0].numel())
    own = _sizes(fields)
    if translations and grid.periodic:
        which = _candidates(fields, training, grid, own, size)
        best = _decided(fields, training, grid, own, which, size)
    else:
        best = torch.full_like(own, torch.inf)
        for _, part in training.blocks(size):
            v = part.read(0, part.count)
            d2 = own[:, None] + _sizes(v)[None, :] - 2 * gram(fields, v)
            best = torch.minimum(best, d2.amin(1))
    return (best.clamp_min(0) / fields[0].numel()).sqrt()


class _Standard:
    """A reader of chosen variables, standardised, float32."""

    def __init__(self, members: Members, sticks: Sequence[Yardstick], variables: list[int]):
        self.members, self.variables = members, variables
        self.sticks = [sticks[v] for v in variables]

    def __call__(self, start: int, stop: int) -> Tensor:
        fields = self.members.read(start, stop)[:, self.variables]
        return torch.cat([self._of(block) for block in blocks(fields)])

    def _of(self, fields: Tensor) -> Tensor:
        parts = [stick.standardise(fields[:, i]).float() for i, stick in enumerate(self.sticks)]
        return torch.stack(parts, 1)


def _standardised(members: Members, sticks: Sequence[Yardstick], variables: list[int]) -> Members:
    return Members(members.count, _Standard(members, sticks, variables))


def _sizes(fields: Tensor) -> Tensor:
    return torch.cat([part.double().square().flatten(1).sum(1) for part in blocks(fields)])


def _candidates(fields: Tensor, training: Members, grid: Grid, own: Tensor, size: int) -> Tensor:
    """The numbers of the training members that are nearest on a coarse grid."""
    coarse = replace(grid, shape=tuple(min(n, COARSE[grid.ndim]) for n in grid.shape))

    def restricted(x: Tensor) -> Tensor:
        parts = [coarse.fft(grid.resample(part.float(), coarse)) for part in blocks(x)]
        return torch.cat(parts)

    u = restricted(fields)
    pairs = max(1, BLOCK // (u[0].numel() + coarse.size))
    d2 = own.new_empty(len(u), 0)
    which = torch.empty(len(u), 0, dtype=torch.int64)
    for first, part in training.blocks(size):
        v_full = part.read(0, part.count)
        v, theirs = restricted(v_full), _sizes(v_full)
        near = torch.empty(len(u), len(v))
        rows, columns = max(1, pairs // len(v)), min(len(v), pairs)
        for i, j in product(range(0, len(u), rows), range(0, len(v), columns)):
            cross = (u[i : i + rows, None].conj() * v[None, j : j + columns]).sum(2)
            near[i : i + rows, j : j + columns] = coarse.ifft(cross).flatten(2).amax(2)
        d2 = torch.cat([d2, own[:, None] + theirs[None, :] - 2 * grid.size * near.double()], 1)
        number = torch.arange(first, first + len(v)).expand(len(u), -1)
        which = torch.cat([which, number], 1)
        d2, at = d2.topk(min(CANDIDATES, d2.shape[1]), dim=1, largest=False)
        which = which.gather(1, at)
    return which


def _decided(
    fields: Tensor, training: Members, grid: Grid, own: Tensor, which: Tensor, size: int
) -> Tensor:
    """The smallest squared distance to a candidate over all shifts of the full grid."""
    best = torch.full_like(own, torch.inf)
    step = max(1, BLOCK // (fields[0].numel() * 4))
    for first, part in training.blocks(size):
        member, place = ((which >= first) & (which < first + len(part))).nonzero(as_tuple=True)
        if not len(member):
            continue
        v_full = part.read(0, part.count)
        theirs, number = _sizes(v_full), which[member, place] - first
        for i in range(0, len(member), step):
            m, n = member[i : i + step], number[i : i + step]
            u_hat, v_hat = (grid.fft(x.double()) for x in (fields[m], v_full[n]))
            lag = grid.ifft((u_hat.conj() * v_hat).sum(1)).flatten(1).amax(1)
            d2 = own[m] + theirs[n] - 2 * grid.size * lag
            best.scatter_reduce_(0, m, d2, "amin")
    return best
