"""Floors and verdicts: right under the null, and wrong ensembles refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import xarray as xr
from scipy import stats

from pushforward.draws import Draws
from pushforward.floors import measure
from pushforward.multiplicity import LEVEL
from pushforward.solvers import GaussianField, Grid
from pushforward.solvers.diagnostics import shells
from pushforward.suite import SUITE
from pushforward.summary import state
from pushforward.summed import two_sides
from pushforward.verdicts import titles, verdict

GRID = Grid((16, 16))
FIELD = GaussianField.matern(4.0, 0.3, deviation=1.0, mean=False)


def solver(members: range, seed: int = 1) -> torch.Tensor:
    """Members (member, 1, y, x) of something that is not Gaussian: plateaus between fronts."""
    return (3 * FIELD.sample(members, GRID, seed=seed)).tanh()[:, None].float()


def scores_of(fields: torch.Tensor, **options) -> xr.Dataset:
    """Scores of 48 members against 48 of a pool of 128, with 64 training members."""
    pool = solver(range(1000, 1128))
    settings = {"splits": 99, "bootstrap": 40, "training": solver(range(64)), **options}
    found = measure({"mine": fields}, None, pool, GRID, ["u"], **settings)
    return found.isel(ensemble=0, variable=0)


def outside(scores: xr.Dataset) -> set[str]:
    return {str(name) for name in scores.score.values[~scores.inside.values]}


def two(members: range) -> torch.Tensor:
    """A vorticity and a field that hangs on it, (member, 2, y, x)."""
    w = FIELD.sample(members, GRID, seed=8)
    v = FIELD.sample(members, GRID, seed=9)
    return torch.stack([(3 * w).tanh(), (v + w).tanh()], 1).float()


CLASSIFIER = tuple(score for score in SUITE if score.name == "classifier_auc")
OTHERS = tuple(score for score in SUITE if score not in CLASSIFIER)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variables", "suite"),
    [(["vorticity", "v"], OTHERS), (["vorticity"], CLASSIFIER)],  # the latter takes long
    ids=["all others", "classifier"],
)
def test_p_values_of_null_comparisons_are_uniform(variables, suite):
    # in shape: how often p is small takes more comparisons than these (test_null.py)
    drawn: dict[tuple[str, str], list[float]] = {}
    repetitions, size = 32, 20
    for i in range(repetitions):
        u = two(range(200 * i, 200 * i + 8 * size))[:, : len(variables)]
        sets = {"pool": u[size : 5 * size], "training": u[5 * size :]}
        options = {"splits": 19, "bootstrap": 1, "seed": i, "suite": suite}
        found = measure({"a": u[:size]}, None, grid=GRID, variables=variables, **sets, **options)
        p = found.p.where(found.floor_sd > 0).isel(ensemble=0).to_series().dropna()
        for key, value in p.items():
            drawn.setdefault(key, []).append(value)
    names = {name for _, name in drawn}
    assert {score.name for score in suite} <= names | {"mean_mode", "dealiased_tail"}
    assert {"mmd", "riesz_mmd", "energy_distance", "memorisation"} <= names
    for key, p in drawn.items():
        assert len(p) == repetitions, key
        assert stats.kstest(p, "uniform").pvalue > 1e-3, key


def test_p_values_of_a_wrong_law_are_not_uniform():
    p = []
    for i in range(12):
        u = solver(range(200 * i, 200 * i + 100), seed=8)
        found = measure(
            {"a": u[:20] * 1.5}, u[20:40], u[40:], GRID, ["u"], splits=39, bootstrap=2, seed=i
        )
        p.append(found.p.sel(score="w1").item())
    assert stats.kstest(p, "uniform").pvalue < 1e-6


def test_a_phase_randomised_copy_has_the_spectrum_and_is_refused():
    u = solver(range(2000, 2048))
    noise = GRID.fft(torch.randn(u.shape, generator=torch.Generator().manual_seed(0)))
    mean = u.mean((-2, -1), keepdim=True)
    copy = GRID.ifft(GRID.fft(u - mean).abs() * noise / noise.abs()) + mean
    found = scores_of(copy)
    spectrum = {"score": "log_spectral_distance"}
    original = scores_of(u).value.sel(spectrum).item()
    assert found.value.sel(spectrum).item() == pytest.approx(original, rel=0.05)
    assert {"w1", "flatness", "gradient_w1"} <= outside(found)


def test_a_low_passed_copy_is_refused():
    u = solver(range(2000, 2048))
    found = scores_of(GRID.ifft(GRID.fft(u) * (shells(GRID) <= 4)))
    assert {"log_spectral_distance", "gradient_w1", "mmd"} <= outside(found)
    assert found.ratio.sel(score="log_spectral_distance") > 10


def test_a_shifted_copy_of_training_members_is_refused_as_such():
    copies = solver(range(48)).roll((3, 7), (-2, -1))
    found = scores_of(copies)
    assert "memorisation" in outside(found)
    assert found.value.sel(score="memorisation") < 0.01
    assert "memorisation" not in outside(scores_of(copies, translations=False))


def test_some_copies_among_members_that_are_too_far_away_are_refused():
    u = torch.cat([solver(range(8)), 1.5 * solver(range(2008, 2048))])
    found = scores_of(u)
    assert "memorisation" not in outside(found)  # which is a mean
    assert "closest_members" in outside(found)
    assert found.p.sel(score="closest_members") == 1 / 100
    few = scores_of(torch.cat([solver(range(5)), solver(range(2005, 2048))]))
    assert few.p_family.sel(score="closest_members") <= LEVEL  # a family of its own
    one = scores_of(torch.cat([solver(range(1)), solver(range(2001, 2048))]))
    assert bool(one.beyond_floor)


def test_a_member_that_has_blown_up_is_refused_or_undecided_but_no_crash():
    u = solver(range(2000, 2048))
    for factor, count in ((10.0, 1), (1e3, 6), (1e20, 6), (1e30, 48)):
        bad = torch.cat([factor * u[:count], u[count:]])
        found = scores_of(bad.double()).expand_dims(["ensemble", "variable"])
        assert state(found, "mine") == ("undecided" if count == 1 else "told"), factor


def test_white_noise_of_the_right_size_is_refused():
    u = solver(range(2000, 2048))
    noise = torch.randn(u.shape, generator=torch.Generator().manual_seed(2))
    found = scores_of(noise * u.std() + u.mean())
    assert {"log_spectral_distance", "w1", "gradient_w1", "mmd"} <= outside(found)


def test_a_shifted_mean_is_refused_by_the_energy_distance():
    assert "energy_distance" in outside(scores_of(solver(range(2000, 2048)) + 0.4))


def test_the_bootstrap_error_is_the_spread_of_the_score():
    values, errors = [], []
    pool = solver(range(1000, 1128), seed=3)
    for i in range(16):
        u = 1.4 * solver(range(5000 + 64 * i, 5064 + 64 * i), seed=3)
        b = solver(range(50_000 + 64 * i, 50_064 + 64 * i), seed=3)
        found = measure({"a": u}, b, pool, GRID, ["u"], splits=2, bootstrap=50)
        values.append(found.value.values[0, 0])
        errors.append(found.standard_error.values[0, 0])
    ratio = np.mean(errors, axis=0) / np.std(values, axis=0, ddof=1)
    names = [str(name) for name in found.score.values]
    margin = 4 / math.sqrt(32)  # the standard deviation of n values is known to 1 / sqrt(2 n)
    for name in ("log_spectral_distance", "w1", "gradient_w1", "skewness"):
        assert abs(ratio[names.index(name)] - 1) < margin, name
    # near 0 an unbiased estimate is a degenerate U-statistic: its error comes out too large, by
    # at most sqrt(3)
    assert 1 - margin < ratio[names.index("energy_distance")] < math.sqrt(3) * (1 + margin)


def test_the_same_seed_gives_the_same_dataset_and_another_one_another():
    u = solver(range(2000, 2048))
    assert scores_of(u).identical(scores_of(u))
    assert not scores_of(u).floor_mean.identical(scores_of(u, seed=1).floor_mean)


def test_splits_are_disjoint_and_of_the_right_sizes_within_the_pool():
    draws = Draws.make(["a", "b"], 6, 30, 24, splits=50, bootstrap=3, seed=0)
    a, b = draws.splits
    assert a.shape == b.shape == (50, 30)
    assert bool((a.sum(1) == 6).all())
    assert bool((b.sum(1) == 6).all())
    assert (a * b).max() == 0
    assert len({tuple(row) for row in a.tolist()}) > 45
    left, right = draws.pair("b")
    assert left[0].nonzero().flatten().tolist() == list(range(6))
    assert right[0].nonzero().flatten().tolist() == list(range(6, 12))
    assert left[:4, 6:].max() == right[:4, :6].max() == right[:4, 12:].max() == 0
    assert left.shape == right.shape == (4 + 50, 6 + 6 + 24)
    assert bool((left.sum(1) == 6).all())
    assert bool((right.sum(1) == 6).all())
    assert (left[4:] * right[4:]).max() == 0
    assert left[4:].sum(0).min() > 0  # everyone is drawn, the ensemble's own and the others


def test_sums_on_all_draws_are_those_of_the_members_in_a_row():
    u = torch.randn(36, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    draws = Draws.make(["a"], 6, 30, 24, splits=5, bootstrap=3, seed=0)
    own, theirs = draws.own("a").double() @ u[:6], draws.theirs().double() @ u[6:]
    for side, expected in zip(two_sides(own, theirs, 5), draws.pair("a"), strict=True):
        torch.testing.assert_close(side, expected.double() @ u)


def test_unbiased_scores_have_no_ratio_and_are_judged_by_the_quantile():
    null = torch.linspace(-1, 1, 201)
    row = verdict(0.95, torch.tensor([0.9, 1.0]), null, null, titles()["mmd"])
    assert math.isnan(row["ratio"])
    assert not row["inside"]
    assert row["z"] == pytest.approx(0.95 / null.std().item())
    assert verdict(0.85, torch.tensor([0.9, 1.0]), null, null, titles()["mmd"])["inside"]


def test_memorisation_is_suspicious_when_small():
    null, title = torch.linspace(0.9, 1.1, 201), titles()["memorisation"]
    row = verdict(0.5, torch.tensor([0.5, 0.5]), null, null, title)
    assert not row["inside"]
    assert row["p"] == pytest.approx(1 / 202)
    assert verdict(1.5, torch.tensor([1.5, 1.5]), null, null, title)["inside"]


def test_several_variables_are_scored_alone_and_jointly():
    smooth = GaussianField.squared_exponential(length=1.5, deviation=1.0, cutoff=2)
    u = torch.stack([smooth.sample(range(240), GRID, seed=seed) for seed in (1, 2)], 1)
    mixed = torch.cat([u[:60, :1], u[:60, :1]], 1)  # right margins, wrong together
    found = measure({"a": mixed}, u[60:120], u[120:], GRID, ["u", "v"], splits=50, bootstrap=5)
    assert list(found.variable.values) == ["u", "v", "joint"]
    joint = found.sel(ensemble="a", variable="joint")
    assert bool(joint.value.sel(score="w1").isnull())
    assert not joint.inside.sel(score="mmd")
    assert found.inside.sel(ensemble="a", variable="u", score="mmd")
    assert found.inside.sel(ensemble="a", variable="v", score="mmd")


def test_what_cannot_be_compared_is_refused():
    u = solver(range(40))
    with pytest.raises(ValueError, match=r"a pool of at least 16 \+ 16 solver members"):
        measure({"a": u[:16]}, u[16:32], u[16:], GRID, ["u"])
    with pytest.raises(ValueError, match="expected ensembles of one size"):
        measure({"a": u[:5], "b": u[:6]}, u[6:12], u[6:], GRID, ["u"])
    with pytest.raises(ValueError, match="as many reference members as an ensemble's 5, got 6"):
        measure({"a": u[:5]}, u[6:12], u[6:], GRID, ["u"])
