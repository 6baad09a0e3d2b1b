"""Prefect on a terminal: log lines above the bars, plain errors, a server that outlives Ctrl-C.

Three things that Prefect leaves to its caller:

- Its log handler writes to stderr by itself and would break a bar in two. Here it writes through
  the console that draws the bars.
- It reports a failed run three times with tracebacks. The command line says one sentence instead,
  so these lines are kept from the terminal (not from Prefect's record) unless asked for.
- Its temporary server is a child process and would get the terminal's Ctrl-C too; the flow would
  then wait a minute for a server that is gone. It is started here from a thread in which SIGINT is
  blocked, which the child inherits. At the end it is given a moment to write down what it was
  told, or it stops with a traceback and leaves task runs that look unfinished.
"""

from __future__ import annotations

import io
import logging
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from datetime import UTC, datetime

from rich.text import Text

from pushforward import progress

RUNS = ("prefect.flow_runs", "prefect.task_runs")
FLUSH_SECONDS = 10.0


@contextmanager
def prefect_in_terminal(debug: bool = False) -> Iterator[None]:
    """Starts Prefect beside the caller, keeps its lines apart from the bars, lets it finish."""
    began = datetime.now(UTC)
    failed: list[Exception] = []
    for handler in share_console():
        if not debug:
            handler.addFilter(worth_a_line)
    here = copy_context()  # where Prefect keeps its settings
    server = threading.Thread(target=here.run, args=(_start_server, failed), daemon=True)
    server.start()
    while server.is_alive():  # a join without a limit would not let Ctrl-C through
        server.join(0.2)
    if failed:
        raise ChildProcessError(
            f"expected Prefect's temporary server to start, got {failed[0]}; "
            "run again, or with --no-prefect"
        )
    try:
        yield
    finally:
        _flush(began)


def share_console() -> list[logging.Handler]:
    """Lets Prefect's log handlers print through the console of the bars; returns them."""
    import prefect.main  # noqa: F401  (configures logging, once)

    handlers = [handler for handler in logging.getLogger().handlers if hasattr(handler, "console")]
    for handler in handlers:
        handler.console.file = _AboveBars()  # type: ignore[attr-defined]
    return handlers


def worth_a_line(record: logging.LogRecord) -> bool:
    """Leaves out what the bars show (tasks) and what the caller says better (failures)."""
    if record.name.startswith(RUNS):
        ended_badly = any(
            f"in state {end}" in record.getMessage() for end in ("Failed", "Crashed")
        )
        return (
            record.levelno < logging.ERROR and record.name.startswith(RUNS[0]) and not ended_badly
        )
    if record.name.startswith("prefect._internal"):  # what a server that is gone was not told
        return False
    return not (record.name.startswith("prefect") and record.levelno < logging.WARNING)


class _AboveBars(io.TextIOBase):
    """A stream that prints above the bars, to whatever stderr is at the moment."""

    def write(self, text: str) -> int:
        if text.strip():
            progress.console.print(Text.from_ansi(text.rstrip("\n")))
        return len(text)

    def isatty(self) -> bool:
        return progress.console.is_terminal


def _start_server(failed: list[Exception]) -> None:
    """Has Prefect start its temporary server, unless PREFECT_API_URL names one."""
    from prefect.client.orchestration import get_client

    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # of this thread and its children
    try:
        with get_client(sync_client=True):
            pass
    except Exception as error:  # told by the thread that waits for this one
        failed.append(error)


def _flush(began: datetime) -> None:
    """Waits until the temporary server has written down how every task run since `began` ended."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import (
        TaskRunFilter,
        TaskRunFilterStartTime,
        TaskRunFilterState,
        TaskRunFilterStateType,
    )
    from prefect.client.schemas.objects import StateType
    from prefect.events.worker import EventsWorker
    from prefect.settings import get_current_settings

    if get_current_settings().api.url is not None:  # a lasting server needs no farewell
        return
    EventsWorker.drain_all(timeout=FLUSH_SECONDS)
    time.sleep(0.5)  # from the socket to the recorder
    running = TaskRunFilter(
        start_time=TaskRunFilterStartTime.model_validate({"after_": began}),
        state=TaskRunFilterState(type=TaskRunFilterStateType(any_=[StateType.RUNNING])),
    )
    end = time.monotonic() + FLUSH_SECONDS
    with get_client(sync_client=True) as client:
        while client.read_task_runs(task_run_filter=running) and time.monotonic() < end:
            time.sleep(0.25)
