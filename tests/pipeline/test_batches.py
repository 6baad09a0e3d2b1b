"""Batches are a function of (seed, step): permutations, levels, shifts, frames as channels."""

from dataclasses import replace

import pytest
import torch

from pushforward.batches import Batches, load
from pushforward.generative import (
    PRESETS,
    Architecture,
    Backbone,
    Surrogate,
    Variation,
    preset,
)
from pushforward.simulation import simulate
from pushforward.solvers import Grid
from pushforward.study import Study

SMALL = Architecture(backbone=Backbone(width=4, modes=2, layers=1))


@pytest.fixture(scope="module")
def study() -> Study:
    return Study.load("smoke")


@pytest.fixture(scope="module")
def batches(study: Study) -> Batches:
    grid = Grid((16, 16))
    fields = torch.randn(20, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    surrogate = Surrogate.fit(SMALL, fields, grid)
    return Batches(surrogate.basis.analyse(fields, grid), surrogate, study.training)


def test_every_member_comes_once_an_epoch_in_another_order(batches: Batches) -> None:
    seen = torch.cat([batches.indices(step) for step in range(10)])  # 10 batches of 8: 4 epochs
    epochs = seen.view(4, 20)
    for epoch in epochs:
        assert sorted(epoch.tolist()) == list(range(20))
    assert not torch.equal(epochs[0], epochs[1])


def test_a_batch_is_a_function_of_its_step(batches: Batches) -> None:
    first = batches(7)
    batches(3)
    for a, b in zip(first, batches(7), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(first[2], batches(8)[2])


def test_levels_fill_the_path_one_in_each_stratum(batches: Batches) -> None:
    t = torch.cat([batches(step)[1] for step in range(50)]).view(50, -1)
    assert float(t.min()) >= 0
    assert float(t.max()) <= 1
    assert bool((t.diff(dim=1) > 0).all())
    assert float(t[:, 0].max()) < float(t[:, -1].min())


def test_noise_is_standard_and_translation_keeps_each_wave_s_power(batches: Batches) -> None:
    x, _, eps, _ = batches(0)
    kept = eps[:, batches.basis.mask]
    assert abs(float(kept.mean())) < 4 / kept.numel() ** 0.5
    assert abs(float(kept.var()) - 1) < 4 * (2 / kept.numel()) ** 0.5
    still = batches.members.rows(batches.places(0))
    power = [z.unflatten(-1, (-1, 2)).square().sum(-1) for z in (x, still)]
    torch.testing.assert_close(power[0], power[1], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(x, still)


def test_levels_are_the_path_s_unless_they_vary(study: Study) -> None:
    grid = Grid((16, 16))
    fields = torch.randn(20, 2, 16, 16, generator=torch.Generator().manual_seed(0))
    plain = Surrogate.fit(SMALL, fields, grid)
    x = plain.basis.analyse(fields, grid)
    one = Batches(x, plain, study.training)(3)
    assert torch.equal(one.log_snr, plain.levels(one.t))
    varied = replace(SMALL, variation=Variation(strengths=(0.4, 1.6), clean=0.3, drowned=0.2))
    batches = Batches(x, Surrogate.fit(varied, fields, grid), study.training)
    many = torch.cat([batches(step).log_snr for step in range(50)])
    assert torch.equal(batches(3).log_snr, many[24:32])  # a function of the step
    clean, drowned = (many == torch.inf)[:, 0, 0], (many == -torch.inf)[:, 0, 0]
    for share, truth in ((clean, 0.3 * 0.5), (drowned, 0.2 * 0.5)):
        error = 4 * (truth * (1 - truth) / len(many)) ** 0.5
        assert abs(float(share.float().mean()) - truth) < error
    assert not torch.equal(batches(3).log_snr, one.log_snr)


@pytest.mark.parametrize("name", PRESETS)
def test_the_loss_of_an_untrained_surrogate_is_one_over_the_batches(
    study: Study, name: str
) -> None:
    """So what is trained is the loss of the preset, an even mean over its path."""
    grid, count = Grid((16, 16)), 400
    generator = torch.Generator().manual_seed(0)
    k = torch.stack(torch.broadcast_tensors(*grid.integers()))
    power = torch.exp(-0.5 * k.abs().sum(0))
    u = grid.ifft(grid.fft(torch.randn(count, 1, 16, 16, generator=generator)) * power).float()
    surrogate = Surrogate.fit(preset(name, backbone=SMALL.backbone), u, grid)
    training = study.training.model_copy(update={"batch": 64})
    batches = Batches(surrogate.basis.analyse(u, grid), surrogate, training)
    with torch.no_grad():
        losses = [surrogate.loss(*batches(step)).mean() for step in range(30)]
    found = torch.stack(losses)  # strata: batches are alike, and their means nearly independent
    error = float(found.std()) / len(found) ** 0.5
    assert abs(float(found.mean()) - 1) < 4 * error, (found.mean(), error)
    assert error < 0.03


def test_frames_are_stacked_as_channels_in_their_order(study: Study, archive) -> None:
    simulate(study.simulation, archive)
    training = study.training.model_copy(update={"frames": (1, 0)})
    fields = load(training, archive)
    stored = archive.open(study.simulation).vorticity.values
    assert fields.shape == (48, 2, 16, 16)
    assert torch.equal(fields[:, 0], torch.from_numpy(stored[:48, 1]))
    assert torch.equal(fields[:, 1], torch.from_numpy(stored[:48, 0]))
