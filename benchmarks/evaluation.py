"""What a large evaluation costs: 10,000 members at 128 x 128 against 10,000 of a pool of 20,000.

    OMP_NUM_THREADS=1 taskset -c 0,1 python -m benchmarks.evaluation
    python -m benchmarks.evaluation --members 500                      the same, smaller: no page

Fields are synthetic (a Gaussian field made crooked) and lie in Zarr, a few members a chunk, as an
archive keeps them. Every family of scores is computed, by two worker processes. The page
(docs/results/evaluation.md) says how long it took and how much memory there was at once: that of
the main process and of its workers together, looked at ten times a second, and what the operating
system says of the largest of each. What is scored is of the solver's law, so it must be inside.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import resource
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
import xarray as xr
import zarr

from pushforward.floors import measure
from pushforward.members import Members
from pushforward.solvers import GaussianField, Grid

PAGE = Path(__file__).resolve().parents[1] / "docs" / "results" / "evaluation.md"
COMMAND = "OMP_NUM_THREADS=1 taskset -c 0,1 python -m benchmarks.evaluation"
GRID = Grid((128, 128))
FIELD = GaussianField.matern(4.0, 0.4, deviation=1.0, mean=False, cutoff=42)
WHOLE, TRAINED_ON, CHUNK = 10_000, 2048, 8
GIB = 2**30


@dataclass
class Memory:
    """The most resident memory seen at once, in bytes: of all processes together."""

    together: int = 0


def main() -> None:
    """Writes the fields, scores them, and writes the page if it was the whole."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("--members", type=int, default=WHOLE)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--splits", type=int, default=200)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    n = chosen.members
    with tempfile.TemporaryDirectory() as place:
        began = time.perf_counter()
        generated, pool, training = (
            written(Path(place) / name, members)
            for name, members in {
                "generated": range(n),
                "pool": range(n, 3 * n),
                "training": range(3 * n, 3 * n + TRAINED_ON),
            }.items()
        )
        writing = time.perf_counter() - began
        print(f"{3 * n + TRAINED_ON} members written in {writing:.0f} s", flush=True)
        began = time.perf_counter()
        with watched() as memory:
            scores = measure(
                {"same law": generated},
                None,
                pool,
                GRID,
                ["vorticity"],
                training=training,
                splits=chosen.splits,
                workers=chosen.workers,
                told="evaluate",
            )
        seconds = time.perf_counter() - began
    text = page(scores.isel(ensemble=0, variable=0), seconds, memory, chosen.workers)
    print(text)
    if n == WHOLE:
        PAGE.write_text(text, encoding="utf-8")


def written(path: Path, members: range) -> Members:
    """Members of the law in Zarr, and a reader of them."""
    array = zarr.open_group(path, mode="w").create_array(
        "vorticity",
        shape=(len(members), *GRID.shape),
        chunks=(CHUNK, *GRID.shape),
        dtype="float32",
        dimension_names=("member", "y", "x"),
    )
    for start in range(0, len(members), 256):
        z = FIELD.sample(members[start : start + 256], GRID, seed=1)
        array[start : start + len(z)] = (z + 0.4 * z.square()).float().numpy()
    stored = xr.open_zarr(path, consolidated=False, chunks=None)
    return Members.labelled([stored["vorticity"]], GRID)


@contextmanager
def watched(every: float = 0.1) -> Iterator[Memory]:
    """Looks at the memory of this process and of its children until the block ends."""
    memory, over = Memory(), threading.Event()

    def look() -> None:
        while not over.wait(every):
            children = [child.pid for child in multiprocessing.active_children()]
            total = sum(resident(pid) for pid in (os.getpid(), *children) if pid)
            memory.together = max(memory.together, total)

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield memory
    finally:
        over.set()
        watcher.join()


def resident(pid: int) -> int:
    """The resident memory of a process in bytes; 0 once it has ended."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return 0
    return int(pages) * resource.getpagesize()


def page(scores: xr.Dataset, seconds: float, memory: Memory, workers: int) -> str:
    """The page: what was computed, how long it took, and every score."""
    own, child = (
        resource.getrusage(who).ru_maxrss * 1024
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    told = scores.attrs
    rows = [
        f"| {one.title.item()} | {one.value.item():.3g} ± {one.standard_error.item():.1g} "
        f"| {one.floor_mean.item():.3g} | {one.floor_q95.item():.3g} | {one.z.item():.2f} "
        f"| {one.p.item():.2f} | {'yes' if bool(one.inside) else 'no'} |"
        for one in (scores.sel(score=name) for name in scores.score.values)
    ]
    inside = int(scores.inside.sum())
    return f"""# What a large evaluation costs

    {COMMAND}

{told["members"]:,} members at 128 x 128 against {told["members"]:,} of a pool of \
{told["pool"]:,}, {TRAINED_ON} training members, {told["splits"]} splits and {told["bootstrap"]} \
bootstrap resamples, in Zarr; scores of pairs and nearest neighbours of {told["pairs"]} members a \
side. {workers} workers of one thread, torch {torch.__version__.split("+")[0]}, \
{platform.machine()}, {os.cpu_count()} cores shared with other work.

| | |
|---|---|
| seconds | {seconds:.0f} |
| members a second, of all that are read once | {(told["members"] + told["pool"]) / seconds:.0f} |
| resident at once, all processes together | {memory.together / GIB:.2f} GiB |
| largest main process (getrusage) | {own / GIB:.2f} GiB |
| largest worker (getrusage) | {child / GIB:.2f} GiB |

The fields take {(told["members"] + told["pool"] + TRAINED_ON) * GRID.size * 4 / GIB:.1f} GiB, \
which nobody held. They are of one law, so scores should be inside: {inside} of {len(rows)} are, \
and one in twenty is outside by chance.

| score | value | floor | floor 95% | z | p | inside |
|---|---|---|---|---|---|---|
{os.linesep.join(rows)}
"""


if __name__ == "__main__":
    main()
