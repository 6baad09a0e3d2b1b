"""Who stands on either side: splits, resamples and permutations as weights over members.

A statistic that adds needs from any of these only how often each member counts. A draw is
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
    the members of a set as they are, then their bootstrap resamples. `permuted` are two sides
    drawn at random, as many times as there are splits, from the members of an ensemble, of the
    reference and of all others that the solver made, in a row: were they all of one law, these
    would be as good as the two sides that are compared.
    """

    splits: tuple[Tensor, Tensor]
    ensembles: dict[str, Tensor]
    reference: Tensor
    permuted: tuple[Tensor, Tensor]

    @classmethod
    def make(
        cls,
        ensembles: Iterable[str],
        size: int,
        pool: int,
        others: int,
        *,
        splits: int,
        bootstrap: int,
        seed: int,
    ) -> Draws:
        """Draws for ensembles of one size, each compared with a reference of the same size.

        `others` are those of the pool that are not in the reference.

        Raises ValueError when the pool cannot hold two disjoint sets.
        """
        if pool < 2 * size or size < 2:
            raise ValueError(
                f"expected a pool of at least {size} + {size} solver members for a floor, "
                f"got {pool}; score fewer members or simulate more"
            )
        rng = np.random.default_rng([seed, pool])
        null = sides(rng, size, pool, splits)
        sets = {name: resampled(rng, size, bootstrap) for name in ensembles}
        reference = resampled(rng, size, bootstrap)
        return cls(null, sets, reference, sides(rng, size, 2 * size + others, splits))

    @property
    def size(self) -> int:
        """Members of a set."""
        return self.reference.shape[1]

    @property
    def others(self) -> int:
        """Members of the pool that are not in the reference."""
        return self.permuted[0].shape[1] - 2 * self.size

    def own(self, name: str) -> Tensor:
        """All draws over an ensemble: as it is, its resamples, its part of the permuted sides."""
        return torch.cat([self.ensembles[name], *(side[:, : self.size] for side in self.permuted)])

    def theirs(self) -> Tensor:
        """The same over the reference and the others in a row."""
        whole = torch.nn.functional.pad(self.reference, (0, self.others))
        return torch.cat([whole, *(side[:, self.size :] for side in self.permuted)])

    def pair(self, name: str) -> tuple[Tensor, Tensor]:
        """The two sides of all draws, over an ensemble, the reference and the others in a row.

        >>> draws = Draws.make(["mine"], 2, 4, 2, splits=1, bootstrap=3, seed=0)
        >>> [side[0].tolist() for side in draws.pair("mine")]
        [[1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0]]
        """
        pad, n = torch.nn.functional.pad, self.size
        left = pad(self.ensembles[name], (0, n + self.others))
        right = pad(self.reference, (n, self.others))
        return torch.cat([left, self.permuted[0]]), torch.cat([right, self.permuted[1]])


def sides(rng: np.random.Generator, size: int, total: int, count: int) -> tuple[Tensor, Tensor]:
    """Two disjoint sets of `size` of all members, drawn `count` times: (draw, member) each."""
    drawn = np.zeros((2, count, total), dtype=np.uint8)
    for i in range(count):
        members = rng.permutation(total)
        drawn[0, i, members[:size]] = 1
        drawn[1, i, members[size : 2 * size]] = 1
    return torch.from_numpy(drawn[0]), torch.from_numpy(drawn[1])


def resampled(rng: np.random.Generator, size: int, bootstrap: int) -> Tensor:
    """Every member once, then `bootstrap` draws of as many: (1 + draw, member), one byte each."""
    counts = np.ones((1 + bootstrap, size), dtype=np.uint8)
    for i in range(bootstrap):
        counts[1 + i] = np.bincount(rng.integers(size, size=size), minlength=size)
    return torch.from_numpy(counts)
