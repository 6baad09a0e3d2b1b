"""Quality by time: baselines are what they are called, and curves are read as they say."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from benchmarks.quality import page
from benchmarks.quality.arms import ARMS, OURS, QUESTIONS
from benchmarks.quality.curves import GAUSSIAN, MEASURES, Curve, apart
from benchmarks.quality.preconditioning import Kind, WholeField, field_angle, install
from benchmarks.quality.race import BATCH, Problem, drawn, race
from benchmarks.quality.scoring import beyond, scores
from pushforward.descent import begin
from pushforward.generative import Backbone, Surrogate, preset
from pushforward.generative.ordering import Hierarchy
from pushforward.solvers import GaussianField, Grid
from pushforward.study import Study

GRID = Grid((12, 12))
WHITE = Hierarchy(variance=1.0)
FIELD = GaussianField.matern(3.0, 0.5, cutoff=4)


def fitted(kind: Kind) -> tuple[Surrogate, WholeField, torch.Tensor]:
    """A surrogate of Gaussian fields with a baseline's denoiser, and the fields whitened."""
    u = GaussianField.matern(2.0, 0.5, cutoff=4, mean=False).sample(range(512), GRID)[:, None]
    backbone = Backbone(width=8, modes=3, layers=1)
    surrogate = Surrogate.fit(preset("gud", backbone=backbone), u, GRID)
    install(surrogate, kind, 0)
    denoiser = surrogate.denoiser
    assert isinstance(denoiser, WholeField)
    return surrogate, denoiser, surrogate.basis.analyse(u, GRID).float()


def noisy(surrogate: Surrogate, x: torch.Tensor, time: float) -> tuple[torch.Tensor, ...]:
    """xi and log snr of whitened fields at one time of the path."""
    t = torch.full((len(x),), time)
    log_snr = surrogate.levels(t)
    eps = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    return x + torch.exp(-log_snr / 2) * eps, log_snr, eps


@pytest.mark.parametrize("time", [0.05, 0.4, 0.8])
@pytest.mark.parametrize("kind", ["scalar", "none"])
def test_a_baseline_is_its_formula_in_space(kind: Kind, time: float) -> None:
    """D(u) = skip u + out s F(in u / s), put together from fields at points."""
    surrogate, denoiser, x = fitted(kind)
    for p in denoiser.network.parameters():
        p.data = 0.2 * torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel()))
    basis, grid = surrogate.basis, denoiser.grids[-1]
    xi, log_snr, _ = noisy(surrogate, x[:8], time)
    seen: list[torch.Tensor] = []

    def keep(_: Any, given: Any, answer: Any) -> None:
        seen.extend([given[0], answer])

    denoiser.network.register_forward_hook(keep)
    with torch.no_grad():
        estimate = basis.place(denoiser(xi, log_snr) * denoiser.deviation, grid)
    u = basis.place(xi * denoiser.deviation, grid)
    s = denoiser.deviation.square().sum().sqrt()
    sigma = torch.exp(-log_snr / 2) * denoiser.deviation / s
    sigma = sigma.square().sum((1, 2)).sqrt().view(-1, 1, 1, 1)
    assert torch.allclose(u / s / ((1 + sigma**2).sqrt() if kind == "scalar" else 1), seen[0],
                          atol=1e-4)  # fmt: skip
    answer = basis.place(basis.read(seen[1], grid) * basis.mask, grid)
    expected = s * answer
    if kind == "scalar":
        expected = u / (1 + sigma**2) + sigma / (1 + sigma**2).sqrt() * s * answer
    assert torch.allclose(estimate, expected, atol=2e-3 * float(expected.std()))


def test_an_untrained_scalar_baseline_has_loss_1_at_every_level() -> None:
    """EDM's weight is made for that; with none's weight it is another number at each level."""
    surrogate, _, x = fitted("scalar")
    other, _, _ = fitted("none")
    for time in (0.1, 0.5, 0.9):
        _, _, eps = noisy(surrogate, x, time)
        loss = surrogate.loss(x, torch.full((len(x),), time), eps)
        assert abs(float(loss.mean()) - 1) < 4 * float(loss.std()) / math.sqrt(len(x))
    wrong = surrogate.objective.loss
    surrogate.objective.loss = other.objective.loss
    loss = surrogate.loss(x, torch.full((len(x),), 0.1), eps)
    surrogate.objective.loss = wrong
    assert abs(float(loss.mean()) - 1) > 4 * float(loss.std()) / math.sqrt(len(x))


def test_the_angle_of_white_noise_is_that_of_its_deviation_at_a_point() -> None:
    variance = torch.tensor([[3.0, 1.0]])
    log_snr = variance.log() - math.log(2.0)  # each coefficient has noise of variance 2
    theta = field_angle(log_snr[None], variance)
    assert math.tan(float(theta)) ** 2 == pytest.approx(1.0)


def test_arms_differ_from_ours_in_one_thing() -> None:
    study = Study.load("quickstart")
    ours = ARMS[OURS].training(study.training, 0, BATCH)
    assert ours.surrogate.path.hierarchy == WHITE
    paths = {name: arm.training(study.training, 0, BATCH) for name, arm in ARMS.items()}
    coloured = replace(ours.surrogate.path, hierarchy=Hierarchy(), lowest=-7.0, highest=8.0)
    assert paths["data"].surrogate == replace(ours.surrogate, path=coloured)
    assert paths["levels"].surrogate == ours.surrogate
    assert paths["scalar"].surrogate.path == ours.surrogate.path
    assert {arm for arms in QUESTIONS.values() for arm in arms} == {*ARMS}


def smoke() -> Problem:
    """A problem without a simulation: Gaussian fields on the smoke study's grid."""
    study = Study.load("smoke")
    grid = study.training.simulation.grid
    u = FIELD.sample(range(96), grid)[:, None].float()
    return Problem(study, u[:32], u[32:], 8)


def test_a_race_draws_at_its_marks_and_goes_on() -> None:
    problem = smoke()
    first, second = race(problem, ARMS[OURS], 0, (0.02, 0.05))
    assert first.steps < second.steps
    assert first.seconds >= 0.02
    grid = problem.study.training.simulation.grid
    assert second.members.shape == (8, 1, *grid.shape)
    assert bool(second.members.isfinite().all())


def test_drawing_leaves_the_training_alone() -> None:
    problem = smoke()
    training = ARMS[OURS].training(problem.study.training, 0, BATCH)
    surrogate = Surrogate.fit(training.surrogate, problem.learnt, training.simulation.grid)
    state = begin(surrogate, training)
    for p in state.parameters:
        p.data += 1
    before = [p.detach().clone() for p in state.parameters]
    drawn(problem, surrogate, state)
    assert all(torch.equal(a, b) for a, b in zip(before, state.parameters, strict=True))


def test_scores_of_the_solver_s_own_members_are_near_their_floors() -> None:
    problem = smoke()
    grid = problem.study.training.simulation.grid
    fresh = FIELD.sample(range(1000, 1008), grid)[:, None].float()
    good, bad = scores(fresh, problem), scores(2 * fresh, problem)
    assert beyond(good) < 1.2 < beyond(bad)
    assert scores(problem.unseen[:8] * math.inf, problem) == {}


def test_curves_tell_when_a_quality_was_reached() -> None:
    curve = Curve((10.0, 20.0, 40.0), ((8.0,), (4.0,), (2.0,)), 5)
    assert curve.reaches(9.0) == 0
    assert curve.reaches(4.0) == pytest.approx(20)
    assert curve.reaches(2.0 * 2**0.5) == pytest.approx(20 * 2**0.5)
    assert math.isinf(curve.reaches(1.0))
    assert not apart(curve, curve)


def test_the_page_has_every_arm_and_tells_who_is_ahead() -> None:
    good, bad = 1.0, 8.0
    rows = [
        {
            "arm": arm,
            "seed": seed,
            "mark": mark,
            "seconds": mark,
            "steps": 7,
            "scores": {"gradient_w1": {"value": value / mark * (1 + seed / 50), "floor": 0.01}},
        }
        for arm, value in [(name, good if name in (OURS, "data") else bad) for name in ARMS]
        for seed in range(3)
        for mark in (1.0, 2.0)
    ]
    gaussian = {"value": 0.06, "floor": 0.01}
    rows.append({**rows[0], "arm": GAUSSIAN, "scores": {"gradient_w1": gaussian}})
    text = page.write(smoke(), rows)
    assert "has 6.00 (all scores), 6.00 (gradient W₁)" in text
    assert all(arm.title in text for arm in ARMS.values())
    line = next(line for line in text.splitlines() if line.startswith("| no preconditioning"))
    assert "| yes | 1 s or less |" in line
    line = next(line for line in text.splitlines() if line.startswith("| noise with the data"))
    assert "| no | 2.00 s |" in line
    assert len(MEASURES) * sum(map(len, QUESTIONS.values())) == text.count("| 7 |")
