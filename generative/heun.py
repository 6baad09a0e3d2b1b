r"""Heun's method along a path: second order, two evaluations a step, the last step one.

The flow dy = -F d theta of `sampler`, by the trapezoidal rule with a predictor: F at the step's
start, an Euler step, F at its end, and the mean of the two. The last step, to theta = 0, is
Euler's: there is no F at its end (EDM does the same). Against the multistep rule of `sampler`,
which is of second order too at one evaluation a step, it needs no history: no step is of first
order, and steps may be as uneven as one likes.

With churn the linear part and the noise are exact as in `sampler`, and F is taken linear in theta
over the step: with the factor rho(theta) = (cos theta / cos theta')^eta,

    y' = rho(theta_i) y + (1 + eta) [w_0 F_i + w_1 F_{i + 1}] + sqrt(1 - rho(theta_i)^2) z,

w_0 and w_1 the integrals of rho against the two hat functions, and the same z in the predictor
(weights w_0 + w_1, 0). For F = 0 it is exact; moments converge at second order, as they do for
Heun's method with additive noise.

    Karras et al., EDM (2022), arXiv:2206.00364;  Zhang, Chen, DEIS (2022), arXiv:2204.13902
    Kloeden, Platen, Numerical Solution of SDE (1992), section 15.1 (weak order two).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pushforward.generative.denoiser import Denoiser, angle
from pushforward.generative.sampler import Levels, Normals, step_times


def heun_evaluations(steps: int) -> int:
    """The network evaluations of `heun`.

    >>> heun_evaluations(18)
    35
    """
    return 2 * steps - 1


def heun(
    denoiser: Denoiser,
    levels: Levels,
    normals: Normals,
    *,
    steps: int = 16,
    churn: float = 0.0,
    start: Tensor | None = None,
    watch: Callable[[int, Tensor], Tensor] | None = None,
) -> Tensor:
    """Whitened fields x (batch, channel, mode): 2 `steps` - 1 network evaluations.

    The arguments are those of `integrate_path`: `normals(i)`, i = 0 the start and i >= 1 the churn
    of step i; `start`, y at the noisy end when it is not normals(0); `watch(i, y)`, which looks
    at, and replaces, the state before step i (i = 0..steps - 1) and at the end (i = steps).

    Raises ValueError for steps < 1 or negative churn.

    >>> from pushforward.generative import GaussianDenoiser
    >>> levels = lambda t: (4 - 8 * t)[:, None, None].expand(-1, 1, 2)
    >>> start = torch.ones(5, 1, 2)
    >>> heun(GaussianDenoiser(), levels, lambda i: start, steps=3).equal(start)
    True
    """
    if steps < 1 or churn < 0:
        raise ValueError(
            f"expected steps >= 1 and churn >= 0, got {steps}, {churn}; change the one that is off"
        )
    y = normals(0) if start is None else start
    log_snr = levels(step_times(steps).to(y.device)).to(y)
    theta = torch.cat([angle(log_snr), torch.zeros_like(log_snr[:1])])
    for i in range(steps):
        if watch is not None:
            y = watch(i, y)
        rho, early, late = _weights(theta[i], theta[i + 1], churn)
        kept = rho * y
        if churn > 0:
            kept = kept + (1 - rho**2).clamp_min(0).sqrt() * normals(i + 1)
        f = denoiser.correction(y, log_snr[i].expand_as(y))
        y = kept + (early + late) * f
        if i + 1 < steps:
            y = y + late * (denoiser.correction(y, log_snr[i + 1].expand_as(y)) - f)
    return y if watch is None else watch(steps, y)


def _weights(start: Tensor, end: Tensor, churn: float) -> tuple[Tensor, Tensor, Tensor]:
    """rho over a step, and what F at its start and at its end count (3-point Gauss)."""
    middle, half = (start + end) / 2, (start - end) / 2
    if churn == 0:
        return torch.ones_like(half), half, half
    cos_end = torch.cos(end)
    early, late = torch.zeros_like(half), torch.zeros_like(half)
    for node, w in ((-(0.6**0.5), 5 / 9), (0.0, 8 / 9), (0.6**0.5, 5 / 9)):
        share = w * half * (torch.cos(middle + node * half) / cos_end).clamp(0, 1) ** churn
        early = early + share * (1 + node) / 2
        late = late + share * (1 - node) / 2
    rho = (torch.cos(start) / cos_end).clamp(0, 1) ** churn
    return rho, (1 + churn) * early, (1 + churn) * late
