"""DDO's published sampler leaves ten times too much noise, even with the exact score.

The score is exact: DDO's Gaussian mixture of functions on [0, 1] and Multilevel's of fields on the
torus, both diagonal in some orthonormal basis. What a sampler makes of one component is linear, so
its variance obeys an exact recursion per coefficient. That recursion is the oracle beside the real
samplers, and reproduces the numbers known for point-mass data: a residual noise variance of 0.099
where the last level's is 0.010, with the ladder, steps and step size of DDO's final code.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from pushforward.generative import GaussianDenoiser, MixtureDenoiser
from pushforward.generative.langevin import Rule, annealed_langevin, langevin_evaluations

LEVELS, INNER = 500, 3  # DDO's final configuration, with variances from 30 to 0.01 and eps 6e-6
FIRST, LAST, EPSILON = 30.0, 0.01, 6e-6


@dataclass(frozen=True)
class Data:
    """Two equal components N(means, diag(spectrum)) and the noise's reference spectrum."""

    spectrum: np.ndarray
    means: np.ndarray  # (2, mode)
    noise: np.ndarray

    @property
    def variance(self) -> np.ndarray:
        """Of both together, which whitens."""
        return self.spectrum + self.means.var(0)


def functions(reference: str, points: int = 64) -> Data:
    """DDO's: means +-(10 x - 5), squared-exponential covariance of length 0.1 and variance 0.4.

    The basis is that of the covariance's eigenvectors on the grid, orthonormal in L2. The noise
    has unit variance at a point: trace class, of spectrum (j^2 + 25)^-1, or white on the grid.
    """
    x = (np.arange(points) + 0.5) / points
    covariance = 0.4 * np.exp(-0.5 * ((x[:, None] - x) / 0.1) ** 2) / points
    spectrum, vectors = np.linalg.eigh(covariance)
    kept = (spectrum > 1e-10 * spectrum[-1]).nonzero()[0][::-1]
    mean = vectors[:, kept].T @ (10 * x - 5) / math.sqrt(points)
    j = np.arange(points)
    trace_class = 1 / (j**2 + 25)
    spectra = {
        "trace class": trace_class / trace_class.sum(),
        "white": np.full(points, 1 / points),
    }
    return Data(spectrum[kept], np.stack([mean, -mean]), spectra[reference][: len(kept)])


def fields(points: int = 16) -> Data:
    """Multilevel's: N(0, Q) about Q^{1/2} f, f the ramps k / N in x and 1 - k / N in y.

    Q = (100 - Laplacian)^-1.1 by the five-point stencil: diagonal for cos + sin, and the noise's
    covariance too.
    """
    k = np.arange(points)
    symbol = 4 * points**2 * np.sin(np.pi * k / points) ** 2
    spectrum = (100 + symbol[:, None] + symbol).ravel() ** -1.1
    ramp = np.broadcast_to(k / points, (points, points))
    hat = np.fft.fft2(np.stack([ramp, 1 - ramp.T]), norm="ortho")
    means = np.sqrt(spectrum) * (hat.real - hat.imag).reshape(2, -1)
    return Data(spectrum, means, spectrum)


def sampled(data: Data, count: int, rule: Rule, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Samples less their component's mean (member, mode), and which component each is of."""
    centre, deviation = data.means.mean(0), np.sqrt(data.variance)
    whitened = [(data.means - centre) / deviation, data.spectrum / data.variance]
    means, variances = (torch.from_numpy(np.atleast_2d(array))[:, None] for array in whitened)
    mixture = MixtureDenoiser(torch.full((2,), 0.5).double(), means, variances.expand_as(means))
    relative = torch.from_numpy(np.log(data.variance / data.noise))

    def levels(t: torch.Tensor) -> torch.Tensor:
        clock = -math.log(LAST) - t.double() * math.log(FIRST / LAST)
        return (clock[:, None] + relative)[:, None]

    generator = torch.Generator().manual_seed(0)

    def normals(i: int) -> torch.Tensor:
        return torch.randn(count, 1, len(relative), generator=generator, dtype=torch.float64)

    x = annealed_langevin(
        mixture, levels, normals, steps=LEVELS, inner=INNER, rule=rule, step=step
    )[:, 0].numpy()
    rest = centre + deviation * x - data.means[:, None]  # (component, member, mode)
    near = (rest**2 / (data.spectrum + LAST * data.noise)).sum(-1).argmin(0)
    return rest[near, np.arange(count)], near


def recursion(
    noises: np.ndarray,
    rule: Rule,
    step: float,
    inner: int,
    signal: Any,
    total: Any,
) -> tuple[Any, Any]:
    """What is made of N(1, signal) down the levels `noises`: variance, over the noise's, and mean.

    `total` is the variance of all the data, with which a matched start begins.
    """
    published = rule.startswith("published")
    made, mean = noises[0] + total, 0.0
    for i, s in enumerate(noises):
        if rule == "wiener" and i:  # y = cos(theta) xi stays, cos(theta)^2 = total / (total + s)
            ratio = (total + s) / (total + noises[i - 1])
            made, mean = ratio * made, np.sqrt(ratio) * mean
        h = step * s / noises[-1] if rule == "published_variance" else step
        damping = 1 + {"pcn": 1.0, "wiener": s / (s + total)}.get(rule, 0.0) * h / 2
        for j in range(inner):
            last = published and i == len(noises) - 1 and j == inner - 1
            kept = 1 - h * s / (s + signal) / damping
            made = kept**2 * made + (0 if last else 2 * h * s / damping**2)
            mean = kept * mean + 1 - kept
    if published:
        return made, mean
    # the end, of D = 1 + rho (xi - 1): D itself, or y + theta F with F = (D - cos y) / sin
    rho, turn, keep = signal / (signal + noises[-1]), 1.0, 0.0
    if rule == "wiener":
        theta = np.arctan(np.sqrt(noises[-1] / total))
        turn = theta / np.sin(theta)
        keep = np.cos(theta) - turn * np.cos(theta) ** 2
    gain = keep + turn * rho
    return gain**2 * made, gain * mean + turn * (1 - rho)


# rule, levels, relaxations a level, step: what point-mass data keeps, what the last level has
LADDERS: dict[str, tuple[Rule, np.ndarray, int, float, float, float]] = {
    "final code, sigma a variance": (
        "published_variance",
        np.geomspace(FIRST, LAST, LEVELS),
        INNER,
        EPSILON / (2 * LAST),
        0.0992,
        0.01,
    ),
    "the same numbers, sigma a deviation": (
        "published_std",
        np.geomspace(FIRST, LAST, LEVELS) ** 2,
        INNER,
        EPSILON / (2 * LAST**2),
        1.152e-4,
        1e-4,
    ),
    "first code, sigma a deviation": (
        "published_std",
        np.geomspace(1, 0.01, 10) ** 2,
        200,
        2e-5 / (2 * 0.01**2),
        8.53e-5,
        1e-4,
    ),
}


@pytest.mark.parametrize("name", LADDERS)
def test_point_masses_keep_the_published_noise(name: str) -> None:
    rule, noises, inner, step, kept, last = LADDERS[name]
    assert recursion(noises, rule, step, inner, 0.0, 1.0)[0] == pytest.approx(kept, rel=2e-3)
    assert (kept > 9 * last) == (rule == "published_variance")
    ends = -math.log(noises[-1]), -math.log(noises[0])

    def levels(t: torch.Tensor) -> torch.Tensor:
        return (ends[0] + t.double() * (ends[1] - ends[0]))[:, None, None]

    numbers = langevin_evaluations(len(noises), inner, rule)

    def normals(i: int) -> torch.Tensor:  # every number that enters, followed to the end
        one = torch.zeros(numbers, 1, 1, dtype=torch.float64)
        one[i] = 1
        return one

    point = GaussianDenoiser(torch.zeros(1, 1, dtype=torch.float64))
    options: dict[str, Any] = {"steps": len(noises), "inner": inner}
    made = annealed_langevin(point, levels, normals, rule=rule, step=step, **options)
    # step_times is float32: levels are off by as much
    assert made.square().sum().item() == pytest.approx(kept, rel=2e-3)


SLOW = pytest.mark.slow
DEFECTIVE = EPSILON / (2 * LAST)
CASES = [
    ("trace class", "published_variance", DEFECTIVE),
    ("trace class", "corrected", 0.5),
    ("trace class", "pcn", 0.06),
    pytest.param("trace class", "published_std", 0.03, marks=SLOW),
    pytest.param("trace class", "wiener", 0.5, marks=SLOW),
    pytest.param("white", "published_variance", DEFECTIVE, marks=SLOW),
    pytest.param("white", "corrected", 0.5, marks=SLOW),
    pytest.param("white", "pcn", 0.06, marks=SLOW),
]


def check_against_recursion(data: Data, count: int, rule: Rule, step: float) -> np.ndarray:
    """What is made is what the recursion says, each coefficient and all together.

    Returns the mean square about the component's own mean, over the noise's variance.
    """
    rest, near = sampled(data, count, rule, step)
    assert abs(near.mean() - 0.5) < 4 * math.sqrt(0.25 / count)
    component = (data.means - data.means.mean(0))[near]
    ladder = np.geomspace(FIRST, LAST, LEVELS)
    signal, total = data.spectrum / data.noise, data.variance / data.noise

    def agrees(other: Rule, other_step: float) -> bool:
        variance, mean = recursion(ladder, other, other_step, INNER, signal, total)
        made = ((rest - (mean - 1) * component) ** 2).mean(0) / data.noise
        ratio = made / variance
        beyond = stats.norm.sf(4.5)  # some hundred coefficients are looked at
        low, high = (stats.chi2.ppf(p, count) / count for p in (beyond, 1 - beyond))
        together = abs(ratio.mean() - 1) < 4 * math.sqrt(2 / (count * ratio.size))
        return together and bool(((ratio > low) & (ratio < high)).all())

    assert agrees(rule, step)
    published = rule == "published_variance"  # negative control: the rule that it is not
    assert not (agrees("corrected", 0.5) if published else agrees("published_variance", DEFECTIVE))
    return (rest**2).mean(0) / data.noise


@pytest.mark.parametrize(("reference", "rule", "step"), CASES)
def test_mixture_of_functions(reference: str, rule: Rule, step: float) -> None:
    count = 200
    data = functions(reference)
    made = check_against_recursion(data, count, rule, step)
    drowned = data.spectrum < 1e-5 * data.noise  # in which all that is left is noise
    assert drowned.sum() > 4
    residual = made[drowned].mean()
    error = 4 * math.sqrt(2 / (count * drowned.sum()))
    # wiener's end is not the denoiser: near the last noise some of it stays, and of the data's
    some = {"published_variance": 0.0992, "published_std": 0.0103, "wiener": 3.5e-6}
    expected = some.get(rule, 0.0)
    assert abs(residual - expected) <= error * expected + 1e-6
    if rule == "published_variance":
        assert residual > 8 * LAST
    else:
        assert residual < 1.3 * LAST


@pytest.mark.parametrize(
    ("rule", "step"),
    [
        ("published_variance", DEFECTIVE),
        ("corrected", 0.5),
        ("pcn", 0.06),
        pytest.param("published_std", 0.03, marks=SLOW),
        pytest.param("wiener", 0.5, marks=SLOW),
    ],
)
def test_mixture_of_fields(rule: Rule, step: float) -> None:
    count = 32
    data = fields()
    excess = check_against_recursion(data, count, rule, step).mean() - 1  # the noise is the data's
    error = 4 * math.sqrt(2 / (count * data.spectrum.size))
    if rule == "published_variance":  # the noise, and spread that was never relaxed away
        assert excess > 10 * LAST + error
    elif rule == "published_std":
        assert abs(excess - 0.1096) < error * 1.11
    else:
        assert abs(excess) < error + (0.01 if rule == "pcn" else 0.005)  # the recursion's bias
