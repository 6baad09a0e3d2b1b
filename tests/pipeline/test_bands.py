"""The loss by band of noise adds up to the loss, and the pace is told without a clock's mercy."""

import itertools
import math

import numpy as np
import pytest
import torch

from pushforward import figures
from pushforward import training as room
from pushforward.archive import Archive
from pushforward.bands import COUNT, EDGES, added, means, names, tally
from pushforward.curve import FILE as METRICS
from pushforward.pace import TIMES, Pace
from pushforward.simulation import simulate
from pushforward.study import Study


def test_the_bands_hold_every_member_once() -> None:
    level = torch.linspace(-30, 30, 61)
    losses = torch.rand(61, generator=torch.Generator().manual_seed(0))
    found = tally(losses, level.view(-1, 1, 1).expand(-1, 2, 3)).tolist()
    assert sum(found[COUNT:]) == 61
    assert sum(found[:COUNT]) == pytest.approx(float(losses.sum()), rel=1e-6)
    ends = (-math.inf, *EDGES, math.inf)
    for place, (low, high) in enumerate(itertools.pairwise(ends)):
        inside = (level > low) & (level <= high)
        assert found[COUNT + place] == int(inside.sum())
        assert found[place] == pytest.approx(float(losses[inside].sum()), rel=1e-5)
    assert len(names()) == COUNT


def test_shares_of_a_batch_add_up_to_its_tally() -> None:
    generator = torch.Generator().manual_seed(1)
    losses, log_snr = torch.rand(12, generator=generator), torch.randn(12, 1, 5) * 8
    parts = [tally(losses[rank::3], log_snr[rank::3]).tolist() for rank in range(3)]
    assert added(parts) == pytest.approx(tally(losses, log_snr).tolist(), rel=1e-6)
    assert added([]) == [0.0] * 2 * COUNT


def test_what_is_given_or_left_out_has_a_level_too() -> None:
    log_snr = torch.tensor([[[math.inf, 2.0]], [[-math.inf, -2.0]]])
    assert means(tally(torch.tensor([1.0, 2.0]), log_snr).tolist()) == [2.0, None, None, None, 1.0]


def test_the_pace_is_that_of_its_steps() -> None:
    times = iter([0, 1, 4, 10, 12, 16, 20, 20, 28])
    pace = Pace(batch=16, clock=lambda: float(next(times)))
    for _ in range(3):
        for tell in (pace.begin, pace.fed, pace.end):
            tell()
    assert pace.rate == pytest.approx(48 / 18)
    found = pace.line()
    assert found["samples_per_second"] == pytest.approx(48 / 18, abs=0.1)
    assert found["step_ms_p50"] == 6000
    assert found["step_ms_p95"] == pytest.approx(1000 * np.quantile([4, 6, 8], 0.95))
    assert found["data_wait"] == pytest.approx(3 / 18, abs=1e-4)
    assert pace.line() == {}
    assert pace.rate == pytest.approx(48 / 18)  # the bar's goes on over lines


def test_lines_of_a_training_say_both(archive: Archive) -> None:
    training = Study.load("smoke").training
    simulate(training.simulation, archive)
    room.train(training, archive)
    lines = archive.read_lines(training, METRICS)
    batches, seen = training.batch, []
    for line in lines:
        assert {*TIMES} <= line.keys()
        assert 0 <= line["data_wait"] <= 1
        assert line["step_ms_p50"] <= line["step_ms_p95"]
        values = [one for one in line["loss_by_level"] if one is not None]
        assert min(values) * 0.999 <= line["loss"] <= max(values) * 1.001
        seen.append(sum(one is not None for one in line["loss_by_level"]))
    assert batches >= max(seen) > 2
    drawing = figures.levels(
        [float(line["step"]) for line in lines],
        dict(zip(names(), np.array([x["loss_by_level"] for x in lines], float).T, strict=True)),
    )
    assert "below -12, -12 to -8" in drawing
    assert "var(--trained)" in drawing
