"""Every basis, path, process and sampler together, against a mixture whose law is known.

    python benchmarks/combinations.py            all of them: docs/results/combinations.md
    python benchmarks/combinations.py --quick    a few of each, printed

Samplers that see levels alone (multistep, heun, langevin) are run once per basis and path: a
process enters them by its clock only. The others are run for every process.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from catalogue import CLOCK, PATHS, PROCESSES, SAMPLERS, SEED, Entry, unmeant
from ensembles import SideBySide, fields
from mixture import GRID, Truth, mixture

from pushforward.generative import BASES, Basis, GaussianDenoiser, Levels

PAGE = Path(__file__).resolve().parents[1] / "docs" / "results" / "combinations.md"


@dataclass(frozen=True)
class Result:
    """What became of a combination: errors in standard errors by family, and what it took."""

    errors: dict[str, float]
    evaluations: int
    members: int

    @property
    def worst(self) -> float:
        """The largest error; a family that fits too well is none."""
        return max(self.errors.values())


@dataclass
class Combinations:
    """A selection of the product; results by (basis, path, process or None for any, sampler)."""

    bases: tuple[str, ...] = tuple(BASES)
    paths: tuple[str, ...] = tuple(PATHS)
    processes: tuple[str, ...] = tuple(PROCESSES)
    samplers: dict[str, Entry] = field(default_factory=lambda: SAMPLERS)
    results: dict[tuple[str, str, str | None, str], Result] = field(default_factory=dict)
    refused: dict[tuple[str, str], str] = field(default_factory=dict)  # basis, path
    declined: dict[tuple[str, str], str] = field(default_factory=dict)  # process, sampler

    def __post_init__(self) -> None:
        self.truth = Truth(mixture())
        draws = self.truth.law.draws(4096, torch.Generator().manual_seed(SEED))
        self.fitted = {kind: BASES[kind].fit(draws, GRID) for kind in self.bases}
        self.dynamics = {kind: PROCESSES[kind].dynamics() for kind in self.processes}
        for kind, path in itertools.product(self.bases, self.paths):
            try:
                self._levels(kind, path, self.processes[0])
            except ValueError as error:
                self.refused[kind, path] = str(error)
        for process, (name, entry) in itertools.product(self.processes, self.samplers.items()):
            if entry.lifted:
                self._ask(process, name)

    def run(self) -> None:
        """All that is not refused, nor not meant."""
        seed = SEED
        for kind in self.bases:
            for name, process in itertools.product(self.samplers, (None, *self.processes)):
                for stack in self.stacks(kind, name, process):
                    seed += 1
                    self._run(self.fitted[kind], name, stack, process, seed)

    def stacks(
        self, kind: str, name: str, process: str | None
    ) -> Iterator[list[tuple[str, str | None]]]:
        """Paths, with the process of their clock, that share a run of a sampler."""
        lifted = self.samplers[name].lifted
        if lifted != (process is not None):
            return
        clocks = [process] if lifted else list(self.processes)
        pairs = [
            (path, clock)
            for path in self.paths
            for clock in (clocks if path == CLOCK else [process])
            if (kind, path) not in self.refused
            and (process or "", name) not in self.declined
            and not unmeant(path, clock or process, name)
        ]
        for windows in (False, True):
            some = [pair for pair in pairs if (PATHS[pair[0]].windows is not None) == windows]
            if some:
                yield some

    def _run(
        self,
        basis: Basis,
        name: str,
        stack: list[tuple[str, str | None]],
        process: str | None,
        seed: int,
    ) -> None:
        entry = self.samplers[name]
        made, evaluations = fields(
            basis,
            SideBySide(self.truth.law.seen_by(basis)),
            [self._levels(basis.kind, path, clock) for path, clock in stack],
            entry.at(PATHS[stack[0][0]]),
            entry.members,
            seed=seed,
            dynamics=self.dynamics[process] if process else None,
        )
        for (path, clock), u in zip(stack, made, strict=True):
            result = Result(self.truth.errors(u), evaluations, entry.members)
            self.results[basis.kind, path, clock, name] = result

    def _ask(self, process: str, name: str) -> None:
        """Notes why a sampler does not take a process, if it does not."""
        one = replace(self.samplers[name].sampler, steps=2)
        try:
            one(
                GaussianDenoiser(),
                lambda t: (5 - 9 * t)[:, None, None],
                lambda i: torch.ones(1, 1, 1),
                dynamics=self.dynamics[process],
            )
        except ValueError as error:
            self.declined[process, name] = str(error)

    def _levels(self, kind: str, path: str, process: str | None) -> Levels:
        return PATHS[path].on(self.fitted[kind].modes, self.dynamics.get(process or ""))

    def account(self) -> Counter[str]:
        """How many of the full product were run, are the same as one that was, and were not."""
        count: Counter[str] = Counter()
        for kind, path, process, name in itertools.product(
            self.bases, self.paths, self.processes, self.samplers
        ):
            key = (kind, path, process, name)
            if (kind, path) in self.refused or (process, name) in self.declined:
                count["refused"] += 1
            elif key in self.results:
                count["run"] += 1
            elif unmeant(path, process, name):
                count["not meant"] += 1
            elif (kind, path, None, name) in self.results:
                count["run" if process == self.processes[0] else "the same"] += 1
            else:
                raise RuntimeError(f"nothing became of {key}")
        return count


def quick() -> Combinations:
    """A few of each, small: what a test can afford."""
    return Combinations(
        bases=("fourier", "haar"),
        paths=("GUD, a = 1", "columns, disjoint", CLOCK),
        processes=("cld",),
        samplers={name: entry.quick() for name, entry in SAMPLERS.items()},
    )


def main() -> None:
    """Runs the combinations, and writes or prints what came of them."""
    import page

    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="a few of each, printed")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    began = time.perf_counter()
    combinations = quick() if chosen.quick else Combinations()
    combinations.run()
    text = page.write(combinations, time.perf_counter() - began)
    if chosen.quick:
        print(text)
    else:
        PAGE.write_text(text, encoding="utf-8")
        print(f"{PAGE}: {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
