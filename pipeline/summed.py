"""Scores of sums and of samples on all draws: splits, values, resamples, permutations.

All members are read once (`pushforward.sums`). Where the reference is a part of the pool, its
members count there, for the splits as for all other draws.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from pushforward.blocks import Map
from pushforward.draws import Draws
from pushforward.members import Members
from pushforward.scores import SampleScore, Score
from pushforward.solvers import Grid
from pushforward.sums import Key, Recipe, Sums, gather
from pushforward.threads import one_thread
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
        sets = [(name, members, draws.own(name)) for name, members in ensembles.items()]
        before, others = draws.theirs().tensor_split([draws.size], dim=1)
        if reference is None:
            others = torch.cat([others, before], 1)  # the reference is the last of the pool
        else:
            sets.append(("the reference", reference, before))
        sets.append(("the pool", pool, torch.cat([*draws.splits, others])))
        recipe = Recipe.of(suite, sticks, grid)
        *found, self.pool = gather(sets, recipe, run=run, told=told)
        self.ensembles = dict(zip(ensembles, found, strict=False))
        self.solver = self._solver(None if reference is None else found[-1])

    def _solver(self, reference: Sums | None) -> Sums:
        """All draws of solver members: sums; features of the reference, then of the others."""
        rows = {key: sums[2 * self.count :] for key, sums in self.pool.rows.items()}
        features = dict(self.pool.features)
        if reference is None:
            for key, x in features.items():
                features[key] = torch.cat([x[self.draws.others :], x[: self.draws.others]])
        else:
            rows = {key: sums + reference.rows[key] for key, sums in rows.items()}
            features = {
                key: torch.cat([reference.features[key], x]) for key, x in features.items()
            }
        return Sums(rows, features)

    def doubled(self) -> list[str]:
        """Where a member stands twice, as far as features to the bit can tell.

        The solver's members are the reference and the pool; an ensemble may repeat its own.
        """
        solver = _prints(self.solver.features)
        found = ["the solver's members"] if len({*solver}) < len(solver) else []
        sets = {name: _prints(sums.features) for name, sums in self.ensembles.items()}
        return found + [
            f"{name} and the solver's" for name, own in sets.items() if {*own} & {*solver}
        ]

    def scores(self) -> Iterator[Judged]:
        """Every score of sums."""
        n = self.count  # of splits, and of permutations
        for score in self.suite:
            if not isinstance(score, Score):
                continue
            name = score.statistic.name
            for key, null in self.pool.rows.items():
                if key[0] != name:
                    continue
                stick = self.sticks if key[1] is None else self.sticks[key[1]]
                solver = self.solver.rows[key]
                values = [
                    score(*two_sides(own.rows[key], solver, n), stick)
                    for own in self.ensembles.values()
                ]
                yield score.name, key[1], Drawn(score(null[:n], null[n : 2 * n], stick), values)

    def samples(self, few: Draws) -> Iterator[Judged]:
        """Every score of samples; `few` are the draws of those that are limited."""
        calls, places = [], []
        for score in self.suite:
            if not isinstance(score, SampleScore):
                continue
            draws = few if score.limited else self.draws
            n, m, all_of_one = draws.size, draws.others, self.draws.size
            for v in self._variables(score):
                pool, solver, *own = (
                    self._features(sums, score.name, v)
                    for sums in (self.pool, self.solver, *self.ensembles.values())
                )
                calls.append((score.of, pool[: draws.splits[0].shape[1]], *draws.splits))
                theirs = torch.cat([solver[:n], solver[all_of_one : all_of_one + m]])
                for x, name in zip(own, self.ensembles, strict=True):
                    calls.append((score.of, torch.cat([x[:n], theirs]), *draws.pair(name)))
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


def _prints(features: Mapping[Key, Tensor]) -> list[bytes]:
    """The members by all their features, to the bit."""
    if not features:
        return []
    return [row.tobytes() for row in torch.cat([*features.values()], 1).numpy()]


def sample_values(
    of: Callable[[Tensor, Tensor, Tensor], Tensor], features: Tensor, a: Tensor, b: Tensor
) -> Tensor:
    """A sample score of features (member, d) on draws (draw, member), on one thread."""
    with one_thread():
        return of(features, a.double(), b.double()).double()


def two_sides(own: Tensor, theirs: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Sums of either side, from those over an ensemble and over the solver: `Draws.pair`'s draws.

    The last `count` draws of both are one permuted side, as many before them the other.

    >>> own, theirs = torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([[10.0], [20.0], [30.0]])
    >>> [side.flatten().tolist() for side in two_sides(own, theirs, 1)]
    [[1.0, 22.0], [10.0, 33.0]]
    """
    mixed = (own + theirs)[-2 * count :].split(count)
    plain = (sums[: -2 * count] for sums in (own, theirs))
    a, b = (torch.cat(parts) for parts in zip(plain, mixed, strict=True))
    return a, b
