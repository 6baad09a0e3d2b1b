"""The verb `simulate`: the same bits whatever the blocks, the order and the number of workers."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from pushforward.archive import Archive
from pushforward.blocks import fill
from pushforward.simulation import simulate, simulate_block, template
from pushforward.solvers import GaussianField, GrayScott, Grid, NavierStokes
from pushforward.spec import Simulation


def spec(**changes: Any) -> Simulation:
    values: dict[str, Any] = {
        "equation": NavierStokes(viscosity=1e-2),
        "grid": Grid((8, 8)),
        "initial": GaussianField.matern(4.0, 0.3, deviation=1.0),
        "forcing": GaussianField.matern(4.0, 0.3, deviation=1.0),
        "times": (0.1, 0.2),
        "step": 0.05,
        "members": 10,
        "batch": 4,
        "block": 4,
    }
    return Simulation(**values | changes)


def test_what_is_stored_is_what_the_solver_says(archive: Archive):
    simulation = spec()
    assert simulate(simulation, archive) == simulation.name
    stored, problem = archive.open(simulation).load(), simulation.problem()
    members = range(4, 8)
    expected = problem.solve(members, seed=0)[:, :, 0].numpy()
    np.testing.assert_array_equal(stored.vorticity.sel(member=list(members)), expected)
    forcing = problem.force(members, seed=0)
    assert forcing is not None
    np.testing.assert_array_equal(stored.forcing.sel(member=list(members)), forcing.numpy())
    assert not np.array_equal(stored.vorticity[0], stored.vorticity[1])


def test_the_dataset_says_what_it_is(archive: Archive):
    simulation = spec(equation=GrayScott(), forcing=None, dtype="float64")
    simulate(simulation, archive)
    dataset = archive.open(simulation)
    assert list(dataset.data_vars) == ["u", "v"]
    assert dataset.u.dims == ("member", "time", "y", "x")
    assert dataset.u.dtype == "float64"
    assert dataset.u.attrs == {"long_name": GrayScott.channels["u"], "units": "1"}
    assert dataset.attrs["id"] == simulation.name
    assert {"Conventions", "title", "summary", "source"} <= dataset.attrs.keys()
    np.testing.assert_array_equal(dataset.time, simulation.times)


def backwards(function: Any, *iterables: Any) -> Iterator[Any]:
    return map(function, *(list(reversed(list(one))) for one in iterables))


def test_blocks_and_order_change_no_bit(tmp_path: Path):
    results = {}
    for name, block, run in (("a", 4, map), ("b", 8, map), ("c", 4, backwards)):
        archive = Archive(tmp_path / name)
        simulate(spec(block=block), archive, map=run)
        results[name] = archive.open(spec()).load()
    xr.testing.assert_identical(results["a"], results["b"])
    xr.testing.assert_identical(results["a"], results["c"])
    # negative control: another batch is another computation, and another name
    assert spec(batch=2).name != spec().name


def test_workers_change_no_bit(tmp_path: Path):
    serial, parallel = Archive(tmp_path / "serial"), Archive(tmp_path / "parallel")
    simulate(spec(), serial)
    simulate(spec(), parallel, workers=2)
    sums = [
        [block["arrays"] for block in archive.manifest(spec())["blocks"]]
        for archive in (serial, parallel)
    ]
    assert sums[0] == sums[1]
    with pytest.raises(ValueError, match="expected at least 1 worker"):
        fill(spec(seed=1), serial, template(spec(seed=1)), simulate_block, map, 0)


def test_a_second_run_does_nothing_and_says_so(
    archive: Archive, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    caplog.set_level(logging.INFO)
    simulate(spec(), archive)
    assert "nothing to do" not in caplog.text
    times = {path: path.stat().st_mtime_ns for path in archive.root.rglob("*")}
    simulate(spec(), archive, map=None)  # type: ignore[arg-type]  # not even called
    assert f"{spec().name} is complete: nothing to do" in caplog.text
    assert times == {path: path.stat().st_mtime_ns for path in archive.root.rglob("*")}


def test_only_what_is_missing_is_computed(archive: Archive):
    called: list[int] = []

    def spying(function: Any, *iterables: Any) -> Iterator[Any]:
        called.extend(iterables[-1])
        return map(function, *iterables)

    archive.create(spec(), template(spec()))
    for block in (1,):
        simulate_block(spec(), archive.root, block)
    simulate(spec(), archive, map=spying)
    assert called == [0, 2]


def test_torch_keeps_its_threads(archive: Archive):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        archive.create(spec(), template(spec()))
        simulate_block(spec(), archive.root, 0)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
