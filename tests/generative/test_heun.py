"""Heun's method: exact on Gaussian data, second order with and without churn, a mixture's law."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from pushforward.generative import Denoiser, GaussianDenoiser, MixtureDenoiser
from pushforward.generative.denoiser import angle
from pushforward.generative.heun import heun, heun_evaluations

VARIANCE = torch.tensor([[0.2, 0.7, 2.0, 5.0]], dtype=torch.float64)


def path(lowest: float, highest: float, modes: int = 4, apart: float = 0.0) -> Any:
    """Even steps in the angle; each coefficient `apart` of log snr below the one before."""
    first, last = (math.atan(math.exp(-end / 2)) for end in (highest, lowest))
    shift = apart * torch.arange(modes, dtype=torch.float64)

    def levels(t: torch.Tensor) -> torch.Tensor:
        clock = -2 * torch.log(torch.tan(first + t.double() * (last - first)))
        return clock[:, None, None] - shift

    return levels


def noise(count: int, modes: int = 4, seed: int = 0) -> Any:
    generator = torch.Generator().manual_seed(seed)
    return lambda step: torch.randn(count, 1, modes, generator=generator, dtype=torch.float64)


def variance_made(denoiser: Denoiser, levels: Any, steps: int, churn: float) -> torch.Tensor:
    """The exact variance of what a linear denoiser's sampler makes: each number followed."""
    followed = torch.eye(steps + 1, dtype=torch.float64)
    gains = heun(
        denoiser,
        levels,
        lambda i: followed[i][:, None, None].expand(-1, 1, 4),
        steps=steps,
        churn=churn,
    )
    return gains.square().sum(0)


@pytest.mark.parametrize("steps", [1, 2, 3, 7])
def test_flow_returns_gaussian_draws_untouched(steps: int) -> None:
    start = noise(10)(0)
    x = heun(GaussianDenoiser(), path(-6, 6), lambda _: start, steps=steps)
    assert torch.equal(x, start)


@pytest.mark.parametrize("steps", [1, 2, 5, 16])
@pytest.mark.parametrize("churn", [0.3, 1.0, 2.0])
def test_churn_keeps_gaussian_draws_at_unit_variance(steps: int, churn: float) -> None:
    made = variance_made(GaussianDenoiser(), path(-3, 3, apart=1.0), steps, churn)
    torch.testing.assert_close(made, torch.ones_like(made), rtol=0, atol=1e-6)


@pytest.mark.parametrize("apart", [0.0, 1.0])
def test_second_order_by_the_gain_of_each_mode(apart: float) -> None:
    """The flow of N(0, v) scales y by sqrt(v / (v cos^2 + sin^2)) from the angle it starts at."""
    # the last step, from theta(0) to 0, does not shrink with the others: make it negligible
    levels = path(-6, 24, apart=apart)
    theta = angle(levels(torch.ones(1)))[0]
    exact = (VARIANCE / (VARIANCE * theta.cos() ** 2 + theta.sin() ** 2)).sqrt()
    counts, errors = [20, 40, 80, 160], []
    one = torch.ones(1, 1, 4, dtype=torch.float64)
    for steps in counts:
        gain = heun(GaussianDenoiser(VARIANCE), levels, lambda _: one, steps=steps)
        errors.append((gain[0] / exact - 1).abs().numpy()[0])
    slopes = -np.polyfit(np.log(counts), np.log(np.array(errors)), 1)[0]
    assert (slopes > 1.8).all(), slopes
    assert (slopes < 2.6).all(), slopes


@pytest.mark.parametrize("churn", [0.5, 1.0])
def test_second_order_in_variance_with_churn(churn: float) -> None:
    """Of N(0, v) data, started at unit variance: v, and what is remembered of the wrong start.

    With s(theta) = v cos^2 + sin^2 the variance at theta, a difference from it is multiplied by
    (v / s)^{1 + churn} cos^{2 churn} on the way from theta to 0.
    """
    levels = path(-3, 24)
    theta = angle(levels(torch.ones(1)))[0]
    there = VARIANCE * theta.cos() ** 2 + theta.sin() ** 2
    remembered = (VARIANCE / there) ** (1 + churn) * theta.cos() ** (2 * churn)
    exact = VARIANCE + remembered * (1 - there)
    counts, errors = [20, 40, 80, 160], []
    for steps in counts:
        made = variance_made(GaussianDenoiser(VARIANCE), levels, steps, churn)
        errors.append((made / exact - 1).abs().numpy()[0])
    slopes = -np.polyfit(np.log(counts), np.log(np.array(errors)), 1)[0]
    assert (slopes > 1.8).all(), slopes
    assert (slopes < 2.6).all(), slopes


@pytest.mark.parametrize("churn", [0.0, 1.0])
def test_mixture_is_sampled_with_its_weights_and_variances(churn: float) -> None:
    count, share = 3000, 0.3
    weights = torch.tensor([1 - share, share], dtype=torch.float64)
    means = torch.tensor([[[-1.0, 0.0]], [[1.5, 0.5]]], dtype=torch.float64)
    variances = torch.tensor([[[0.05, 0.8]], [[0.1, 0.3]]], dtype=torch.float64)
    mixture = MixtureDenoiser(weights, means, variances)

    def linear(t: torch.Tensor) -> torch.Tensor:
        return (9 - 18 * t.double())[:, None, None].expand(-1, 1, 2)

    def found(denoiser: Denoiser, steps: int) -> tuple[float, list[tuple[torch.Tensor, float]]]:
        x = heun(denoiser, linear, noise(count, 2), steps=steps, churn=churn)[:, 0]
        right = x[:, 0] > 0
        ratios = [(x[right].var(0) / variances[1, 0], share)]
        ratios.append((x[~right].var(0) / variances[0, 0], 1 - share))
        return right.double().mean().item(), ratios

    made, ratios = found(mixture, 40)
    assert abs(made - share) < 4 * math.sqrt(share * (1 - share) / count)
    for ratio, part in ratios:
        assert ((ratio - 1).abs() < 4 * math.sqrt(2 / (part * count))).all(), ratios
    # negative controls: the Gaussian of unit variance, and too few steps
    assert abs(found(GaussianDenoiser(), 8)[0] - share) > 4 * math.sqrt(0.21 / count)
    coarse = found(mixture, 4)[1][1][0]
    assert ((coarse - 1).abs() > 4 * math.sqrt(2 / (0.7 * count))).any()


class Counter(Denoiser):
    """Counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def correction(self, y: torch.Tensor, log_snr: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        assert log_snr.shape == y.shape
        return torch.zeros_like(y)


@pytest.mark.parametrize("steps", [1, 5])
@pytest.mark.parametrize("churn", [0.0, 1.0])
def test_two_evaluations_a_step_but_the_last_and_watched(steps: int, churn: float) -> None:
    counter, seen = Counter(), []

    def watch(i: int, y: torch.Tensor) -> torch.Tensor:
        seen.append(i)
        return y + 1 if i == steps else y

    given = noise(2)(0)
    draw = noise(2, seed=1)
    x = heun(counter, path(-4, 4), draw, steps=steps, churn=churn, start=given, watch=watch)
    assert counter.calls == heun_evaluations(steps) == 2 * steps - 1
    assert seen == list(range(steps + 1))
    if churn == 0:
        assert torch.equal(x, given + 1)


@pytest.mark.parametrize("churn", [0.0, 1.0])
def test_what_does_not_move_stays(churn: float) -> None:
    """Clean all along: the coefficient is what it was at the start."""

    def levels(t: torch.Tensor) -> torch.Tensor:
        clock = (6 - 12 * t.double())[:, None].expand(-1, 2).clone()
        clock[:, 0] = torch.inf
        return clock[:, None]

    given = noise(5, 2)(0)
    x = heun(GaussianDenoiser(0.5), levels, noise(5, 2, 1), steps=6, churn=churn, start=given)
    torch.testing.assert_close(x[..., 0], given[..., 0])
    assert (x[..., 1] - given[..., 1]).abs().min() > 1e-3


@pytest.mark.parametrize("bad", [{"steps": 0}, {"churn": -0.1}])
def test_bad_arguments_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="change the one that is off"):
        heun(GaussianDenoiser(), path(-4, 4), noise(1), **bad)
