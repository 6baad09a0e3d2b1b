"""The tutorials run as they stand, and print what they say they do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.tutorial_runner import FOLDER, LARGER, NAMES, PICTURE, Shell, blocks, differences, run

DOCS = FOLDER.parent


@pytest.mark.parametrize("name", NAMES)
def test_a_tutorial_prints_what_it_shows(name: str, tmp_path: Path) -> None:
    wrong: list[str] = []
    for block, printed in run(name, tmp_path):
        if block.shown is not None:
            wrong += differences(block.shown, printed)
    assert wrong == [], f"python -m docs.tutorial_runner {name}"


def test_every_page_is_run() -> None:
    assert {path.stem for path in FOLDER.glob("*.md")} == set(NAMES)
    for name in NAMES:
        shown = [one for one in blocks((FOLDER / f"{name}.md").read_text()) if one.shown]
        assert len(shown) >= 3, name  # a fence that the runner misses would pass anything


@pytest.mark.parametrize("path", [*DOCS.glob("*.md"), *FOLDER.glob("*.md")], ids=lambda p: p.stem)
def test_links_and_pictures_lead_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)|<img src=\"([^\"]+)\"", text)
    for target in (one or other for one, other in links):
        assert (path.parent / target).exists(), target


def test_every_second_value_is_found() -> None:
    for name in NAMES:
        page = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
        assert page.count("# for the picture") == len(LARGER.findall(page)), name


def test_what_is_made_is_asked_for() -> None:
    """No picture lies beside the pages that none of them shows."""
    shown = {
        target
        for name in NAMES
        for target, _ in PICTURE.findall((FOLDER / f"{name}.md").read_text())
    }
    assert {path.name for path in FOLDER.iterdir() if path.suffix in (".png", ".gif")} == shown


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("floor 0.50", "floor 0.60"),
        ("simulation-1a2b3c4d5e", "simulation-1a2b3c4d5f"),
        ("True", "False"),
        ("one", "one\ntwo"),
        ("(128, 2)", "(128, 3)"),
        ("-0.50", "0.50"),
    ],
)
def test_what_differs_is_found(shown: str, printed: str) -> None:
    """Negative controls."""
    assert differences(shown, printed)


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("w1  0.435", "w1 0.437"),
        ("in 3.1 s, 40 members/s", "in 29 s, 7 members/s"),
        ("made 2026-11-29 07:15", "made 2031-01-02 17:01"),
        ("spec.json  3,267 bytes", "spec.json  3,270 bytes"),
    ],
)
def test_what_a_machine_decides_may_differ(shown: str, printed: str) -> None:
    assert not differences(shown, printed)


def test_a_command_that_fails_is_no_output(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="exits with 2"):
        Shell().run("pushforward run no_such_study")
    with pytest.raises(RuntimeError, match="got rm"):
        Shell().run("rm -r runs")


def test_a_page_that_raises_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "page.md").write_text("```python\nprint(1)\nraise KeyError\n```\n")
    monkeypatch.setattr("docs.tutorial_runner.FOLDER", tmp_path)
    with pytest.raises(KeyError) as caught:
        next(run("page", tmp_path))
    assert "page.md" in caught.value.__notes__[0]
