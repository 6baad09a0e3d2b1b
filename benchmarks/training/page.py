"""The page of results, in Markdown."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path

from benchmarks.markdown import number, table

from .cases import OPTIMISER, WAITING
from .measurement import ALONE, FORWARD, LIBRARY, OURS, PARTS, PEER, STEP, Measured
from .rounds import ROUNDS, Times, ratio, share

COMMAND = "python -m benchmarks.training"
SAID = {
    "batch": "making the batch",
    "descend": "loss and its gradient",
    "advance": "clipping, AdamW, moving average",
}


def write(found: Sequence[Measured], seconds: float) -> str:
    """The whole page."""
    parts = [_head(seconds), "## Goals", table(["", "goal", "measured", "reached"], _goals(found))]
    for one in found:
        parts += [f"## {one.case.title}", _about(one)]
        parts += [table(["", "network", *_columns()], _rows(one)), _parts(one)]
    return "\n\n".join([*parts, _method()]) + "\n"


def _head(seconds: float) -> str:
    return f"""# A training step, side by side

    {COMMAND}

One thread, {processor()}, Python {platform.python_version()}, torch {_version("torch")}, \
neuraloperator {_version("neuraloperator")}; {max(1, round(seconds / 60))} minutes. The command \
writes this page and the times of every round, `training.json`; the peer comes with \
`pip install pushforward[bench]`."""


def _goals(found: Sequence[Measured]) -> Iterator[list[str]]:
    """Ratios of processor time, and shares of a step."""
    for one in found:
        for what in (STEP, LIBRARY, ALONE):
            name, bound = f"{one.case.title}: {what}", one.case.goal
            times = one.times.get(what, {})
            if PEER not in times:
                yield [name, f"<= {bound:g} x", "not run", f"**no**: {one.failed}"]
                continue
            middle, low, high = ratio(times[OURS], times[PEER])
            said = f"{number(middle)} x ({number(low)} to {number(high)})"
            yield [name, f"<= {bound:g} x", said, _reached(middle <= bound)]
    for one in found:
        for part, bound in (("advance", OPTIMISER), ("batch", WAITING)):
            part_of = share(one.parts[part], [one.times[LIBRARY][OURS]])
            name = f"{one.case.title}: {SAID[part]}, of a step"
            yield [name, f"<= {bound:.0%}", f"{part_of:.1%}", _reached(part_of <= bound)]


def _reached(yes: bool) -> str:
    return "yes" if yes else "**no**"


def _about(one: Measured) -> str:
    counts = ", ".join(f"{name} {count:,}" for name, count in one.parameters.items())
    points = ", ".join(f"{n}²" for n in one.grids)
    return (
        f"Batch {one.case.batch}, 4 layers, {one.case.modes} waves each way of "
        f"{one.case.points} points. Parameters (a complex one is two): {counts}. The library's "
        f"own step works on grids of {points} points, each member on the smallest that holds what "
        "noise has left of it."
    )


def _columns() -> list[str]:
    return ["processor ms", "spread", "clock ms", "to neuraloperator's"]


def _rows(one: Measured) -> Iterator[list[str]]:
    for what, times in one.times.items():
        for who, some in times.items():
            if what == LIBRARY and who == PEER:
                continue  # the row of the full grid
            yield [what, who, *_cells(some, times.get(PEER))]
    if not any("GPU" in what for what in one.times):
        yield [f"{FORWARD} and {ALONE}, GPU", "all", "not run: no GPU", *[""] * 3]


def _cells(some: Times, peer: Times | None) -> list[str]:
    wall = sorted(some.wall)[len(some.wall) // 2]
    compared = "" if peer in (None, some) else f"{number(ratio(some, peer)[0])} x"
    return [number(some.median), f"± {some.spread:.0%}", number(wall), compared]


def _parts(one: Measured) -> str:
    said = [
        f"{SAID[part]} {number(one.parts[part].median)} ms "
        f"({share(one.parts[part], [one.times[LIBRARY][OURS]]):.1%})"
        for part in PARTS
    ]
    return (
        f"Parts of the library's own step, timed by themselves, and what share of the step they "
        f"are: {', '.join(said)}."
    )


def processor() -> str:
    """The processor's name."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "missing"


def _method() -> str:
    return f"""## How this is measured

- {ROUNDS} rounds after one that does not count, in each every network once, one after the \
other. Times are medians of the process's processor time, the spread is half the distance between \
their quartiles; ratios are medians over the rounds (quartiles in brackets in the first table).
- A **training step** is the library's own for every network: a batch (fields translated, noise \
drawn by address), the denoiser around the network, the loss, its gradient, clipping, fused AdamW \
and the moving average. The peer's complex weights are given to AdamW as real numbers, so that \
its fused kernel serves them, too.
- On the **full grid** all networks work at all points of the grid. **As the library takes it**, \
members whose fine waves are drowned in noise are computed on coarser grids, where an FNO of ours \
is the same operator to aliases; the peer has the full grid then, for its layers are not.
- neuraloperator's FNO has as many channels, layers and waves, no grid embedding, else its \
defaults, and hears the noise level as a channel; ours is modulated in every layer by a vector.
- The fields have every wave of their grid. Data cut at two thirds of them, as a spectral solver \
makes it, would be trained on smaller grids still."""
