"""What several training seeds say together: one training is an anecdote.

A score's bootstrap error is that of one ensemble of one surrogate. Trained again with another seed
the surrogate is another one; a claim about a method is about the distribution of such surrogates.
It therefore needs evaluations of at least three trainings that differ in their seed alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import xarray as xr

SEEDS = 3


def across_seeds(datasets: Sequence[xr.Dataset]) -> xr.Dataset:
    """The scores of several training seeds: mean, spread and how many are inside.

    Of every score: `mean` and `deviation` (n - 1) of the value over the seeds, `standard_error` of
    that mean, `ratio` (the mean over the mean floor), `z` (its mean), and `inside`, the share of
    seeds whose score is inside its floor; `seeds` is an attribute. Dimensions are those of the
    datasets, which `evaluate` and `compare` make.

    Raises ValueError for fewer than three, for the same evaluation twice, and for scores of
    different names or sizes.

    >>> def scores(value):
    ...     columns = {"value": value, "floor_mean": 1.0, "ratio": value, "z": 0.0, "inside": True}
    ...     return xr.Dataset({k: ("score", [v]) for k, v in columns.items()}, {"score": ["w1"]})
    >>> claim = across_seeds([scores(1.0), scores(2.0), scores(3.0)])
    >>> claim["mean"].item(), claim.deviation.item(), claim.inside.item(), claim.attrs["seeds"]
    (2.0, 1.0, 1.0, 3)
    """
    if len(datasets) < SEEDS:
        raise ValueError(
            f"expected scores of at least {SEEDS} training seeds, got {len(datasets)}; train "
            "again with other seeds (training.seed) and evaluate each"
        )
    _check(datasets)
    _check_apart(datasets)
    whole = xr.concat(
        [one[["value", "floor_mean", "ratio", "z", "inside"]] for one in datasets],
        dim="seed",
        join="exact",
        combine_attrs="drop",
    )
    count, value = len(datasets), whole["value"]
    deviation = value.std("seed", ddof=1)
    floor, signed = whole["floor_mean"].mean("seed"), whole["ratio"].isnull().all("seed")
    inside = whole["inside"].astype(float).mean("seed")
    return xr.Dataset(
        {
            "mean": value.mean("seed", skipna=False),
            "deviation": deviation,
            "standard_error": deviation / np.sqrt(count),
            "ratio": (value.mean("seed", skipna=False) / floor).where(~signed),
            "z": whole["z"].mean("seed", skipna=False),
            "inside": inside.where(value.notnull().all("seed")),
        },
        attrs={"seeds": count},
    )


def _check(datasets: Sequence[xr.Dataset]) -> None:
    """Refuses scores that are not of the same names and sizes."""
    first = datasets[0]
    names = [str(name) for name in first["score"].values]
    for number, other in enumerate(datasets):
        if [str(name) for name in other["score"].values] != names:
            raise ValueError(
                f"expected the same scores of every seed, got {[*map(str, other.score.values)]} "
                f"in dataset {number}; evaluate all of them with one version"
            )
        for fact in ("members", "splits"):
            if other.attrs.get(fact) != first.attrs.get(fact):
                raise ValueError(
                    f"expected {first.attrs.get(fact)} {fact} in every dataset, got "
                    f"{other.attrs.get(fact)} in dataset {number}; evaluate all of them alike"
                )


def _check_apart(datasets: Sequence[xr.Dataset]) -> None:
    """Refuses an evaluation that is there twice: its name, or its values where it has none."""
    for (i, one), (j, other) in combinations(enumerate(datasets), 2):
        names = one.attrs.get("name"), other.attrs.get("name")
        if names[0] == names[1] if None not in names else one["value"].equals(other["value"]):
            found = "the same values" if None in names else names[0]
            raise ValueError(
                f"expected evaluations of different trainings, got {found} in datasets {i} and "
                f"{j}; train again with other seeds (training.seed) and evaluate each"
            )
