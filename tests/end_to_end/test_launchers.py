"""`torchrun ... -m pushforward.flows train STUDY`: real processes, told to stop and run again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pushforward.archive import Archive
from pushforward.shelf import CHECKPOINT
from pushforward.simulation import simulate
from pushforward.study import Study


@pytest.fixture
def root(tmp_path: Path) -> Path:
    simulate(Study.load("smoke").simulation, Archive(tmp_path))
    return tmp_path


def torchrun(verb: str, root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = ["--nproc-per-node", "2", "-m", "pushforward.flows", verb, "smoke"]
    return subprocess.run(
        [*launcher, *command, "--root", str(root), *options],
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_two_ranks_stop_with_75_and_go_on(root: Path) -> None:
    training, archive = Study.load("smoke").training, Archive(root)
    stopped = torchrun("train", root, "--max-seconds", "1e-9")
    assert stopped.returncode != 0
    assert stopped.stderr.count(f"pushforward: {training.name} stopped at step 1 of 20") == 1
    assert "exitcode  : 75" in stopped.stderr  # what torchrun says of its ranks; its own is 1
    assert archive.read_tensors(training, CHECKPOINT)[1]["made_of"]["ranks"] == 2
    done = torchrun("train", root)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [training.name]
    assert done.stderr.count("goes on at step 1 of 20") == 1
    assert archive.sealed(training)


def test_only_train_runs_on_ranks(root: Path) -> None:
    said = torchrun("generate", root)
    assert said.returncode != 0
    assert "expected train under torchrun or srun, got 2 ranks for generate" in said.stderr


def test_ranks_submit_no_jobs(root: Path) -> None:
    said = torchrun("train", root, "--cluster", "slurm")
    assert said.returncode != 0
    assert "expected ranks without a cluster, got slurm for each of 2" in said.stderr
