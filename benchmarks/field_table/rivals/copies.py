"""The table's own control: members that were learnt from, drawn again.

Their law is right, and every comparison with other members of the solver takes them for good; only
the distance to the nearest member that was learnt from can tell.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.generative import Backbone
from pushforward.solvers import Grid

from .rival import Spent, Watch


@dataclass
class Copies:
    """The members themselves."""

    fields: Tensor
    grid: Grid
    spent: Spent

    def sample(
        self, count: int, seed: int = 0, *, evaluations: int, grid: Grid | None = None
    ) -> Tensor:
        """Members (count, channel, *grid), drawn without replacement as long as they last."""
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(self.fields), generator=generator)
        chosen = self.fields[order[torch.arange(count) % len(order)]]
        return self.grid.resample(chosen, grid or self.grid)

    def state(self) -> dict[str, Tensor]:
        """Nothing was trained."""
        return {}

    def load(self, state: dict[str, Tensor]) -> None:
        """There is nothing to take over."""


def fit(fields: Tensor, grid: Grid, network: Backbone, watch: Watch, seed: int) -> Copies:
    """Learns them by heart."""
    return Copies(fields, grid, Spent())
