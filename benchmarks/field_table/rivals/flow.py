r"""Functional flow matching, and flow matching with minibatch optimal transport.

    u_t = t u + (1 - (1 - s) t) n,       velocity u - (1 - s) n,       s = 1e-4,

is learnt by its mean square error and integrated by Heun's rule, two evaluations a step.

    ffm     n is a Gaussian field of Matern's kernel, smoothness 1/2, length 0.05 of the box. (The
            benchmark's length, 0.001, is white noise on 64 points: neighbours correlate 1e-7.)
    ot_cfm  n is white, and within a batch noise and data are paired by the least sum of squared
            distances (exactly; the benchmark draws the pairs from an entropic plan)

    Kerrigan et al., arXiv:2305.17209; Tong et al., arXiv:2302.00482
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from pushforward.generative import Backbone
from pushforward.solvers import GaussianField, Grid

from .network import Network, in_batches, white
from .rival import BATCH, Budget, Spent, Standard, draw, train

SMALLEST, LENGTH, EVALUATIONS = 1e-4, 0.05, 20
POOL = 2048  # fields of noise drawn at once


@dataclass
class Noise:
    """Draws of the noise: white, or Matern's."""

    channels: int
    coloured: bool

    def __call__(self, count: int, grid: Grid, generator: torch.Generator) -> Tensor:
        if not self.coloured:
            return white(count, self.channels, grid, generator)
        exponent = (1 + grid.ndim) / 2
        law = GaussianField.matern(exponent, LENGTH * grid.extent[0], deviation=1.0)
        seed = int(torch.randint(2**31, (1,), generator=generator))
        fields = law.sample(range(count * self.channels), grid, seed=seed).float()
        return fields.unflatten(0, (count, self.channels))


@dataclass
class Flow:
    """A network of the velocity."""

    network: Network
    noise: Noise
    standard: Standard
    grid: Grid
    spent: Spent
    evaluations: int = EVALUATIONS

    @torch.no_grad()
    def sample(
        self, count: int, seed: int = 0, evaluations: int | None = None, grid: Grid | None = None
    ) -> Tensor:
        """Members (count, channel, *grid); one evaluation is a step of Euler's."""
        generator = torch.Generator().manual_seed(seed)
        number = evaluations or self.evaluations
        steps = max(1, number // 2)
        out = []
        for size in in_batches(count):
            u = self.noise(size, grid or self.grid, generator)
            for i in range(steps):
                v = self.network(u, i / steps)
                if number > 1:
                    v = (v + self.network(u + v / steps, (i + 1) / steps)) / 2
                u = u + v / steps
            out.append(self.standard.back(u))
        return torch.cat(out)


def paired(noise: Tensor, fields: Tensor) -> Tensor:
    """The noise in the order that pairs it with fields at the least sum of squared distances."""
    cost = torch.cdist(fields.flatten(1), noise.flatten(1)).square()
    return noise[linear_sum_assignment(cost.numpy())[1]]


def fit(
    fields: Tensor,
    grid: Grid,
    network: Backbone,
    budget: Budget,
    seed: int,
    *,
    coloured: bool,
    transport: bool,
) -> Flow:
    """Learns the velocity."""
    standard, channels = Standard(fields), fields.shape[1]
    net = Network(network, channels, channels, grid.ndim, seed)
    generator, noise = torch.Generator().manual_seed(seed), Noise(channels, coloured)
    pool = noise(POOL, grid, generator)

    def loss(step: int) -> Tensor:
        u = standard(draw(fields, generator))
        n = draw(pool, generator) if coloured else noise(BATCH, grid, generator)
        n = paired(n, u) if transport else n
        t = torch.rand(len(u), generator=generator)
        at = t.view(-1, *[1] * (u.ndim - 1))
        velocity = u - (1 - SMALLEST) * n
        return (net(at * u + (1 - (1 - SMALLEST) * at) * n, t) - velocity).square().mean()

    return Flow(net, noise, standard, grid, train([net], loss, budget))


fit_ffm = partial(fit, coloured=True, transport=False)
fit_ot_cfm = partial(fit, coloured=False, transport=True)
