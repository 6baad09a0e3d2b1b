"""Circular statistics of interferograms: how far generated ones are from the solver's.

Of every study as many generated members as there are, against as many that no training saw, on
the coarser of their grids (a cosine and sine restricted to it are no longer of length 1; angles
are theirs all the same); floors are splits of a pool of unseen ones. The same members of the
Gaussian surrogate, which has the right spectrum and the wrong law, are the control.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import xarray as xr
from torch import Tensor

from pushforward import Archive, Study
from pushforward.circular import circular_distances
from pushforward.comparison import common
from pushforward.evaluation import gaussian, members
from pushforward.members import Members

POOL = 2048  # unseen members at most
CHUNK = 64  # members that are complex at once
SHORT = {"circular_variance": "variance", "circular_skewness": "skewness", "total": "total"}


def circular(archive: Archive, studies: Mapping[str, Study]) -> dict[str, dict[str, Any]]:
    """Distances of circular variance and skewness and their sum `total`, for JSON.

    Of every study the ensembles `trained` and `gaussian`, by statistic: value, error, floor,
    floor_high and members.
    """
    return {name: _study(archive, study) for name, study in studies.items()}


def _study(archive: Archive, study: Study) -> dict[str, Any]:
    training, generation = study.training, study.generation
    whole, seen = study.simulation.grid, training.members + training.held_out
    grid = common(generation.target, whole)
    solver = members(archive.open(study.simulation), training, whole, grid)[seen:]
    solver = solver[max(0, len(solver) - POOL) :]
    count = min(generation.members, len(solver) // 2)
    pool = held(solver)
    ours = held(members(archive.open(generation), training, generation.target, grid)[:count])
    control = gaussian(study.evaluation, archive, range(count), grid)
    names = study.simulation.channels
    return {
        "trained": distances(ours, pool, names),
        "gaussian": distances(control, pool, names),
    }


def distances(ours: Tensor, pool: Tensor, names: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """Fields (member, 2, *grid) against the last ones of a pool, as many, by statistic."""
    parts = (names[0], names[1])
    whole = labelled(pool, parts)
    theirs = whole.isel(member=slice(len(pool) - len(ours), None))
    found = circular_distances(labelled(ours, parts), theirs, pool=whole, parts=parts)
    return {
        short: {str(key): float(one) for key, one in found.sel(statistic=statistic).items()}
        | {"members": len(ours)}
        for statistic, short in SHORT.items()
    }


def held(fields: Members) -> Tensor:
    """Members in memory, (member, variable, *grid), read and restricted a few at a time."""
    return torch.cat([part.read(0, len(part)).float() for _, part in fields.blocks(CHUNK)])


def labelled(fields: Tensor, names: tuple[str, str]) -> xr.Dataset:
    """Fields (member, 2, y, x) as a lazy Dataset of two variables."""
    dims = ("member", *("y", "x")[-(fields.ndim - 2) :])
    parts = {name: (dims, fields[:, place].numpy()) for place, name in enumerate(names)}
    return xr.Dataset(parts).chunk({"member": CHUNK})
