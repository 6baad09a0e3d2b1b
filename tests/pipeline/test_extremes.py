"""Intervals cover what they say: by trial, with the naive ones as negative controls.

Every trial is a sample of a law that is known; the share of intervals that hold the truth is
compared with the confidence, to 4 standard errors of that share.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from pushforward import tails
from pushforward.extremes import exceedance, return_levels
from pushforward.intervals import beyond_quantile, places, proportion

TRIALS = 2000


def short_of(covered: NDArray[Any] | xr.DataArray, confidence: float = 0.95) -> float:
    """By how many standard errors a share lies below the confidence."""
    error = math.sqrt(confidence * (1 - confidence) / covered.size)
    return (confidence - float(covered.mean())) / error


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 500), st.floats(0.0, 1.0), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_intervals_of_proportions_are_scipys(total: int, share: float, confidence: float) -> None:
    count = round(share * total)
    low, high = proportion(count, total, confidence)
    known = stats.binomtest(count, total).proportion_ci(confidence, method="exact")
    assert float(low) == pytest.approx(known.low, abs=1e-9)
    assert float(high) == pytest.approx(known.high, abs=1e-9)


@pytest.mark.parametrize("total", [10, 100])
def test_they_cover_rare_events_where_wilsons_does_not(total: int) -> None:
    """Exactly, by summing over all counts."""
    counts = np.arange(total + 1)
    low, high = proportion(counts, total, 0.95)
    wilson = [stats.binomtest(int(c), total).proportion_ci(0.95, "wilson") for c in counts]
    worst = [1.0, 1.0]
    for p in np.linspace(0.05, 5, 200) / total:
        likely = stats.binom.pmf(counts, total, p)
        ours = likely[(low <= p) & (p <= high)].sum()
        theirs = likely[[one.low <= p <= one.high for one in wilson]].sum()
        worst = [min(a, b) for a, b in zip(worst, (ours, theirs), strict=True)]
    assert worst[0] >= 0.95
    assert worst[1] < 0.9  # negative control


def test_a_probability_is_the_share_of_members_above() -> None:
    draws = np.random.default_rng(0).normal(size=(500, 4))
    x = xr.DataArray(draws, dims=("member", "x"), name="energy", attrs={"units": "J"})
    levels = xr.DataArray([0.0, 1.0, 9.0], dims="threshold")
    found = exceedance(x, levels)
    np.testing.assert_array_equal(
        found.probability.transpose("threshold", "x"),
        (x.values[None] > levels.values[:, None, None]).mean(1),
    )
    assert dict(found.sizes) == {"threshold": 3, "x": 4}
    assert (found.low.sel(threshold=9) == 0).all()
    rule = 1 - 0.025 ** (1 / 500)  # none of 500
    np.testing.assert_allclose(found.high.sel(threshold=9), rule)
    assert found.attrs["interval"] == "Clopper-Pearson"
    assert found.probability.attrs["long_name"] == "probability of energy above the threshold"
    missing = exceedance(x.where(x.member > 0) if "member" in x.coords else x * np.nan, 0.0)
    assert np.isnan(missing.probability).all()
    assert np.isnan(missing.low).all()


SIZES = [(50, 50, 0.9), (100, 1000, 0.95), (1000, 1000, 0.99), (100, 100, 0.5), (5000, 100, 0.99)]


def trial(m: int, n: int, q: float, shift: float) -> tuple[xr.DataArray, xr.DataArray, float]:
    """Members and references of two normal laws, and the probability to lie beyond."""
    rng = np.random.default_rng([m, n, int(10 * shift) + 100])
    scale = 1 + 0.4 * shift
    x = shift + scale * rng.normal(size=(n, TRIALS)).astype(np.float32)
    y = rng.normal(size=(m, TRIALS)).astype(np.float32)
    p = float(stats.norm.sf((stats.norm.ppf(q) - shift) / scale))
    return xr.DataArray(x, dims=("member", "trial")), xr.DataArray(y, dims=("member", "trial")), p


@pytest.mark.parametrize("shift", [0.0, 0.5, -0.5])
@pytest.mark.parametrize(("m", "n", "q"), SIZES[:2])
def test_an_uncertain_threshold_is_counted(m: int, n: int, q: float, shift: float) -> None:
    x, y, p = trial(m, n, q, shift)
    found = exceedance(x[:, :500], reference=y[:, :500], quantile=q)
    assert short_of((found.low <= p) & (p <= found.high)) < 4
    naive = exceedance(x, y.quantile(q, "member"))
    if p * min(m, n) > 1:  # negative control: as if the reference's quantile were known
        assert short_of((naive.low <= p) & (p <= naive.high)) > 10


@pytest.mark.slow
@pytest.mark.parametrize("shift", [0.0, 0.5, -0.5])
@pytest.mark.parametrize(("m", "n", "q"), SIZES)
def test_an_uncertain_threshold_is_counted_at_every_size(
    m: int, n: int, q: float, shift: float
) -> None:
    x, y, p = trial(m, n, q, shift)
    found = exceedance(x, reference=y, quantile=q)
    assert short_of((found.low <= p) & (p <= found.high)) < 4
    assert found.low.mean() < p < found.high.mean()


def test_a_long_reference_is_a_fixed_threshold() -> None:
    """The interval becomes Clopper and Pearson's."""
    rng = np.random.default_rng(0)
    x = xr.DataArray(rng.normal(size=400), dims="member")
    y = xr.DataArray(stats.norm.ppf((np.arange(10**6) + 0.5) / 10**6), dims="member")
    found, fixed = exceedance(x, reference=y, quantile=0.9), exceedance(x, stats.norm.ppf(0.9))  # type: ignore
    assert found.probability == fixed.probability
    assert found.low.item() == pytest.approx(fixed.low.item(), abs=0.003)
    assert found.high.item() == pytest.approx(fixed.high.item(), abs=0.003)
    one = np.array([[7.0, 7.0]])
    ends = beyond_quantile(one, np.array([1.0]), 40, 0.95)
    np.testing.assert_allclose(np.ravel(ends), np.ravel(proportion(7, 40, 0.95)), atol=1e-9)


def test_many_ranks_are_thinned_on_the_safe_side() -> None:
    ranks, likely = places(10**5, 0.5)
    assert len(ranks) <= 201
    assert likely.sum() == pytest.approx(1)
    x = np.linspace(0, 1, 10**4)
    beyond = np.array([(x > rank / 10**5).sum() for rank in ranks], float)
    low, high = beyond_quantile(beyond[None], likely, len(x), 0.95)
    wide = 1.96 * math.sqrt(0.25 / 10**5 + 0.25 / 10**4)
    assert 0.5 - 1.1 * wide < low[0] < 0.5 - 0.95 * wide
    assert 0.5 + 0.95 * wide < high[0] < 0.5 + 1.1 * wide


@pytest.mark.parametrize("xi", [-0.2, 0.0, 0.3])
def test_the_fit_has_the_largest_likelihood(xi: float) -> None:
    draws = np.sort(stats.genpareto.rvs(xi, size=1000, random_state=1))
    threshold, y = draws[-101], draws[-100:] - draws[-101]
    shape, _, scale = stats.genpareto.fit(y, floc=0)
    periods = np.array([100.0, 5000.0])
    expected = threshold + scale / shape * ((periods / 10) ** shape - 1)
    found = tails.levels(draws, periods, 100, 0.95)
    np.testing.assert_allclose(found[0], expected, rtol=3e-3)
    assert (found[1] < found[0]).all()
    assert (found[2] > found[0]).all()


def profile(draws: NDArray[Any], size: int, period: float) -> tuple[float, float]:
    """The interval of the profile likelihood by brute optimisation, one level after the other."""
    from scipy.optimize import minimize

    s = np.sort(draws)
    t, y = s[-size - 1], s[-size:] - s[-size - 1]
    n = len(s)

    def likelihood(xi: float, log_sigma: float, logit: float) -> float:
        zeta, sigma = 1 / (1 + math.exp(-logit)), math.exp(log_sigma)
        if xi < tails.LEAST or (1 + xi * y[-1] / sigma) <= 0:
            return -1e9
        binomial = size * math.log(zeta) + (n - size) * math.log(1 - zeta)
        return float(stats.genpareto.logpdf(y, xi, scale=sigma).sum()) + binomial

    def level(xi: float, sigma: float, zeta: float) -> float:
        return t + sigma / xi * ((period * zeta) ** xi - 1)

    def at(z: float) -> float:
        """The largest likelihood with that level: xi and zeta are free, and give sigma."""

        def cost(p: NDArray[Any]) -> float:
            xi, logit = p
            zeta = 1 / (1 + math.exp(-logit))
            sigma = (z - t) * xi / ((period * zeta) ** xi - 1)
            return -likelihood(xi, math.log(sigma), logit) if sigma > 0 else 1e9

        starts = [(0.05, 0.0), (0.3, 0.0), (-0.2, 0.0)]
        logit = math.log(size / (n - size))
        found = [minimize(cost, (a, logit + b), method="Nelder-Mead") for a, b in starts]
        return -min(one.fun for one in found)

    shape, _, scale = stats.genpareto.fit(y, floc=0)
    best = likelihood(shape, math.log(scale), math.log(size / (n - size)))
    middle = level(shape, scale, size / n)
    ends = []
    for factor in (0.5, 20.0):
        inside, outside = middle, t + (middle - t) * factor
        for _ in range(25):
            z = (inside + outside) / 2
            kept = at(z) >= best - stats.chi2.ppf(0.95, 1) / 2
            inside, outside = (z, outside) if kept else (inside, z)
        ends.append(inside)
    return ends[0], ends[1]


def test_the_interval_is_that_of_the_profile_likelihood() -> None:
    draws = stats.genpareto.rvs(0.1, size=1000, random_state=3)
    found = tails.levels(draws, np.array([1000.0]), 100, 0.95)[:, 0]  # type: ignore
    low, high = profile(draws, 100, 1000.0)  # type: ignore
    width = high - low
    assert found[1] == pytest.approx(low, abs=0.03 * width)
    assert found[2] == pytest.approx(high, abs=0.03 * width)


LAWS: dict[str, tuple[Any, float]] = {
    "exponential": (stats.expon(), 0.90),
    "heavy": (stats.genpareto(0.2), 0.90),
    "bounded": (stats.genpareto(-0.2), 0.90),
    "gumbel": (stats.gumbel_r(), 0.88),  # whose tail is a generalised Pareto one in the limit only
}


def coverage_of(law: Any, members: int, trials: int, periods: list[float]) -> NDArray[Any]:
    """Whether intervals of fits hold the law's own levels, (trial, period)."""
    draws = law.rvs(size=(members, trials), random_state=np.random.default_rng(members))
    found = return_levels(xr.DataArray(draws, dims=("member", "trial")), periods)
    truth = xr.DataArray(law.isf(1 / np.array(periods)), {"period": periods}, "period")
    covered = (found.fitted_low <= truth) & (truth <= found.fitted_high)
    return covered.transpose("trial", "period").values


@pytest.mark.parametrize("name", ["exponential", "bounded"])
def test_levels_beyond_the_data_are_covered(name: str) -> None:
    """Of 500 members, once in 10,000: by 4 standard errors of 200 trials."""
    law, least = LAWS[name]
    assert short_of(coverage_of(law, 500, 200, [10**4]), least) < 4


@pytest.mark.slow
@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("members", [300, 1000, 5000])
def test_levels_beyond_the_data_are_covered_for_every_law(name: str, members: int) -> None:
    law, least = LAWS[name]
    covered = coverage_of(law, members, 500, [100.0, 1000.0, 10000.0])
    for period in range(3):
        assert short_of(covered[:, period], least) < 4
        assert covered[:, period].mean() < 0.99  # and they are no longer than they have to be


def test_intervals_are_as_short_as_their_confidence() -> None:
    """Negative control: ones of half the cases hold the truth in half of the cases."""
    law, period = stats.expon(), np.array([10**3.0])
    draws = law.rvs(size=(1000, 300), random_state=1)
    found = np.array([tails.levels(x, period, 100, 0.5)[:, 0] for x in draws.T])
    truth = law.isf(1e-3)
    covered = ((found[:, 1] <= truth) & (truth <= found[:, 2])).mean()
    assert abs(covered - 0.48) < 0.02 + 4 * math.sqrt(0.25 / 300)


def test_empirical_levels_are_quantiles_and_say_when_they_end() -> None:
    draws = np.random.default_rng(0).exponential(size=(200, 3))
    x = xr.DataArray(draws, dims=("member", "x"), name="energy", attrs={"units": "J"})
    found = return_levels(x, [2, 10, 1000])
    np.testing.assert_allclose(found.level.sel(period=10), np.quantile(draws, 0.9, axis=0))
    assert np.isinf(found.high.sel(period=1000)).all()
    assert np.isfinite(found.high.sel(period=10)).all()
    assert np.isnan(found.fitted.sel(period=2)).all()  # within the data: nothing to extrapolate
    assert np.isfinite(found.fitted.sel(period=1000)).all()
    assert found.attrs["tail_members"] == 30
    assert found.fitted.attrs["units"] == "J"


def test_few_members_have_no_tail() -> None:
    few = xr.DataArray(np.arange(16.0), dims="member")
    found = return_levels(few, [10, 100])
    assert np.isnan(found.fitted).all()
    assert found.level.sel(period=10).item() == pytest.approx(np.quantile(few, 0.9))
    with pytest.raises(ValueError, match=r"expected a tail of 0 to 0\.5"):
        return_levels(few, [10], tail=0.9)
    same = return_levels(xr.DataArray(np.ones(200), dims="member"), [100])
    assert np.isnan(same.fitted).all()


SCALES: dict[str, Callable[[Any], Any]] = {
    "larger": lambda x: 1e6 * x,
    "smaller": lambda x: 1e-6 * x,
    "moved": lambda x: x - 1e3,
}


@pytest.mark.parametrize("change", SCALES.values(), ids=SCALES)
def test_levels_have_the_units_of_what_they_are_of(change: Callable[[Any], Any]) -> None:
    draws = np.random.default_rng(0).exponential(size=400)
    periods = np.array([100.0, 10000.0])
    expected = change(tails.levels(draws, periods, 40, 0.95))
    np.testing.assert_allclose(tails.levels(change(draws), periods, 40, 0.95), expected, rtol=1e-6)


def test_a_law_that_ends_abruptly_has_no_fitted_level() -> None:
    """Uniform: xi = -1, which is below what is fitted; an end of xi = -0.2 has one."""
    u = np.random.default_rng(0).uniform(size=4000)
    abrupt, smooth = (
        xr.DataArray(u, dims="member"),
        xr.DataArray(1 - (1 - u) ** 0.2, dims="member"),
    )
    assert np.isnan(return_levels(abrupt, [10000]).fitted).all()
    assert return_levels(smooth, [10000]).fitted.item() == pytest.approx(1 - 1e-4**0.2, rel=0.1)
