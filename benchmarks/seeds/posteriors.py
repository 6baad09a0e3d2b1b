"""How far an ensemble is from the draws of a posterior's chains, in figures.

Figures of an ensemble against the chains', averages over cells and cases:

    mean       |its mean - theirs| / |theirs|, relative L2
    shift      the same cell by cell, in deviations of the posterior: root mean square
    deviation  its standard deviation over theirs
    w1         W1 of the `LEADING` largest waves of the prior, in deviations of the posterior
    crps       fair CRPS of the truth, and of theirs
    z          |truth - its mean| in its deviations: 0.8 where a Gaussian posterior is right
    below      share of values at the least log a that is believed, among them a <= 0, which a
               surrogate of a (and not of log a) can draw
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pushforward.forecast import crps
from pushforward.solvers import GaussianField, Grid

LEADING = 12  # waves


def leading(z: Tensor, prior: GaussianField, grid: Grid) -> Tensor:
    """The coefficients (..., wave) of the prior's largest waves, which it draws of variance 1."""
    largest = prior.symbol(grid).flatten().topk(LEADING).indices
    return prior.whiten(z.double(), grid).flatten(-grid.ndim)[..., largest]


def figures(
    u: Tensor, theirs: Tensor, truth: Tensor, prior: GaussianField, grid: Grid
) -> dict[str, float]:
    """Those of an ensemble (member, *grid) against the chains' draws (see the module)."""
    mean, width, known, scale = u.mean(0), u.std(0), theirs.mean(0), theirs.std(0)
    waves = leading(theirs, prior, grid)
    few = theirs[torch.linspace(0, len(theirs) - 1, min(len(theirs), 1024)).long()]
    return {
        "mean": float((mean - known).norm() / known.norm()),
        "shift": float(((mean - known) / scale).square().mean().sqrt()),
        "deviation": float((width / scale).mean()),
        "w1": float((apart(leading(u, prior, grid), waves) / waves.std(0)).mean()),
        "crps": float(crps(u[None], truth[None]).mean()),
        "chains_crps": float(crps(few[None], truth[None]).mean()),
        "z": float(((truth - mean) / width).abs().mean()),
    }


def apart(u: Tensor, v: Tensor) -> Tensor:
    """W1 of samples (member, wave) and (other, wave), wave by wave."""
    at = (torch.arange(512, dtype=torch.float64) + 0.5) / 512
    return (u.quantile(at, 0) - v.quantile(at, 0)).abs().mean(0)


def averages(each: list[dict[str, float]]) -> dict[str, Any]:
    """Means over cases; the cases' own numbers beside them."""
    names = each[0]
    means = {name: sum(one[name] for one in each) / len(each) for name in names}
    return means | {"cases": each}
