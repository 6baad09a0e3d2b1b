"""What random fields are drawn from: the contract that all laws share.

`GaussianField`, `StationaryField`, `RandomBumps` and `RandomCells` keep it, and so may a law of
your own: a member (seed, number) is one function, which every grid samples as far as it resolves
it, whatever else is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.solvers.grid import Grid
from pushforward.solvers.normals import Use


@runtime_checkable
class Law(Protocol):
    """A law of random fields: a name, and draws addressed by (seed, member).

    >>> from pushforward.solvers import RandomBumps
    >>> isinstance(RandomBumps(), Law), isinstance("random_bumps", Law)
    (True, False)
    """

    @property
    def kind(self) -> str:
        """The law's name."""
        ...

    def sample(
        self,
        members: Sequence[int],
        grid: Grid,
        seed: int = 0,
        use: Use = Use.INITIAL,
        device: torch.device | str = "cpu",
        step: int = 0,
    ) -> Float[Tensor, "member ..."]:
        """Draws (member, *grid.shape), float64; `step` numbers independent draws of a member."""
        ...
