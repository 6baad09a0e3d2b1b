"""The four tables, row by row; a row that is there already is not made again.

a   every data set x method: the benchmark's metrics, and pushforward's
b   resolution transfer: learnt at 64^2, drawn at 64, 128, 256, against the solver's fields there
c   the metrics against network evaluations a member
d   break-even: how many members until training and drawing are cheaper than solving
"""

from __future__ import annotations

import math
import os
import platform
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import torch
from torch import Tensor

from pushforward.solvers import Grid

from . import shelf
from .datasets import DATASETS, LEARNT, finer, load
from .metrics import theirs
from .rivals import NUMBERS, RIVALS, Budget, Rival, Spent, Watch
from .rivals.rival import BATCH
from .scoring import beside, null, own

EVALUATIONS = (1, 2, 4, 8, 16, 32, 64)
LANGEVIN = 2000
POINTS, FINE_UNSEEN = (64, 128, 256), 400
MANY = ("ours", "ddpm", "ffm", "ot_cfm")  # whose number of evaluations can be chosen
SOLVED = 64  # members that the solver is timed on


@dataclass(frozen=True)
class Run:
    """What is asked for: `evaluations` replaces a method's own in table a (None: its own)."""

    datasets: tuple[str, ...]
    methods: tuple[str, ...]
    seconds: float
    seeds: int
    evaluations: dict[str, int]
    clock: Literal["cpu", "wall"] = "cpu"

    def cells(self) -> Iterator[tuple[str, str, int]]:
        """Data set, method and seed of every fit."""
        for dataset in self.datasets:
            for seed in range(self.seeds):
                for method in self.methods:
                    yield dataset, method, seed

    def key(self, table: str, dataset: str, method: str, column: int, seed: int) -> str:
        """A row's name; `column` is its number of evaluations, or of points an axis (b)."""
        parts = table, named(dataset), method, column, seed, f"{self.seconds:g} s {self.clock}"
        return "/".join(map(str, parts))


def named(dataset: str) -> str:
    """A data set in a key: with its definition, so that another one makes other rows."""
    return f"{dataset}@{DATASETS[dataset].digest}"


def made() -> dict[str, Any]:
    """When, where and on how much a row was made."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} "
        f"thread, {'a' if torch.cuda.is_available() else 'no'} GPU, torch {torch.__version__}",
    }


def fitted(run: Run, dataset: str, method: str, seed: int) -> Rival:
    """The method fitted to the data set, from the shelf or now."""
    key = run.key("fit", dataset, method, 0, seed)
    kept = shelf.kept(key)
    if kept is None:
        print(f"{key}: fitting", flush=True)
    fields, network = load(dataset), DATASETS[dataset].network
    watch = Watch(Budget(run.seconds if kept is None else 0, clock=run.clock))
    rival = RIVALS[method](fields.learnt, fields.grid, network, watch, seed)
    if kept is None:
        shelf.keep(key, {"state": rival.state(), "spent": asdict(rival.spent)})
    else:
        rival.load(kept["state"])
        rival.spent = Spent(**kept["spent"])
    return rival


def is_fitted(run: Run, dataset: str, method: str, seed: int) -> bool:
    """Whether the method's fit is on the shelf."""
    return shelf.kept(run.key("fit", dataset, method, 0, seed)) is not None


def nulls(store: Any, dataset: str) -> dict[str, list]:
    """The benchmark's metrics between solver and solver."""
    key = f"null/{named(dataset)}"
    if key not in store:
        print(f"{key}: solver against solver", flush=True)
        sizes = DATASETS[dataset]
        store[key] = null(load(dataset).unseen, sizes.reference, sizes.drawn)
    return store[key]


def drawn(rival: Rival, count: int, seed: int, **how: Any) -> tuple[Tensor, float]:
    """Members, and the processor's seconds they took."""
    began = time.process_time()
    fields = rival.sample(count, seed=1000 + seed, **how)
    return fields, time.process_time() - began


def scored(store: Any, dataset: str, fields: Tensor, seed: int) -> dict[str, Any]:
    """Members' metrics beside their null; `finite` false and nothing else when some are not."""
    if not torch.isfinite(fields).all():
        return {"finite": False}
    sizes, unseen = DATASETS[dataset], load(dataset).unseen
    value = theirs(unseen[: sizes.reference, 0], fields[: sizes.drawn, 0], seed)
    return {"finite": True, "theirs": beside(value, nulls(store, dataset))}


def table_a(run: Run) -> None:
    """Data sets x methods."""
    store = shelf.rows()
    for dataset, method, seed in run.cells():
        number = run.evaluations.get(method, NUMBERS[method])
        key = run.key("a", dataset, method, number, seed)
        if key in store:
            continue
        rival = fitted(run, dataset, method, seed)
        fields, seconds = drawn(rival, DATASETS[dataset].drawn, seed, evaluations=number)
        row = scored(store, dataset, fields, seed)
        data = load(dataset)
        if row["finite"]:
            row["ours"] = own(fields, data.unseen, data.learnt, data.grid)
        spent = rival.spent
        store[key] = row | {
            "evaluations": number,
            "epochs": spent.steps * BATCH / len(data.learnt),
            "training_seconds": spent.seconds,
            "training_cpu_seconds": spent.cpu,
            "steps": spent.steps,
            "weights": spent.weights,
            "loss": spent.loss if math.isfinite(spent.loss) else None,
            "sampling_seconds": seconds / len(fields),
            **made(),
        }
        print(key, _short(row), flush=True)


def table_b(run: Run) -> None:
    """Resolution transfer, on two axes."""
    store = shelf.rows()
    for dataset, method, seed in run.cells():
        data, sizes = load(dataset), DATASETS[dataset]
        for points in POINTS if data.grid.ndim == 2 else ():
            key = run.key("b", dataset, method, points, seed)
            if key in store or not is_fitted(run, dataset, method, seed):
                continue
            unseen = finer(dataset, points, FINE_UNSEEN)
            grid = Grid((points,) * 2, data.grid.extent)
            floor_key = f"null/{named(dataset)}/{points}"
            half = FINE_UNSEEN - sizes.drawn
            if floor_key not in store:
                store[floor_key] = null(unseen, half, sizes.drawn, 20)
            rival = fitted(run, dataset, method, seed)
            number = run.evaluations.get(method, NUMBERS[method])
            fields, _ = drawn(rival, sizes.drawn, seed, evaluations=number, grid=grid)
            value = theirs(unseen[:half, 0], fields[:, 0], seed)
            store[key] = {"theirs": beside(value, store[floor_key]), **made()}
            print(key, _short(store[key]), flush=True)


def table_c(run: Run) -> None:
    """Metrics against network evaluations, for what table a has fitted."""
    store = shelf.rows()
    for dataset, method, seed in run.cells():
        if not is_fitted(run, dataset, method, seed):
            continue
        numbers = EVALUATIONS if method in MANY else ()
        for number in (*numbers, *((LANGEVIN,) if method.startswith("ddo") else ())):
            key = run.key("c", dataset, method, number, seed)
            if key in store:
                continue
            rival = fitted(run, dataset, method, seed)
            fields, seconds = drawn(rival, DATASETS[dataset].drawn, seed, evaluations=number)
            row = scored(store, dataset, fields, seed)
            store[key] = row | {"sampling_seconds": seconds / len(fields), **made()}
            print(key, _short(row), flush=True)


def table_d(run: Run) -> None:
    """Break-even, for what table a has measured."""
    store = shelf.rows()
    for dataset in run.datasets:
        key = f"d/{named(dataset)}/solver"
        if key in store:
            continue
        simulation = DATASETS[dataset].simulation(SOLVED, LEARNT)
        problem = simulation.problem()
        problem.run(range(4), seed=2)
        began = time.process_time()
        problem.run(range(SOLVED), seed=2)
        store[key] = {
            "seconds": (time.process_time() - began) / SOLVED,
            "frames": len(simulation.times),
            "tolerance": simulation.tolerance,
            **made(),
        }
        print(key, store[key], flush=True)


def break_even(training: float, sampling: float, solving: float) -> float:
    """How many members until training and drawing cost less than solving; inf for never.

    >>> break_even(100.0, 0.5, 1.0)
    200.0
    """
    return training / (solving - sampling) if solving > sampling else math.inf


def _short(row: dict[str, Any]) -> str:
    names = ("mmd", "log_spectrum", "sliced_w")
    return (
        " ".join(f"{n}={row['theirs'][n]['value']:.3g}" for n in names) if "theirs" in row else "-"
    )
