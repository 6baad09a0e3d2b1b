"""The questions as methods of xarray's objects: when they are there, and what they say."""

from __future__ import annotations

import inspect
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
from several import mostly_slow

from pushforward import compare, questions
from pushforward.accessor import Questions

U = xr.DataArray(
    np.random.default_rng(0).normal(size=(48, 8, 8)), dims=("member", "y", "x"), name="vorticity"
)


def asked(statements: str) -> str:
    """What a fresh interpreter prints after some statements."""
    done = subprocess.run(
        [sys.executable, "-c", statements], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


HAS = "; import xarray; print(hasattr(xarray.Dataset, 'pushforward'))"


@pytest.mark.parametrize(
    "statement",
    mostly_slow(
        [
            "from pushforward import Archive",
            "from pushforward import compare",
            "from pushforward import questions",
            "from pushforward.archive import Archive",
            "import pushforward.accessor",
            "import xarray, pushforward; pushforward.Study",
        ],
        "import xarray, pushforward; pushforward.Study",
        "import pushforward.accessor",
    ),
)
def test_it_is_there_with_any_name_of_the_package(statement: str) -> None:
    assert asked(statement + HAS) == "True"


def test_it_is_not_there_without() -> None:
    """Negative control; and the package by itself loads no xarray."""
    loaded = "import sys, pushforward, pushforward.solvers; print('xarray' in sys.modules)"
    assert asked(loaded) == "False"
    assert asked("import pushforward.solvers" + HAS) == "False"


def test_it_is_small() -> None:
    """What answers is loaded when it is asked: opening a file of a stranger's costs little."""
    loaded = "import sys, pushforward.accessor; print('torch' in sys.modules)"
    assert asked(loaded) == "False"


def test_every_question_is_a_method() -> None:
    assert {*questions.__all__} - {"AMOUNTS"} <= {*dir(Questions)}
    for name in questions.__all__:
        if name != "AMOUNTS":
            words = inspect.getdoc(getattr(Questions, name)) or ""
            assert words.endswith("."), name


@pytest.mark.parametrize("given", [U, U.to_dataset()], ids=["array", "dataset"])
def test_methods_are_the_functions(given: xr.DataArray | xr.Dataset) -> None:
    ask = given.pushforward
    field, seen = U[3], U[5].where(U[5] > 0)
    x = questions.amount(U, "enstrophy")
    for found, expected in (
        (ask.moments(), questions.moments(U)),
        (ask.quantiles([0.1, 0.9]), questions.quantiles(U, [0.1, 0.9])),
        (ask.spread(), questions.spread(U)),
        (ask.spectrum(), questions.spectrum(U)),
        (ask.enstrophy(), x),
        (ask.energy(), questions.amount(U, "energy")),
        (ask.palinstrophy(), questions.amount(U, "palinstrophy")),
        (ask.amount("maximum"), questions.amount(U, "maximum")),
        (ask.exceedance(1.0), questions.exceedance(U, 1.0)),
        (x.pushforward.return_levels([5, 100]), questions.return_levels(x, [5, 100])),
        (ask.nearest(field, k=2), questions.nearest(U, field, k=2)),
        (ask.closest(seen), questions.closest(U, seen)),
    ):
        xr.testing.assert_identical(found, expected)


def test_ensembles_are_covered_and_compared() -> None:
    cases = U.rename(member="case")
    ensemble = xr.concat([cases.roll(case=k) for k in range(1, 9)], "member")
    xr.testing.assert_identical(
        ensemble.pushforward.coverage(cases), questions.coverage(ensemble, cases)
    )
    options = {"reference": U[24:], "splits": 20, "bootstrap": 5}
    xr.testing.assert_identical(
        U[:12].pushforward.compare(U[12:24], **options), compare(U[:12], U[12:24], **options)
    )
