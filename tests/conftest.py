"""What every test shares: one thread, checked shapes, a Prefect without network or memory."""

from __future__ import annotations

import os
import sys
import tempfile
import types
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook

# Before torch and prefect are imported anywhere: both read these once. Children inherit them.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["DO_NOT_TRACK"] = "1"
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
os.environ["PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"] = "120"
_home = tempfile.TemporaryDirectory(prefix="prefect-", ignore_cleanup_errors=True)
os.environ["PREFECT_HOME"] = _home.name  # not the history of whoever runs the tests

if TYPE_CHECKING:
    from pushforward.archive import Archive


def _check_shapes() -> None:
    """Checks the shapes and all other hints of the lower floors at every call."""
    checker = types.ModuleType("pushforward_shape_checker")
    an_int_is_a_float_too = BeartypeConf(is_pep484_tower=True)
    checker.__dict__["check"] = beartype(conf=an_int_is_a_float_too)
    sys.modules[checker.__name__] = checker
    install_import_hook(
        ["pushforward.solvers", "pushforward.generative"], f"{checker.__name__}.check"
    )


_check_shapes()


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A file's tests run in one worker of pytest-xdist, those with a Prefect server all in one."""
    for item in items:
        server = "prefect_server" in getattr(item, "fixturenames", ())
        flows = server or item.path.parent.name == "flows"
        item.add_marker(pytest.mark.xdist_group("flows" if flows else str(item.path)))


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Two test sessions on one machine must not fight over its cores."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """A Prefect server with an empty database, started once, for the tests that ask for it."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """An empty archive."""
    from pushforward.archive import Archive

    return Archive(tmp_path / "runs")
