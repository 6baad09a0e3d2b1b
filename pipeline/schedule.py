"""Which surrogate a training looks at, and at what, step by step: its levels in their order."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from pushforward.batches import Batch, Batches, Members
from pushforward.generative import Surrogate
from pushforward.generative.restriction import ladder
from pushforward.levels import at, ends
from pushforward.spec import Training


class Schedule:
    """The batch of any step, and the surrogate on the grid that it is of; all share one network.

    A training without levels has one. `slots` are a rank's share of a batch (see `Batches`).
    Raises ValueError where a surrogate cannot be looked at on a coarser grid.
    """

    def __init__(
        self, surrogate: Surrogate, members: Members, training: Training, slots: range
    ) -> None:
        grid = training.learnt_on
        coarse = ladder(surrogate, [level.on(grid) for level in training.levels])
        some = [_Some(members, surrogate.basis.held(one.grid)) for one in coarse]
        self.surrogates = [*coarse, surrogate]
        self.batches = [
            Batches(seen, one, training, slots)
            for seen, one in zip([*some, members], self.surrogates, strict=True)
        ]
        self.ends = ends(training.levels, training.steps)

    def __call__(self, step: int) -> tuple[Surrogate, Batch]:
        level = at(self.ends, step)
        return self.surrogates[level], self.batches[level](step)


class _Some:
    """Members of which only some coefficients are seen."""

    def __init__(self, members: Members, kept: Tensor) -> None:
        self.members, self.kept = members, kept.nonzero()[:, 0]
        self.order: Callable[[int], Tensor] = members.order

    def __len__(self) -> int:
        return len(self.members)

    def rows(self, places: Sequence[int]) -> Tensor:
        return self.members.rows(places)[..., self.kept]

    def first(self, count: int) -> Tensor:
        return self.members.first(count)[..., self.kept]

    def close(self) -> None:
        self.members.close()
