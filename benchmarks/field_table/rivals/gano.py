r"""GANO: a generator and a critic of functions, with the gradient penalty as it should be.

The critic descends E D(G(n)) - E D(u) + 10 E(|dD| - 1)^2 five times for each step of the
generator's up E D(G(n)). The penalty is taken between data and draws at weights uniform in [0, 1]
(published implementations draw them from a normal law, and so look beside the segment), and |dD|
is the norm of the functional derivative, sqrt(points) times that of the gradient by values: the
same on every grid. The critic is the network's mean over the box.

    Rahman et al., GANO, arXiv:2205.03017; Gulrajani et al., arXiv:1704.00028
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from pushforward.generative import Backbone
from pushforward.solvers import Grid

from .drawing import Drawing, Noise, at_once
from .flow import POOL
from .network import Network
from .rival import Spent, Standard, Watch, count, draw

PENALTY, CRITIC_STEPS, RATE = 10.0, 5, 3e-4


class Critic(nn.Module):
    """A functional: the mean over the box of a network's answer, not zero to begin with."""

    def __init__(self, backbone: Backbone, channels: int, ndim: int, seed: int) -> None:
        super().__init__()
        self.network = Network(backbone, channels, 1, ndim, seed)
        nn.init.normal_(self.network.network.project.weight, std=backbone.width**-0.5)

    def forward(self, u: Tensor) -> Tensor:
        return self.network(u).flatten(1).mean(1)


def penalty(
    critic: Callable[[Tensor], Tensor], real: Tensor, drawn: Tensor, generator: torch.Generator
) -> Tensor:
    """E(|dD| - 1)^2 on the segments between pairs."""
    weight = torch.rand(len(real), *[1] * (real.ndim - 1), generator=generator)
    between = (weight * real + (1 - weight) * drawn).requires_grad_(True)
    slope = torch.autograd.grad(critic(between).sum(), between, create_graph=True)[0]
    size = (slope.flatten(1).square().sum(1) * real[0].numel() + 1e-12).sqrt()
    return (size - 1).square().mean()


def fit(fields: Tensor, grid: Grid, network: Backbone, watch: Watch, seed: int) -> Drawing:
    """Plays the game; a step is one of the critic's."""
    standard, noise = Standard(fields), Noise(fields.shape[1], coloured=True)
    generator = torch.Generator().manual_seed(seed)
    pool = noise(POOL, grid, generator)
    net = Network(network, fields.shape[1], fields.shape[1], grid.ndim, seed)
    critic = Critic(network, fields.shape[1], grid.ndim, seed + 1)
    ours, theirs = (
        torch.optim.Adam(m.parameters(), lr=RATE, betas=(0.0, 0.9)) for m in (net, critic)
    )
    spent = Spent(weights=count(net, critic))
    while watch(spent) < 1:
        real = standard(draw(fields, generator))
        with torch.no_grad():
            drawn = net(draw(pool, generator))
        gap = critic(drawn).mean() - critic(real).mean()
        value = gap + PENALTY * penalty(critic, real, drawn, generator)
        theirs.zero_grad()
        value.backward()
        theirs.step()
        spent.losses.append(-gap.item())
        spent.steps += 1
        if spent.steps % CRITIC_STEPS == 0:
            ours.zero_grad()
            (-critic(net(draw(pool, generator))).mean()).backward()
            ours.step()
    return Drawing(net, noise, at_once, standard, grid, spent)
