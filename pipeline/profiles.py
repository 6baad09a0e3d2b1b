"""Curves behind the scores: spectra and densities of several ensembles, with error bands.

Each curve is a function of a sum of member rows (`pushforward.scores`), so its band is the 95%
interval over bootstrap resamples of the members. Spectra are per integer shell, in the data's
units squared; densities are of standardised values and of derivatives over their root mean square,
between the smallest and largest that the solver's held-out members have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from pushforward.draws import resampled
from pushforward.floors import yardsticks
from pushforward.members import Members
from pushforward.scores import SCORES, SLOPES, SPECTRUM, VALUES
from pushforward.solvers import Grid
from pushforward.sums import Recipe, Sums, gather
from pushforward.yardstick import Yardstick

BINS = 72
BAND = (0.025, 0.975)


def curves(
    ensembles: Mapping[str, Tensor | Members],
    pool: Tensor | Members,
    grid: Grid,
    variables: Sequence[str],
    *,
    bootstrap: int = 200,
    seed: int = 0,
) -> xr.Dataset:
    """Spectra and densities of ensembles (member, variable, *grid), in the pool's units.

    Variables `spectrum` (ensemble, variable, shell), `density` and `gradient_density` (ensemble,
    variable, bin), each also as `_low` and `_high`; `value` and `slope` are the bins' centres in
    standard deviations, `resolved` says which shells count, `energy` whether the spectrum is the
    kinetic energy's, `deviation` and `slope_unit` are the units.

    >>> u = torch.randn(16, 1, 8, 8)
    >>> curves({"solver": u}, u, Grid((8, 8)), ["u"]).spectrum.dims
    ('ensemble', 'variable', 'shell')
    """
    sticks = yardsticks(Members.of(pool), grid, variables)
    sets = []
    for name, fields in ensembles.items():
        members = Members.of(fields)
        rng = np.random.default_rng([seed, len(members)])
        sets.append((name, members, resampled(rng, len(members), bootstrap)))
    sums = gather(sets, Recipe.of(SCORES.values(), sticks, grid))
    return drawn(dict(zip(ensembles, sums, strict=True)), sticks, grid, variables)


def drawn(
    ensembles: Mapping[str, Sums],
    sticks: Sequence[Yardstick],
    grid: Grid,
    variables: Sequence[str],
) -> xr.Dataset:
    """The curves of sums of rows: of a set's own members first, then of its resamples."""
    parts = [_curves(ensembles, stick, v) for v, stick in enumerate(sticks)]
    whole = xr.concat(parts, dim="variable").assign_coords(variable=list(variables))
    whole.attrs["boundary"] = grid.boundary  # what a shell counts: waves, or half waves
    return whole.transpose("ensemble", "variable", ...)


def _curves(ensembles: Mapping[str, Sums], yardstick: Yardstick, variable: int) -> xr.Dataset:
    """The curves of one variable."""
    shape_of = {
        "spectrum": (SPECTRUM, lambda mean: mean * yardstick.deviation**2, "shell"),
        "density": (VALUES, _density(yardstick.points), "bin"),
        "gradient_density": (SLOPES, _density(yardstick.slopes), "bin"),
    }
    data: dict[str, Any] = {
        "value": ("bin", _centres(yardstick.points).numpy()),
        "slope": ("bin", _centres(yardstick.slopes).numpy()),
        "resolved": ("shell", yardstick.resolved.numpy()),
        "energy": ((), yardstick.energy),
        "deviation": ((), yardstick.deviation),
        "slope_unit": ((), yardstick.slope),
    }
    for name, (statistic, shape, dim) in shape_of.items():
        bands = [_band(sums.rows[statistic.name, variable], shape) for sums in ensembles.values()]
        for suffix, values in zip(("", "_low", "_high"), zip(*bands, strict=True), strict=True):
            data[name + suffix] = (("ensemble", dim), torch.stack(values).numpy())
    return xr.Dataset(data, {"ensemble": list(ensembles)})


def _band(sums: Tensor, shape: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """A curve of the members' mean row, and its band."""
    lines = shape(sums[:, 1:] / sums[:, :1])
    low, high = torch.quantile(lines[1:], torch.tensor(BAND, dtype=lines.dtype), dim=0)
    return lines[0], low, high


def _borders(points: Tensor) -> Tensor:
    return torch.linspace(points[0].item(), points[-1].item(), BINS + 1, dtype=points.dtype)


def _centres(points: Tensor) -> Tensor:
    borders = _borders(points)
    return (borders[1:] + borders[:-1]) / 2


def _density(points: Tensor) -> Callable[[Tensor], Tensor]:
    """Mean rows (..., feature) to densities (..., bin): slopes of the distribution function."""
    borders = _borders(points)
    right = torch.searchsorted(points, borders).clamp(1, len(points) - 1)
    gap = (points[right] - points[right - 1]).clamp_min(1e-300)
    share = ((borders - points[right - 1]) / gap).clamp(0, 1)

    def density(mean: Tensor) -> Tensor:
        below = mean[..., 6:]
        at = below[..., right - 1] * (1 - share) + below[..., right] * share
        return at.diff(dim=-1) / borders.diff()

    return density
