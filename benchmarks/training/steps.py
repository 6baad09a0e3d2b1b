"""What is timed: a network forwards, forwards and backwards, and whole steps of a training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.batches import Batch
from pushforward.descent import descend, started
from pushforward.generative import Surrogate
from pushforward.solvers import Grid

from . import networks
from .cases import SEED, Case

Job = Callable[[], object]


def evaluation(network: nn.Module, u: Tensor, condition: Tensor) -> Job:
    """The network alone, without gradients, as samplers call it."""

    def once() -> None:
        with torch.inference_mode():
            network(u, condition)
        settle(u)

    return once


def gradient(network: nn.Module, u: Tensor, condition: Tensor) -> Job:
    """The network alone, forwards and backwards to its parameters."""
    parameters = [p for p in network.parameters() if p.requires_grad]

    def once() -> None:
        torch.autograd.grad(network(u, condition).square().mean(), parameters)
        settle(u)

    return once


def settle(u: Tensor) -> None:
    """Waits until an accelerator has done what it was told."""
    if u.is_cuda:
        torch.cuda.synchronize()


def given(case: Case, channels: int, condition: int, device: str) -> tuple[Tensor, Tensor]:
    """Fields and conditions for a network, normal numbers."""
    generator = torch.Generator().manual_seed(SEED)
    u = torch.randn(case.batch, channels, *case.grid.shape, generator=generator)
    return u.to(device), torch.randn(case.batch, condition, generator=generator).to(device)


class Here(Executor):
    """Does at once, in this thread, what the library's loop has a thread of its own for: there
    the system's allocator returns memory after every use, which is dear for the peer's layers.

    >>> list(Here().map(abs, [-1, 2]))
    [1, 2]
    """

    def map(self, fn: Callable[..., Any], *iterables: Iterable[Any], **_: Any) -> Iterator[Any]:
        """The values, one after the other."""
        return map(fn, *iterables)


class Step:
    """A step of a training, with its parts: `batch`, `descend`, `advance`; calling makes them all.

    The parts are the library's own, whoever's network it is. Complex weights are given to the
    optimiser as the pairs of real numbers that they are, so that its fused kernel takes them. With
    `one_grid` the network works at the full size of the grid for all members.
    """

    def __init__(
        self,
        case: Case,
        make: Callable[[Surrogate], nn.Module] | None = None,
        *,
        one_grid: bool = True,
    ) -> None:
        self.surrogate, self.batches, self.training = case.untrained()
        networks.install(self.surrogate, make, one_grid)
        denoiser = self.surrogate.denoiser
        self.parameters = [p for p in denoiser.parameters() if p.requires_grad]
        self.state = started([nn.Parameter(real(p)) for p in self.parameters], self.training)
        self.drawn = self.batch()

    @property
    def grids(self) -> list[Grid]:
        """The grids that the denoiser works on."""
        return networks.neural(self.surrogate).grids

    def batch(self) -> Batch:
        """The next step's batch."""
        self.drawn = self.batches(self.state.step)
        return self.drawn

    def descend(self) -> float:
        """The loss of the batch; leaves gradients in the parameters."""
        said = descend(self.surrogate, self.parameters, self.drawn, self.training, Here())
        return float(said[0])

    def advance(self) -> None:
        """Clipping, AdamW, the moving average."""
        for mine, seen in zip(self.state.parameters, self.parameters, strict=True):
            mine.grad = None if seen.grad is None else real(seen.grad)
        self.state.advance(self.training.learning_rate)

    def __call__(self) -> None:
        self.batch()
        self.descend()
        self.advance()


def real(values: Tensor) -> Tensor:
    """The same memory, seen as real numbers.

    >>> real(torch.tensor([1 + 2j])).tolist()
    [[1.0, 2.0]]
    """
    values = values.detach()
    return torch.view_as_real(values) if values.is_complex() else values
