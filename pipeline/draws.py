"""Who stands on either side: null splits and bootstrap resamples as weights over members.

A statistic that adds needs from a split or a resample only how often each member counts. A draw is
therefore a vector of whole numbers over one list of members, and hundreds of them are a matrix,
whose product with the members' rows holds all sums at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Draws:
    """Which members stand on either side, as weights (draw, member) over one list of members.

    The list is: every ensemble, then the reference, then the pool. `splits` are null comparisons
    within the pool; `pairs[name]` are an ensemble against the reference: the set itself first,
    then its bootstrap resamples.
    """

    splits: tuple[Tensor, Tensor]
    pairs: dict[str, tuple[Tensor, Tensor]]
    pool: slice

    @classmethod
    def make(
        cls,
        sizes: Mapping[str, int],
        reference: int,
        pool: int,
        *,
        splits: int,
        bootstrap: int,
        seed: int,
    ) -> Draws:
        """Draws for ensembles of the given sizes, all of them compared with the reference.

        Raises ValueError when the pool cannot hold two disjoint sets.
        """
        size = max(sizes.values())
        if pool < size + reference or min(size, reference) < 2:
            raise ValueError(
                f"expected a pool of at least {size} + {reference} solver members for a floor, "
                f"got {pool}; score fewer members or simulate more"
            )
        rng = np.random.default_rng([seed, pool])
        total = sum(sizes.values()) + reference + pool
        start = total - pool
        shuffled = rng.permuted(np.tile(np.arange(start, total), (splits, 1)), axis=1)
        null = (
            _count(shuffled[:, :size], total),
            _count(shuffled[:, size:][:, :reference], total),
        )
        pairs, first = {}, 0
        for name, n in sizes.items():
            a = _resampled(rng, first, n, bootstrap, total)
            b = _resampled(rng, start - reference, reference, bootstrap, total)
            pairs[name], first = (a, b), first + n
        return cls(null, pairs, slice(start, total))


def _count(members: np.ndarray, total: int) -> Tensor:
    """Weights (draw, total) of draws given as member numbers (draw, size)."""
    weights = torch.zeros(len(members), total, dtype=torch.float64)
    at = torch.from_numpy(members)
    return weights.scatter_add_(1, at, torch.ones(at.shape, dtype=torch.float64))


def _resampled(
    rng: np.random.Generator, first: int, size: int, bootstrap: int, total: int
) -> Tensor:
    """The set itself, then `bootstrap` draws of it with replacement."""
    itself = np.arange(first, first + size)[None]
    return _count(np.concatenate([itself, rng.choice(itself[0], (bootstrap, size))]), total)
