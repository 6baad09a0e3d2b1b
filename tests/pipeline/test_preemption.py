"""Told to stop, out of time or killed: a training goes on to the bits it would have had."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from pushforward import training as room
from pushforward.archive import WEIGHTS, Archive
from pushforward.curve import FILE as METRICS
from pushforward.pace import TIMES
from pushforward.preemption import SIGNALS, Preemption
from pushforward.shelf import CHECKPOINT
from pushforward.simulation import simulate
from pushforward.spec import Training
from pushforward.study import Study

KILLED = """
import os, signal, sys, torch
from pushforward import Archive, Study, training
torch.set_num_threads(1)
rate = training.learning_rate
def die(spec, step):
    if step == 10:
        os.kill(os.getpid(), signal.SIGKILL)
    return rate(spec, step)
training.learning_rate = die
training.train(Study.load("smoke").training, Archive(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def training() -> Training:
    return Study.load("smoke").training


@pytest.fixture(scope="module")
def whole(training: Training, tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """Trained without a pause."""
    archive = Archive(tmp_path_factory.mktemp("whole"))
    simulate(training.simulation, archive)
    room.train(training, archive)
    return archive


@pytest.fixture
def fresh(training: Training, whole: Archive, tmp_path: Path) -> Archive:
    """Simulated, not trained."""
    archive = Archive(tmp_path / "runs")
    simulation = training.simulation
    shutil.copytree(whole.folder(simulation), archive.folder(simulation))
    return archive


def check_same(training: Training, archive: Archive, whole: Archive) -> None:
    """All weights, and all of the curve but its seconds."""
    tensors, others = (one.read_tensors(training, WEIGHTS)[0] for one in (archive, whole))
    assert tensors.keys() == others.keys()
    for name, tensor in tensors.items():
        assert torch.equal(tensor, others[name]), name
    lines, other_lines = (
        [line | dict.fromkeys(TIMES, 0) for line in one.read_lines(training, METRICS)]
        for one in (archive, whole)
    )
    assert lines == other_lines
    assert not (archive.folder(training) / CHECKPOINT).exists()


@pytest.mark.parametrize("name", SIGNALS)
@pytest.mark.parametrize("at", [0, 9, 19])
def test_a_signal_ends_the_step_and_the_next_run_goes_on(
    training: Training,
    whole: Archive,
    fresh: Archive,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    at: int,
) -> None:
    rate, number = room.learning_rate, getattr(signal, name)
    before = signal.getsignal(number)

    def send(spec: Training, step: int) -> float:
        if step == at:
            os.kill(os.getpid(), number)
        return rate(spec, step)

    with monkeypatch.context() as patch:
        patch.setattr(room, "learning_rate", send)
        with pytest.raises(InterruptedError) as caught:
            room.train(training, fresh)
    assert str(caught.value) == (
        f"{training.name} stopped at step {at + 1} of 20 ({name}); the same command goes on from "
        "here"
    )
    assert signal.getsignal(number) == before
    assert fresh.read_tensors(training, CHECKPOINT)[1]["step"] == at + 1
    assert not fresh.sealed(training)
    room.train(training, fresh)
    check_same(training, fresh, whole)


def test_a_signal_while_the_end_is_measured_stops_it_too(
    training: Training, whole: Archive, fresh: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def calibrate(surrogate, *_, **__) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr("pushforward.generative.Surrogate.calibrate", calibrate)
        with pytest.raises(InterruptedError, match=r"at step 20 of 20 \(SIGTERM\)"):
            room.train(training, fresh)
    assert not (fresh.folder(training) / WEIGHTS).exists()
    room.train(training, fresh)
    check_same(training, fresh, whole)


def test_a_spent_budget_stops_after_a_step_each_time(
    training: Training, whole: Archive, fresh: Archive
) -> None:
    """A step at least, or too short a budget would never come to an end."""
    for step in (1, 2):
        with pytest.raises(InterruptedError, match=rf"at step {step} of 20 \(after 1e-09 s\)"):
            room.train(training, fresh, max_seconds=1e-9)
        assert fresh.read_tensors(training, CHECKPOINT)[1]["step"] == step
    room.train(training, fresh, max_seconds=3600)
    check_same(training, fresh, whole)


def test_half_of_it_killed_and_the_other_half_are_the_whole(
    training: Training, whole: Archive, fresh: Archive
) -> None:
    script = [sys.executable, "-P", "-c", KILLED, str(fresh.root)]
    assert subprocess.run(script, capture_output=True).returncode == -signal.SIGKILL
    assert fresh.read_tensors(training, CHECKPOINT)[1]["step"] in (5, 10)
    room.train(training, fresh)
    check_same(training, fresh, whole)


def test_a_checkpoint_of_other_data_is_refused(training: Training, fresh: Archive) -> None:
    with pytest.raises(InterruptedError):
        room.train(training, fresh, max_seconds=1e-9)
    manifest = fresh.manifest(training.simulation)
    manifest["blocks"][0]["arrays"]["vorticity"] = "made again"
    fresh.write_json(training.simulation, "manifest.json", manifest)
    with pytest.raises(ValueError, match="expected a checkpoint of data"):
        room.train(training, fresh)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
def test_no_time_at_all_is_refused(training: Training, fresh: Archive, seconds: float) -> None:
    with pytest.raises(ValueError, match="expected max_seconds above 0"):
        room.train(training, fresh, max_seconds=seconds)


def test_in_another_thread_the_budget_alone_counts() -> None:
    handler, seen = signal.getsignal(signal.SIGTERM), []

    def look() -> None:
        with Preemption(max_seconds=1e-9) as stop:
            seen.extend([stop.reason, signal.getsignal(signal.SIGTERM)])

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == ["after 1e-09 s", handler]
