"""What is kept of the trainings: their rows, by what made them.

Kept under a digest of the study, this benchmark's text and the library's commit, so that nothing
stale is found.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import as_completed
from pathlib import Path

import torch

from benchmarks.store import FOLDER, Store
from pushforward import Archive, Study
from pushforward.blocks import processes
from pushforward.provenance import code

from .arms import ARMS
from .curves import GAUSSIAN, Row
from .race import Problem, race, untrained
from .scoring import scores

ARCHIVE = FOLDER / "quality"


def store(study: Study, marks: tuple[float, ...]) -> Store:
    """Where rows are kept."""
    texts = [path.read_text("utf-8") for path in sorted(Path(__file__).parent.glob("*.py"))]
    told = repr((study.training.model_dump(mode="json"), marks, code(), texts))
    return Store(f"quality-{hashlib.sha256(told.encode()).hexdigest()[:10]}")


def rows(study: Study, marks: tuple[float, ...], seeds: int, workers: int) -> list[Row]:
    """A row for every mark of every training, and one before any; trains what is missing.

    One of each arm comes first, should it be interrupted. `workers` processes train and score, of
    one thread each.
    """
    kept = store(study, marks)
    jobs = [(GAUSSIAN, 0), *((name, seed) for seed in range(seeds) for name in ARMS)]
    with processes(workers) as pool:
        missing = {
            pool.submit(trained, study, name, seed, marks): (name, seed)
            for name, seed in jobs
            if f"{name}-{seed}" not in kept
        }
        for done in as_completed(missing):
            name, seed = missing[done]
            kept[f"{name}-{seed}"] = done.result()
            print(f"{name}, seed {seed}", flush=True)
    return [row for name, seed in jobs for row in kept[f"{name}-{seed}"]]


def trained(study: Study, name: str, seed: int, marks: tuple[float, ...]) -> list[Row]:
    """The rows of one training."""
    torch.set_num_threads(1)
    problem = Problem.of(study, Archive(ARCHIVE))
    if name == GAUSSIAN:
        found = [(0.0, untrained(problem))]
    else:
        found = list(zip(marks, race(problem, ARMS[name], seed, marks), strict=True))
    return [
        {"arm": name, "seed": seed, "mark": mark, "seconds": one.seconds, "steps": one.steps}
        | {"scores": scores(one.members, problem)}
        for mark, one in found
    ]
