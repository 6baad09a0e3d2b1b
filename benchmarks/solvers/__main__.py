"""Solvers side by side, and data sets made again.

    python -m benchmarks.solvers                 all of it: docs/results/solvers.md
    python -m benchmarks.solvers --quick         small cases, printed
    python -m benchmarks.solvers --cases ns64    some cases, printed

What was found is kept in a folder of temporary files ($PUSHFORWARD_BENCHMARKS), so that a run that
was stopped goes on where it was; `--fresh` forgets it. `--full` solves for every member of FNO's
set, not for a sample.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.store import Store

from . import page
from .cases import CASES
from .draws import Draws, draws
from .fno_set import MEMBERS, SAMPLE, FnoSet, fno_set, tolerance
from .processes import Scaling, scaling
from .rounds import ROUNDS, Bench, sources
from .search import Found
from .well_set import SAMPLE as WELL_SAMPLE
from .well_set import TIME, Pattern, WellSet, well_set
from .workers import Failed, Workers, cores

PAGE = Path(__file__).resolve().parents[2] / "docs" / "results" / "solvers.md"


class Run:
    """One run: what is in the store is not done again, unless sources have changed since."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        self.chosen, self.began = chosen, time.perf_counter()
        self.store = Store("quick" if chosen.quick else "solvers")
        if chosen.fresh:
            self.store.clear()
        wanted = {name: CASES[name] for name in chosen.cases or CASES}
        self.cases = {n: case.quick() if chosen.quick else case for n, case in wanted.items()}
        self.rounds = 2 if chosen.quick else ROUNDS
        self.workers = Workers(cores()[0])

    def results(self) -> page.Results:
        """Everything, in the order of the page."""
        found = page.Results(self.cases, {})
        for name, case in self.cases.items():
            for dtype in ("float32", "float64"):
                bench = Bench(case, dtype, self.workers, self.store, self.say)
                found.tables[name, dtype] = bench.run(self.rounds)
        if not self.chosen.cases:
            self._rest(found)
        self.workers.close()
        found.seconds = self._kept_seconds()
        return found

    def _rest(self, found: page.Results) -> None:
        quick = self.chosen.quick
        found.scaling = Scaling(
            **self._kept("two processes", lambda: asdict(scaling(64 if quick else 512)))
        )
        found.draws = Draws(**self._kept("draws", lambda: asdict(draws(rounds=self.rounds))))
        with suppress(Failed):
            sample = MEMBERS if self.chosen.full else 4 if quick else SAMPLE
            bound = Found(**self._kept("fno's error", lambda: asdict(tolerance(self.workers))))
            fno = self._kept(f"fno's set, {sample}", lambda: asdict(fno_set(bound, sample)))
            found.fno = FnoSet(**{**fno, "found": bound})
        arguments = (2, 100.0) if quick else (WELL_SAMPLE, TIME)
        well = self._kept("the well", lambda: asdict(well_set(*arguments)))
        found.well = WellSet([Pattern(**one) for one in well["patterns"]])

    def _kept(self, what: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        key = f"{what} {sources()}"
        if key not in self.store:
            self.say(what)
            self.store[key] = make()
        return self.store[key]

    def _kept_seconds(self) -> float:
        """Of this run and those that it went on from."""
        earlier = self.store.get("seconds", 0.0)
        self.store["seconds"] = earlier + time.perf_counter() - self.began
        return self.store["seconds"]

    def say(self, text: str) -> None:
        """Progress, with the seconds since the start."""
        print(f"{time.perf_counter() - self.began:5.0f} s  {text}", flush=True)


def main() -> None:
    """Runs what is asked for, and writes or prints the page."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="small cases, printed")
    parser.add_argument("--full", action="store_true", help="all members of FNO's set")
    parser.add_argument("--fresh", action="store_true", help="forget what earlier runs found")
    parser.add_argument("--cases", nargs="*", choices=list(CASES), help="only these, printed")
    run = Run(parser.parse_args())
    text = page.write(run.results())
    if run.chosen.quick or run.chosen.cases:
        print(text)
    else:
        PAGE.write_text(text, encoding="utf-8")
        print(f"{PAGE}: {time.perf_counter() - run.began:.0f} s")


if __name__ == "__main__":
    main()
