"""The page of the seeds' experiments is what its numbers say, and leaves no row out."""

from __future__ import annotations

from pathlib import Path

from benchmarks.seeds.__main__ import PAGES, RESULTS, ROWS, made, page
from benchmarks.seeds.page import written

WORDS = ("confirmed", "not confirmed", "beyond the budget")


def test_the_page_is_made_of_the_stored_numbers_alone() -> None:
    assert RESULTS.with_suffix(".md").read_text(encoding="utf-8") == page()


def test_every_page_of_the_catalogue_is_in_a_row() -> None:
    used = {name for row in ROWS for name in row.pages}
    assert used == {path.stem for path in PAGES.glob("*.yaml")}
    assert len({row.name for row in ROWS}) == len(ROWS) == 12


def test_a_row_that_was_not_run_says_so() -> None:
    said = written(ROWS, {})
    assert said.count("**beyond the budget** | not run |") == len(ROWS)


def test_a_row_is_run_measured_and_written(tmp_path: Path) -> None:
    (row,) = [row for row in ROWS if row.name == "multilevel_mixture"]
    found = made(row, str(tmp_path), smoke=True)
    assert found["costs"]["trainings"]
    assert row.verdict(found["measured"]).word in WORDS
    said = written(ROWS, {row.name: found})
    assert said.count("not run |") == len(ROWS) - 1
    for one in row.tables(found["measured"]):
        assert all(len(line) == len(one.head) for line in one.lines)
        assert all(isinstance(cell, str) for line in one.lines for cell in line)
