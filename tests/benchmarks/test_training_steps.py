"""Steps of a training side by side: alike in size, the library's own, misses told as such."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from benchmarks.training import networks, page
from benchmarks.training.cases import CASES, Case
from benchmarks.training.measurement import ALONE, LIBRARY, OURS, PARTS, PEER, STEP, Measured
from benchmarks.training.rounds import Times, ratio
from benchmarks.training.steps import Step, real

SMALL = replace(CASES["64"], points=12, width=16, modes=3, batch=4)


def times(value: float) -> Times:
    return Times([2 * value] * 3, [value] * 3)


def found(case: Case, ours: float, batch: float) -> Measured:
    parts = dict(zip(PARTS, (times(batch), times(95.0), times(4.0)), strict=True))
    rows = {what: {OURS: times(ours), PEER: times(100.0)} for what in (ALONE, STEP, LIBRARY)}
    return Measured(case, {OURS: 10, PEER: 11}, rows, parts, [8, 12])


def test_a_step_is_the_library_s_own() -> None:
    """It moves the parameters that `descend` and `advance` move, by a gradient of the loss."""
    step = Step(SMALL)
    before = [p.detach().clone() for p in step.parameters]
    average = [a.clone() for a in step.state.average]
    losses = []
    for _ in range(3):
        step.batch()
        losses.append(step.descend())
        step.advance()
    assert all(0 < loss < 100 for loss in losses)
    pairs = zip(before, step.parameters, strict=True)
    assert sum(not torch.equal(old, new) for old, new in pairs) > 5
    assert any(not torch.equal(a, b) for a, b in zip(average, step.state.average, strict=True))
    assert len(step.grids) == 1
    assert len(Step(SMALL, one_grid=False).grids) > 1


def test_networks_are_alike_in_size() -> None:
    step = Step(SMALL)
    wanted = networks.parameters(networks.network(step.surrogate))
    assert networks.parameters(networks.unet(step.surrogate)) == pytest.approx(wanted, rel=0.3)
    pytest.importorskip("neuralop")
    peer = Step(SMALL, lambda surrogate: networks.neuraloperator(SMALL, surrogate))
    network = networks.network(peer.surrogate)
    assert any(p.is_complex() for p in network.parameters())
    spectral = sum(2 * p.numel() for p in network.parameters() if p.is_complex())
    ours = [p for n, p in step.surrogate.denoiser.named_parameters() if "spectral" in n]
    assert spectral == sum(p.numel() for p in ours)  # the same waves, to the number
    before = [p.detach().clone() for p in peer.parameters]
    peer()
    moved = [not torch.equal(old, p) for old, p in zip(before, peer.parameters, strict=True)]
    assert any(m for m, p in zip(moved, peer.parameters, strict=True) if p.is_complex())


def test_real_numbers_are_the_same_memory() -> None:
    z = torch.zeros(2, dtype=torch.complex64)
    real(z)[0, 1] = 3.0
    assert z[0] == 3j


def test_ratios_are_of_the_same_round() -> None:
    """A machine that slows down for a while slows both."""
    middle, low, high = ratio(Times([], [1.0, 10.0, 2.0]), Times([], [2.0, 20.0, 4.0]))
    assert (middle, low, high) == (0.5, 0.5, 0.5)
    apart = ratio(Times([], [1.0, 10.0, 2.0]), Times([], [20.0, 4.0, 2.0]))
    assert apart[2] > 1  # negative control: rounds that do not belong together


@pytest.mark.parametrize(("ours", "batch", "said"), [(50.0, 1.0, 0), (70.0, 5.0, 4)])
def test_a_miss_is_named_as_one(ours: float, batch: float, said: int) -> None:
    """Three ratios and a share beyond their goals, or none."""
    text = page.write([found(SMALL, ours, batch)], 60)
    assert text.count("**no**") == said
    assert f"{ours / 100:.2f} x" in text
    assert "not run: no GPU" in text


def test_without_the_peer_nothing_is_reached() -> None:
    one = found(SMALL, 50.0, 1.0)
    one.failed = "no module named neuralop"
    for rows in one.times.values():
        del rows[PEER]
    assert page.write([one], 60).count("**no**: no module named neuralop") == 3
