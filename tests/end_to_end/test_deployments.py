"""A schedule fires in a real Prefect server; its worker is killed; the next run finishes the work.

Server, worker and runs are processes of their own, on loopback, with a home and a database of
their own. Killed are, by SIGKILL and at once, the worker, the run and its processes: what a node
does that loses its power.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pushforward.archive import Archive
from pushforward.simulation import simulate
from pushforward.study import Study

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs Linux's /proc"),
]
CHANGES = ["simulation.members=2048", "simulation.block=64"]  # a run of a while, in small blocks
PATIENCE = 400.0  # seconds: starts of server and worker, and a dead run's missing heartbeats


class Lab:
    """A Prefect server on loopback, and the processes that are started beside it."""

    def __init__(self, home: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.api = f"http://127.0.0.1:{self.port}/api"
        self.home = home
        self.environment = {
            **os.environ,
            "PREFECT_HOME": str(home),
            "PREFECT_API_URL": self.api,
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{home}/prefect.db",
            "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "5",
            "PREFECT_WORKER_QUERY_SECONDS": "2",
        }

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        log = (self.home / f"{command[-1]}.log").open("ab")
        return subprocess.Popen(
            [sys.executable, "-m", *command],
            env=self.environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def ask(self, program: str) -> str:
        """What a program prints that runs beside the server."""
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def runs(self) -> list[str]:
        """The states of the runs of deployments that have begun."""
        return self.ask(
            "from prefect.client.orchestration import get_client\n"
            "with get_client(sync_client=True) as client:\n"
            "    for run in client.read_flow_runs():\n"
            "        if run.deployment_id and run.start_time:\n"
            "            print(run.state_type.value)\n"
        ).split()

    def kill(self, *spared: int) -> int:
        """Kills all that was started here but some; says how many processes that were."""
        mark, count = f"PREFECT_HOME={self.home}".encode(), 0
        for folder in Path("/proc").glob("[0-9]*"):
            number = int(folder.name)
            if number in (os.getpid(), *spared):
                continue
            try:
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    os.kill(number, signal.SIGKILL)
                    count += 1
            except OSError:  # gone, or not ours
                continue
        return count


def until(true: Callable[[], Any], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, f"{what} did not happen in {PATIENCE:g} s"
        time.sleep(0.2)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    found = Lab(tmp_path / "home")
    found.home.mkdir()
    try:
        yield found
    finally:
        found.kill()


def serves(lab: Lab) -> bool:
    try:
        with urllib.request.urlopen(f"{lab.api}/health", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


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
