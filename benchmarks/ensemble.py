"""A virtual ensemble: how soon it opens, what a member costs, and how alike a member is.

    OMP_NUM_THREADS=1 python -m benchmarks.ensemble                  docs/results/ensemble.md
    OMP_NUM_THREADS=1 python -m benchmarks.ensemble --steps 20       the same, sooner, printed

The surrogate is the quickstart's, of fewer members and steps, trained here. Opening is timed in
processes of their own. A member through xarray takes turns with `Surrogate.sample` of the same
one. Members are compared with those that the surrogate draws one by one.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import dask.config
import numpy as np
import torch
import xarray as xr
from torch import Tensor

from benchmarks.markdown import number, table
from benchmarks.training.page import processor
from pushforward import Archive, Study, simulate, train
from pushforward.ensemble import MEMORY
from pushforward.generative import Surrogate
from pushforward.solvers import Grid, Use

PAGE = Path(__file__).resolve().parents[1] / "docs" / "results" / "ensemble.md"
COMMAND = "OMP_NUM_THREADS=1 python -m benchmarks.ensemble"
STEPS, ROUNDS, MILLION = 300, 15, 1_000_000
OPEN, COST, ALIKE = 0.5, 1.2, 1e-5  # goals: s, of a direct draw, of a member's spread
FINE = (128, 128)
ASK = """
import json, sys, time
began = time.perf_counter()
import dask.array  # by xarray, with the first Dataset of any kind
import xarray as xr
import pushforward.ensemble
imported = time.perf_counter()
given = {"engine": "pushforward", "members": 1_000_000, "grid": (128, 128)}
xr.open_dataset(sys.argv[1], **given)
first = time.perf_counter()
xr.open_dataset(sys.argv[1], **given)
second = time.perf_counter()
xr.open_dataset(sys.argv[1], chunks={}, **given)
third = time.perf_counter()
print(json.dumps([imported - began, first - imported, second - first, third - second]))
"""


def made(root: Path, steps: int) -> tuple[Study, Archive]:
    """The study, and the archive that has its training."""
    changes = {
        "simulation.members": 352,
        "simulation.block": 32,
        "training.members": 256,
        "training.held_out": 32,
        "training.steps": steps,
        "training.batch": 16,
        "training.calibration": 32,
        "evaluation.members": 16,
    }
    study = Study.load("quickstart", [f"{key}={value}" for key, value in changes.items()])
    archive = Archive(root)
    simulate(study.simulation, archive)
    train(study.training, archive)
    return study, archive


def asked(path: Path) -> list[list[float]]:
    """Seconds of imports, of opening, of opening again, and with chunks; a row a process."""
    command = [sys.executable, "-c", ASK, str(path)]
    rows = []
    for _ in range(5):
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        rows.append(json.loads(done.stdout))
    return rows


def paired(
    dataset: xr.Dataset, study: Study, surrogate: Surrogate, size: int, rounds: int
) -> list[tuple[float, float]]:
    """Seconds of a draw through xarray and of the same by the surrogate, in turns."""
    generation = study.generation
    grid = Grid(tuple(dataset.sizes[axis] for axis in ("y", "x")))

    def through(first: int) -> Any:
        return dataset.vorticity.isel(member=slice(first, first + size)).values

    def direct(first: int) -> Any:
        members = range(first, first + size)
        return surrogate.sample(members, grid, seed=generation.seed, sampler=generation.sampler)

    found = []
    for turn in range(-1, rounds):  # the first one does not count
        jobs = [through, direct] if turn % 2 else [direct, through]
        seconds = {job: _seconds(job, 1000 + size * turn) for job in jobs}
        if turn >= 0:
            found.append((seconds[through], seconds[direct]))
    return found


def _seconds(job: Callable[[int], Any], first: int) -> float:
    began = time.perf_counter()
    job(first)
    return time.perf_counter() - began


def alike(path: Path, direct: np.ndarray) -> list[tuple[int, str, int, float]]:
    """(block, scheduler, workers, difference) of the members that were drawn one by one."""
    rows = []
    for scheduler, workers in (("threads", 1), ("threads", 4), ("processes", 1), ("processes", 4)):
        for block in (1, 2, 8):
            MEMORY.clear()
            chunked = opened(path, block=block, chunks={}).vorticity.isel(member=slice(16))
            with dask.config.set(scheduler=scheduler, num_workers=workers):
                drawn = chunked.where(chunked.member >= 0).values  # an index would go to the task
            rows.append((block, scheduler, workers, apart(drawn, direct)))
    return rows


def opened(path: Path, **options: Any) -> xr.Dataset:
    """Some members more than are compared, since a task for each of a million is too much."""
    return xr.open_dataset(path, engine="pushforward", **{"members": 64, **options})


def apart(one: Any, other: Any) -> float:
    """The largest difference, in the spread of the other."""
    one, other = np.asarray(one), np.asarray(other)
    return float(np.abs(one - other).max() / other.std())


def shared(fine: Tensor, coarse: Tensor, fine_grid: Grid, grid: Grid) -> float:
    """The difference of fields over the waves that the data have, in those waves' size."""
    cut = -(-grid.shape[-1] // 3)  # the solver keeps two thirds
    waves = [g.fft(u)[..., :cut] for g, u in ((fine_grid, fine), (grid, coarse))]
    waves = [torch.cat([w[..., :cut, :], w[..., 1 - cut :, :]], -2) for w in waves]
    return float((waves[0] - waves[1]).norm() / waves[1].norm())


def resolutions(path: Path, study: Study, archive: Archive) -> list[list[str]]:
    """How alike members are on 64 and 128 points, beside the network that was moved there."""
    grid, fine = study.simulation.grid, Grid(FINE)
    surrogate, generation = archive.surrogate(study.training), study.generation
    members = slice(0, 8)

    def seen(shape: Sequence[int], **options: Any) -> Tensor:
        dataset = opened(path, grid=tuple(shape), seed=generation.seed,
                         sampler=generation.sampler, **options)  # fmt: skip
        return torch.from_numpy(dataset.vorticity.isel(member=members).values)

    coarse = seen(grid.shape)
    fields = torch.from_numpy(archive.open(study.simulation).vorticity[:256, -1].values)[:, None]
    moved = Surrogate.fit(surrogate.architecture, grid.resample(fields, fine), fine)
    moved.adopt(surrogate)
    alone = Surrogate.fit(surrogate.architecture, fields, grid)  # fitted to the same, unrounded
    alone.adopt(surrogate)
    drawn = [
        one.sample(range(8), g, seed=generation.seed, sampler=generation.sampler)
        for one, g in ((moved, fine), (alone, grid))
    ]
    one, other = (
        basis.noise(generation.seed, Use.PRIOR, range(8))
        for basis in (surrogate.basis, surrogate.basis.extend(fine))
    )
    noise = float((one - other[..., : one.shape[-1]] * surrogate.basis.mask).abs().max())
    return [
        ["the virtual ensemble", f"{shared(seen(FINE), coarse, fine, grid):.1e}"],
        [
            "the virtual ensemble, with `extend`",
            f"{shared(seen(FINE, extend=True), seen(grid.shape), fine, grid):.1e}",
        ],
        ["the network moved to 128 x 128", f"{shared(*drawn, fine, grid):.1e}"],
        ["another member (control)", f"{shared(seen(FINE), coarse.roll(1, 0), fine, grid):.1e}"],
        ["noise of the same waves, largest difference", f"{noise:g}"],
    ]


def measured(root: Path, steps: int) -> str:
    """The page."""
    study, archive = made(root, steps)
    path, surrogate = archive.folder(study.training), archive.surrogate(study.training)
    generation = study.generation
    times = [statistics.median(column) for column in zip(*asked(path), strict=True)]
    same = {"seed": generation.seed, "sampler": generation.sampler}
    costs = []
    for shape in (study.simulation.grid.shape, FINE):
        for size, rounds in ((1, ROUNDS), (32, 5)):
            dataset = opened(path, members=MILLION, grid=shape, **same)
            costs.append((shape, size, paired(dataset, study, surrogate, size, rounds)))
    direct = [surrogate.sample([m], seed=1).numpy() for m in range(16)]
    rows = alike(path, np.concatenate(direct))
    return page(steps, times, costs, rows, resolutions(path, study, archive))


def page(
    steps: int,
    times: list[float],
    costs: list[tuple[tuple[int, ...], int, list[tuple[float, float]]]],
    alike: list[tuple[int, str, int, float]],
    resolutions: list[list[str]],
) -> str:
    """All of it in Markdown."""
    imports, first, again, chunked = times
    goals = [["opening a million members at 128 x 128", f"{number(first)} s", f"< {OPEN:g} s",
              _yes(first < OPEN)]]  # fmt: skip
    for shape, size, found in costs:
        ratios = sorted(ours / theirs for ours, theirs in found)
        middle, low, high = (ratios[len(ratios) * n // 4] for n in (2, 1, 3))
        what = f"{size} member{'s' * (size > 1)} on {shape[0]} x {shape[1]}, of a direct draw"
        theirs = statistics.median(one for _, one in found)
        said = f"{number(middle)} ({number(low)} to {number(high)}) of {number(theirs)} s"
        goals.append([what, said, f"<= {COST:g}", _yes(middle <= COST)])
    worst = max(one[-1] for one in alike)
    goals.append(["a member in other company, of its spread", f"{worst:.1e}", f"<= {ALIKE:g}",
                  _yes(worst <= ALIKE)])  # fmt: skip
    agreement = [
        [f"{block}", scheduler, f"{workers}", f"{found:.1e}"]
        for block, scheduler, workers, found in alike
    ]
    return f"""# A virtual ensemble

    {COMMAND}

{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}, torch \
{metadata.version("torch")}, xarray {metadata.version("xarray")}; torch on one thread. The \
surrogate is the quickstart's (64 x 64, FNO of width 32, 20 evaluations a member), trained on 256 \
members for {steps} steps.

{table(["", "measured", "goal", "reached"], goals)}

Opening is timed in 5 processes of their own, medians: imports (torch, Zarr, xarray, Dask) \
{number(imports)} s, then the first opening {number(first)} s, which is when xarray looks for its \
engines, another {number(again)} s, and one with `chunks={{}}` {number(chunked)} s. Costs are \
medians of {ROUNDS} rounds (5 of 32 members) in which both take turns, with quartiles of the \
ratio; weights are loaded before.

## A member in blocks and by workers

Sixteen members, drawn one by one by `Surrogate.sample`, beside those that Dask computes; the \
largest difference of all points, in units of the fields' spread.

{table(["members a block", "scheduler", "workers", "difference"], agreement)}

## A member on 64 x 64 and on 128 x 128

Eight members on both, over the waves that the data have; differences in root mean square, \
relative. The network works on the smallest grid that holds the data's waves, whatever is asked \
for. What is beside it is the same network in a surrogate that was fitted on 128 x 128 points.

{table(["", "difference"], resolutions)}
"""


def _yes(reached: bool) -> str:
    return "yes" if reached else "**no**"


def main() -> None:
    """Trains, measures, and writes or prints the page."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--root", type=Path, help="an archive to train in, which stays")
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        text = measured(given.root or Path(folder), given.steps)
    if given.steps == STEPS:
        PAGE.write_text(text, "utf-8")
    print(text)


if __name__ == "__main__":
    main()
