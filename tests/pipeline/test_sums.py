"""Streaming: whoever computes a block and whenever, the sums are the same, and nothing is held."""

from __future__ import annotations

import math
import random
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from pushforward import floors, sums
from pushforward.blocks import mapping
from pushforward.comparison import compare
from pushforward.draws import Draws
from pushforward.floors import Settings, examine, measure, yardsticks
from pushforward.members import Members
from pushforward.scores import SampleScore, Score, Statistic
from pushforward.solvers import GaussianField, Grid
from pushforward.suite import SUITE
from pushforward.sums import Recipe, gather, over_dask

GRID = Grid((12, 12))
FIELD = GaussianField.matern(4.0, 0.4, deviation=1.0)
FEW: dict[str, Any] = {"splits": 12, "bootstrap": 6}


def members(numbers: range, seed: int = 0) -> torch.Tensor:
    """Members of two variables, the second of which hangs on the first."""
    u, v = (FIELD.sample(numbers, GRID, seed=seed + i) for i in (1, 2))
    return torch.stack([u, (u + v).tanh()], 1).float()


def labelled(fields: torch.Tensor) -> xr.Dataset:
    return xr.Dataset(
        {n: (("member", "y", "x"), fields[:, i].numpy()) for i, n in enumerate(("u", "vorticity"))}
    )


def backwards(function: Callable[..., Any], *rows: Iterable[Any]) -> Iterator[Any]:
    """A map that computes in a random order, and gives back in the right one."""
    calls = list(zip(*rows, strict=True))
    order = list(range(len(calls)))
    random.Random(1).shuffle(order)
    found = {i: function(*calls[i]) for i in order}
    return (found[i] for i in range(len(calls)))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of few members."""
    monkeypatch.setattr(sums, "MEMBERS", 7)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("run", [backwards, over_dask], ids=["any order", "dask"])
def test_the_order_of_blocks_changes_no_bit(run):
    u, training = members(range(90)), members(range(200, 220))
    once = measure({"a": u[:20]}, None, u[20:], GRID, ["u", "v"], training=training, **FEW)
    other = measure(
        {"a": u[:20]}, None, u[20:], GRID, ["u", "v"], training=training, run=run, **FEW
    )
    xr.testing.assert_identical(once, other)


def test_the_number_of_workers_changes_no_bit(monkeypatch):
    monkeypatch.setattr(floors, "ALONE", 0)
    u, training = members(range(90)), members(range(200, 220))
    once, other = (
        measure({"a": u[:20]}, None, u[20:], GRID, ["u", "v"], training=training, workers=n, **FEW)
        for n in (1, 2)
    )
    xr.testing.assert_identical(once, other)


@pytest.mark.usefixtures("small")
def test_blocks_of_any_size_give_the_same_sums_but_for_rounding(monkeypatch):
    u = members(range(60))
    one = measure({"a": u[:20]}, None, u[20:], GRID, ["u", "v"], **FEW)
    monkeypatch.setattr(sums, "MEMBERS", 512)
    other = measure({"a": u[:20]}, None, u[20:], GRID, ["u", "v"], **FEW)
    xr.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-7)


@pytest.mark.usefixtures("small")
def test_dask_arrays_give_what_arrays_in_memory_give():
    u = members(range(90))
    a, b, reference, training = (labelled(part) for part in u.split([20, 20, 40, 10]))
    once = compare(a, b, reference=reference, training=training, **FEW)
    lazy = [one.chunk(member=8) for one in (a, b, reference, training)]
    assert lazy[0].u.chunks
    other = compare(lazy[0], lazy[1], reference=lazy[2], training=lazy[3], **FEW)
    xr.testing.assert_identical(once, other)


@pytest.mark.usefixtures("small")
def test_blocks_run_on_the_cluster_of_an_active_client():
    distributed = pytest.importorskip("distributed")
    u = members(range(80))
    a, b, reference = (labelled(part).chunk(member=8) for part in u.split([20, 20, 40]))
    once = compare(a, b, reference=reference, **FEW)
    with distributed.Client(processes=False, n_workers=1, dashboard_address=None):
        assert sums.suitable(map, [Members.labelled([a.u], GRID)]) is over_dask
        xr.testing.assert_identical(compare(a, b, reference=reference, **FEW), once)
    assert sums.suitable(map, [Members.labelled([a.u], GRID)]) is map


@dataclass
class Watched:
    """A reader that keeps account of how much was asked for at once."""

    fields: torch.Tensor
    largest: int = 0
    asked: list[int] = field(default_factory=list)

    def __call__(self, start: int, stop: int) -> torch.Tensor:
        self.largest = max(self.largest, stop - start)
        self.asked += range(start, stop)
        return self.fields[start:stop]


@pytest.mark.usefixtures("small")
def test_no_more_than_a_block_is_read_at_once_and_pairs_are_bounded(monkeypatch):
    monkeypatch.setattr(floors, "fitted", lambda grid: 20)
    a, pool = Watched(members(range(200, 240))), Watched(members(range(100)))
    names = ["u", "v"]
    scores = measure({"a": Members(40, a)}, None, Members(100, pool), GRID, names, pairs=10, **FEW)
    assert a.largest == 10  # in pairs; 7 are summed at once
    assert {*a.asked} == {*range(40)}
    assert max(a.asked.count(i) for i in range(10, 40)) == 1  # the rest is read once
    assert scores.attrs["pairs"] == 10
    alone = measure({"a": a.fields[:10]}, pool.fields[60:70], pool.fields[:20], GRID, names, **FEW)
    few, of_alone = (
        found.sel(score=["mmd", "riesz_mmd", "energy_distance"])
        .drop_vars(["p", "p_family", "chance_most"])  # permutations have others to draw from
        .drop_attrs()
        for found in (scores, alone)
    )
    xr.testing.assert_identical(few, of_alone)


def test_what_workers_return_is_let_go_once_it_is_used():
    seen: list[weakref.ref] = []
    with mapping(map, 2) as mapped:
        for result in mapped(np.zeros, [1000] * 5):
            assert [ref for ref in seen[:-1] if ref() is not None] == []
            seen.append(weakref.ref(result))
    assert len(seen) == 5


def test_weights_are_how_often_a_member_counts():
    u, draws = members(range(9)), Draws.make(["a"], 3, 9, 6, splits=5, bootstrap=4, seed=0)
    sticks = yardsticks(Members.of(u), GRID, ["u", "vorticity"])
    recipe = Recipe.of(SUITE, sticks, GRID)
    a, b = draws.splits
    (found,) = gather([("pool", Members.of(u), torch.cat([a, b]))], recipe)
    for statistic in recipe.statistics:
        for key, total in found.rows.items():
            if key[0] == statistic.name:
                v = key[1]
                rows = (
                    statistic.rows(u, sticks) if v is None else statistic.rows(u[:, v], sticks[v])
                )
                expected = torch.cat([a, b]).double() @ rows
                torch.testing.assert_close(total, expected, rtol=1e-12, atol=1e-12)
    assert found.rows["cross", None].shape[0] == 10


def mean_feature(fields: torch.Tensor, yardstick: Any) -> torch.Tensor:
    return yardstick.standardise(fields).flatten(1).mean(1, keepdim=True)


def both_means(fields: torch.Tensor, yardsticks: Any) -> torch.Tensor:
    return torch.cat([mean_feature(fields[:, i], y) for i, y in enumerate(yardsticks)], 1)


def gap(x: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    means = [w @ x.double() / w.sum(1, keepdim=True) for w in (a, b)]
    return (means[0] - means[1]).norm(dim=1)


def test_scores_of_samples_and_of_all_variables_land_where_they_belong():
    suite = (
        SampleScore("means", "", "", mean_feature, gap),
        SampleScore("few", "", "", mean_feature, gap, limited=True),
        SampleScore("together", "", "", both_means, gap, joint=True),
        Score(
            "product",
            "",
            "",
            Statistic(
                "product", lambda u, s: u.double().prod(1).flatten(1).mean(1, True), joint=True
            ),
            lambda a, b, s: (a - b).abs()[..., 0],
        ),
    )
    u = members(range(120))
    settings = Settings(suite=suite, pairs=10, **FEW)
    scores = examine({"a": u[:30]}, u[30:60], u[60:], GRID, ["u", "v"], None, settings).scores
    value = scores.value.isel(ensemble=0)
    sticks = yardsticks(Members.of(u[60:]), GRID, ["u", "v"])
    x = both_means(u, sticks)
    apart = x[:30].mean(0) - x[30:60].mean(0)
    close: dict[str, Any] = {"rel": 1e-5, "abs": 1e-7}
    assert value.sel(score="means", variable="u").item() == pytest.approx(
        abs(apart[0].item()), **close
    )
    for name in ("means", "together"):
        joint = value.sel(score=name, variable="joint").item()
        assert joint == pytest.approx(apart.norm().item(), **close)
    first = x[:10].mean(0) - x[30:40].mean(0)
    assert value.sel(score="few", variable="v").item() == pytest.approx(
        abs(first[1].item()), **close
    )
    product = u.double().prod(1).flatten(1).mean(1)
    expected = abs(product[:30].mean() - product[30:60].mean()).item()
    assert value.sel(score="product", variable="joint").item() == pytest.approx(expected)
    assert bool(value.sel(score=["product", "together"], variable="u").isnull().all())


def test_a_member_that_is_not_finite_is_named_with_its_ensemble():
    u = members(range(60))
    u[13, 1, 2, 2] = math.nan
    with pytest.raises(ValueError, match=r"NaN or infinity in member 13 of a \(1 of 20\)"):
        measure({"a": u[:20]}, None, u[20:], GRID, ["u", "v"], **FEW)


def test_a_reader_is_asked_by_absolute_numbers():
    u = members(range(20))
    whole = Members(20, lambda start, stop: u[start:stop])
    part = whole[4:][2:9]
    assert len(part) == 7
    assert torch.equal(part.read(1, 3), u[7:9])
    joined = part.then(Members.of(u[:3]))
    assert torch.equal(joined.read(5, 9), torch.cat([u[11:13], u[:2]]))
    with pytest.raises(ValueError, match="a step of 2"):
        whole[::2]
