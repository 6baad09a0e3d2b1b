r"""The canonical sampler: noise to fields along a path, for any denoiser, exact for Gaussian data.

In the unit-variance variable y (see `denoiser`) the probability flow of every path is

    dy_k = -F_k(y, lambda) d theta_k,        theta_k from pi / 2 (noise) to 0 (data),

and with churn eta the reverse diffusion of the same marginals is, backwards in theta,

    dy = (1 + eta) F d theta - eta tan(theta) y d theta + sqrt(2 eta tan(theta)) dW,

eta = 0 the flow, eta = 1 the ancestral (reverse-time) diffusion. The linear part is solved
exactly: over a step from theta to theta' the factor is rho = (cos theta / cos theta')^eta and the
new noise has variance 1 - rho^2. So where F = 0, the Gaussian surrogate, any number of steps gives
exact draws. F is held (order 1) or extrapolated from the last step (order 2, Adams and Bashforth
on uneven steps), one network evaluation a step in either case. The start takes y for Gaussian at
the path's noisy end, and the last step goes from its clean end to theta = 0 in one: more steps do
not remove what these two leave, longer paths do.

    Song et al., score SDE (2021), arXiv:2011.13456;  Zhang, Chen, DEIS (2022), arXiv:2204.13902
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pushforward.generative.denoiser import Denoiser, angle

Levels = Callable[[Tensor], Tensor]  # times (t,) in [0, 1] -> log snr (t, channel, mode)
Normals = Callable[[int], Tensor]  # a draw's number -> standard normals (batch, channel, mode)

FARTHEST = 1.5  # largest ratio of steps over which F is extrapolated; beyond, it overshoots


def integrate_path(
    denoiser: Denoiser,
    levels: Levels,
    normals: Normals,
    *,
    steps: int = 16,
    order: int = 2,
    churn: float = 0.0,
    start: Tensor | None = None,
    watch: Callable[[int, Tensor], Tensor] | None = None,
) -> Tensor:
    """Whitened fields x (batch, channel, mode): `steps` network evaluations.

    `normals(i)` gives standard normals: i = 0 the start, i >= 1 the churn of step i. `start` is y
    at the noisy end when it is not normals(0): where a coefficient's level does not move, it stays
    as it starts, which is how a path conditions. `watch(i, y)` looks at, and replaces, the state
    before step i (i = 0..steps - 1) and at the end (i = steps).

    Raises ValueError for steps < 1, an order other than 1 or 2, or negative churn.

    >>> from pushforward.generative.exact import GaussianDenoiser
    >>> levels = lambda t: (4 - 8 * t)[:, None, None].expand(-1, 1, 2)
    >>> start = torch.ones(5, 1, 2)
    >>> integrate_path(GaussianDenoiser(), levels, lambda i: start, steps=3).equal(start)
    True
    """
    if steps < 1 or order not in (1, 2) or churn < 0:
        raise ValueError(
            f"expected steps >= 1, order 1 or 2 and churn >= 0, got {steps}, {order}, {churn}; "
            "change the one that is off"
        )
    y = normals(0) if start is None else start
    log_snr = levels(step_times(steps).to(y.device))
    thetas = torch.cat([angle(log_snr), torch.zeros_like(log_snr[:1])])
    previous, last_width = None, None
    for i in range(steps):
        if watch is not None:
            y = watch(i, y)
        f = denoiser.correction(y, log_snr[i].expand_as(y))
        width = thetas[i] - thetas[i + 1]
        slope = f
        if order == 2 and previous is not None and last_width is not None:
            ratio = (width / last_width.clamp_min(1e-12)).clamp_max(FARTHEST)
            # a coefficient that stood still has no slope of its own yet
            slope = f + (f - previous) * torch.where(last_width > 0, 0.5 * ratio, 0.0)
        if churn == 0:
            y = y + width * slope
        else:
            rho, weight = _refresh(thetas[i], thetas[i + 1], churn)
            y = (
                rho * y
                + (1 + churn) * weight * slope
                + (1 - rho**2).clamp_min(0).sqrt() * normals(i + 1)
            )
        previous, last_width = f, width
    return y if watch is None else watch(steps, y)


def step_times(steps: int) -> Tensor:
    """The times (steps,) at which a sampler evaluates its network, from 1 to 0; 1 for one step.

    >>> step_times(3).tolist()
    [1.0, 0.5, 0.0]
    """
    return torch.linspace(1, 0, steps) if steps > 1 else torch.ones(1)


def _refresh(start: Tensor, end: Tensor, churn: float) -> tuple[Tensor, Tensor]:
    """rho over a step, and its integral over where a step may start (3-point Gauss)."""
    middle, half = (start + end) / 2, (start - end) / 2
    cos_end = torch.cos(end)
    weight = torch.zeros_like(start)
    for node, w in ((-(0.6**0.5), 5 / 9), (0.0, 8 / 9), (0.6**0.5, 5 / 9)):
        weight = (
            weight + w * half * (torch.cos(middle + node * half) / cos_end).clamp(0, 1) ** churn
        )
    return (torch.cos(start) / cos_end).clamp(0, 1) ** churn, weight
