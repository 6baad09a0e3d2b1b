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
from pushforward.effort import Effort
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


def test_what_the_solver_did_is_on_record(archive: Archive, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    simulation = spec(step=None, tolerance=1e-4)
    simulate(simulation, archive)
    manifest, problem = archive.manifest(simulation), simulation.problem()
    solutions = [problem.run(members) for members in (range(4), range(4, 8), range(8, 10))]
    steps = np.concatenate([solution.steps for solution in solutions])
    told = manifest["solver"]
    assert told["kernels"] == sorted({solution.kernel for solution in solutions})
    assert (told["members"], told["least"], told["most"]) == (10, steps.min(), steps.max())
    assert told["steps"] == steps.sum()
    assert told["rejected"] == sum(int(solution.rejected.sum()) for solution in solutions)
    tail = np.concatenate([solution.tail for solution in solutions])
    assert told["tail"] == tail.max()
    member, time = np.unravel_index(tail.argmax(), tail.shape)
    assert (told["member"], told["time"]) == (member, simulation.times[time])
    assert [block["solver"]["members"] for block in manifest["blocks"]] == [4, 4, 2]
    sentence = str(Effort.read(manifest["blocks"]))
    assert archive.open(simulation).attrs["solver"] == sentence
    assert caplog.text.count(sentence) == 1


def test_a_finer_grid_to_solve_on_changes_the_fields_and_not_their_grid(archive: Archive):
    coarse, fine = spec(), spec(solver_grid=Grid((16, 16)))
    for simulation in (coarse, fine):
        simulate(simulation, archive)
    one, other = archive.open(coarse), archive.open(fine)
    assert one.sizes == other.sizes
    assert not np.allclose(one.vorticity, other.vorticity, atol=1e-3)
    expected = fine.problem().solve(range(4))[:, :, 0]
    np.testing.assert_array_equal(other.vorticity[:4], expected)
    assert "16x16" in other.attrs["source"]


def backwards(function: Any, *iterables: Any) -> Iterator[Any]:
    return map(function, *(list(reversed(list(one))) for one in iterables))


@pytest.mark.parametrize("kernel", ["auto", "torch"])
def test_batches_blocks_and_order_change_no_bit(
    kernel: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PUSHFORWARD_KERNEL", kernel)
    results = {}
    layouts = (4, 4, map), (8, 4, map), (4, 4, backwards), (4, 1, map), (6, 3, map), (8, 8, map)
    for i, (block, batch, run) in enumerate(layouts):
        archive = Archive(tmp_path / str(i))
        simulate(spec(block=block, batch=batch, tolerance=1e-4), archive, map=run)
        results[i] = archive.open(spec(tolerance=1e-4)).load().drop_attrs()
    for i in range(1, len(layouts)):
        xr.testing.assert_identical(results[0], results[i])
    # negative control: another seed is another computation, and another name
    assert spec(seed=7).name != spec().name


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
