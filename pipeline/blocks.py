"""A verb over blocks: what is missing is computed, by any `map`, then the result is sealed.

    create -> adopt -> missing -> map(function, specs, roots, blocks) -> seal

The function is picklable and stores its block itself, so that nothing large travels between
processes; it computes in batches that are aligned to absolute numbers of members and on one
thread, so that neither the size of a block nor the number of workers changes a bit.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import xarray as xr

from pushforward import files, logs
from pushforward.archive import Archive
from pushforward.effort import Effort
from pushforward.growth import adopt
from pushforward.lineage import Spec
from pushforward.places import Place, for_workers
from pushforward.progress import bar, say
from pushforward.spec import Generation, Simulation
from pushforward.threads import one_thread

S = TypeVar("S", Simulation, Generation)
C = TypeVar("C")
Map = Callable[..., Iterable[Any]]
Function = Callable[[S, Place, int], int]
LOST_WORKER = (
    "expected the worker processes to live, got one that ended suddenly (out of memory, or a "
    "script without `if __name__ == '__main__':`); use fewer workers and run the same command "
    "again: what is stored is kept"
)


def fill(
    spec: S, archive: Archive, template: xr.Dataset, function: Function[S], run: Map, workers: int
) -> str:
    """Computes the missing blocks of a result and seals it; says so when there is nothing to do.

    `function(spec, root, block)` computes and stores one block; `run` is a map, of which the
    built-in one is replaced by a pool of processes for `workers` > 1. Returns the result's name.
    """
    if workers < 1:
        raise ValueError(f"expected at least 1 worker, got {workers}; raise it")
    for_workers(archive.root, workers)
    archive.create(spec, template)
    adopt(spec, archive)
    missing = archive.missing(spec)
    total, size = archive.size(spec)
    members = {block: min(size, total - block * size) for block in archive.blocks(spec)}
    left = sum(members[block] for block in missing)
    with (
        bar(spec.verb, spec.members, "members", done=spec.members - left) as advance,
        mapping(run, min(workers, len(missing))) as mapped,
    ):
        count = len(missing)
        for block in mapped(function, [spec] * count, [archive.root] * count, missing):
            advance(members[block])
            _tell(spec, archive, block, *advance.pace())
    archive.seal(spec)
    facts = {"name": spec.name, "members": spec.members}
    said = f"{spec.name} is complete: {spec.members} members in {archive.folder(spec)}"
    say(said, event="complete", **facts)
    return spec.name


def _tell(spec: Spec, archive: Archive, block: int, rate: float, left: float | None) -> None:
    """What a block took, to those who read JSON."""
    if logs.heard():
        marker = files.read_json(archive.marker(spec, block))
        facts = {key: marker.get(key) for key in ("block", "members", "seconds", "peak_memory")}
        seconds = None if left is None else round(left, 1)
        logs.tell("block", name=spec.name, **facts, rate=round(rate, 3), left_seconds=seconds)


def done(spec: Spec, archive: Archive) -> bool:
    """Whether a result is complete; says so when it is."""
    if archive.sealed(spec):
        archive.described(spec)  # refuses a later format
        say(f"{spec.name} is complete: nothing to do")
    return archive.sealed(spec)


def compute(
    spec: S,
    root: Place,
    block: int,
    function: Callable[[S, range, Archive], tuple[xr.Dataset, Effort | None]],
) -> int:
    """One block: `function` on each batch of its members, on one thread, then stored; or nothing,
    when it is done already. Returns the block's number."""
    archive = Archive(root)
    if archive.done(spec, block):
        return block
    began, span = time.monotonic(), archive.span(spec, block)
    with one_thread():
        parts = [
            function(spec, range(start, min(start + spec.batch, span.stop)), archive)
            for start in range(span.start, span.stop, spec.batch)
        ]
    datasets = [dataset for dataset, _ in parts]
    whole = xr.concat(datasets, dim="member", data_vars="minimal", coords="minimal", join="exact")
    effort = Effort.total(effort for _, effort in parts if effort is not None)
    archive.write(spec, block, whole, seconds=time.monotonic() - began, effort=effort)
    return block


@contextmanager
def mapping(run: Map, workers: int) -> Iterator[Map]:
    """The map to use: the one given, or that of a pool of fresh processes."""
    if run is not map or workers <= 1:
        yield run
        return
    with processes(workers) as pool:

        def mapped(function: Function[Any], *rows: Iterable[Any]) -> Iterator[Any]:
            calls = (partial(function, *row) for row in zip(*rows, strict=True))
            return in_order(pool.submit, calls)

        try:
            yield mapped
        except BrokenProcessPool:
            raise ChildProcessError(LOST_WORKER) from None


def in_order(
    submit: Callable[[C], Any], calls: Iterable[C], ahead: int | None = None
) -> Iterator[Any]:
    """The results of submitted calls in their order, of which `ahead` wait at most (None: all).

    An executor's own map would cancel what is left when it is broken off, see `processes`.

    >>> from concurrent.futures import ThreadPoolExecutor
    >>> with ThreadPoolExecutor(2) as pool:
    ...     list(in_order(pool.submit, [partial(pow, 2, 3), partial(pow, 3, 2)]))
    [8, 9]
    """
    futures: deque[Any] = deque()
    for call in calls:
        futures.append(submit(call))
        if ahead is not None and len(futures) >= ahead:
            yield futures.popleft().result()
    while futures:
        yield futures.popleft().result()  # and is not kept here: it may be large


@contextmanager
def processes(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Fresh processes that are gone afterwards, at once if the wait for them is broken off.

    After an error the blocks that are under way are finished, since they will be needed. Made with
    spawn: a fork would copy the threads of torch and of the storage library in an unknown state.
    """
    before = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_serve)
    with interrupts_held_back():
        for _ in range(workers):  # which starts them
            pool.submit(int)
    try:
        yield pool
    except Exception:
        pool.shutdown(cancel_futures=True)
        raise
    except BaseException:  # Ctrl-C
        children = set(multiprocessing.active_children()) - before
        for child in children:
            child.terminate()  # a block is complete or absent, whenever it is cut
        # a pool that lost its processes fails its futures by itself, and stumbles on cancelled
        pool.shutdown(wait=False, cancel_futures=not children)
        raise
    pool.shutdown()


@contextmanager
def interrupts_held_back() -> Iterator[None]:
    """What is started meanwhile never sees Ctrl-C, which a terminal sends to every process."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve() -> None:
    """What a worker does first: it sees to it that it ends when its parent ends."""
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
