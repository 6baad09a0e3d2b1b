"""Scores of drawn fields: the benchmark's metrics and pushforward's, beside the null of each.

The null of the benchmark's metrics is the same statistic between the solver's own members: as many
as it compares, of disjoint trajectories, over `SPLITS` draws. `inside` is below its 95% quantile.
Pushforward's scores bring their floors along (`pushforward.compare`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from pushforward import compare
from pushforward.solvers import Grid

from .metrics import theirs

SPLITS, OWN_SPLITS, POOL = 40, 200, 750
SIGNED = ("mmd",)


def null(unseen: Tensor, reference: int, drawn: int, splits: int = SPLITS) -> dict[str, list]:
    """Every metric of the benchmark between solver and solver, one value a split."""
    values: dict[str, list[float]] = {}
    for split in range(splits):
        generator = torch.Generator().manual_seed(split)
        order = torch.randperm(len(unseen), generator=generator)
        a, b = unseen[order[:reference], 0], unseen[order[reference : reference + drawn], 0]
        for name, value in theirs(a, b, split).items():
            values.setdefault(name, []).append(value)
    return values


def beside(value: dict[str, float], floor: dict[str, list]) -> dict[str, Any]:
    """Each metric with its null's mean and 95% quantile, and whether it is inside."""
    return {
        name: {
            "value": value[name],
            "null_mean": float(np.mean(floor[name])),
            "null_q95": float(np.quantile(floor[name], 0.95)),
            "inside": bool(value[name] <= np.quantile(floor[name], 0.95)),
        }
        for name in value
        if name in floor
    }


def own(
    drawn: Tensor, unseen: Tensor, learnt: Tensor, grid: Grid, name: str = "vorticity"
) -> dict[str, Any]:
    """Pushforward's scores of members (n, 1, *grid) against as many unseen ones.

    With those that were learnt from: a copy of them is as good as the solver in all but one score.
    """
    count = len(drawn)
    reference, pool = unseen[:count], unseen[count : count + max(POOL, 2 * count)]
    dims = ("member", "y", "x")[: grid.ndim + 1] if grid.ndim == 2 else ("member", "x")
    a, b, c, d = (
        xr.DataArray(fields[:, 0].numpy(), dims=dims, name=name)
        for fields in (drawn, reference, pool, learnt)
    )
    settings = {"translations": False, "splits": OWN_SPLITS, "bootstrap": 100}
    table = compare(a, b, reference=c, training=d, grid=grid, **settings).isel(variable=0)
    found = {}
    for score in table.score.values:
        row = table.sel(score=score)
        found[str(score)] = {
            key: float(row[key]) for key in ("value", "standard_error", "floor_q95")
        } | {"inside": bool(row.inside)}
    return found
