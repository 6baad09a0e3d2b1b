"""The Gaussian surrogate: pushforward's, trained for zero steps; exact draws, no network."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from pushforward.generative import Backbone
from pushforward.solvers import Grid

from .ours import Ours, untrained
from .rival import Spent, Watch


@dataclass
class Gaussian:
    """The surrogate without its network."""

    ours: Ours
    spent: Spent

    def sample(
        self, count: int, seed: int = 0, *, evaluations: int, grid: Grid | None = None
    ) -> Tensor:
        """Members (count, channel, *grid)."""
        return self.ours.sample(count, seed, evaluations=1, grid=grid)

    def state(self) -> dict[str, Tensor]:
        """Nothing was trained."""
        return {}

    def load(self, state: dict[str, Tensor]) -> None:
        """There is nothing to take over."""


def fit(fields: Tensor, grid: Grid, network: Backbone, watch: Watch, seed: int) -> Gaussian:
    """Fits mean and covariance; whatever the budget."""
    spent = Spent()
    ours = untrained(fields, grid, network, seed)
    ours.surrogate = ours.surrogate.gaussian()
    watch(spent)
    return Gaussian(ours, spent)
