"""Answers about ensembles against closed forms, and against what numpy and scipy say."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable
from typing import Any

import dask
import dask.array as da
import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pushforward import Archive, questions
from pushforward.amounts import AMOUNTS
from pushforward.solvers import GaussianField, Grid
from pushforward.solvers.budgets import energy_budget, enstrophy_budget
from pushforward.solvers.navier_stokes import NavierStokes

RNG = np.random.default_rng(0)
GRID = Grid((16, 24), (1.0, 2.0))
WALLS = Grid((12, 10), (1.0, 1.5), "neumann")


def ensemble(count: int = 40, grid: Grid = GRID, name: str = "vorticity") -> xr.DataArray:
    """Fields of a Gaussian law without a mean, labelled as an archive labels them."""
    field = GaussianField.matern(4.0, 0.2, deviation=1.0, mean=False)
    values = field.sample(range(count), grid, seed=1).numpy()
    dims = ("z", "y", "x")[-grid.ndim :]
    points = {d: x.numpy() for d, x in zip(dims, grid.coordinates(), strict=True)}
    about = {"boundary": grid.boundary, "units": "1"}
    labels = {"member": np.arange(100, 100 + count), **points}
    return xr.DataArray(values, labels, ("member", *dims), name, about)


def lazy(u: xr.DataArray, held: list[int] | None = None) -> xr.DataArray:
    """The same in blocks of members of Dask's, that count how many of them are computed."""

    def block(values, block_info=None):
        if held is not None and values.size > 1:
            held.append(len(values))
        return values

    source = u.chunk({"member": 8})
    return source.copy(data=source.data.map_blocks(block, dtype=u.dtype))


def close(found: xr.Dataset | xr.DataArray, expected: xr.Dataset | xr.DataArray) -> None:
    xr.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_moments_are_scipys() -> None:
    u = ensemble() ** 2 + 1000
    found = questions.moments(u)
    x = u.values.astype(float)
    for name, expected in {
        "mean": x.mean(0),
        "deviation": x.std(0, ddof=1),
        "skewness": stats.skew(x),
        "kurtosis": stats.kurtosis(x, fisher=False),
    }.items():
        np.testing.assert_allclose(found[name], expected, rtol=1e-8)
    np.testing.assert_allclose(found.mean_error, x.std(0) / math.sqrt(40), rtol=1e-8)


@pytest.mark.parametrize(
    ("law", "skewness", "kurtosis"),
    [(stats.norm(), 0, 3), (stats.expon(), 2, 9), (stats.uniform(), 0, 1.8)],
    ids=["normal", "exponential", "uniform"],
)
def test_moments_are_right_within_their_errors(law, skewness: float, kurtosis: float) -> None:
    """And the errors are those that many repetitions show."""
    u = xr.DataArray(law.rvs((4000, 300), random_state=1), dims=("member", "trial"))
    found = questions.moments(u)
    known = {"mean": law.mean(), "deviation": law.std(), "skewness": skewness}
    for name, truth in (known | {"kurtosis": kurtosis}).items():
        z = (found[name] - truth) / found[f"{name}_error"]
        # the kurtosis of an exponential law has a heavy tail of its own, and errs low
        bias = 0.6 if name == "kurtosis" else 0.35
        assert abs(float(z.mean())) < bias + 4 / math.sqrt(300), name
        if (name, skewness) != ("kurtosis", 2):
            assert float(z.std()) == pytest.approx(1, abs=0.35), name


def test_errors_of_a_normal_law_are_the_known_ones() -> None:
    u = xr.DataArray(RNG.normal(size=(200000,)), dims="member")
    found = questions.moments(u)
    assert found.skewness_error.item() == pytest.approx(math.sqrt(6 / 200000), rel=0.03)
    assert found.kurtosis_error.item() == pytest.approx(math.sqrt(24 / 200000), rel=0.1)


def test_what_does_not_vary_has_no_shape() -> None:
    found = questions.moments(xr.DataArray(np.full(10, 0.1), dims="member"))
    assert found.deviation == 0
    assert found.mean_error == 0
    assert np.isnan(found.skewness)
    nan = questions.moments(xr.DataArray([1.0, np.nan, 2.0], dims="member"))
    assert np.isnan(nan["mean"])


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 60), st.floats(0.01, 0.99), st.integers(0, 2**31))
def test_quantiles_are_numpys_within_order_statistics(n: int, q: float, seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=n)
    found = questions.quantiles(xr.DataArray(x, dims="member"), q)
    assert found.value.item() == pytest.approx(np.quantile(x, q))
    ends = {-np.inf, np.inf, *x}
    assert found.low.item() in ends
    assert found.high.item() in ends
    assert found.low <= found.high
    if min(q, 1 - q) * n >= 2:
        assert found.low <= found.value <= found.high


@pytest.mark.parametrize(("n", "q"), [(20, 0.5), (100, 0.9), (50, 0.99)])
def test_intervals_of_quantiles_cover(n: int, q: float) -> None:
    trials = 4000
    x = xr.DataArray(RNG.exponential(size=(n, trials)), dims=("member", "trial"))
    found = questions.quantiles(x, q)
    truth = -math.log(1 - q)
    covered = float(((found.low <= truth) & (truth <= found.high)).mean())
    assert covered >= 0.95 - 4 * math.sqrt(0.05 * 0.95 / trials)
    assert covered < 1 or n == 50  # and they are no longer than they have to be


def test_spread_is_the_root_of_the_mean_variance() -> None:
    u = ensemble()
    x = u.values.astype(float)
    assert questions.spread(u).item() == pytest.approx(math.sqrt(x.var(0, ddof=1).mean()))
    close(questions.spread(u, over=()), u.astype(float).std("member", ddof=1))


@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_coverage_is_nominal_where_the_ensemble_is_right(shift: float) -> None:
    cases = 3000
    u = xr.DataArray(RNG.normal(size=(cases, 25)), dims=("case", "member"))
    found = questions.coverage(u[:, 1:], u[:, 0] + shift * 3, [0.5, 0.8, 0.9])
    np.testing.assert_allclose(found.nominal, [0.52, 0.84, 0.92], atol=0.001 + 0.04)
    away = abs(found.coverage - found.nominal) / np.sqrt(
        found.nominal * (1 - found.nominal) / cases
    )
    assert bool((away < 4).all()) == (shift == 0.0)  # negative control: a biased one is refused
    inside = (found.low <= found.nominal) & (found.nominal <= found.high)
    assert bool(inside.all()) == (shift == 0.0)


@pytest.mark.parametrize(
    "grid",
    [GRID, WALLS, Grid((32,)), Grid((8, 8, 8))],
    ids=["anisotropic", "walls", "line", "volume"],
)
def test_spectra_add_up_to_the_mean_square(grid: Grid) -> None:
    u = ensemble(6, grid)
    power = questions.spectrum(u)
    dims = [d for d in u.dims if d != "member"]
    np.testing.assert_allclose(power.sum("wavenumber"), (u.astype(float) ** 2).mean(dims))
    lowest = (2 if grid.periodic else 1) * math.pi / max(grid.extent)
    # coordinates are read to six digits
    np.testing.assert_allclose(power.wavenumber, lowest * power.shell, rtol=2e-6)
    assert power.wavenumber.attrs["units"] == "1"


def test_a_wave_has_its_power_at_its_wave_number() -> None:
    x = GRID.coordinates()[1].numpy()
    wave = np.broadcast_to(np.cos(2 * np.pi * 5 * x / 2), (1, 16, 24))
    u = ensemble(1).copy(data=wave)
    power = questions.spectrum(u).isel(member=0)
    assert power.sel(wavenumber=5 * math.pi, method="nearest").item() == pytest.approx(0.5)
    assert power.sum().item() == pytest.approx(0.5)


def test_amounts_are_those_of_the_budgets() -> None:
    u = ensemble(5)
    w = torch.from_numpy(u.values.astype(float))
    flow = NavierStokes(viscosity=1.0)
    z, e = enstrophy_budget(w, flow, GRID), energy_budget(w, flow, GRID)
    ds = u.to_dataset(name="vorticity").assign(forcing=u)
    np.testing.assert_allclose(ds.pushforward.enstrophy(), z.amount)
    np.testing.assert_allclose(ds.pushforward.energy(), e.amount)
    np.testing.assert_allclose(ds.pushforward.palinstrophy(), z.viscosity / 2, rtol=1e-6)
    np.testing.assert_allclose(
        ds.pushforward.amount("mean_square", variable="forcing"), 2 * z.amount
    )
    np.testing.assert_allclose(u.pushforward.amount("maximum"), u.values.max((1, 2)))


def test_amounts_of_what_is_not_there_are_refused() -> None:
    both = xr.Dataset({"u": ensemble(2, name="u"), "v": ensemble(2, name="v")})
    with pytest.raises(ValueError, match="expected a vorticity for enstrophy, got u, v; name it"):
        both.pushforward.enstrophy()
    with pytest.raises(ValueError, match="expected one variable, got u, v; choose"):
        both.pushforward.amount("mean_square")
    with pytest.raises(ValueError, match="expected a vorticity for enstrophy, got a velocity"):
        ensemble(2, Grid((8,)), "velocity").pushforward.enstrophy()
    with pytest.raises(ValueError, match=r"expected one of mean_square, .* got entropy"):
        both.pushforward.amount("entropy")
    with pytest.raises(ValueError, match="periodic"):
        ensemble(2, Grid((8, 8), (1.0, 1.0), "neumann")).pushforward.energy()
    line = ensemble(3, Grid((32,)), "velocity")
    np.testing.assert_allclose(line.pushforward.energy(), (line.astype(float) ** 2).mean("x") / 2)


def test_the_nearest_member_is_itself_and_labels_decide() -> None:
    u = ensemble()
    target = u.isel(member=7, x=slice(None, None, -1)).transpose("x", "y")
    found = questions.nearest(u, target, k=3)
    assert found.member.values[0] == 107
    assert found.distance.values[0] == 0
    x = u.values.astype(float)
    away = np.sqrt(((x - x[7]) ** 2).mean((1, 2)))
    assert [*found.member.values] == [*(100 + np.argsort(away)[:3])]
    np.testing.assert_allclose(found.distance, np.sort(away)[:3])


def test_norms_of_negative_order_forgive_small_scales() -> None:
    u = ensemble(2)
    x = GRID.coordinates()[1].numpy()
    small, large = (np.cos(2 * np.pi * k * x / 2) for k in (9, 1))
    u = u.copy(data=u.values[:1] + np.stack([1.1 * small, large])[:, None])
    target = u[0] - 1.1 * small
    assert questions.nearest(u, target).member.item() == 101
    assert questions.nearest(u, target, order=-1).member.item() == 100
    near = questions.nearest(u, target, order=-1).distance.item()
    k2 = (2 * np.pi * 9 / 2) ** 2
    assert near == pytest.approx(1.1 / math.sqrt(2) / math.sqrt(1 + k2), rel=1e-5)
    tiny = questions.nearest(u, target, order=1e-12).distance.item()
    assert tiny == pytest.approx(questions.nearest(u, target).distance.item(), rel=1e-6)


def test_a_partial_field_is_compared_where_it_was_seen() -> None:
    u = ensemble()
    seen = u[11].where((u.x < 0.3) & (u.y < 0.5), drop=False).drop_vars("member")
    seen = seen + 0.01 * RNG.normal(size=seen.shape)
    found = questions.closest(u, seen, k=2, deviation=0.01)
    assert found.member.values[0] == 111
    count = int(seen.notnull().sum())
    assert found.misfit.values[0] == pytest.approx(1, abs=4 / math.sqrt(2 * count))
    assert found.misfit.values[1] > 10
    with pytest.raises(ValueError, match="expected something observed"):
        questions.closest(u, seen.where(False))


@pytest.mark.parametrize("grid", [GRID, WALLS], ids=["periodic", "walls"])
def test_points_beside_the_grid_are_read_by_the_series(grid: Grid) -> None:
    """Values of waves that the grid holds, at points anywhere, to round-off."""
    u = ensemble(8, grid)
    at = {"y": RNG.uniform(0.0, 1.0, 9), "x": RNG.uniform(0.0, 1.5, 9)}
    amplitudes = RNG.normal(size=(8, 3))
    waves = [(1, 2), (3, 0), (2, 4)]

    def fields(y, x):
        if grid.periodic:
            phases = [2 * np.pi * (a * y / 1.0 + b * x / 2.0) + a for a, b in waves]
            parts = [np.cos(phase) for phase in phases]
        else:
            parts = [np.cos(np.pi * a * y) * np.cos(np.pi * b * x / 1.5) for a, b in waves]
        return np.tensordot(amplitudes, np.stack(np.broadcast_arrays(*parts)), 1)

    u = u.copy(data=fields(u.y.values[:, None], u.x.values[None]))
    values = fields(at["y"], at["x"])[4]
    seen = xr.DataArray(values, {k: ("station", v) for k, v in at.items()}, "station")
    found = questions.closest(u, seen)
    assert found.member.item() == 104
    assert found.misfit.item() < 1e-12
    moved = seen.assign_coords(x=seen.x + 0.02) if grid.periodic else seen + 0.02
    assert questions.closest(u, moved).misfit.item() > 1e-3  # negative control
    if grid.periodic:  # once around the box is the same place
        around = seen.assign_coords(x=seen.x - 2.0)
        assert questions.closest(u, around).misfit.item() < 1e-12
    else:
        with pytest.raises(ValueError, match="expected points between the walls of the box"):
            questions.closest(u, seen.assign_coords(x=seen.x + 2))


def test_every_time_has_neighbours_of_its_own() -> None:
    u = xr.concat([ensemble(), ensemble().roll(member=1, roll_coords=False)], "time")
    found = questions.nearest(u, u.isel(time=0, member=4))
    assert [*found.member.values[0]] == [104, 105]
    both = questions.nearest(u, u.isel(member=4))
    assert both.member.values.tolist() == [104]


QUESTIONS = {
    "moments": lambda u: questions.moments(u),
    "spread": lambda u: questions.spread(u),
    "quantiles": lambda u: questions.quantiles(u, [0.1, 0.9]),
    "spectrum": lambda u: questions.spectrum(u),
    "energy": lambda u: questions.amount(u, "energy"),
    "enstrophy": lambda u: questions.amount(u, "enstrophy"),
    "exceedance": lambda u: questions.exceedance(u, 0.5),
    "uncertain": lambda u: questions.exceedance(u, reference=ensemble(30), quantile=0.8),
    "chain": lambda u: questions.exceedance(questions.amount(u, "enstrophy"), 0.4),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_dask_gives_the_same_and_only_when_it_is_asked(name: str) -> None:
    held: list[int] = []
    u = ensemble()
    found = QUESTIONS[name](lazy(u, held))
    assert held == []
    assert dask.is_dask_collection(found)  # type: ignore
    close(found.compute(scheduler="synchronous"), QUESTIONS[name](u))
    assert 8 in held


def peak(ask: Callable[[xr.DataArray], Any]) -> tuple[float, list[int]]:
    """The most memory that an answer takes, over that of all members; and the blocks it made."""
    made: list[int] = []

    def block(block_info: Any = None) -> np.ndarray[Any, Any]:
        first = block_info[None]["array-location"][0][0]
        made.append(first)
        return np.random.default_rng(first).normal(size=(8, 64, 64))

    values = da.map_blocks(block, chunks=((8,) * 64, (64,), (64,)), dtype=float)
    answer = ask(xr.DataArray(values, dims=("member", "y", "x"), name="vorticity"))
    made.clear()
    tracemalloc.start()
    answer.compute(scheduler="synchronous")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most / (8 * 512 * 64 * 64), made


@pytest.mark.parametrize("name", ["moments", "spread", "spectrum", "exceedance", "chain"])
def test_members_are_made_once_and_few_are_held(name: str) -> None:
    """Of an ensemble that is drawn when it is asked, block by block."""
    share, made = peak(QUESTIONS[name])
    assert sorted(made) == [*range(0, 512, 8)]
    assert share < (0.6 if name == "moments" else 0.2)


def test_moments_in_two_passes_would_hold_all_members() -> None:
    """Negative control: what `moments` avoids is seen."""
    share, _ = peak(lambda u: ((u - u.mean("member")) ** 3).mean("member"))
    assert share > 0.9


def test_nearest_members_are_found_block_by_block() -> None:
    held: list[int] = []
    u = ensemble()
    found = questions.nearest(lazy(u, held), u[3], k=2)
    close(found, questions.nearest(u, u[3], k=2))
    assert max(held) == 8


def test_what_cannot_be_asked_is_refused_in_a_sentence() -> None:
    u = ensemble()
    for ask, said in (
        (lambda: questions.moments(u.rename(member="draw")), "expected a dimension member"),
        (lambda: questions.quantiles(u, 1.5), "expected quantiles between 0 and 1"),
        (lambda: questions.nearest(u, u[0, 1:]), "expected a field with the sizes of a member"),
        (lambda: questions.nearest(u, u[0], k=99), "expected 1 to 40 neighbours, got 99"),
        (lambda: questions.spread(u[:1]), "expected at least 2 members"),
        (lambda: questions.spectrum(u.mean(("y", "x"))), "expected dimensions of a grid"),
        (lambda: questions.coverage(u, u[0]), "expected a truth along case"),
        (lambda: questions.exceedance(u), "expected a threshold"),
        (lambda: questions.exceedance(u, 1.0, confidence=95), "between 0 and 1, got 95"),
        (lambda: questions.exceedance(u, u), "expected a threshold without member"),
        (lambda: questions.return_levels(u, [0.5]), "expected periods > 1"),
    ):
        with pytest.raises(ValueError, match=said) as refusal:
            ask()
        assert "\n" not in str(refusal.value)
    with pytest.raises(TypeError, match="expected real numbers"):
        questions.moments(u.astype(complex))


def test_there_is_one_door() -> None:
    assert {*questions.__all__} <= {*dir(questions)}
    assert {"enstrophy", "energy", "mean_square"} <= {*AMOUNTS}
    assert Archive  # whose Datasets have the accessor: see test_accessor.py
