"""A Prefect server on loopback with a home and a database of its own, and what runs beside it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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


def serves(lab: Lab) -> bool:
    try:
        with urllib.request.urlopen(f"{lab.api}/health", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


@dataclass
class Server:
    """A Prefect server that can be killed and started again; its record stays."""

    home: Path
    lab: Lab = field(init=False)
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        self.lab = Lab(self.home)

    def start(self) -> None:
        """Starts it, unless it runs, and waits until it answers."""
        if self.process is not None and self.process.poll() is None:
            return
        here = ("--host", "127.0.0.1", "--port", str(self.lab.port))
        self.process = self.lab.start("prefect", "server", "start", *here)
        until(lambda: serves(self.lab), "a server")

    def kill(self) -> None:
        """Kills it, and whatever it has started."""
        self.lab.kill()
        if self.process is not None:
            self.process.wait()
