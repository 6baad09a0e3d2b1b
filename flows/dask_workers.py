"""Workers of Dask, one thread each: started here, those of a cluster, or jobs of Slurm's.

Dask hands out the blocks, sees which workers live, and has another one compute what a lost one was
at. A worker that is lost four times over the same block is taken to be killed by it. Jobs of
Slurm's are made by dask-jobqueue, which replaces those that end (`adapt`; `scale` would not).

A worker of several threads is refused: what one block sets for torch is its process's, and the
blocks beside it would round otherwise.
"""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, Future, wait
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from pushforward.blocks import interrupts_held_back
from pushforward.flows import slurm
from pushforward.flows.alone import alone
from pushforward.flows.clusters import Dask, Slurm
from pushforward.progress import say

LOOPBACK = "127.0.0.1"
SECONDS = 5.0  # between two looks at jobs of which none has begun, and at a silent client
LOST = (
    "expected Dask's workers to live, got a block over which {count} of them ended (out of "
    "memory, or of time); give them more and run the same command again: what is stored is kept"
)
GONE = (
    "expected Dask's scheduler to answer, got a connection that ended; start the cluster again "
    "and run the same command: what is stored is kept"
)

UNLIKE = (
    'expected the same packages on Dask\'s scheduler and workers as here, got "{error}"; install '
    "pushforward there, in the same version"
)


@contextmanager
def started(cluster: Dask | Slurm, calls: int) -> Iterator[tuple[Executor, int]]:
    """An executor for so many calls, and how many of them it computes at once.

    Raises LookupError where a package is missing, ConnectionError when no scheduler answers,
    ChildProcessError when workers end over a block or jobs before they begin, OSError when sbatch
    refuses.
    """
    distributed = _package("distributed")
    with _silent(), ExitStack() as stack, _heard(distributed):
        with interrupts_held_back():
            if isinstance(cluster, Slurm):
                made, width = _jobs(cluster, calls)
            elif cluster.address is None:
                made, width = _processes(distributed, min(cluster.here, calls))
            else:
                made, width = cluster.address, 0
            if not isinstance(made, str):
                stack.callback(made.close)
            client = _client(distributed, made)
        stack.callback(client.close)
        if isinstance(cluster, Slurm):
            _first(client, made, cluster)
        elif cluster.address is not None:
            width = len(client.nthreads())
            say(f"Dask at {cluster.address} has {width} workers")
        yield _Pool(client), max(width, 1)


def _client(distributed: Any, made: Any) -> Any:
    try:
        return distributed.Client(made, set_as_default=False)
    except OSError:
        raise ConnectionError(
            f"expected Dask at {made} to answer, got nothing in time; start it, or correct the "
            "address"
        ) from None


class _Pool(Executor):
    """The client as an executor, each call on a worker of one thread."""

    def __init__(self, client: Any) -> None:
        self.client, self.own = client, client.get_executor(pure=False)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        return _Answer(self.own.submit(alone, fn, *args, **kwargs), self.client)


class _Answer:
    """The future of a call; the client forgets those that it was given while it lost touch."""

    def __init__(self, future: Future[Any], client: Any) -> None:
        self.future, self.client = future, client

    def result(self) -> Any:
        """What the call returns; ConnectionError when nobody is there any more to say it."""
        while not wait([self.future], timeout=SECONDS).done:
            if self.client.status in ("closing", "closed") and not self.future.done():
                raise ConnectionError(GONE)
        return self.future.result()


def _processes(distributed: Any, workers: int) -> tuple[Any, int]:
    made = distributed.LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        host=LOOPBACK,
        dashboard_address=f"{LOOPBACK}:0",
        memory_limit=None,  # of the machine's, as for processes without Dask
        silence_logs=logging.CRITICAL,
    )
    return made, workers


def _jobs(cluster: Slurm, calls: int) -> tuple[Any, int]:
    asked = cluster.blocks
    jobs = min(asked.jobs, math.ceil(calls / asked.cores))
    folder = Path(cluster.folder).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    made = _package("dask_jobqueue").SLURMCluster(
        cores=asked.cores,
        processes=asked.cores,
        memory=f"{asked.cores * int(asked.memory_per_core[:-1])}{asked.memory_per_core[-1]}iB",
        python=sys.executable,
        job_name="blocks",
        job_script_prologue=list(cluster.setup),
        # a job that is taken away is replaced by a new one
        job_extra_directives=["--no-requeue", *slurm.options(cluster, asked)],
        job_directives_skip=["--mem=", "-t ", "-p ", "-A "],  # a page says what there is
        log_directory=str(folder),
        interface=cluster.interface,
        # whoever reaches the scheduler's port could have it run code: only who has the key may
        protocol="tls",
        security=_package("distributed").Security.temporary(),
        shared_temp_directory=str(folder),
        worker_extra_args=["--no-dashboard"],
        scheduler_options={"dashboard_address": f"{LOOPBACK}:0"},
    )
    script = folder / "blocks.sbatch"
    script.write_text(made.job_script(), encoding="utf-8")
    try:
        slurm.check(script)  # what it refuses later nobody would hear of
    except BaseException:
        made.close()
        raise
    made.adapt(minimum_jobs=jobs, maximum_jobs=jobs, interval="2s")
    width = jobs * asked.cores
    say(f"Slurm is asked for {width} workers in {jobs} jobs, which write to {folder}")
    return made, width


def _first(client: Any, made: Any, cluster: Slurm) -> None:
    """Until a worker is there; raises ChildProcessError when all jobs ended before."""
    while not client.nthreads():
        jobs = [one.job_id for one in list(made.workers.values()) if one.job_id]
        try:
            client.wait_for_workers(1, timeout=SECONDS)
        except TimeoutError:
            if jobs and not any(map(slurm.state, jobs)):
                raise ChildProcessError(
                    f"expected workers in Slurm's jobs {', '.join(jobs)}, got jobs that ended "
                    f"before they began; see what they wrote to {Path(cluster.folder).absolute()}"
                ) from None


def _package(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError:
        raise LookupError(
            f"expected the package {name.replace('_', '-')} for a cluster of Dask's or Slurm's, "
            "got none; install pushforward[cluster]"
        ) from None


@contextmanager
def _heard(distributed: Any) -> Iterator[None]:
    """One sentence for workers that are lost for good, and for a scheduler that is."""
    try:
        yield
    except distributed.KilledWorker:
        count = 1 + _package("dask.config").get("distributed.scheduler.allowed-failures")
        raise ChildProcessError(LOST.format(count=count)) from None
    except (distributed.comm.CommClosedError, CancelledError):
        raise ConnectionError(GONE) from None
    except (ImportError, RuntimeError) as error:
        if isinstance(error, ImportError) or "deserialization" in str(error):
            raise LookupError(UNLIKE.format(error=str(error).splitlines()[0])) from None
        raise


@contextmanager
def _silent() -> Iterator[None]:
    """Keeps Dask's own logs from the terminal: they tell of every connection that ends.

    Its loggers have levels of their own, so each is asked; what its event loop says is tornado's.
    """
    known = [name for name in logging.root.manager.loggerDict if name.startswith("distributed")]
    before = {log: log.level for log in map(logging.getLogger, [*known, "tornado.application"])}
    for log in before:
        log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for log, level in before.items():
            log.setLevel(level)
