"""Resolution: presets in function space see the same problem on 32, 64 and 128 points an axis.

The law is a mixture of two Gaussian fields with a spectrum without end, so that every refinement
adds coefficients, and the denoiser is its exact one. White noise is the control.
"""

from __future__ import annotations

import math
from functools import lru_cache

import pytest
import torch
from several import mostly_slow

from pushforward.generative import (
    PRESETS,
    GaussianDenoiser,
    Levels,
    MixtureDenoiser,
    Modes,
    Objective,
    Sampler,
    elbo,
)
from pushforward.generative.presets import Preset
from pushforward.generative.waves import half_plane
from pushforward.solvers import GaussianField, Grid

SIZES = (32, 64, 128)
FUNCTION_SPACE: tuple[Preset, ...] = ("gud", "ddo", "multilevel")
SHARE = 0.3  # of the second component
CALM, REACH = 0.3, 4.0  # the first one's variance, in coefficients with |k| <= REACH


class Law:
    """A calm and a wild field at random, on n x n points, in whitened coefficients."""

    def __init__(self, n: int) -> None:
        waves = half_plane(Grid((n, n), (1.0, 1.0)))
        k = waves.double().norm(dim=1).repeat_interleave(2)
        field = GaussianField.matern(3.0, 0.15)
        log_v = field.log_share(2 * math.pi * k, (1.0, 1.0))
        self.low = (k <= REACH) & ~(
            (waves == 0).all(1).repeat_interleave(2) & (torch.arange(len(k)) == 1)
        )
        self.mask = torch.ones(1, len(k), dtype=torch.bool)
        self.mask[:, 1] = False  # the constant wave is real
        self.modes = Modes(log_v[None], k, points=n * n, extent=(1.0, 1.0))
        wild = (1 - (1 - SHARE) * CALM) / SHARE
        self.variances = torch.ones(2, 1, len(k))
        self.variances[:, 0, self.low] = torch.tensor([[CALM], [wild]])
        self.weights = torch.tensor([1 - SHARE, SHARE])
        means = torch.zeros_like(self.variances)
        self.denoiser = MixtureDenoiser(self.weights, means, self.variances)

    def normals(self, count: int, seed: int = 0):
        generator = torch.Generator().manual_seed(seed)
        shape = (count, *self.mask.shape)
        return lambda i: torch.randn(shape, generator=generator) * self.mask

    def draw(self, count: int, seed: int = 0) -> torch.Tensor:
        second = torch.rand(count, generator=torch.Generator().manual_seed(seed + 1)) < SHARE
        which = second.long()
        return self.variances[which].sqrt() * self.normals(count, seed)(0)

    def levels(self, name: Preset) -> Levels:
        return PRESETS[name].path.on(self.modes)


law = lru_cache(Law)


def apart(first: tuple[float, float], second: tuple[float, float]) -> float:
    """The difference of two (value, standard error), in standard errors."""
    return abs(first[0] - second[0]) / math.hypot(first[1], second[1])


def mean(values: torch.Tensor) -> tuple[float, float]:
    return float(values.mean()), float(values.std()) / math.sqrt(len(values))


def common_times(levels: Levels, count: int) -> torch.Tensor:
    """Times at which the common clock runs evenly from 6 to -4, whatever the resolution."""
    t = torch.linspace(0, 1, 4001, dtype=torch.float64)
    clock = levels.clock(t)
    strongest = (levels(t[:1]) - clock[0]).max()
    wanted = torch.linspace(6, -4, count, dtype=torch.float64) - strongest
    return t[torch.searchsorted(-clock, -wanted).clamp_max(4000)].float()


def losses(name: Preset, n: int) -> tuple[float, float]:
    """How much lower the loss of the exact denoiser is than the Gaussian one's, on the same draws.

    At the same noise in data units: gud's clock is as long as the finest scale needs, and at equal
    noise nothing depends on that.
    """
    one, count = law(n), 800
    levels = one.levels(name)
    given = PRESETS[name].path.ends == "given"
    t = torch.linspace(0.2, 0.4, count) if given else common_times(levels, count)
    objective = Objective(PRESETS[name].loss, levels, one.mask)
    x, eps = one.draw(count, seed=n), one.normals(count, seed=n + 5)(0)
    return mean(objective(GaussianDenoiser(), x, t, eps) - objective(one.denoiser, x, t, eps))


def gains(name: Preset, n: int) -> tuple[float, float]:
    """The bound on the likelihood over the Gaussian baseline, in nats per effective dimension."""
    one, count = law(n), 50
    x = one.draw(count, seed=n)
    bound = elbo(
        one.denoiser, one.levels(name), x, one.normals(count, n + 7), times=24, kept=one.mask
    )
    return mean(bound.gain / one.low.sum())


def samples(name: Preset, n: int, count: int = 100) -> torch.Tensor:
    one, preset = law(n), PRESETS[name]
    sampler = Sampler(steps=24).or_else(preset.method, preset.churn)
    levels, dynamics = one.levels(name), preset.process.dynamics()
    return sampler(one.denoiser, levels, one.normals(count, n), dynamics=dynamics)


def law_of(x: torch.Tensor, one: Law) -> list[tuple[float, float]]:
    """Of samples: the wild share, low waves' power and its spread, the power of three shells."""
    k, low = one.modes.frequency, x[:, 0, one.low].square().mean(1)
    assert k is not None
    found = [mean((low > 1).float()), mean(low), mean((low - 1).abs())]
    for low, high in ((2, 4), (4, 8), (8, 15.5)):
        found.append(mean(x[:, 0, (k > low) & (k <= high)].square().mean(1)))
    return found


@pytest.mark.parametrize("name", mostly_slow(FUNCTION_SPACE, "ddo"))
def test_loss_is_the_same_at_every_resolution(name: Preset) -> None:
    found = [losses(name, n) for n in SIZES]
    assert found[0][0] > 4 * found[0][1]  # there is something to know beyond the Gaussian
    for other in found[1:]:
        assert apart(found[0], other) < 4, found


@pytest.mark.parametrize("name", FUNCTION_SPACE)
def test_bound_per_effective_dimension_is_the_same_at_every_resolution(name: Preset) -> None:
    """The low waves are what is not Gaussian: the effective dimensions, among ever more others."""
    one = law(32)
    x = one.draw(20_000)[:, 0, one.low].double()
    v = one.variances[:, 0, one.low].double()
    log_p = -0.5 * (x[:, None] ** 2 / v + v.log()).sum(-1) + one.weights.log()
    truth = mean((torch.logsumexp(log_p, 1) + 0.5 * (x**2).sum(1)) / x.shape[1])
    assert truth[0] > 0.05
    found = [gains(name, n) for n in SIZES]
    for one_of in found:
        assert apart(one_of, truth) < 4, (found, truth)


@pytest.mark.parametrize("name", mostly_slow(FUNCTION_SPACE, "ddo"))
def test_law_of_samples_is_the_same_at_every_resolution(name: Preset) -> None:
    found = [law_of(samples(name, n), law(n)) for n in SIZES]
    truth = law_of(law(32).draw(20_000), law(32))
    for one in found:
        assert max(map(apart, one, truth)) < 4, (found, truth)


def test_white_noise_is_another_problem_on_every_grid() -> None:
    """The negative control: the same time shows more on more points."""
    found = [losses("vp", n) for n in SIZES]
    assert apart(found[0], found[2]) > 4, found
