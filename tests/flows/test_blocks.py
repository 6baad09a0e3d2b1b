"""The map of Prefect tasks: the built-in map's results, and what Prefect shows of them."""

from __future__ import annotations

import os
import signal
import threading
import time
from functools import partial
from pathlib import Path

import pytest
from chores import process
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterKey,
    TaskRunFilter,
    TaskRunFilterName,
)

from pushforward.flows.blocks import Blocks
from pushforward.flows.clusters import Dask, Local

pytestmark = pytest.mark.usefixtures("prefect_server")


def cube(name: str, block: int) -> int:
    return block**3


def where(name: str, block: int) -> tuple[int, int]:
    return os.getpid(), threading.get_ident()


def fragile(name: str, block: int) -> int:
    if block == 2:
        raise FloatingPointError("member 5 became non-finite at t=1.2; halve step (now 0.01)")
    return block


def deadly(name: str, block: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return block


def mark_and_wait(folder: str, name: str, block: int) -> int:
    Path(folder, str(os.getpid())).touch()
    time.sleep(60)
    return block


@flow(persist_result=False)
def spread(function, name: str, blocks: list[int], cluster: Local | Dask):
    return list(Blocks(name, cluster)(function, [name] * len(blocks), blocks))


def mapped(function, name: str, blocks: list[int], workers: int):
    return spread(function, name, blocks, Local(workers=workers))


@pytest.mark.parametrize("workers", [1, 2])
def test_it_maps_like_the_built_in(workers: int) -> None:
    blocks = [7, 3, 5, 11, 2]
    assert mapped(cube, "simulation-a", blocks, workers) == list(map(cube, ["x"] * 5, blocks))


def test_no_blocks_is_no_work() -> None:
    assert mapped(cube, "simulation-none", [], 2) == []


def test_one_worker_stays_in_the_process() -> None:
    assert {pid for pid, _ in mapped(where, "simulation-b", [0, 1], 1)} == {os.getpid()}


def test_one_block_starts_no_process() -> None:
    assert {pid for pid, _ in mapped(where, "simulation-c", [4], 8)} == {os.getpid()}


def test_two_workers_are_two_processes() -> None:
    processes = {pid for pid, _ in mapped(where, "simulation-d", list(range(6)), 2)}
    assert os.getpid() not in processes
    assert 1 <= len(processes) <= 2


def test_prefect_shows_a_run_for_every_block() -> None:
    mapped(cube, "simulation-e", [0, 1, 2], 1)
    assert wait_for_states("simulation-e block", 3) == ["COMPLETED"] * 3


def test_prefect_shows_the_progress() -> None:
    mapped(cube, "simulation-f", [0, 1, 2], 1)
    chosen = ArtifactFilter(key=ArtifactFilterKey(any_=["simulation-f-blocks"]))
    with get_client(sync_client=True) as client:
        (artifact,) = client.read_artifacts(artifact_filter=chosen)
    assert artifact.type == "progress"
    assert artifact.data == 100.0


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_a_block_is_the_flows(workers: int) -> None:
    with pytest.raises(FloatingPointError, match=r"member 5 became non-finite at t=1\.2"):
        mapped(fragile, f"simulation-g{workers}", [0, 1, 2, 3], workers)


def test_a_killed_worker_is_one_sentence() -> None:
    with pytest.raises(ChildProcessError, match="use fewer workers"):
        mapped(deadly, "simulation-h", [0, 1], 2)


def test_workers_end_when_the_wait_is_broken_off(tmp_path: Path) -> None:
    """Ctrl-C in the parent: the workers, who do not listen to it themselves, are gone."""

    def interrupt() -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if len(list(tmp_path.iterdir())) == 2:
                return os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.05)
        return None

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        mapped(partial(mark_and_wait, str(tmp_path)), "simulation-i", [0, 1], 2)
    processes = [int(path.name) for path in tmp_path.iterdir()]
    assert len(processes) == 2
    deadline = time.monotonic() + 20
    while any(map(alive, processes)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, processes))


def test_tasks_are_computed_on_dask() -> None:
    """By another process; Prefect shows them as it does all."""
    found = spread(process, "simulation-j", [0, 1, 2], Dask(workers=1))
    assert len(found) == 3
    assert os.getpid() not in found
    assert wait_for_states("simulation-j block", 3) == ["COMPLETED"] * 3


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for_states(like: str, count: int) -> list[str]:
    """Prefect writes task runs down some time after they ended."""
    chosen = TaskRunFilter(name=TaskRunFilterName(like_=like))
    deadline = time.monotonic() + 20
    with get_client(sync_client=True) as client:
        while True:
            runs = client.read_task_runs(task_run_filter=chosen)
            states = [run.state_type.value for run in runs if run.state_type is not None]
            if states == ["COMPLETED"] * count or time.monotonic() > deadline:
                return states
            time.sleep(0.2)
