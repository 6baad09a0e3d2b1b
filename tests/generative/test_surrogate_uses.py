"""What a surrogate is used for: finer grids, coarse starts, known parts, likelihoods, learning."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from several import mostly_slow

from pushforward.generative import (
    PRESETS,
    Backbone,
    Denoiser,
    FourierBasis,
    GaussianDenoiser,
    Hierarchy,
    Observation,
    Sampler,
    Surrogate,
    observe,
    preset,
    terminal_divergence,
)
from pushforward.solvers import GaussianField, Grid, Use, diagnostics

SMALL = Backbone(width=8, modes=4, layers=1)
FIELD = GaussianField.matern(3.0, 0.3, deviation=1.0)


def gaussian(count: int, grid: Grid, channels: int = 1) -> torch.Tensor:
    u = FIELD.sample(range(count * channels), grid).unflatten(0, (count, channels)).float()
    if channels == 2:
        u[:, 1] = 0.8 * u[:, 0] + 0.6 * u[:, 1]
    return u


def skewed(count: int, grid: Grid) -> torch.Tensor:
    """Exponentials of fields without waves beyond |k| = 5: the same functions on every grid."""
    field = GaussianField.matern(3.0, 0.4, deviation=0.7, cutoff=5)
    z = torch.exp(field.sample(range(count), Grid((32, 32))))
    return Grid((32, 32)).resample(z, grid)[:, None].float()


def stir(surrogate: Surrogate) -> Surrogate:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for parameter in surrogate.denoiser.parameters():
            parameter.data += 0.05 * torch.randn_like(parameter)
    return surrogate


@pytest.mark.parametrize("basis", ["fourier", "cosine", "haar"])
@pytest.mark.parametrize("churn", [0.0, 1.0])
def test_extension_adds_scales_and_leaves_the_others(basis: Any, churn: float) -> None:
    coarse, fine = Grid((32, 32)), Grid((64, 64))
    page = preset("gud", basis=basis, backbone=SMALL)
    surrogate = stir(Surrogate.fit(page, gaussian(64, coarse), coarse))
    sampler = Sampler(steps=3, churn=churn)
    old, new = (
        surrogate.sample(range(80), fine, sampler=sampler, extend=e) for e in (False, True)
    )
    torch.testing.assert_close(
        surrogate.basis.read(old, fine), surrogate.basis.read(new, fine), rtol=0, atol=1e-5
    )
    added = new - old
    assert float(added.square().mean()) > 1e-6
    if basis == "fourier":  # what is added continues the spectrum of the field
        power = diagnostics.power_spectrum(added.double(), fine)[:, 0, 23:28]
        truth = diagnostics.power_spectrum(FIELD.sample(range(400), fine), fine)[:, 23:28]
        ratio = (power.mean(0) / truth.mean(0)).log()
        assert ratio.abs().max() < 0.35, ratio
        nothing = diagnostics.power_spectrum(old.double(), fine)[:, 0, 26:28]
        assert nothing.max() < 1e-3 * truth[:, -2:].mean()


def test_extension_needs_a_basis_that_has_finer_functions() -> None:
    grid = Grid((8, 8))
    surrogate = Surrogate.fit(
        preset("gud", basis="pixel", backbone=SMALL), gaussian(9, grid), grid
    )
    with pytest.raises(ValueError, match="pixel"):
        surrogate.sample([0], Grid((16, 16)), extend=True)


def test_a_coarse_network_goes_on_on_a_finer_grid() -> None:
    """Multilevel training: the coarse weights are worth having on the fine grid as they are."""
    coarse, fine = Grid((16, 16)), Grid((32, 32))
    page = preset("gud", backbone=SMALL)
    small = Surrogate.fit(page, skewed(256, coarse), coarse)
    x = small.basis.analyse(skewed(256, coarse), coarse)
    optimiser = torch.optim.Adam(small.denoiser.parameters(), lr=5e-3)
    for step in range(60):
        some = torch.arange(32) + 32 * (step % 8)
        t = (torch.arange(32) + 0.5) / 32
        optimiser.zero_grad()
        noise = small.basis.noise(0, Use.TRAINING, some.tolist(), step)
        small.loss(x[some], t, noise).mean().backward()
        optimiser.step()
    large = Surrogate.fit(page, skewed(256, fine), fine)
    z = large.basis.analyse(skewed(400, fine)[256:], fine)
    t, eps = (torch.arange(144) + 0.5) / 144, large.basis.noise(1, Use.VALIDATION, range(144))
    with torch.no_grad():
        cold = large.loss(z, t, eps)
        large.adopt(small)
        twin = Surrogate.restore(large.config, large.state_dict())
        assert torch.equal(twin.loss(z, t, eps), large.loss(z, t, eps))
        warm = large.loss(z, t, eps)
    gain = cold - warm
    assert float(gain.mean()) > 4 * float(gain.std()) / math.sqrt(144)
    # noise is coupled across levels: a wave has the same number on every grid
    assert isinstance(small.basis, FourierBasis)
    assert isinstance(large.basis, FourierBasis)
    noises = [one.basis.noise(3, Use.PRIOR, [7])[0, 0].view(-1, 2) for one in (small, large)]
    for wave, pair in zip(small.basis.waves, noises[0], strict=True):
        there = (large.basis.waves == wave).all(1)
        assert torch.equal(noises[1][there][0], pair)
    other = Surrogate.fit(preset("gud", backbone=Backbone(width=4)), skewed(9, coarse), coarse)
    with pytest.raises(ValueError, match="same network and channels"):
        large.adopt(other)


def test_one_network_serves_a_range_of_paths() -> None:
    """`strength` multiplies the hierarchy: the same noise, other levels, other fields."""
    grid = Grid((16, 16))
    surrogate = Surrogate.fit(preset("gud", backbone=SMALL), skewed(64, grid), grid)
    half = Surrogate.restore(surrogate.config, surrogate.state_dict())
    plain = surrogate.sample(range(3), sampler=Sampler(steps=4, strength=0.5))
    torch.testing.assert_close(plain, surrogate.sample(range(3), sampler=Sampler(steps=4)))
    for one in (surrogate, half):
        stir(one)
    path = replace(half.architecture.path, hierarchy=Hierarchy(variance=0.5))
    half.levels = path.on(half.basis.modes)
    drawn = surrogate.sample(range(3), sampler=Sampler(steps=4, strength=0.5))
    assert torch.equal(drawn, half.sample(range(3), sampler=Sampler(steps=4)))
    assert (drawn - surrogate.sample(range(3), sampler=Sampler(steps=4))).abs().max() > 1e-3


def test_a_known_channel_stays_and_the_other_follows_its_law() -> None:
    """p(u | f): with f = u_0 whole and clean, u_1 = 0.8 u_0 + 0.6 w for Gaussian fields."""
    grid, count = Grid((8, 8)), 400
    u = gaussian(500, grid, channels=2)
    surrogate = Surrogate.fit(preset("gud", backbone=SMALL), u, grid)
    given = u[3]
    whole = torch.zeros_like(surrogate.basis.mask)
    whole[0] = True
    drawn = surrogate.sample(
        range(count),
        sampler=Sampler(steps=6),
        observed=observe(surrogate.basis, given, grid, whole),
    )
    torch.testing.assert_close(drawn[:, 0], given[0].expand(count, 8, 8), rtol=0, atol=1e-4)
    rest = drawn[:, 1] - 0.8 * given[0]
    k = surrogate.basis.read(rest[:, None], grid)[:, 0]
    error = 4 * k.std(0) / math.sqrt(count)
    slack = 0.15 * surrogate.basis.read(given[None], grid)[0, 0].abs()  # of the fitted 0.8
    assert (k.mean(0).abs() <= error + slack).all()
    own = 0.36 * float(surrogate.basis.scale[0]) ** 2
    assert float(rest.var()) == pytest.approx(own, rel=0.1)
    free = surrogate.sample(range(count), sampler=Sampler(steps=6))
    assert float((free[:, 1] - 0.8 * given[0]).var()) > 1.5 * own  # the control


@pytest.mark.parametrize("deviation", [0.05, 0.3])
def test_a_noisy_observation_of_a_gaussian_field_is_kriging(deviation: float) -> None:
    grid, count = Grid((8, 8)), 1500
    u = gaussian(2000, grid)
    surrogate = Surrogate.fit(preset("gud", backbone=SMALL), u, grid)
    basis = surrogate.basis
    frequency = basis.modes.frequency
    assert frequency is not None
    seen = (frequency < 2.5)[None] & basis.mask
    observed = observe(basis, u[5], grid, seen, deviation)
    drawn = surrogate.sample(range(count), sampler=Sampler(steps=12, churn=1.0), observed=observed)
    z = basis.read(drawn, grid)[:, 0]
    v = torch.exp(basis.log_variance[0]) * float(basis.scale) ** 2
    gain = torch.where(seen[0], v / (v + deviation**2), 0.0)
    mean = gain * (basis.read(u[5:6], grid)[0, 0] - basis.mean[0]) + basis.mean[0]
    variance = (1 - gain) * v
    kept = basis.mask[0]
    error = (z.mean(0) - mean).abs() / (variance / count).sqrt()
    spread = (z.var(0) / variance - 1).abs() / math.sqrt(2 / count)
    assert error[kept].max() < 4.5, error[kept].max()
    assert spread[kept].max() < 4.5, spread[kept].max()
    with pytest.raises(ValueError, match="churn 1"):
        surrogate.sample([0], observed=observed)


def test_observations_that_whitening_would_mix_are_refused() -> None:
    grid = Grid((8, 8))
    u = gaussian(50, grid, 2)
    basis = Surrogate.fit(preset("gud", backbone=SMALL), u, grid).basis
    second = torch.zeros_like(basis.mask)
    second[1] = True
    for seen, deviation in ((second, 0.0), (~second, 0.1)):
        with pytest.raises(ValueError, match="reorder the channels"):
            observe(basis, u[0], grid, seen, deviation)
    # whitened apart each can be known by itself, and stays
    page = preset("gud", backbone=SMALL, channels="apart")
    surrogate = Surrogate.fit(page, u, grid)
    known = observe(surrogate.basis, u[0], grid, second)
    drawn = surrogate.sample(range(3), sampler=Sampler(steps=2), observed=known)
    torch.testing.assert_close(drawn[:, 1], u[:1, 1].expand(3, 8, 8), rtol=0, atol=1e-4)
    assert (drawn[:, 0] - u[0, 0]).abs().max() > 0.1
    for bad, deviation in ((second, -0.1), (second, math.nan), (second[:, :5], 0.0)):
        with pytest.raises(ValueError, match="correct the one that is off"):
            observe(basis, u[0], grid, bad, deviation)


def test_each_member_may_know_something_else() -> None:
    grid = Grid((8, 8))
    u = gaussian(50, grid)
    surrogate = Surrogate.fit(preset("gud", backbone=SMALL), u, grid)
    basis, count = surrogate.basis, 9
    low = torch.zeros_like(basis.mask)
    low[:, :9] = True
    x = basis.analyse(u[:count], grid)
    seen = Observation(x, torch.where(low & basis.mask, torch.inf, -torch.inf))
    sampler = Sampler(steps=3)
    drawn = surrogate.sample(range(count), sampler=sampler, observed=seen, batch=4)
    got = basis.analyse(drawn, grid)
    torch.testing.assert_close(got[:, low & basis.mask], x[:, low & basis.mask], rtol=0, atol=1e-4)
    whole = surrogate.sample(range(count), sampler=sampler, observed=seen)
    torch.testing.assert_close(drawn, whole, rtol=0, atol=1e-4)
    each = Observation(x, seen.log_snr.expand_as(x))
    with pytest.raises(ValueError, match="one observation for all members"):
        surrogate.sample(range(count), sampler=Sampler("strang"), observed=each)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (
            lambda: Surrogate.fit(preset("gud"), gaussian(9, Grid((8, 8)))[:, 0], Grid((8, 8))),
            "one channel",
        ),
        (lambda: Surrogate.fit(preset("gud"), gaussian(9, Grid((8, 8))), Grid((8, 6))), "reshape"),
        (
            lambda: Surrogate.fit(preset("gud"), gaussian(9, Grid((8, 8))), Grid((8, 8))).sample(
                [0], batch=0
            ),
            "batch of at least 1",
        ),
    ],
)
def test_bad_arguments_are_refused(make: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()


class Narrow(Denoiser):
    """A denoiser that loses a tenth of the spectrum's log on the way: F = -0.15 y."""

    def correction(self, y: torch.Tensor, log_snr: torch.Tensor) -> torch.Tensor:
        return -0.15 * y


@pytest.mark.parametrize("name", mostly_slow(PRESETS, "psld"))
def test_calibration_levels_what_the_preset_samples_with(name: Any) -> None:
    grid, count = Grid((8, 8)), 512
    surrogate = Surrogate.fit(preset(name, backbone=SMALL), gaussian(200, grid), grid)
    surrogate.denoiser = Narrow()
    kept = surrogate.basis.mask

    def power() -> float:
        drawn = surrogate.sample(range(count), sampler=Sampler(steps=20), batch=count)
        return float(surrogate.basis.analyse(drawn, grid)[:, kept].square().mean())

    error = 4 * math.sqrt(2 / (count * surrogate.basis.dimensions))
    before = power()
    assert abs(before - 1) > 0.1
    surrogate.calibrate(512)
    assert abs(power() - 1) < error + 0.03  # members differ from those it was measured on


@pytest.mark.parametrize("name", ["gud", "cld"])
def test_likelihood_of_a_gaussian_surrogate_is_its_density(name: Any) -> None:
    """In the units of the grid's values, against a dense covariance."""
    grid = Grid((6, 6))
    u = gaussian(4000, grid).double()
    u = grid.ifft(grid.fft(u) * grid.resolved())
    surrogate = Surrogate.fit(preset(name, backbone=SMALL), u, grid)
    basis = surrogate.basis
    x = basis.analyse(u[:200].float(), grid)
    found = surrogate.likelihood(x, times=8)
    z = basis.read(u[:200], grid)[:, 0][:, basis.mask[0]]
    v = (torch.exp(basis.log_variance[0]) * float(basis.scale) ** 2)[basis.mask[0]]
    mean = basis.mean[0, basis.mask[0]]
    exact = torch.distributions.Normal(mean, v.sqrt()).log_prob(z).sum(1)
    torch.testing.assert_close((found.total + basis.log_det).double(), exact, rtol=1e-4, atol=1e-3)
    assert found.gain.abs().max() < 1e-4
    wrong = stir(surrogate).likelihood(x, times=16)
    assert float(wrong.gain.mean()) < -4 * float(wrong.gain.std()) / math.sqrt(200)


@pytest.mark.parametrize("strength", [0.4, 1.0, 1.6])
def test_likelihood_along_every_strength_is_the_density_but_for_its_end(strength: float) -> None:
    """x ~ N(0, v), its exact denoiser, a short path: KL(q_1 || N(0, 1)) is what a bound loses."""
    grid, count = Grid((6, 6)), 3000
    path = replace(preset("gud").path, lowest=2.0, highest=9.0)
    surrogate = Surrogate.fit(preset("gud", path=path, backbone=SMALL), gaussian(500, grid), grid)
    kept = surrogate.basis.mask
    generator = torch.Generator().manual_seed(3)
    v = 0.3 + 1.5 * torch.rand(kept.shape, generator=generator)
    x = v.sqrt() * torch.randn(count, *kept.shape, generator=generator) * kept
    surrogate.denoiser = GaussianDenoiser(v)
    score = surrogate.likelihood(x, times=64, strength=strength)
    exact = torch.distributions.Normal(0.0, v.sqrt()).log_prob(x)[:, kept].sum(1)

    def end(strength: float) -> float:
        levels = surrogate.along(strength)
        ratio = torch.ones_like(v[:, kept[0]])
        return float(
            terminal_divergence(
                lambda t: levels(t)[..., kept[0]], ratio, matched=True, variance=v[:, kept[0]]
            )
        )

    lost = exact - score.total
    error = float(lost.std()) / math.sqrt(count)
    assert abs(float(lost.mean()) - end(strength)) < 4 * error + 2e-3
    for other in {0.4, 1.0, 1.6} - {strength}:  # the controls: another path's end, another law
        assert abs(float(lost.mean()) - end(other)) > 4 * error + 2e-3
    surrogate.denoiser = GaussianDenoiser(1.5 * v)
    worse = surrogate.likelihood(x, times=64, strength=strength)
    assert float((score.total - worse.total).mean()) > 8 * error


def test_a_network_s_likelihood_depends_on_the_strength_and_the_gaussian_s_does_not() -> None:
    grid = Grid((8, 8))
    u = skewed(64, grid)
    surrogate = Surrogate.fit(preset("gud", backbone=SMALL), u, grid)
    x = surrogate.basis.analyse(u[:5], grid)
    plain = [surrogate.likelihood(x, times=8, strength=a).total for a in (0.5, 1.0)]
    torch.testing.assert_close(*plain, rtol=0, atol=1e-4)
    stir(surrogate)
    half = surrogate.likelihood(x, times=8, strength=0.5).total
    own = surrogate.likelihood(x, times=8)
    assert torch.equal(own.total, surrogate.likelihood(x, times=8, strength=1.0).total)
    assert (half - own.total).abs().min() > 1e-3
    surrogate.levels = replace(surrogate.architecture.path, hierarchy=Hierarchy(variance=0.5)).on(
        surrogate.basis.modes
    )
    assert torch.equal(surrogate.likelihood(x, times=8).total, half)
    with pytest.raises(ValueError, match="expected a strength >= 0"):
        surrogate.likelihood(x, strength=-1.0)


def test_a_learned_process_is_kept_with_the_surrogate() -> None:
    grid = Grid((8, 8))
    u = skewed(64, grid)
    surrogate = stir(Surrogate.fit(preset("learned", backbone=SMALL), u, grid))
    before = surrogate.sample(range(4), sampler=Sampler(steps=3))
    distances = surrogate.learn(surrogate.basis.analyse(u, grid))
    assert distances[-1] < distances[0]
    assert surrogate.architecture.process.rotation is not None
    after = surrogate.sample(range(4), sampler=Sampler(steps=3))
    assert (after - before).abs().max() > 1e-3
    config = json.loads(json.dumps(surrogate.config))
    twin = Surrogate.restore(config, surrogate.state_dict())
    assert torch.equal(twin.sample(range(4), sampler=Sampler(steps=3)), after)
    plain = Surrogate.fit(preset("vp", backbone=SMALL), u, grid)
    with pytest.raises(ValueError, match="kind learned to learn, got vp"):
        plain.learn(plain.basis.analyse(u, grid))
