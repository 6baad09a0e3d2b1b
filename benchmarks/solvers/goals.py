"""What the project asks of its solvers, beside what was measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .cases import TARGETS, Case
from .codes import Entry, entries
from .rounds import Row

FINE = str(TARGETS[-1])
Tables = dict[tuple[str, str], list[Row]]  # by case and precision
Cases = dict[str, Case]


@dataclass(frozen=True)
class Goal:
    """A number wanted, what there is, and which of pushforward's rows it is of."""

    name: str
    wanted: str
    measured: float
    reached: bool
    detail: str = ""
    unit: str = " x"


def comparisons(cases: Cases, tables: Tables) -> Iterator[Goal]:
    """How many times faster than peers pushforward is."""
    for case, peers, factor in (
        ("ns64", ("exponax-4", "exponax-2"), 10),
        ("ns256", ("exponax-4", "exponax-2"), 6),
        ("ns64", ("fno",), 1000),
        ("fhn128", ("pdebench",), 10),
    ):
        if case in cases:
            yield from _matched(cases[case], tables, peers, factor)
    if "gs128" in cases:
        yield from _per_step(cases["gs128"], tables, "exponax-4", 5)
    for case in ("ns64", "ns256", "gs128"):
        if case in cases:
            yield from _torch(cases[case], tables)


def best(case: Case, rows: list[Row], which: set[str]) -> tuple[Entry, float] | None:
    """The fastest of some rows at the finer target, and its milliseconds."""
    able = [row for row in rows if row.entry in which and FINE in row.milliseconds]
    if not able:
        return None
    row = min(able, key=lambda row: row.milliseconds[FINE])
    return entries(case)[row.entry], row.milliseconds[FINE]


def own(case: Case, torch: bool = False) -> set[str]:
    """pushforward's rows of a case: the compiled ones, or torch's."""
    rows = entries(case).items()
    return {n for n, e in rows if e.ours and (e.options.get("kernel") == "torch") == torch}


def _matched(case: Case, tables: Tables, peers: tuple[str, ...], factor: float) -> Iterator[Goal]:
    for dtype in ("float32", "float64"):
        mine = best(case, tables.get((case.name, dtype), []), own(case))
        double = tables.get((case.name, "float64"), [])  # for peers of that precision alone
        theirs = best(case, tables.get((case.name, dtype), []), set(peers)) or best(
            case, double, set(peers)
        )
        if mine and theirs:
            ratio = theirs[1] / mine[1]
            name = f"{case.title}, {dtype}, {theirs[0].label} at error {FINE}"
            yield Goal(name, f"{factor:g} x", ratio, ratio >= factor, mine[0].label)


def _per_step(case: Case, tables: Tables, peer: str, factor: float) -> Iterator[Goal]:
    """Schemes of four evaluations a step, so that steps can be compared."""
    for dtype in ("float32", "float64"):
        steps = {
            row.entry: row.step / (entries(case)[row.entry].members or case.members)
            for row in tables.get((case.name, dtype), [])
            if row.step
        }
        mine = min((n for n in steps if n.startswith("ours-43")), key=steps.get, default=None)
        if mine and peer in steps:
            ratio = steps[peer] / steps[mine]
            name = f"{case.title}, {dtype}, a step of {entries(case)[peer].label}"
            label = entries(case)[mine].label
            yield Goal(name, f"{factor:g} x", ratio, ratio >= factor, label)


def _torch(case: Case, tables: Tables) -> Iterator[Goal]:
    """Without the compiled kernel, no slower than the best peer."""
    rows = tables.get((case.name, "float32"), [])
    peers = {name for name, entry in entries(case).items() if not entry.ours}
    mine, theirs = best(case, rows, own(case, torch=True)), best(case, rows, peers)
    if mine and theirs:
        ratio = theirs[1] / mine[1]
        name = f"{case.title}, float32, {theirs[0].label} at error {FINE}, torch path"
        yield Goal(name, "1 x", ratio, ratio >= 1, mine[0].label)
