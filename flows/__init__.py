"""The top floor: the verbs as Prefect flows, and the command line.

A flow adds to a verb what Prefect is good at: schedules, a record of what ran when, retries from
a browser, artifacts. It adds nothing to the result: what is complete is read from the archive,
and the bits are the verb's. No server has to run: without PREFECT_API_URL, Prefect starts a
temporary one for the process, on loopback. Its telemetry is switched off here, before anything
imports prefect; a value that is already set in the environment wins.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pushforward.flows.cli import main
    from pushforward.flows.stages import evaluate, generate, simulate, train
    from pushforward.flows.study import run

__all__ = ["evaluate", "generate", "main", "run", "simulate", "train"]

SETTINGS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",  # the first start migrates
    "PREFECT_LOGGING_EXTRA_LOGGERS": "pushforward",  # what the verbs say, too
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",  # a verb may also run outside a flow
}
for _name, _value in SETTINGS.items():
    os.environ.setdefault(_name, _value)

_HOMES = {"main": "cli", "run": "study"}


def __getattr__(name: str) -> Any:
    """Imports prefect when a flow is asked for, not before."""
    if name not in __all__:
        raise AttributeError(f"expected one of {', '.join(__all__)}, got {name}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'stages')}"), name)
