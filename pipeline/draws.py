"""Who stands on either side: null splits and bootstrap resamples as weights over members.

A statistic that adds needs from a split or a resample only how often each member counts. A draw is
therefore a vector of small whole numbers over the members of a set, and hundreds of them are a
matrix, whose product with the members' rows holds all sums at once. A set has its own draws: they
take a byte a draw and member, which is less than a field.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Draws:
    """How often members count: whole numbers (draw, member), one byte each, for every set.

    `splits` are the two sides of null comparisons within the pool. `ensembles` and `reference` are
    the members of a set as they are, then their bootstrap resamples.
    """

    splits: tuple[Tensor, Tensor]
    ensembles: dict[str, Tensor]
    reference: Tensor

    @classmethod
    def make(
        cls,
        ensembles: Iterable[str],
        size: int,
        pool: int,
        *,
        splits: int,
        bootstrap: int,
        seed: int,
    ) -> Draws:
        """Draws for ensembles of one size, each compared with a reference of the same size.

        Raises ValueError when the pool cannot hold two disjoint sets.
        """
        if pool < 2 * size or size < 2:
            raise ValueError(
                f"expected a pool of at least {size} + {size} solver members for a floor, "
                f"got {pool}; score fewer members or simulate more"
            )
        rng = np.random.default_rng([seed, pool])
        null = np.zeros((2, splits, pool), dtype=np.uint8)
        for i in range(splits):
            members = rng.permutation(pool)
            null[0, i, members[:size]] = 1
            null[1, i, members[size : 2 * size]] = 1
        sides = (torch.from_numpy(null[0]), torch.from_numpy(null[1]))
        sets = {name: resampled(rng, size, bootstrap) for name in ensembles}
        return cls(sides, sets, resampled(rng, size, bootstrap))

    def pair(self, name: str) -> tuple[Tensor, Tensor]:
        """The draws of an ensemble against the reference, over the members of both in a row.

        >>> draws = Draws.make(["mine"], 2, 4, splits=1, bootstrap=3, seed=0)
        >>> [side[0].tolist() for side in draws.pair("mine")]
        [[1, 1, 0, 0], [0, 0, 1, 1]]
        """
        a, b = self.ensembles[name], self.reference
        left = torch.cat([a, torch.zeros_like(b)], 1)
        return left, torch.cat([torch.zeros_like(a), b], 1)


def resampled(rng: np.random.Generator, size: int, bootstrap: int) -> Tensor:
    """Every member once, then `bootstrap` draws of as many: (1 + draw, member), one byte each."""
    counts = np.ones((1 + bootstrap, size), dtype=np.uint8)
    for i in range(bootstrap):
        counts[1 + i] = np.bincount(rng.integers(size, size=size), minlength=size)
    return torch.from_numpy(counts)
