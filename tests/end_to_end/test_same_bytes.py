"""One study, four clusters, the same bytes: in this process, on two, on Dask, through Slurm.

Compared is the SHA-256 of every stored array, weight and score. Slurm is a real one (see
conftest): blocks are computed by its jobs, and the training is one, which is sent away in the
middle, queued again, and goes on from its checkpoint. The tests' folder has to be one that the
nodes see (`--basetemp=FOLDER`).
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pushforward.archive import Archive
from pushforward.flows import runs
from pushforward.flows.clusters import Dask, Local, Slurm, load
from pushforward.shelf import CHECKPOINT
from pushforward.study import Study

STAGES = tuple(runs.SPECS)


def made(
    root: Path,
    cluster: Local | Dask | Slurm,
    *changes: str,
    stages: tuple[str, ...] = STAGES,
) -> dict[str, str]:
    """The checksums of what a study leaves in an archive that is filled by a cluster."""
    study, archive = Study.load("smoke", changes), Archive(root)
    runs.plainly(study, str(root), cluster, stages, {})
    found = {}
    for spec in study.specs[: len(stages)]:
        assert archive.verify(spec) == []
        folder = archive.folder(spec)
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = path.relative_to(folder).as_posix()
            if name.startswith("data.zarr/") or name == "surrogate.safetensors":
                found[f"{spec.kind}/{name}"] = sha256(path.read_bytes())
            elif name == "scores.json":  # which also says how long they took
                values = json.loads(path.read_text("utf-8"))
                assert values["attrs"].pop("seconds") > 0
                found[f"{spec.kind}/{name}"] = sha256(json.dumps(values).encode())
    return found


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return made(tmp_path_factory.mktemp("serial"), Local(workers=1))


def test_what_is_compared_is_all_of_it(serial: dict[str, str]) -> None:
    study = Study.load("smoke")
    for kind in ("simulation", "generation"):
        shards = [name for name in serial if re.match(rf"{kind}/data\.zarr/vorticity/c/", name)]
        spec = getattr(study, kind)
        assert len(shards) == -(-spec.members // spec.block) > 1
    assert {"training/surrogate.safetensors", "evaluation/scores.json"} <= {*serial}


TWO = pytest.mark.parametrize(
    "cluster", [Local(workers=2), Dask(workers=2)], ids=["local", "dask"]
)


@TWO
def test_workers_leave_the_data_of_a_serial_run(
    serial: dict[str, str], cluster: Local | Dask, tmp_path: Path
) -> None:
    data = {name: one for name, one in serial.items() if name.startswith("simulation/")}
    assert made(tmp_path, cluster, stages=STAGES[:1]) == data


@pytest.mark.slow
@TWO
def test_workers_leave_the_bytes_of_a_serial_run(
    serial: dict[str, str], cluster: Local | Dask, tmp_path: Path
) -> None:
    assert made(tmp_path, cluster) == serial


def test_another_seed_leaves_other_bytes(serial: dict[str, str], tmp_path: Path) -> None:
    """Negative control."""
    other = made(tmp_path, Local(workers=1), "simulation.seed=1", stages=STAGES[:1])
    fields = {name for name in other if re.search(r"/(vorticity|forcing)/c/", name)}
    assert len(fields) > 2
    assert not any(other[name] == serial[name] for name in fields)
    assert other["simulation/data.zarr/time/c/0"] == serial["simulation/data.zarr/time/c/0"]


# -- a real Slurm

LONGER = "training.steps=800"  # of which some are left when the job is sent away
MINE = """\
kind: slurm
folder: {folder}/jobs
{interface}
blocks: {{jobs: 2, cores: 1, memory_per_core: 1G, walltime: 0:10:00}}
training: {{memory_per_core: 1G, walltime: 0:10:00}}
"""


@pytest.fixture
def page(tmp_path: Path, slurm: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page for the Slurm that is there, whose jobs find this package."""
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(os.path.abspath, paths)))
    path = tmp_path / "mine.yaml"
    alone = "interface: lo" if "SLURM_CONF" in os.environ else ""
    path.write_text(MINE.format(folder=tmp_path, interface=alone), encoding="utf-8")
    return path


def send_away(archive: Archive, study: Study, sent: list[str]) -> None:
    """Has Slurm requeue the training's job once it has stored a checkpoint."""
    end, name = time.monotonic() + 300, study.training.name
    while time.monotonic() < end:
        if (archive.folder(study.training) / CHECKPOINT).exists():
            asked = ["squeue", "--noheader", "--name", name, "--format=%A"]
            job = subprocess.run(asked, capture_output=True, text=True, timeout=60).stdout.strip()
            subprocess.run(["scontrol", "requeue", job], check=True, timeout=60)
            sent.append(job)
            return
        time.sleep(0.02)


@pytest.mark.slow
def test_slurm_leaves_the_bytes_of_a_serial_run(
    tmp_path: Path, page: Path, caplog: pytest.LogCaptureFixture
) -> None:
    study, archive = Study.load("smoke", [LONGER]), Archive(tmp_path / "slurm")
    sent: list[str] = []
    watcher = threading.Thread(target=send_away, args=(archive, study, sent), daemon=True)
    watcher.start()
    caplog.set_level(logging.INFO, logger="pushforward")
    by_slurm = made(archive.root, load(page), LONGER)
    watcher.join()
    assert by_slurm == made(tmp_path / "serial", Local(workers=1), LONGER)

    (job,) = sent
    said = (tmp_path / "jobs" / f"{study.training.name}-{job}.out").read_text("utf-8")
    step = re.search(r"goes on at step (\d+) of 800", said)
    assert step
    assert 0 < int(step[1]) < 800
    assert "the result will differ" not in said
    assert f"job {job} is PENDING" in caplog.text  # it waited for a node again
    assert f"{study.training.name} is complete: by job {job}" in caplog.text


def cancel_one(archive: Archive, study: Study, cancelled: list[str]) -> None:
    """Ends the job that computes blocks once there is one."""
    end, blocks = time.monotonic() + 300, archive.folder(study.simulation) / "blocks"
    while time.monotonic() < end and not cancelled:
        if [*blocks.glob("*.json")]:
            asked = ["squeue", "--noheader", "--name", "blocks", "--format=%A"]
            job = subprocess.run(asked, capture_output=True, text=True, timeout=60).stdout.strip()
            subprocess.run(["scancel", job], check=True, timeout=60)
            cancelled.append(job)
        time.sleep(0.02)


@pytest.mark.slow
def test_a_job_of_blocks_that_is_cancelled_is_replaced(tmp_path: Path, page: Path) -> None:
    changes = ("simulation.step=2e-3",)  # a while for the blocks that are left
    study, archive = Study.load("smoke", changes), Archive(tmp_path / "slurm")
    cancelled: list[str] = []
    watcher = threading.Thread(target=cancel_one, args=(archive, study, cancelled), daemon=True)
    watcher.start()
    page.write_text(page.read_text("utf-8").replace("jobs: 2", "jobs: 1"), encoding="utf-8")
    by_slurm = made(archive.root, load(page), *changes, stages=STAGES[:1])
    watcher.join()
    assert len(cancelled) == 1
    assert len([*(tmp_path / "jobs").glob("blocks-*.out")]) >= 2
    assert by_slurm == made(tmp_path / "serial", Local(workers=1), *changes, stages=STAGES[:1])


@pytest.mark.slow
def test_who_waits_may_be_killed(tmp_path: Path, page: Path) -> None:
    """The job goes on; the same command finds it, and submits no other."""
    root = tmp_path / "runs"
    study = Study.load("smoke", [LONGER])
    runs.plainly(study, str(root), Local(workers=1), ("simulate",), {})
    command = ["train", "smoke", "--set", LONGER, "--root", str(root), "--no-prefect"]
    command = [sys.executable, "-P", "-m", "pushforward.flows", *command]
    command += ["--cluster", str(page)]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 120
    while not [*(tmp_path / "jobs").glob("*.out")] and time.monotonic() < end:
        time.sleep(0.1)
    first.kill()
    first.wait()
    second = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert second.returncode == 0, second.stderr
    assert second.stdout.strip() == study.training.name
    assert len([*(tmp_path / "jobs").glob("*.out")]) == 1
    assert "is submitted" not in second.stderr
    assert Archive(root).sealed(study.training)


@pytest.mark.slow
def test_what_slurm_refuses_or_ends_is_one_sentence(tmp_path: Path, page: Path) -> None:
    study, root = Study.load("smoke"), tmp_path / "runs"
    text = page.read_text("utf-8")

    def refused(changed: str, stage: str) -> str:
        page.write_text(changed, encoding="utf-8")
        with pytest.raises((OSError, ChildProcessError)) as caught:
            runs.plainly(study, str(root), load(page), (stage,), {})
        assert "\n" not in str(caught.value)
        return str(caught.value)

    nowhere = f"{text}\npartition: nowhere"
    assert "nvalid partition" in refused(nowhere, "simulate")
    broken = f'{text}\nsetup: ["exit 3"]'
    assert "jobs that ended before they began" in refused(broken, "simulate")
    runs.plainly(study, str(root), Local(workers=1), ("simulate",), {})
    assert "nvalid partition" in refused(nowhere, "train")
    said = refused(broken, "train")
    assert re.search(r"expected job \d+ to complete training-\w+, got FAILED", said)
