"""Where a result comes from: the code's version and commit, the libraries, the machine, the time.

The commit is git's, of the folder that this file lies in, and only when git tracks this very file:
a package installed inside somebody else's repository has no commit. "Dirty" means that tracked
files of that repository differ from it. Nothing here enters a name or a result.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

LIBRARIES = ("torch", "numpy", "scipy", "xarray", "zarr", "pydantic", "safetensors")


def provenance() -> dict[str, Any]:
    """What the manifest of a result says about its making.

    >>> sorted(provenance())
    ['code', 'libraries', 'machine', 'time']
    """
    return {"code": code(), "libraries": _libraries(), "machine": machine(), "time": now()}


def now() -> str:
    """The time in UTC, to the second, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@lru_cache(maxsize=1)
def code() -> dict[str, Any]:
    """The package's version, and its commit and whether that is dirty (None without git)."""
    here = Path(__file__).resolve()
    commit = dirty = None
    if _git(here, "ls-files", "--error-unmatch", here.name) is not None:
        commit = _git(here, "rev-parse", "HEAD")
        status = _git(here, "status", "--porcelain", "--untracked-files=no")
        dirty = None if status is None else bool(status)
    return {"version": _version("pushforward"), "commit": commit, "dirty": dirty}


@lru_cache(maxsize=1)
def machine() -> dict[str, Any]:
    """The host: name, system, processor, cores, GPU (None without), Python."""
    return {
        "host": platform.node(),
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
    }


def peak_memory() -> int | None:
    """The most bytes that this process has held at once until now; None where nobody counts.

    Linux's own figure of a process where it is told: getrusage has a child inherit its parent's.

    >>> peak_memory() > 2**20
    True
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )


def peak(markers: Sequence[Mapping[str, Any]]) -> int | None:
    """The most bytes that a process held which made one of some blocks; of none, this one's."""
    found = [one["peak_memory"] for one in markers if one.get("peak_memory") is not None]
    return max(found) if found else peak_memory()


def _libraries() -> dict[str, str | None]:
    return {name: _version(name) for name in LIBRARIES}


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    """The processor's model, where Linux says it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _git(file: Path, *arguments: str) -> str | None:
    """What git answers about the repository of `file`; None when there is none, or no git."""
    try:
        answer = subprocess.run(
            ["git", "-C", str(file.parent), *arguments], capture_output=True, text=True, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
