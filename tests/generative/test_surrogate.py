"""Surrogates: spectrum before training, members, resolutions, calibration, a little training."""

from __future__ import annotations

import json
import math
import statistics
from dataclasses import replace
from typing import Any

import pytest
import torch

from pushforward.generative import Architecture, Backbone, Denoiser, Sampler, Surrogate
from pushforward.generative.calibration import table
from pushforward.solvers import GaussianField, Grid, Use, diagnostics, uniforms

GRID = Grid((64, 64))
SMALL = Architecture(backbone=Backbone(width=6, modes=4, layers=1))
BAND = 12


def skewed(
    members: range, grid: Grid = GRID, power: float = 3.0, channels: int = 1
) -> torch.Tensor:
    """Exponentials of Gaussian fields, cut at |k_i| <= BAND: far from Gaussian, band-limited."""
    field = GaussianField.matern(power, 0.4, deviation=0.7, cutoff=6)
    z = field.sample([channels * m + c for m in members for c in range(channels)], grid)
    low = (torch.stack(torch.broadcast_tensors(*grid.integers())).abs() <= BAND).all(0)
    u = grid.ifft(grid.fft(torch.exp(z)) * low)
    return u.unflatten(0, (len(members), channels)).float()


@pytest.fixture(scope="module")
def data() -> torch.Tensor:
    return skewed(range(768))


@pytest.fixture(scope="module")
def untrained(data: torch.Tensor) -> Surrogate:
    return Surrogate.fit(SMALL, data[:256], GRID)


def stirred(surrogate: Surrogate, amount: float = 0.03) -> Surrogate:
    """The same surrogate with a network that does something, as if badly trained."""
    other = Surrogate.restore(surrogate.config, surrogate.state_dict())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for parameter in other.parameters():
            parameter.data += amount * torch.randn_like(parameter)
    return other


def draw(surrogate: Surrogate, members: Any, grid: Grid | None = None, **how: Any) -> torch.Tensor:
    """Members of a surrogate; what is not about them is the sampler's."""
    about = {name: how.pop(name) for name in ("seed", "batch") if name in how}
    return surrogate.sample(members, grid, sampler=Sampler(**how), **about)


def shells(u: torch.Tensor, grid: Grid = GRID) -> torch.Tensor:
    """Each member's power per shell that holds kept waves, without the mean's."""
    return diagnostics.power_spectrum(u.double(), grid)[:, 0, 1 : BAND + 1]


def log_spectral_distance(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((shells(a).mean(0) / shells(b).mean(0)).log().square().mean().sqrt())


def alike(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two sets of members' numbers (n, shell) have equal means to 4 standard errors."""
    error = (a.var(0) / len(a) + b.var(0) / len(b)).sqrt()
    return bool(((a.mean(0) - b.mean(0)).abs() < 4 * error).all())


def test_untrained_surrogate_has_the_spectrum_of_the_data(
    untrained: Surrogate, data: torch.Tensor
) -> None:
    reference, pool = data[512:], data[:512]
    generator = torch.Generator().manual_seed(0)
    floors = []
    for _ in range(20):
        order = torch.randperm(512, generator=generator)
        floors.append(log_spectral_distance(pool[order[:256]], pool[order[256:]]))
    floor = sum(floors) / len(floors)
    u = draw(untrained, range(256), steps=4, seed=1)
    assert u.dtype == torch.float32
    assert u.shape == (256, 1, 64, 64)
    assert log_spectral_distance(u, reference) < 1.5 * floor
    assert log_spectral_distance(skewed(range(256), power=3.5), reference) > 1.5 * floor


def test_churn_keeps_the_spectrum_of_the_untrained_surrogate(untrained: Surrogate) -> None:
    churned = draw(untrained, range(200), steps=6, churn=1.0)
    flow = draw(untrained, range(200, 400), steps=1)
    assert alike(shells(churned), shells(flow))
    assert not alike(shells(1.15 * churned), shells(flow))
    same = draw(untrained, range(200), steps=1)
    assert (churned - same).std() > 0.5 * same.std()  # the start is mostly forgotten


def test_untrained_surrogate_is_gaussian_with_the_mean_of_the_data(
    untrained: Surrogate, data: torch.Tensor
) -> None:
    u = draw(untrained, range(256), steps=4, seed=2)[:, 0]
    error = math.hypot(float(u.mean((-2, -1)).std()), float(data.mean((-2, -1)).std())) / 16
    assert abs(float(u.mean() - data.mean())) < 4 * error
    assert float(data.mean()) > 8 * error

    def skewness(v: torch.Tensor) -> torch.Tensor:
        v = v - v.mean()
        return (v**3).mean((-2, -1)) / v.var() ** 1.5

    a, b = skewness(u), skewness(data[:, 0])
    assert abs(float(a.mean())) < 4 * float(a.std()) / 16
    assert float(b.mean()) > 1


@pytest.mark.parametrize("churn", [0.0, 0.5])
def test_a_member_does_not_depend_on_what_is_asked_beside_it(
    untrained: Surrogate, churn: float
) -> None:
    surrogate = stirred(untrained)
    more: dict[str, Any] = {"seed": 3, "steps": 3, "churn": churn}
    whole = draw(surrogate, range(8), batch=4, **more)
    assert torch.equal(draw(surrogate, range(4), batch=4, **more), whole[:4])
    assert torch.equal(draw(surrogate, [4, 5, 6, 7], batch=4, **more), whole[4:])
    scale = float(whole.std())
    for some in ([6, 1, 3], [2], [5, 5]):
        alone = draw(surrogate, some, **more)
        torch.testing.assert_close(alone, whole[some], rtol=0, atol=1e-4 * scale)
    assert (whole[0] - whole[1]).abs().max() > 0.1 * scale
    other = draw(surrogate, range(8), **{**more, "seed": 4})
    assert (whole - other).abs().max() > 0.1 * scale


@pytest.mark.parametrize("churn", [0.0, 1.0])
def test_a_member_is_the_same_function_on_every_grid(untrained: Surrogate, churn: float) -> None:
    surrogate = stirred(untrained)
    members: dict[str, Any] = {"seed": 1, "steps": 3, "churn": churn}
    coarse = draw(surrogate, [0, 9], **members)
    fine = draw(surrogate, [0, 9], Grid((128, 128)), **members)
    scale = float(coarse.abs().max())
    torch.testing.assert_close(fine[..., ::2, ::2], coarse, rtol=0, atol=1e-5 * scale)
    other = Grid((96, 160))
    elsewhere = draw(surrogate, [0, 9], other, **members)
    torch.testing.assert_close(
        GRID.resample(coarse.double(), other), elsewhere.double(), rtol=0, atol=1e-5 * scale
    )
    with pytest.raises(ValueError, match="keep the box"):
        draw(surrogate, [0], Grid((64, 64), (1.0, 1.0)), steps=1)


def test_restriction_of_fine_samples_has_the_law_of_coarse_ones(untrained: Surrogate) -> None:
    surrogate = stirred(untrained)
    fine = draw(surrogate, range(200), Grid((128, 128)), seed=1, steps=3, batch=50)
    coarse = draw(surrogate, range(200), seed=2, steps=3, batch=50)
    restricted = fine[..., ::2, ::2]
    assert alike(shells(restricted), shells(coarse))
    assert not alike(shells(1.15 * restricted), shells(coarse))
    points, others = (u[:, :, ::16, ::16].flatten(1) for u in (restricted, coarse))
    assert alike(points, others)
    assert alike(points**2, others**2)
    # the wrong restriction, a mean over cells, is told apart from the right one
    cells = (
        torch.nn.functional.avg_pool2d(fine, 8).repeat_interleave(4, -1).repeat_interleave(4, -2)
    )
    assert not alike(shells(cells), shells(coarse))


@pytest.mark.parametrize("shape", [(32,), (12, 12, 12)], ids=str)
@pytest.mark.parametrize("channels", [1, 2])
def test_boxes_of_any_dimension_and_several_channels(
    shape: tuple[int, ...], channels: int
) -> None:
    grid = Grid(shape, (3.0,) * len(shape))
    u = skewed(range(40), grid, channels=channels)
    surrogate = stirred(Surrogate.fit(SMALL, u, grid))
    v = draw(surrogate, range(3), steps=2)
    assert v.shape == (3, channels, *shape)
    assert torch.isfinite(v).all()
    fine = Grid(tuple(2 * n for n in shape), grid.extent)
    every_second = (..., *[slice(None, None, 2)] * len(shape))
    torch.testing.assert_close(
        draw(surrogate, range(3), fine, steps=2)[every_second], v, rtol=0, atol=1e-4
    )


def test_channels_are_drawn_with_their_correlation() -> None:
    grid = Grid((16, 16))
    u = skewed(range(512), grid, channels=2)
    u[:, 1] = u[:, 0] - 0.5 * u[:, 1]
    surrogate = Surrogate.fit(SMALL, u, grid)
    v = draw(surrogate, range(512), seed=1, steps=2)

    def covariance(w: torch.Tensor) -> torch.Tensor:
        w = w - w.mean((0, 2, 3), keepdim=True)
        return (w[:, 0] * w[:, 1]).mean((-2, -1))[:, None]

    assert alike(covariance(u), covariance(v))
    assert not alike(
        covariance(u), covariance(v.flip(0).roll(1, 1) * torch.tensor([1, -1]).view(2, 1, 1))
    )


def test_restored_surrogate_samples_the_same_bits(untrained: Surrogate) -> None:
    surrogate = stirred(untrained)
    surrogate.calibrate(16, steps=4)
    tensors = {name: tensor.clone() for name, tensor in surrogate.state_dict().items()}
    twin = Surrogate.restore(json.loads(json.dumps(surrogate.config)), tensors)
    assert twin.config == surrogate.config
    assert twin.grid == surrogate.grid
    a, b = (draw(one, range(3), seed=5, steps=4, churn=0.3) for one in (surrogate, twin))
    assert torch.equal(a, b)
    assert set(twin.state_dict()) == set(tensors)


def test_gaussian_leaves_network_and_calibration_out(untrained: Surrogate) -> None:
    surrogate = stirred(untrained)
    surrogate.calibrate(16, steps=4)
    plain = surrogate.gaussian()
    one, many = (draw(plain, range(3), steps=steps) for steps in (1, 9))
    torch.testing.assert_close(one, many, rtol=0, atol=1e-5)
    torch.testing.assert_close(one, draw(untrained, range(3), steps=5), rtol=0, atol=1e-5)
    assert (draw(surrogate, range(3), steps=5) - one).abs().max() > 0.01


def test_fitting_draws_the_network_from_its_seed(data: torch.Tensor) -> None:
    state = torch.random.get_rng_state()
    a, b, c = (Surrogate.fit(SMALL, data[:16], GRID, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)  # no global seed is touched
    parameters = [torch.cat([p.flatten() for p in one.parameters()]) for one in (a, b, c)]
    assert torch.equal(parameters[0], parameters[1])
    assert not torch.equal(parameters[0], parameters[2])


class Biased(Denoiser):
    """A denoiser whose every coefficient drifts: F = amount(k) y."""

    def __init__(self, amount: torch.Tensor) -> None:
        super().__init__()
        self.amount = amount

    def correction(self, y: torch.Tensor, log_snr: torch.Tensor) -> torch.Tensor:
        return self.amount * y


def biased(surrogate: Surrogate) -> Surrogate:
    other = surrogate.gaussian()
    other.denoiser = Biased(0.3 * torch.cos(surrogate.basis.shell.float()))
    return other


def shell_powers(surrogate: Surrogate, **more: Any) -> torch.Tensor:
    """The power of whitened samples on each shell, relative to the exact Gaussian surrogate's."""
    plain = draw(surrogate.gaussian(), range(64), steps=1, seed=9)
    drawn = draw(surrogate, range(64), seed=9, **more)
    return (shells(drawn - drawn.mean(0)).mean(0) / shells(plain - plain.mean(0)).mean(0)).log()


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("steps", [10, 20, 40])
def test_calibration_gives_every_shell_its_variance(
    untrained: Surrogate, steps: int, order: int
) -> None:
    surrogate = biased(untrained)
    assert shell_powers(surrogate, steps=steps, order=order).abs().max() > 0.3
    surrogate.calibrate(64, steps=20)
    assert shell_powers(surrogate, steps=steps, order=order).abs().max() < 0.05
    if (steps, order) == (20, 2):
        assert shell_powers(surrogate, steps=steps).abs().max() < 1e-4  # as it was measured


def test_calibration_leaves_an_exact_denoiser_alone(untrained: Surrogate) -> None:
    surrogate = untrained.gaussian()
    surrogate.calibrate(32, steps=8)
    assert surrogate.log_gain.abs().max() < 1e-6
    u = draw(surrogate, range(3), steps=5)
    torch.testing.assert_close(u, draw(untrained, range(3), steps=5), rtol=0, atol=1e-5)


def test_calibration_table_measures_the_drift(untrained: Surrogate, data: torch.Tensor) -> None:
    count = 256
    x = untrained.basis.analyse(data[256 : 256 + count], GRID)
    t = uniforms(0, Use.LEVEL, range(count), [torch.zeros(1, dtype=torch.int64)])[:, 0].float()
    eps = untrained.basis.noise(0, Use.VALIDATION, range(count))
    batch = (x, t, eps, untrained.levels(t))

    def measured(surrogate: Surrogate) -> dict:
        return table(surrogate.denoiser, surrogate.basis, surrogate.levels, [batch], bins=4)

    exact = json.loads(json.dumps(measured(untrained)))
    ratios = [v for row in exact["ratio"] for c in row for v in c if v is not None]
    assert len(exact["log_snr"]) == 4
    assert abs(statistics.median(ratios) - 1) < 0.1
    assert len(ratios) > 10
    x *= 3  # fields that the basis was not fitted to: E[D xi] falls behind E x^2
    ratios = [v for row in measured(untrained)["ratio"] for c in row for v in c if v is not None]
    assert statistics.median(ratios) < 0.8
    x /= 3
    drifts = measured(biased(untrained))
    assert max(v for row in drifts["ratio"] for c in row for v in c if v is not None) > 1.1
    assert min(v for row in drifts["ratio"] for c in row for v in c if v is not None) < 0.9


def trained(u: torch.Tensor, grid: Grid, steps: int) -> tuple[Surrogate, float, float]:
    """A surrogate after a few dozen steps, and its held-out loss before and after."""
    surrogate = Surrogate.fit(
        replace(SMALL, backbone=Backbone(width=8, modes=4, layers=1)), u[:192], grid
    )
    basis = surrogate.basis
    x = basis.analyse(u, grid)

    def batch(step: int, members: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        zero = torch.zeros(1, dtype=torch.int64)
        t = uniforms(0, Use.LEVEL, members.tolist(), [zero], step)[:, 0].float()
        return x[members], t, basis.noise(0, Use.TRAINING, members.tolist(), step)

    held_out = batch(0, torch.arange(192, 256).repeat(4))
    with torch.no_grad():
        before = surrogate.loss(*held_out).mean().item()
    optimiser = torch.optim.Adam(surrogate.denoiser.parameters(), lr=5e-3)
    for step in range(1, steps + 1):
        optimiser.zero_grad()
        members = torch.arange(32) + 32 * (step % 6)
        surrogate.loss(*batch(step, members)).mean().backward()
        optimiser.step()
    with torch.no_grad():
        return surrogate, before, surrogate.loss(*held_out).mean().item()


def test_a_few_dozen_steps_lower_the_loss_on_fields_that_are_not_gaussian() -> None:
    grid = Grid((16, 16))
    u = skewed(range(256), grid)
    surrogate, before, after = trained(u, grid, 60)
    assert after < before - 0.02
    again = trained(u, grid, 60)[0]
    assert torch.equal(draw(surrogate, range(2), steps=3), draw(again, range(2), steps=3))


def test_nothing_is_to_be_learnt_on_gaussian_fields() -> None:
    """The negative control: there the untrained surrogate is already exact."""
    grid = Grid((16, 16))
    field = GaussianField.matern(3.0, 0.4, deviation=0.7, cutoff=6)
    _, before, after = trained(field.sample(range(256), grid)[:, None].float(), grid, 60)
    assert after > before - 0.01


def test_sampling_in_inference_mode_leaves_training_possible() -> None:
    grid = Grid((20, 20))
    u = skewed(range(8), grid)
    surrogate = stirred(Surrogate.fit(SMALL, u, grid))
    with torch.inference_mode():
        x = surrogate.basis.analyse(u, grid)
        a = draw(surrogate, range(2), steps=2)
    x, t = x.clone(), torch.full((8,), 0.5)
    surrogate.loss(x, t, surrogate.basis.noise(0, Use.TRAINING, range(8))).mean().backward()
    assert torch.equal(draw(surrogate, range(2), steps=2), a)


@pytest.mark.parametrize("bad", [{"floor": 0.0}, {"oversampling": 0.5}])
def test_bad_architectures_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="change the one that is off"):
        Architecture(**bad)
