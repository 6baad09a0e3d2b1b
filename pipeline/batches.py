r"""What a training sees: stored members as tensors, and the batch of any step, by address.

A batch is a function of (seed, step) alone. Members come in the order of one permutation per
epoch, noise levels are spread over [0, 1), one member in each of `batch` strata (narrower towards
the noise, see TILT), and noise and shifts are addressed like every other random number (see
`solvers.normals`). So a training that was stopped at a step goes on with exactly the batches it
would have seen.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from pushforward.archive import Archive
from pushforward.generative import Surrogate
from pushforward.solvers import Use, uniforms
from pushforward.spec import Training


def load(training: Training, archive: Archive) -> Float[Tensor, "n channel ..."]:
    """The members a training learns from and those it holds out, float32, frames as channels.

    Shape (members + held_out, frames * channels, *grid). Raises LookupError, with what to run,
    when the simulation is not complete.
    """
    count = training.members + training.held_out
    dataset = archive.open(training.simulation).isel(member=slice(0, count))
    stack = [
        dataset[name].isel(time=frame).values.astype(np.float32) for frame, name in training.stack
    ]
    return torch.from_numpy(np.stack(stack, axis=1))


TILT = 1.5  # how much more often large scales are looked at than small ones (1: equally)


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
        self, x: Tensor, surrogate: Surrogate, training: Training, slots: range | None = None
    ) -> None:
        self.x, self.basis, self.training = x, surrogate.basis, training
        self.slots = range(training.batch) if slots is None else slots
        # the other losses are integrals over time, which even times are the average of
        self.tilt = TILT if surrogate.architecture.loss.weight == "turn" else 1.0
        self.levels, self.variation = surrogate.levels, surrogate.architecture.variation
        self.permutation = lru_cache(maxsize=2)(self._permutation)

    def __call__(self, step: int) -> Batch:
        seed, batch, slots = self.training.seed, self.training.batch, self.slots
        x = self.x[self.indices(step)]
        if self.training.translations:
            axes = torch.arange(self.basis.grid.ndim)
            x = self.basis.translate(x, uniforms(seed, Use.SHIFT, slots, [axes], step))
        offset = uniforms(seed, Use.LEVEL, [0], [torch.zeros(1, dtype=torch.int64)], step)[0]
        t = (1 - (1 - (torch.tensor(slots) + offset) / batch) ** self.tilt).float()
        log_snr = self.levels(t)
        if self.variation.varies:
            numbers = torch.arange(self.variation.numbers(self.basis.channels))
            u = uniforms(seed, Use.VARIATION, slots, [numbers], step).float()
            log_snr = self.variation(self.levels, t, u)
        return Batch(x, t, self.basis.noise(seed, Use.TRAINING, slots, step), log_snr)

    def indices(self, step: int) -> Int[Tensor, " batch"]:
        """Which members make a step's batch: every member once an epoch."""
        places = [step * self.training.batch + slot for slot in self.slots]
        n = len(self.x)
        return torch.stack([self.permutation(place // n)[place % n] for place in places])

    def _permutation(self, epoch: int) -> Int[Tensor, " n"]:
        keys = uniforms(
            self.training.seed, Use.ORDER, [0], [torch.arange(len(self.x))], epoch % 2**24
        )
        return torch.argsort(keys[0], stable=True)
