"""A schedule fires in a real Prefect server; its worker is killed; the next run finishes the work.

Server, worker and runs are processes of their own, on loopback, with a home and a database of
their own. Killed are, by SIGKILL and at once, the worker, the run and its processes: what a node
does that loses its power.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushforward.archive import Archive
from pushforward.simulation import simulate
from pushforward.study import Study
from tests.faults.lab import PATIENCE, Lab, serves, until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs Linux's /proc"),
]
CHANGES = ["simulation.members=2048", "simulation.block=64"]  # a run of a while, in small blocks


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    found = Lab(tmp_path / "home")
    found.home.mkdir()
    try:
        yield found
    finally:
        found.kill()


def test_a_schedule_fires_and_the_next_run_goes_on_where_a_killed_one_stopped(
    lab: Lab, tmp_path: Path
):
    root, simulation = tmp_path / "runs", Study.load("smoke", CHANGES).simulation
    here = ("--host", "127.0.0.1", "--port", str(lab.port))
    server = lab.start("prefect", "server", "start", *here)
    until(lambda: serves(lab), "a server")
    changes = [word for change in CHANGES for word in ("--set", change)]
    options = ["--root", str(root), "--work-pool", "lab", "--interval", "60"]
    said = subprocess.run(
        [sys.executable, "-m", "pushforward.flows", "deploy", "smoke", *changes, *options],
        env=lab.environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert said.returncode == 0, said.stderr
    assert "study/smoke is registered" in said.stdout
    archive = Archive(root)
    blocks = root / simulation.name / "blocks"

    lab.start("prefect", "worker", "start", "--pool", "lab")
    until(lambda: len([*blocks.glob("*.json")]) >= 3, "a run by schedule")
    assert lab.kill(server.pid) >= 2  # the worker and its run at least
    done = {path.name: path.read_bytes() for path in blocks.glob("*.json")}
    assert not archive.sealed(simulation)
    assert 3 <= len(done) < len(archive.blocks(simulation))

    lab.start("prefect", "worker", "start", "--pool", "lab")
    evaluation = Study.load("smoke", CHANGES).evaluation
    until(lambda: archive.sealed(evaluation), "the next run")
    until(lambda: "COMPLETED" in lab.runs(), "its end")
    assert "CRASHED" in lab.runs()  # what the automation says of the killed one
    assert archive.verify(simulation) == []
    for name, marker in done.items():  # nothing was computed twice
        assert (blocks / name).read_bytes() == marker

    fresh = Archive(tmp_path / "fresh")
    simulate(simulation, fresh)
    one, other = (store.open(simulation).load() for store in (archive, fresh))
    assert one.equals(other)
