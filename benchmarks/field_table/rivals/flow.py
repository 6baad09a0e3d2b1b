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

from collections.abc import Callable
from functools import partial

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from pushforward.generative import Backbone
from pushforward.solvers import Grid

from .drawing import Drawing, Noise
from .network import Network
from .rival import BATCH, Standard, Watch, draw, train

SMALLEST, EVALUATIONS = 1e-4, 20
POOL = 2048  # fields of noise drawn at once


def march(
    network: Callable[..., Tensor], u: Tensor, evaluations: int, generator: torch.Generator
) -> Tensor:
    """Heun's steps; one evaluation is a step of Euler's."""
    steps = max(1, evaluations // 2)
    for i in range(steps):
        v = network(u, i / steps)
        if evaluations > 1:
            v = (v + network(u + v / steps, (i + 1) / steps)) / 2
        u = u + v / steps
    return u


def paired(noise: Tensor, fields: Tensor) -> Tensor:
    """The noise in the order that pairs it with fields at the least sum of squared distances."""
    cost = torch.cdist(fields.flatten(1), noise.flatten(1)).square()
    return noise[linear_sum_assignment(cost.numpy())[1]]


def fit(
    fields: Tensor,
    grid: Grid,
    network: Backbone,
    watch: Watch,
    seed: int,
    *,
    coloured: bool,
    transport: bool,
) -> Drawing:
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

    spent = train([net], loss, watch)
    return Drawing(net, noise, march, standard, grid, spent)


fit_ffm = partial(fit, coloured=True, transport=False)
fit_ot_cfm = partial(fit, coloured=False, transport=True)
