"""The page of results, in Markdown."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.markdown import number, table

from .cases import MOMENTS, TARGETS, Case
from .codes import entries
from .draws import BATCH, POINTS, Draws
from .fno_set import FnoSet
from .goals import Goal, Tables, comparisons
from .processes import Scaling
from .rounds import ROUNDS, Row
from .well_set import WellSet

COMMAND = "python -m benchmarks.solvers"


@dataclass
class Results:
    """All that a run has found; None is what it was not asked for."""

    cases: dict[str, Case]
    tables: Tables
    scaling: Scaling | None = None
    draws: Draws | None = None
    fno: FnoSet | None = None
    well: WellSet | None = None
    seconds: float = 0.0


def write(found: Results) -> str:
    """The whole page."""
    parts = [_head(found), *_goals(found)]
    for case in found.cases.values():
        parts += [f"## {case.title}", _about(case)]
        for dtype in ("float32", "float64"):
            parts += [f"{dtype}:", _rows(case, found.tables[case.name, dtype])]
    if found.fno or found.well:
        parts.append("## Data sets made again")
    parts += [found.fno.sentences()] if found.fno else []
    parts += [*found.well.sentences()] if found.well else []
    parts += [*_draws(found.draws), _method()]
    return "\n\n".join(parts) + "\n"


def _head(found: Results) -> str:
    versions = {
        row.version for (name, _), rows in found.tables.items() for row in rows if row.version
    }
    minutes = max(1, round(found.seconds / 60))
    return f"""# Solvers side by side

    {COMMAND}

One thread a process, {_processor()}, Python {platform.python_version()}, \
{", ".join(sorted(versions))}; {minutes} minutes. The command writes this page; peers come with \
`pip install pushforward[bench]`, and what is not installed is said to be missing."""


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    flags = next((line for line in lines if line.startswith("flags")), "")
    wide = next((one for one in ("avx512f", "avx2") if one in flags), "no AVX2")
    return f"{names[0] if names else platform.machine()} ({wide})"


def _goals(found: Results) -> Iterator[str]:
    goals = [*comparisons(found.cases, found.tables)]
    if found.scaling and not found.scaling.failed:
        ratio, about = found.scaling.ratio, f"{found.scaling.members} members each, solver alone"
        goals.append(
            Goal("A second process on a second core", "1.9 x", ratio, ratio >= 1.9, about)
        )
    if found.fno:
        seconds = found.fno.seconds
        goals.append(Goal("FNO's set, ν = 1e-3", "60 s", seconds, seconds <= 60, unit=" s"))
    if found.well:
        minutes = found.well.minutes
        goals.append(Goal("The Well's Gray-Scott", "20 min", minutes, minutes <= 20, unit=" min"))
    yield "## Goals"
    yield "How many times faster pushforward is than the peer named, at the same error."
    rows = [
        [g.name, g.wanted, number(g.measured) + g.unit, "yes" if g.reached else "**no**", g.detail]
        for g in goals
    ]
    yield table(["", "goal", "measured", "reached", "by"], rows)
    if found.scaling and found.scaling.failed:
        yield f"A second process: {found.scaling.failed}."


def _about(case: Case) -> str:
    constants = case.constants.items()
    numbers = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in constants)
    walls = "between walls, " if case.walls else ""
    earlier = " and ".join(f"{share * case.time:g}" for share in MOMENTS)
    return (
        f"{case.members} members, {walls}box of side {case.extent:g}, {numbers}, to "
        f"t = {case.time:g}; the error is the larger of those at t = {earlier}."
    )


def _rows(case: Case, rows: Sequence[Row]) -> str:
    head = ["code", "ms / step"]
    for target in TARGETS:
        head += [f"ms at {target:g}", "steps or tolerance", "error"]
    lines = []
    for row in rows:
        label = entries(case)[row.entry].label
        if row.failed:
            lines.append([label, row.failed, *[""] * (len(head) - 2)])
            continue
        kernels = sorted({str(n["kernel"]) for n in row.notes.values() if "kernel" in n})
        named = f"{label} [{', '.join(kernels)}]" if kernels else label
        cells = [named, "" if row.step is None else number(row.step)]
        for target in map(str, TARGETS):
            cells += _cells(row, target, entries(case)[row.entry].adaptive)
        lines.append(cells)
    return table(head, lines)


def _cells(row: Row, target: str, adaptive: bool) -> list[str]:
    one = row.found[target]
    steps = row.notes.get(target, {}).get("steps")
    setting = f"{one.setting:.1e}" if adaptive else f"{one.setting:.0f}"
    setting += f" ({steps:.0f} steps)" if adaptive and steps else ""
    if not one.reached:
        return ["not reached", setting, f"{one.error:.1e}"]
    if one.extrapolated:
        return [f"{number(row.milliseconds.get(target))} \\*", setting, "extrapolated"]
    return [number(row.milliseconds.get(target)), setting, f"{one.error:.1e}"]


def _draws(draws: Draws | None) -> Iterator[str]:
    if draws is None:
        return
    yield "## Gaussian fields"
    yield (
        f"FNO's law at {POINTS}², {BATCH} at a time, one thread: pushforward "
        f"{number(draws.ours)} fields / s (float64, addressed by seed and member), FNO's formula "
        f"{number(draws.fno)} fields / s (float32, torch's generator). The mean over waves of "
        f"|u_k|² / E|u_k|² is off 1 by {abs(draws.variance):.1e}."
    )


def _method() -> str:
    return f"""## How this is measured

- **ms / step** is for the whole batch; **ms at** an error is for one member and one unit of \
time. pushforward's rows time `evolve` as it is called, with its transforms, tables and \
conversions; peers' weights, plans and compilation are left out. Rows with a number of members \
solve that many side by side, the case's over and over, as a data set's are.
- Every code has a process of its own, pinned to one core, one thread. The fewest steps (of a \
ladder of ratio 2^(1/4)) or the loosest tolerance (ratio 10^(1/4)) that keep an error are \
searched for first; then all are timed in {ROUNDS} interleaved rounds, and the least time counts.
- **Errors** are relative L2, the largest over members, channels and two moments, against \
scipy's DOP853 in float64 (no integrating factor, tolerance 1e-10) on the same discretisation of \
space: waves below two thirds of the highest, or the five-point stencil (py-pde, PDEBench, and \
pushforward's rows called cells). They are errors of time stepping and of round-off, then.
- \\* The steps for this error are extrapolated at the scheme's order from the finest that was \
solved for, round-off left out (in float32 the error would not be reached at all); the time is \
that number times the measured time of a step.
- FNO's script and PDEBench's simulator are written anew from their definitions. exponax and the \
two cfd packages are given the forcing as coefficients, which is better than their own way.
- py-pde compiles for seconds at every call; that is left out, too."""
