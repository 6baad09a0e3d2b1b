"""Starting workers, one thread each, and talking to them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .cases import Case
from .codes import Entry

ROOT = Path(__file__).resolve().parents[2]
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
}


class Failed(RuntimeError):
    """A code said why it cannot do what was asked."""


class Worker:
    """A process with the codes of one module in one precision, pinned to one core."""

    def __init__(self, entry: Entry, dtype: str, core: int) -> None:
        command = [sys.executable, "-m", f"{__package__}.worker", entry.module, dtype, str(core)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **ONE_THREAD}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.version: str = self._ask({"do": "open", "package": entry.package})["version"]

    def ask(self, do: str, entry: str, case: Case, **request: Any) -> dict[str, Any]:
        """A question and its answer; raises `Failed` with the code's own words."""
        return self._ask({"do": do, "entry": entry, "case": asdict(case), **request})

    def send(self, do: str, entry: str, case: Case, **request: Any) -> None:
        """A question alone, to be followed by `receive`."""
        self._send({"do": do, "entry": entry, "case": asdict(case), **request})

    def receive(self) -> dict[str, Any]:
        """The answer to the oldest question."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise Failed(f"the process ended with status {self.process.wait()}")
        answer = json.loads(line)
        if "failed" in answer:
            raise Failed(answer["failed"])
        return answer

    def close(self) -> None:
        """Ends the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()

    def _send(self, request: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        self._send(request)
        return self.receive()


class Workers:
    """One for each module and precision, started when first needed."""

    def __init__(self, core: int) -> None:
        self.core = core
        self.running: dict[tuple[str, str], Worker | Failed] = {}

    def get(self, entry: Entry, dtype: str) -> Worker:
        """The worker of an entry; raises `Failed` where its package is not installed."""
        key = entry.module, dtype
        if key not in self.running:
            try:
                self.running[key] = Worker(entry, dtype, self.core)
            except Failed as reason:
                self.running[key] = reason
        found = self.running[key]
        if isinstance(found, Failed):
            raise found
        return found

    def close(self) -> None:
        """Ends all of them."""
        for worker in self.running.values():
            if isinstance(worker, Worker):
                worker.close()
        self.running = {}


def cores() -> list[int]:
    """The cores this process may use, the last one first: the first serves interrupts."""
    return sorted(os.sched_getaffinity(0), reverse=True)
