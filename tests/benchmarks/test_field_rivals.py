"""Every method of the table learns something in seconds, on fields whose law is known."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch

from benchmarks.field_table import tables
from benchmarks.field_table.datasets import DATASETS, FLOW
from benchmarks.field_table.page import METRICS, page
from benchmarks.field_table.rivals import NUMBERS, RIVALS, TITLES, Budget, ddo, ddpm, flow, gano
from benchmarks.field_table.rivals.cfno import energy_score
from benchmarks.field_table.rivals.drawing import Drawing, Noise
from benchmarks.field_table.rivals.rival import Spent, Standard, Watch
from pushforward.generative import Backbone
from pushforward.solvers import GaussianField, Grid

GRID = Grid((16,), (1.0,))
SMALL = Backbone(width=12, modes=4, layers=2)
STEPS = 150


@pytest.fixture(scope="module")
def fields() -> torch.Tensor:
    """Smooth Gaussian waves with a mean that varies in space."""
    law = GaussianField.matern(3.0, 0.2, deviation=0.5, cutoff=4, mean=False)
    x = torch.arange(16) / 16
    return law.sample(range(512), GRID)[:, None].float() + 1 + torch.sin(2 * math.pi * x)


@pytest.mark.parametrize("name", list(RIVALS))
def test_a_method_learns_and_draws(name, fields):
    rival = RIVALS[name](fields, GRID, SMALL, Watch(Budget(steps=STEPS)), 0)
    number = 200 if name.startswith("ddo") else NUMBERS[name]
    drawn = rival.sample(128, seed=1, evaluations=number)
    assert drawn.shape == (128, 1, 16)
    assert torch.isfinite(drawn).all()
    again = RIVALS[name](fields, GRID, SMALL, Watch(Budget(0)), 0)
    if name not in ("gaussian", "copies"):
        assert not torch.equal(drawn, again.sample(128, seed=1, evaluations=number))
    again.load(rival.state())  # draws for the second time: with nothing kept from the first
    assert torch.equal(drawn, again.sample(128, seed=1, evaluations=number))
    finer = rival.sample(4, seed=1, evaluations=min(number, 10), grid=Grid((32,), (1.0,)))
    assert finer.shape == (4, 1, 32)
    losses = rival.spent.losses
    if name not in ("copies", "gaussian", "ours", "gano"):  # which start right, or play a game
        assert rival.spent.loss < 0.9 * sum(losses[:10]) / 10
    if name not in ("ddpm", "ddo", "ddo_corrected", "gano"):  # which take far more steps
        error = (drawn.mean(0) - fields.mean(0)).square().mean().sqrt()
        assert error < 0.2 * fields.std()


def test_the_gaussian_surrogate_has_the_spectrum_of_the_data(fields):
    drawn = RIVALS["gaussian"](fields, GRID, SMALL, Watch(Budget()), 0).sample(
        2000, seed=1, evaluations=0
    )
    ours, theirs = (
        (torch.fft.rfft(z[:, 0] - z[:, 0].mean(0)).abs() ** 2).mean(0)[1:5]
        for z in (drawn, fields)
    )
    assert (ours / theirs - 1).abs().max() < 4 * (1 / 2000 + 1 / 512) ** 0.5


class Exact(torch.nn.Module):
    """The noise in u + sqrt(s) xi of Gaussian data of variance v, by the Wiener filter."""

    def __init__(self, variance: float) -> None:
        super().__init__()
        self.variance = variance

    def forward(self, u: torch.Tensor, t: float) -> torch.Tensor:
        s = ddo.variances()[round(t * ddo.LEVELS)]
        return -u * s.sqrt() / (self.variance + s)


@pytest.mark.parametrize(("corrected", "right"), [(True, True), (False, False)])
def test_langevin_draws_the_law_only_with_the_missing_factor(fields, corrected, right):
    """With a perfect network: the published sampler is ten times too hot at s = 0.01."""
    law = 0.05
    standard = Standard(torch.tensor([-1.0, 1.0]) / 2**0.5)  # mean 0, deviation 1
    march = partial(ddo.march, corrected=corrected)
    rival = Drawing(Exact(law), Noise(1), march, standard, GRID, Spent())
    found = rival.sample(200, evaluations=1990).var().item()
    error = 4 * law * (2 / (200 * 16)) ** 0.5
    assert (abs(found - law) < 0.01 + error) == right


def test_ancestral_sampling_with_the_exact_noise_draws_the_law():
    law, g = 0.3, ddpm.signal()

    def noise(u, t):
        a = g[round(t * ddpm.LEVELS)].item()
        return u * (1 - a) ** 0.5 / (a * law + 1 - a)

    standard = Standard(torch.tensor([-1.0, 1.0]) / 2**0.5)
    rival = Drawing(noise, Noise(1), ddpm.march, standard, GRID, Spent())
    found = rival.sample(400, evaluations=200).var().item()
    assert found == pytest.approx(law, abs=0.01 + 4 * law * (2 / 6400) ** 0.5)


def test_pairs_are_the_best_permutation():
    fields, noise = torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([[2.1], [0.1], [1.2]])
    assert torch.equal(flow.paired(noise, fields), torch.tensor([[0.1], [1.2], [2.1]]))


def test_the_penalty_vanishes_for_a_critic_of_slope_one_on_any_grid():
    for n in (8, 64):
        u, v = torch.randn(2, 5, 1, n)
        critic = lambda x: x.flatten(1).mean(1)  # noqa: E731 - a unit functional
        generator = torch.Generator().manual_seed(0)
        assert gano.penalty(critic, u, v, generator).item() < 1e-9


def test_the_energy_score_is_least_for_the_law_itself():
    generator = torch.Generator().manual_seed(0)
    data = torch.randn(400, 1, 4, generator=generator)
    same, narrow = torch.randn(400, 1, 4, generator=generator), 0.3 * data[torch.randperm(400)]
    collapsed = data.mean(0).expand(400, 1, 4)
    assert energy_score(same, data) < min(energy_score(z, data) for z in (narrow, collapsed))


def test_every_method_has_a_title_and_break_even_may_never_come():
    assert set(TITLES) == set(RIVALS) == set(NUMBERS)
    assert tables.break_even(100, 2.0, 1.0) == math.inf


def test_every_simulation_of_the_tables_can_be_built():
    for dataset in DATASETS.values():
        for points in (None, *tables.POINTS) if dataset.network is FLOW else (None,):
            simulation = dataset.simulation(10, 0, points)
            assert simulation.problem().grid.shape[0] == (points or simulation.grid.shape[0])


def test_the_page_shows_seeds_that_diverged_and_no_row_of_another_definition():
    run = tables.Run(("kdv",), ("ffm",), 1.0, 3, {})
    cell = {"value": 0.1, "inside": True}
    row = {"finite": True, "theirs": dict.fromkeys(METRICS, cell), "ours": {"w1": cell}}
    row |= {"evaluations": 20, "steps": 5, "epochs": 1.0, "weights": 10, "training_seconds": 1.0}
    row |= {"sampling_seconds": 0.1, "date": "today", "machine": "this one"}
    rows = {run.key("a", "kdv", "ffm", 20, seed): row for seed in range(2)}
    rows[run.key("a", "kdv", "ffm", 20, 2)] = row | {"finite": False}
    rows[f"null/{tables.named('kdv')}"] = {name: [0.0, 1.0] for name in METRICS}
    text = page(rows, "")
    assert "| 2 of 3 finite | 20 |" in text
    assert "2 of 3" not in page({key.replace("kdv@", "kdv@0"): row for key in rows}, "")
