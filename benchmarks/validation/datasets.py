"""Every study of the catalogue: its certificate, and a picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from benchmarks.store import FOLDER
from pushforward import Archive, Certificate, Simulation, Study, certify
from pushforward.certificate import read

CATALOGS = Path(__file__).resolve().parents[2] / "catalogs"
FRAMES = 4


@dataclass(frozen=True)
class DataSet:
    """A study of the catalogue: what it simulates, and the check of its first members."""

    name: str
    title: str
    simulation: Simulation
    certificate: Certificate | None

    def frames(self) -> tuple[list[str], torch.Tensor]:
        """Some moments of a member, or some members where there is one moment, with labels.

        The fields are (frame, channel, *grid).
        """
        problem, seed = self.simulation.problem(), self.simulation.seed
        if len(problem.times) == 1:
            labels = [f"member {member}" for member in range(FRAMES)]
            return labels, problem.solve(range(FRAMES), seed)[:, 0]
        last = len(problem.times) - 1
        times = [
            problem.times[i] for i in sorted({last * i // (FRAMES - 1) for i in range(FRAMES)})
        ]
        fields = replace(problem, times=tuple(times)).solve([0], seed)[0]
        return [f"t = {time:g}" for time in times], fields


def datasets(members: int, names: list[str] | None = None) -> Iterator[DataSet]:
    """All of them, or those named; certificates that were made earlier are read."""
    archive = Archive(FOLDER / "studies")
    for path in sorted(CATALOGS.glob("*.yaml")):
        if path.stem == "smoke" or (names and path.stem not in names):
            continue
        study = Study.load(path)
        simulation, found = study.simulation, None
        if members:
            found = read(archive.folder(simulation))
            if found is None or found.members < min(members, simulation.members):
                found = certify(simulation, archive, members=members)
        yield DataSet(path.stem, study.title, simulation, found)
