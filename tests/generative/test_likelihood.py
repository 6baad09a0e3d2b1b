"""The bound: the density for exact denoisers on every path, its error, what counts, the end."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pushforward.generative.denoiser import Denoiser
from pushforward.generative.exact import GaussianDenoiser, MixtureDenoiser
from pushforward.generative.likelihood import (
    elbo,
    log_normal,
    terminal_divergence,
)

Levels = Callable[[Tensor], Tensor]
LOG_2PI = math.log(2 * math.pi)


# ---- the estimator ------------------------------------------------------------------------------


def normals(count: int, modes: int = 2, seed: int = 0) -> Callable[[int], Tensor]:
    def draw(use: int) -> Tensor:
        generator = torch.Generator().manual_seed(1000 * seed + use)
        return torch.randn(count, 1, modes, generator=generator, dtype=torch.float64)

    return draw


def common(t: Tensor) -> Tensor:
    return (14 - 26 * t)[:, None, None].expand(-1, 1, 2)


def soft(t: Tensor) -> Tensor:
    return torch.stack([17 - 26 * t, 11 - 26 * t], 1)[:, None]


def sequential(t: Tensor) -> Tensor:
    """The second coefficient drowns wholly before the first begins: each is clean, then lost."""
    clock = torch.stack([14 - 26 * (2 * t - 1), 14 - 26 * 2 * t], 1)[:, None]
    return clock.masked_fill(clock > 14, math.inf).masked_fill(clock < -12, -math.inf)


def curved(t: Tensor) -> Tensor:
    """The cosine clock, without ends: log snr from +inf to -inf."""
    cos, sin = torch.cos(math.pi / 2 * t).clamp_min(0), torch.sin(math.pi / 2 * t)
    return torch.where(t < 1, 2 * torch.log(cos / sin), -math.inf)[:, None, None].expand(-1, 1, 2)


PATHS = {"common": common, "soft": soft, "sequential": sequential, "curved": curved}


class Mixture:
    """Three components in two coefficients, of mean 0 and unit variance each."""

    def __init__(self) -> None:
        self.weights = torch.tensor([0.3, 0.5, 0.2], dtype=torch.float64)
        means = torch.tensor([[1.2, -0.4], [-0.8, 0.9], [0.1, -1.3]], dtype=torch.float64)
        spread = torch.tensor([[0.2, 0.15], [0.1, 0.2], [0.05, 0.3]], dtype=torch.float64)
        means = means - self.weights @ means
        variance = self.weights @ (means**2 + spread)
        self.means, self.variances = means / variance.sqrt(), spread / variance

    def denoiser(self, wider: float = 1.0) -> MixtureDenoiser:
        means, variances = self.means[:, None], wider * self.variances[:, None]
        return MixtureDenoiser(self.weights, means, variances)

    def log_density(self, x: Tensor, wider: float = 1.0) -> Tensor:
        v = wider * self.variances
        terms = -0.5 * ((x - self.means) ** 2 / v + torch.log(2 * math.pi * v)).sum(-1)
        return torch.logsumexp(terms + self.weights.log(), -1)

    def draws(self, count: int, seed: int = 1) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        which = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        z = torch.randn(count, 2, generator=generator, dtype=torch.float64)
        return (self.means[which] + self.variances[which].sqrt() * z)[:, None]


MIXTURE = Mixture()


class Inconsistent(Denoiser):
    """No law's posterior mean: one coefficient is pushed when both are at middling noise."""

    def correction(self, y: Tensor, log_snr: Tensor) -> Tensor:
        push = 0.8 * torch.tanh(y[..., 1]) * torch.exp(-0.1 * log_snr.square().sum(-1))
        exact = MIXTURE.denoiser().correction(y, log_snr)
        return exact + torch.stack([push, torch.zeros_like(push)], -1)


@pytest.mark.parametrize("path", PATHS)
def test_gaussian_baseline_is_exact_on_every_path(path: str) -> None:
    x = normals(6, seed=9)(0)
    score = elbo(GaussianDenoiser(), PATHS[path], x, normals(6), times=4)
    torch.testing.assert_close(score.total, log_normal(x).sum((1, 2)), rtol=0, atol=1e-12)
    torch.testing.assert_close(score.nats, score.baseline, rtol=0, atol=0)
    assert not score.total_error.any()


@pytest.mark.parametrize("path", PATHS)
def test_an_exact_denoiser_s_bound_is_the_density(path: str) -> None:
    """On every path, on average within 4 standard errors, and as far off as claimed by member."""
    count = 150
    x = MIXTURE.draws(count)
    score = elbo(MIXTURE.denoiser(), PATHS[path], x, normals(count), times=256)
    exact = MIXTURE.log_density(x)
    off = (score.total - exact) / score.total_error
    assert 0.7 < off.square().mean().sqrt() < 1.6
    error = float(score.total_error.square().sum().sqrt()) / count
    assert error < 0.02
    assert abs(float((score.total - exact).mean())) < 4 * error + 1e-4
    assert score.evaluations == 260
    assert abs(float((score.gain - (exact - score.baseline.sum((1, 2)))).mean())) < 0.1


@pytest.mark.parametrize("path", ["common", "sequential"])
def test_a_consistent_but_wrong_denoiser_has_its_own_law_s_density(path: str) -> None:
    count = 400
    x = MIXTURE.draws(count)
    score = elbo(MIXTURE.denoiser(1.6), PATHS[path], x, normals(count), times=256)
    error = float(score.total_error.square().sum().sqrt()) / count
    wrong, right = (float(MIXTURE.log_density(x, wider).mean()) for wider in (1.6, 1.0))
    assert abs(float(score.total.mean()) - wrong) < 4 * error + 1e-3
    assert right - float(score.total.mean()) > 4 * error


def test_an_inconsistent_denoiser_s_bound_depends_on_the_path() -> None:
    """The negative control: a network's bound is of a path, and below the exact density's mean."""
    count = 1000
    x = MIXTURE.draws(count)
    scores = [
        elbo(Inconsistent(), levels, x, normals(count, seed=i), times=128)
        for i, levels in enumerate((common, sequential))
    ]
    means = [float(score.total.mean()) for score in scores]
    error = max(float(s.total_error.square().sum().sqrt()) / count for s in scores)
    assert abs(means[0] - means[1]) > 8 * error
    exact = float(MIXTURE.log_density(x).mean())
    assert means[0] < exact - 8 * error
    assert abs(means[1] - exact) < 4 * error  # here the two are never at middling noise at once


def test_the_standard_error_is_that_of_repeats() -> None:
    """It is meant to be a little too large, never too small."""
    repeats = 2000
    x = torch.tensor([[[0.4, -0.7]]], dtype=torch.float64).expand(repeats, 1, 2)
    score = elbo(MIXTURE.denoiser(), soft, x, normals(repeats), times=32)
    seen = float(score.total.std())
    claimed = float(score.total_error.square().mean().sqrt())
    assert 0.95 < claimed / seen < 1.4
    each = score.error.square().mean(0).sqrt() / score.nats.std(0)
    assert (each > 0.95).all()
    assert (each < 1.4).all()
    exact = float(MIXTURE.log_density(x[:1])[0])
    assert abs(float(score.total.mean()) - exact) < 4 * seen / math.sqrt(repeats)
    assert abs(float(score.total.mean()) - exact) < 0.1 * seen  # the bias is not hidden by noise


def plain_bound(denoiser: Denoiser, x: Tensor, normals: Callable[[int], Tensor]) -> Tensor:
    """The bound on `common` as it is written, |D - x|^2 at 64 stratified times, no more."""
    snr_end = math.exp(-12)
    end = (x**2 - 1) * snr_end / (1 + snr_end) + math.log1p(snr_end)
    total = -0.5 * end.sum((1, 2))
    for stratum in range(65):
        t = (stratum + torch.special.ndtr(normals(200 + stratum)[:, 0, 0])) / 64
        levels = common(t if stratum < 64 else torch.zeros_like(t))
        noise = torch.exp(-levels / 2) * normals(100 + stratum)
        missed = (denoiser(x + noise, levels) - x).square() * levels.exp()
        if stratum < 64:
            total -= 0.5 * 26 / 64 * missed.sum((1, 2))
        else:
            total -= 0.5 * (LOG_2PI - levels + missed).sum((1, 2))
    return total


def test_it_is_the_plain_bound_with_less_noise() -> None:
    repeats = 1000
    x = torch.tensor([[[0.4, -0.7]]], dtype=torch.float64).expand(repeats, 1, 2)
    plain = plain_bound(MIXTURE.denoiser(1.6), x, normals(repeats))
    score = elbo(MIXTURE.denoiser(1.6), common, x, normals(repeats), times=64)
    error = float(plain.std()) / math.sqrt(repeats)
    assert abs(float(plain.mean() - score.total.mean())) < 4 * error
    assert float(score.total.std()) < float(plain.std()) / 5


def test_antithetic_strata_beat_plain_draws() -> None:
    """Twice the times more than halve the variance: better than independent draws."""
    repeats = 1000
    x = torch.tensor([[[0.4, -0.7]]], dtype=torch.float64).expand(repeats, 1, 2)
    spread = [
        float(elbo(MIXTURE.denoiser(), common, x, normals(repeats), times=n).total.var())
        for n in (8, 32)
    ]
    assert spread[1] < spread[0] / 4 * 1.2


def test_clean_coefficients_condition() -> None:
    """log p(x_2 | x_1) of the mixture; nothing for x_1, and not log p(x_2)."""

    def levels(t: Tensor) -> Tensor:
        return torch.stack([torch.full_like(t, math.inf), 14 - 26 * t], 1)[:, None]

    count = 40
    x = MIXTURE.draws(count)
    score = elbo(MIXTURE.denoiser(), levels, x, normals(count), times=256)
    first, v = x[..., :1, None], MIXTURE.variances

    def one(k: int, at: Tensor) -> Tensor:
        m = MIXTURE.means[:, k]
        return -0.5 * ((at - m) ** 2 / v[:, k] + torch.log(2 * math.pi * v[:, k]))

    log_weights = MIXTURE.weights.log()
    alone = torch.logsumexp(log_weights + one(0, first[:, 0, 0]), -1)
    marginal = torch.logsumexp(log_weights + one(1, x[:, 0, 1:]), -1)
    conditional = MIXTURE.log_density(x) - alone
    assert not score.nats[..., 0].any()
    assert not score.error[..., 0].any()
    assert score.dimensions == 1
    assert ((score.total - conditional) / score.total_error).abs().max() < 4.5
    error = float(score.total_error.square().sum().sqrt()) / count
    assert abs(float((score.total - marginal).mean())) > 8 * error


def test_dropped_coefficients_do_not_count() -> None:
    x = MIXTURE.draws(5)
    kept = torch.tensor([[True, False]])
    score = elbo(MIXTURE.denoiser(), common, x, normals(5), times=8, kept=kept)
    assert not score.nats[..., 1].any()
    assert score.nats[..., 0].any()
    assert score.dimensions == 1


def test_members_are_independent() -> None:
    x, draw = MIXTURE.draws(6), normals(6)
    together = elbo(MIXTURE.denoiser(), soft, x, draw, times=8)
    alone = elbo(MIXTURE.denoiser(), soft, x[2:3], lambda i: draw(i)[2:3], times=8)
    torch.testing.assert_close(together.nats[2:3], alone.nats, rtol=0, atol=1e-12)


def test_single_precision_is_enough() -> None:
    x = MIXTURE.draws(10)
    twice = elbo(MIXTURE.denoiser(), curved, x, normals(10), times=32).total
    m = MIXTURE
    means, variances = m.means[:, None].float(), m.variances[:, None].float()
    small = MixtureDenoiser(m.weights.float(), means, variances)
    once = elbo(small, curved, x.float(), lambda i: normals(10)(i).float(), times=32)
    assert once.total.dtype == torch.float32
    torch.testing.assert_close(once.total.double(), twice, rtol=0, atol=5e-3)


def test_nats_per_dimension_of_values() -> None:
    """x = (u - m) / s: log p(u) = log p(x) - log s, for both the score and the baseline."""
    x = normals(3)(0)
    score = elbo(GaussianDenoiser(), common, x, normals(3), times=4)
    s = torch.tensor([0.5, 3.0], dtype=torch.float64)
    direct = (-0.5 * ((x * s / s) ** 2 + LOG_2PI) - s.log()).sum((1, 2)) / 2
    log_det = -float(s.log().sum())
    torch.testing.assert_close(score.per_dimension(log_det), direct)
    torch.testing.assert_close(score.baseline_per_dimension(log_det), direct)
    assert not torch.allclose(score.per_dimension(), direct)


def test_refusals() -> None:
    x = MIXTURE.draws(2)
    for times in (0, 6):
        with pytest.raises(ValueError, match="multiple of 4"):
            elbo(GaussianDenoiser(), common, x, normals(2), times=times)
    with pytest.raises(ValueError, match="levels that fall"):
        elbo(GaussianDenoiser(), lambda t: common(1 - t), x, normals(2))


# ---- the noisy end ------------------------------------------------------------------------------


def steep(n: int) -> Tensor:
    """Variances (1 + k^2)^-3 of the waves of an n x n grid."""
    k = torch.fft.fftfreq(n, 1 / n, dtype=torch.float64)
    return ((1 + k[:, None] ** 2 + k**2) ** -3).reshape(1, -1)


@pytest.mark.parametrize("reference", ["white", "trace class"])
def test_a_mismatched_start_diverges_with_resolution(reference: str) -> None:
    """As n^2 on a common clock, for white and for trace-class noise; the fitted start does not."""
    found, fitted, misfit = {}, {}, {}
    for n in (16, 32, 64, 128):
        ratio = steep(n)
        if reference == "trace class":
            k = torch.fft.fftfreq(n, 1 / n, dtype=torch.float64)
            ratio = ratio * ((1 + k[:, None] ** 2 + k**2) ** 2).reshape(1, -1)

        def levels(t: Tensor, ratio: Tensor = ratio) -> Tensor:
            return (5 - 10 * t)[:, None, None] + ratio.log()

        variance = torch.where(steep(n) > 1e-3, 1.1, 1.0)  # a misfit of the large waves
        found[n] = float(terminal_divergence(levels, ratio, matched=False))
        fitted[n] = float(terminal_divergence(levels, ratio, matched=True))
        misfit[n] = float(terminal_divergence(levels, ratio, matched=True, variance=variance))
    for n in (16, 32, 64):
        assert 3.5 < found[2 * n] / found[n] < 4.3
        assert abs(misfit[2 * n] / misfit[n] - 1) < 1e-9
    assert abs(found[64] - 0.046) < 1e-3
    assert not any(fitted.values())
    assert all(misfit.values())


@pytest.mark.parametrize("ratio", [0.2, 3.0])
@pytest.mark.parametrize("variance", [1.0, 1.7])
def test_terminal_divergence_is_that_of_the_laws(ratio: float, variance: float) -> None:
    """By the variances themselves, in the reference noise's units, at alpha^2 = sigmoid(-2)."""
    fit = torch.full((1, 3), ratio, dtype=torch.float64)
    alpha2 = 1 / (1 + math.exp(2))
    law = alpha2 * ratio * variance + 1 - alpha2
    for matched, start in ((False, 1.0), (True, alpha2 * ratio + 1 - alpha2)):
        exact = 1.5 * (law / start - 1 - math.log(law / start))
        found = terminal_divergence(
            lambda t: (3 - 5 * t)[:, None, None] + fit.log(),
            fit,
            matched=matched,
            variance=variance,
        )
        assert abs(float(found) - exact) < 1e-12
