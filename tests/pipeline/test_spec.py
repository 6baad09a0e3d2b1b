"""Specs and studies: names, overrides, and one sentence for every mistake."""

from __future__ import annotations

import hashlib
import pickle
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from pushforward.generative import PRESETS
from pushforward.lineage import Spec
from pushforward.solvers import GaussianField, GrayScott, Grid, NavierStokes
from pushforward.solvers.random_bumps import RandomBumps
from pushforward.spec import Evaluation, Generation, Simulation, Training, restore
from pushforward.study import Study

YAML = """
title: a study
simulation:
  equation: {kind: navier_stokes, viscosity: 1e-3}
  grid: {shape: [64, 64]}
  forcing: {kind: matern, exponent: 4, length: 0.3, deviation: 1}
  times: [0, 1, 2.5]
  step: 1e-2
  members: 2048
training: {members: 1000, held_out: 200, steps: 4000, frames: [1, -1]}
generation: {members: 300}
evaluation: {members: 200}
"""


def simulation(**changes: Any) -> Simulation:
    values: dict[str, Any] = {
        "equation": NavierStokes(viscosity=1e-2),
        "grid": Grid((16, 16)),
        "times": (1.0,),
        "step": 0.1,
        "members": 104,
    }
    return Simulation(**values | changes)


def lineage(block: int = 64, every: int = 250, **changes: Any) -> Evaluation:
    training = Training(
        simulation=simulation(block=block, **changes),
        members=16,
        held_out=8,
        steps=3,
        checkpoint_every=every,
    )
    generation = Generation(training=training, members=20, block=block)
    return Evaluation(generation=generation, members=20)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "study.yaml"
    path.write_text(YAML)
    return path


def refusal(path: Path, *overrides: str) -> str:
    with pytest.raises(ValueError, match=r"(?s).+") as caught:
        Study.load(path, overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{path}: ")


def test_layout_is_no_part_of_a_name_at_any_depth():
    specs: list[Any] = [lineage(), lineage(block=128, every=7, batch=16)]
    for _ in range(4):
        assert specs[0].name == specs[1].name
        specs = [spec.upstream for spec in specs]
    assert specs == [None, None]


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"step": 0.1000000000000001},
        {"dtype": "float64"},
        {"tolerance": 1e-3},
        {"scheme": "etdrk4"},
        {"noise": GaussianField.matern(4.0, 0.3), "initial": None},
        {"solver_grid": Grid((24, 24))},
        {"storage": "critical"},
        {"equation": NavierStokes(viscosity=1.1e-2)},
        {"equation": GrayScott()},
        {"initial": GaussianField.matern(4.0, 0.3)},
        {"grid": Grid((16, 16), (1.0, 1.0))},
    ],
)
def test_whatever_changes_the_result_changes_every_name_downstream(change: dict[str, Any]):
    here: Any = lineage()
    there: Any = lineage(**change)
    while here is not None:
        assert here.name != there.name
        here, there = here.upstream, there.upstream


def test_equal_numbers_have_equal_names():
    whole = simulation(times=(1,), step=1, equation=NavierStokes(viscosity=1, drag=0))
    parts = simulation(times=[1.0], step="1e0", equation=NavierStokes(viscosity=1.0, drag=-0.0))
    assert whole.name == parts.name
    assert whole.name != simulation(times=(1,), step=1, equation=NavierStokes(viscosity=2)).name


class Toy(Spec):
    """A spec of every kind of value."""

    kind: ClassVar[str] = "toy"
    layout: ClassVar[frozenset[str]] = frozenset({"block"})

    floats: tuple[float, ...]
    nested: dict[str, float | None]
    count: int = 3
    block: int = 5


def test_a_name_is_the_hash_of_canonical_json():
    toy = Toy(floats=(1, 0.1, 1e-300, -0.0), nested={"b": None, "a": 2})
    text = '{"count":3,"floats":[1.0,0.1,1e-300,0.0],"kind":"toy","nested":{"a":2.0,"b":null}}'
    assert toy.name == f"toy-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def test_a_spec_survives_json_and_pickle():
    spec = lineage(block=128)
    assert restore("evaluation", spec.model_dump(mode="json")) == spec
    assert pickle.loads(pickle.dumps(spec)).name == spec.name


def test_a_study_reads_its_sections(path: Path):
    study = Study.load(path)
    assert study.simulation.equation == NavierStokes(viscosity=1e-3)
    assert study.simulation.grid == Grid((64, 64))
    assert study.training.times == (1.0, 2.5)
    assert study.training.stack == ((1, "vorticity"), (-1, "vorticity"))
    assert study.evaluation.generation is study.generation
    assert Study(**study.sections()) == study


def test_overrides_are_yaml(path: Path):
    changes = [
        "simulation.grid.shape=[32, 32]",
        "simulation.step=2e-3",
        "title=other",
        "training.seed=3",
    ]
    study = Study.load(path, changes)
    assert study.simulation.grid.shape == (32, 32)
    assert (study.simulation.step, study.title, study.training.seed) == (2e-3, "other", 3)
    assert Study.load(path, ["simulation.forcing="]).simulation.forcing is None


@pytest.mark.parametrize(
    ("override", "where", "remedy"),
    [
        ("simulation.stp=1", "simulation.stp: ", "did you mean step?"),
        ("simulatoin.step=1", "simulatoin: ", "did you mean simulation?"),
        ("simulation.equation.viscocity=1", "simulation.equation.viscocity: ", "viscosity?"),
        ("simulation.equation.kind=navier_stoke", "simulation.equation.kind: ", "navier_stokes?"),
        ("simulation.forcing.lenght=1", "simulation.forcing.lenght: ", "did you mean length?"),
        ("simulation.grid.shape=[63, 64]", "simulation.grid: ", "choose even numbers"),
        ("simulation.times=[1, 1]", "simulation: ", "sort them"),
        ("simulation.step=soon", "simulation.step: ", "correct it"),
        ("simulation.step=.inf", "simulation.step: ", "correct it"),
        ("simulation.block=33", "simulation: ", "change one"),
        ("simulation.grid.shape=[64]", "simulation: ", "use (ny, nx)"),
        ("simulation.grid.boundary=walls", "simulation.grid.boundary: ", "of neumann, periodic"),
        ("simulation.grid.boundary=neumann", "simulation: ", "expected boundary periodic for Nav"),
        (
            "simulation.equation.kind=grayscott",
            "simulation.equation.kind: ",
            "did you mean gray_scott?",
        ),
        ("simulation.initial.kind=random_bump", "simulation.initial.kind: ", "random_bumps?"),
        (
            "simulation.initial={kind: random_bumps, cont: [1, 2]}",
            "simulation.initial.cont: ",
            "did you mean count?",
        ),
        ("simulation.initial={kind: matern, exponent: 1}", "simulation: ", "trace class"),
        ("simulation.noise={kind: matern, exponent: 1}", "simulation: ", "trace class"),
        ("simulation.step=", "simulation: ", "give tolerance=1e-5"),
        ("simulation.tolerance=1e-9", "simulation: ", "compute in float64"),
        ("simulation.tolerance=-1", "simulation.tolerance: ", "greater than 0"),
        ("simulation.scheme=rk4", "simulation.scheme: ", "expected one of etdrk2, etdrk4, ifrk32"),
        ("simulation.solver_grid.shape=[32, 32]", "simulation: ", "change its shape only"),
        ("simulation.storage=critical", "simulation: ", "give it one, or set storage: full"),
        ("simulation.storage=small", "simulation.storage: ", "expected one of critical, full"),
        ("training.surrogate.prest=gud", "training.surrogate.prest: ", "did you mean preset?"),
        (
            "training.surrogate.path.prior.kind=wite",
            "training.surrogate.path.prior.kind: ",
            "white?",
        ),
        ("training.surrogate.basis=haar", "training: ", "training.translations=false"),
        ("training.surrogate.loss.norm=2", "training.surrogate.loss: ", "norm from 0 to 1"),
        ("training.surrogate.process.mass=-1", "training.surrogate.process: ", "leave it out"),
        ("generation.sampler.metod=heun", "generation.sampler.metod: ", "did you mean method?"),
        ("generation.sampler={method: heum}", "generation.sampler.method: ", "did you mean heun?"),
        (
            "generation.sampler={method: strang, churn: 1}",
            "generation.sampler: ",
            "leave churn out",
        ),
        ("training.surrogate.preset=gudd", "training.surrogate.preset: ", "did you mean gud?"),
        ("training.simulation.step=1", "training.simulation: ", "write it as simulation"),
        ("training.frames=[5]", "training: ", "choose from 0..2"),
        ("training.frames=[2, -1]", "training: ", "choose from 0..2"),
        ("training.members=2000", "training: ", "raise simulation.members"),
        ("generation.grid={shape: [32, 32], extent: [1, 1]}", "generation: ", "change its shape"),
        ("generation.members=10", "evaluation: ", "raise generation.members"),
        ("evaluation.members=500", "evaluation: ", "lower evaluation.members"),
        ("evaluation=7", "evaluation: ", "write key: value"),
        ("title.x=7", "title.x: ", "to hold named values"),
        ("simulation", "expected an override a.b=c", "name a key and a value"),
        ("simulation.grid=[1", "simulation.grid: ", "quote it"),
    ],
)
def test_a_mistake_is_one_sentence(path: Path, override: str, where: str, remedy: str):
    text = refusal(path, override)
    assert text.startswith(where)
    assert remedy in text


@pytest.mark.parametrize(
    ("overrides", "remedy"),
    [
        (["training.surrogate={preset: multilevel, churn: 1.0}"], "leave churn out"),
        (["training.surrogate.churn=-1"], "churn, strength >= 0"),
        (["training.surrogate={preset: ddo, basis: haar}"], "fourier or cosine"),
        (["training.surrogate.path.blur=[0.1, 0.2]", "training.surrogate.basis=pca"], "blur of 0"),
        (["training.surrogate.path.hierarchy.level=1"], "haar (level)"),
        (["training.surrogate.path.windows={by: column}"], "pixel or haar"),
        (["training.surrogate.path.prior={kind: matern, exponent: 1}"], "trace class"),
        (["training.surrogate={preset: cld, variation: {clean: 0.1}}"], "turn or noise"),
        (["training.surrogate={process: {kind: ve}, method: sscs}"], "use strang"),
        (["training.surrogate.process.kind=ve", "generation.sampler.method=sscs"], "use strang"),
        (["training.surrogate.basis=pixel", "generation.grid.shape=[128, 128]"], "choose fourier"),
        (["training.surrogate.basis=pixel", "generation.extend=true"], "choose fourier"),
        (["generation.extend=true", "generation.grid.shape=[32, 32]"], "extend to more points"),
        (["generation.sampler={method: heun, order: 1}"], "leave it out"),
        (["generation.sampler={method: strang, inner: 5}"], "leave it out"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_computed(
    path: Path, overrides: list[str], remedy: str
):
    assert remedy in refusal(path, "training.translations=false", *overrides)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_one_key_and_any_part_of_it_can_be_changed(path: Path, name: str):
    study = Study.load(path, [f"training.surrogate.preset={name}"])
    plain = PRESETS[name]
    # what the file says of the network stays; everything else is the preset's
    assert study.training.surrogate == replace(plain, backbone=study.training.surrogate.backbone)
    sampler = study.generation.drawn_with
    assert (sampler.method, sampler.churn) == (plain.method, plain.churn)
    lowest = f"training.surrogate.path.lowest={plain.path.lowest - 1}"
    other = Study.load(path, [f"training.surrogate.preset={name}", lowest])
    changed = replace(plain.path, lowest=plain.path.lowest - 1)
    assert other.training.surrogate.path == changed
    assert other.training.name != study.training.name
    assert restore("training", other.training.model_dump(mode="json")) == other.training


NOISE = "simulation.noise={kind: matern, exponent: 3}"
DARCY = [
    "simulation.equation={kind: darcy}",
    "simulation.grid={shape: [64, 64], boundary: neumann}",
    "simulation.forcing=",
    "simulation.step=",
    "training.surrogate.basis=cosine",
    "training.translations=false",
    "training.frames=[0]",
]
WALLS = ["simulation.equation={kind: fitzhugh_nagumo}", *DARCY[1:3], "training.frames=[0]"]


@pytest.mark.parametrize(
    ("overrides", "remedy"),
    [
        ([NOISE, "simulation.tolerance=1e-4"], "leave both out"),
        ([NOISE, "simulation.scheme=etdrk4"], "leave both out"),
        ([*DARCY], "write times: .0."),
        ([*DARCY, "simulation.times=[0]", "simulation.step=0.1"], "no step for Darcy.*leave it"),
        ([*DARCY, "simulation.times=[0]", "simulation.tolerance=1e-4"], "no tolerance for Darcy"),
        ([*DARCY, "simulation.times=[0]", "simulation.scheme=etdrk4"], "no scheme for Darcy"),
        ([*DARCY, "simulation.times=[0]", NOISE], "no noise for Darcy.*remove it"),
        ([*DARCY, "simulation.times=[0]", "simulation.storage=critical"], "which leaves all"),
        ([*DARCY, "simulation.times=[0]", "simulation.grid.boundary=periodic"], "set grid.bound"),
        ([*WALLS, "training.translations=false"], "choose cosine"),
        ([*WALLS, "training.surrogate.basis=pixel"], "periodic box .* training.translations=fal"),
        (["training.surrogate.basis=cosine", "training.translations=false"], "choose fourier"),
    ],
)
def test_what_no_solver_or_basis_can_do_is_refused(path: Path, overrides: list[str], remedy: str):
    text = refusal(path, *overrides)
    assert re.search(remedy, text), text


@pytest.mark.parametrize(
    "prior",
    [
        "{kind: matern, exponent: 1.1, length: 0.354}",
        "{kind: laplacian, exponent: 1.1}",
        "{kind: band, length: 0.0714}",
        "{kind: combined, exponent: 1.1, length: 0.0714}",
    ],
)
def test_the_priors_of_multilevel_diffusion_are_a_line_each(path: Path, prior: str):
    changes = ["training.surrogate.preset=multilevel", f"training.surrogate.path.prior={prior}"]
    study = Study.load(path, changes)
    found = study.training.surrogate.path.prior
    assert f"kind: {found.kind}" in prior
    assert found.exponent == 1.1
    assert study.training.name != Study.load(path, changes[:1]).training.name or "matern" in prior


def test_a_study_of_every_family_is_read(path: Path):
    darcy = Study.load(path, [*DARCY, "simulation.times=[0]"]).simulation
    assert darcy.channels == ("permeability", "pressure")
    walls = Study.load(
        path, [*WALLS, "training.surrogate.basis=cosine", "training.translations=false"]
    ).simulation
    assert walls.grid == Grid((64, 64), boundary="neumann")
    noisy = Study.load(path, [NOISE, "simulation.forcing="]).simulation
    assert noisy.problem().noise == noisy.noise == GaussianField.matern(3.0, 1.0)
    bumps = simulation(equation=GrayScott(), initial={"kind": "random_bumps", "count": [1, 3]})
    assert bumps.problem().initial == bumps.initial == RandomBumps(count=(1, 3))
    assert restore("simulation", bumps.model_dump(mode="json")) == bumps
    assert simulation(initial=RandomBumps(count=(1, 3)), equation=GrayScott()).name == bumps.name


def test_the_solvers_grid_is_of_the_grids_box(path: Path):
    fine = "simulation.solver_grid.shape=[96, 96]"
    for box in ([], ["simulation.grid.extent=[1, 2]"]):
        loaded = Study.load(path, [*box, fine, "simulation.grid.shape=[64, 64]"]).simulation
        assert loaded.solver_grid == replace(loaded.grid, shape=(96, 96))
        assert loaded.problem().solved_on == loaded.solver_grid
    with pytest.raises(ValueError, match="change its shape only"):
        Study.load(path, [fine, "simulation.solver_grid.extent=[1, 2]"])


def test_smoke_keeps_what_decides_which_code_runs(path: Path):
    changes = ["simulation.tolerance=1e-4", "simulation.step=", "simulation.forcing="]
    changes += ["simulation.storage=critical", "simulation.solver_grid.shape=[80, 80]"]
    small = Study.load(path, changes).smoke().simulation
    assert small.grid == Grid((16, 16))
    assert small.solver_grid == Grid((20, 20))
    assert (small.tolerance, small.step, small.storage) == (1e-4, None, "critical")
    assert small.stored_on.shape == (14, 14)
    assert small.times[-1] <= 2.5
    darcy = Study.load(path, [*DARCY, "simulation.times=[0]"]).smoke().simulation
    assert (darcy.times, darcy.grid.boundary) == ((0.0,), "neumann")


def test_a_mistake_in_the_file_is_one_sentence(path: Path):
    path.write_text(YAML + "title: again\n")
    assert "title twice" in refusal(path)
    path.write_text("title: [\n")
    assert "expected YAML" in refusal(path)
    path.write_text(YAML.replace("  members: 2048\n", ""))
    assert refusal(path) == "simulation.members: expected a value, got none; add it"


def test_a_mistake_in_python_is_one_sentence():
    with pytest.raises(ValueError, match="did you mean members") as caught:
        simulation(mebers=3)
    assert str(caught.value).startswith("Simulation.mebers: ")
    assert "\n" not in str(caught.value)


def test_a_study_that_is_not_there(tmp_path: Path):
    for source in ("smoke_", tmp_path / "smoke.yaml", "elsewhere/smoke.yaml"):
        with pytest.raises(FileNotFoundError, match="expected a YAML file or a name"):
            Study.load(source)


def test_smoke_keeps_the_kinds_and_runs_in_a_moment(path: Path):
    study = Study.load(path, ["generation.grid={shape: [128, 128]}"])
    small = study.smoke()
    assert small.simulation.equation == study.simulation.equation
    assert small.simulation.forcing == study.simulation.forcing
    assert small.simulation.grid == Grid((16, 16), study.simulation.grid.extent)
    assert len(small.training.times) == len(study.training.times)
    assert small.simulation.step == study.simulation.step
    assert small.simulation.times[-1] <= 24 * 1e-2 + 1e-12
    assert small.generation.sampler.steps <= 4
    assert small.simulation.members <= 112
    assert small.smoke().evaluation.name == small.evaluation.name
