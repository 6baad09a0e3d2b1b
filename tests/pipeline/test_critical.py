"""Storage on the critical grid: fewer bytes, and the same fields when it is opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
import zarr

from pushforward.archive import Archive
from pushforward.batches import load
from pushforward.critical import move
from pushforward.simulation import simulate
from pushforward.solvable import critical
from pushforward.solvers import GaussianField, GrayScott, Grid, NavierStokes, Problem
from pushforward.spec import Simulation, Training

FIELD = GaussianField.matern(3.0, 0.3, deviation=1.0)
WALLS = Grid((14, 15), (1.0, 2.0), "neumann")


def spec(**changes: Any) -> Simulation:
    values: dict[str, Any] = {
        "equation": NavierStokes(viscosity=1e-2),
        "grid": Grid((16, 24)),
        "initial": FIELD,
        "times": (0.0, 0.2, 0.3),
        "step": 0.05,
        "members": 10,
        "batch": 2,
        "block": 4,
        "storage": "critical",
    }
    return Simulation(**values | changes)


@pytest.mark.parametrize("shape", [(128, 128), (96,), (6, 10), (64, 50, 8)])
@pytest.mark.parametrize("boundary", ["periodic", "neumann"])
def test_the_critical_grid_holds_what_a_solver_keeps_and_no_smaller_one_does(
    shape: tuple[int, ...], boundary: Any
):
    grid = Grid(shape, boundary=boundary)
    small = critical(Problem(grid, GrayScott()))
    kept = int(grid.resolved(2 / 3).sum())
    assert int(small.resolved().sum()) == kept
    for axis, n in enumerate(small.shape):
        less = n - (2 if grid.periodic else 1)
        if less < 4:
            continue
        smaller = tuple(less if i == axis else m for i, m in enumerate(small.shape))
        assert int(replace(small, shape=smaller).resolved().sum()) < kept


def test_bytes_of_the_usual_grids():
    for n, m, ratio in ((64, 44, 2.12), (128, 86, 2.22), (256, 172, 2.22)):
        small = critical(Problem(Grid((n, n)), GrayScott()))
        assert small.shape == (m, m)
        assert round(n**2 / small.size, 2) == ratio


@pytest.mark.parametrize(("dtype", "largest"), [("float32", 1e-6), ("float64", 1e-13)])
@pytest.mark.parametrize(
    "case",
    [
        {},
        {"grid": Grid((32, 32)), "solver_grid": Grid((36, 36))},
        {"equation": GrayScott(), "grid": Grid((16,), (1.0,))},
        {"forcing": GaussianField.matern(4.0, 0.3, deviation=1.0, cutoff=5)},
    ],
)
def test_what_is_opened_is_what_was_solved(
    archive: Archive, case: Mapping[str, Any], dtype: str, largest: float
):
    small, full = spec(**case, dtype=dtype), spec(**case, dtype=dtype, storage="full")
    simulate(small, archive)
    simulate(full, archive)
    one, other = archive.open(small), archive.open(full)
    assert one.sizes == other.sizes
    for name, field in other.variables.items():
        assert one[name].dims == field.dims
        assert one[name].dtype == field.dtype
        error = np.abs(one[name].values - field.values).max()
        assert error <= largest * np.abs(field.values).max()
    assert archive.verify(small) == []
    # negative control: a smaller grid loses something
    channel, grid = small.channels[0], small.grid
    less = replace(small.stored_on, shape=tuple(n - 4 for n in small.stored_on.shape))
    there = other[channel].values[:, 0]
    back = move(move(there, grid, less), less, grid)
    assert np.abs(back - there).max() > 1e-5 * np.abs(there).max()


def test_between_walls_too():
    kept = WALLS.resolved(2 / 3)
    u_hat = torch.randn(3, *WALLS.spectral_shape, dtype=torch.float64) * kept
    u = WALLS.ifft(u_hat).numpy()
    small = critical(Problem(WALLS, GrayScott()))
    assert small.shape == (10, 10)
    np.testing.assert_allclose(move(move(u, WALLS, small), small, WALLS), u, atol=1e-13)


def test_the_disk_holds_the_critical_grid_and_says_so(archive: Archive):
    simulation = spec()
    simulate(simulation, archive)
    array = zarr.open_array(archive.folder(simulation) / "data.zarr" / "vorticity", mode="r")
    assert array.shape == (10, 3, 12, 16)
    plain = xr.open_zarr(archive.folder(simulation) / "data.zarr", consolidated=False)
    assert plain.sizes["x"] == plain.x.size == 16
    opened = archive.open(simulation)
    assert opened.attrs["storage"] == (
        "critical: fields of 16x24 points on the 12x16 that hold all of their waves"
    )
    np.testing.assert_array_equal(opened.x, simulation.grid.coordinates()[1])
    assert spec(storage="full").name != simulation.name


def test_it_opens_lazily_and_any_part_of_it(archive: Archive):
    simulation = spec()
    simulate(simulation, archive)
    opened = archive.open(simulation)
    assert not opened.vorticity.variable._in_memory
    whole = opened.vorticity.values
    part = opened.vorticity[[1, 5], 1, 3:9:2, -1]
    np.testing.assert_array_equal(part.values, whole[[1, 5], 1, 3:9:2, -1])
    dask = archive.open(simulation, chunks={}).vorticity
    assert dask.chunks[0] == (4, 4, 2)
    assert dask.chunks[2:] == ((16,), (24,))
    np.testing.assert_array_equal(dask.values, whole)


def test_training_sees_the_full_grid(archive: Archive):
    fields = []
    for storage in ("critical", "full"):
        simulation = spec(storage=storage)
        simulate(simulation, archive)
        training = Training(simulation=simulation, members=6, held_out=2, steps=0)
        fields.append(load(training, archive))
    assert fields[0].shape == (8, 1, 16, 24)
    torch.testing.assert_close(fields[0], fields[1], rtol=0, atol=1e-5)


def test_damage_is_found_where_it_is(archive: Archive):
    simulation = spec()
    simulate(simulation, archive)
    shard: Path = archive.folder(simulation) / "data.zarr" / "vorticity" / "c" / "1/0/0/0"
    content = bytearray(shard.read_bytes())
    content[len(content) // 3] ^= 1
    shard.write_bytes(content)
    assert archive.verify(simulation) == ["block 1"]
    with pytest.raises(Exception, match=r"(?i)checksum"):
        archive.open(simulation).vorticity.isel(member=5).load()
    archive.open(simulation).vorticity.isel(member=0).load()


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        ({"forcing": FIELD}, "cutoff of at most 5 .* got None; give it one"),
        ({"forcing": replace(FIELD, cutoff=6)}, "got 6; give it one, or set storage: full"),
        ({"solver_grid": Grid((32, 48))}, "which leaves all; set storage: full"),
    ],
)
def test_what_would_lose_or_save_nothing_is_refused(changes: dict[str, Any], remedy: str):
    with pytest.raises(ValueError, match=remedy):
        spec(**changes)
