"""The verb `generate`: what a surrogate draws, laid out as the solver's members are."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from pushforward.archive import Archive
from pushforward.generation import generate
from pushforward.generative import Sampler
from pushforward.solvers import GaussianField, GrayScott, Grid
from pushforward.spec import Generation, Simulation, Training


class Numbers:
    """A surrogate whose values say where they come from: member, channel, seed, batch."""

    def __init__(self, channels: int) -> None:
        self.channels, self.calls = channels, []

    def to(self, device: torch.device) -> Numbers:
        return self

    def sample(self, members: range, grid: Grid, **options: Any) -> torch.Tensor:
        self.calls.append((members, options))
        values = torch.tensor(members)[:, None] * 100 + torch.arange(self.channels) * 10
        values = values.double() + options["seed"] + 0.001 * len(members)
        return values[..., None, None].expand(-1, -1, *grid.shape)


def spec(**changes: Any) -> Generation:
    simulation = Simulation(
        equation=GrayScott(),
        grid=Grid((8, 8)),
        initial=GaussianField.matern(4.0, 0.3, deviation=1.0),
        times=(1.0, 2.0, 4.0),
        step=1.0,
        members=8,
    )
    training = Training(simulation=simulation, frames=(0, -1), members=4, held_out=2, steps=0)
    return Generation(**{"training": training, "members": 10, "batch": 4, "block": 4} | changes)


@pytest.fixture
def numbers(monkeypatch: pytest.MonkeyPatch) -> Numbers:
    """The archives of this test find every training complete, with the surrogate above."""
    numbers = Numbers(4)
    monkeypatch.setattr(Archive, "surrogate", lambda *_: numbers)
    monkeypatch.setattr(Archive, "require", lambda *_: None)
    return numbers


def test_stacked_channels_become_variables_in_time(archive: Archive, numbers: Numbers):
    sampler = Sampler(steps=7, order=1, churn=0.5)
    generation = spec(seed=3, sampler=sampler)
    assert generate(generation, archive) == generation.name
    dataset = archive.open(generation).load()
    assert dataset.u.dims == ("member", "time", "y", "x")
    assert dataset.u.dtype == np.float32
    np.testing.assert_array_equal(dataset.time, [1.0, 4.0])
    for frame, name, channel in ((0, "u", 0), (0, "v", 1), (1, "u", 2), (1, "v", 3)):
        assert generation.training.stack[channel] == ((0, -1)[frame], name)
        value = float(dataset[name][6, frame, 0, 0])
        assert value == pytest.approx(600 + 10 * channel + 3.004, abs=1e-4)
    assert dataset.attrs["network_evaluations"] == 7
    free = {"observed": None, "guided": None}
    options = {"seed": 3, "sampler": sampler, "extend": False, "batch": 4, **free}
    assert numbers.calls == [(range(n, min(n + 4, 10)), options) for n in (0, 4, 8)]


def test_batches_do_not_follow_blocks(tmp_path: Path, numbers: Numbers):
    small, large = Archive(tmp_path / "small"), Archive(tmp_path / "large")
    generate(spec(), small)
    generate(spec(block=8), large)
    assert spec().name == spec(block=8).name
    xr.testing.assert_identical(small.open(spec()).load(), large.open(spec()).load())
    assert numbers.calls[:3] == numbers.calls[3:]
    # negative control: the stand-in betrays the size of a batch
    generate(spec(batch=2), small)
    assert not small.open(spec(batch=2)).u.equals(small.open(spec()).u)


def test_any_grid_of_the_box(archive: Archive, numbers: Numbers):
    generation = spec(grid=Grid((16, 12)))
    generate(generation, archive)
    dataset = archive.open(generation)
    assert dataset.u.shape == (10, 2, 16, 12)
    np.testing.assert_array_equal(dataset.x, Grid((16, 12)).coordinates()[1].numpy())


def test_a_second_run_does_nothing_and_says_so(
    archive: Archive, numbers: Numbers, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    generate(spec(), archive)
    calls = len(numbers.calls)
    generate(spec(), archive)
    assert len(numbers.calls) == calls
    assert f"{spec().name} is complete: nothing to do" in caplog.text


def test_a_missing_training_is_one_sentence(archive: Archive):
    name = spec().training.name
    with pytest.raises(LookupError) as caught:
        generate(spec(), archive)
    assert str(caught.value) == (
        f"{name} is not in {archive.root}; run train(study.training, archive) first"
    )
    assert not archive.root.exists()


def test_a_member_that_is_not_finite_is_not_stored(
    archive: Archive, numbers: Numbers, monkeypatch: pytest.MonkeyPatch
):
    def diverge(members: range, grid: Grid, **options: Any) -> torch.Tensor:
        u = Numbers.sample(numbers, members, grid, **options).clone()
        u[torch.tensor(members) == 5, 1] = torch.nan
        return u

    monkeypatch.setattr(numbers, "sample", diverge)
    with pytest.raises(FloatingPointError, match="got member 5 of v with others"):
        generate(spec(), archive)
    assert archive.missing(spec()) == [1, 2]
