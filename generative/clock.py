r"""Clocks: the log signal-to-noise ratio Lambda that all coefficients of a path share.

A clock runs from `top` at t = 0 (clean) to `bottom` at t = 1 (noise), in the way of its name:

    linear   Lambda linear in t: a geometric ladder of noise deviations (NCSN, VE, DDO)
    cosine   Lambda = -2 log tan(pi s / 2)
    vp       Lambda = -log(exp(0.1 s + 9.95 s^2) - 1)          beta from 0.1 to 20
    edm      exp(-Lambda / 14) linear in t: sigma^(1 / 7), Karras's rho = 7
    process  Lambda = log snr(0.1 s + 4.95 s^2) of a linear process (MDM: beta from 0.1 to 10)

with s linear in t between the times at which the curve passes through top and bottom.

    Kingma, Gao, Understanding diffusion objectives (2023), arXiv:2303.00848
    Nichol, Dhariwal (cosine, 2021), arXiv:2102.09672; Song et al. (VP, 2021), arXiv:2011.13456
    Karras et al., EDM (2022), arXiv:2206.00364; Singhal et al., MDM (2023), arXiv:2302.07261
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from pushforward.generative.kernel import Dynamics

Schedule = Literal["linear", "cosine", "vp", "edm", "process"]
RHO = 7.0


def run(
    schedule: Schedule, t: Tensor, top: Tensor, bottom: Tensor, dynamics: Dynamics | None = None
) -> Tensor:
    """Lambda(t), float64, for t, top and bottom that broadcast; `dynamics` for "process".

    >>> run("cosine", torch.tensor([0.0, 0.5]), torch.tensor(3.0), torch.tensor(-4.0)).round()
    tensor([3., -0.], dtype=torch.float64)
    """
    t, top, bottom = t.double(), top.double(), bottom.double()
    if schedule == "linear":
        return top + t * (bottom - top)
    if schedule == "cosine":
        first, last = (torch.atan(torch.exp(-end / 2)) for end in (top, bottom))
        return -2 * torch.log(torch.tan(first + t * (last - first)))
    if schedule == "edm":
        first, last = (torch.exp(-end / (2 * RHO)) for end in (top, bottom))
        return -2 * RHO * torch.log(first + t * (last - first))
    if schedule == "vp":
        first, last = (_time(F.softplus(-end), 0.1, 19.9) for end in (top, bottom))
        return -torch.log(torch.expm1(_integral(first + t * (last - first), 0.1, 19.9)))
    if dynamics is None:
        raise ValueError(
            "expected a process for the schedule 'process', got none; give one, or choose linear"
        )
    first, last = (_time(dynamics.clock(end), 0.1, 9.9) for end in (top, bottom))
    return dynamics.log_snr(_integral(first + t * (last - first), 0.1, 9.9))


def _integral(s: Tensor, start: float, rise: float) -> Tensor:
    """The integral of beta = start + rise s."""
    return start * s + 0.5 * rise * s * s


def _time(integral: Tensor, start: float, rise: float) -> Tensor:
    """When the integral of beta reaches a value: free of cancellation where it is small."""
    return 2 * integral / (start + torch.sqrt(start * start + 2 * rise * integral))
