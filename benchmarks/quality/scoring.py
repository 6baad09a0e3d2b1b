"""Scores of drawn members against the solver's that no training saw, in units of their floors.

Of the library's scores (`pushforward.compare`), those that have a floor above 0 count. One number
sums them up, the geometric mean of max(1, score / floor), the floor being the 95% quantile between
two sets of the solver: 1 says that none of them tells the members from the solver's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import xarray as xr
from torch import Tensor

from pushforward import compare

from .race import Problem

SPLITS = 60
GRADIENTS = "gradient_w1"
Scores = dict[str, dict[str, float]]


def scores(members: Tensor, problem: Problem) -> Scores:
    """Every score with its floor; none for members that are not finite."""
    if not bool(members.isfinite().all()):
        return {}
    size, grid = len(members), problem.study.simulation.grid
    dims = ("member", "y", "x")
    a, b, pool, learnt = (
        xr.DataArray(fields[:, 0].numpy(), dims=dims, name="vorticity")
        for fields in (members, problem.unseen[:size], problem.unseen[size:], problem.learnt)
    )
    table = compare(
        a, b, reference=pool, training=learnt, grid=grid, splits=SPLITS, bootstrap=0
    ).isel(variable=0)
    found = {}
    for name in table.score.values:
        row = table.sel(score=name)
        found[str(name)] = {"value": float(row.value), "floor": float(row.floor_q95)}
    return found


def beyond(scores: Mapping[str, Mapping[str, float]]) -> float:
    """The geometric mean of max(1, score / floor); infinite where there are no scores.

    >>> beyond({"one": {"value": 8.0, "floor": 2.0}, "two": {"value": 0.1, "floor": 1.0}})
    2.0
    >>> beyond({})
    inf
    """
    ratios = [max(1.0, one["value"] / one["floor"]) for one in scores.values() if one["floor"] > 0]
    if not ratios or any(map(math.isnan, ratios)):
        return math.inf
    return math.exp(math.fsum(map(math.log, ratios)) / len(ratios))
