r"""An FNO fed with noise, trained by the energy score.

Trained by the mean square error it would answer the mean of the data whatever the noise, as
operators that are fed with noise do; so it is the energy score, whose minimum is the law itself,

    2 E|X - u| - E|X - X'|,       |.| the function's norm, X, X' draws, u data,

over all pairs of a batch.

    Gneiting, Raftery (2007), doi:10.1198/016214506000001437
"""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.generative import Backbone
from pushforward.solvers import Grid

from .drawing import Drawing, Noise, at_once
from .flow import POOL
from .network import Network
from .rival import Standard, Watch, draw, train


def energy_score(drawn: Tensor, fields: Tensor) -> Tensor:
    """2 E|X - u| - E|X - X'|, root mean squares over a field."""
    x, u = (z.flatten(1) / z[0].numel() ** 0.5 for z in (drawn, fields))
    n = len(x)
    within = torch.cdist(x, x) * (1 - torch.eye(n))
    return 2 * torch.cdist(x, u).mean() - within.sum() / (n * (n - 1))


def fit(fields: Tensor, grid: Grid, network: Backbone, watch: Watch, seed: int) -> Drawing:
    """Descends the energy score."""
    standard, noise = Standard(fields), Noise(fields.shape[1], coloured=True)
    net = Network(network, fields.shape[1], fields.shape[1], grid.ndim, seed)
    generator = torch.Generator().manual_seed(seed)
    pool = noise(POOL, grid, generator)

    def loss(step: int) -> Tensor:
        return energy_score(net(draw(pool, generator)), standard(draw(fields, generator)))

    return Drawing(net, noise, at_once, standard, grid, train([net], loss, watch))
