r"""Calibration: is the variance of every shell right along the path, and what to do if not.

In the unit-variance variable y an exact denoiser keeps E|y_k|^2 = 1 at every time; in general

    d E|y_k|^2 / d theta = -2 E[F_k y_k],

so the spectrum of samples is right if E[F_k y_k] = 0, which is E[D_k xi_k] = E x_k^2. `table`
measures the ratio of these two on given fields. `level` measures the drift along one sampling
pass, where the errors of earlier steps count too, and returns the gains that undo it; `apply` lets
the sampler use them. Gains are of shells and times alone, so a member remains a function of its
address, and an exact denoiser has gains of 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from pushforward.generative.basis import Basis
from pushforward.generative.denoiser import Denoiser, angle
from pushforward.generative.draw import Sampler
from pushforward.generative.kernel import Dynamics
from pushforward.generative.sampler import Levels, Normals

SEEN = 4.0  # |log snr| beyond which nothing is left to learn about a coefficient


@torch.no_grad()
def level(
    sampler: Sampler,
    denoiser: Denoiser,
    basis: Basis,
    levels: Levels,
    normals: Normals,
    *,
    dynamics: Dynamics | None = None,
    batch: int = 32,
) -> Tensor:
    """The log gains (step + 1, channel, shell), cumulative, that keep each shell's power.

    They are those of this sampler; other numbers of steps interpolate them. `normals(i)` are
    (member, channel, mode). A flow's power is taken relative to the same members' start, which
    removes most of the sampling error; a diffusion forgets its start, so there a shell is left
    alone where its power is within two standard errors.

    >>> from pushforward.generative import FourierBasis, GaussianDenoiser, Path
    >>> from pushforward.solvers import GaussianField, Grid, Use
    >>> u = GaussianField.matern(3.0, 0.5, cutoff=3).sample(range(32), Grid((8, 8)))[:, None]
    >>> basis = FourierBasis.fit(u, Grid((8, 8)))
    >>> normals = lambda i: basis.noise(0, Use.CALIBRATION, range(8), i)
    >>> levels = Path().on(basis.modes)
    >>> level(Sampler(steps=3), GaussianDenoiser(), basis, levels, normals).abs().max().item()
    0.0
    """
    start = normals(0)
    kept = basis.mask.to(start)
    origin = basis.shell_mean(start.square().mean(0) if sampler.reversal == 0 else kept)
    error = (2 / (len(start) * basis.shell_sum(kept)).clamp_min(1)).sqrt()
    slack = 0.0 * error if sampler.reversal == 0 else 2 * error
    log_gain = start.new_zeros(sampler.steps + 1, basis.channels, basis.shells)

    def watch(i: int, y: Tensor) -> Tensor:
        if i == 0:
            return y
        power = basis.shell_mean(y.square().mean(0))
        ratio = torch.where(origin > 0, power / origin.clamp_min(1e-12), 1.0)
        step = -0.5 * torch.log(ratio.clamp(0.01, 100.0))
        step = torch.where((ratio - 1).abs() < slack, 0.0, step)
        log_gain[i] = log_gain[i - 1] + step
        return y * torch.exp(step)[:, basis.shell]

    few = InBatches(denoiser, batch)
    sampler(few, levels, normals, dynamics=dynamics, watch=watch)
    return log_gain


def apply(log_gain: Tensor, basis: Basis, steps: int) -> Callable[[int, Tensor], Tensor]:
    """What a sampler of `steps` steps does to y before step i, and at the end."""
    count = len(log_gain) - 1
    # the state before step i of S is at time 1 - i / (S - 1); the last one is at the end
    inner = torch.linspace(0, max(count - 1, 0), steps, device=log_gain.device)
    at = torch.cat([inner, inner.new_full((1,), count)])
    low = at.floor().long().clamp_max(count - 1)
    gains = torch.lerp(log_gain[low], log_gain[low + 1], (at - low)[:, None, None])

    def watch(i: int, y: Tensor) -> Tensor:
        return y * torch.exp(gains[i] - gains[i - 1])[:, basis.shell] if i else y

    return watch


@torch.no_grad()
def table(
    denoiser: Denoiser,
    basis: Basis,
    levels: Levels,
    batches: Iterable[tuple[Tensor, Tensor, Tensor, Tensor]],
    bins: int = 8,
) -> dict[str, Any]:
    """E[D xi] / E x^2 over (x, t, eps, log_snr), ready for JSON; 1 for an exact denoiser.

    `log_snr` (bin,) is the clock's level, `ratio` (bin, channel, shell) the ratio, None where the
    shell's own log snr is beyond +-4: there is nothing to learn there.
    """
    shape = (bins, basis.channels, basis.shells)
    found, power = (torch.zeros(shape, device=basis.mask.device) for _ in range(2))
    for x, t, eps, log_snr in batches:
        theta = angle(log_snr)
        y = torch.cos(theta) * x + torch.sin(theta) * eps
        correction = denoiser.correction(y, log_snr)
        estimate = torch.cos(theta) * y + torch.sin(theta) * correction
        seen = ((log_snr.abs() < SEEN) & basis.mask).to(x)
        place = (t * bins).long().clamp_max(bins - 1)
        found.index_add_(0, place, basis.shell_sum(estimate * y / torch.cos(theta) * seen))
        power.index_add_(0, place, basis.shell_sum(x.square() * seen))
    ratio = torch.where(power > 0, found / power.clamp_min(1e-30), math.nan)
    clock = levels.clock((torch.arange(bins, device=power.device) + 0.5) / bins)
    rows = [[[v if v == v else None for v in row] for row in c] for c in ratio.tolist()]
    return {"log_snr": clock.tolist(), "ratio": rows}


class InBatches(Denoiser):
    """A denoiser evaluated on a few members at a time."""

    def __init__(self, denoiser: Denoiser, batch: int) -> None:
        super().__init__()
        self.denoiser, self.batch = denoiser, batch

    def correction(self, y: Tensor, log_snr: Tensor) -> Tensor:
        parts = zip(y.split(self.batch), log_snr.split(self.batch), strict=True)
        return torch.cat([self.denoiser.correction(*part) for part in parts])
