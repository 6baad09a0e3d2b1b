"""What a program reads while a verb runs: lines of JSON with facts."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pushforward import logs, progress
from pushforward.archive import Archive
from pushforward.generative import Architecture, Backbone
from pushforward.provenance import peak_memory
from pushforward.simulation import simulate
from pushforward.solvers import GaussianField, Grid, NavierStokes
from pushforward.spec import Simulation, Training
from pushforward.training import train

SIMULATION = Simulation(
    equation=NavierStokes(viscosity=1e-2),
    grid=Grid((8, 8)),
    forcing=GaussianField.matern(4.0, 0.3, deviation=1.0),
    times=(0.1,),
    step=0.05,
    members=10,
    batch=2,
    block=4,
)


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Path]:
    """A file that the lines go to."""
    path = tmp_path / "run.jsonl"
    handler = logs.install(str(path), progress.logger)
    assert handler is not None
    yield path
    progress.logger.removeHandler(handler)
    logs.events.removeHandler(handler)
    handler.close()


def lines(path: Path, event: str | None = None) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in path.read_text().splitlines()]
    return [one for one in found if event in (None, one["event"])]


def test_a_simulation_tells_of_every_block(written: Path, archive: Archive) -> None:
    simulate(SIMULATION, archive)
    told = lines(written, "block")
    assert [one["block"] for one in told] == [0, 1, 2]
    assert [one["members"] for one in told] == [[0, 4], [4, 8], [8, 10]]
    for one, marker in zip(told, archive.markers(SIMULATION), strict=True):
        assert one["name"] == SIMULATION.name
        assert one["seconds"] == marker["seconds"]
        assert one["peak_memory"] == marker["peak_memory"]
        assert one["rate"] > 0
    assert told[0]["left_seconds"] > 0
    assert told[-1]["left_seconds"] == 0
    (complete,) = lines(written, "complete")
    assert complete["name"] == SIMULATION.name
    assert complete["members"] == 10
    (finished,) = lines(written, "finished")
    assert finished["done"] == finished["total"] == 10
    for one in lines(written):
        assert {"time", "level", "event"} <= {*one}


@pytest.mark.parametrize("steps", [0, 2])
def test_a_training_says_how_long_it_waited(written: Path, archive: Archive, steps: int) -> None:
    training = Training(
        simulation=SIMULATION,
        members=4,
        held_out=2,
        surrogate=Architecture(backbone=Backbone(width=4, modes=2, layers=1)),
        steps=steps,
        batch=2,
        calibration=4,
        translations=False,
    )
    simulate(SIMULATION, archive)
    train(training, archive)
    (told,) = [one for one in lines(written, "complete") if one["name"] == training.name]
    curve = archive.read_lines(training, "metrics.jsonl")
    assert [line["step"] for line in curve] == [*range(1, steps + 1)]
    assert told["steps"] == steps
    if steps == 0:
        assert told["data_wait"] is None
        assert "waiting for data" not in told["message"]
        return
    assert told["data_wait"] == pytest.approx(sum(one["data_wait"] for one in curve) / 2, abs=1e-4)
    assert f"{told['data_wait']:.1%} waiting for data" in told["message"]
    assert lines(written, "finished")[-1]["task"] == "train"


def test_nobody_is_told_where_nobody_asked(archive: Archive, monkeypatch: Any) -> None:
    """Negative control, and no cost."""
    assert logs.install(None, progress.logger) is None
    assert logs.install("", progress.logger) is None
    monkeypatch.setattr(logs.events, "info", None)
    simulate(SIMULATION, archive)


def test_every_block_says_its_peak_memory(archive: Archive) -> None:
    simulate(SIMULATION, archive)
    peaks = [marker["peak_memory"] for marker in archive.markers(SIMULATION)]
    assert all(2**26 < peak <= peak_memory() for peak in peaks)  # torch alone is more
    assert archive.manifest(SIMULATION)["peak_memory"] == max(peaks)


def test_peak_memory_is_a_process_own_and_in_bytes() -> None:
    code = "\n".join(
        [
            "from pushforward.provenance import peak_memory",
            "before = peak_memory()",
            "values = bytearray(2**28)",
            "for i in range(0, len(values), 1024): values[i] = 1",
            "del values",
            "print(peak_memory() - before)",
        ]
    )
    mine = bytearray(2**29)  # what a child must not inherit
    mine[:: 2**10] = b"1" * 2**19
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    del mine
    assert 0.8 * 2**28 < int(done.stdout) < 1.2 * 2**28


@pytest.mark.parametrize("where", ["json", "file"])
def test_the_environment_asks_for_it(where: str, tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    code = """
from pushforward import Archive, progress
from pushforward.progress import bar, say
with bar("train", 4, "steps") as advance:
    advance(4, loss=0.5)
say("s3://key:secret@bucket is complete")
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, logs.VARIABLE: "json" if where == "json" else str(path)},
        capture_output=True,
        text=True,
        check=True,
    )
    text = done.stderr if where == "json" else path.read_text()
    said = [json.loads(line) for line in text.splitlines()]  # and nothing else on stderr
    (finished,) = [one for one in said if one["event"] == "finished"]
    assert finished["task"] == "train"
    assert finished["loss"] == 0.5
    assert "s3://***@bucket is complete" in [one.get("message") for one in said]
    assert "secret" not in text
    plain = "s3://***@bucket is complete" in done.stderr.splitlines()
    assert plain is (where == "file")


def test_an_error_is_one_line() -> None:
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "x.py", 1, "it failed", (), sys.exc_info())
    text = logs.Json().format(record)
    assert "\n" not in text
    assert "second" in json.loads(text)["error"]
    assert json.loads(text)["level"] == "error"
