"""What computes blocks on a cluster: an executor, and the map that hands them to it.

The verbs ask for a function with the signature of the built-in `map`, and whole blocks are all
that ever goes through it: a call is a spec, the archive's root and a number, and its answer a
number. So there is one map, whatever is behind it: this process, processes beside it, or workers
of Dask, which Slurm may have started. Nothing is started before there is something to compute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from pushforward.archive import Archive
from pushforward.blocks import LOST_WORKER, Map, in_order, processes
from pushforward.device import sharing
from pushforward.flows.clusters import Dask, Local, Slurm

Call = Callable[[], Any]


class Engine:
    """Something that computes calls, `width` of them at once; without an executor, the caller."""

    def __init__(self, executor: Executor | None = None, width: int = 1) -> None:
        self.executor, self.width = executor, width

    def map(self, calls: Iterable[Call]) -> Iterator[Any]:
        """The results of some calls, in their order.

        >>> list(Engine().map([partial(pow, 2, 3), partial(pow, 3, 2)]))
        [8, 9]
        """
        if self.executor is None:
            yield from (call() for call in calls)
        else:
            yield from in_order(self.executor.submit, calls)

    def wait(self, call: Call) -> Any:
        """The result of one call, for which this thread waits."""
        if self.executor is None:
            return call()
        return self.executor.submit(call).result()


@contextmanager
def engine(cluster: Local | Dask | Slurm, calls: int) -> Iterator[Engine]:
    """What a cluster computes so many calls with; it is gone afterwards.

    Raises ChildProcessError for a worker that was killed, ConnectionError for a cluster that does
    not answer, ModuleNotFoundError where Dask's packages are missing.
    """
    if not isinstance(cluster, Local):
        from pushforward.flows.dask_workers import started

        with started(cluster, calls) as (executor, width):
            yield Engine(executor, width)
        return
    workers = min(cluster.here, calls)
    if workers <= 1:
        yield Engine()
        return
    try:
        with processes(workers) as pool:
            yield Engine(pool, workers)
    except BrokenProcessPool:
        raise ChildProcessError(LOST_WORKER) from None


def mapped(cluster: Local | Dask | Slurm) -> Map:
    """A map over blocks on a cluster, with the signature of the built-in one.

    >>> list(mapped(Local(workers=1))(pow, [2, 3], [3, 2]))
    [8, 9]
    """

    def run(function: Callable[..., Any], /, *rows: Iterable[Any]) -> Iterator[Any]:
        calls = [partial(function, *row) for row in zip(*rows, strict=True)]
        if calls:
            with engine(cluster, len(calls)) as found:
                yield from found.map(calls)

    return run


def shared(cluster: Local | Dask | Slurm, device: str | None) -> Local | Dask | Slurm:
    """The cluster for what computes with a network: of processes here, one for each GPU."""
    if isinstance(cluster, Local):
        return Local(workers=sharing(cluster.here, device))
    return cluster


def reached(root: str, cluster: Local | Dask | Slurm) -> Archive:
    """The archive, by a path that means the same to whoever else opens it.

    >>> reached("runs", Local()).root.is_absolute(), reached("runs", Dask()).root.is_absolute()
    (False, True)
    """
    if isinstance(cluster, Local) or "://" in root:
        return Archive(root)
    return Archive(Path(root).absolute())
