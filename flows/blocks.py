"""A `map` for the verbs whose every call is a Prefect task run.

The verbs hand the blocks that are missing to a function with the signature of the built-in `map`.
This one runs each block as a task, so that Prefect shows which blocks ran, how long, and which
failed, and keeps a progress artifact of the whole. The work itself goes where the cluster's page
says (see `engines`); a task is then only a thread that waits for it, and who computes knows
nothing of Prefect. One process, or one block for processes, is this one.

Tasks are few and fat, return what the block function returns (a number or a name, never fields),
and are not cached: which blocks are complete is known from the archive alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any
from uuid import UUID

from prefect import task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE

from pushforward.blocks import in_order
from pushforward.flows.clusters import ONE, Dask, Local, Slurm
from pushforward.flows.engines import Engine, engine

AHEAD = 2  # tasks submitted per worker: one runs, one waits, the rest is not yet in Prefect
SECONDS = 2.0  # between two updates of the artifact: each is a request to the server


@task(name="block", task_run_name="{label}", cache_policy=NO_CACHE, persist_result=False)
def run_block(label: str, call: Callable[[], Any]) -> Any:
    """One block of a verb, shown under its label.

    >>> run_block.fn("simulation-1a2b3c4d5e block 3", lambda: 3)
    3
    """
    return call()


class Blocks:
    """Maps a function over blocks like the built-in `map`, as Prefect tasks on a cluster.

    `name` is the spec's name, from which tasks and the artifact take theirs. Results come in the
    order of the calls. A worker that is killed raises ChildProcessError.
    """

    def __init__(self, name: str, cluster: Local | Dask | Slurm = ONE) -> None:
        self.name, self.cluster = name, cluster

    def __call__(
        self, function: Callable[..., Any], /, *iterables: Iterable[Any]
    ) -> Iterator[Any]:
        """Runs function(*arguments) for every row of the iterables."""
        calls = [
            (self._label(index, row), partial(function, *row))
            for index, row in enumerate(zip(*iterables, strict=False))
        ]
        if not calls:
            return
        progress = _Artifact(self.name, len(calls))
        with engine(self.cluster, len(calls)) as found:
            for result in _tasks(found, calls):
                progress.advance()
                yield result

    def _label(self, index: int, row: tuple[Any, ...]) -> str:
        """Called after the block's number, which the verbs pass last."""
        block = row[-1] if row and isinstance(row[-1], int) else index
        return f"{self.name} block {block}"


def _tasks(found: Engine, calls: list[tuple[str, partial[Any]]]) -> Iterator[Any]:
    if found.executor is None:
        yield from (run_block(label, call) for label, call in calls)
        return

    def submit(labelled: tuple[str, partial[Any]]) -> Any:
        label, call = labelled
        return run_block.submit(label, partial(found.wait, call))

    yield from in_order(submit, calls, AHEAD * found.width)


class _Artifact:
    """Prefect's progress artifact for the blocks of one spec."""

    def __init__(self, name: str, total: int) -> None:
        self.total, self.done, self.told = total, 0, time.monotonic()
        created = create_progress_artifact(
            progress=0.0, key=f"{name}-blocks", description=f"{total} blocks of {name}"
        )
        self.id: UUID = created  # type: ignore[assignment]

    def advance(self) -> None:
        self.done += 1
        if self.done == self.total or time.monotonic() - self.told > SECONDS:
            update_progress_artifact(self.id, progress=100.0 * self.done / self.total)
            self.told = time.monotonic()
