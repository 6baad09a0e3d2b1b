r"""Denoising diffusion operators, as the benchmark's code has them and as they should be.

Ten levels of noise variance s from 1 to 0.01, geometric; u + sqrt(s) xi, and the network learns
-xi. The preconditioned score is then network / sqrt(s), and annealed Langevin dynamics

    u <- u + h score + sqrt(2 h) xi,        h = 2e-4 s / s_L,        199 times a level,

samples the law. The published code has `network` where the score should be: a missing
1 / sqrt(s), so that it draws from the law to the power sqrt(s), ten times too hot at the last
level. `corrected` divides, starts from noise of the first level, and ends with the estimate
u + sqrt(s_L) network. xi is white (the published length, 0.001, is white on the benchmark's grid).

    Lim et al., arXiv:2302.07400; the code: GavinKerrigan/functional_flow_matching, diffusion.py
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from pushforward.generative import Backbone
from pushforward.solvers import Grid

from .network import Network, in_batches, white
from .rival import Budget, Spent, Standard, draw, train

LEVELS, FIRST, LAST, INNER, STEP = 10, 1.0, 0.01, 199, 2e-4


def variances() -> Tensor:
    """s of every level, from the first."""
    return torch.logspace(0, 1, LEVELS, base=LAST / FIRST) * FIRST


@dataclass
class DDO:
    """A network of the noise, and a sampler that is right or not."""

    network: Callable[..., Tensor]
    standard: Standard
    grid: Grid
    channels: int
    spent: Spent
    corrected: bool
    evaluations: int = LEVELS * INNER

    @torch.no_grad()
    def sample(
        self, count: int, seed: int = 0, evaluations: int | None = None, grid: Grid | None = None
    ) -> Tensor:
        """Members (count, channel, *grid); fewer evaluations take longer steps."""
        generator = torch.Generator().manual_seed(seed)
        inner = max(1, (evaluations or self.evaluations) // LEVELS)
        step = STEP * INNER / inner
        out = []
        for size in in_batches(count):
            u = white(size, self.channels, grid or self.grid, generator)
            if self.corrected:
                u = u * FIRST**0.5
            for i, s in enumerate(variances().tolist()):
                h = step * s / LAST
                for _ in range(inner):
                    answer = self.network(u, i / LEVELS)
                    score = answer / s**0.5 if self.corrected else answer
                    xi = white(size, self.channels, grid or self.grid, generator)
                    u = u + h * score + (2 * h) ** 0.5 * xi
            if self.corrected:
                u = u + LAST**0.5 * self.network(u, (LEVELS - 1) / LEVELS)
            out.append(self.standard.back(u))
        return torch.cat(out)


def fit(
    fields: Tensor,
    grid: Grid,
    network: Backbone,
    budget: Budget,
    seed: int,
    *,
    corrected: bool,
) -> DDO:
    """Learns -xi by its mean square error, all levels alike."""
    standard, channels = Standard(fields), fields.shape[1]
    net = Network(network, channels, channels, grid.ndim, seed)
    generator, s = torch.Generator().manual_seed(seed), variances()

    def loss(step: int) -> Tensor:
        u = standard(draw(fields, generator))
        level = torch.randint(LEVELS, (len(u),), generator=generator)
        xi = torch.randn(u.shape, generator=generator)
        noisy = u + s[level].sqrt().view(-1, *[1] * (u.ndim - 1)) * xi
        return (net(noisy, level / LEVELS) + xi).square().mean()

    return DDO(net, standard, grid, channels, train([net], loss, budget), corrected)


fit_published = partial(fit, corrected=False)
fit_corrected = partial(fit, corrected=True)
