r"""Preconditioned Crank-Nicolson: a Markov chain whose steps do not shrink as a grid is refined.

Of a Gaussian prior N(0, C) and a misfit Phi(u) = |G(u) - o|^2 / (2 s^2) the posterior has the
density exp(-Phi) with respect to the prior. The proposal

    u' = sqrt(1 - b^2) u + b xi,    xi ~ N(0, C),

leaves the prior as it is, so it is accepted with probability min(1, exp(Phi(u) - Phi(u'))), in
which the prior does not appear. One b serves all chains. It is moved while they burn in, towards
`AIM` of all proposals accepted, and stays where it is then. Over the first half of burning in Phi
is turned on, as the square of the step: at once it would leave chains where they first fell.

Many chains run as one batch. Whether they have forgotten where they began, draws of the prior, is
told by split R-hat, and what their draws are worth by the effective sample size, with Geyer's
initial monotone sequence of the autocorrelations of all chains together.

    Cotter, Roberts, Stuart, White, Statist. Sci. 28 (2013), doi:10.1214/13-STS421
    Gelman et al., Bayesian data analysis (2013), 11.4, 11.5, for R-hat and the sample size;
    Geyer, Statist. Sci. 7 (1992), doi:10.1214/ss/1177011137, for the sequence
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.solvers import Grid, Use
from pushforward.solvers.normals import uniforms
from pushforward.solvers.white_noise import white

AIM = 0.25  # of all proposals
LARGEST = 0.6  # step: longer ones gain little, and far out find nothing that is accepted


@dataclass(frozen=True)
class Length:
    """How many chains, for how long: steps to burn in, steps after these, of which one in `every`
    is kept; `seed` addresses all their numbers.

    Raises ValueError for fewer than 2 chains or 4 draws of each.
    """

    chains: int
    burn_in: int
    steps: int
    every: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.chains < 2 or self.every < 1 or self.steps < 4 * self.every or self.burn_in < 0:
            raise ValueError(
                "expected at least 2 chains and 4 draws of each, got "
                f"{self.chains} chains, {self.burn_in} + {self.steps} steps, one in {self.every} "
                "kept; ask for more"
            )


@dataclass(frozen=True, eq=False)
class Chains:
    """White coefficients (draw, chain, *grid.spectral_shape) of the posterior's draws, the share
    of proposals accepted after burning in, and the step b."""

    draws: Tensor
    accepted: float
    step: float


def run(misfit: Callable[[Tensor], Tensor], grid: Grid, length: Length) -> Chains:
    """Chains from draws of the prior, in the white coefficients w of fields C^{1/2} w.

    `misfit` takes them (chain, *grid.spectral_shape) to Phi (chain,). Raises FloatingPointError
    for a misfit that is no number.
    """
    members, words = range(length.chains), [torch.arange(1)]
    u = white(members, grid, length.seed, Use.PRIOR)
    phi, b, kept, accepted = misfit(u), LARGEST / 2, [], 0.0
    for i in range(length.burn_in + length.steps):
        xi = white(members, grid, length.seed, Use.CHURN, step=i)
        new = proposed(u, xi, b)
        other = misfit(new)
        if not bool(other.isfinite().all()):
            raise FloatingPointError(
                f"the misfit of chain {int(other.isfinite().int().argmin())} at step {i} is "
                "no number; give one that is finite for all draws of the prior"
            )
        heat = min(1.0, (2 * (i + 1) / length.burn_in) ** 2) if i < length.burn_in else 1.0
        chance = (heat * (phi - other)).clamp_max(0).exp()
        yes = uniforms(length.seed, Use.CHURN, members, words, step=i)[:, 0] < chance
        u = torch.where(yes.view(-1, *[1] * grid.ndim), new, u)
        phi = torch.where(yes, other, phi)
        if i < length.burn_in:
            b = moved(b, float(chance.mean()), i)
            continue
        accepted += float(yes.double().mean()) / length.steps
        if (i - length.burn_in + 1) % length.every == 0:
            kept.append(u)
    return Chains(torch.stack(kept), accepted, b)


def proposed(u: Tensor, xi: Tensor, b: float) -> Tensor:
    """Crank and Nicolson's step, which the prior survives."""
    return math.sqrt(1 - b**2) * u + b * xi


def moved(b: float, accepted: float, i: int) -> float:
    """The i-th change of a step (Robbins, Monro), in log odds: it stays below the largest."""
    odds = math.log(b / (LARGEST - b)) + 5 * (accepted - AIM) / math.sqrt(i + 25)
    return LARGEST / (1 + math.exp(-min(odds, 10.0)))


def r_hat(x: Float[Tensor, "draw chain ..."]) -> Float[Tensor, ...]:
    """Split R-hat: the deviation over all half chains, over that within one; 1 where they agree.

    >>> x = torch.randn(100, 8, 1, generator=torch.Generator().manual_seed(0))
    >>> bool(r_hat(x) < 1.05), bool(r_hat(x + torch.arange(8.0)[:, None]) > 1.5)
    (True, True)
    """
    within, total = _variances(_split(x))
    return (total / within).sqrt()


def effective_size(x: Float[Tensor, "draw chain ..."]) -> Float[Tensor, ...]:
    """How many independent draws would know the mean as well.

    >>> x = torch.randn(200, 8, 1, generator=torch.Generator().manual_seed(0))
    >>> bool((effective_size(x) / 1600 - 1).abs() < 0.2)
    True
    """
    x = _split(x.double())
    draws, chains = x.shape[:2]
    within, total = _variances(x)
    wave = torch.fft.rfft(x - x.mean(0), 2 * draws, dim=0)
    power = wave.abs().square().mean(1)  # the mean over chains, of what is linear anyway
    covariance = torch.fft.irfft(power, 2 * draws, dim=0)[:draws] / draws
    rho = 1 - (within - covariance * draws / (draws - 1)) / total
    rho[0] = 1
    pairs = rho[: draws // 2 * 2].unflatten(0, (-1, 2)).sum(1)
    pairs = torch.where((pairs > 0).cumprod(0).bool(), pairs, 0.0).cummin(0).values
    return chains * draws / (2 * pairs.sum(0) - 1)


def _split(x: Tensor) -> Tensor:
    """Every chain as two."""
    half = len(x) // 2
    return torch.cat([x[:half], x[-half:]], 1)


def _variances(x: Tensor) -> tuple[Tensor, Tensor]:
    """The variance within a chain, and an estimate of the whole that errs upwards."""
    within, draws = x.var(0).mean(0), len(x)
    return within, (draws - 1) / draws * within + x.mean(0).var(0)
