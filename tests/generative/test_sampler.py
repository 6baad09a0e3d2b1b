"""The sampler: exact on Gaussian data, its order by gain, the law of a mixture, refusals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from pushforward.generative import (
    Denoiser,
    GaussianDenoiser,
    Hierarchy,
    Levels,
    MixtureDenoiser,
    Modes,
    Path,
    integrate_path,
)
from pushforward.generative.denoiser import angle


def levels(modes: int | torch.Tensor = 4, hierarchy: float = 1.0, **path: Any) -> Levels:
    """The levels of a path for so many equal coefficients, or for given log variances."""
    alike = torch.zeros(1, modes).double() if isinstance(modes, int) else modes
    return Path(Hierarchy(hierarchy), **path).on(Modes(alike))


def noise(count: int, modes: int = 4, seed: int = 0) -> Any:
    generator = torch.Generator().manual_seed(seed)
    return lambda step: torch.randn(count, 1, modes, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 16])
@pytest.mark.parametrize("order", [1, 2])
def test_flow_returns_gaussian_draws_untouched(steps: int, order: int) -> None:
    start = noise(10)(0)
    x = integrate_path(GaussianDenoiser(), levels(), lambda _: start, steps=steps, order=order)
    assert torch.equal(x, start)


@pytest.mark.parametrize("steps", [1, 2, 5, 16])
@pytest.mark.parametrize("churn", [0.3, 1.0, 2.0])
@pytest.mark.parametrize("order", [1, 2])
def test_churn_keeps_gaussian_draws_at_unit_variance(steps: int, churn: float, order: int) -> None:
    """Exactly: each number that enters is followed to the end, the squared gains sum to 1."""
    gains = []
    for one in range(steps + 1):
        gain = integrate_path(
            GaussianDenoiser(),
            levels(-torch.arange(4.0)[None].double(), lowest=-3, highest=3),
            lambda step, one=one: torch.full((1, 1, 4), float(step == one), dtype=torch.float64),
            steps=steps,
            order=order,
            churn=churn,
        )
        gains.append(gain)
    total = torch.stack(gains).square().sum(0)
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-6)
    assert gains[0].abs().max() < 0.9  # the start is partly forgotten


@pytest.mark.parametrize("churn", [0.0, 1.0])
def test_moments_of_gaussian_draws(churn: float) -> None:
    count = 4000
    x = integrate_path(GaussianDenoiser(), levels(), noise(count), steps=4, churn=churn)
    assert (x.mean(0).abs() < 4 / math.sqrt(count)).all()
    assert ((x.square().mean(0) - 1).abs() < 4 * math.sqrt(2 / count)).all()
    assert ((x**4).mean() - 3).abs() < 4 * math.sqrt(96 / x.numel())
    narrow = integrate_path(GaussianDenoiser(0.8), levels(), noise(count), steps=32, churn=churn)
    assert not ((narrow.square().mean(0) - 1).abs() < 4 * math.sqrt(2 / count)).all()


@pytest.mark.parametrize("hierarchy", [0.0, 1.0])
@pytest.mark.parametrize("order", [1, 2])
def test_order_by_the_gain_of_each_mode(order: int, hierarchy: float) -> None:
    """The flow of N(0, v) scales y by sqrt(v / (v cos^2 + sin^2)) from the angle it starts at.

    On the cosine clock, whose steps in the angle are even: on the linear one the leading errors of
    order 1 cancel for Gaussian data.
    """
    variance = torch.tensor([[0.2, 0.7, 2.0, 5.0]], dtype=torch.float64)
    log_variance = torch.tensor([[0.0, -0.5, -1.0, -2.0]], dtype=torch.float64)
    # the last step, from theta(0) to 0, does not shrink with the others: make it negligible
    path = levels(log_variance, hierarchy, schedule="cosine", lowest=-6, highest=20)
    theta = angle(path(torch.ones(1)))[0]
    exact = (variance / (variance * theta.cos() ** 2 + theta.sin() ** 2)).sqrt()
    counts, errors = [40, 80, 160, 320], []
    for steps in counts:
        one = torch.ones(1, 1, 4, dtype=torch.float64)
        gain = integrate_path(
            GaussianDenoiser(variance),
            path,
            lambda _, one=one: one,
            steps=steps,
            order=order,
        )
        errors.append((gain[0] / exact - 1).abs().numpy()[0])
    slopes = -np.polyfit(np.log(counts), np.log(np.array(errors)), 1)[0]
    assert (slopes > order - 0.2).all(), slopes
    assert (slopes < order + 0.6).all(), slopes


@pytest.mark.parametrize("churn", [0.5, 1.0])
def test_churned_variance_converges_to_that_of_the_data(churn: float) -> None:
    """Every number that enters followed to the end: the variance of N(0, v) data, in the limit."""
    variance = torch.tensor([[0.2, 0.7, 2.0, 5.0]], dtype=torch.float64)
    errors = []
    for steps in (12, 24, 48):
        total = torch.zeros(1, 1, 4, dtype=torch.float64)
        for one in range(steps + 1):
            total += integrate_path(
                GaussianDenoiser(variance),
                levels(lowest=-8, highest=12),
                lambda step, one=one: torch.full((1, 1, 4), float(step == one)).double(),
                steps=steps,
                churn=churn,
            ).square()
        errors.append(float((total / variance - 1).abs().max()))
    assert errors[0] > 1.7 * errors[1] > 1.7**2 * errors[2]
    assert errors[-1] < 0.2


def components(x: torch.Tensor) -> tuple[float, torch.Tensor, torch.Tensor]:
    """The right component's share, and both components' variances in the first coefficient."""
    right = x[:, 0, 0] > 0
    return right.double().mean().item(), x[right].var(0)[0], x[~right].var(0)[0]


@pytest.mark.parametrize("churn", [0.0, 1.0])
def test_mixture_is_sampled_with_its_weights_and_variances(churn: float) -> None:
    count, share = 3000, 0.3
    weights = torch.tensor([1 - share, share], dtype=torch.float64)
    means = torch.tensor([[[-1.0, 0.0]], [[1.5, 0.5]]], dtype=torch.float64)
    variances = torch.tensor([[[0.05, 0.8]], [[0.1, 0.3]]], dtype=torch.float64)
    x = integrate_path(
        MixtureDenoiser(weights, means, variances),
        levels(2, lowest=-9, highest=9),
        noise(count, 2),
        steps=120,
        churn=churn,
    )
    found, right, left = components(x)
    assert abs(found - share) < 4 * math.sqrt(share * (1 - share) / count)
    for variance, truth, number in ((left, variances[0, 0], 0.7), (right, variances[1, 0], 0.3)):
        error = math.sqrt(2 / (number * count))
        assert ((variance / truth - 1).abs() < 4 * error).all(), (variance, truth)
    # negative control: the Gaussian of the same mean and variance is refused
    plain = integrate_path(GaussianDenoiser(), levels(2), noise(count, 2), steps=8)
    assert abs(components(plain)[0] - share) > 4 * math.sqrt(share * (1 - share) / count)


class Counter(Denoiser):
    """Counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def correction(self, y: torch.Tensor, log_snr: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return torch.zeros_like(y)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("churn", [0.0, 1.0])
def test_a_step_is_one_evaluation_and_watched(order: int, churn: float) -> None:
    counter, seen = Counter(), []

    def watch(i: int, y: torch.Tensor) -> torch.Tensor:
        seen.append(i)
        return y + 1 if i == 5 else y

    start = noise(2)(0)
    x = integrate_path(
        counter, levels(), lambda _: start, steps=5, order=order, churn=churn, watch=watch
    )
    assert counter.calls == 5
    assert seen == [0, 1, 2, 3, 4, 5]
    if churn == 0:
        assert torch.equal(x, start + 1)


@pytest.mark.parametrize("bad", [{"steps": 0}, {"order": 3}, {"order": 0}, {"churn": -0.1}])
def test_bad_arguments_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="change the one that is off"):
        integrate_path(GaussianDenoiser(), levels(), noise(1), **bad)
