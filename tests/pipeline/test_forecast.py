"""Conditional ensembles: scoringrules, closed forms, uniform ranks, and bad ones refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scoringrules
import torch
import xarray as xr
from scipy import stats

from pushforward import verify_forecast
from pushforward.forecast import crps, energy_score, octaves, rank_p, ranks
from pushforward.solvers import GaussianField, Grid
from pushforward.solvers.diagnostics import shells

GRID = Grid((16, 16))
DIMS = ("case", "member", "y", "x")


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def cases(count: int, members: int, seed: int = 0) -> tuple[xr.DataArray, xr.DataArray]:
    """Ensembles (case, member, y, x) about a signal of each case, and the truth of their law."""
    field = GaussianField.matern(3.0, 0.5, deviation=1.0)
    u = field.sample(range(count * (members + 1)), GRID, seed).view(count, members + 1, 16, 16)
    signal = 2 * field.sample(range(count), GRID, seed + 1000)[:, None]
    ensemble = xr.DataArray((u[:, 1:] + signal).numpy(), dims=DIMS, name="u")
    return ensemble, xr.DataArray(
        (u[:, 0] + signal[:, 0]).numpy(), dims=("case", "y", "x"), name="u"
    )


@pytest.mark.parametrize("members", [2, 7, 50])
def test_crps_agrees_with_scoringrules(members: int):
    x, y = normal(5, members, 4, seed=1), normal(5, 4, seed=2)
    exact = scoringrules.crps_ensemble(y.numpy(), x.numpy(), m_axis=1, estimator="fair")  # pyright: ignore
    np.testing.assert_allclose(crps(x, y).numpy(), np.asarray(exact), atol=1e-13)


@pytest.mark.parametrize("members", [2, 7, 50])
def test_the_energy_score_agrees_with_scoringrules(members: int):
    x, y = normal(5, members, 4, 3, seed=1), normal(5, 4, 3, seed=2)
    exact = scoringrules.energy_score(
        y.flatten(1).numpy(), x.flatten(2).numpy(), m_axis=1, v_axis=2, estimator="fair"
    )
    np.testing.assert_allclose(energy_score(x, y).numpy() * 12**0.5, exact, atol=1e-12)


@pytest.mark.parametrize("members", [2, 5, 20])
def test_fair_crps_of_normal_members_has_the_closed_form_for_any_number(members: int):
    y = torch.full((20_000,), 0.8).double()
    found = crps(normal(20_000, members, seed=members), y)
    pdf, cdf = stats.norm.pdf(0.8), stats.norm.cdf(0.8)
    exact = 0.8 * (2 * cdf - 1) + 2 * pdf - 1 / math.sqrt(math.pi)
    assert found.mean().item() == pytest.approx(exact, abs=4 * found.std().item() / 141)


def test_an_exchangeable_ensemble_has_uniform_ranks_and_the_right_spread():
    p = []
    for seed in range(40):
        x, y = normal(60, 9, 6, seed=seed), normal(60, 6, seed=1000 + seed)
        rank = ranks(x, y, seed)
        assert bool(((rank >= 0) & (rank <= 9)).all())
        p.append(rank_p(rank[:, 0], 9))
    assert stats.kstest(p, "uniform").pvalue > 1e-3
    scores = verify_forecast(*cases(120, 8))
    spread = scores.spread_skill.item()
    assert spread == pytest.approx(1, abs=0.1)
    assert scores.rank_p.item() > 1e-3
    share = scores.rank_histogram / scores.rank_histogram.sum()
    assert float(abs(share - 1 / 9).max()) < 0.03
    # without the finite-ensemble factor it would be too small by this
    assert spread / math.sqrt(9 / 8) < spread


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_too_little_and_too_much_spread_are_refused(scale: float):
    ensemble, truth = cases(120, 8)
    mean = ensemble.mean("member")
    scores = verify_forecast(mean + scale * (ensemble - mean), truth)
    assert scores.rank_p.item() < 1e-3
    assert (scores.spread_skill.item() < 0.7) if scale < 1 else (scores.spread_skill.item() > 1.4)
    right = verify_forecast(ensemble, truth)
    assert scores.crps.mean() > right.crps.mean()
    assert scores.energy_score.mean() > right.energy_score.mean()


def test_a_bias_is_a_slope_of_ranks():
    ensemble, truth = cases(120, 8)
    scores = verify_forecast(ensemble + 1.0, truth)
    assert scores.rank_p.item() < 1e-3
    assert scores.rank_histogram[0, 0] > 3 * scores.rank_histogram[0, -1]


def test_ties_are_broken_at_random_and_the_same_way_again():
    x, y = torch.zeros(4000, 3, 1), torch.zeros(4000, 1)
    rank = ranks(x, y, seed=5)
    counts = torch.bincount(rank.flatten(), minlength=4)
    assert stats.chisquare(counts).pvalue > 1e-3
    torch.testing.assert_close(ranks(x, y, seed=5), rank)
    assert not torch.equal(ranks(x, y, seed=6), rank)
    torch.testing.assert_close(ranks(x[:7], y[:7], seed=5), rank[:7])


def test_few_cases_are_not_asked_for_many_ranks():
    assert math.isnan(rank_p(torch.arange(9) % 4, 50))
    assert rank_p(torch.arange(20) * 51 // 20, 50) > 0.9
    assert rank_p(torch.zeros(20).long(), 50) < 1e-3


def test_a_band_that_is_too_sure_is_found_where_it_is():
    ensemble, truth = cases(60, 8)
    values = torch.from_numpy(ensemble.values)
    mean = values.mean(1, keepdim=True)
    blur = torch.where((shells(GRID) >= 4) & (shells(GRID) < 8), 0.0, 1.0)
    wrong = ensemble.copy(data=(mean + GRID.ifft(GRID.fft(values - mean) * blur)).numpy())
    right, less = (verify_forecast(e, truth).crps_band.mean("case")[0] for e in (ensemble, wrong))
    change = (less / right - 1).to_series()
    assert list(change.index) == ["0", "1", "2-3", "4-11"]
    assert octaves(GRID) == [(1, 2), (2, 4), (4, 12)]
    assert change.iloc[3] > 0.02
    assert abs(change.iloc[:3]).max() < 1e-9


@pytest.mark.parametrize("boundary", ["periodic", "neumann"])
def test_a_bias_is_in_the_band_of_the_mean_alone(boundary: str):
    ensemble, truth = (u.assign_attrs(boundary=boundary) for u in cases(20, 4))
    right, wrong = (
        verify_forecast(e, truth).crps_band.mean("case")[0]
        for e in (ensemble, ensemble.copy(data=ensemble.values + 5))
    )
    assert float(wrong.sel(band="0")) > 4
    np.testing.assert_allclose(wrong[1:], right[1:], atol=1e-9)


def test_bands_add_up_for_one_member_of_a_wave():
    y = Grid((16,)).coordinates()[0]
    truth = xr.DataArray(np.cos(3 * y.numpy())[None], dims=("case", "x"))
    ensemble = xr.zeros_like(truth).expand_dims(member=2, axis=1)
    scores = verify_forecast(ensemble, truth)
    bands = scores.crps_band[0, :, 0]
    assert bands.values.argmax() == 2  # waves 2 and 3
    np.testing.assert_allclose(bands.max(), scores.crps[0, 0])
    assert float(bands[[0, 1, 3]].max()) < 1e-12


def test_variables_and_times_are_rows_and_cases_keep_their_names():
    ensemble, truth = cases(12, 3)
    both = [
        xr.Dataset({"u": u, "v": 2 * u})
        .expand_dims(time=[0.5, 1.0])
        .assign_coords(case=np.arange(12) + 7)
        for u in (ensemble, truth)
    ]
    scores = verify_forecast(*both, seed=3)
    assert list(scores.variable.values) == ["u at t=0.5", "u at t=1", "v at t=0.5", "v at t=1"]
    assert scores.case.values[0] == 7
    assert scores.crps.dims == ("variable", "case")
    np.testing.assert_allclose(scores.crps[2], 2 * scores.crps[0])
    assert scores.attrs == {"seed": 3, "members": 3}
    numbers = verify_forecast(*(u.isel(x=0, y=0) for u in (ensemble, truth)))
    assert "crps_band" not in numbers


NAMES = {"case": np.array(list("abcdef")), "x": np.arange(16) / 16, "y": np.arange(16.0)}
DAYS = np.array(["2020-01-01", "2020-01-02"], "datetime64[ns]")


def named(count: int = 6) -> tuple[xr.DataArray, xr.DataArray]:
    """An ensemble and its truth with a label for every case and point."""
    ensemble, truth = cases(count, 3)
    return ensemble.assign_coords(NAMES), truth.assign_coords(NAMES)


@pytest.mark.parametrize(
    "stored",
    [
        lambda u: u[::-1],
        lambda u: u[[3, 1, 5, 0, 2, 4]],
        lambda u: u.transpose("x", "case", "y"),
        lambda u: u.isel(x=slice(None, None, -1)),
        lambda u: u.assign_coords(x=u.x.astype("float32") * np.float32(1.00001)),
        lambda u: u.drop_vars("case"),
    ],
    ids=["cases backwards", "cases mixed", "axes", "points backwards", "rounded", "no labels"],
)
def test_the_truth_goes_by_its_labels_however_it_is_stored(stored):
    ensemble, truth = named()
    xr.testing.assert_allclose(
        verify_forecast(ensemble, stored(truth)), verify_forecast(ensemble, truth), rtol=1e-12
    )


def test_variables_and_times_go_by_their_labels_and_may_be_days():
    ensemble, truth = (xr.Dataset({"u": u, "v": 2 * u}) for u in cases(12, 3))
    truth = truth.expand_dims(time=DAYS) * xr.DataArray([1.0, 3.0], dims="time")
    ensemble = ensemble.expand_dims(time=DAYS)
    scores = verify_forecast(ensemble, truth)
    assert list(scores.variable.values[:2]) == ["u at t=2020-01-01", "u at t=2020-01-02"]
    assert scores.crps[0].mean() < scores.crps[1].mean()
    mixed = truth[["v", "u"]].isel(time=[1, 0])
    xr.testing.assert_identical(verify_forecast(ensemble, mixed), scores)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e, t: (e, t.rename(case="run")), "a dimension case in 'u' of the truth"),
        (lambda e, t: (e[:, :1], t), "at least 2 members a case"),
        (lambda e, t: (e, t[:5]), "a truth of 'u' with the sizes of one member"),
        (lambda e, t: (e, t.rename("w")), r"the variables \['u'\] of the ensemble"),
        (lambda e, t: (e.where(e < 2), t), "finite fields, got NaN or infinity in 'u'"),
        (lambda e, t: (e[1:], t[:-1]), ".* case of the ensemble, b c d e f, .* got a b c d e;"),
        (
            lambda e, t: (e, t[[0, 0, 1, 2, 3, 4]]),
            ".* each once, got a a ... d e; .* xarray.align",
        ),
        (lambda e, t: (e, t.assign_coords(x=t.x + 1)), "the truth of 'u' at the x of the ensem"),
        (
            lambda e, t: (e.expand_dims(time=[1.0]), t.expand_dims(time=[9.0])),
            "'u' at one time, got t=1 in the ensemble and t=9 in the truth; choose",
        ),
        (lambda e, t: (e.expand_dims(time=[1, 1]), t), "times that differ .* got 1, 1; choose"),
        (lambda e, t: (e[:0], t[:0]), "values in 'u' of the ensemble, got .*'case': 0.* choose"),
        (lambda e, t: (xr.Dataset(), t), "a variable in the ensemble, got none; give a Dataset"),
        (
            lambda e, t: (e.drop_vars("x"), t.assign_coords(x=np.arange(16) ** 2)),
            "equidistant coordinates of 'x', got steps from 1 to 29; sort",
        ),
    ],
)
def test_mistakes_are_refused_in_one_sentence(change, message: str):
    with pytest.raises(ValueError, match=f"expected {message}"):
        verify_forecast(*change(*named()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e, t: (e.values, t), "the ensemble to be a DataArray or a Dataset, got ndarray"),
        (lambda e, t: (e, t.values), "the truth to be a DataArray or a Dataset, got ndarray"),
        (lambda e, t: (e + 1j, t), "real numbers in 'u' of the ensemble, got complex128; conv"),
        (lambda e, t: (e, t.astype(str)), "real numbers in 'u' of the truth, got <U32; conv"),
    ],
)
def test_what_holds_no_labelled_real_numbers_is_refused(change, message: str):
    with pytest.raises(TypeError, match=f"expected {message}"):
        verify_forecast(*change(*named()))
