"""What is kept of the trainings: members drawn at every mark, and their scores."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import asdict

import torch

from benchmarks.store import FOLDER, Store
from pushforward.study import Study

from .arms import ARMS
from .curves import GAUSSIAN, Row
from .race import Mark, Problem, untrained
from .scoring import scores


class Kept:
    """The trainings of a study that were stopped at these marks.

    Kept under a digest of the study, the arms and the marks, so that nothing stale is found.
    """

    def __init__(self, study: Study, marks: tuple[float, ...]) -> None:
        arms = {name: (arm.title, arm.levels) for name, arm in ARMS.items()}
        told = repr((study.training.model_dump(mode="json"), arms, marks))
        self.digest = hashlib.sha256(told.encode()).hexdigest()[:10]
        self.folder = FOLDER / f"quality-{self.digest}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.marks = marks

    def raced(self, name: str, seed: int) -> bool:
        """Whether a training is there."""
        return (self.folder / f"{name}-{seed}.pt").exists()

    def keep(self, name: str, seed: int, marks: Iterable[Mark]) -> None:
        """Keeps all marks of a training, or none."""
        path = self.folder / f"{name}-{seed}.pt"
        torch.save([asdict(mark) for mark in marks], path.with_suffix(".new"))
        path.with_suffix(".new").replace(path)

    def scored(self, problem: Problem, seeds: int) -> list[Row]:
        """A row for every mark of every training, and one before any; scores are made once."""
        store = Store(f"quality-{self.digest}")
        for name in ARMS:
            for seed in range(seeds):
                key = f"{name}-{seed}"
                if key not in store:
                    marks = torch.load(self.folder / f"{key}.pt", weights_only=True)
                    store[key] = [
                        {"arm": name, "seed": seed, "mark": mark}
                        | {key: value[key] for key in ("seconds", "steps")}
                        | {"scores": scores(value["members"], problem)}
                        for mark, value in zip(self.marks, marks, strict=True)
                    ]
        if GAUSSIAN not in store:
            found = scores(untrained(problem).members, problem)
            about = {"arm": GAUSSIAN, "seed": 0, "mark": 0.0, "seconds": 0.0, "steps": 0}
            store[GAUSSIAN] = [about | {"scores": found}]
        rows = [row for name in ARMS for seed in range(seeds) for row in store[f"{name}-{seed}"]]
        return store[GAUSSIAN] + rows
