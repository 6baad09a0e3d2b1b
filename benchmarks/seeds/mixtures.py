r"""Mixtures whose denoiser is known: how far a network is from it, where it learnt and finer.

The score of noised whitened coefficients is (D(xi) - xi) snr, so an error of the denoiser is one
of the score, and is told relative to what there is to know,

    sum |D - D*|^2 / sum |D* - D_Gauss|^2,

D* the exact denoiser of the mixture, D_Gauss the best linear one, for which it is 1. On a finer
grid the waves that the network never saw are denoised linearly, with their continued spectrum.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward import Archive, Study
from pushforward.generative import Basis, Denoiser, GaussianDenoiser, MixtureDenoiser
from pushforward.solvers import GaussianField, GaussianMixture, Grid, Use

TIMES, MEMBERS = 12, 256


def score_errors(archive: Archive, studies: Mapping[str, Study]) -> dict[str, Any]:
    """Relative squared errors of the score on every study's grid, along the path, for JSON.

    Members are those that no training saw: the last ones of the simulation.
    """
    found = {}
    for name, study in studies.items():
        simulation, generation = study.simulation, study.generation
        law = simulation.data
        if not isinstance(law, GaussianMixture):
            raise TypeError(f"expected a mixture, got {type(law).__name__}; give one as data")
        surrogate, grid = archive.surrogate(study.training), generation.target
        count = min(MEMBERS, simulation.members)
        numbers = range(simulation.members - count, simulation.members)
        fields = law.draw(numbers, simulation.grid, simulation.seed)
        basis = surrogate.basis.extend(grid) if generation.extend else surrogate.basis
        x = basis.analyse(simulation.grid.resample(fields, grid), grid).float()
        exact, linear = of_law(law, basis, grid), _linear(x)
        known = surrogate.basis.mask.shape[1]
        levels = basis_levels(surrogate.levels, x.shape[-1])
        errors, scale, by_time = 0.0, 0.0, []
        for step, t in enumerate(torch.linspace(0.05, 0.95, TIMES)):
            log_snr = levels(t.expand(len(x)))
            eps = basis.noise(0, Use.VALIDATION, numbers, step)
            xi = x + torch.exp(-log_snr / 2) * eps
            own = linear(xi, log_snr)
            own[..., :known] = surrogate.denoiser(xi[..., :known], log_snr[..., :known])
            best = exact(xi.double(), log_snr.double()).float()
            error = float(((own - best) ** 2).sum())
            size = float(((best - linear(xi, log_snr)) ** 2).sum())
            errors, scale = errors + error, scale + size
            by_time.append(error / size)
        found[name] = {
            "points": list(grid.shape),
            "relative_error": errors / scale,
            "by_time": by_time,
            "members": count,
        }
    return found


def basis_levels(levels: Any, modes: int) -> Any:
    """A path's levels for more coefficients than it knows: the others take the last one's."""

    def extended(t: Tensor) -> Tensor:
        own = levels(t).float()
        more = own[..., -1:].expand(*own.shape[:-1], max(modes - own.shape[-1], 0))
        return torch.cat([own, more], -1)

    return extended


def of_law(law: GaussianMixture, basis: Basis, grid: Grid) -> Denoiser:
    """The exact denoiser of a law's whitened coefficients, whose covariance is diagonal there."""
    means = basis.analyse(law.components(grid)[:, None], grid)
    if not isinstance(law.field, GaussianField):
        raise TypeError(f"expected a field with a spectrum, got {type(law.field).__name__}")
    one = torch.eye(grid.size, dtype=torch.float64).view(-1, 1, *grid.shape)
    origin = basis.analyse(torch.zeros_like(one[:1]), grid)
    rows = (basis.analyse(one, grid) - origin)[:, 0].T.reshape(-1, *grid.shape)
    image = grid.size * grid.ifft(grid.fft(rows) * law.field.symbol(grid))
    variances = (rows * image).flatten(1).sum(1).expand(len(law.means), 1, -1)
    return MixtureDenoiser(law.probabilities, means, variances)


def _linear(x: Tensor) -> Denoiser:
    return GaussianDenoiser(torch.ones(1, x.shape[-1]))


def diverged(archive: Archive, studies: Mapping[str, Study]) -> dict[str, dict[str, int]]:
    """How many members of every ensemble are not finite, or ten times as large as any known."""
    found = {}
    for name, study in studies.items():
        (channel, *_), largest = study.simulation.channels, 0.0
        known = archive.open(study.simulation)[channel]
        largest = float(np.abs(known).max())
        drawn = archive.open(study.generation)[channel].values
        drawn = drawn.reshape(len(drawn), -1)
        found[name] = {
            "not finite": int((~np.isfinite(drawn).all(1)).sum()),
            "ten times too large": int((np.abs(drawn).max(1) > 10 * largest).sum()),
            "members": len(drawn),
        }
    return found
