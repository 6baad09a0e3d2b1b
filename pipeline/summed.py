"""Scores of sums and of samples on all draws: null splits, values, and bootstrap resamples.

All members are read once (`pushforward.sums`). Where the reference is a part of the pool, its
members count there, for the splits as for the reference's own draws.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from pushforward.blocks import Map, one_thread
from pushforward.draws import Draws
from pushforward.members import Members
from pushforward.scores import SampleScore, Score
from pushforward.solvers import Grid
from pushforward.sums import Recipe, Sums, gather
from pushforward.verdicts import Drawn, Judged
from pushforward.yardstick import Yardstick

Suite = Sequence[Score | SampleScore]


class Summed:
    """The sums of every set on its draws, and the scores that they give.

    A `reference` of None is the last members of the pool.
    """

    def __init__(
        self,
        ensembles: Mapping[str, Members],
        reference: Members | None,
        pool: Members,
        draws: Draws,
        suite: Suite,
        sticks: tuple[Yardstick, ...],
        grid: Grid,
        *,
        run: Map = map,
        told: str = "",
    ) -> None:
        self.draws, self.suite, self.sticks, self.run = draws, suite, sticks, run
        self.count = len(draws.splits[0])
        weights = list(draws.splits)
        if reference is None:
            before = len(pool) - draws.reference.shape[1]
            weights.append(torch.nn.functional.pad(draws.reference, (before, 0)))
        sets = [(name, members, draws.ensembles[name]) for name, members in ensembles.items()]
        if reference is not None:
            sets.append(("the reference", reference, draws.reference))
        sets.append(("the pool", pool, torch.cat(weights)))
        recipe = Recipe.of(suite, sticks, grid)
        *found, self.pool = gather(sets, recipe, run=run, told=told)
        self.ensembles = dict(zip(ensembles, found, strict=False))
        self.reference = self._last(draws.reference.shape[1]) if reference is None else found[-1]

    def _last(self, size: int) -> Sums:
        """The reference's sums, out of the pool's."""
        rows = {key: sums[2 * self.count :] for key, sums in self.pool.rows.items()}
        return Sums(rows, {key: values[-size:] for key, values in self.pool.features.items()})

    def scores(self) -> Iterator[Judged]:
        """Every score of sums."""
        n = self.count
        for score in self.suite:
            if not isinstance(score, Score):
                continue
            name = score.statistic.name
            for key, null in self.pool.rows.items():
                if key[0] != name:
                    continue
                stick = self.sticks if key[1] is None else self.sticks[key[1]]
                solver = self.reference.rows[key]
                values = [score(own.rows[key], solver, stick) for own in self.ensembles.values()]
                yield score.name, key[1], Drawn(score(null[:n], null[n : 2 * n], stick), values)

    def samples(self, few: Draws) -> Iterator[Judged]:
        """Every score of samples; `few` are the draws of those that are limited."""
        calls, places = [], []
        for score in self.suite:
            if not isinstance(score, SampleScore):
                continue
            draws = few if score.limited else self.draws
            for v in self._variables(score):
                pool, reference, *own = (
                    self._features(sums, score.name, v)
                    for sums in (self.pool, self.reference, *self.ensembles.values())
                )
                calls.append((score.of, _few(pool, draws.splits[0]), *draws.splits))
                for x, (name, a) in zip(own, draws.ensembles.items(), strict=True):
                    both = torch.cat([_few(x, a), _few(reference, a)])
                    calls.append((score.of, both, *draws.pair(name)))
                places.append((score.name, v))
        if not calls:
            return
        found = iter(self.run(sample_values, *zip(*calls, strict=True)))
        for name, v in places:
            null = next(found)
            yield name, v, Drawn(null, [next(found) for _ in self.ensembles])

    def _variables(self, score: SampleScore) -> list[int | None]:
        """The variables that have features, and all together where there are several."""
        keys: list[int | None] = [v for name, v in self.pool.features if name == score.name]
        return keys if len(keys) < 2 else [*keys, None]

    def _features(self, sums: Sums, name: str, v: int | None) -> Tensor:
        if (name, v) in sums.features:
            return sums.features[name, v]
        return torch.cat([x for key, x in sums.features.items() if key[0] == name], 1)


def sample_values(
    of: Callable[[Tensor, Tensor, Tensor], Tensor], features: Tensor, a: Tensor, b: Tensor
) -> Tensor:
    """A sample score of features (member, d) on draws (draw, member), on one thread."""
    with one_thread():
        return of(features, a.double(), b.double()).double()


def _few(features: Tensor, weights: Tensor) -> Tensor:
    """The features of the first members, as many as have weights."""
    return features[: weights.shape[1]]
