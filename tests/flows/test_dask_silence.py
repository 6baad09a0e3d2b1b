"""A scheduler that is lost: what Dask logs of it is kept away, and nobody waits for it."""

from __future__ import annotations

import logging
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest

from pushforward.flows import dask_workers


@pytest.mark.parametrize("name", ["distributed", "distributed.client", "tornado.application"])
def test_its_loggers_are_silent_meanwhile(name: str) -> None:
    pytest.importorskip("distributed")
    log = logging.getLogger(name)
    before = log.level
    assert log.isEnabledFor(logging.CRITICAL)
    with dask_workers._silent():
        assert not log.isEnabledFor(logging.CRITICAL)
    assert log.level == before


@pytest.mark.parametrize("status", ["closing", "closed"])
def test_a_call_that_nobody_will_answer_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    monkeypatch.setattr(dask_workers, "SECONDS", 0.01)
    future: Future[Any] = Future()
    client = SimpleNamespace(status=status)
    with pytest.raises(ConnectionError, match="expected Dask's scheduler to answer"):
        dask_workers._Answer(future, client).result()
    future.set_result(3)  # negative control: what is answered is taken
    assert dask_workers._Answer(future, client).result() == 3
