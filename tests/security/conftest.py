"""A whole small lineage, which tests may spoil a copy of, and payloads that say if they ran."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pushforward import disk
from pushforward.archive import Archive
from pushforward.generation import generate
from pushforward.generative import Architecture, Backbone, Sampler
from pushforward.ledger import digest_of
from pushforward.lineage import Spec
from pushforward.simulation import simulate
from pushforward.solvers import GaussianField, Grid, NavierStokes
from pushforward.spec import Generation, Simulation, Training
from pushforward.training import train


class Bomb:
    """What makes a folder `marker` when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """What is not there unless a payload ran."""
    return tmp_path / "a-payload-ran"


@pytest.fixture
def bomb(marker: Path) -> Bomb:
    return Bomb(marker)


@pytest.fixture
def payload(bomb: Bomb) -> bytes:
    return pickle.dumps(bomb)


@pytest.fixture(scope="session")
def generation() -> Generation:
    simulation = Simulation(
        equation=NavierStokes(viscosity=1e-2),
        grid=Grid((8, 8)),
        forcing=GaussianField.matern(4.0, 0.3, deviation=1.0),
        times=(0.1,),
        step=0.05,
        members=8,
        batch=2,
        block=4,
    )
    training = Training(
        simulation=simulation,
        members=4,
        held_out=2,
        surrogate=Architecture(backbone=Backbone(width=4, modes=2, layers=1)),
        steps=2,
        batch=2,
        calibration=4,
        translations=False,
    )
    return Generation(training=training, members=4, sampler=Sampler(steps=2), batch=2, block=2)


@pytest.fixture(scope="session")
def whole(generation: Generation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of an archive with all of it: only to be copied."""
    root = tmp_path_factory.mktemp("whole")
    archive = Archive(root)
    simulate(generation.training.simulation, archive)
    train(generation.training, archive)
    generate(generation, archive)
    return root


@pytest.fixture
def spoilt(whole: Path, tmp_path: Path) -> Archive:
    """A copy that a test may spoil."""
    shutil.copytree(whole, tmp_path / "runs")
    return Archive(tmp_path / "runs")


@pytest.fixture
def reseal() -> Callable[..., None]:
    """Makes a result's seal fit its files again, as somebody who means harm would."""

    def again(archive: Archive, spec: Spec, **changes: Any) -> None:
        folder = archive.folder(spec)
        seal = json.loads((folder / "manifest.json").read_text())
        there = [name for name in seal["files"] if (folder / name).exists()]
        files = {name: disk.digest(folder / name) for name in there}
        seal |= {"files": files} | changes
        del seal["sha256"]
        own = {"sha256": digest_of(seal)}
        (folder / "manifest.json").write_text(json.dumps(seal | own))

    return again


@pytest.fixture
def in_one_sentence() -> Callable[[BaseException], None]:
    """Checks that the message of an error is one sentence: expected, got, remedy."""

    def check(error: BaseException) -> None:
        assert "\n" not in str(error)
        assert all(word in str(error) for word in ("expected", "got", ";")), error

    return check
