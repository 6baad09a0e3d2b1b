"""Every page of the seeds' experiments runs from its first line to its report, shrunk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pushforward import Archive
from pushforward.flows.cli import main
from pushforward.variants import cover, family

PAGES = sorted((Path(__file__).resolve().parents[2] / "catalogs" / "seeds").glob("*.yaml"))
FAST = ("evaluation.splits=4", "evaluation.bootstrap=4")  # they mean nothing here anyhow


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # nobody's files: what is published is stood in for
    monkeypatch.setitem(os.environ, "PUSHFORWARD_DATA", str(tmp_path / "none"))
    root = tmp_path / "runs"
    changes = [word for change in FAST for word in ("--set", change)]
    where = ["--no-prefect", "--workers", "1", "--root", str(root)]
    with pytest.raises(SystemExit) as ended:
        main(["run", str(page), "--smoke", *where, *changes])
    assert ended.value.code == 0
    archive = Archive(root)
    for study in cover(family(page, FAST)).values():
        small = study.smoke()
        assert archive.sealed(small.evaluation)
        assert archive.file(small.evaluation, "report.html").is_file()


def test_every_variant_of_every_page_is_a_study() -> None:
    studies = {page.stem: family(page) for page in PAGES}
    assert sum(map(len, studies.values())) > 60
    for every in studies.values():
        names = [study.evaluation.name for study in every.values()]
        assert len({*names}) == len(names)  # no variant is another one by a second name
