"""The whole suite of scores on a solved flow: what must be refused is, what is right is not."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

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
)


@pytest.fixture(scope="module")
def table() -> Iterator[Any]:
    """The module of the benchmark."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        yield importlib.import_module("benchmarks.controls_table")


@pytest.fixture(scope="module")
def found(table: Any) -> xr.Dataset:
    """The scores of every control."""
    return table.scores(table.Flow(), splits=100)


@pytest.mark.parametrize("control", CONTROLS)
def test_a_wrong_ensemble_is_refused_by_the_scores_that_are_named(
    control: str, table: Any, found: xr.Dataset
):
    assert table.CAUGHT[control]
    assert table.missed(found)[control] == []


def test_every_control_is_asked_for(table: Any, found: xr.Dataset):
    assert (
        set(found.ensemble.values) == {"another set", *CONTROLS} == {"another set", *table.CAUGHT}
    )


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


def test_p_values_under_the_null_are_uniform(table: Any):
    null = table.p_values(20, members=16, splits=39)
    assert {"classifier_auc", "sliced_w1", "frechet", "enstrophy_flux", "dissipation_w1"} <= set(
        null
    )
    for name, p in null.items():
        assert table.uniform(p) > 1e-3, (name, sorted(p))
        refused = (p <= 0.05).sum()
        assert abs(refused - 1) < 4 * math.sqrt(20 * 0.05 * 0.95), name
    everything = sum(p.mean() for p in null.values()) / len(null)
    assert everything == pytest.approx(0.5, abs=0.15)


def test_the_page_says_it_all(table: Any, found: xr.Dataset):
    page = table.page(found, {}, 1.0)
    assert "python -m benchmarks.controls_table" in page
    for name in map(str, found.score.values):
        assert f"`{name}`" in page
    assert "missed" in page
