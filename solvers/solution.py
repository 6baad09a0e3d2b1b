"""What a solver hands back: the fields, and what it did to get them."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Solution:
    """The members' fields at the times kept, (member, time, channel, *grid), and how they came.

    `steps` and `rejected` count the time steps of each member; `tail` is the share of its rms that
    lies in the outermost resolved waves, (member, time), see `tail`; `kernel` names what computed:
    "torch" or the instruction set of the compiled kernel.

    >>> import torch
    >>> none = torch.zeros(2, dtype=torch.int64)
    >>> Solution(torch.zeros(2, 1, 1, 8), none, none, torch.zeros(2, 1), "torch").kernel
    'torch'
    """

    fields: Float[Tensor, "member time channel ..."]
    steps: Int[Tensor, " member"]
    rejected: Int[Tensor, " member"]
    tail: Float[Tensor, "member time"]
    kernel: str
