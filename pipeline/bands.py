"""Where on the path a training's loss comes from: its mean by band of the mean log snr.

A member of a batch is at one noise level; the mean of its coefficients' log snr says how noisy it
is as a whole, whatever the path. The bands are fixed, so that curves of different studies can be
laid beside each other. Sums and counts add up over slices, ranks and steps.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

EDGES = (-12.0, -8.0, -4.0, 0.0)  # most of a field's waves drown near the first, few at the last
COUNT = len(EDGES) + 1
FAR = 30.0  # log snr of what is given clean (inf) or left out (-inf), for the mean


def tally(
    losses: Float[Tensor, " batch"], log_snr: Float[Tensor, "batch c m"]
) -> Float[Tensor, " two_bands"]:
    """The sum of the losses in every band, and then how many members are in each.

    >>> said = tally(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([-20.0, 1.0, 2.0]).view(3, 1, 1))
    >>> said.tolist()
    [1.0, 0.0, 0.0, 0.0, 6.0, 1.0, 0.0, 0.0, 0.0, 2.0]
    """
    level = log_snr.clamp(-FAR, FAR).mean((1, 2))
    band = torch.bucketize(level, level.new_tensor(EDGES))
    losses = losses.detach()
    sums = losses.new_zeros(COUNT).index_add(0, band, losses)
    counts = losses.new_zeros(COUNT).index_add(0, band, torch.ones_like(losses))
    return torch.cat([sums, counts])


def added(tallies: Sequence[Sequence[float]]) -> list[float]:
    """The tally of all members together; of nobody for none."""
    return [sum(parts) for parts in zip([0.0] * 2 * COUNT, *tallies, strict=True)]


def means(total: Sequence[float]) -> list[float | None]:
    """The mean loss of every band, from the noisiest; None where nobody was.

    >>> said = tally(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([-20.0, 1.0, 2.0]).view(3, 1, 1))
    >>> means(said.tolist())
    [1.0, None, None, None, 3.0]
    """
    pairs = zip(total[:COUNT], total[COUNT:], strict=True)
    return [value / count if count else None for value, count in pairs]


def names() -> list[str]:
    """What the bands are called.

    >>> names()
    ['below -12', '-12 to -8', '-8 to -4', '-4 to 0', 'above 0']
    """
    ends = [f"{edge:g}" for edge in EDGES]
    between = [f"{low} to {high}" for low, high in itertools.pairwise(ends)]
    return [f"below {ends[0]}", *between, f"above {ends[-1]}"]
