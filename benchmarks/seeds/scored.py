"""The scores of a family of studies side by side, each over the distance that the solver keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from pushforward import Archive, Study
from pushforward.evaluation import SCORES_FILE
from pushforward.tables import restore


def scored(
    archive: Archive, studies: Mapping[str, Study], names: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Some scores of every study: the largest over its variables as a multiple of the floor.

    Of each: value, error, floor, ratio and whether it is inside, of the trained ensemble and of
    the Gaussian one; and how many of all scores are inside.
    """
    return {
        name: _study(restore(archive.read_json(study.evaluation, SCORES_FILE)), names)
        for name, study in studies.items()
    }


def within(found: Mapping[str, Any], names: Sequence[str], most: float) -> bool:
    """Whether the trained ensemble keeps some scores of a study within a multiple of the floor."""
    return all(found["trained"][name]["ratio"] <= most for name in names)


def _study(scores: xr.Dataset, names: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for ensemble in map(str, scores.ensemble.values):
        own = scores.sel(ensemble=ensemble)
        there = own.value.notnull()
        found[ensemble] = {name: _worst(own.sel(score=name)) for name in names}
        found[ensemble]["inside"] = int((own.inside & there).sum())
        found[ensemble]["of"] = int(there.sum())
    found["members"] = int(scores.attrs["members"])
    return found


def _worst(score: xr.Dataset) -> dict[str, Any]:
    """A score of the variable where it is the most floors; beyond one, where that is about 0."""
    above = (score.value - score.floor_mean) / (score.floor_q95 - score.floor_mean)
    far = xr.where(score.floor_mean > 0.2 * score.floor_q95, score.value / score.floor_mean, above)
    place = int(np.nanargmax(far.where(score.value.notnull(), -np.inf).values))
    one = score.isel(variable=place)
    return {
        "value": float(one.value),
        "error": float(one.standard_error),
        "floor": float(one.floor_mean),
        "limit": float(one.floor_q95),
        "ratio": float(one.value / one.floor_mean),
        "inside": bool(one.inside),
    }
