r"""White-noise DDPM: u_t = sqrt(g_t) u + sqrt(1 - g_t) eps, eps white, and the noise is learnt.

g_t is the product of 1 - b, b linear from 1e-4 to 0.02 over T = 1000, as in the benchmark. Drawn
by the ancestral rule on every (T / evaluations)-th level.

    Ho et al., arXiv:2006.11239; Kerrigan et al., arXiv:2212.00886
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pushforward.generative import Backbone
from pushforward.solvers import Grid

from .drawing import Drawing, Noise, white
from .network import Network
from .rival import Standard, Watch, draw, train

LEVELS, FIRST, LAST, EVALUATIONS = 1000, 1e-4, 0.02, 100


def signal() -> Tensor:
    """g of levels 0 .. T."""
    kept = (1 - torch.linspace(FIRST, LAST, LEVELS, dtype=torch.float64)).cumprod(0)
    return torch.cat([torch.ones(1, dtype=torch.float64), kept])


def march(
    network: Callable[..., Tensor], u: Tensor, evaluations: int, generator: torch.Generator
) -> Tensor:
    """The ancestral rule."""
    levels = torch.linspace(LEVELS, 0, evaluations + 1).round().long()
    g = signal()
    for now, then in zip(levels[:-1].tolist(), levels[1:].tolist(), strict=True):
        noise = network(u, now / LEVELS)
        a, b = g[now].item(), g[then].item()
        clean = (u - (1 - a) ** 0.5 * noise) / a**0.5
        spread = (1 - b) / (1 - a) * (1 - a / b)
        u = b**0.5 * clean + max(1 - b - spread, 0) ** 0.5 * noise
        u = u + spread**0.5 * white(u, generator)
    return u


def fit(fields: Tensor, grid: Grid, network: Backbone, watch: Watch, seed: int) -> Drawing:
    """Learns the noise by its mean square error, all levels alike."""
    standard, channels = Standard(fields), fields.shape[1]
    net = Network(network, channels, channels, grid.ndim, seed)
    generator, g = torch.Generator().manual_seed(seed), signal().float()

    def loss(step: int) -> Tensor:
        u = standard(draw(fields, generator))
        level = torch.randint(1, LEVELS + 1, (len(u),), generator=generator)
        noise = torch.randn(u.shape, generator=generator)
        a = g[level].view(-1, *[1] * (u.ndim - 1))
        return (net(a.sqrt() * u + (1 - a).sqrt() * noise, level / LEVELS) - noise).square().mean()

    spent = train([net], loss, watch)
    return Drawing(net, Noise(channels), march, standard, grid, spent)
