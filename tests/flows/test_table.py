"""The score table, in the terminal and as rows."""

from __future__ import annotations

import io

import numpy as np
import pytest
import xarray as xr
from rich.console import Console

from pushforward.flows.table import rows, show

COLUMNS = ("value", "standard_error", "floor_mean", "floor_q95", "ratio")


@pytest.fixture
def scores() -> xr.Dataset:
    """Two ensembles, two variables, three scores, of which the second variable lacks the last."""
    dims = ("ensemble", "variable", "score")
    numbers = np.arange(1, 13, dtype=float).reshape(2, 2, 3)
    numbers[:, 1, 2] = np.nan
    columns = {name: (dims, numbers * 10.0**-place) for place, name in enumerate(COLUMNS)}
    return xr.Dataset(
        columns | {"inside": (dims, numbers < 3)},
        {
            "ensemble": ["trained", "gaussian"],
            "variable": ["u", "v"],
            "score": ["w1", "flatness", "mmd"],
        },
    )


def test_rows_hold_both_ensembles(scores: xr.Dataset) -> None:
    table = rows(scores)
    assert [(row["variable"], row["score"]) for row in table] == [
        ("u", "w1"),
        ("u", "flatness"),
        ("u", "mmd"),
        ("v", "w1"),
        ("v", "flatness"),
    ]
    assert table[0]["trained"] == "1 ± 0.1"
    assert table[0]["gaussian"] == "7 ± 0.7"
    assert [row["inside"] for row in table] == ["yes", "yes", "no", "no", "no"]


def test_rows_of_a_comparison_have_no_ensemble(scores: xr.Dataset) -> None:
    assert rows(scores.isel(ensemble=0, drop=True))[0]["value"] == "1 ± 0.1"


def test_a_number_that_is_not_finite_is_a_dash(scores: xr.Dataset) -> None:
    scores["ratio"] = scores["ratio"] * np.nan
    assert {row["ratio"] for row in rows(scores)} == {"-"}


def test_one_variable_needs_no_column(scores: xr.Dataset) -> None:
    def printed(table: xr.Dataset) -> str:
        written = io.StringIO()
        show(table, Console(file=written, width=200))
        return written.getvalue()

    assert "variable" in printed(scores)
    assert "variable" not in printed(scores.isel(variable=[0]))
    assert "1 ± 0.1" in printed(scores.isel(variable=[0]))
