"""An archive of 100,000 members: how long it takes to make, list, resume and open one.

    OMP_NUM_THREADS=1 python -m benchmarks.archive                    docs/results/archive.md
    OMP_NUM_THREADS=1 python -m benchmarks.archive --members 4096     the same, smaller, printed

The members are a simulation's, on 32 x 32 points, two times; their values are normal numbers made
smooth, which compress as flows do. Every question is asked by a process of its own, whose largest
memory is told, imports included; its time is that of the question. Writing block by block, with
checksums, markers and flushes to the disk, takes turns with a plain sequential Zarr write of the
same chunks, which flushes nothing.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr

from benchmarks.markdown import number, table
from benchmarks.training.page import processor
from pushforward import layout
from pushforward.archive import Archive
from pushforward.simulation import template
from pushforward.solvers import GaussianField, Grid, NavierStokes
from pushforward.spec import Simulation

PAGE = Path(__file__).resolve().parents[1] / "docs" / "results" / "archive.md"
COMMAND = "OMP_NUM_THREADS=1 python -m benchmarks.archive"
MEMBERS, BLOCK, ROUNDS = 100_000, 256, 5
SECONDS, MEMORY, SHARE, PER_FILE = 2.0, 1.0, 0.7, 50  # goals: s, GB, of a plain write, members


def simulation(members: int) -> Simulation:
    """The simulation whose members they are said to be."""
    return Simulation(
        equation=NavierStokes(viscosity=1e-2),
        grid=Grid((32, 32)),
        initial=GaussianField.matern(4.0, 0.3, deviation=1.0),
        times=(0.5, 1.0),
        step=0.01,
        members=members,
        batch=32,
        block=BLOCK,
    )


def fields(spec: Simulation, members: range) -> xr.Dataset:
    """Values for some members, smooth and all different."""
    dataset = template(spec, members)
    for name, variable in dataset.data_vars.items():
        drawn = np.random.default_rng(members.start).normal(size=variable.shape)
        smooth = np.cumsum(np.cumsum(drawn, axis=-1), axis=-2) / variable.shape[-1]
        dataset[name] = variable.copy(data=smooth.astype(variable.dtype))
    return dataset


def create(spec: Simulation, archive: Archive) -> int:
    """Makes an empty one."""
    archive.create(spec, template(spec))
    return len(archive.blocks(spec))


def resume(spec: Simulation, archive: Archive) -> int:
    """What a run that goes on asks: is it there, and what is missing?"""
    archive.create(spec, template(spec))
    return len(archive.missing(spec))


def listed(spec: Simulation, archive: Archive) -> int:
    """Lists what an archive holds."""
    return len(archive.search(equation=spec.equation.kind))


def opened(spec: Simulation, archive: Archive) -> int:
    """Opens the sealed result and reads a member in its middle."""
    dataset = archive.open(spec)
    return dataset.vorticity.isel(member=spec.members // 2).values.size


QUESTIONS: dict[str, Callable[[Simulation, Archive], int]] = {
    "create": create,
    "resume": resume,
    "list": listed,
    "open": opened,
}


def ask(question: str, members: int, root: Path) -> dict[str, float]:
    """Seconds and GB of a question, asked by a process of its own."""
    command = [sys.executable, "-m", "benchmarks.archive", "--ask", question]
    command += ["--members", str(members), "--root", str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def answer(question: str, members: int, root: Path) -> None:
    """Answers it, and prints what it took."""
    spec, archive = simulation(members), Archive(root)
    began = time.perf_counter()
    QUESTIONS[question](spec, archive)
    seconds = time.perf_counter() - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print(json.dumps({"seconds": seconds, "memory": memory}))


def plain(spec: Simulation, path: Path, blocks: range) -> None:
    """What is compared with: the same shards by Zarr alone, one after the other."""
    layout.allocate(path, template(spec), BLOCK)
    for block in blocks:
        span = range(block * BLOCK, min((block + 1) * BLOCK, spec.members))
        for name, variable in DATA[block % len(DATA)].data_vars.items():
            array = zarr.open_array(path / str(name), mode="r+")
            array[span.start : span.stop] = variable.values[: len(span)]


def written(spec: Simulation, archive: Archive, blocks: range) -> None:
    """Ours: checked, with checksums and markers, flushed to the disk."""
    archive.create(spec, template(spec))
    for block in blocks:
        span = archive.span(spec, block)
        given = DATA[block % len(DATA)].isel(member=slice(len(span)))
        archive.write(spec, block, given.assign_coords(member=("member", np.asarray(span))))


DATA: list[xr.Dataset] = []  # of a few blocks, so that no numbers are drawn on the clock


def throughput(spec: Simulation, root: Path, blocks: range) -> tuple[list[float], list[float]]:
    """MB a second of both, round by round, in turns."""
    rates: tuple[list[float], list[float]] = ([], [])
    size = sum(v.nbytes for v in DATA[0].data_vars.values()) * len(blocks) / 1e6
    for turn in range(ROUNDS):
        jobs: list[Callable[[Path], Any]] = [
            lambda place: written(spec, Archive(place), blocks),
            lambda place: plain(spec, place / "plain.zarr", blocks),
        ]
        for job, found in zip(jobs, rates, strict=True):
            place = root / f"turn-{turn}"
            began = time.perf_counter()
            job(place)
            found.append(size / (time.perf_counter() - began))
            shutil.rmtree(place)
    return rates


def main() -> None:
    """Makes the archive, asks, and writes or prints the page."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("--members", type=int, default=MEMBERS)
    parser.add_argument("--root", type=Path, help="a folder on the disk to measure")
    parser.add_argument("--ask", choices=[*QUESTIONS], help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.ask:
        answer(given.ask, given.members, given.root)
        return
    with tempfile.TemporaryDirectory(dir=given.root) as folder:
        text = measured(given.members, Path(folder))
    if given.members == MEMBERS:
        PAGE.write_text(text, "utf-8")
    print(text)


def measured(members: int, root: Path) -> str:
    """The page."""
    spec = simulation(members)
    DATA[:] = [fields(spec, range(BLOCK * n, BLOCK * (n + 1))) for n in range(4)]
    archive = Archive(root / "archive")
    blocks = range(-(-members // BLOCK))
    found = {"create": ask("create", members, archive.root)}
    written(spec, archive, blocks)
    archive.marker(spec, len(blocks) // 2).unlink()
    found["resume"] = ask("resume", members, archive.root)
    written(spec, archive, blocks)
    archive.seal(spec)
    found |= {name: ask(name, members, archive.root) for name in ("list", "open")}
    files = sum(path.is_file() for path in archive.root.rglob("*"))
    few = blocks[: max(1, len(blocks) // 8)]
    ours, theirs = throughput(spec, root, few)
    ratios = sorted(a / b for a, b in zip(ours, theirs, strict=True))
    share = statistics.median(ratios)
    rows = [
        [name, f"{number(one['seconds'])} s, {number(one['memory'])} GB",
         f"< {SECONDS:g} s, < {MEMORY:g} GB",
         _yes(one["seconds"] < SECONDS and one["memory"] < MEMORY)]
        for name, one in found.items()
    ]  # fmt: skip
    rows += [
        ["files", f"{files:,}", f"< {members // PER_FILE:,}", _yes(files < members / PER_FILE)],
        [
            "writing, of a plain Zarr write",
            f"{share:.0%}",
            f">= {SHARE:.0%}",
            _yes(share >= SHARE),
        ],
    ]
    return f"""# An archive of {members:,} members

    {COMMAND}

{processor()}, Python {platform.python_version()}, Zarr {zarr.__version__}; \
{spec.grid.shape[0]} x {spec.grid.shape[1]} points, {len(spec.times)} times, {BLOCK} members a \
block. Times are of one question in a process of its own, after its imports; memory is the \
process's largest, imports included.

{table(["", "measured", "goal", "reached"], rows)}

Writing: {number(statistics.median(ours))} MB/s beside {number(statistics.median(theirs))} MB/s, \
medians of {ROUNDS} rounds in turns over {len(few)} blocks; the share is the median of the \
rounds' ratios ({ratios[0]:.0%} to {ratios[-1]:.0%}). Ours is checked for shape and finite \
values, hashed, flushed to the disk and marked; the plain write is none of these. *resume* is \
asked where one block of {len(blocks)} is missing, *open* reads one member.
"""


def _yes(reached: bool) -> str:
    return "yes" if reached else "**no**"


if __name__ == "__main__":
    main()
