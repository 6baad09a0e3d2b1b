"""One step of a training: its gradient, in slices of a batch, and its learning rate.

Loshchilov, Hutter, AdamW (2019), arXiv:1711.05101
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Executor

import torch
from torch import Tensor, nn

from pushforward.bands import tally
from pushforward.batches import Batch
from pushforward.checkpoint import State
from pushforward.ema import WIDTHS, Decay, Power
from pushforward.generative import Surrogate
from pushforward.generative.precision import lowered
from pushforward.spec import Training

WARM_UP, WEIGHT_DECAY, BETAS = 100, 1e-4, (0.9, 0.99)


def begin(surrogate: Surrogate, training: Training) -> State:
    """The state of a surrogate's denoiser before the first step."""
    return started([p for p in surrogate.denoiser.parameters() if p.requires_grad], training)


def started(parameters: list[nn.Parameter], training: Training) -> State:
    """The state of some parameters before the first step."""
    optimizer = torch.optim.AdamW(
        parameters, lr=training.learning_rate, betas=BETAS, weight_decay=WEIGHT_DECAY, fused=True
    )

    def copy() -> list[Tensor]:
        return [p.detach().clone() for p in parameters]

    rule = Decay(training.ema) if training.width is None else Power(training.width)
    others = {width: copy() for width in WIDTHS} if training.snapshots else {}
    return State(parameters, copy(), optimizer, rule, others)


def descend(
    surrogate: Surrogate,
    parameters: Sequence[nn.Parameter],
    batch: Batch,
    training: Training,
    pool: Executor,
) -> Tensor:
    """Leaves the gradient of these members' part of the mean loss in the parameters.

    Returns that part and then the losses by band of noise (see `bands`), float64, on the device:
    asking for their values would wait for it. Every slice holds each n-th
    member, so all see the whole range of levels and cost the same. They are added in order: bits
    depend on the number of slices, not on that of cores.
    """
    slices = training.slices

    def one(first: int) -> tuple[Tensor, tuple[Tensor, ...]]:
        part = Batch(*(values[first::slices] for values in batch))
        with lowered(training.precision):
            losses = surrogate.loss(*part)
        loss = losses.sum() / training.batch
        gradient = torch.autograd.grad(loss, parameters)
        said = torch.cat([loss.detach()[None], tally(losses, part.log_snr)])
        return said.double(), gradient

    said, gradients = zip(*pool.map(one, range(slices)), strict=True)
    for parameter, *parts in zip(parameters, *gradients, strict=True):
        parameter.grad = sum(parts[1:], start=parts[0])
    return torch.stack(said).sum(0)


def learning_rate(training: Training, step: int) -> float:
    """The learning rate of a step: a linear warm-up and half a cosine to 0."""
    warm = min((step + 1) / min(WARM_UP, max(training.steps, 1)), 1.0)
    fall = 0.5 * (1 + math.cos(math.pi * step / max(training.steps, 1)))
    return training.learning_rate * warm * fall
