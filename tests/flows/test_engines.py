"""One map on a cluster: the built-in one's results, whoever computes and whoever is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import dask.config as config
import distributed
import pytest
from chores import cube, deadly, deadly_once, fragile, inside, mark_and_wait, process

from pushforward.flows.clusters import Dask, Local
from pushforward.flows.engines import mapped, shared

BLOCKS = [7, 3, 5, 11, 2]


def ran(cluster: Local | Dask, function: Any, blocks: list[int] = BLOCKS) -> list[Any]:
    return list(mapped(cluster)(function, ["x"] * len(blocks), blocks))


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Dask's scheduler and two workers, as somebody else started them."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
    ) as cluster:
        yield str(cast(Any, cluster).scheduler_address)


@pytest.mark.parametrize("cluster", [Local(workers=1), Local(workers=2), Dask(workers=2)], ids=str)
def test_it_maps_like_the_built_in(cluster: Local | Dask) -> None:
    assert ran(cluster, cube) == list(map(cube, ["x"] * 5, BLOCKS))


def test_it_maps_on_a_cluster_that_runs(address: str) -> None:
    cluster = Dask(address=address)
    assert ran(cluster, cube) == list(map(cube, ["x"] * 5, BLOCKS))
    assert ran(cluster, cube) == list(map(cube, ["x"] * 5, BLOCKS))  # it is still there


def test_no_blocks_start_nothing() -> None:
    assert ran(Dask(address="tcp://127.0.0.1:1"), cube, []) == []


def test_dasks_workers_have_one_thread_and_no_prefect() -> None:
    found = ran(Dask(workers=2), inside, [0, 1, 2, 3])
    processes, *others = (set(column) for column in zip(*found, strict=True))
    assert os.getpid() not in processes
    assert others == [{1}, {False}, {"1"}]


def test_an_error_of_a_block_comes_through() -> None:
    with pytest.raises(FloatingPointError, match=r"member 5 became non-finite at t=1\.2"):
        ran(Dask(workers=2), fragile)


def test_a_block_of_a_killed_worker_of_dasks_is_computed_by_another(tmp_path: Path) -> None:
    assert ran(Dask(workers=2), partial(deadly_once, str(tmp_path)), [2, 3]) == [8, 27]
    assert {path.name for path in tmp_path.iterdir()} == {"2", "3"}  # both were killed


def test_a_block_that_kills_its_workers_is_one_sentence() -> None:
    with pytest.raises(ChildProcessError, match="over which 4 of them ended"):
        ran(Dask(workers=2), deadly, [0])


def test_workers_of_several_threads_are_refused() -> None:
    with (
        distributed.LocalCluster(
            n_workers=1,
            threads_per_worker=3,
            processes=False,
            protocol="tcp",
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
        ) as cluster,
        pytest.raises(ValueError, match=r"one thread each, got 3 at .*--nthreads 1"),
    ):
        ran(Dask(address=cast(Any, cluster).scheduler_address), cube)


def test_a_scheduler_that_does_not_answer_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(ConnectionError, match=r"expected Dask at tcp://127\.0\.0\.1:1 to answer"),
    ):
        ran(Dask(address="tcp://127.0.0.1:1"), cube)


def test_a_scheduler_without_the_package_is_one_sentence(tmp_path: Path) -> None:
    known = tmp_path / "scheduler.json"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1"]
    command += ["--port", "0", "--no-dashboard", "--scheduler-file", str(known)]
    environment = os.environ | {"PYTHONPATH": ""}  # where the blocks' function is not
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    scheduler = subprocess.Popen(command, cwd=tmp_path, env=environment, **quiet)
    try:
        until(known.exists)
        address = json.loads(known.read_text())["address"]
        with pytest.raises(LookupError, match="expected the same packages on Dask's scheduler"):
            ran(Dask(address=address), cube)
    finally:
        scheduler.kill()
        scheduler.wait()


def test_a_scheduler_that_is_killed_is_one_sentence(tmp_path: Path) -> None:
    """Scheduler and worker are processes; the scheduler is killed while a block is computed."""
    known = tmp_path / "scheduler.json"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1"]
    command += ["--port", "0", "--no-dashboard", "--scheduler-file", str(known)]
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    quiet["env"] = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    scheduler = subprocess.Popen(command, **quiet)
    marks = tmp_path / "marks"
    marks.mkdir()
    command = [sys.executable, "-m", "distributed.cli.dask_worker", "--nthreads", "1"]
    command += ["--scheduler-file", str(known), "--no-dashboard", "--death-timeout", "5"]
    worker = subprocess.Popen(command, **quiet)
    try:
        until(known.exists)
        address = json.loads(known.read_text())["address"]

        def kill() -> None:
            until(lambda: any(marks.iterdir()))
            scheduler.kill()

        threading.Thread(target=kill, daemon=True).start()
        with (
            config.set({"distributed.comm.timeouts.connect": "2s"}),
            pytest.raises(ConnectionError, match="expected Dask's scheduler to answer"),
        ):
            ran(Dask(address=address), partial(mark_and_wait, str(marks)), [0])
    finally:
        for child in (scheduler, worker):
            child.kill()
            child.wait()


def test_what_is_started_listens_on_loopback_alone() -> None:
    before = addresses(os.getpid())
    with distributed.LocalCluster(  # negative control: it is seen when it listens elsewhere
        n_workers=1, host="0.0.0.0", protocol="tcp", processes=False
    ):
        assert "00000000" in hosts(addresses(os.getpid()) - before)
    results = iter(mapped(Dask(workers=1))(process, ["x"] * 2, [0, 1]))
    worker = next(results)
    found = (addresses(os.getpid()) | addresses(worker)) - before
    list(results)
    assert found
    assert hosts(found) == {"0100007F"}


def test_workers_end_when_the_wait_is_broken_off(tmp_path: Path) -> None:
    """Ctrl-C in the parent: Dask's workers, who do not listen to it themselves, are gone."""

    def interrupt() -> None:
        until(lambda: len(list(tmp_path.iterdir())) == 2)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        ran(Dask(workers=2), partial(mark_and_wait, str(tmp_path)), [0, 1])
    processes = [int(path.name) for path in tmp_path.iterdir()]
    assert len(processes) == 2
    until(lambda: not any(map(alive, processes)))
    assert time.monotonic() - began < 50  # the blocks would have taken a minute


def test_a_network_has_a_worker_for_each_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pushforward.flows.engines.sharing", lambda workers, device: 2)
    assert shared(Local(workers=8), None) == Local(workers=2)
    assert shared(Dask(workers=8), None) == Dask(workers=8)


def hosts(found: set[str]) -> set[str]:
    return {one.partition(":")[0] for one in found}


def addresses(number: int) -> set[str]:
    """Where a process listens, host:port as Linux writes it; 127.0.0.1 is 0100007F."""
    inodes = set()
    for link in Path(f"/proc/{number}/fd").iterdir():
        try:
            target = os.readlink(link)
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{number}/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and words[9] in inodes:
                found.add(words[1])
    return found


def alive(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


def until(true: Any) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)
