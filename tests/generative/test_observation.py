"""Observations as starts: the posterior of Gaussian and mixture data, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from pushforward.generative import Denoiser, GaussianDenoiser, MixtureDenoiser, integrate_path
from pushforward.generative.heun import heun
from pushforward.generative.observation import Observation

INF = math.inf
COUNT = 4000
WEIGHTS = torch.tensor([0.3, 0.5, 0.2], dtype=torch.float64)
MEANS = torch.tensor([[1.2, -0.4], [-0.8, 0.9], [0.1, -1.3]], dtype=torch.float64)
VARIANCES = torch.tensor([[0.2, 0.15], [0.1, 0.2], [0.05, 0.3]], dtype=torch.float64)
MIXTURE = MixtureDenoiser(WEIGHTS, MEANS[:, None], VARIANCES[:, None])


def path(lowest: float = -9, highest: float = 12, modes: int = 2) -> Any:
    def levels(t: torch.Tensor) -> torch.Tensor:
        clock = highest + t.double() * (lowest - highest)
        return clock[:, None, None].expand(-1, 1, modes)

    return levels


def noise(count: int = COUNT, modes: int = 2, seed: int = 0) -> Any:
    generator = torch.Generator().manual_seed(seed)
    return lambda step: torch.randn(count, 1, modes, generator=generator, dtype=torch.float64)


def first_seen(value: float, deviation: float) -> Observation:
    """The first of two coefficients, through noise of this deviation."""
    log_snr = INF if deviation == 0 else -2 * math.log(deviation)
    return Observation(
        torch.tensor([[value, math.nan]], dtype=torch.float64),
        torch.tensor([[log_snr, -INF]], dtype=torch.float64),
    )


def posterior(value: float, deviation: float) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Mean, covariance and P(x_2 > 0) of the mixture, its first coefficient seen at `value`."""
    spread = VARIANCES[:, 0] + deviation**2
    log_share = WEIGHTS.log() - 0.5 * ((value - MEANS[:, 0]) ** 2 / spread + spread.log())
    share = torch.softmax(log_share, 0)
    gain = VARIANCES[:, 0] / spread
    means = torch.stack([MEANS[:, 0] + gain * (value - MEANS[:, 0]), MEANS[:, 1]], 1)
    variances = torch.stack([VARIANCES[:, 0] * (1 - gain), VARIANCES[:, 1]], 1)
    mean = share @ means
    between = torch.einsum("j,ja,jb->ab", share, means - mean, means - mean)
    beyond = 0.5 * torch.erfc(-MEANS[:, 1] / (2 * VARIANCES[:, 1]).sqrt())
    return mean, between + torch.diag(share @ variances), float(share @ beyond)


def errors(x: torch.Tensor, value: float, deviation: float) -> list[float]:
    """Mean, covariance and tail of samples against the posterior, in standard errors."""
    mean, covariance, tail = posterior(value, deviation)
    root = math.sqrt(len(x))
    centred = x - x.mean(0)
    products = torch.einsum("na,nb->nab", centred, centred)
    found = (products.mean(0) - covariance) / (products.std(0) / root).clamp_min(1e-6)
    share = float((x[:, 1] > 0).double().mean())
    return [
        *((x.mean(0) - mean) / (x.std(0) / root).clamp_min(1e-6)).tolist(),
        *found[[0, 0, 1], [0, 1, 1]].tolist(),
        (share - tail) / math.sqrt(tail * (1 - tail) / len(x)),
    ]


def drawn(
    seen: Observation, steps: int = 100, churn: float = 1.0, sampler: Any = integrate_path
) -> torch.Tensor:
    """Samples given the observation; the start is that for churn 1 whatever the sampler does."""
    normals = noise()
    start = seen.start(path(), normals(0), churn=1.0)
    options: dict[str, Any] = {"steps": steps, "churn": churn, "start": start}
    return sampler(MIXTURE, seen.levels(path()), normals, **options)[:, 0]


CASES = [(0.2, 0.1), (-0.7, 0.5), (1.0, 1.5), (3.0, 4.0)]


@pytest.mark.parametrize(("value", "deviation"), CASES)
def test_posterior_of_a_mixture(value: float, deviation: float) -> None:
    seen = first_seen(value, deviation)
    right = errors(drawn(seen), value, deviation)
    assert max(map(abs, right)) < 4, right
    # negative controls: the flow from the same start, and draws that know of no observation
    assert max(map(abs, errors(drawn(seen, churn=0.0), value, deviation))) > 4
    unaware = integrate_path(MIXTURE, path(), noise(), steps=100, churn=1.0)[:, 0]
    assert max(map(abs, errors(unaware, value, deviation))) > 4


def test_posterior_by_heun() -> None:
    x = drawn(first_seen(-0.7, 0.5), steps=40, sampler=heun)
    found = errors(x, -0.7, 0.5)
    assert max(map(abs, found)) < 4, found


@pytest.mark.parametrize("churn", [0.0, 0.5, 1.0])
def test_clean_values_stay_and_serve_every_churn(churn: float) -> None:
    seen = first_seen(0.6, 0.0)
    x = drawn(seen, churn=churn)
    torch.testing.assert_close(x[:, 0], torch.full((COUNT,), 0.6).double())
    right = errors(x, 0.6, 0.0)
    assert max(map(abs, right[1:])) < 4, right
    assert max(map(abs, errors(x, -0.6, 0.0)[1:])) > 4  # negative control: another value's


@pytest.mark.parametrize("steps", [1, 2, 7])
@pytest.mark.parametrize("sampler", [integrate_path, heun])
def test_exact_for_gaussian_data_from_any_level(steps: int, sampler: Any) -> None:
    """Every number followed: mean cos^2 y_o and variance sin^2, also below the path's end."""
    log_snr = torch.tensor([[-INF, -6.0, -1.0, 3.0, 20.0, INF]], dtype=torch.float64)
    values = torch.full((1, 6), 1.7, dtype=torch.float64)
    seen, levels = Observation(values, log_snr), path(-2, 5, 6)
    followed = torch.cat([torch.eye(steps + 1), torch.zeros(1, steps + 1)]).double()

    def normals(i: int) -> torch.Tensor:
        return followed[:, i, None, None].expand(-1, 1, 6)

    start = seen.start(levels, normals(0), churn=1.0)
    x = sampler(
        GaussianDenoiser(), seen.levels(levels), normals, steps=steps, churn=1.0, start=start
    )
    gain = log_snr.sigmoid()
    torch.testing.assert_close(x[-1], gain * 1.7, rtol=1e-6, atol=1e-7)
    made = (x[:-1] - x[-1]).square().sum(0)
    torch.testing.assert_close(made, 1 - gain, rtol=1e-5, atol=1e-6)


def test_members_may_observe_different_coefficients() -> None:
    half = COUNT // 2
    values = torch.zeros(COUNT, 1, 2, dtype=torch.float64)
    log_snr = torch.full_like(values, -INF)
    values[:half, 0, 0], log_snr[:half, 0, 0] = -0.7, -2 * math.log(0.5)
    values[half:, 0, 1], log_snr[half:, 0, 1] = 0.9, INF
    x = drawn(Observation(values, log_snr))
    found = errors(x[:half], -0.7, 0.5)
    assert max(map(abs, found)) < 4, found
    assert (x[half:, 1] - 0.9).abs().max() < 1e-6
    assert max(map(abs, errors(x[half:], -0.7, 0.5))) > 4  # negative control: the other half


def test_start_centred_on_what_is_observed() -> None:
    """On a path that ends above deep noise the conditional mean is already in the start."""
    means = torch.tensor([[[0.9, 0.9]], [[-0.9, -0.9]]], dtype=torch.float64)
    two = MixtureDenoiser(WEIGHTS[:2], means, torch.full((2, 1, 2), 0.19).double())
    seen, levels = first_seen(1.2, 0.0), path(-2)
    share = torch.sigmoid(torch.tensor(math.log(0.3 / 0.5) + 2 * 1.2 * 0.9 / 0.19)).item()
    mean = 0.9 * (2 * share - 1)

    def error(denoiser: Denoiser | None) -> float:
        normals = noise()
        start = seen.start(levels, normals(0), churn=0.0, denoiser=denoiser)
        x = integrate_path(two, seen.levels(levels), normals, steps=100, start=start)[:, 0, 1]
        return float((x.mean() - mean) / (x.std() / math.sqrt(COUNT)))

    assert abs(error(two)) < 4
    assert abs(error(None)) > 4


def test_levels_wait_for_what_is_observed() -> None:
    seen = Observation(torch.zeros(1, 4), torch.tensor([[-INF, 0.0, 40.0, INF]]))
    t = torch.linspace(0, 1, 22)
    levels = seen.levels(path(modes=4))(t)
    assert levels.shape == (22, 1, 4)
    assert torch.equal(levels[:, 0, 0], path(modes=4)(t)[:, 0, 0])
    assert levels[:, 0, 1].min() == 0
    assert (levels[:, 0, 2] == 40).all()
    assert (levels[:, 0, 3] == INF).all()
    some = Observation(torch.zeros(5, 1, 4), torch.zeros(5, 1, 4))
    assert some.levels(path(modes=4))(t).shape == (22, 5, 1, 4)


@pytest.mark.parametrize("churn", [0.0, 0.5, 2.0])
def test_noise_needs_the_reverse_diffusion(churn: float) -> None:
    with pytest.raises(ValueError, match="set churn to 1"):
        first_seen(0.0, 0.5).start(path(), noise(3)(0), churn=churn)


def test_bad_observations_are_refused() -> None:
    with pytest.raises(ValueError, match="same coefficients"):
        Observation(torch.zeros(1, 3), torch.zeros(1, 2))
    with pytest.raises(ValueError, match="same coefficients"):
        Observation(torch.zeros(2, 1, 3), torch.zeros(4, 1, 3))
    for value, log_snr in ((math.nan, 0.0), (INF, INF), (0.0, math.nan)):
        with pytest.raises(ValueError, match="finite value"):
            Observation(torch.full((1, 1), value), torch.full((1, 1), log_snr))
    Observation(torch.full((1, 1), math.nan), torch.full((1, 1), -INF))  # unobserved: ignored
    with pytest.raises(ValueError, match="as many members"):
        Observation(torch.zeros(4, 1, 2), torch.zeros(1, 2)).start(path(), noise(3)(0), churn=1)
