r"""Sums of rows over weighted members, block by block, in any process: nothing is held but sums.

A score needs, for every draw, sum_m w_m row(m), w_m how often the draw counts member m. A block of
members is read in small parts, turned into rows, and multiplied with its columns of the weights;
the partial sums of blocks are added in the order of the members, whoever made them and whenever.
So the result has the same bits for any number of workers, and the memory is that of

    draws x features  +  one block of members a worker,

whatever the size of the ensemble. The features of sample scores are kept for all members: a few
numbers in single precision each. Blocks run through a `map`: the built-in, a pool of processes, a
verb's own, or `over_dask` where the members are Dask's and a client of a cluster is active.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward.blocks import Map
from pushforward.members import Members
from pushforward.progress import Advance, bar
from pushforward.scores import SampleScore, Score, Statistic
from pushforward.solvers import Grid
from pushforward.threads import one_thread
from pushforward.yardstick import Yardstick, check

MEMBERS = 512  # of a block
PART = 2**18  # numbers of members whose rows are made at once: what stays in a core's cache
AHEAD = 16  # blocks of Dask that may be under way or waiting to be added

Key = tuple[str, int | None]  # a statistic or sample score, a variable; None: all of them together


@dataclass(frozen=True)
class Recipe:
    """What is made of every block of members: rows to sum, features to keep."""

    grid: Grid
    sticks: tuple[Yardstick, ...]
    statistics: tuple[Statistic, ...]
    features: tuple[tuple[str, bool, Callable[[Tensor, Any], Tensor | None]], ...]

    @classmethod
    def of(
        cls, suite: Iterable[Score | SampleScore], sticks: Sequence[Yardstick], grid: Grid
    ) -> Recipe:
        """What the scores of a suite need, each statistic once."""
        scores = list(suite)
        statistics = {s.statistic.name: s.statistic for s in scores if isinstance(s, Score)}
        samples = [s for s in scores if isinstance(s, SampleScore)]
        features = tuple((s.name, s.joint, s.features) for s in samples)
        return cls(grid, tuple(sticks), tuple(statistics.values()), features)

    def rows(self, fields: Tensor) -> Iterator[tuple[Key, Tensor]]:
        """The rows of members (member, variable, *grid)."""
        for statistic in self.statistics:
            if statistic.joint:
                if len(self.sticks) > 1:
                    yield (statistic.name, None), statistic.rows(fields, self.sticks)
                continue
            for v, stick in enumerate(self.sticks):
                yield (statistic.name, v), statistic.rows(fields[:, v], stick)

    def kept(self, fields: Tensor) -> Iterator[tuple[Key, Tensor]]:
        """The features of members (member, variable, *grid), float32."""
        for name, joint, function in self.features:
            whole = [(None, fields, self.sticks)]
            each = [(v, fields[:, v], stick) for v, stick in enumerate(self.sticks)]
            for v, given, sticks in whole if joint else each:
                features = function(given, sticks)
                if features is not None:
                    yield (name, v), features.float()


@dataclass(frozen=True)
class Sums:
    """Of one set: sums (draw, feature) of statistics, and features (member, d) of samples."""

    rows: dict[Key, Tensor]
    features: dict[Key, Tensor]

    def head(self, draws: int) -> Sums:
        """The sums of the first draws, without features."""
        return Sums({key: sums[:draws] for key, sums in self.rows.items()}, {})


def gather(
    sets: Sequence[tuple[str, Members, Tensor]],
    recipe: Recipe,
    *,
    run: Map = map,
    told: str = "",
) -> list[Sums]:
    """Sums over the members of each set, (name, members, weights (draw, member)).

    >>> from pushforward.scores import SCORES, SPECTRUM
    >>> grid = Grid((8, 8))
    >>> u = torch.randn(6, 1, 8, 8)
    >>> stick = Yardstick.fit(u[:, 0], grid)
    >>> recipe = Recipe.of([SCORES["log_spectral_distance"]], [stick], grid)
    >>> (sums,) = gather([("mine", Members.of(u), torch.ones(1, 6))], recipe)
    >>> torch.allclose(sums.rows["spectrum", 0], SPECTRUM.sum(u[:, 0], stick))
    True
    """
    blocks = [
        (name, first, part, weights[:, first : first + part.count])
        for name, members, weights in sets
        for first, part in members.blocks(MEMBERS)
    ]
    owners = [i for i, (_, members, _) in enumerate(sets) for _ in members.blocks(MEMBERS)]
    rows: list[dict[Key, Tensor]] = [{} for _ in sets]
    kept: list[dict[Key, list[Tensor]]] = [{} for _ in sets]
    with progress(told, sum(len(members) for _, members, _ in sets)) as advance:
        parts = run(add, *zip(*blocks, strict=True), [recipe] * len(blocks))
        for owner, block, (used, sums, features) in zip(owners, blocks, parts, strict=True):
            for key, part in sums.items():
                if key not in rows[owner]:
                    rows[owner][key] = part.new_zeros(len(used), part.shape[1])
                rows[owner][key][used] += part
            for key, values in features.items():
                kept[owner].setdefault(key, []).append(values)
            advance(len(block[2]))
    return [
        Sums(totals, {key: torch.cat(values) for key, values in features.items()})
        for totals, features in zip(rows, kept, strict=True)
    ]


def add(
    name: str, first: int, members: Members, weights: Tensor, recipe: Recipe
) -> tuple[Tensor, dict[Key, Tensor], dict[Key, Tensor]]:
    """One block: which draws count any of its members, their sums, and its members' features."""
    used = (weights > 0).any(1)
    weights = weights[used].double()
    rows: dict[Key, list[Tensor]] = {}
    kept: dict[Key, list[Tensor]] = {}
    size = max(1, PART // (recipe.grid.size * len(recipe.sticks)))
    with one_thread():
        for start, part in members.blocks(size):
            fields = part.read(0, part.count)
            for v in range(fields.shape[1]):
                check(fields[:, v], recipe.grid, name, first + start)
            for found, values in ((rows, recipe.rows(fields)), (kept, recipe.kept(fields))):
                for key, tensor in values:
                    found.setdefault(key, []).append(tensor)
        sums = {key: weights @ torch.cat(rows.pop(key)) for key in [*rows]}
    return used, sums, {key: torch.cat(values) for key, values in kept.items()}


def progress(told: str, total: int) -> AbstractContextManager[Advance]:
    """A bar in members, or none without a name for it."""
    return bar(told, total, "members") if told else nullcontext(_unseen)


def _unseen(n: int = 1, **facts: object) -> None:
    """Counts nothing."""


def over_dask(function: Callable[..., Any], *rows: Iterable[Any]) -> Iterator[Any]:
    """The built-in `map` as Dask tasks, some ahead, on whatever runs Dask's tasks at present.

    >>> list(over_dask(max, [1, 5], [3, 4]))
    [3, 5]
    """
    from dask.base import compute
    from dask.delayed import delayed

    calls = list(zip(*rows, strict=True))
    for i in range(0, len(calls), AHEAD):
        tasks = [delayed(function, pure=False)(*call) for call in calls[i : i + AHEAD]]
        yield from compute(*tasks)


def suitable(run: Map, sets: Iterable[Members]) -> Map:
    """Dask's map instead of the built-in one, where members are Dask's and a client is active."""
    if run is not map or not any(members.lazy for members in sets):
        return run
    distributed = sys.modules.get("distributed")  # who has an active client has imported it
    try:
        active = distributed is not None and distributed.default_client() is not None
    except ValueError:
        active = False
    return over_dask if active else run
