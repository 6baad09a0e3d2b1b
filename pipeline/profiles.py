"""Curves behind the scores: what several ensembles look like on average, with error bands.

Each curve is a function of a sum of member rows (`pushforward.scores`), so its band is the 95%
interval over bootstrap resamples of the members:

    spectrum                    power, or energy of a vorticity, per integer shell
    density, gradient_density   of standardised values, and of derivatives over their root mean
                                square, within the range of the solver's held-out members
    structure                   S_p(r)^(1/p) in standard deviations, p = 2, 3, 4, 6, mean over axes
    increment_flatness          S_4(r) / S_2(r)^2: 3 for a Gaussian field
    energy_flux, enstrophy_flux through every shell, where the variable has them
    pod                         the variance along every mode of the training members

Spectra, fluxes and variances are in the data's units. What an evaluation has not summed, or a
variable does not have, is left out or NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from pushforward import fluxes, increments, pod
from pushforward.draws import resampled
from pushforward.floors import yardsticks
from pushforward.members import Members
from pushforward.scores import SCORES, SLOPES, SPECTRUM, VALUES, Statistic
from pushforward.solvers import Grid
from pushforward.sums import Recipe, Sums, gather
from pushforward.yardstick import Yardstick

Shape = Callable[[Tensor], Tensor]  # of mean rows (draw, feature)

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
    shape_of: dict[str, tuple[Statistic, Shape, tuple[str, ...]]] = {
        "spectrum": (SPECTRUM, lambda mean: mean * yardstick.deviation**2, ("shell",)),
        "density": (VALUES, _density(yardstick.points), ("bin",)),
        "gradient_density": (SLOPES, _density(yardstick.slopes), ("bin",)),
        "structure": (increments.INCREMENTS, _structure(yardstick), ("order", "separation")),
        "increment_flatness": (increments.INCREMENTS, _flatness(yardstick), ("separation",)),
        "energy_flux": (fluxes.FLUXES, _flux(yardstick, 0), ("shell",)),
        "enstrophy_flux": (fluxes.FLUXES, _flux(yardstick, 1), ("shell",)),
        "pod": (pod.MODES, _variances(yardstick), ("mode",)),
    }
    data: dict[str, Any] = {
        "value": ("bin", _centres(yardstick.points).numpy()),
        "slope": ("bin", _centres(yardstick.slopes).numpy()),
        "resolved": ("shell", yardstick.resolved.numpy()),
        "energy": ((), yardstick.energy),
        "deviation": ((), yardstick.deviation),
        "slope_unit": ((), yardstick.slope),
        "distance": ("separation", _distances(yardstick.grid)),
        "p": ("order", list(increments.ORDERS)),
    }
    for name, (statistic, shape, dims) in shape_of.items():
        key = (statistic.name, variable)
        if any(key not in sums.rows for sums in ensembles.values()):
            continue
        bands = [_band(sums.rows[key], shape) for sums in ensembles.values()]
        for suffix, values in zip(("", "_low", "_high"), zip(*bands, strict=True), strict=True):
            data[name + suffix] = (("ensemble", *dims), torch.stack(values).numpy())
    return xr.Dataset(data, {"ensemble": list(ensembles)})


def _band(sums: Tensor, shape: Shape) -> tuple[Tensor, Tensor, Tensor]:
    """A curve of the members' mean row, and its band."""
    lines = shape(sums[:, 1:] / sums[:, :1])
    low, high = torch.quantile(lines[1:], torch.tensor(BAND, dtype=lines.dtype), dim=0)
    return lines[0], low, high


def _borders(points: Tensor) -> Tensor:
    return torch.linspace(points[0].item(), points[-1].item(), BINS + 1, dtype=points.dtype)


def _centres(points: Tensor) -> Tensor:
    borders = _borders(points)
    return (borders[1:] + borders[:-1]) / 2


def _density(points: Tensor) -> Shape:
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


def _alike(grid: Grid) -> bool:
    """Whether the same number of points is the same distance along every axis."""
    return len({*grid.shape}) == 1 and len({*grid.extent}) == 1


def _distances(grid: Grid) -> list[float]:
    """The separations along the last axis, in the box's units."""
    n, periodic = grid.shape[-1], grid.periodic
    return [r * grid.extent[-1] / n for r in increments.separations(n, periodic)]


def _increments(yardstick: Yardstick) -> Shape:
    """Mean rows to moments (..., order, separation): of axes that are alike, or the last."""
    grid = yardstick.grid
    count = len(increments.separations(grid.shape[-1], grid.periodic))

    def moments(mean: Tensor) -> Tensor:
        m = mean.unflatten(-1, (-1, increments.COLUMNS))[..., : len(increments.ORDERS)]
        axes = m.unflatten(-2, (-1, count)) if _alike(grid) else m[..., None, -count:, :]
        return axes.mean(-3).mT

    return moments


def _structure(yardstick: Yardstick) -> Shape:
    root = 1 / torch.tensor(increments.ORDERS, dtype=torch.float64)[:, None]
    moments = _increments(yardstick)
    return lambda mean: moments(mean).clamp_min(0) ** root


def _flatness(yardstick: Yardstick) -> Shape:
    moments, (second, fourth) = _increments(yardstick), map(increments.ORDERS.index, (2, 4))

    def flatness(mean: Tensor) -> Tensor:
        m = moments(mean)
        return m[..., fourth, :] / m[..., second, :].square().clamp_min(1e-300)

    return flatness


def _flux(yardstick: Yardstick, which: int) -> Shape:
    """Mean rows to the flux of energy (0) or enstrophy (1), in the data's units; NaN for none."""
    count, shells = fluxes.fluxes_of(yardstick), len(yardstick.resolved)

    def flux(mean: Tensor) -> Tensor:
        if which >= count:
            return mean.new_full((*mean.shape[:-1], shells), torch.nan)
        return mean.unflatten(-1, (count, -1))[..., which, :] * yardstick.deviation**3

    return flux


def _variances(yardstick: Yardstick) -> Shape:
    """Mean rows to variances along modes, in the data's units; NaN beyond the last."""

    def variances(mean: Tensor) -> Tensor:
        found = mean.new_full((*mean.shape[:-1], pod.COUNT), torch.nan)
        if mean.shape[-1]:
            own = pod.gaussian(mean)[1].diagonal(dim1=-2, dim2=-1) * yardstick.deviation**2
            found[..., : own.shape[-1]] = own
        return found

    return variances
