"""What clients raise becomes one sentence with a remedy; a defect of the program does not."""

from __future__ import annotations

import errno

import httpx
import pytest

from pushforward.flows import refusals
from pushforward.flows.refusals import ServerGone, refusal


@pytest.mark.parametrize("error", [httpx.ConnectError("refused"), httpx.ReadTimeout("slow")])
def test_a_server_that_is_gone_is_told_in_one_sentence(error: Exception) -> None:
    found = refusal(error)
    assert isinstance(found, ServerGone)
    assert str(found).startswith(f'expected the Prefect server to answer, got "{error}"; start it')


def test_an_error_without_a_remedy_is_given_one() -> None:
    found = refusal(OSError(errno.EIO, "Input/output error"))
    assert 'got "[Errno 5] Input/output error"; check the address' in str(found)
    assert not isinstance(found, ServerGone)


@pytest.mark.parametrize(
    "error", [OSError("expected a, got b; do c"), ValueError("x"), KeyError()]
)
def test_what_has_one_or_is_a_defect_stays(error: Exception) -> None:
    assert refusal(error) is None


def test_the_process_ends_at_once_only_where_a_lasting_server_was_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    ended: list[int] = []
    monkeypatch.setattr(refusals.os, "_exit", ended.append)
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        assert refusals.leave(1) == 1
    assert ended == []
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:1/api"}):
        refusals.leave(1)
    assert ended == [1]
