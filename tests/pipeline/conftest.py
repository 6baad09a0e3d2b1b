"""An archive that holds a whole lineage made of cheap synthetic fields: no solver, no network."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch

from pushforward import generation as generating
from pushforward import simulation as simulating
from pushforward.archive import Archive
from pushforward.ensemble import MEMORY
from pushforward.generative import Surrogate
from pushforward.solvers import GaussianField, GrayScott, Grid, NavierStokes
from pushforward.spec import Evaluation, Generation, Simulation, Training
from pushforward.study import Study
from pushforward.training import train

FIELD = GaussianField.matern(4.0, 0.4, deviation=1.0, mean=False)
MEMBERS, HELD_OUT, COUNT = 24, 8, 24


def law(members: Iterable[int], grid: Grid, seed: int) -> torch.Tensor:
    """Members (member, *grid) of something that is not Gaussian."""
    z = FIELD.sample(list(members), grid, seed)
    return z + 0.4 * z.square()


class GaussianStand:
    """What a surrogate without its network is: a Gaussian of the same spectrum, more or less."""

    def __init__(self, channels: int, grid: Grid) -> None:
        self.channels, self.grid = channels, grid

    def gaussian(self) -> GaussianStand:
        return self

    def sample(
        self, members: Iterable[int], grid: Grid | None = None, *, seed: int = 0, **options: object
    ) -> torch.Tensor:
        members, target = list(members), grid or self.grid
        fields = [FIELD.sample(members, target, seed + 90 + i) for i in range(self.channels)]
        return (torch.stack(fields, 1) * math.sqrt(1.3) + 0.4).float()


class StandArchive(Archive):
    """An archive whose trainings hold no weights."""

    def surrogate(self, training: Any) -> Any:
        self.require(training)
        return GaussianStand(len(training.stack), training.simulation.grid)


def evaluation_of(
    equation=None, frames=(-1,), grid=None, quality: float = 1.0, **options
) -> Evaluation:
    """The lineage; `quality` is what the generated fields are multiplied with (in the seed)."""
    simulation = Simulation(
        equation=equation or NavierStokes(viscosity=1e-2),
        grid=Grid((16, 16)),
        initial=FIELD,
        times=(0.5, 1.0),
        step=0.1,
        members=MEMBERS + HELD_OUT + 4 * COUNT,
        batch=32,
        block=64,
    )
    training = Training(
        simulation=simulation, frames=frames, members=MEMBERS, held_out=HELD_OUT, steps=20
    )
    generation = Generation(
        training=training, members=COUNT, grid=grid, seed=int(10 * quality), batch=8, block=8
    )
    return Evaluation(
        generation=generation, members=COUNT, **{"splits": 40, "bootstrap": 20} | options
    )


def fill(archive: Archive, spec, template, seed: int, factor: float = 1.0) -> None:
    archive.create(spec, template(spec))
    grid = spec.grid if isinstance(spec, Simulation) else spec.target
    for block in archive.blocks(spec):
        members = archive.span(spec, block)
        data = template(spec, members)
        for i, name in enumerate(data.data_vars):
            times = range(data.sizes["time"])
            fields = [factor * law(members, grid, seed + 10 * i + t) for t in times]
            data[name] = data[name].copy(data=torch.stack(fields, 1).numpy().astype("float32"))
        archive.write(spec, block, data, seconds=0.5)
    archive.seal(spec)


def complete(root: Path, evaluation: Evaluation) -> StandArchive:
    """Everything upstream of the evaluation, stored and sealed."""
    archive = StandArchive(root)
    generation, training = evaluation.generation, evaluation.generation.training
    fill(archive, training.simulation, simulating.template, seed=0)
    archive.create(training)
    for step in range(1, 21):
        line = {"step": step, "loss": 1 / step, "learning_rate": 1e-3, "seconds": 0.2 * step}
        archive.append_line(
            training, "metrics.jsonl", line | ({"held_out_loss": 0.3} if step % 10 == 0 else {})
        )
    table = {"log_snr": [4.0, 0.0, -4.0], "ratio": [[[1.0, 0.99]], [[0.98, 0.9]], [[None] * 2]]}
    archive.write_json(training, "calibration.json", table)
    archive.seal(training)
    fill(archive, generation, generating.template, seed=500, factor=generation.seed / 10)
    return archive


@pytest.fixture
def lineage(tmp_path: Path) -> Callable[..., tuple[Evaluation, StandArchive]]:
    """Makes an evaluation, with the options of `evaluation_of`, and the archive it reads."""

    def make(**options) -> tuple[Evaluation, StandArchive]:
        evaluation = evaluation_of(**options)
        return evaluation, complete(tmp_path / "runs", evaluation)

    return make


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Evaluation, StandArchive]:
    """One evaluation and the archive it reads, for all tests of a file: they only read it."""
    evaluation = evaluation_of()
    return evaluation, complete(tmp_path_factory.mktemp("shared") / "runs", evaluation)


@pytest.fixture
def gray_scott() -> GrayScott:
    """An equation of two channels."""
    return GrayScott()


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Archive]:
    """The smoke study and an archive with its training, which tests only read."""
    study = Study.load("smoke", ["training.steps=6"])
    archive = Archive(tmp_path_factory.mktemp("trained") / "runs")
    simulating.simulate(study.simulation, archive)
    train(study.training, archive)
    return study, archive


@pytest.fixture
def draws(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The members that any surrogate is asked for from now on, call by call."""
    asked: list[list[int]] = []
    plain = Surrogate.sample

    def sample(self: Surrogate, members: Iterable[int], *args: Any, **options: Any) -> Any:
        asked.append([int(member) for member in members])
        return plain(self, asked[-1], *args, **options)

    monkeypatch.setattr(Surrogate, "sample", sample)
    MEMORY.clear()
    return asked
