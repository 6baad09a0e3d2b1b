"""What a study or a path says is text in Prefect's pages, and no markup."""

from __future__ import annotations

from pathlib import Path

from pushforward.flows.stages import _summary


def test_a_path_is_no_markup() -> None:
    page = Path("/tmp/<script>alert(1)</script>/[x](javascript:alert)/report.html")
    text = _summary("generation-1a2b3c4d5e", [{"inside": "yes"}, {"inside": "no"}], page)
    assert "1 of 2 scores" in text
    assert "<script" not in text
    assert "[x](" not in text
    assert r"\[x\](javascript" in text
    assert text.rstrip().endswith(f"]({page.as_uri()})")
    assert "[/tmp/plain.html](file:///tmp/plain.html)" in _summary(
        "x", [], Path("/tmp/plain.html")
    )
