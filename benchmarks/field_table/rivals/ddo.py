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
from functools import partial

import torch
from torch import Tensor

from pushforward.generative import Backbone
from pushforward.solvers import Grid

from .drawing import Drawing, Noise, white
from .network import Network
from .rival import Standard, Watch, draw, train

LEVELS, FIRST, LAST, INNER, STEP = 10, 1.0, 0.01, 199, 2e-4


def variances() -> Tensor:
    """s of every level, from the first."""
    return torch.logspace(0, 1, LEVELS, base=LAST / FIRST) * FIRST


def march(
    network: Callable[..., Tensor],
    u: Tensor,
    evaluations: int,
    generator: torch.Generator,
    *,
    corrected: bool,
) -> Tensor:
    """Annealed Langevin dynamics; fewer evaluations take longer steps."""
    inner = max(1, evaluations // LEVELS)
    step = STEP * INNER / inner
    if corrected:
        u = u * FIRST**0.5
    for i, s in enumerate(variances().tolist()):
        h = step * s / LAST
        for _ in range(inner):
            answer = network(u, i / LEVELS)
            score = answer / s**0.5 if corrected else answer
            u = u + h * score + (2 * h) ** 0.5 * white(u, generator)
    if corrected:
        u = u + LAST**0.5 * network(u, (LEVELS - 1) / LEVELS)
    return u


def fit(
    fields: Tensor,
    grid: Grid,
    network: Backbone,
    watch: Watch,
    seed: int,
    *,
    corrected: bool,
) -> Drawing:
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

    spent = train([net], loss, watch)
    way = partial(march, corrected=corrected)
    return Drawing(net, Noise(channels), way, standard, grid, spent)


fit_published = partial(fit, corrected=False)
fit_corrected = partial(fit, corrected=True)
