"""A claim is about several trainings: means, spreads, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from pushforward.claims import across_seeds
from pushforward.floors import measure
from pushforward.solvers import GaussianField, Grid

GRID = Grid((8, 8))
FIELD = GaussianField.matern(4.0, 0.4, deviation=1.0)


def scores(seed: int, factor: float = 1.0, members: int = 12, splits: int = 20) -> xr.Dataset:
    u = FIELD.sample(range(1000 * seed, 1000 * seed + 5 * members), GRID)[:, None]
    return measure(
        {"mine": factor * u[:members]}, None, u[members:], GRID, ["u"], splits=splits, bootstrap=3
    )


def test_the_mean_and_spread_are_those_of_the_seeds():
    seeds = [scores(seed) for seed in range(4)]
    claim = across_seeds(seeds)
    values = np.stack([one.value.values for one in seeds])
    np.testing.assert_allclose(claim["mean"], values.mean(0))
    np.testing.assert_allclose(claim.deviation, values.std(0, ddof=1))
    np.testing.assert_allclose(claim.standard_error, values.std(0, ddof=1) / 2)
    np.testing.assert_allclose(claim.inside, np.stack([one.inside for one in seeds]).mean(0))
    assert claim.attrs == {"seeds": 4}
    w1 = claim.sel(score="w1")
    floors = np.mean([one.floor_mean.sel(score="w1").item() for one in seeds])
    np.testing.assert_allclose(w1.ratio, w1["mean"] / floors)
    assert bool(claim.ratio.sel(score="mmd").isnull())


def test_a_wrong_method_is_outside_with_every_seed():
    claim = across_seeds([scores(seed, factor=1.6) for seed in range(3)]).sel(score="w1")
    assert claim.inside.item() == 0
    assert claim.ratio.item() > 3


def test_two_seeds_are_no_claim():
    with pytest.raises(ValueError, match="at least 3 training seeds, got 2; train again"):
        across_seeds([scores(0), scores(1)])


def test_scores_that_differ_in_kind_are_refused():
    seeds = [scores(seed) for seed in range(3)]
    with pytest.raises(ValueError, match=r"the same scores of every seed, got .* in dataset 2"):
        across_seeds([*seeds[:2], seeds[2].isel(score=slice(1, None))])
    with pytest.raises(ValueError, match="expected 20 splits in every dataset, got 30"):
        across_seeds([*seeds[:2], scores(2, splits=30)])


@pytest.mark.parametrize("names", [("one", "one", "two"), (None, None, None), (None, "a", "b")])
def test_one_evaluation_given_again_is_no_other_seed(names: tuple[str | None, ...]):
    seeds = [scores(0), scores(0), scores(2)]
    for one, name in zip(seeds, names, strict=True):
        one.attrs |= {"name": name} if name else {}
    found = "one" if names[0] else "the same values"
    with pytest.raises(ValueError, match=rf"expected .*, got {found} in datasets 0 and 1; train"):
        across_seeds(seeds)


def test_names_tell_trainings_apart():
    seeds = [scores(seed).assign_attrs(name=f"evaluation-{seed}") for seed in range(3)]
    assert across_seeds(seeds).attrs == {"seeds": 3}
