"""Langevin: the law each rule settles at, in closed form; its growth with dimension; a mixture."""

from __future__ import annotations

import math
from typing import Any, get_args

import numpy as np
import pytest
import torch
from scipy import integrate

from pushforward.generative import Denoiser, GaussianDenoiser, MixtureDenoiser
from pushforward.generative.langevin import Rule, annealed_langevin, langevin_evaluations

RULES = get_args(Rule)
KEPT: list[Rule] = ["corrected", "pcn", "wiener"]
COUNT = 4000


def noise(count: int, modes: int = 1, seed: int = 0) -> Any:
    generator = torch.Generator().manual_seed(seed)
    return lambda step: torch.randn(count, 1, modes, generator=generator, dtype=torch.float64)


def ladder(lowest: float, highest: float, modes: int = 1) -> Any:
    """A geometric ladder of noise, the same for all coefficients."""

    def levels(t: torch.Tensor) -> torch.Tensor:
        clock = highest + t.double() * (lowest - highest)
        return clock[:, None, None].expand(-1, 1, modes)

    return levels


def still(log_snr: torch.Tensor) -> Any:
    """One level, for ever."""
    return lambda t: log_snr.expand(len(t), *log_snr.shape)


def variance_made(denoiser: Denoiser, levels: Any, modes: int, **options: Any) -> torch.Tensor:
    """The exact variance a linear denoiser's sampler makes: every number followed to the end."""
    numbers = options["steps"] * options["inner"] + 1

    def normals(i: int) -> torch.Tensor:
        one = torch.zeros(numbers, 1, modes, dtype=torch.float64)
        one[i] = 1
        return one

    return annealed_langevin(denoiser, levels, normals, **options).square().sum(0)[0]


# what a rule settles at, over the right variance e^{-lambda} / (1 - rho), by solving
# V = (1 - h (1 - rho) / (1 + kappa h / 2))^2 V + 2 h e^{-lambda} / (1 + kappa h / 2)^2
def settled(rule: Rule, h: float, rho: torch.Tensor, signal: torch.Tensor) -> torch.Tensor:
    kappa = {"pcn": torch.ones_like(rho), "wiener": 1 - signal}.get(rule, torch.zeros_like(rho))
    return 1 / (1 + h / 2 * (kappa - (1 - rho)))


def ended(rule: Rule, xi: Any, d: torch.Tensor, log_snr: torch.Tensor) -> torch.Tensor:
    """What a rule's end makes of xi and the denoiser's answer."""
    cos, sin = log_snr.sigmoid().sqrt(), (-log_snr).sigmoid().sqrt()
    return cos * xi + cos.arccos() * (d - cos**2 * xi) / sin if rule == "wiener" else d


@pytest.mark.parametrize("rule", KEPT)
@pytest.mark.parametrize("h", [0.1, 1.0])
def test_variance_settled_at_for_gaussian_data(rule: Rule, h: float) -> None:
    log_snr = torch.tensor([[-4.0, -1.0, 0.0, 1.0]], dtype=torch.float64)
    variance = torch.tensor([[1.0, 1.0, 0.5, 2.0]], dtype=torch.float64)
    snr = log_snr[0].exp()
    rho = variance[0] * snr / (1 + variance[0] * snr)
    made = variance_made(
        GaussianDenoiser(variance), still(log_snr), 4, steps=1, inner=900, rule=rule, step=h
    )
    factor = settled(rule, h, rho, snr / (1 + snr))
    gain = ended(rule, 1.0, rho, log_snr[0])
    torch.testing.assert_close(made, factor * gain**2 / snr / (1 - rho), rtol=1e-6, atol=0)
    if rule == "wiener":  # right where the variance is one, and at the end too
        torch.testing.assert_close(made[:2], torch.ones(2).double())
    else:
        assert (factor[:2] - 1).abs().max() > 0.01  # and not the right one


@pytest.mark.parametrize("steps", [1, 2, 7])
@pytest.mark.parametrize("inner", [1, 3])
@pytest.mark.parametrize("end", [-2.0, 6.0])
def test_wiener_s_chain_is_exact_for_gaussian_data(steps: int, inner: int, end: float) -> None:
    def made(rule: Rule) -> torch.Tensor:
        options: dict[str, Any] = {"steps": steps, "inner": inner, "rule": rule, "step": 0.7}
        return variance_made(GaussianDenoiser(), ladder(-5, end, 2), 2, **options)

    torch.testing.assert_close(made("wiener"), torch.ones(2).double())
    assert (made("corrected") - 1).abs().max() > 0.01  # the control


def test_divergence_grows_with_dimension_where_the_step_is_explicit() -> None:
    """In function space: data of spectrum k^-4, noise of spectrum k^-2, ever more of both."""
    k = torch.arange(1, 257, dtype=torch.float64)
    log_snr = (2.0 - 2 * torch.log(k))[None]
    clean = torch.exp(log_snr[0])
    rho = clean / (1 + clean)

    def divergences(rule: Rule, h: float) -> torch.Tensor:
        """KL of the law settled at to the right one, over the first 32, 64, 128, 256."""
        made = variance_made(
            GaussianDenoiser(), still(log_snr), 256, steps=1, inner=150, rule=rule, step=h
        )
        gain = ended(rule, 1.0, rho, log_snr[0])
        ratio = made / (gain**2 / rho)  # for xi has variance 1 + 1 / clean
        return (0.5 * (ratio - 1 - ratio.log())).cumsum(0)[[31, 63, 127, 255]]

    explicit, pcn, wiener = (divergences(rule, 0.5) for rule in KEPT)
    assert explicit[-1] > 4
    assert (explicit[1:] / explicit[:-1] > 1.8).all()  # proportional to dimension
    assert pcn[-1] < 0.05
    assert (pcn.diff() < 1e-3).all()
    assert (wiener < 1e-9).all()


@pytest.mark.parametrize("rule", ["pcn", "wiener"])
def test_implicit_rules_are_stable_at_any_step_and_explicit_ones_refuse(rule: Rule) -> None:
    denoiser = GaussianDenoiser(1.0)
    drowned = torch.full((1, 3), -12.0, dtype=torch.float64)
    options = {"steps": 1, "inner": 200}
    for h in (2.5, 20.0):
        made = variance_made(denoiser, still(drowned), 3, rule=rule, step=h, **options)
        right = torch.ones(3).double() if rule == "wiener" else drowned[0].sigmoid()
        torch.testing.assert_close(made, right, rtol=1e-3, atol=0)
    with pytest.raises(ValueError, match="which diverges"):
        variance_made(denoiser, still(drowned), 3, rule="corrected", step=2.5, **options)
    almost = variance_made(denoiser, still(drowned), 3, rule="corrected", step=1.9, **options)
    assert (almost > 15 * drowned[0].sigmoid()).all()  # 1 / (1 - h / 2) = 20


WEIGHTS = torch.tensor([0.7, 0.3], dtype=torch.float64)
MEANS = torch.tensor([[[-1.0, 0.0]], [[1.5, 0.5]]], dtype=torch.float64)
VARIANCES = torch.tensor([[[0.05, 0.8]], [[0.1, 0.3]]], dtype=torch.float64)
MIXTURE = MixtureDenoiser(WEIGHTS, MEANS, VARIANCES)


def law_of_the_end(rule: Rule, log_snr: float) -> tuple[float, float, float]:
    """Mean and variance of x, and P(x > 1), by quadrature over the exact law of xi."""
    single = MixtureDenoiser(WEIGHTS, MEANS[..., :1], VARIANCES[..., :1])
    xi = np.linspace(-9, 9, 20_001)
    spread = VARIANCES[:, 0, 0].numpy() + math.exp(-log_snr)
    distance = xi[:, None] - MEANS[:, 0, 0].numpy()
    density = np.exp(-0.5 * distance**2 / spread) / np.sqrt(2 * np.pi * spread) @ WEIGHTS.numpy()
    points = torch.from_numpy(xi)[:, None, None]
    level = torch.full_like(points, log_snr)
    x = ended(rule, points, single(points, level), level)[:, 0, 0].numpy()
    mean = float(integrate.simpson(density * x, x=xi))
    return (
        mean,
        float(integrate.simpson(density * (x - mean) ** 2, x=xi)),
        float(integrate.simpson(density * (x > 1), x=xi)),
    )


@pytest.mark.parametrize("rule", KEPT)
def test_law_settled_at_for_a_mixture(rule: Rule) -> None:
    single = MixtureDenoiser(WEIGHTS, MEANS[..., :1], VARIANCES[..., :1])
    mean, variance, tail = law_of_the_end(rule, 0.0)

    def errors(h: float, inner: int, denoiser: Denoiser = single) -> list[float]:
        """In standard errors: mean, variance and tail."""
        levels = still(torch.zeros(1, 1, dtype=torch.float64))
        options: dict[str, Any] = {"steps": 1, "inner": inner, "rule": rule, "step": h}
        x = annealed_langevin(denoiser, levels, noise(COUNT), **options)[:, 0, 0]
        kurtosis = float(((x - x.mean()) ** 4).mean() / x.var() ** 2)
        share = float((x > 1).double().mean())
        return [
            (float(x.mean()) - mean) / math.sqrt(variance / COUNT),
            (float(x.var()) / variance - 1) / math.sqrt((kurtosis - 1) / COUNT),
            (share - tail) / math.sqrt(tail * (1 - tail) / COUNT),
        ]

    right = errors(0.04, 600)
    assert max(map(abs, right)) < 4, right
    # negative controls: not yet there, and settled at the law of other data
    assert max(map(abs, errors(0.04, 2))) > 4
    assert max(map(abs, errors(0.04, 600, GaussianDenoiser()))) > 4


@pytest.mark.parametrize("rule", ["corrected", "wiener"])
def test_mixture_is_sampled_down_the_ladder(rule: Rule) -> None:
    def errors(**options: Any) -> list[float]:
        """In standard errors: the right component's share, both components' variances."""
        x = annealed_langevin(MIXTURE, ladder(-5, 8, 2), noise(COUNT, 2), inner=3, **options)[:, 0]
        right = x[:, 0] > 0
        found = [(float(right.double().mean()) - 0.3) / math.sqrt(0.21 / COUNT)]
        for part, some, truth in ((0.7, ~right, VARIANCES[0]), (0.3, right, VARIANCES[1])):
            ratio = x[some].var(0) / truth[0]
            found += ((ratio - 1) / math.sqrt(2 / (part * COUNT))).tolist()
        return found

    right = errors(steps=300, rule=rule, step=0.5)
    assert max(map(abs, right)) < 4, right
    # negative control: with next to no relaxation at the low levels, as published
    wrong = errors(steps=60, rule="published_variance", step=4e-6)
    assert max(map(abs, wrong)) > 4, wrong


class Counter(Denoiser):
    """Counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def correction(self, y: torch.Tensor, log_snr: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        assert log_snr.shape == y.shape
        return torch.zeros_like(y)


@pytest.mark.parametrize("rule", RULES)
def test_evaluations_are_as_announced_and_numbers_used_once(rule: Rule) -> None:
    counter, used = Counter(), []

    def normals(i: int) -> torch.Tensor:
        used.append(i)
        return torch.zeros(2, 1, 3)

    options: dict[str, Any] = {"steps": 4, "inner": 3, "rule": rule, "step": 1e-3}
    annealed_langevin(counter, ladder(-2, 3, 3), normals, **options)
    assert counter.calls == langevin_evaluations(4, 3, rule)
    last = 13 if rule in KEPT else 12  # the published rules leave the last noise out
    assert used == list(range(last))


def test_starts() -> None:
    """Before anything moves: noise and data, noise alone, or what is given."""
    levels = ladder(-1, -1, 4)
    z = noise(10, 4)(0)
    options: dict[str, Any] = {"steps": 1, "inner": 1, "rule": "published_std", "step": 1e-12}
    ones = (GaussianDenoiser(), levels, lambda i: z)
    matched = annealed_langevin(*ones, **options)
    torch.testing.assert_close(matched, math.sqrt(1 + math.e) * z)
    alone = annealed_langevin(*ones, matched=False, **options)
    torch.testing.assert_close(alone, math.sqrt(math.e) * z)
    given = annealed_langevin(*ones, start=z * 0.5, **options)
    torch.testing.assert_close(given, 0.5 * matched)


@pytest.mark.parametrize("rule", RULES)
def test_what_is_clean_stays(rule: Rule) -> None:
    def levels(t: torch.Tensor) -> torch.Tensor:
        clock = (5 - 8 * t.double())[:, None].expand(-1, 2).clone()
        clock[:, 0] = torch.inf
        return clock[:, None]

    given = noise(5, 2)(0)
    draw = noise(5, 2, 1)
    x = annealed_langevin(
        MIXTURE, levels, draw, steps=5, inner=2, rule=rule, step=1e-4, start=given
    )
    torch.testing.assert_close(x[..., 0], given[..., 0])
    assert (x[..., 1] - given[..., 1]).abs().min() > 1e-3


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"steps": 0}, "at least 1 level"),
        ({"inner": 0}, "at least 1 relaxation"),
        ({"step": 0.0}, "a step > 0"),
        ({"step": math.inf}, "a step > 0"),
        ({"step": 0.1, "rule": "published_variance"}, "which diverges"),
        ({"step": 2.5}, "which diverges"),
    ],
)
def test_bad_arguments_are_refused(bad: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        annealed_langevin(GaussianDenoiser(), ladder(-4, 4), noise(1), **bad)


def test_levels_without_signal_are_refused() -> None:
    nothing = still(torch.full((1, 1), -torch.inf))
    with pytest.raises(ValueError, match="some signal throughout"):
        annealed_langevin(GaussianDenoiser(), nothing, noise(1))

    def to_the_end(t: torch.Tensor) -> torch.Tensor:
        return torch.where(t == 0, torch.inf, 5 - 8 * t)[:, None, None]

    with pytest.raises(ValueError, match="some noise"):
        annealed_langevin(GaussianDenoiser(), to_the_end, noise(1), rule="published_variance")
