"""Data in place of an equation: members that are drawn or read are stored and learnt alike."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pushforward import Archive, Simulation, Study, certify, evaluate, generate, simulate, train
from pushforward.batches import Streamed, load
from pushforward.images import Images
from pushforward.preparation import prepare
from pushforward.report import report
from pushforward.solvers import GaussianField, GaussianMixture, Grid, NavierStokes, Ramp

WALLS = Grid((16, 16), (1.0, 1.0), "neumann")
LAW = GaussianMixture(
    means=(Ramp((0.0, 1.0)), Ramp((0.0, -1.0))),
    field=GaussianField.matern(3.0, 0.3, deviation=1.0, cutoff=6),
)
MIXTURE = Simulation(data=LAW, grid=WALLS, times=(0.0,), members=24, batch=4, block=8)
PAGE = {
    "training.members": 16,
    "training.held_out": 4,
    "training.translations": False,
    "training.surrogate.basis": "cosine",
    "training.steps": 2,
    "training.batch": 4,
    "training.calibration": 4,
    "evaluation.members": 8,
    "generation.members": 8,
}


def study(**changes: object) -> Study:
    """The study smoke with a mixture for its data."""
    sections = Study.load("smoke").sections()
    sections["simulation"] = MIXTURE.model_dump(mode="json") | {"members": 64}
    values = [f"{key}={value}".replace("'", '"') for key, value in (PAGE | changes).items()]
    return Study.of(sections, values, "mine")


def test_what_is_stored_is_what_the_law_draws(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    simulate(MIXTURE, archive)
    stored = archive.open(MIXTURE)
    assert stored.u.dims == ("member", "time", "y", "x")
    assert stored.time.values.tolist() == [0.0]
    drawn = LAW.draw(range(24), WALLS).float()
    assert torch.equal(torch.from_numpy(stored.u.values)[:, 0], drawn[:, 0])
    assert "gaussian_mixture" in stored.attrs["keywords"]


def test_where_files_lie_is_no_part_of_a_name() -> None:
    own = Simulation(data=Images("mnist"), grid=WALLS, times=(0.0,), members=8, batch=8, block=8)
    moved = own.model_copy(update={"location": "/my/files"})
    assert own.name == moved.name
    assert own.name != own.model_copy(update={"data": Images("mnist", split="test")}).name


def test_where_files_lie_is_stored_nowhere() -> None:
    own = MIXTURE.model_copy(update={"location": "/my/files"})
    assert "location" not in own.model_dump(mode="json")
    assert pickle.loads(pickle.dumps(own)).location == "/my/files"  # workers know it


def test_files_of_ones_own_are_known_by_their_sums() -> None:
    files = {"data": Images("mnist", files=("mine.gz",)), "grid": WALLS, "times": (0.0,)}
    with pytest.raises(ValueError, match=r"expected a sha256 for each of data\.files mine\.gz"):
        Simulation(**files, members=8, batch=8, block=8)
    one, two = (
        Simulation(**files | {"data": replace(files["data"], sha256=(digit * 64,))}, members=8,
                   batch=8, block=8).name
        for digit in "ab"
    )  # fmt: skip
    assert one != two
    with pytest.raises(
        ValueError, match="expected a sha256 of 64 hexadecimal digits, got 'foo:12'"
    ):
        Images("mnist", files=("a",), sha256=("foo:12",))


def test_a_trial_run_needs_no_files() -> None:
    page = Study.load("seeds/mdm_mnist", [
        "simulation.data={kind: mnist, field: logit, files: [a.gz], sha256: ["
        + "'" + "0" * 64 + "']}", "simulation.members=70000",
    ])  # fmt: skip
    small = page.smoke().simulation.data
    assert isinstance(small, Images)
    assert small.synthetic
    assert small.files == ()


def test_equations_keep_their_names() -> None:
    values = Study.load("smoke").simulation.identity()
    assert not {"data", "location"} & {*values}
    assert "grid" not in Study.load("smoke").training.identity()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"data": None}, "expected an equation or data, got neither"),
        ({"equation": NavierStokes(), "step": 0.1}, "expected an equation or data, got both"),
        ({"tolerance": 1e-3}, "expected no tolerance for gaussian_mixture"),
        ({"initial": LAW.field}, "expected no initial for gaussian_mixture"),
        ({"times": (1.0,)}, r"expected times \(0.0,\) for data"),
        ({"grid": Grid((16,), (1.0,), "neumann")}, "expected"),
    ],
)
def test_what_goes_with_an_equation_only_is_refused(changes: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as told:
        Simulation(**(dict(MIXTURE) | changes))
    assert "\n" not in str(told.value)


def test_asking_for_the_other_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="expected an equation to solve, got the data gaussian"):
        MIXTURE.problem()
    with pytest.raises(ValueError, match="expected data, got navier_stokes"):
        Study.load("smoke").simulation.source()


def test_members_are_learnt_on_a_coarser_grid(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    coarse = study(**{"training.grid": {"shape": [8, 8]}})
    simulate(coarse.simulation, archive)
    whole = load(study().training, archive)
    few = load(coarse.training, archive)
    assert few.shape[2:] == (8, 8)
    assert torch.equal(few, WALLS.resample(whole, coarse.training.learnt_on))
    assert coarse.generation.target.shape == (8, 8)
    train(coarse.training, archive)
    surrogate = archive.surrogate(coarse.training)
    assert surrogate.grid == coarse.training.learnt_on


def test_a_coarser_grid_is_read_as_it_comes(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    resident = study(**{"training.grid": {"shape": [8, 8]}}).training
    streamed = resident.model_copy(update={"memory": 1e-6})
    simulate(resident.simulation, archive)
    _, seen, held_out = prepare(streamed, archive)
    assert isinstance(seen, Streamed)
    _, known, others = prepare(resident, archive)
    order = seen.order(0)
    rows = seen.rows(range(len(order)))
    expected = known.first(len(order))[order]
    torch.testing.assert_close(rows, expected)
    torch.testing.assert_close(held_out, others)
    seen.close()


@pytest.mark.parametrize("shape", [[32, 32], [8]])
def test_a_grid_that_is_not_coarser_is_refused(shape: list[int]) -> None:
    with pytest.raises(ValueError, match="expected"):
        study(**{"training.grid": {"shape": shape}})


def test_a_list_and_a_report_speak_of_data(tmp_path: Path) -> None:
    archive, small = (
        Archive(tmp_path),
        study(**{"evaluation.splits": 4, "evaluation.bootstrap": 4}),
    )
    simulate(small.simulation, archive)
    train(small.training, archive)
    generate(small.generation, archive)
    evaluate(small.evaluation, archive)
    assert set(archive.table().equation) == {"gaussian_mixture"}
    (found,) = archive.search("data=gaussian_mixture", kind="simulation")
    assert found.name == small.simulation.name
    assert "certificate" not in archive.open(small.simulation).attrs
    said = report(small.evaluation, archive).read_text(encoding="utf-8")
    assert "Drawn or read, not solved for: gaussian_mixture" in said
    assert "Certificate" not in said
    with pytest.raises(ValueError, match="expected an equation to solve"):
        certify(small.simulation, archive)
