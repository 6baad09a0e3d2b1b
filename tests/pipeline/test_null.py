"""How often two sets of one law are told apart, where 5% is claimed, over many comparisons.

Comparisons are independent of each other; the scores of one are not, so each score is held against
a binomial bound of its own, and the chance that any right one of them exceeds it is at most FALSE.

Where members have lognormal amplitudes (deviation 0.7) the claim does not hold, not even with a
pool of four times a side's members: over 402 comparisons of 32 members (whole suite; seeds 0 to
151, and 1000 to 1249 without the classifier) the verdict said "differs" in 14.4%, with twice as
many in 25%; `HEAVY` holds the shares of the scores that are outside in 8% or more. With all
splits drawn from few members that hold the extremes, floors are too narrow.
"""

from __future__ import annotations

from collections import Counter
from functools import partial

import pytest
import torch
import xarray as xr
from scipy.stats import binom, binomtest

from pushforward.floors import measure
from pushforward.solvers import GaussianField, Grid
from pushforward.suite import SUITE
from pushforward.summary import differs

GRID = Grid((8, 8))
FIELD = GaussianField.matern(3.0, 0.8, deviation=1.0)
FALSE = 1e-3
CHEAP = ("w1", "log_spectral_distance", "flatness", "frechet")
TRAINING = 40
DIFFERS = 0.144  # where 0.05 is claimed: heavy tails, see above
HEAVY = {
    "frechet": 0.157,
    "mean_mode": 0.137,
    "flatness": 0.129,
    "gradient_flatness": 0.122,
    "skewness": 0.119,
    "structure_functions": 0.117,
    "increment_skewness": 0.117,
    "sliced_w1": 0.112,
    "increment_flatness": 0.104,
    "pod_spectrum": 0.095,
    "variance_w1": 0.08,
}
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


def outside(found: list[xr.Dataset]) -> Counter[str]:
    """In how many comparisons each score is outside."""
    total: Counter[str] = Counter()
    for scores in found:
        one = scores.isel(ensemble=0, variable=0)
        known = one.value.notnull() & (one.floor_sd > 0)
        refused = (known & ~one.inside.astype(bool)).to_series()
        total.update({str(name): int(value) for name, value in refused.items()})
    return total


def refused(found: list[xr.Dataset]) -> Counter[str]:
    """In how many comparisons each score has p <= 5%."""
    total: Counter[str] = Counter()
    for scores in found:
        p = scores.p.isel(ensemble=0, variable=0).where(scores.floor_sd[0, 0] > 0).to_series()
        total.update({str(name): int(value <= 0.05) for name, value in p.dropna().items()})
    return total


def most(count: int, scores: int, share: float = 0.05) -> int:
    """What a score refused in this share of comparisons exceeds with chance FALSE / scores."""
    return int(binom.isf(FALSE / scores, count, share))


def test_scores_refuse_one_comparison_in_twenty_and_the_bound_would_see_three():
    count = 300
    one = partial(compared, sigma=0.0, size=16, sets=4, splits=39, names=CHEAP)
    found = [one(i) for i in range(count)]
    total = refused(found)
    assert set(CHEAP) | {"mmd", "riesz_mmd", "energy_distance", "memorisation"} == set(total)
    bound = most(count, len(total))
    assert binom.sf(bound, count, 0.15) > 0.95  # a single score refused in 15% is seen
    assert max(total.values()) <= bound, total
    least = binom.ppf(FALSE / len(total), count, 0.05)
    assert min(total.values()) >= least > 0, total  # nor does any refuse too little
    assert sum(map(differs, found)) <= most(count, 1)


def test_splits_of_too_small_a_pool_are_refused_by_the_same_bound():
    count = 150
    one = partial(compared, sigma=0.7, size=16, sets=2, splits=39, names=CHEAP)
    found = [one(i) for i in range(count)]
    total = refused(found)
    assert max(total.values()) > most(count, len(total)), total


@pytest.mark.slow
def test_the_verdict_differs_in_at_most_one_of_twenty_comparisons():
    count = 200
    found = [compared(i, 0.0, size=32, sets=4, splits=200, names=WITHOUT) for i in range(count)]
    said, total = sum(map(differs, found)), outside(found)
    assert said <= count * 0.05 + 4 * (count * 0.05 * 0.95) ** 0.5
    assert {name: n for name, n in total.items() if n > most(count, len(total))} == {}


@pytest.mark.slow
def test_heavy_tails_are_told_apart_too_often_and_more_so_with_a_smaller_pool():
    count, one = 200, partial(compared, sigma=0.7, size=32, splits=200)
    found = [one(i, sets=4) for i in range(count)]
    said, total = [differs(scores) for scores in found], outside(found)
    for name, n in total.items():
        assert n <= most(count, len(total), HEAVY.get(name, 0.05)), (name, n)
    # the claimed 5% is not kept; when it is, this fails and the exceptions go
    assert most(count, 1) < sum(said) <= most(count, 1, DIFFERS)
    fewer = [differs(one(i, sets=2, names=WITHOUT)) for i in range(count)]
    pairs = list(zip(said, fewer, strict=True))
    only, total_apart = pairs.count((False, True)), sum(a != b for a, b in pairs)
    assert binomtest(only, total_apart, alternative="greater").pvalue < 0.01
