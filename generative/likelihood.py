r"""Likelihood: the variational bound of whitened fields along a path, and what the ends cost.

The model draws y ~ N(0, 1) at theta(1) (`angle` of log snr), follows the reverse diffusion to
theta(0) and there draws x ~ N(D, sin^2 theta(0)): D the denoiser, and a variance of 1 / (1 + snr),
the exact one for x of unit variance and right to O(1 / snr^2) of a nat for any other. In snr form,

    log p(x) >= sum_k  E log N(x_k; D_k(theta_k(0)), sin^2 theta_k(0))
                     - 1/2 int E |D_k - x_k|^2 (-d snr_k)  -  KL(q(y_k(1) | x) || N(0, 1)),

for every process, K variables or one, that shows these signal-to-noise ratios: the bound does not
know which. With D = cos y + sin F, y = cos x + sin eps and F* = sin x - cos eps (see `denoiser`),
the integrand is cot(theta) |F - F*|^2 d theta. The three terms of F* alone are known in closed
form, and their sum is log N(x; 0, 1) whatever the path. What is left to estimate is small:

    bound = log N(x; 0, 1) - E { e_k(theta_k(0)) / 2 + int cot(theta_k) e_k d theta_k },
    e = F (F - 2 F*),

nothing for F = 0, the Gaussian baseline. The times are stratified, one in each of equal shares of
the path (`angles`), with a random shift; neighbouring strata share their noise with opposite
signs, and the differences between pairs of them give a standard error (slightly too large).

    Kingma et al., variational diffusion models (2021), arXiv:2107.00630
    Singhal et al., multivariate diffusions (2023), arXiv:2302.07261, for processes of K variables
    Gerdes et al., GUD (2024), arXiv:2410.02667, for a level per coefficient
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pushforward.generative.angles import Angles, log_snr
from pushforward.generative.denoiser import Denoiser
from pushforward.generative.sampler import Levels, Normals

GOLDEN = 0.6180339887498949  # its multiples modulo 1 fill an interval evenly


@dataclass(frozen=True, eq=False)
class Likelihood:
    """Log densities, or bounds of them, of whitened fields, in nats.

    `nats`, `baseline` (log N(x; 0, 1)) and `error` (the standard error of nats) are (batch,
    channel, mode) and 0 where a coefficient does not count; only their sums mean something by
    themselves. `total_error` (batch,) is the standard error of `total`, `dimensions` how many
    coefficients count, `evaluations` how often the denoiser was asked.

    >>> one = torch.zeros(1, 1, 2)
    >>> score = Likelihood(one - 1, one - 1.4, one, torch.zeros(1), dimensions=2, evaluations=8)
    >>> score.total, score.gain
    (tensor([-2.]), tensor([0.8000]))
    """

    nats: Float[Tensor, "batch channel mode"]
    baseline: Float[Tensor, "batch channel mode"]
    error: Float[Tensor, "batch channel mode"]
    total_error: Float[Tensor, " batch"]
    dimensions: int
    evaluations: int

    @property
    def total(self) -> Float[Tensor, " batch"]:
        """Nats of whole fields."""
        return self.nats.sum((1, 2))

    @property
    def gain(self) -> Float[Tensor, " batch"]:
        """Nats more than the Gaussian of the same spectrum has: the non-Gaussianity captured."""
        return (self.nats - self.baseline).sum((1, 2))

    def per_dimension(self, log_det: float = 0.0) -> Float[Tensor, " batch"]:
        """Nats per dimension of u, with log_det = log |d x / d u| over the coefficients counted.

        For a basis's raw coefficients that is its log_det; for values at n points, of which raw
        coefficients are the orthonormal ones over sqrt(n), take dimensions / 2 * log(n) off.
        """
        return (self.total + log_det) / self.dimensions

    def baseline_per_dimension(self, log_det: float = 0.0) -> Float[Tensor, " batch"]:
        """The same of the Gaussian baseline."""
        return (self.baseline.sum((1, 2)) + log_det) / self.dimensions


def log_normal(x: Tensor) -> Tensor:
    """log N(x; 0, 1), element by element.

    >>> round(log_normal(torch.zeros(())).item(), 4)
    -0.9189
    """
    return -0.5 * (x.square() + math.log(2 * math.pi))


def excess(denoiser: Denoiser, theta: Tensor, x: Tensor, eps: Tensor) -> Tensor:
    """e = F (F - 2 F*): the squared error of F over that of the Gaussian denoiser, F = 0.

    >>> from pushforward.generative.exact import GaussianDenoiser
    >>> x = torch.ones(1, 1, 1)
    >>> excess(GaussianDenoiser(), x / 2, x, x).item()
    0.0
    """
    c, s = torch.cos(theta), torch.sin(theta)
    f = denoiser.correction(c * x + s * eps, log_snr(theta).expand_as(x))
    return f * (f - 2 * (s * x - c * eps))


@torch.no_grad()
def elbo(
    denoiser: Denoiser,
    levels: Levels,
    x: Float[Tensor, "batch channel mode"],
    normals: Normals,
    *,
    times: int = 64,
    kept: Bool[Tensor, "channel mode"] | None = None,
) -> Likelihood:
    """The variational bound of x on the path `levels`, with `times` + 4 evaluations.

    `levels(t)` gives the log snr (time, channel, mode) at times t from 0 (clean) to 1 (noise),
    `normals(i)` standard normals (batch, channel, mode), i = 0..times / 2 + 2. Coefficients that
    stay clean (+inf) condition the others and have no likelihood themselves; those not `kept`
    (channel, mode) do not count.

    Raises ValueError unless `times` is a positive multiple of 4 and the levels fall.

    >>> from pushforward.generative.exact import GaussianDenoiser
    >>> x, levels = torch.ones(5, 1, 2), lambda t: (6 - 12 * t)[:, None, None].expand(-1, 1, 2)
    >>> score = elbo(GaussianDenoiser(), levels, x, lambda i: torch.randn(5, 1, 2), times=8)
    >>> score.total[0], score.evaluations               # exact: 2 log N(1; 0, 1)
    (tensor(-2.8379), 12)
    """
    if times < 4 or times % 4:
        raise ValueError(
            f"expected a positive multiple of 4 times, got {times}; the error comes from pairs of "
            "pairs, so take 4, 8, ..."
        )
    angles = Angles(levels, x, kept)
    shift = torch.special.ndtr(normals(0)[:, angles.counted][:, 0])

    def integrand(stratum: int, eps: Tensor) -> Tensor:
        share = (stratum + (shift + stratum * GOLDEN) % 1) / times
        theta, slope = angles.at(share)
        cot = torch.where(angles.counted & (theta > 0), 1 / torch.tan(theta), 0.0)
        return cot * slope * excess(denoiser, theta, x, eps) / times

    def end(_: int, eps: Tensor) -> Tensor:
        counts = angles.counted & (angles.first > 0)
        return counts * excess(denoiser, angles.first, x, eps) / 8

    baseline = log_normal(x) * angles.counted
    nats, variance = baseline.clone(), torch.zeros_like(x)
    total_variance = torch.zeros_like(x[:, 0, 0])
    for quartet in range(times // 4 + 1):
        value = integrand if 4 * quartet < times else end
        pairs = []
        for pair in (2 * quartet, 2 * quartet + 1):
            eps = normals(pair + 1)
            pairs.append(value(2 * pair, eps) + value(2 * pair + 1, -eps))
        nats -= pairs[0] + pairs[1]
        difference = pairs[0] - pairs[1]
        variance += difference.square()
        total_variance += difference.sum((1, 2)).square()
    return Likelihood(
        nats,
        baseline,
        variance.sqrt(),
        total_variance.sqrt(),
        dimensions=int(angles.counted.sum()),
        evaluations=times + 4,
    )


def terminal_divergence(
    levels: Levels,
    ratio: Float[Tensor, "channel mode"],
    *,
    matched: bool,
    variance: Float[Tensor, "channel mode"] | float = 1.0,
) -> Float[Tensor, ""]:
    """KL(q_1 || start) in nats, q_1 the law at t = 1 of Gaussian data: what a wrong start costs.

    `levels` are those of whitened coefficients, `ratio` (channel, mode) the data's fitted variance
    over the reference noise's, `variance` the true variance of whitened data (1 if the fit is
    right). The divergence is 1/2 sum m - log(1 + m), 1 + m the true variance over the start's. A
    start from the reference noise has m = alpha^2 (ratio * variance - 1), alpha^2 = snr / (ratio +
    snr): on a clock common to all coefficients it grows as their number, n^2 in two dimensions. A
    matched start, y ~ N(0, 1), has m = cos^2(theta) (variance - 1), nothing when the fit is right.

    >>> ratio = torch.full((1, 64), 0.5)
    >>> levels = lambda t: (5 - 8 * t)[:, None, None] + ratio.log()
    >>> terminal_divergence(levels, ratio, matched=True).item()
    0.0
    >>> round(terminal_divergence(levels, ratio, matched=False).item(), 4)
    0.0091
    """
    end = levels(torch.ones(1, dtype=ratio.dtype, device=ratio.device))[0]
    if matched:
        m = torch.sigmoid(end) * (variance - 1)
    else:
        m = torch.sigmoid(end - ratio.log()) * (ratio * variance - 1)
    return 0.5 * (m - torch.log1p(m)).sum()
