"""All laws of random fields keep one contract; both contracts of equations say what they are."""

from __future__ import annotations

import inspect

import pytest

from pushforward.solvers import (
    AllenCahn,
    Darcy,
    FitzHughNagumo,
    FitzHughNagumoCells,
    GaussianField,
    Grid,
    Law,
    NavierStokes,
    RandomBumps,
    RandomCells,
    StationaryField,
)

LAWS = [
    GaussianField.matern(3.0, 0.2),
    StationaryField(kernel="exponential"),
    RandomBumps(),
    RandomCells(cells=(4, 4)),
]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: type(law).__name__)
def test_a_law_draws_as_the_contract_says(law: Law) -> None:
    assert isinstance(law, Law)
    wanted = inspect.signature(Law.sample).parameters
    assert inspect.signature(type(law).sample).parameters == wanted
    assert law.sample([2, 0], Grid((8, 8), (1.0, 1.0))).shape == (2, 8, 8)


def test_what_draws_nothing_is_no_law() -> None:
    assert not isinstance(Grid((8, 8)), Law)


@pytest.mark.parametrize(
    ("equation", "marches", "refinable"),
    [
        (NavierStokes(viscosity=0.1), True, True),
        (AllenCahn(), True, True),
        (FitzHughNagumo(), True, True),
        (FitzHughNagumoCells(), True, False),
        (Darcy(), False, True),
    ],
)
def test_equations_say_whether_they_march_and_refine(
    equation: NavierStokes | Darcy, marches: bool, refinable: bool
) -> None:
    assert equation.marches is marches
    assert equation.refinable is refinable
