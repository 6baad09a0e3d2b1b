"""Scores of pairs on all draws, of few members: what grows with the square must be bounded.

At most `pairs` members of a side are compared in pairs, and twice as many of the pool: the first
of each. The nearest training member is looked for from the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from pushforward import nearest
from pushforward.blocks import Map
from pushforward.distances import PAIR_SCORES, median_scales, pair_values
from pushforward.draws import Draws
from pushforward.members import Members
from pushforward.solvers import Grid
from pushforward.sums import progress
from pushforward.verdicts import Drawn, Judged
from pushforward.yardstick import Yardstick

TINY = 1e-6  # of the median distance: what counts as a copy to the bit


class Paired:
    """The first members of every set, and the scores of their pairs.

    Raises ValueError for draws that say nothing of pairs: no splits, or a resample of one member.
    """

    def __init__(
        self,
        ensembles: Mapping[str, Members],
        reference: Members,
        pool: Members,
        draws: Draws,
        sticks: Sequence[Yardstick],
        *,
        run: Map = map,
        told: str = "",
    ) -> None:
        _check(draws)
        self.size, self.draws, self.sticks = draws.size, draws, sticks
        self.ensembles = {name: members[: self.size] for name, members in ensembles.items()}
        self.reference, self.pool = reference[: self.size], pool[: draws.splits[0].shape[1]]
        self.run, self.told = run, told

    def scores(self) -> Iterator[Judged]:
        """MMDs and energy distances."""
        theirs = self.reference.then(self.pool[: self.draws.others])
        groups = [self.pool, *(own.then(theirs) for own in self.ensembles.values())]
        sides = [self.draws.splits, *(self.draws.pair(name) for name in self.ensembles)]
        scales = median_scales(self.pool, self.sticks)
        rows = [
            (members, a, b, self.sticks, scales)
            for members, (a, b) in zip(groups, sides, strict=True)
        ]
        null, *values = self._mapped(pair_values, rows, "pairs")
        for name in PAIR_SCORES:
            for key in (key for key in null if key[0] == name):
                yield *key, Drawn(null[key], [own[key] for own in values])

    def nearest(self, training: Members, grid: Grid, translations: bool) -> Iterator[Judged]:
        """Ratios of mean distances to the nearest training member: arithmetic, geometric."""
        sets = [self.pool, self.reference, *self.ensembles.values()]
        rows = [(members, training, self.sticks, grid, translations) for members in sets]
        pool, reference, *values = self._mapped(nearest.distances, rows, "nearest neighbours")
        for v in pool:
            theirs = torch.cat([reference[v], pool[v][: self.draws.others]])
            sides = [(pool[v], *self.draws.splits)]
            for name, own in zip(self.ensembles, values, strict=True):
                sides.append((torch.cat([own[v], theirs]), *self.draws.pair(name)))
            null, *drawn = (_means(a, x) / _means(b, x) for x, a, b in sides)
            yield "memorisation", v, Drawn(null, drawn)
            far = float(pool[v].median().clamp_min(1e-300))
            sides = [(x.clamp(TINY * far, far).log(), a, b) for x, a, b in sides]
            null, *drawn = (torch.exp(_means(a, x) - _means(b, x)) for x, a, b in sides)
            yield "closest_members", v, Drawn(null, drawn)

    def _mapped(self, function: Callable[..., Any], rows: list[Any], what: str) -> list[Any]:
        """The function of every row, through the map, with progress in members."""
        found, told = [], f"{self.told}, {what}" if self.told else ""
        with progress(told, sum(len(row[0]) for row in rows)) as advance:
            results = self.run(function, *zip(*rows, strict=True))
            for row, result in zip(rows, results, strict=True):
                found.append(result)
                advance(len(row[0]))
        return found


def _means(weights: Tensor, values: Tensor) -> Tensor:
    """The mean of values over the members of every draw."""
    return weights.double() @ values / weights.sum(1)


def _check(draws: Draws) -> None:
    """Refuses draws of a single member."""
    counts = torch.cat([*draws.ensembles.values(), draws.reference])
    single = int(((counts > 0).sum(1) < 2).sum())
    if single:
        raise ValueError(
            f"expected at least 2 different members in every bootstrap resample of a side's "
            f"{counts.shape[1]}, got {single} of {len(counts)} that repeat a single one; give "
            "more members (8 seldom do), raise pairs if it is lower, or set bootstrap=0"
        )
