"""A result says how to make it again: the study that is written has its very name."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

from pushforward.archive import Archive
from pushforward.repetition import command, heading, study, written
from pushforward.simulation import simulate
from pushforward.solvers import GaussianField, Grid, NavierStokes
from pushforward.spec import KINDS, Simulation
from pushforward.study import Study

PAGES = sorted(
    entry.name.removesuffix(".yaml")
    for entry in resources.files("pushforward.catalogs").iterdir()
    if entry.name.endswith(".yaml")
)


def simulation(members: int) -> Simulation:
    return Simulation(
        equation=NavierStokes(viscosity=1e-5),
        grid=Grid((8, 8)),
        forcing=GaussianField.matern(4.0, 0.3, deviation=1.0),
        times=(0.1,),
        step=0.05,
        members=members,
        batch=2,
        block=4,
    )


@pytest.mark.parametrize("name", PAGES)
def test_a_study_of_every_kind_has_its_name(name: str, tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    for spec in Study.load(name).specs:
        path.write_text(written(study(spec)))
        again = getattr(Study.load(path), spec.kind)
        assert again.name == spec.name
        assert again == spec


def test_another_study_has_another_name(tmp_path: Path) -> None:
    """Negative control."""
    spec = simulation(12)
    text = written(study(spec))
    assert text.count("viscosity: 1.0e-05") == 1
    path = tmp_path / "study.yaml"
    path.write_text(text.replace("viscosity: 1.0e-05", "viscosity: 1.1e-05"))
    assert Study.load(path).simulation.name != spec.name


def test_an_archive_is_repeated_from_what_it_holds(archive: Archive, tmp_path: Path) -> None:
    spec = simulation(12)
    simulate(spec, archive)
    (entry,) = archive.search()
    path = tmp_path / "study.yaml"
    path.write_text(heading(entry) + written(study(archive.stored(entry.name))))
    again = Archive(tmp_path / "again")
    simulate(Study.load(path).simulation, again)
    ours, theirs = (
        [one["arrays"] for one in where.manifest(spec)["blocks"]] for where in (archive, again)
    )
    assert ours == theirs
    made = archive.manifest(spec)["provenance"]
    text = path.read_text()
    for said in (entry.name, made["time"], made["code"]["version"], made["libraries"]["torch"]):
        assert said in text
    assert "pushforward simulate study.yaml" in command(entry, archive.root)


def test_every_kind_has_its_verb(archive: Archive) -> None:
    simulate(simulation(12), archive)
    (entry,) = archive.search()
    verbs = {"evaluation": "run"} | {k: v.verb for k, v in KINDS.items() if k != "evaluation"}
    for kind, verb in verbs.items():
        one = type(entry)(f"{kind}-1a2b3c4d5e", kind, False, {}, None)
        assert f"pushforward {verb} study.yaml" in command(one, "a b")
        assert "--root 'a b'" in command(one, "a b")


def test_too_few_members_for_a_study_say_what_to_do() -> None:
    study(simulation(10))
    with pytest.raises(ValueError, match=r"too few .*; make it again in Python, simulate\("):
        study(simulation(9))
