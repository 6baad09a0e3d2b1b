r"""What a training sees: stored members as tensors, and the batch of any step, by address.

A batch is a function of (seed, step) alone. Members come in the order of one permutation per
epoch, noise levels are spread over [0, 1), one member in each of `batch` strata (narrower towards
the noise, see TILT), and noise and shifts are addressed like every other random number (see
`solvers.normals`). So a training that was stopped at a step goes on with exactly the batches it
would have seen. Members that do not fit in memory are read as they come, and whitened batch by
batch; their order is that of a `Reader`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from pushforward.archive import Archive
from pushforward.device import carried
from pushforward.generative import Basis, Surrogate
from pushforward.reader import Reader
from pushforward.solvers import Grid, Use, uniforms
from pushforward.spec import Training

READ = 1024  # members that are read at once, where they are learnt on a coarser grid
TILT = 1.5  # how much more often large scales are looked at than small ones (1: equally)


def load(
    training: Training, archive: Archive, members: range | None = None
) -> Float[Tensor, "n channel ..."]:
    """Members (None: all that a training learns from or holds out), float32, frames as channels.

    Shape (member, channel of the stack, *grid) on the grid that is learnt on. Raises LookupError,
    with what to run, when the simulation is not complete.
    """
    some = range(training.members + training.held_out) if members is None else members
    dataset = archive.open(training.simulation).isel(member=slice(some.start, some.stop))
    stack = [
        dataset[name] if frame is None else dataset[name].isel(time=frame)
        for frame, name in training.stack
    ]
    whole, grid = training.simulation.grid, training.learnt_on
    parts = [
        whole.resample(torch.from_numpy(np.stack([one.values for one in part], 1)).float(), grid)
        for part in ([one[at : at + READ] for one in stack] for at in range(0, len(some), READ))
    ]
    return torch.cat(parts)


class Members(Protocol):
    """Whitened fields of the members that are learnt from, by place: epoch after epoch."""

    def __len__(self) -> int: ...

    @property
    def order(self) -> Callable[[int], Tensor]:
        """The members (member,) in the order in which they come in an epoch."""
        ...

    def rows(self, places: Sequence[int]) -> Float[Tensor, "place channel mode"]:
        """The whitened fields at some places."""
        ...

    def first(self, count: int) -> Float[Tensor, "member channel mode"]:
        """Those of the first few members."""
        ...

    def close(self) -> None:
        """Lets go of what can be read again."""
        ...


class Resident:
    """Whitened fields x (member, channel, mode) in memory."""

    def __init__(self, x: Float[Tensor, "member channel mode"], seed: int) -> None:
        self.x, self.seed = x, seed
        self.order: Callable[[int], Tensor] = lru_cache(maxsize=2)(self._order)

    def __len__(self) -> int:
        return len(self.x)

    def rows(self, places: Sequence[int]) -> Float[Tensor, "place channel mode"]:
        return self.x[at(self, places)]

    def first(self, count: int) -> Float[Tensor, "member channel mode"]:
        return self.x[:count]

    def close(self) -> None:
        pass  # there is nothing to read it from again

    def _order(self, epoch: int) -> Int[Tensor, " member"]:
        keys = uniforms(self.seed, Use.ORDER, [0], [torch.arange(len(self.x))], epoch % 2**24)
        return torch.argsort(keys[0], stable=True)


class Streamed:
    """Fields on a grid that are read when they are wanted, whitened in a basis of it or a coarser
    one."""

    def __init__(self, reader: Reader, basis: Basis, grid: Grid) -> None:
        self.reader, self.basis, self.grid = reader, basis, grid
        self.order: Callable[[int], Tensor] = reader.order

    def __len__(self) -> int:
        return len(self.reader)

    def rows(self, places: Sequence[int]) -> Float[Tensor, "place channel mode"]:
        return self._whitened(self.reader.rows(places))

    def first(self, count: int) -> Float[Tensor, "member channel mode"]:
        few = self.reader.source.read(range(min(count, len(self))))
        return self._whitened(torch.from_numpy(few))

    def close(self) -> None:
        self.reader.close()

    def _whitened(self, fields: Tensor) -> Tensor:
        grid = self.basis.grid
        fields = carried(self.grid.resample(fields, grid), self.basis.mask.device)
        return self.basis.analyse(fields, grid)


def at(members: Members, places: Sequence[int]) -> Int[Tensor, " place"]:
    """Which members are at some places: every one once an epoch."""
    n = len(members)
    return torch.stack([members.order(place // n)[place % n] for place in places])


class Batch(NamedTuple):
    """Whitened fields x (batch, channel, mode), times (batch,), normals and log snr like x."""

    x: Tensor
    t: Tensor
    eps: Tensor
    log_snr: Tensor


class Batches:
    """The batches of a training, for whitened fields x (n, channel, mode); call with a step.

    `slots` are the places of a batch that are made, a rank's share (None: all). Each holds what it
    holds in the whole batch, translated up to round-off and otherwise to the bit.
    """

    def __init__(
        self,
        x: Tensor | Members,
        surrogate: Surrogate,
        training: Training,
        slots: range | None = None,
    ) -> None:
        self.members: Members = Resident(x, training.seed) if isinstance(x, Tensor) else x
        self.basis, self.training = surrogate.basis, training
        self.slots = range(training.batch) if slots is None else slots
        # the other losses are integrals over time, which even times are the average of
        self.tilt = TILT if surrogate.architecture.loss.weight == "turn" else 1.0
        self.levels, self.variation = surrogate.levels, surrogate.architecture.variation

    def __call__(self, step: int) -> Batch:
        seed, batch, slots = self.training.seed, self.training.batch, self.slots
        device = self.basis.mask.device  # where all but a few numbers a member are made
        x = carried(self.members.rows(self.places(step)), device)
        if self.training.translations:
            axes = torch.arange(self.basis.grid.ndim)
            x = self.basis.translate(x, uniforms(seed, Use.SHIFT, slots, [axes], step))
        offset = uniforms(seed, Use.LEVEL, [0], [torch.zeros(1, dtype=torch.int64)], step)[0]
        t = (1 - (1 - (torch.tensor(slots) + offset) / batch) ** self.tilt).float().to(device)
        log_snr = self.levels(t)
        if self.variation.varies:
            numbers = torch.arange(self.variation.numbers(self.basis.channels))
            u = uniforms(seed, Use.VARIATION, slots, [numbers], step).float().to(device)
            log_snr = self.variation(self.levels, t, u)
        return Batch(x, t, self.basis.noise(seed, Use.TRAINING, slots, step), log_snr)

    def places(self, step: int) -> list[int]:
        """Where a step's batch lies in the sequence of all members, epoch after epoch."""
        return [step * self.training.batch + slot for slot in self.slots]

    def indices(self, step: int) -> Int[Tensor, " batch"]:
        """Which members make a step's batch: every member once an epoch."""
        return at(self.members, self.places(step))
