"""What is asked of an archive, in words and as values: one meaning, and nothing is run."""

from __future__ import annotations

import operator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushforward import Archive
from pushforward.conditions import Condition, conditions, parse
from pushforward.entries import Entry
from pushforward.evaluation import evaluate
from pushforward.export import intake
from pushforward.flows.browse import conditions as of_command
from pushforward.flows.usage import UsageError
from pushforward.solvers import Grid

SIGNS = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
}
NUMBER = st.floats(-1e6, 1e6, allow_nan=False)


def entry(**equation: object) -> Entry:
    values = {"equation": {"kind": "kdv"} | equation, "grid": {"shape": [64, 32]}, "members": 8}
    return Entry("simulation-1a2b3c4d5e", "simulation", True, values, None)


@given(st.sampled_from(sorted(SIGNS)), NUMBER, NUMBER, st.sampled_from(["", " ", "  "]))
def test_numbers_compare_as_in_python(sign: str, fact: float, value: float, gap: str) -> None:
    condition = parse(f"dispersion{gap}{sign}{gap}{value!r}")
    assert condition.holds([fact]) == SIGNS[sign](fact, value)
    assert entry(dispersion=fact).matches({}, condition) == SIGNS[sign](fact, value)


def test_exponents_are_numbers_as_in_studies() -> None:
    assert parse("viscosity<1e-3").value == 1e-3
    assert parse("viscosity=[0, 1e-3]").value == (0, 1e-3)
    assert parse("name=1e-3x").value == "1e-3x"


def test_names_compare_by_equality_alone() -> None:
    assert entry().matches({}, "equation = kdv", "equation == kdv", "equation != burgers")
    assert not entry().matches({}, "equation != kdv")
    assert not entry().matches({}, "preset != gud")  # it has none
    assert not entry(name="x").matches({}, "equation.name >= 0")
    assert not entry(flag=True).matches({}, "flag > 0")
    assert entry(flag=True).matches({"flag": True}, "flag = true")


def test_the_resolution_is_the_fewest_points_of_the_own_grid() -> None:
    assert entry().matches({"resolution": 32}, "resolution >= 32")
    assert not entry().matches({}, "resolution >= 33")
    drawn = {"grid": {"shape": [128, 128]}, "training": {"simulation": entry().spec}}
    other = Entry("generation-1a2b3c4d5e", "generation", True, drawn, None)
    assert other.matches({}, "resolution = 128")
    coarse = Entry(other.name, other.kind, True, drawn | {"grid": None}, None)
    assert coarse.matches({}, "resolution = 32")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("viscosity", "expected key=value"),
        ("< 3", "expected key=value"),
        ("viscosity <", "expected key=value"),
        ("viscosity => 3", "expected key=value"),
        ("0 < viscosity", "expected key=value"),
        ("__import__('os').system('x') < 1", "expected key=value"),
        ("equation < kdv", "expected a number after equation <"),
        ("members >= [1, 2]", "expected a number after members >="),
        ("equation = [1", "expected a YAML value"),
        ("equation = !!python/object/apply:os.getcwd []", "expected a YAML value"),
    ],
)
def test_what_is_no_condition_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as refusal:
        parse(text)
    assert "\n" not in str(refusal.value)
    with pytest.raises(UsageError, match=f"--where: {said}"):
        of_command((text,))
    with pytest.raises(ValueError, match=said):  # also of an archive that holds nothing
        Archive("nowhere").search(text)


def test_words_and_values_are_one_question() -> None:
    found = conditions(["members > 4"], {"equation": "kdv", "members": (0, 8)})
    assert found == [
        Condition("members", ">", 4),
        Condition("equation", "=", "kdv"),
        Condition("members", "=", (0, 8)),
    ]
    assert of_command(("members>4",)) == found[:1]


def test_an_archive_is_searched_by_physics_and_scores(lineage) -> None:
    evaluation, archive = lineage(grid=Grid((32, 32)))
    evaluate(evaluation, archive)
    generation = evaluation.generation
    simulation = generation.training.simulation

    def names(*words: str, **where: object) -> set[str]:
        found = {one.name for one in archive.search(*words, **where)}
        assert found == {*archive.table(*words, **where).index}
        return found

    everything = {evaluation.name, generation.name, generation.training.name, simulation.name}
    assert names("viscosity <= 0.01") == everything
    assert names("viscosity < 0.01") == set()
    assert names("resolution > 16") == {generation.name}
    assert names("resolution <= 16", kind="simulation") == {simulation.name}
    assert names("preset != gud") == set()
    assert names("preset != ddo", "kind = training") == {generation.training.name}
    w1 = archive.table().w1[evaluation.name]
    assert names(f"w1 <= {1.01 * w1}") == {evaluation.name}
    assert names(f"w1 <= {0.99 * w1}") == set()
    assert names(f"w1 > {0.99 * w1}", "viscosity < 1", equation="navier_stokes") == {
        evaluation.name
    }
    assert {*intake(archive, "resolution > 16")["sources"]} == {generation.name}
    assert Archive(Path(str(archive.root))).search("members < 0") == []
