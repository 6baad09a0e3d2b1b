r"""What a denoiser leaves unknown of every coefficient, as a table over levels and shells.

Of x seen through noise a denoiser D misses x - D = sin(theta) (T - F), with T of unit variance the
target of F (see `denoiser`). Its variance is that of the Wiener filter, sin(theta)^2, times

    r(lambda, channel, shell) = E (T - F)^2,

1 for the Gaussian surrogate and less where the network knows more: what follows from large scales,
or from another channel. Guidance weighs what is seen against it (see `guidance`).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.generative.basis import Basis
from pushforward.generative.denoiser import Denoiser, angle

LEAST = 1e-3  # a network is not believed to leave less
LEVELS = 16


def remainder(
    denoiser: Denoiser,
    basis: Basis,
    levels: Float[Tensor, "level channel mode"],
    x: Float[Tensor, "member channel mode"],
    normals: Callable[[int], Float[Tensor, "member channel mode"]],
    *,
    batch: int,
) -> Float[Tensor, "level channel shell"]:
    """r of whitened fields x at every level, seen through the i-th normals at the i-th one.

    >>> from pushforward.generative import GaussianDenoiser, PixelBasis
    >>> from pushforward.solvers import Grid
    >>> u = torch.randn(500, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    >>> basis = PixelBasis.fit(u, Grid((4, 4)))
    >>> x, eps = basis.analyse(u, Grid((4, 4))), torch.randn_like(u).flatten(2)
    >>> r = remainder(GaussianDenoiser(), basis, torch.zeros(1, 1, 16), x, lambda i: eps, batch=64)
    >>> round(float(r.mean()), 1)
    1.0
    """
    rows = []
    for i, level in enumerate(levels):
        theta, eps = angle(level), normals(i)
        y, target = theta.cos() * x + theta.sin() * eps, theta.sin() * x - theta.cos() * eps
        missed = [
            (goal - denoiser.correction(some, level.expand_as(some))).square().sum(0)
            for some, goal in zip(y.split(batch), target.split(batch), strict=True)
        ]
        power = torch.stack(missed).sum(0) / len(x) * basis.mask
        kept = basis.shell_mean(basis.mask.to(power)).clamp_min(1e-30)
        rows.append(basis.shell_mean(power) / kept)
    return torch.stack(rows).clamp_min(LEAST)


def between(
    table: Float[Tensor, "level channel shell"],
    levels: Float[Tensor, "level channel mode"],
    basis: Basis,
    at: Float[Tensor, "channel mode"],
) -> Float[Tensor, "channel mode"]:
    """r at other log snr, coefficient by coefficient; beyond the ends what it is there.

    `levels` fall from the first to the last, as along a path.
    """
    rows = table[..., basis.shell]
    place = (levels > at).sum(0, keepdim=True).clamp(1, len(levels) - 1)
    (high,), (low,) = levels.gather(0, place - 1), levels.gather(0, place)
    share = ((high - at) / (high - low).clamp_min(1e-6)).clamp(0, 1)
    above, below = rows.gather(0, place - 1)[0], rows.gather(0, place)[0]
    return above + share * (below - above)
