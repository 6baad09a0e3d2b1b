"""A scheduler of Dask's and workers, processes of their own on loopback.

It is what a user has who names the address of a cluster that runs already. A worker stands under a
nanny, which starts another one in a killed one's place.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.faults.commands import children
from tests.faults.lab import until

HOST = "127.0.0.1"
QUIET = ("--no-dashboard",)


class Cluster:
    """A scheduler and some workers, and the page that tells the command line of them."""

    def __init__(self, folder: Path, count: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.page, self.count = folder, folder / "cluster.yaml", count
        self.parts: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Starts it, unless it runs, and waits until its workers are there."""
        if self.parts and all(part.poll() is None for part in self.parts):
            return
        self.kill()
        where = self.folder / "scheduler.json"
        where.unlink(missing_ok=True)
        given = ("--scheduler-file", str(where))
        self._begin("scheduler", "--host", HOST, "--port", "0", *QUIET, *given)
        until(where.exists, "a scheduler")
        for _ in range(self.count):
            one = ("--host", HOST, "--nthreads", "1", "--nworkers", "1", "--memory-limit", "0")
            self._begin("worker", *one, *QUIET, *given)
        address = _address(where)
        self.page.write_text(f"kind: dask\naddress: {address}\n", encoding="utf-8")
        until(lambda: _workers(address) == self.count, "workers")

    @property
    def scheduler(self) -> int:
        return self.parts[0].pid

    @property
    def workers(self) -> list[int]:
        """The processes that compute: those that the nannies have started."""
        return [one for nanny in self.parts[1:] for one in children(nanny.pid, "spawn_main")]

    def kill(self) -> None:
        """Kills all of it."""
        for number in self.workers if self.parts else []:
            kill(number)
        for part in self.parts:
            part.kill()
            part.wait()
        self.parts = []

    def _begin(self, *words: str) -> None:
        log = (self.folder / f"{words[0]}.log").open("ab")
        command = [sys.executable, "-m", "dask", *words, "--local-directory", str(self.folder)]
        if words[0] == "scheduler":
            command = command[:-2]
        self.parts.append(
            subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        )


def _address(path: Path) -> str:
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return str(values["address"])


def _workers(address: str) -> int:
    from distributed import Client

    with Client(address, timeout=30, set_as_default=False) as client:
        found: Any = client.nthreads()
        return len(found)


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
