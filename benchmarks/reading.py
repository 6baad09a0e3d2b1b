"""How fast shuffled frames come out of Zarr: read ahead by shards, beside random access by xarray.

    OMP_NUM_THREADS=1 python -m benchmarks.reading
    python -m benchmarks.reading --frames 512            the same, smaller: printed, no page

Frames of 128 x 128 in float32 (a Gaussian field made crooked) lie in an archive's layout: a frame
is compressed and has a checksum, a shard has 128 of them. There are three ways to get
batches of 64 in shuffled order: the reader of a training (`pushforward.reader`), which takes whole
shards on two threads and holds an eighth of the frames; xarray, asked for the members of each
batch; and xarray, asked for one member after the other. They take turns for some rounds. The best
round is told, since other work shares the machine, and the time of the processor, which other work
changes less. Files come from the system's cache: no disk is measured. What the codec is chosen by
stands below that (`benchmarks.codecs`).
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import xarray as xr
import zarr

from benchmarks import codecs
from benchmarks.markdown import number, table
from pushforward import layout
from pushforward.reader import Plan, Reader
from pushforward.shards import Fields
from pushforward.solvers import GaussianField, Grid

PAGE = Path(__file__).resolve().parents[1] / "docs" / "results" / "reading.md"
COMMAND = "OMP_NUM_THREADS=1 python -m benchmarks.reading"
GRID, FIELD = Grid((128, 128)), GaussianField.matern(4.0, 0.4, mean=False, cutoff=42)
FRAMES, SHARD, PACK, BATCH, ROUNDS = 8192, 128, 128, 64, 7
GOAL, THREADS = 20_000, 2  # frames a second, on so many threads
XARRAY = 1024  # frames that xarray is asked for: enough to tell


@dataclass
class Way:
    """A way to read, and what it took: frames and seconds (wall, processor) of every round."""

    name: str
    read: Callable[[], int]
    rounds: list[tuple[int, float, float]]

    def go(self) -> None:
        """One round."""
        wall, processor = time.perf_counter(), time.process_time()
        count = self.read()
        self.rounds.append((count, time.perf_counter() - wall, time.process_time() - processor))

    @property
    def rate(self) -> float:
        """Frames a second, in the best round."""
        return max(count / wall for count, wall, _ in self.rounds)

    @property
    def spread(self) -> tuple[float, float]:
        """The least and the middle of that."""
        rates = sorted(count / wall for count, wall, _ in self.rounds)
        return rates[0], rates[len(rates) // 2]

    @property
    def cost(self) -> float:
        """Frames a second of processor time, in the best round."""
        return max(count / processor for count, _, processor in self.rounds)


def main() -> None:
    """Writes the frames, reads them in every way, and writes the page if it was the whole."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("--frames", type=int, default=FRAMES)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "data.zarr"
        write(path, chosen.frames)
        size = sum(part.stat().st_size for part in path.rglob("*") if part.is_file())
        ways = [*asked(path, chosen.frames)]
        for _ in range(chosen.rounds):
            for way in ways:
                way.go()
                print(f"{way.name}: {way.rate:.0f} frames/s", flush=True)
    text = page(ways, chosen.frames, size) + "\n" + codecs.section(codecs.trials()) + "\n"
    if chosen.frames == FRAMES:
        PAGE.write_text(text, encoding="utf-8")
    print(text)


def write(path: Path, frames: int) -> None:
    """Frames in the layout of an archive."""
    whole = layout.template(GRID, range(frames), [0.0], {"u": "u"}, "float32")
    layout.allocate(path, whole, SHARD)
    for start in range(0, frames, SHARD):
        members = range(start, min(start + SHARD, frames))
        z = FIELD.sample(members, GRID)
        part = layout.template(GRID, members, [0.0], {"u": "u"}, "float32")
        part["u"] = part["u"].copy(data=(z + 0.4 * z.square()).float().numpy()[:, None])
        layout.write(path, members, part)


def asked(path: Path, frames: int) -> Iterator[Way]:
    """The ways, each of which reads once and says how many frames."""
    for threads in (THREADS, 1):
        name = f"whole shards, read ahead, {threads} thread{'s' * (threads > 1)}"
        yield Way(name, Ahead(path, frames, threads), [])
    stored = xr.open_zarr(path, consolidated=False, chunks=None)["u"]
    order = np.random.default_rng(0).permutation(frames)[: min(XARRAY, frames)]

    def batches() -> int:
        for start in range(0, len(order), BATCH):
            _ = stored.isel(member=order[start : start + BATCH]).values
        return len(order)

    def singly() -> int:
        for member in order[: len(order) // 4]:
            _ = stored.isel(member=int(member)).values
        return len(order) // 4

    yield Way(f"xarray, {BATCH} members at random", batches, [])
    yield Way("xarray, one member after the other", singly, [])


class Ahead:
    """An epoch a call, from a reader that goes on where it was."""

    def __init__(self, path: Path, frames: int, threads: int) -> None:
        plan = Plan(frames, PACK, max(frames // PACK // 16, 2))
        self.reader = Reader(Fields(path, [(0, "u")]), plan, seed=0, threads=threads)
        self.step, self.batches = 0, frames // BATCH

    def __call__(self) -> int:
        for _ in range(self.batches):
            place = self.step * BATCH
            rows = self.reader.rows(range(place, place + BATCH))
            self.step += 1
            if rows.shape != (BATCH, 1, *GRID.shape):
                raise RuntimeError(f"expected a batch of {BATCH}, got {tuple(rows.shape)}")
        self.reader.close()  # or the next way would pay for what is read ahead
        return self.batches * BATCH


def page(ways: list[Way], frames: int, size: int) -> str:
    """The page: the rates, whether the goal is met, and what was read."""
    best, random = ways[0], ways[2]
    rows = [
        [
            way.name,
            number(way.rate),
            f"{number(way.spread[1])} ({number(way.spread[0])})",
            number(way.cost),
        ]
        for way in ways
    ]
    head = ["way", "frames/s, best", "median (worst) round", "frames/s of processor time"]
    free = THREADS * best.cost
    raw = frames * GRID.size * 4
    codec = codecs.own()
    how = next(name for name, other in codecs.CODECS.items() if codecs.same(codec, other))
    return f"""# Shuffled frames out of Zarr

    {COMMAND}

{frames:,} frames of 128 x 128 in float32, {raw / 2**20:.0f} MiB, compressed to {size / raw:.0%} \
({how}, a CRC-32C a frame, {SHARD} frames a shard), in batches of {BATCH} in shuffled order, \
from the system's cache. {len(best.rounds)} rounds, torch {torch.__version__.split("+")[0]}, \
zarr {zarr.__version__}, xarray {xr.__version__}, {platform.machine()}, {os.cpu_count()} cores \
shared with other work.

{table(head, rows)}

{verdict(best, free)} A frame takes {1e6 / best.cost:.0f} microseconds of one core; random \
access by xarray takes {1e6 / random.cost:.0f}. Shuffled by the reader means: packs of {PACK} in \
random order, and the frames of a sixteenth of all packs mixed.
"""


def verdict(best: Way, free: float) -> str:
    """Whether the goal is met by the clock, and by the time of the processor."""
    clock = f"{number(best.rate)} by the clock in the best round"
    quiet = f"{number(free)} by the time of the processor, what {THREADS} quiet cores would give"
    goal = f"The goal of {GOAL:,} frames a second on {THREADS} threads"
    if best.rate >= GOAL:
        return f"{goal} is met: {clock}; {quiet}."
    missed = f"is missed by the clock, by {1 - best.rate / GOAL:.0%}: {clock}"
    if free >= GOAL:
        return f"{goal} {missed}. It is met by processor time: {quiet}."
    return (
        f"{goal} {missed}. It is missed by processor time too, by {1 - free / GOAL:.0%}: {quiet}."
    )


if __name__ == "__main__":
    main()
