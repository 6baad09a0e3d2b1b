"""The flow's log density: exact mixtures on every path, its order, Hutchinson, refusals."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Literal

import pytest
import torch
from torch import Tensor

from pushforward.generative.denoiser import Denoiser
from pushforward.generative.exact import GaussianDenoiser, MixtureDenoiser
from pushforward.generative.flow_density import flow_log_density
from pushforward.generative.likelihood import log_normal

WEIGHTS = torch.tensor([0.3, 0.5, 0.2], dtype=torch.float64)
MEANS = torch.tensor([[1.1, -0.5], [-0.7, 0.9], [0.1, -1.5]], dtype=torch.float64)
VARIANCES = torch.tensor([[0.2, 0.15], [0.1, 0.2], [0.05, 0.3]], dtype=torch.float64)
EXACT = MixtureDenoiser(WEIGHTS, MEANS[:, None], VARIANCES[:, None])
POINTS = torch.tensor([[0.3, 0.2], [1.1, -0.6], [-1.0, 1.2], [0.0, -2.0]], dtype=torch.float64)


def log_density(x: Tensor, keep: tuple[int, ...] = (0, 1)) -> Tensor:
    """Of the mixture at points (batch, 2), or of some of its coefficients."""
    terms = -0.5 * ((x[:, None] - MEANS) ** 2 / VARIANCES + torch.log(2 * math.pi * VARIANCES))
    return torch.logsumexp(WEIGHTS.log() + terms[..., list(keep)].sum(-1), -1)


def common(t: Tensor) -> Tensor:
    return (14 - 28 * t)[:, None, None].expand(-1, 1, 2)


def soft(t: Tensor) -> Tensor:
    return torch.stack([17 - 31 * t, 11 - 31 * t], 1)[:, None]


def sequential(t: Tensor) -> Tensor:
    """The second coefficient drowns wholly before the first begins: each is clean, then lost."""
    clock = torch.stack([14 - 28 * (2 * t - 1), 14 - 28 * 2 * t], 1)[:, None]
    return clock.masked_fill(clock > 14, math.inf).masked_fill(clock < -14, -math.inf)


def normals(count: int, modes: int = 2, seed: int = 0) -> Callable[[int], Tensor]:
    def draw(use: int) -> Tensor:
        generator = torch.Generator().manual_seed(100000 * seed + use)
        return torch.randn(count, 1, modes, generator=generator, dtype=torch.float64)

    return draw


@pytest.mark.parametrize("levels", [common, soft, sequential])
def test_a_mixture_s_log_density_on_three_paths(levels: Callable[[Tensor], Tensor]) -> None:
    density = flow_log_density(EXACT, levels, POINTS[:, None], steps=64)
    exact = log_density(POINTS)
    torch.testing.assert_close(density.total, exact, rtol=0, atol=1e-3)
    baseline = log_normal(POINTS).sum(1)
    torch.testing.assert_close(density.baseline.sum((1, 2)), baseline)
    assert (baseline - exact).abs().min() > 0.03  # the Gaussian's would be told apart
    assert not density.total_error.any()
    assert density.evaluations == 4 * 65


def test_another_denoiser_has_another_density() -> None:
    """The negative control: components wider by a tenth are found out."""
    wider = MixtureDenoiser(WEIGHTS, MEANS[:, None], 1.1 * VARIANCES[:, None])
    density = flow_log_density(wider, common, POINTS[:, None], steps=64)
    assert (density.total - log_density(POINTS)).abs().max() > 2e-2


def test_fourth_order_in_the_steps() -> None:
    """Against many steps: halving them costs 16 times the error."""
    x = POINTS[:, None]

    def total(steps: int) -> Tensor:
        return flow_log_density(EXACT, common, x, steps=steps).total

    best = total(256)
    errors = [float((total(steps) - best).abs().max()) for steps in (16, 32, 64)]
    for coarse, fine in pairwise(errors):
        assert 3 < math.log2(coarse / fine) < 5.5


@pytest.mark.parametrize("clean", [3.0, 5.0, 7.0])
def test_the_clean_end_is_of_fourth_order_in_the_angle(clean: float) -> None:
    """N(0, v) from an early end: the error falls as theta(0)^4, e^{-2 log snr}; no end, e^{-1}."""
    v = 0.5
    x = torch.tensor([[[1.3]]], dtype=torch.float64)

    def off(level: float) -> float:
        def levels(t: Tensor) -> Tensor:
            return (level - (level + 30) * t)[:, None, None]

        density = flow_log_density(GaussianDenoiser(v), levels, x, steps=60)
        return float(density.total) + 0.5 * (1.3**2 / v + math.log(2 * math.pi * v))

    slope = math.log(off(clean) / off(clean + 1))
    assert 1.7 < slope < 2.3
    noisy = v + math.exp(-clean)  # x taken for noisy already
    ignored = -0.5 * (1.3**2 / noisy - 1.3**2 / v + math.log(noisy / v))
    assert abs(off(clean)) < abs(ignored) / 5


def test_clean_coefficients_condition() -> None:
    def levels(t: Tensor) -> Tensor:
        return torch.stack([torch.full_like(t, math.inf), 14 - 34 * t], 1)[:, None]

    density = flow_log_density(EXACT, levels, POINTS[:, None], steps=64)
    conditional = log_density(POINTS) - log_density(POINTS, (0,))
    torch.testing.assert_close(density.total, conditional, rtol=0, atol=1e-3)
    assert not density.nats[..., 0].any()
    assert density.dimensions == 1
    assert (conditional - log_density(POINTS, (1,))).abs().max() > 0.1


def test_gaussian_baseline_needs_no_step() -> None:
    x = normals(3)(0)
    density = flow_log_density(GaussianDenoiser(), common, x, steps=1)
    torch.testing.assert_close(density.total, log_normal(x).sum((1, 2)), rtol=0, atol=1e-12)


class Coupled(Denoiser):
    """A correction with a full Jacobian, so that estimates of its trace have noise."""

    def correction(self, y: Tensor, log_snr: Tensor) -> Tensor:
        mix = torch.linspace(-1, 1, y.shape[-1] ** 2, dtype=y.dtype).view(y.shape[-1], -1)
        return torch.tanh(y @ mix) * torch.exp(-0.05 * log_snr**2)


@pytest.mark.parametrize("trace", ["rademacher", "normal"])
def test_hutchinson_is_unbiased(trace: Literal["rademacher", "normal"]) -> None:
    """One point many times, against the exact trace; its error is that of the repeats."""
    repeats = 1500
    x = torch.tensor([[[0.5, -1.0, 0.2]]], dtype=torch.float64)

    def levels(t: Tensor) -> Tensor:
        return (8 - 16 * t)[:, None, None].expand(-1, 1, 3)

    exact = flow_log_density(Coupled(), levels, x, steps=6)
    found = flow_log_density(
        Coupled(),
        levels,
        x.expand(repeats, 1, 3),
        normals(repeats, 3),
        steps=6,
        trace=trace,
        probes=3,
    )
    spread = float(found.total.std())
    assert spread > 1e-2
    assert abs(float(found.total.mean() - exact.total)) < 4 * spread / math.sqrt(repeats)
    claimed = float(found.total_error.square().mean().sqrt())
    assert abs(claimed / spread - 1) < 0.15
    off = (found.nats.mean(0) - exact.nats[0]) / found.nats.std(0) * math.sqrt(repeats)
    assert off.abs().max() < 4
    half = found.total[: repeats // 2].mean() - 0.5 * spread
    assert abs(float(half - exact.total)) > 4 * spread / math.sqrt(repeats / 2)


def test_members_are_independent_and_gradients_are_not_kept() -> None:
    draw = normals(4)
    together = flow_log_density(EXACT, soft, POINTS[:, None], draw, steps=3, trace="normal")
    alone = flow_log_density(
        EXACT, soft, POINTS[2:3, None], lambda i: draw(i)[2:3], steps=3, trace="normal"
    )
    torch.testing.assert_close(together.nats[2:3], alone.nats, rtol=0, atol=1e-12)
    assert not together.nats.requires_grad


def test_single_precision_is_enough() -> None:
    small = MixtureDenoiser(WEIGHTS.float(), MEANS[:, None].float(), VARIANCES[:, None].float())
    density = flow_log_density(small, common, POINTS[:, None].float(), steps=64)
    assert density.total.dtype == torch.float32
    torch.testing.assert_close(density.total.double(), log_density(POINTS), rtol=0, atol=2e-3)


def test_refusals() -> None:
    x = POINTS[:, None]
    with pytest.raises(ValueError, match="steps >= 1"):
        flow_log_density(EXACT, common, x, steps=0)
    with pytest.raises(ValueError, match="probes >= 2"):
        flow_log_density(EXACT, common, x, normals(4), trace="normal", probes=1)
    with pytest.raises(ValueError, match="expected normals"):
        flow_log_density(EXACT, common, x, trace="rademacher")
