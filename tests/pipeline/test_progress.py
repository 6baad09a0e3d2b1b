"""Bars and lines: what a terminal shows, what a log file gets."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
import threading

import pytest
from rich.console import Console

from pushforward import progress
from pushforward.progress import bar, say


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="pushforward")
    return caplog


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """A terminal of 100 columns in place of stderr."""
    written = io.StringIO()
    terminal = Console(file=written, force_terminal=True, width=100, color_system=None)
    monkeypatch.setattr(progress, "console", terminal)
    monkeypatch.setattr(progress.logger, "propagate", False)  # pytest's own handlers
    return written


def test_a_line_goes_through_the_logger(heard: pytest.LogCaptureFixture) -> None:
    say("100% of 3 members {}")
    assert heard.messages == ["100% of 3 members {}"]


def test_a_bar_leaves_a_summary(heard: pytest.LogCaptureFixture) -> None:
    with bar("train", 10, "steps", done=4) as advance:
        advance(5, loss=0.123456)
        advance()
    (line,) = heard.messages
    assert line.startswith("train: 6 steps in 0:00:0")
    assert "steps/s" in line
    assert line.endswith("loss 0.1235")


def test_a_bar_that_fails_claims_nothing(heard: pytest.LogCaptureFixture) -> None:
    def work() -> None:
        with bar("simulate", 4, "members") as advance:
            advance(2)
            raise FloatingPointError

    with pytest.raises(FloatingPointError):
        work()
    assert heard.messages == []


def test_a_bar_without_work_is_silent(heard: pytest.LogCaptureFixture) -> None:
    with bar("simulate", 4, "members", done=4):
        pass
    assert heard.messages == []


def test_a_log_file_gets_a_line_now_and_then(
    heard: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 1000, 5))  # every look at the clock is five seconds later
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
    with bar("simulate", 20, "members") as advance:
        for _ in range(10):
            advance(2)
    *lines, summary = heard.messages
    assert 1 < len(lines) < 10
    assert lines[0] == "simulate: 6 of 20 members, 0.4 members/s, 0:00:35 left"
    assert summary.startswith("simulate: 20 members in")


def test_a_terminal_gets_a_bar_and_lines_above_it(screen: io.StringIO) -> None:
    with bar("simulate", 4, "members") as advance:
        advance(1, block=7)
        say("in the middle")
        advance(3)
        assert progress._display is not None
        progress._display.refresh()
    text = screen.getvalue()
    assert "━" in text
    assert "4/4 members" in text
    assert "block 7" in text
    above = text[: text.index("in the middle")]
    assert above.endswith("\x1b[2K") or above.endswith("\n"), "the line must start a fresh row"
    assert progress._display is None


def test_bars_in_threads_share_one_display(screen: io.StringIO) -> None:
    together = threading.Barrier(4)
    displays = set()

    def work(number: int) -> None:
        with bar(f"worker {number}", 50, "members") as advance:
            together.wait()
            displays.add(id(progress._display))
            for _ in range(50):
                advance()
            together.wait()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(displays) == 1
    assert progress._display is None
    assert screen.getvalue().count("50 members in") == 4


def test_stderr_gets_the_line_when_nobody_configured_logging() -> None:
    code = "from pushforward.progress import say; say('[bold]hello[/bold] world')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[bold]hello[/bold] world\n"
    assert done.stdout == ""


def test_the_line_comes_once_when_somebody_did() -> None:
    code = (
        "import logging; logging.basicConfig(level='INFO', format='%(name)s: %(message)s')\n"
        "from pushforward.progress import say; say('hello')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "pushforward: hello\n"
