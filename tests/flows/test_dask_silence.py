"""What Dask logs of connections that end stays off the terminal, and only meanwhile."""

from __future__ import annotations

import logging

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
