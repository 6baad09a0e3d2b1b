"""The whole suite of scores on a solved flow: what must be refused is, what is right is not."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

from pushforward.summary import state
from pushforward.verdicts import titles

ROOT = Path(__file__).resolve().parents[2]
CONTROLS = (
    "random phases",
    "2/3 low-pass",
    "viscosity x 1.5",
    "1% white noise",
    "10% white noise",
    "16 members, repeated",
    "training copy",
    "Gaussian",
    "skewed values",
    "amplitude x 1.3",
    "reversed in time",
)
TOGETHER = (
    "variables shuffled between members",
    "tracer of the other sign",
    "tracer steepened",
)
SPLITS = 60  # of fewer no ensemble can differ: 1 / (1 + SPLITS) is above what is asked of p_family


@pytest.fixture(scope="module")
def table() -> Iterator[Any]:
    """The module of the benchmark."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        yield importlib.import_module("benchmarks.controls_table")


@pytest.fixture(scope="module")
def found(table: Any) -> xr.Dataset:
    """The scores of every control."""
    return table.scores(table.Flow(), splits=SPLITS)


@pytest.fixture(scope="module")
def tracer(table: Any) -> xr.Dataset:
    """The scores of the controls of a flow and its tracer."""
    return table.scores(table.Tracer(first=5_000), splits=SPLITS)


@pytest.mark.slow
@pytest.mark.parametrize("control", TOGETHER)
def test_a_tracer_that_is_wrong_is_refused_by_the_scores_that_are_named(
    control: str, table: Any, tracer: xr.Dataset
):
    assert table.CAUGHT[control]
    assert table.missed(tracer)[control] == []


@pytest.mark.slow
def test_shuffled_variables_are_right_one_by_one(table: Any, tracer: xr.Dataset):
    refused = {
        name: {s for s in table.outside(tracer, name) if s.startswith("tracer: ")}
        for name in ("another set", "variables shuffled between members")
    }
    own = {"tracer: classifier_auc"}  # its folds go by the order of members
    assert refused["variables shuffled between members"] - own == refused["another set"] - own
    row = tracer.sel(score="joint: cross_spectrum")
    assert row.value[1] > 10 * row.value[0]


@pytest.mark.parametrize("control", CONTROLS)
def test_a_wrong_ensemble_is_refused_by_the_scores_that_are_named(
    control: str, table: Any, found: xr.Dataset
):
    assert table.CAUGHT[control]
    assert table.missed(found)[control] == []


@pytest.mark.slow
def test_every_control_is_told_from_the_solver_and_the_right_set_is_not(
    found: xr.Dataset, tracer: xr.Dataset
):
    for scores, wrong in ((found, CONTROLS), (tracer, TOGETHER)):
        assert {name: state(scores, name) for name in wrong} == dict.fromkeys(wrong, "told")
        assert state(scores, "another set") == "not told"


@pytest.mark.slow
def test_every_control_is_asked_for(table: Any, found: xr.Dataset, tracer: xr.Dataset):
    assert set(found.ensemble.values) == {"another set", *CONTROLS}
    assert set(tracer.ensemble.values) == {"another set", *TOGETHER}
    assert set(table.CAUGHT) == {*CONTROLS, *TOGETHER}


@pytest.mark.slow
def test_every_score_must_refuse_some_control(table: Any, found: xr.Dataset, tracer: xr.Dataset):
    known = {*map(str, found.score.values), *map(str, tracer.score.values)}
    assert {name for names in table.CAUGHT.values() for name in names} <= known
    assert set(table.asked()) == {s.split(": ")[-1] for s in known}
    assert set(titles()) == {*table.asked(), "residual"}
    assert [score for score, controls in table.asked().items() if not controls] == []


def test_another_set_of_the_solver_is_refused_no_more_than_chance_allows(
    table: Any, found: xr.Dataset
):
    # 5% each; scores that look at the same thing are refused together, so three such families
    assert len(table.outside(found, "another set")) <= 3 + 0.05 * found.sizes["score"]


def test_random_phases_keep_the_spectrum_and_nothing_else(table: Any, found: xr.Dataset):
    chosen = found.sel(ensemble=["another set", "random phases"])
    spectra = chosen.value.sel(score="log_spectral_distance")
    assert float(spectra[1]) == pytest.approx(float(spectra[0]), rel=1e-3)
    refused = table.outside(found, "random phases")
    assert not {"log_spectral_distance", "worst_shell", "top_octave", "mean_mode"} & set(refused)
    assert found.ratio.sel(ensemble="random phases", score="enstrophy_flux") > 5


def test_a_copy_of_the_training_set_is_right_in_everything_but_memory(
    table: Any, found: xr.Dataset
):
    refused = table.outside(found, "training copy")
    assert "memorisation" in refused
    assert len(refused) <= 4
    copy = found.sel(ensemble="training copy")
    assert copy.value.sel(score="memorisation") < 1e-6
    assert 0.4 < copy.value.sel(score="classifier_auc") < 0.6


def test_white_noise_is_seen_where_the_solver_has_nothing(found: xr.Dataset):
    noise = found.sel(ensemble="1% white noise")
    cut = 1 - (21 / 32) ** 2  # of the waves, by the 2/3 rule: those with |k_i| <= 10 are kept
    share = noise.value.sel(score="dealiased_tail").item()
    assert share == pytest.approx(1e-4 * cut, rel=0.05)
    assert noise.inside.sel(score="log_spectral_distance")


@pytest.mark.slow
def test_p_values_under_the_null_are_uniform(table: Any):
    # in shape: how often p is small takes more comparisons than these (test_null.py)
    null = table.p_values(20, members=16, splits=19)
    assert {"classifier_auc", "sliced_w1", "frechet", "enstrophy_flux", "dissipation_w1"} <= set(
        null
    )
    for name, p in null.items():
        assert table.uniform(p) > 1e-3, (name, sorted(p))
    everything = sum(p.mean() for p in null.values()) / len(null)
    assert everything == pytest.approx(0.5, abs=0.15)


def test_p_values_of_another_viscosity_are_not_uniform(table: Any):
    wrong = table.p_values(6, members=16, splits=19, control="viscosity x 1.5")
    assert table.uniform(wrong["log_spectral_distance"]) < 1e-3


@pytest.mark.slow
def test_the_page_says_it_all(table: Any, found: xr.Dataset, tracer: xr.Dataset):
    page = table.page([found, tracer], {}, 1.0)
    assert "python -m benchmarks.controls_table" in page
    for name in (*map(str, found.score.values), *map(str, tracer.score.values), *table.asked()):
        assert f"| `{name}`" in page
    for control in (*CONTROLS, *TOGETHER):
        assert f"\n| {control} | told | `" in page
    assert "missed" in page
