r"""Annealed Langevin dynamics (DDO): relax at one noise level after another, from noise to data.

At noise level s (variance of w - u, in units of the reference covariance C) DDO's preconditioned
score is F = (E[u | w] - w) / s, and

    w <- w + (alpha / 2) F + sqrt(alpha) xi,      xi ~ N(0, C),

leaves the law of w as it is for small alpha. In the whitened variable xi_k = x_k +
N(0, e^{-lambda_k}) of `denoiser` the covariance is gone, for any path and reference noise: with
the step h = alpha / (2 s),

    xi <- xi + [h (D - xi) + sqrt(2 h) e^{-lambda / 2} z] / (1 + kappa h / 2),      z ~ N(0, 1).

The rules differ in h along the ladder of levels, in kappa, and in the end:

    published_std       alpha = eps s / s_L (sigma a deviation): h = eps / (2 s_L) at all levels
    published_variance  alpha = eps s^2 / s_L^2 (the code's main branch: sigma a variance, in the
                        rule that was made for deviations): h = eps s / (2 s_L^2), so next to
                        nothing is relaxed at the low levels, where it counts
    corrected           as published_std, but h = eps / s_L: w + alpha F + sqrt(2 alpha) xi
    pcn                 kappa = 1, Crank and Nicolson with the noise as reference measure:
                        (1 + h / 2) w' = (1 - h / 2) w + h E[u | w] + sqrt(2 h s) xi
    wiener              kappa = sin(theta)^2, the same with noise plus data's covariance

The first three are explicit, kappa = 0. The published rules leave the last noise out and return w,
noise and all; `corrected` and `pcn` end with the denoiser, x = D(xi, lambda_L), and `wiener` with
the flow's last step, x = y + theta F at y = cos(theta) xi.

What kappa is for: let a coefficient's Wiener filter be D = rho xi. At a fixed level the explicit
step settles at 1 / (1 - (1 - rho) h / 2) times the right variance, so it is wrong where there is
noise only, in almost all coefficients of a fine grid: its divergence from the right law grows with
their number, and above h = 2 nothing settles. With kappa = 1 the factor is 1 / (1 + rho h / 2):
right for the noise on every grid, stable for every h, and off for the coefficients above the
noise, of which there are few but which matter: keep h below 0.1. With kappa = sin(theta)^2 =
1 - rho, for data of unit variance, both are right for every h: the drift is -sin(theta)^2 xi +
sin(theta) F, and only F is explicit.

Going down the ladder xi comes with the noise of the level before, so the variance is too large, by
a share of about (change of lambda per level) / (2 h inner). `wiener` keeps y from level to level
instead, whose variance is one at all of them. For Gaussian data of unit variance F = 0, and the
whole chain is exact, for any ladder and any end: Langevin has only to correct what is not
Gaussian. Where D is certain the end gives (1 + theta^2 / 2) D and theta^2 / 3 of the last noise,
to leading order.

    Lim et al., DDO (2023), arXiv:2302.07400;  Song, Ermon (2019), arXiv:1907.05600
    Cotter et al., MCMC methods for functions (2013), arXiv:1202.0709
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from pushforward.generative.denoiser import Denoiser, angle
from pushforward.generative.sampler import Levels, Normals, step_times

Rule = Literal["published_std", "published_variance", "corrected", "pcn", "wiener"]


@dataclass(frozen=True)
class _Scheme:
    """What a rule does: whether h shrinks with the noise, what is implicit, how it ends."""

    shrinks: bool = False
    implicit: Literal["nothing", "all", "wiener"] = "nothing"
    denoises: bool = True


_SCHEMES: dict[Rule, _Scheme] = {
    "published_std": _Scheme(denoises=False),
    "published_variance": _Scheme(shrinks=True, denoises=False),
    "corrected": _Scheme(),
    "pcn": _Scheme(implicit="all"),
    "wiener": _Scheme(implicit="wiener"),
}


def langevin_evaluations(steps: int, inner: int, rule: Rule) -> int:
    """The network evaluations of `annealed_langevin`: one a relaxation, one for the end.

    >>> langevin_evaluations(500, 3, "published_variance"), langevin_evaluations(10, 200, "pcn")
    (1500, 2001)
    """
    return steps * inner + _SCHEMES[rule].denoises


def annealed_langevin(
    denoiser: Denoiser,
    levels: Levels,
    normals: Normals,
    *,
    steps: int = 500,
    inner: int = 3,
    rule: Rule = "corrected",
    step: float = 0.06,
    matched: bool = True,
    start: Tensor | None = None,
) -> Tensor:
    """Whitened fields x (batch, channel, mode) by `inner` relaxations at each of `steps` levels.

    `step` is h at the clean end, the share of the noise that one relaxation renews: DDO's
    eps / (2 s_L), or eps / s_L for the corrected rule, for a last level of noise variance s_L.
    `normals(i)` gives standard normals, i = 0 the start and i >= 1 the noise of relaxation i. The
    start is N(0, 1 + e^{-lambda}), noise and data (`matched`), or noise alone as published; or the
    given y at the noisy end (see `denoiser`), as for a path that conditions.

    Raises ValueError for fewer than one level or relaxation, an unknown rule, a step that is not
    positive or at which an explicit rule diverges, and levels that hold no signal at all.

    >>> from pushforward.generative import GaussianDenoiser
    >>> levels = lambda t: (6 - 9 * t)[:, None, None].expand(-1, 1, 2)
    >>> generator = torch.Generator().manual_seed(0)
    >>> normals = lambda i: torch.randn(20000, 1, 2, generator=generator)
    >>> x = annealed_langevin(GaussianDenoiser(), levels, normals, steps=100, step=1.0)
    >>> round(x.var().item(), 1)
    1.0
    """
    _check(steps, inner, rule, step)
    scheme = _SCHEMES[rule]
    y = normals(0) if start is None else start
    times = step_times(steps).to(y.device)
    last = levels(times[-1:])[0].to(y)
    first = levels(times[:1])[0].to(y)
    _steps(scheme, step, first, last)  # the largest: refuses before any work is done
    if start is None and not matched:
        y = torch.sin(angle(first)) * y
    xi = y / _cos(first)
    before = first
    for i in range(steps):
        log_snr = levels(times[i : i + 1])[0].to(y)
        if scheme.implicit == "wiener":
            xi = xi * (_cos(before) / _cos(log_snr))
        before = log_snr
        h = _steps(scheme, step, log_snr, last)
        kappa = _kappa(scheme, log_snr)
        for j in range(inner):
            change = h * (denoiser(xi, log_snr.expand_as(xi)) - xi)
            if scheme.denoises or (i, j) != (steps - 1, inner - 1):
                noise = normals(1 + i * inner + j)
                change = change + (2 * h).sqrt() * torch.exp(-log_snr / 2) * noise
            xi = xi + change / (1 + kappa * h / 2)
    if scheme.implicit == "wiener":  # the flow's last step: a coefficient keeps its variance
        y = _cos(last) * xi
        return y + angle(last) * denoiser.correction(y, last.expand_as(y))
    return denoiser(xi, last.expand_as(xi)) if scheme.denoises else xi


def _cos(log_snr: Tensor) -> Tensor:
    """cos(theta), to full relative precision far below the noise too."""
    return torch.sigmoid(log_snr).sqrt()


def _kappa(scheme: _Scheme, log_snr: Tensor) -> Tensor:
    if scheme.implicit == "wiener":
        return torch.sigmoid(-log_snr)
    return torch.full_like(log_snr, float(scheme.implicit == "all"))


def _steps(scheme: _Scheme, step: float, log_snr: Tensor, last: Tensor) -> Tensor:
    """h of every coefficient at a level; 1 for one that is clean for good, which stays."""
    h = torch.full_like(log_snr, step)
    if scheme.shrinks:
        h = torch.where(log_snr == torch.inf, h, step * torch.exp(last - log_snr))
    if not torch.isfinite(h).all() or (log_snr == -torch.inf).any():
        raise ValueError(
            "expected levels with some signal throughout, and some noise if the rule is "
            f"published_variance, got log snr from {log_snr.min():g} to {last.max():g}; start the "
            "path at a finite level"
        )
    if scheme.implicit == "nothing" and (h > 2).any():
        raise ValueError(
            f"expected steps of at most 2 for an explicit rule, got {h.max():g}, which diverges; "
            "take a smaller step, or an implicit rule, as pcn"
        )
    return h


def _check(steps: int, inner: int, rule: str, step: float) -> None:
    if rule not in _SCHEMES:
        raise ValueError(f"expected a rule of {', '.join(_SCHEMES)}, got {rule!r}; choose one")
    if steps < 1 or inner < 1 or not 0 < step < float("inf"):
        raise ValueError(
            f"expected at least 1 level, at least 1 relaxation and a step > 0, got {steps}, "
            f"{inner}, {step}; change the one that is off"
        )
