"""The bound of Gaussian data in snr form is every process's own, as its authors state it."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.linalg import expm

from pushforward.generative.denoiser import Denoiser
from pushforward.generative.exact import GaussianDenoiser
from pushforward.generative.kernel import Dynamics
from pushforward.generative.likelihood import excess, log_normal, terminal_divergence
from pushforward.generative.process import Process

LOG_2PI = math.log(2 * math.pi)


def learned(size: int, seed: int) -> Process:
    draw = np.random.default_rng(seed)
    g, b = draw.normal(size=(size, size)), draw.normal(size=(size, size)) / math.sqrt(size)
    d = b @ b.T
    q, d = (tuple(map(tuple, rows.tolist())) for rows in (g - g.T, (d + d.T) / 2))
    return Process("learned", variables=size, rotation=q, diffusion=d, full=True)


PROCESSES = {
    "vp": Process("vp"),
    "cld": Process("cld"),
    "psld": Process("psld"),
    "alda": Process("alda"),
    "malda": Process("malda"),
    "learned2": learned(2, 1),
    "learned3": learned(3, 2),
}
# early enough for a posterior variance of 1 / (1 + snr), late enough for double precision
CLEAN = {name: 1e-6 if name in ("vp", "learned2", "learned3") else 1e-4 for name in PROCESSES}
CLEAN["alda"] = 1e-2


Matrices = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def matrices_of(dynamics: Dynamics) -> Matrices:
    """F, N, S and V0."""
    assert dynamics.S is not None
    F, N, S, V0 = (m.numpy() for m in (dynamics.F, dynamics.N, dynamics.S, dynamics.V0))
    return F, N, S, V0


def log_snrs(dynamics: Dynamics, *taus: float) -> tuple[float, float]:
    """The package's own, at two times."""
    clean, noisy = dynamics.log_snr(torch.tensor(taus, dtype=torch.float64)).tolist()
    return clean, noisy


class Kernel:
    """y(tau) | x ~ N(phi x, sigma) by doubling a short Gauss step; the rest (K - 1) integrated out
    from its start V0, or given exactly (rest = 0)."""

    def __init__(self, matrices: Matrices, tau: float, rest: float = 1.0) -> None:
        f, n, _, v0 = matrices
        start = rest * v0
        doublings = max(0, math.ceil(math.log2(np.abs(f).sum(0).max() * tau / 0.5)))
        h = tau / 2**doublings
        sigma = np.zeros_like(f)
        for node, weight in zip(*np.polynomial.legendre.leggauss(6), strict=True):
            phi = expm(f * h * (node + 1) / 2)
            sigma += h * weight / 2 * phi @ n @ phi.T
        self.transition = expm(f * h)
        for _ in range(doublings):
            sigma = sigma + self.transition @ sigma @ self.transition.T
            self.transition = self.transition @ self.transition
        self.sigma = sigma + self.transition @ start @ self.transition.T
        self.phi = self.transition[:, 0]
        self.pull = np.linalg.solve(self.sigma, self.phi)
        self.snr = float(self.phi @ self.pull)


def log_determinant(matrix: np.ndarray) -> float:
    return float(np.linalg.slogdet(matrix)[1])


def process_bound(
    matrices: Matrices, data: float, fitted: float, ends: tuple[float, float], prior: np.ndarray
) -> float:
    """The mean bound of x ~ N(0, data) as MDM's (11)-(13) state it, score matching on all K
    variables: E log prior(y_T) + int 1/2 |g log q|_N^2 - 1/2 |s - g log q|_N^2 + tr F - log q(v),
    completed by E log p(u_0 | u_e) - log q(u_e | u_0) at the clean end; the model's scores and
    its posterior at the clean end are exact for x ~ N(0, fitted)."""
    drift, noise, _, start = matrices
    size = len(drift)

    def error(snr: float) -> float:
        return (fitted**2 * snr + data) / (1 + fitted * snr) ** 2

    def integrand(tau: float) -> float:
        k = Kernel(matrices, tau)
        precision = np.linalg.inv(k.sigma)
        matched = 0.5 * k.pull @ noise @ k.pull * error(k.snr)
        return 0.5 * np.trace(noise @ precision) - matched + np.trace(drift)

    nodes, weights = np.polynomial.legendre.leggauss(24)
    cuts = np.linspace(math.log(ends[0]), math.log(ends[1]), 17)
    total = 0.0
    for a, b in pairwise(cuts):
        taus = np.exp((a + b) / 2 + (b - a) / 2 * nodes)
        values = [tau * integrand(tau) for tau in taus]
        total += float((b - a) / 2 * weights @ values)
    last = Kernel(matrices, ends[1])
    spread = last.sigma + data * np.outer(last.phi, last.phi)
    total -= 0.5 * (size * LOG_2PI + log_determinant(prior))
    total -= 0.5 * float(np.trace(np.linalg.solve(prior, spread)))
    rest = np.diag(start)[1:]
    total += 0.5 * float(np.log(rest).sum() + (size - 1) * (LOG_2PI + 1))
    # the clean end in information form: the covariance of u_e | u_0 is nearly singular
    sharp = Kernel(matrices, ends[0], rest=0)
    scale = 1 / np.sqrt(np.diag(sharp.sigma))
    factor = np.linalg.cholesky(sharp.sigma * np.outer(scale, scale))
    seen = np.linalg.solve(factor, scale[:, None] * sharp.transition)
    precision = np.diag([1 / fitted, *(1 / rest)]) + seen.T @ seen
    covariance = np.linalg.inv(precision)
    # E (u_0 - its posterior mean)^2 when x has the variance `data`, not `fitted`
    gain = np.eye(size) - covariance @ seen.T @ seen
    missed = gain @ np.diag([data, *rest]) @ gain.T + covariance @ seen.T @ seen @ covariance
    total += 0.5 * (log_determinant(precision) - float(np.trace(precision @ missed)))
    return total + log_determinant(factor) - float(np.log(scale).sum()) + 0.5 * size


def snr_bound(denoiser: Denoiser, data: float, ends: tuple[float, float]) -> float:
    """The mean bound of x ~ N(0, data) from the package's `excess`, by quadrature over log snr;
    for a linear denoiser two points each for x and eps have all the moments it needs."""
    nodes, weights = np.polynomial.legendre.leggauss(40)
    cuts = np.linspace(ends[1], ends[0], 13)
    levels = np.concatenate([(a + b) / 2 + (b - a) / 2 * nodes for a, b in pairwise(cuts)])
    theta = torch.atan(torch.exp(-torch.tensor([*levels, ends[0]]) / 2))[:, None, None]
    signs = torch.tensor([1.0, 1.0, -1.0, -1.0], dtype=torch.float64)[:, None, None, None]
    eps = torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64)[:, None, None, None]
    x = math.sqrt(data) * signs
    e = torch.stack(
        [
            excess(denoiser, theta, a.expand_as(theta), b.expand_as(theta))
            for a, b in zip(x, eps, strict=True)
        ]
    ).mean(0)
    weight = torch.tensor(np.tile(weights, 12) * (cuts[1] - cuts[0]) / 2)
    inside = 0.5 * (torch.cos(theta[:-1, 0, 0]) ** 2 * e[:-1, 0, 0] * weight).sum()
    return float(log_normal(x).mean() - inside - 0.5 * e[-1])


def divergence(a: np.ndarray, b: np.ndarray) -> float:
    """KL(N(0, a) || N(0, b))."""
    ratio = np.linalg.solve(b, a)
    return 0.5 * (float(np.trace(ratio)) - len(a) - log_determinant(ratio))


@pytest.mark.parametrize("name", PROCESSES)
def test_the_stationary_law_is_where_the_process_ends(name: str) -> None:
    """Its published end is a law that the other three matrices lead to."""
    matrices = matrices_of(PROCESSES[name].dynamics())
    late, early = (np.abs(Kernel(matrices, tau).sigma - matrices[2]).max() for tau in (300.0, 2.0))
    assert late < 1e-10 < 1e-3 < early


@pytest.mark.parametrize("name", PROCESSES)
@pytest.mark.parametrize(("data", "tau"), [(0.3, 5.05), (2.0, 5.05), (0.8, 12.0)])
def test_the_bound_in_snr_form_is_every_process_s_own(name: str, data: float, tau: float) -> None:
    dynamics, start = PROCESSES[name].dynamics(), CLEAN[name]
    process, ends = matrices_of(dynamics), log_snrs(dynamics, start, tau)
    noisy = Kernel(process, tau)
    both = np.outer(noisy.phi, noisy.phi)
    likelihood = -0.5 * (LOG_2PI + 1 + math.log(data))
    matched = noisy.sigma + both  # a start of unit variance in the one direction that has signal
    marginal = noisy.sigma + data * both
    own = process_bound(process, data, data, (start, tau), matched)
    mine = snr_bound(GaussianDenoiser(data), data, ends)
    assert abs(mine - own) < 1e-8
    assert abs(mine - (likelihood - divergence(marginal, matched))) < 1e-8
    # with the process's stationary law for a start, as published, another end
    published = process_bound(process, data, data, (start, tau), process[2])
    assert abs(published - (likelihood - divergence(marginal, process[2]))) < 1e-8
    if name == "alda":  # slow to forget its start
        assert abs(mine - published) > 1e-6


@pytest.mark.parametrize("name", ["vp", "cld", "malda"])
def test_a_wrong_variance_costs_what_its_law_costs(name: str) -> None:
    """E log N(x; 0, s') for the denoiser of N(0, s'), up to the end; and not E log N(x; 0, s)."""
    data, fitted = 2.0, 2.6
    dynamics, start = PROCESSES[name].dynamics(), CLEAN[name]
    process, ends = matrices_of(dynamics), log_snrs(dynamics, start, 20.0)
    noisy = Kernel(process, 20.0)
    mine = snr_bound(GaussianDenoiser(fitted), data, ends)
    own = process_bound(
        process, data, fitted, (start, 20.0), noisy.sigma + np.outer(noisy.phi, noisy.phi)
    )
    assert abs(mine - own) < 1e-8
    wrong = -0.5 * (LOG_2PI + math.log(fitted) + data / fitted)
    assert abs(mine - wrong) < 1e-6
    assert abs(mine + 0.5 * (LOG_2PI + 1 + math.log(data))) > 1e-2


def test_the_bound_pays_the_terminal_divergence() -> None:
    """Exactly: Gaussian data of another variance than 1, a short path, the exact denoiser."""
    data, end = 0.4, 0.0
    bound = snr_bound(GaussianDenoiser(data), data, (30.0, end))
    likelihood = -0.5 * (LOG_2PI + 1 + math.log(data))
    cost = terminal_divergence(
        lambda t: (30 - (30 - end) * t)[:, None, None].double(),
        torch.ones(1, 1, dtype=torch.float64),
        matched=True,
        variance=data,
    )
    assert abs(likelihood - float(cost) - bound) < 1e-10
    assert float(cost) > 1e-2
