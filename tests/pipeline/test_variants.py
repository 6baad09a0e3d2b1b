"""A page with variants is a family of studies: one for each combination, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pushforward import Study
from pushforward.variants import cover, family

AXES = {
    "prior": {
        "own": {},
        "white": {"training.surrogate.path.prior": {"kind": "white"}},
    },
    "points": {8: {"generation.grid": {"shape": [8, 8]}}, 16: {}, 32: {}},
}


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """The study smoke, with two axes."""
    values = Study.load("smoke").sections()
    path = tmp_path / "page.yaml"
    path.write_text(
        yaml.safe_dump({**values, "variants": AXES}, sort_keys=False), encoding="utf-8"
    )
    return path


def test_there_is_a_member_for_each_combination(page: Path) -> None:
    found = family(page)
    assert list(found) == [
        f"{prior}, {points}" for prior in ("own", "white") for points in (8, 16, 32)
    ]
    assert found["white, 8"].training.surrogate.path.prior.kind == "white"
    assert found["white, 8"].generation.target.shape == (8, 8)
    assert found["white, 8"].title == "Smoke: white, 8"


def test_members_share_what_they_do_not_change(page: Path) -> None:
    found = family(page)
    assert len({study.simulation.name for study in found.values()}) == 1
    assert len({study.training.name for study in found.values()}) == 2
    assert found["own, 16"].evaluation.name == found["own, 32"].evaluation.name
    assert found["own, 16"].evaluation.name == Study.load("smoke").evaluation.name


def test_the_page_as_it_stands_is_a_study(page: Path) -> None:
    assert Study.load(page).evaluation.name == Study.load("smoke").evaluation.name


def test_overrides_change_every_member(page: Path) -> None:
    assert {study.training.steps for study in family(page, ["training.steps=3"]).values()} == {3}


def test_some_are_chosen_by_name(page: Path) -> None:
    assert list(family(page, chosen=["white"])) == ["white, 8", "white, 16", "white, 32"]
    assert list(family(page, chosen=["white, 8"])) == ["white, 8"]
    assert list(family(page, chosen=["8", "32"])) == ["own, 8", "own, 32", "white, 8", "white, 32"]


def test_members_are_the_same_in_any_company(tmp_path: Path) -> None:
    """A later axis may write into what an earlier one set, of its own member alone."""
    axes = {
        "noise": {"own": {"training.surrogate.path": {"lowest": -7, "highest": 7}}, "none": {}},
        "range": {"low": {"training.surrogate.path.lowest": -3}, "as it is": {}},
    }
    path = tmp_path / "page.yaml"
    values = Study.load("smoke").sections() | {"variants": axes}
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    every = family(path)
    assert every["own, as it is"].training.surrogate.path.lowest == -7
    for name, study in every.items():
        assert family(path, chosen=[name])[name].evaluation.name == study.evaluation.name


def test_a_cover_has_every_variant(page: Path) -> None:
    assert list(cover(family(page))) == ["own, 8", "white, 16", "own, 32"]
    assert list(cover(family("smoke"))) == [""]


@pytest.mark.parametrize(
    ("variants", "sentence"),
    [
        ([1], "expected axis: {variant"),
        ({"a": {}}, "variants.a: expected axis"),
        ({"a": {"b": 3}}, "variants.a: expected axis"),
        ({"a": {"b": {}}, "c": {"b": {}}}, "names that stand once"),
        ({"a": {"b, c": {}}}, "have no comma"),
        ({"a": {"b": {"training.stepz": 3}}}, "b: .*stepz"),
        (
            {"a": {"b": {"title.x": 3}}},
            "b: title.x: expected title to hold named values",
        ),
        ({"a": {"b": {3: 3}}}, "b: .*3"),
    ],
)
def test_mistakes_are_one_sentence(variants: object, sentence: str, page: Path) -> None:
    values = yaml.safe_load(page.read_text(encoding="utf-8"))
    page.write_text(
        yaml.safe_dump({**values, "variants": variants}, sort_keys=False), encoding="utf-8"
    )
    with pytest.raises(ValueError, match=sentence) as told:
        family(page)
    assert "\n" not in str(told.value)


def test_a_choice_on_a_page_without_variants_is_told_of() -> None:
    with pytest.raises(ValueError, match="expected a page with variants, got one without"):
        family("smoke", chosen=["white"])


def test_a_name_that_is_none_is_told_of(page: Path) -> None:
    with pytest.raises(ValueError, match="expected one of 16, 32, 8, own, white, got whit"):
        family(page, chosen=["whit"])
