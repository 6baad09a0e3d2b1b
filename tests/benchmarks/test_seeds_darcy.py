"""Darcy's inverse problem in small: it runs, and its figures see what they should."""

from __future__ import annotations

import json

import pytest
import torch

from benchmarks.seeds import darcy, posteriors
from pushforward import Study, simulate, train
from pushforward.solvers import GaussianField, Grid

SMALL = [
    "simulation.members=512",
    "simulation.block=256",
    "training.members=400",
    "training.held_out=32",
    "training.steps=2",
    "training.batch=4",
    "training.calibration=8",
    "training.surrogate.backbone={kind: fno, width: 4, modes: 2, layers: 1}",
    "generation.members=16",
    "generation.block=16",
    "generation.batch=16",
    "evaluation.members=16",
]
GRID = Grid((8, 8), (1.0, 1.0), "neumann")
PRIOR = GaussianField.matern(2.0, 0.3, deviation=1.0, mean=False)


def page() -> Study:
    return Study.load("catalogs/seeds/darcy_inverse.yaml", SMALL)


def test_it_runs_and_says_all(archive):
    study = page()
    simulate(study.simulation, archive)
    train(study.training, archive)
    found = json.loads(json.dumps(darcy.measure(archive, study, darcy.SMOKE)))
    names = {"other chains", "mode", "prior"} | {
        f"{who}, {how}" for who in ("trained", "Gaussian") for how in ("flow", "reverse diffusion")
    }
    assert {row["ensemble"] for row in found["rows"] if row["view"] == "points"} == names
    figures = {"mean", "shift", "deviation", "w1", "crps", "chains_crps", "z", "below"}
    for row in found["rows"]:
        assert figures | {"evaluations", "cases"} <= {*row}
        assert all(row[name] >= 0 for name in figures - {"chains_crps", "crps"})
    assert {one["view"] for one in found["chains"]} == {view.name for view in darcy.VIEWS}
    assert {"r_hat", "least_size", "accepted", "step", "seconds"} <= {*found["chains"][0]}


def test_figures_of_the_same_law_and_of_a_wider_one():
    draws = PRIOR.sample(range(3000), GRID)
    theirs, u, truth = draws[:2000], draws[2000:2999], draws[2999]
    same = posteriors.figures(u, theirs, truth, PRIOR, GRID)
    assert max(same["shift"], same["w1"]) < 0.1
    assert same["deviation"] == pytest.approx(1, abs=0.05)
    other = posteriors.figures(2 * u + 1, theirs, truth, PRIOR, GRID)
    assert min(other["shift"], other["w1"]) > 0.5
    assert other["deviation"] == pytest.approx(2, abs=0.1)


def test_cases_are_plates_and_noise():
    training = page().training
    points, picture = (darcy.seen(training, view, 3) for view in darcy.VIEWS)
    assert (len(points[0].cells), len(picture[0].cells)) == (16, 256)
    assert points[2].truth.equal(picture[2].truth)  # the same plates
    equation, _ = darcy.lognormal(training)
    p = darcy.pressures(
        equation, picture[0].truth[None] / equation.scale, training.simulation.grid
    )
    noise = (picture[0].values - p.flatten()) / picture[0].deviation
    assert float(noise.std()) == pytest.approx(1, abs=4 / (2 * 256) ** 0.5)
    assert abs(float(noise.mean())) < 4 / 16


def test_points_are_given_as_such():
    training = page().training
    case = darcy.seen(training, darcy.VIEWS[0], 1)[0]
    given = darcy.given(training, case)
    assert given.data.pressure.dims == ("point",)
    assert given.deviation["pressure"] == case.deviation


def test_other_studies_are_refused():
    with pytest.raises(ValueError, match=r"lognormal Darcy plate.*got darcy; choose"):
        darcy.lognormal(Study.load("darcy_binary").training)


def test_w1_is_that_of_shifted_samples():
    u = torch.randn(400, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    shift = torch.tensor([0.0, 0.5, -2.0])
    torch.testing.assert_close(posteriors.apart(u + shift, u), shift.abs().double())
