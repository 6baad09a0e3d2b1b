"""A call on a worker of Dask, which unpickles it from here and so imports nothing else for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def alone(call: Callable[..., Any], /, *arguments: Any, **options: Any) -> Any:
    """Calls it, on a worker that has one thread; ValueError, with what to do, on another."""
    from distributed import get_worker

    worker = get_worker()
    if worker.state.nthreads != 1:
        raise ValueError(
            f"expected Dask workers of one thread each, got {worker.state.nthreads} at "
            f"{worker.address}; start them with `dask worker --nthreads 1 --nworkers N`"
        )
    return call(*arguments, **options)
