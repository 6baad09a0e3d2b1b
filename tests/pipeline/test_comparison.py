"""Ensembles between walls and on one axis: what their labels say, and what is compared."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from pushforward import figures, lines
from pushforward.comparison import common, compare, grid_of
from pushforward.floors import measure
from pushforward.layout import template
from pushforward.nearest import nearest
from pushforward.profiles import curves
from pushforward.solvers import GaussianField, Grid
from pushforward.yardstick import Yardstick, is_vorticity

WALLS = Grid((12, 15), (1.0, 2.0), "neumann")
FIELD = GaussianField.matern(3.0, 0.3, deviation=1.0, cutoff=8)


def labelled(u: torch.Tensor, grid: Grid) -> xr.Dataset:
    """Fields (member, *grid) as an archive would give them."""
    empty = template(grid, range(len(u)), [1.0], {"u": "anything"}, "float32")
    return empty.assign(u=(empty.u.dims, u[:, None].float().numpy()))


@pytest.mark.parametrize("grid", [WALLS, Grid((16,), (3.0,), "neumann"), Grid((8, 6), (1.0, 2.0))])
def test_a_grid_is_read_back_from_what_is_stored(grid: Grid) -> None:
    stored = labelled(torch.zeros(2, *grid.shape), grid)
    assert stored.attrs["boundary"] == grid.boundary
    assert grid_of(stored.u.isel(time=0, drop=True)) == grid


def test_an_attribute_or_the_caller_names_the_boundary() -> None:
    u = xr.DataArray(np.zeros((2, 6)), dims=("member", "x"), attrs={"boundary": "neumann"})
    assert grid_of(u).boundary == "neumann"
    assert grid_of(u, Grid((8,), (3.0,))) == Grid((6,), (3.0,))
    assert grid_of(u, Grid((8,), (3.0,), "neumann")) == Grid((6,), (3.0,), "neumann")
    with pytest.raises(ValueError, match=r"expected one box, got .* neumann and .* periodic"):
        common(Grid((6,), (3.0,), "neumann"), Grid((6,), (3.0,)))


@pytest.mark.parametrize("grid", [WALLS, Grid((40,), (3.0,), "neumann"), Grid((40,), (3.0,))])
def test_ensembles_of_one_law_lie_inside_their_floors(grid: Grid) -> None:
    u = FIELD.sample(range(160), grid, seed=3)
    a, b, rest, training = (labelled(part, grid) for part in u.split(40))
    rest = labelled(torch.cat([u[80:], FIELD.sample(range(200, 240), grid, seed=3)]), grid)
    scores = compare(a, b, reference=rest, training=training, splits=60, bootstrap=20)
    assert float(scores.inside.mean()) > 0.7
    assert bool(scores.inside.sel(score="log_spectral_distance"))
    rough = GaussianField.matern(2.2, 0.2, deviation=1.6)
    wrong = labelled(rough.sample(range(40), grid), grid)
    scores = compare(wrong, b, reference=rest, training=training, splits=60, bootstrap=20)
    assert not bool(scores.inside.sel(score="log_spectral_distance"))
    assert not bool(scores.inside.sel(score="w1"))


def test_different_resolutions_between_walls_are_the_same_functions() -> None:
    fine = Grid((24, 30), WALLS.extent, "neumann")
    u, v = (FIELD.sample(range(120), grid, seed=1) for grid in (WALLS, fine))
    rest, b = labelled(u[60:], WALLS), labelled(u[30:60], WALLS)
    one, other = (
        compare(labelled(x[:30], grid), b, reference=rest, splits=20, bootstrap=10)
        for x, grid in ((u, WALLS), (v, fine))
    )
    np.testing.assert_allclose(one.value.values, other.value.values, atol=1e-4)


def test_shells_of_half_waves_are_resolved_up_to_the_grid() -> None:
    u = GaussianField.matern(2.0, 0.3).sample(range(40), WALLS)
    stick = Yardstick.fit(u, WALLS)
    assert stick.resolved.nonzero().flatten().tolist() == list(range(1, 15))
    whitened = stick.whiten(u)
    assert float(whitened.square().mean()) == pytest.approx(1, rel=0.1)
    assert not is_vorticity("vorticity", WALLS)


def test_between_walls_a_shifted_copy_is_another_field() -> None:
    u = FIELD.sample(range(6), WALLS)[:, None]
    shifted = u.roll(4, -1)
    assert float(nearest(u, u, WALLS).max()) < 1e-6
    assert float(nearest(shifted, u, WALLS).min()) > 0.05
    torus = Grid((12, 16), (1.0, 2.0))
    u = FIELD.sample(range(6), torus)[:, None]
    assert float(nearest(u.roll(4, -1), u, torus).max()) < 1e-3


def test_figures_say_half_waves_and_show_the_walls() -> None:
    u = GaussianField.matern(2.0, 0.3).sample(range(20), WALLS)[:, None].float()
    drawn = curves({"solver": u, "trained": u}, u, WALLS, ["u"], bootstrap=10)
    assert drawn.attrs["boundary"] == "neumann"
    assert "half waves k (shell)" in lines.spectrum(drawn, "u", "Power spectrum")
    drawn.attrs.clear()
    assert "wave number k (shell)" in lines.spectrum(drawn, "u", "Power spectrum")
    for grid in (WALLS, Grid((20,), (1.0,), "neumann")):
        fields = FIELD.sample(range(2), grid).float()
        assert all(
            url.startswith("data:image/png")
            for url in figures.images(fields, grid, -3, 3, diverging=True)
        )


BOX = Grid((8, 12), (1.0, 2.0))
FEW: dict[str, Any] = {"splits": 8, "bootstrap": 4}
DAYS = np.array(["2020-01-01", "2020-01-02"], "datetime64[ns]")


def three(size: int = 12) -> dict[str, Any]:
    """Two ensembles and their reference, which differ along their axes, with coordinates."""
    u = GaussianField.matern(3.0, 0.3).sample(range(4 * size), BOX).cumsum(-1)
    u = labelled(u, BOX).u.isel(time=0, drop=True)
    return {"a": u[:size], "b": u[size : 2 * size], "reference": u[2 * size :]}


@pytest.mark.parametrize(
    "stored",
    [
        lambda u: u.transpose("x", "member", "y"),
        lambda u: u.isel(y=slice(None, None, -1)),
        lambda u: u.assign_coords(x=u.x.astype("float32")),
        lambda u: u.expand_dims(time=[1.0]),
    ],
    ids=["axes", "backwards", "single precision", "a time"],
)
@pytest.mark.parametrize("which", ["b", "reference"])
def test_what_is_labelled_alike_is_compared_alike_however_it_is_stored(stored, which: str) -> None:
    sets = three()
    other = sets | {which: stored(sets[which])}
    xr.testing.assert_identical(compare(**sets, **FEW), compare(**other, **FEW))
    turned = compare(**sets | {"a": stored(sets["a"])}, **FEW)  # a says how all are turned
    for score in ("w1", "log_spectral_distance", "structure_functions"):
        right, found = (one.value.sel(score=score) for one in (compare(**sets, **FEW), turned))
        np.testing.assert_allclose(found, right, rtol=1e-3)


def test_times_may_be_days_and_stored_in_any_order() -> None:
    sets = {
        key: xr.concat([u, 2 * u], "time").assign_coords(time=DAYS) for key, u in three().items()
    }
    scores = compare(**sets, **FEW)
    assert list(scores.variable.values) == [
        "u at t=2020-01-01",
        "u at t=2020-01-02",
        "joint",
    ]
    mixed = sets | {"b": sets["b"].isel(time=[1, 0])}
    xr.testing.assert_identical(compare(**mixed, **FEW), scores)


SQUARES = np.arange(8) ** 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"splits": 0}, "a whole number of at least 1 as splits, got 0; raise"),
        ({"bootstrap": -1}, "a whole number of at least 0 as bootstrap, got -1; raise"),
        ({"pairs": 1}, "a whole number of at least 2 as pairs, got 1; raise"),
        ({"seed": 0.5}, "a whole number of at least 0 as seed, got 0.5; raise"),
        ({"workers": 0}, "a whole number of at least 1 as workers, got 0; raise"),
        ({"a": xr.Dataset()}, "a variable in a, got none; give"),
        ({"a": lambda u: u[:0]}, "values in 'u' of a, got the sizes .*'member': 0.* choose"),
        ({"a": lambda u: u[:1]}, "at least 2 members in a, got 1; give more"),
        ({"b": lambda u: u.rename(y="lat")}, r"the dimensions \(.*\) of a in 'u' of b, got .*lat"),
        (
            {key: lambda u: u.assign_coords(y=SQUARES) for key in ("a", "b", "reference")},
            "equidistant coordinates of 'y', got steps from 1 to 13; sort",
        ),
        (
            {"b": lambda u: u.assign_coords(y=list("abcdefgh"))},
            "numbers as coordinates of 'y', got <U1; give positions, or drop them",
        ),
        (
            {"a": lambda u: u.expand_dims(time=[1]), "b": lambda u: u.assign_coords(time=2.0)},
            "'u' at one time, got t=1 in a and t=2 in b; choose it",
        ),
        (
            {"a": lambda u: u.expand_dims(time=[DAYS[0]]), "b": lambda u: u.assign_coords(time=5)},
            "'u' at one time, got t=2020-01-01 in a and t=5 in b; choose it",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(
    change: dict[str, Any], message: str
) -> None:
    sets = three()
    given = {k: v(sets[k]) if callable(v) else v for k, v in change.items()}
    with pytest.raises(ValueError, match=f"expected {message}"):
        compare(**{**FEW, **sets, **given})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda u: u.values, "a to be a DataArray or a Dataset, got ndarray; name its dimensions"),
        (lambda u: u + 1j, "real numbers in 'u' of a, got complex64; convert them"),
        (lambda u: u.astype(str), "real numbers in 'u' of a, got <U.*; convert them"),
    ],
)
def test_what_holds_no_labelled_real_numbers_is_refused(change, message: str) -> None:
    sets = three()
    with pytest.raises(TypeError, match=f"expected {message}"):
        compare(**sets | {"a": change(sets["a"])}, **FEW)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"splits": 0, "bootstrap": 2}, "a whole number of at least 1 as splits, got 0; raise"),
        ({"splits": 2, "bootstrap": -1}, "a whole number of at least 0 as bootstrap, got -1"),
        (
            {"splits": 2, "bootstrap": 200},
            "at least 2 different members in every .* side's 3, got",
        ),
    ],
)
def test_draws_that_say_nothing_are_refused(settings: dict[str, Any], message: str) -> None:
    u = FIELD.sample(range(12), BOX)[:, None]
    with pytest.raises(ValueError, match=f"expected {message}"):
        measure({"a": u[:3]}, None, u[3:], BOX, ["u"], **settings)


def test_members_that_are_given_twice_are_told() -> None:
    sets = three()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compare(**sets, **FEW)
    pool = sets["reference"]
    for wrong, who in (
        ({"reference": xr.concat([pool, sets["a"][:2]], "member")}, "a and the solver's"),
        ({"reference": xr.concat([pool, sets["b"][:2]], "member")}, "the solver's members"),
        ({"reference": xr.concat([pool, pool[:2]], "member")}, "the solver's members"),
        ({"b": sets["a"]}, "a and the solver's"),
    ):
        with pytest.warns(UserWarning, match=f"no member twice, got some among {who}, which"):
            compare(**{**sets, **wrong}, **FEW)
