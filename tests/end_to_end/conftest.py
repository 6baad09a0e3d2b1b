"""A Slurm for the tests that ask for one: the site's, or one of a single node for their time."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator

import one_node
import pytest


@pytest.fixture(scope="session")
def slurm() -> Iterator[None]:
    """Slurm, with a node of two cores that is up; skips, with the reason, where there is none."""
    if _answers():
        yield
        return
    if why := one_node.missing():
        pytest.skip(f"no Slurm, and none to start: {why}")
    with one_node.running() as known, pytest.MonkeyPatch.context() as patch:
        for name, value in known.items():
            patch.setenv(name, value)
        assert _answers()
        yield


def _answers() -> bool:
    """Whether a Slurm is here already."""
    if not all(shutil.which(name) for name in ("sbatch", "srun", "sinfo", "squeue", "scontrol")):
        return False
    asked = ["sinfo", "--noheader", "--states=idle,mixed", "--format=%c"]
    try:
        said = subprocess.run(
            asked, capture_output=True, text=True, timeout=20, env={**os.environ}
        )
    except subprocess.TimeoutExpired:
        return False
    cores = (int(one.strip("+")) for one in said.stdout.split())
    return said.returncode == 0 and any(count > 1 for count in cores)
