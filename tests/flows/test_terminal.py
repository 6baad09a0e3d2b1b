"""Prefect's lines and the bars on one screen."""

from __future__ import annotations

import io
import logging

import pytest
from rich.console import Console

from pushforward import progress
from pushforward.flows.terminal import share_console, worth_a_line
from pushforward.progress import bar


def record(name: str, level: int, message: str) -> logging.LogRecord:
    return logging.LogRecord(name, level, __file__, 1, message, (), None)


def test_prefects_lines_start_a_fresh_row(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    terminal = Console(file=written, force_terminal=True, width=100, color_system=None)
    monkeypatch.setattr(progress, "console", terminal)
    (handler,) = share_console()
    with bar("simulate", 4, "members") as advance:
        advance(2)
        assert progress._display is not None
        progress._display.refresh()
        handler.handle(record("prefect", logging.WARNING, "a line of Prefect's"))
    text = written.getvalue()
    before, _, after = text.partition("a line of Prefect's")
    row = before.rpartition("\n")[2].rpartition("\x1b[2K")[2]
    assert "━" not in row, "the bar and the line must not share a row"
    assert "━" in before
    assert after.startswith("\n")


@pytest.mark.parametrize(
    ("name", "level", "message", "shown"),
    [
        ("prefect.flow_runs", logging.INFO, "Finished in state Completed()", True),
        ("prefect.flow_runs", logging.WARNING, "something odd", True),
        ("prefect.flow_runs", logging.INFO, "Finished in state Failed('...')", False),
        ("prefect.flow_runs", logging.ERROR, "Encountered exception during execution", False),
        ("prefect.task_runs", logging.INFO, "Finished in state Completed()", False),
        ("prefect.task_runs", logging.ERROR, "Task run failed with exception", False),
        ("prefect", logging.INFO, "Starting temporary server", False),
        ("prefect.events", logging.ERROR, "a real complaint", True),
        ("pushforward", logging.INFO, "complete: nothing to do", True),
        ("another.library", logging.WARNING, "deprecated", True),
    ],
)
def test_what_is_worth_a_line(name: str, level: int, message: str, shown: bool) -> None:
    assert worth_a_line(record(name, level, message)) is shown
