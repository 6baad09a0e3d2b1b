"""Certificates: true errors, causes that are named, and data that say so."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import numpy as np
import pytest
import torch

from pushforward import certificate
from pushforward.archive import Archive
from pushforward.certificate import Certificate, Difference
from pushforward.certificate_table import rows, section
from pushforward.pilot import Run, certify, solve, thinned
from pushforward.simulation import simulate
from pushforward.solvers import GaussianField, GrayScott, Grid, NavierStokes
from pushforward.solvers.burgers import Burgers
from pushforward.solvers.darcy import Darcy
from pushforward.solvers.kdv import KortewegDeVries
from pushforward.spec import Simulation

SMOOTH = GaussianField.squared_exponential(0.8, deviation=1.0, cutoff=5, mean=False)
ROUGH = GaussianField.matern(2.0, 0.3, deviation=3.0, mean=False)


def spec(**changes: Any) -> Simulation:
    values: dict[str, Any] = {
        "equation": NavierStokes(viscosity=0.1),
        "grid": Grid((32, 32)),
        "initial": SMOOTH,
        "times": (0.0, 0.5, 1.0),
        "tolerance": 1e-5,
        "members": 10,
        "batch": 4,
        "block": 4,
    }
    return Simulation(**values | changes)


def largest(found: Certificate, cause: str) -> float:
    return max(place.error for place in found.place(cause))


def test_good_data_are_called_converged_and_bad_ones_by_their_cause(archive: Archive):
    good = certify(spec(), archive)
    assert good.converged
    assert good.verdict.startswith("converged: relative L2 error ")
    assert set(good.errors) == {"time step", "grid", "precision", "reference"}
    assert good.since is good.blame is None
    cases = {
        "time step": (spec(scheme="etdrk2", tolerance=None, step=0.5), "simulation.step=0.25"),
        "grid": (spec(initial=ROUGH), "simulation.solver_grid.shape=[64, 64]"),
    }
    for cause, (simulation, remedy) in cases.items():
        bad = certify(simulation, archive)
        assert not bad.converged
        assert bad.blame == cause
        assert remedy in bad.verdict
        assert largest(bad, "reference") > bad.limit
    # a step far longer than the interval is cut to it: half of it would be the same again
    for noise in (None, SMOOTH):
        long = {"scheme": "etdrk2", "tolerance": None, "step": 10.0, "times": (0.5,)}
        bad = certify(spec(**long, noise=noise, initial=ROUGH), archive, limit=1e-2)
        assert largest(bad, "time step") > bad.limit
        assert "simulation.step=0.25" in bad.verdict or bad.blame != "time step"
    strict = certify(spec(tolerance=2e-6), archive, limit=1e-7)
    assert not strict.converged
    assert largest(strict, "precision") > strict.limit


def test_the_error_is_the_true_one(archive: Archive):
    """Against a solution that is not of this room: linear decay on a line, in closed form."""
    line = Grid((16,))
    heat = KortewegDeVries(nonlinearity=0.0, dispersion=0.0, viscosity=0.5)
    simulation = spec(equation=heat, grid=line, initial=SMOOTH, tolerance=None, step=0.25)
    assert certify(simulation, archive).worst.error < 1e-6  # float32
    burgers = spec(
        equation=Burgers(viscosity=0.5), grid=line, scheme="etdrk2", tolerance=None, step=0.25
    )
    found = certify(burgers, archive, members=2)
    fine = burgers.problem().__class__(
        **{**vars(burgers.problem()), "dtype": "float64", "step": 0.25 / 64}
    )
    exact = fine.run(range(2), on=Grid((64,))).fields
    coarse = burgers.problem().run(range(2)).fields.double()
    error = (coarse - exact).flatten(3).norm(dim=-1) / exact.flatten(3).norm(dim=-1)
    told = torch.tensor(found.errors["reference"].largest)
    # the reference is four times finer in time, of order 2: 1 part in 16 is its own
    torch.testing.assert_close(told.double(), error.amax(0), rtol=0.1, atol=1e-7)


def test_halving_the_tolerance_halves_the_error_that_is_told(archive: Archive):
    errors = [
        largest(certify(spec(dtype="float64", tolerance=tolerance), archive), "reference")
        for tolerance in (1e-3, 1e-5)
    ]
    assert errors[1] < 0.2 * errors[0]


def test_a_member_is_the_same_function_on_the_finer_grid():
    """With a spectrum that does not end, a draw on the finer grid would have more waves."""
    problem = spec(initial=ROUGH, forcing=ROUGH, dtype="float64").problem()
    fine = Grid((64, 64))
    moved = problem.start(range(2), on=fine)
    torch.testing.assert_close(moved[..., ::2, ::2], problem.start(range(2)))
    assert not torch.allclose(problem.on(fine).start(range(2)), moved)


def test_noise_is_refined_along_its_path(archive: Archive):
    noisy = spec(
        equation=NavierStokes(viscosity=0.2),
        initial=None,
        noise=SMOOTH,
        tolerance=None,
        step=1 / 64,
        dtype="float64",
    )
    found = certify(noisy, archive, members=2)
    assert set(found.errors) == {"time step", "grid", "reference"}
    assert largest(found, "reference") < 0.05
    # negative control: with another path the difference is of the size of the solution
    one, other = (solve(Run(noisy.problem()), seed, range(2)).fields for seed in (0, 1))
    assert np.linalg.norm(one - other) > 0.5 * np.linalg.norm(one)


def test_an_elliptic_equation_has_a_grid_only(archive: Archive):
    plate = Grid((16, 16), (1.0, 1.0), "neumann")
    field = GaussianField.squared_exponential(0.3, deviation=0.5, cutoff=6)
    simulation = spec(
        equation=Darcy(), grid=plate, initial=field, times=(0.0,), tolerance=None, dtype="float64"
    )
    found = certify(simulation, archive, members=2, limit=0.1)
    assert set(found.errors) == {"grid", "reference"}
    assert found.channels == ("pressure",)
    assert found.errors["grid"].largest == found.errors["reference"].largest
    assert found.converged
    assert not certify(simulation, archive, members=2, limit=1e-6).converged


def test_it_lies_with_the_data_before_during_and_after(archive: Archive):
    simulation = spec()
    before = certify(simulation, archive, members=2)
    folder = archive.folder(simulation)
    assert certificate.read(folder) == before
    assert archive.missing(simulation) == [0, 1, 2]
    simulate(simulation, archive)
    assert archive.open(simulation).attrs["certificate"] == before.verdict
    assert archive.verify(simulation) == []
    manifest = archive.manifest(simulation)
    assert certificate.FILE not in manifest["files"]
    # a later one replaces it, and does not break the seal
    after = certify(simulation, archive, members=1, limit=1e-9)
    assert archive.verify(simulation) == []
    assert archive.manifest(simulation) == manifest
    attributes = archive.open(simulation).attrs
    assert attributes["certificate"].startswith("not converged from t=")
    assert attributes["certificate_error"] == after.worst.error
    assert attributes["certificate_limit"] == 1e-9


def test_without_one_the_data_say_so(archive: Archive, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    simulation = spec(members=2)
    simulate(simulation, archive)
    assert archive.open(simulation).attrs["certificate"] == "none: run pushforward check"
    assert f"{simulation.name}: certificate: none: run pushforward check" in caplog.text
    (archive.folder(simulation) / certificate.FILE).write_text("{")  # damaged: none
    assert archive.open(simulation).attrs["certificate"] == certificate.NONE
    assert "none: run pushforward check" in "".join(section(simulation, archive))


def test_workers_and_order_change_nothing(archive: Archive):
    simulation = spec(equation=GrayScott(), tolerance=1e-4)
    one = certify(simulation, archive, members=2)
    two = certify(simulation, archive, members=2, workers=2)
    assert one.errors == two.errors


def test_the_table_and_the_report_name_what_was_refined(archive: Archive):
    simulation = spec(initial=ROUGH)
    found = certify(simulation, archive)
    table = {row["refined"]: row for row in rows(found)}
    assert table["time step"]["change"].startswith("tolerance 1e-05 -> 5e-06, steps")
    assert table["grid"]["change"] == "32x32 -> 64x64 points"
    assert table["precision"]["change"] == "float32 -> float64"
    assert table["grid"]["within the limit"].startswith("no, from t=")
    assert table["time step"]["within the limit"] == "yes"
    simulate(simulation, archive)
    page = "".join(section(simulation, archive))
    assert found.verdict.split(";")[0] in page
    assert "32x32 -&gt; 64x64 points" in page


def test_many_times_are_thinned_but_not_their_steps(monkeypatch: pytest.MonkeyPatch):
    problem = spec(times=tuple(0.01 * i for i in range(101)), tolerance=1e-3).problem()
    assert thinned(problem, 4) == problem
    monkeypatch.setattr("pushforward.pilot.SPACE", 2**20)
    thin = thinned(problem, 4)
    assert (thin.times[0], thin.times[-1]) == (0.0, 1.0)
    assert set(thin.times) < set(problem.times)
    assert thin.step == pytest.approx(0.01)
    steps = [one.run([0]).steps.item() for one in (problem, thin)]
    assert steps[1] >= 0.9 * steps[0]
    noisy = spec(noise=SMOOTH, tolerance=None, step=0.01, times=problem.times).problem()
    assert thinned(noisy, 4) == noisy


def test_a_coarse_grid_is_told_once_and_not_warned_of(
    archive: Archive, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        simulate(spec(initial=ROUGH, equation=NavierStokes(viscosity=1e-4)), archive)
    assert caplog.text.count("the grid is too coarse: ") == 1
    caplog.clear()
    simulate(spec(), archive)
    assert "too coarse" not in caplog.text


@pytest.mark.parametrize("bad", [{"members": 0}, {"limit": 0.0}, {"limit": float("nan")}])
def test_nonsense_is_refused(archive: Archive, bad: dict[str, Any]):
    with pytest.raises(ValueError, match="expected at least 1 member and a limit above 0"):
        certify(spec(), archive, **bad)


def test_the_place_of_the_blame():
    """The cause that fails first, and most, is blamed; never the reference when another fails."""

    def of(*values: float) -> Difference:
        table = tuple((value,) for value in values)
        return Difference(change="", remedy="mend it", largest=table, mean=table)

    found = Certificate(
        limit=1e-3,
        members=1,
        times=(1.0, 2.0, 3.0),
        channels=("u",),
        errors={
            "time step": of(0.0, 2e-3, 0.5),
            "grid": of(0.0, 5e-3, 0.1),
            "reference": of(0.0, 1.0, 1.0),
        },
        tail=0.0,
        seconds=0.0,
    )
    assert (found.since, found.blame) == (2.0, "grid")
    assert found.worst.cause == "reference"
    assert "not converged from t=2 on" in found.verdict
    assert "(time step 0.5, grid 0.1); mend it" in found.verdict
    assert Certificate.model_validate(found.model_dump(mode="json")) == found
