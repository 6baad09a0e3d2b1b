r"""Many scores at once: what the farthest of them, and the number outside, are by chance.

Of 27 scores one has p <= 5% by chance more often than not, and scores that look at the same thing
have it together. Both are answered by the permutations themselves, on which all scores of two sets
of members are known, with whatever dependence they have: with z the distance from their mean in
their deviations, towards the bad side, S permutations s and scores i,

    p_family of a score  (1 + #{s : max_i z_i(s) >= z}) / (1 + S): single-step max-T, the chance
                         that the farthest of all scores is as far; below q for any score with
                         probability at most q where nothing is wrong
    chance_most          the 1 - LEVEL quantile over s of #{i : p_i(s) <= 5%}

`closest_members` is a family of its own: some copies of training members move no other score, and
one among many would not be heard. An ensemble differs when a p_family of either family is at most
LEVEL or when more than chance_most scores have p <= 5%: three questions of LEVEL, together 5%.
Scores that see fewer members than the others have permutations of their own, which stand beside
the others' as if they were independent. Holm's procedure, or Benjamini and Hochberg's, on the
p-values of single scores cannot do it: the smallest that 200 permutations can give is 1 / 201, and
a score in 27 that no permutation ever reaches would need 1 / 540.

    Westfall, Young, Resampling-Based Multiple Testing (1993), section 2.3, ISBN 978-0471557616
    Ge, Dudoit, Speed, Test 12 (2003), doi:10.1007/BF02595811
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

LEVEL = 0.05 / 3  # of either of the three questions
ALONE = 0.05  # of a single score


def distance(value: Tensor, null: Tensor, small: bool) -> Float[Tensor, ...]:
    """z towards the bad side; what a null that never varies does not reach is infinitely far.

    >>> null = torch.tensor([1.0, 2.0, 3.0])
    >>> distance(torch.tensor([4.0, 2.0]), null, small=False)
    tensor([2., 0.])
    >>> distance(torch.tensor([0.0, 0.5]), torch.zeros(3), small=False)
    tensor([0., inf])
    """
    sign, finite = -1.0 if small else 1.0, null[null.isfinite()]
    if not len(finite):  # what is infinite as well is as far
        return torch.where(value.isnan(), torch.nan, torch.zeros_like(value))
    gap = sign * (value - finite.mean())
    spread = finite.std() if len(finite) > 1 else finite.sum() * 0
    if float(spread) > 0:
        return gap / spread
    return torch.where(gap > 0, torch.inf, torch.zeros_like(gap))


def family_p(
    values: Float[Tensor, " score"], nulls: Float[Tensor, "score split"], small: Sequence[bool]
) -> Float[Tensor, " score"]:
    """p_family of every score; NaN for one that is NaN.

    >>> nulls = torch.stack([torch.arange(99.0), torch.arange(99.0).flip(0)])
    >>> family_p(torch.tensor([1000.0, 50.0]), nulls, [False, False])
    tensor([0.0100, 0.9900])
    """
    z = torch.stack([distance(null, null, s) for null, s in zip(nulls, small, strict=True)])
    own = torch.stack(
        [distance(v, null, s) for v, null, s in zip(values, nulls, small, strict=True)]
    )
    farthest = torch.where(z.isnan(), -torch.inf, z).amax(0)
    p = (1 + (farthest >= own[:, None]).sum(1)) / (1 + len(farthest))
    return torch.where(own.isnan(), torch.nan, p)


def most_by_chance(nulls: Float[Tensor, "score split"], small: Sequence[bool]) -> int:
    """chance_most: more scores than this have p <= 5% in at most LEVEL of a null's draws.

    >>> twice = torch.rand(1, 200).expand(4, -1)       # scores that are always far together
    >>> most_by_chance(twice, [False] * 4)
    4
    """
    outside = torch.stack(
        [_rare(null if s else -null) for null, s in zip(nulls, small, strict=True)]
    )
    count = outside.sum(0).double()
    return int(torch.quantile(count, 1 - LEVEL, interpolation="higher"))


def _rare(null: Tensor) -> Tensor:
    """Which draws at most 5% of them are as small as; none that are NaN."""
    known = null[~null.isnan()].sort().values
    as_small = torch.searchsorted(known, null.contiguous(), right=True)
    return (as_small <= ALONE * len(known)) & ~null.isnan()
