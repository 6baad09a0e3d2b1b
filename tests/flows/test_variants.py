"""Commands on a page with variants: all of them, the chosen ones, and one where one is meant."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from pushforward import Study
from pushforward.archive import Archive
from pushforward.flows import cli
from pushforward.flows.usage import UsageError, loaded
from pushforward.variants import family

PLAIN = ("--no-prefect", "--workers", "1")


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """The study smoke with two sizes of batches, and two trainings."""
    axes = {
        "seed": {"first": {}, "second": {"training.seed": 5}},
        "points": {"16": {}, "8": {"generation.grid": {"shape": [8, 8]}}},
    }
    path = tmp_path / "page.yaml"
    values = {**Study.load("smoke").sections(), "variants": axes}
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    return path


def said(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        cli.main([str(argument) for argument in arguments])
    out, err = capfd.readouterr()
    return int(left.value.code or 0), out, err


def test_a_verb_runs_for_every_variant_and_tells_which(
    page: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "runs"
    code, out, _ = said(capfd, "simulate", page, "--root", root, *PLAIN)
    assert code == 0
    assert out.count(Study.load("smoke").simulation.name) == 4
    assert "Smoke: second, 8" in out
    code, out, _ = said(capfd, "train", page, "--root", root, "--variant", "second", *PLAIN)
    assert code == 0
    studies = family(page)
    archive = Archive(root)
    assert archive.sealed(studies["second, 8"].training)
    assert not archive.sealed(studies["first, 8"].training)


def test_a_variant_that_is_none_is_a_mistake_of_usage(
    page: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code, out, err = said(capfd, "train", page, "--variant", "third", *PLAIN)
    assert (code, out) == (2, "")
    assert "expected one of 16, 8, first, second, got third" in err


def test_garbage_of_a_page_is_what_none_of_its_variants_names(
    page: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "runs"
    for verb in ("simulate", "train"):
        chosen = ("--variant", "second", "--variant", "8")
        assert said(capfd, verb, page, "--root", root, *chosen, *PLAIN)[0] == 0
    for path in [*root.rglob("*"), *root.iterdir()]:
        os.utime(path, (0, 0))  # what is new may have a writer
    code, out, _ = said(capfd, "gc", page, "--root", root, "--yes")
    assert (code, out) == (0, f"{root}: nothing to remove\n")
    code, out, _ = said(capfd, "gc", "smoke", "--root", root, "--yes")
    assert family(page)["second, 8"].training.name in out  # it is none of the study smoke


def test_where_one_study_is_meant_one_is_to_be_chosen(page: Path) -> None:
    with pytest.raises(UsageError, match="expected one study, got 4 variants; choose one by"):
        loaded(str(page))
    assert loaded(str(page), variant=["first", "8"]).generation.target.shape == (8, 8)
