"""What every method of the table is: something fitted to fields within a budget, then sampled.

`fit(fields, grid, network, watch, seed) -> Rival` for fields (member, channel, *grid). All use
the same Backbone, and the same loop: AdamW at 1e-3, batches of 32, warm-up, half a cosine over the
budget, a moving average of the weights. A budget is in seconds, of the processor (on a machine
that others use, too) or of the wall, or in steps, whichever ends first; all are recorded, with the
number of weights. All that a fit does is on the clock, from its first line; descent ends with the
budget, and what comes after it is noted down as well.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from pushforward.generative import Backbone
from pushforward.solvers import Grid

RATE, BATCH, DECAY, WARM_UP, SMOOTH = 1e-3, 32, 1e-4, 100, 0.998


@dataclass(frozen=True)
class Budget:
    """What a fit may spend: seconds by a clock, optimiser steps."""

    seconds: float = math.inf
    steps: int = 10**9
    clock: Literal["cpu", "wall"] = "cpu"


@dataclass
class Spent:
    """What it spent: seconds of the wall and of the processor, steps, weights; its losses."""

    seconds: float = 0.0
    cpu: float = 0.0
    steps: int = 0
    weights: int = 0
    losses: list[float] = field(default_factory=list)

    @property
    def loss(self) -> float:
        """The mean of the last tenth of the losses."""
        last = self.losses[-max(1, len(self.losses) // 10) :]
        return sum(last) / len(last) if last else math.nan


class Rival(Protocol):
    """A fitted method."""

    spent: Spent

    def sample(
        self, count: int, seed: int = 0, *, evaluations: int, grid: Grid | None = None
    ) -> Tensor:
        """Members (count, channel, *grid), in the data's units."""
        ...

    def state(self) -> dict[str, Tensor]:
        """What training has changed of a fit on no budget."""
        ...

    def load(self, state: dict[str, Tensor]) -> None:
        """Takes over what another's training has changed."""
        ...


Fit = Callable[[Tensor, Grid, Backbone, "Watch", int], Any]


class Standard:
    """Fields in units of one mean and one deviation, as the benchmark's networks see them."""

    def __init__(self, fields: Tensor) -> None:
        self.mean, self.deviation = fields.mean().item(), fields.std().item()

    def __call__(self, fields: Tensor) -> Tensor:
        return (fields - self.mean) / self.deviation

    def back(self, fields: Tensor) -> Tensor:
        """The fields in the data's units."""
        return fields * self.deviation + self.mean


def count(*modules: nn.Module) -> int:
    """The number of weights."""
    return sum(p.numel() for module in modules for p in module.parameters())


def draw(fields: Tensor, generator: torch.Generator, size: int = BATCH) -> Tensor:
    """A batch of members, drawn with replacement."""
    return fields[torch.randint(len(fields), (size,), generator=generator)]


def train(
    modules: Sequence[nn.Module],
    loss: Callable[[int], Tensor],
    watch: Watch,
    *,
    rate: float = RATE,
    average: bool = True,
) -> Spent:
    """Descends `loss(step)`; leaves the averaged weights in place."""
    parameters = [p for module in modules for p in module.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=rate, betas=(0.9, 0.99), weight_decay=DECAY)
    mean = [p.detach().clone() for p in parameters]
    spent = Spent(weights=sum(p.numel() for p in parameters))
    while (done := watch(spent)) < 1:
        warm = min((spent.steps + 1) / WARM_UP, 1.0)
        for group in optimizer.param_groups:
            group["lr"] = rate * warm * 0.5 * (1 + math.cos(math.pi * done))
        value = loss(spent.steps)
        optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        spent.steps += 1
        spent.losses.append(value.item())
        smooth = min(SMOOTH, spent.steps / (spent.steps + 9)) if average else 0.0
        with torch.no_grad():
            for old, new in zip(mean, parameters, strict=True):
                old.lerp_(new, 1 - smooth)
    with torch.no_grad():
        for old, new in zip(mean, parameters, strict=True):
            new.copy_(old)
    return spent


class Watch:
    """Tells the share of a budget that is spent, 1 at its end, and notes it down."""

    def __init__(self, budget: Budget) -> None:
        self.budget, self.wall, self.cpu = budget, time.monotonic(), time.process_time()

    def __call__(self, spent: Spent) -> float:
        spent.seconds = time.monotonic() - self.wall
        spent.cpu = time.process_time() - self.cpu
        if self.budget.seconds == 0:
            return 1.0
        clock = spent.cpu if self.budget.clock == "cpu" else spent.seconds
        return max(clock / self.budget.seconds, spent.steps / self.budget.steps)
