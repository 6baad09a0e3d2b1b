"""The fourth verb: what it compares with what, that it is stored once, and `compare`."""

from __future__ import annotations

import logging
import shutil

import numpy as np
import pytest
import torch
import xarray as xr

from pushforward.comparison import common, compare, grid_of
from pushforward.evaluation import CURVES_FILE, evaluate, labels, plain, restore, stacked
from pushforward.floors import measure
from pushforward.profiles import curves
from pushforward.solvers import GaussianField, Grid
from pushforward.solvers.diagnostics import power_spectrum
from pushforward.verdicts import titles

FIELD = GaussianField.matern(4.0, 0.4, deviation=1.0, mean=False)
GRID = Grid((16, 16))


def ensemble(members: range, grid: Grid = GRID, factor: float = 1.0) -> xr.DataArray:
    z = factor * FIELD.sample(members, grid, seed=2)
    coordinates = {d: x.numpy() for d, x in zip("yx", grid.coordinates(), strict=True)}
    return xr.DataArray(z.numpy(), dims=("member", "y", "x"), coords=coordinates, name="u")


def test_scores_have_the_promised_dimensions_and_columns(lineage):
    scores = evaluate(*lineage())
    assert (scores.sizes["ensemble"], scores.sizes["variable"]) == (2, 1)
    assert {*scores.score.values} <= {*titles()}
    assert {"w1", "frechet", "sliced_w1", "mmd", "memorisation"} <= {*scores.score.values}
    assert list(scores.ensemble.values) == ["trained", "gaussian"]
    columns = {"value", "floor_mean", "floor_sd", "floor_q95", "ratio", "z", "standard_error", "p"}
    assert columns | {"inside"} <= set(scores.data_vars)
    assert {"members": 24, "pairs": 24, "pool": 96}.items() <= scores.attrs.items()
    assert scores.inside.dtype == bool
    assert bool(scores.value.notnull().all())
    assert bool(scores.ratio.sel(score=["mmd", "energy_distance"]).isnull().all())


def test_what_is_compared_is_what_is_promised(lineage):
    evaluation, archive = lineage()
    scores = evaluate(evaluation, archive)
    training = evaluation.generation.training
    solver = archive.open(training.simulation).vorticity[:, -1].values
    pool = torch.from_numpy(solver[32:])[:, None]  # the last 24 of which are the reference
    generated = archive.open(evaluation.generation).vorticity[:, -1].values
    sets = {
        "trained": torch.from_numpy(generated)[:, None],
        "gaussian": archive.surrogate(training).sample(range(24), Grid((16, 16)), seed=10),
    }
    expected = measure(
        sets,
        None,
        pool,
        Grid((16, 16)),
        ["vorticity"],
        training=torch.from_numpy(solver[:24])[:, None],
        splits=40,
        bootstrap=20,
    )
    xr.testing.assert_allclose(scores.drop_attrs(), expected.drop_attrs(), atol=1e-7)


def test_the_trained_ensemble_is_inside_and_the_gaussian_one_is_not(lineage):
    scores = evaluate(*lineage()).isel(variable=0)
    assert scores.inside.sel(ensemble="trained", score=["w1", "gradient_w1", "mmd"]).all()
    assert not scores.inside.sel(ensemble="gaussian", score=["w1", "skewness"]).any()


def test_an_ensemble_of_the_wrong_size_is_outside(lineage):
    scores = evaluate(*lineage(quality=1.5)).sel(ensemble="trained")
    assert not scores.inside.sel(score=["w1", "log_spectral_distance"]).any()


def test_a_second_run_reads_what_the_first_one_stored(lineage, caplog, monkeypatch):
    evaluation, archive = lineage()
    first = evaluate(evaluation, archive)
    assert archive.sealed(evaluation)
    before = {p: p.stat().st_mtime_ns for p in archive.folder(evaluation).rglob("*")}
    monkeypatch.setattr("pushforward.evaluation.examine", None)
    with caplog.at_level(logging.INFO, "pushforward"):
        second = evaluate(evaluation, archive)
    assert f"{evaluation.name} is complete: nothing to do" in caplog.text
    xr.testing.assert_identical(first, second)
    assert before == {p: p.stat().st_mtime_ns for p in archive.folder(evaluation).rglob("*")}


def test_an_evaluation_that_is_lost_comes_back_the_same(lineage):
    evaluation, archive = lineage()
    first = evaluate(evaluation, archive)
    shutil.rmtree(archive.folder(evaluation))
    xr.testing.assert_identical(first.drop_attrs(), evaluate(evaluation, archive).drop_attrs())


def test_a_finer_generation_is_compared_on_the_simulation_grid(lineage):
    evaluation, archive = lineage(grid=Grid((24, 24)))
    scores = evaluate(evaluation, archive)
    assert scores.inside.sel(ensemble="trained", score="w1").all()
    lines = restore(archive.read_json(evaluation, CURVES_FILE))
    assert lines.sizes["shell"] == len(power_spectrum(torch.zeros(16, 16), Grid((16, 16))))


def test_channels_and_times_are_variables(lineage, gray_scott):
    evaluation, archive = lineage(equation=gray_scott, frames=(-1, 0))
    training = evaluation.generation.training
    names = ["u at t=1", "v at t=1", "u at t=0.5", "v at t=0.5"]
    assert labels(training) == names
    simulated = archive.open(training.simulation)
    fields = stacked(simulated, training, range(3, 5))
    np.testing.assert_array_equal(fields[:, 2], simulated.u[3:5, 0].values)
    generated = archive.open(evaluation.generation)
    np.testing.assert_array_equal(
        stacked(generated, training, range(2))[:, 2], generated.u[:2].sel(time=0.5).values
    )


@pytest.mark.slow
def test_channels_and_times_are_scored_alone_and_jointly(lineage, gray_scott):
    evaluation, archive = lineage(equation=gray_scott, frames=(-1, 0))
    scores = evaluate(evaluation, archive)
    assert list(scores.variable.values) == [*labels(evaluation.generation.training), "joint"]
    assert bool(scores.value.sel(variable="joint", score="mmd").notnull().all())


def test_missing_upstream_results_are_named(lineage, tmp_path):
    evaluation, archive = lineage()
    with pytest.raises(LookupError, match=r"simulate\(study.simulation, archive\) first"):
        evaluate(evaluation, type(archive)(tmp_path / "empty"))
    (archive.folder(evaluation.generation) / "manifest.json").unlink()
    with pytest.raises(LookupError, match=r"run generate\(study.generation, archive\) again"):
        evaluate(evaluation, archive)
    assert not archive.sealed(evaluation)


def test_curves_lie_in_their_bands_and_densities_integrate_to_one():
    u = torch.from_numpy(ensemble(range(40)).values)[:, None]
    found = curves({"mine": u[:20], "solver": u[20:]}, u, Grid((16, 16)), ["u"], bootstrap=100)
    for name in ("spectrum", "density", "gradient_density"):
        low, middle, high = (found[name + s].values for s in ("_low", "", "_high"))
        assert (low <= high).all()
        inside = (low <= middle) & (middle <= high)
        assert inside[high > 0].mean() > 0.9
    width = found.value.diff("bin").mean().item()
    total = found.density.sum("bin") * width
    np.testing.assert_allclose(total, 1, atol=1e-3)
    spectrum = found.spectrum.sel(ensemble="solver", variable="u").values
    centred = u[20:, 0] - u.mean()
    np.testing.assert_allclose(
        spectrum, power_spectrum(centred, Grid((16, 16))).mean(0), rtol=1e-6, atol=1e-20
    )


def test_json_keeps_every_value():
    dataset = xr.Dataset(
        {"x": (("a", "b"), [[1.5, np.nan], [np.inf, 1e-300]]), "ok": ("b", [True, False])},
        {"a": ["one", "two"], "unit": ("a", ["σ", ""])},
        {"n": 3},
    )
    stored = plain(dataset)
    assert stored["data_vars"]["x"]["data"][0] == [1.5, None]
    back = restore(stored)
    np.testing.assert_array_equal(back.x, [[1.5, np.nan], [np.inf, 1e-300]])
    assert back.ok.dtype == bool
    assert list(back.unit.values) == ["σ", ""]
    assert back.attrs == {"n": 3}


def test_compare_scores_any_two_ensembles():
    solver = ensemble(range(100, 180))
    good = compare(ensemble(range(20)), solver[:20], reference=solver[20:], splits=50)
    bad = compare(ensemble(range(20), factor=1.6), solver[:20], reference=solver[20:], splits=50)
    assert good.sizes["variable"] == 1
    assert "memorisation" not in good.score
    assert list(good.variable.values) == ["u"]
    assert good.inside.sel(score="w1").all()
    assert not bad.inside.sel(score=["w1", "log_spectral_distance"]).any()


def test_compare_restricts_to_the_coarsest_grid_and_finds_copies():
    solver = ensemble(range(100, 180))
    fine = ensemble(range(20), Grid((32, 24)))
    scores = compare(fine, solver[:20], reference=solver[20:], training=fine, splits=30)
    assert scores.value.sel(score="memorisation").item() < 1e-6
    same = compare(ensemble(range(20)), solver[:20], reference=solver[20:], splits=30)
    np.testing.assert_allclose(
        scores.value.sel(score="w1"), same.value.sel(score="w1"), rtol=0.3, atol=0.05
    )


def test_compare_takes_datasets_with_times():
    u = ensemble(range(100)).expand_dims(time=[0.0, 1.0], axis=1).to_dataset(name="w")
    u["forcing"] = ensemble(range(100))
    scores = compare(
        u.isel(member=slice(0, 20)),
        u.isel(member=slice(20, 40)),
        reference=u.isel(member=slice(40, 100)),
        splits=20,
    )
    assert list(scores.variable.values) == ["w at t=0", "w at t=1", "joint"]


def test_compare_says_what_does_not_fit():
    a, solver = ensemble(range(20)), ensemble(range(100, 180))
    with pytest.raises(ValueError, match="expected 'w' with a dimension member in a"):
        compare(a, a, reference=solver, variable="w")
    with pytest.raises(ValueError, match=r"expected the variables \['u'\] of a in b"):
        compare(a, a.rename("w"), reference=solver)
    with pytest.raises(ValueError, match="expected one box"):
        compare(a, a, reference=ensemble(range(100, 180), Grid((16, 16), (1.0, 1.0))))


def test_grids_come_from_coordinates_or_from_the_caller():
    grid = Grid((16, 8), (2.0, 3.0))
    assert grid_of(ensemble(range(2), grid)) == grid
    bare = ensemble(range(2), grid).drop_vars(["x", "y"])
    assert grid_of(bare, Grid((64, 64), (2.0, 3.0))) == grid
    assert common(grid, Grid((8, 16), (2.0, 3.0))).shape == (8, 8)


def test_frames_that_determine_each_other_are_held_to_the_solvers_flow(lineage):
    evaluation, archive = lineage(frames=(0, 1))
    scores = evaluate(evaluation, archive)
    residual = scores.value.sel(score="residual")
    assert residual.notnull().sel(ensemble="trained").values.tolist() == [False, False, True]
    # the lineage's "solver" draws its frames at random, as the "trained" members do
    assert scores.ratio.sel(score="residual", variable="joint", ensemble="trained") < 2
    assert scores.attrs["members"] == 24
    assert "residual" not in evaluate(*lineage()).score.values
