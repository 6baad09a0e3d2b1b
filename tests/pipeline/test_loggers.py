"""Loggers are told what the curve says, are closed, and are a sentence where they are missing."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pushforward import training as room
from pushforward.archive import WEIGHTS, Archive
from pushforward.curve import FILE as METRICS
from pushforward.loggers import OPENERS, PACKAGES, numbers
from pushforward.simulation import simulate
from pushforward.spec import Training
from pushforward.study import Study


class Fake(ModuleType):
    """Stands for a logger's package, and writes down what it is told."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.said: list[tuple[str, Any, Any]] = []
        self.told: dict[int, dict[str, float]] = {}

    def put(self, values: dict[str, float], step: int) -> None:
        self.told.setdefault(step, {}).update(values)

    # torch.utils.tensorboard
    def SummaryWriter(self, folder: str, purge_step: int) -> Fake:
        self.said.append(("open", folder, purge_step))
        return self

    def add_scalar(self, key: str, value: float, step: int) -> None:
        self.put({key: value}, step)

    def close(self) -> None:
        self.said.append(("close", None, None))

    # mlflow
    def set_experiment(self, name: str) -> None:
        self.said.append(("experiment", name, None))

    def start_run(self, run_name: str) -> None:
        self.said.append(("open", run_name, None))

    def log_dict(self, values: dict[str, Any], file: str) -> None:
        self.said.append(("dict", values["steps"], file))

    def log_metrics(self, values: dict[str, float], step: int) -> None:
        self.put(values, step)

    def end_run(self) -> None:
        self.close()

    # wandb
    def init(self, **about: Any) -> Fake:
        self.said.append(("open", about["id"], about["resume"]))
        return self

    def log(self, values: dict[str, float], step: int) -> None:
        self.put(values, step)

    def finish(self) -> None:
        self.close()


@pytest.fixture(scope="module")
def training() -> Training:
    return Study.load("smoke").training


@pytest.fixture
def stored(training: Training, tmp_path: Path) -> Archive:
    archive = Archive(tmp_path)
    simulate(training.simulation, archive)
    return archive


@pytest.mark.parametrize("name", OPENERS)
def test_a_logger_is_told_what_the_curve_says(
    training: Training, stored: Archive, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = Fake(name)
    monkeypatch.setitem(sys.modules, PACKAGES[name][1], fake)
    room.train(training, stored, log=name)
    lines = stored.read_lines(training, METRICS)
    assert fake.told == {line["step"]: numbers(line) for line in lines}
    assert fake.said[-1][0] == "close"
    assert any(one[0] == "open" and training.name in str(one[1]) for one in fake.said)
    assert {"loss", "samples_per_second", "held_out_loss"} <= fake.told[20].keys()
    assert stored.verify(training) == []
    assert not any("log" in file for file in stored.manifest(training)["files"])
    fake.told.clear()
    room.train(training, stored, log=name)  # nothing to do, nothing to tell
    assert not fake.told


@pytest.mark.parametrize("name", OPENERS)
def test_a_package_that_is_missing_is_one_sentence(
    training: Training, stored: Archive, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed, module = PACKAGES[name]
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(LookupError, match=f"run `pip install {installed}` or leave") as caught:
        room.train(training, stored, log=name)
    assert "\n" not in str(caught.value)
    assert not (stored.folder(training) / WEIGHTS).exists()


def test_another_logger_is_refused(training: Training, stored: Archive) -> None:
    with pytest.raises(ValueError, match="expected one of mlflow, tensorboard, wandb, got excel"):
        room.train(training, stored, log="excel")


def test_a_logger_is_closed_when_a_training_is_stopped(
    training: Training, stored: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = Fake("wandb")
    monkeypatch.setitem(sys.modules, "wandb", fake)
    with pytest.raises(InterruptedError):
        room.train(training, stored, log="wandb", max_seconds=1e-9)
    assert fake.said[-1][0] == "close"
    assert [*fake.told] == [1]
    room.train(training, stored, log="wandb")
    assert [*fake.told] == [*range(1, 21)]
