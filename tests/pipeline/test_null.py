"""How often two sets of one law are told apart, where 5% is claimed, over many comparisons.

Comparisons are independent of each other; the scores of one are not, so each score is held against
a binomial bound of its own, and the chance that any right one of them exceeds it is at most FALSE.

Where members have lognormal amplitudes (deviation 0.7) few of them carry a score. Limits from
splits of the solver's members are too near there, the more so the smaller the pool: that is what
permutations are for, and the negative control of these tests.
"""

from __future__ import annotations

from collections import Counter
from functools import partial

import pytest
import torch
import xarray as xr
from scipy.stats import binom

from pushforward.floors import measure
from pushforward.solvers import GaussianField, Grid
from pushforward.suite import SUITE
from pushforward.summary import differs

GRID = Grid((8, 8))
FIELD = GaussianField.matern(3.0, 0.8, deviation=1.0)
FALSE = 1e-3
CHEAP = ("w1", "log_spectral_distance", "flatness", "frechet")
TRAINING = 40
WITHOUT = tuple(score.name for score in SUITE if score.name != "classifier_auc")


def law(count: int, seed: int, sigma: float) -> torch.Tensor:
    """Members (member, 1, y, x): Gaussian, times lognormal amplitudes of deviation sigma."""
    normal = torch.randn(count, 1, 1, 1, generator=torch.Generator().manual_seed(seed))
    return FIELD.sample(range(count), GRID, seed + 100).float()[:, None] * (sigma * normal).exp()


def compared(
    seed: int, sigma: float, *, size: int, sets: int, splits: int, names: tuple[str, ...] = ()
) -> xr.Dataset:
    """Scores of `size` members against as many of the same law, with a pool of `sets` times them.

    Without `names` all of them. A smaller pool is a part of a larger one.
    """
    suite = tuple(score for score in SUITE if not names or score.name in names)
    u = law(5 * size + TRAINING, seed, sigma)
    given, pool, training = u[:size], u[size : (1 + sets) * size], u[5 * size :]
    options = {"splits": splits, "bootstrap": 0, "seed": seed, "suite": suite}
    return measure({"trained": given}, None, pool, GRID, ["u"], training=training, **options)


def refused(found: list[xr.Dataset]) -> Counter[str]:
    """In how many comparisons each score has p <= 5%."""
    total: Counter[str] = Counter()
    for scores in found:
        p = scores.p.isel(ensemble=0, variable=0).where(scores.floor_sd[0, 0] > 0).to_series()
        total.update({str(name): int(value <= 0.05) for name, value in p.dropna().items()})
    return total


def outside(found: list[xr.Dataset]) -> Counter[str]:
    """In how many comparisons each score is outside the limit that splits give."""
    total: Counter[str] = Counter()
    for scores in found:
        inside = scores.inside.isel(ensemble=0, variable=0).to_series()
        total.update({str(name): int(not value) for name, value in inside.items()})
    return total


def most(count: int, scores: int, share: float = 0.05) -> int:
    """What a score refused in this share of comparisons exceeds with chance FALSE / scores."""
    return int(binom.isf(FALSE / scores, count, share))


@pytest.mark.slow
@pytest.mark.parametrize("sigma", [pytest.param(0.0, marks=pytest.mark.slow), 0.7])
def test_scores_refuse_one_comparison_in_twenty_and_the_bound_would_see_three(sigma: float):
    # the fewest splits with which an ensemble can differ, and comparisons that the bound asks for
    count, splits = 240, 59
    one = partial(compared, sigma=sigma, size=16, sets=4, splits=splits, names=CHEAP)
    found = [one(i) for i in range(count)]
    total = refused(found)
    assert set(CHEAP) | {"mmd", "riesz_mmd", "energy_distance", "memorisation"} < set(total)
    bound = most(count, len(total))
    assert binom.sf(bound, count, 0.15) > 0.95  # a single score refused in 15% is seen
    assert max(total.values()) <= bound, total
    least = binom.ppf(FALSE / len(total), count, 0.05)
    assert min(total.values()) >= least > 0, total  # nor does any refuse too little
    assert sum(map(differs, found)) <= most(count, 1)


@pytest.mark.slow
def test_limits_from_splits_of_a_small_pool_are_too_near_where_permutations_hold():
    count = 150
    one = partial(compared, sigma=0.7, size=16, sets=2, splits=39, names=CHEAP)
    found = [one(i) for i in range(count)]
    near, right = outside(found), refused(found)
    assert max(near.values()) > most(count, len(near)) >= max(right.values()), (near, right)


def test_what_four_members_alone_have_is_no_chance():
    size, said = 16, Counter[str]()
    for seed in range(8):
        u = law(5 * size, seed, 0.0)
        bad = torch.cat([1e3 * u[:4], u[4:size]])
        options = {"splits": 200, "bootstrap": 0, "suite": SUITE[:4]}
        sets = {"bad": bad, "right": u[:size]}
        scores = measure(sets, None, u[size:], GRID, ["u"], **options)
        said.update(name for name in sets if differs(scores, name))
    assert said["bad"] == 8
    assert said["right"] <= most(8, 1)


@pytest.mark.slow
@pytest.mark.parametrize("sigma", [0.0, 0.7])
def test_the_verdict_differs_in_at_most_one_of_twenty_comparisons(sigma: float):
    count, one = 200, partial(compared, sigma=sigma, size=32, sets=4, splits=200)
    found = [one(i, names=WITHOUT if i % 4 else ()) for i in range(count)]
    said, total = sum(map(differs, found)), refused(found)
    assert said <= count * 0.05 + 4 * (count * 0.05 * 0.95) ** 0.5
    assert {name: n for name, n in total.items() if n > most(count, len(total))} == {}
