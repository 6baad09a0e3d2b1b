r"""Paths: the log signal-to-noise ratio of every coefficient as a function of time.

At time t in [0, 1] a whitened coefficient is seen through noise,
xi_k = x_k + N(0, e^{-lambda_k(t)}), from clean (t = 0) to noise (t = 1). A path is a common clock
plus the *hierarchy* of scales,

    lambda_k(t) = Lambda(t) + a (log c_k - max log c),

c the reference variance and `a` GUD's exponent: with a = 1 all coefficients carry the same signal
to noise in data units (standard diffusion: small scales drown first, the large ones are made
first); with a = 0 all whitened coefficients carry the same (small and large scales at once). The
clock runs from Lambda(0), where the weakest coefficient reaches `highest`, down to
Lambda(1) = `lowest`:

    linear  Lambda linear in t
    cosine  Lambda = -2 log tan(pi s / 2)
    vp      Lambda = -log(exp(0.1 s + 9.95 s^2) - 1)          s linear in t between those ends

    Kingma, Gao, Understanding diffusion objectives (2023), arXiv:2303.00848
    Nichol, Dhariwal (cosine, 2021), arXiv:2102.09672; Song et al. (VP, 2021), arXiv:2011.13456
    Gerdes et al., GUD (2024), arXiv:2410.02667
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor


@dataclass(frozen=True)
class Path:
    """A path by its plain numbers; see the module's text.

    Raises ValueError when `lowest` is not below `highest` or the hierarchy is negative.

    >>> log_variance = torch.tensor([[0.0, -4.0]])
    >>> path = Path(hierarchy=1.0, schedule="linear", lowest=-5, highest=5)
    >>> path(torch.tensor([0.0, 1.0]), log_variance)
    tensor([[[ 9.,  5.]],
    <BLANKLINE>
            [[-5., -9.]]])
    """

    hierarchy: float = 1.0
    schedule: Literal["linear", "cosine", "vp"] = "linear"
    lowest: float = -4.0
    highest: float = 5.0

    def __post_init__(self) -> None:
        if self.lowest >= self.highest or self.hierarchy < 0:
            raise ValueError(
                f"expected lowest < highest and hierarchy >= 0, got lowest {self.lowest}, highest "
                f"{self.highest}, hierarchy {self.hierarchy}; swap or change them"
            )

    def __call__(self, t: Tensor, log_variance: Tensor) -> Tensor:
        """log snr (batch, channel, mode) at times t (batch,) for log c (channel, mode), max 0."""
        clock = self.clock(t, self.span(log_variance))
        return clock[:, None, None] + self.hierarchy * log_variance.to(clock)

    def span(self, log_variance: Tensor) -> float:
        """How far the clock must run beyond `highest` for the weakest coefficient to be clean."""
        return -self.hierarchy * float(log_variance.min())

    def clock(self, t: Tensor, span: float = 0.0) -> Tensor:
        """Lambda(t), from highest + span at t = 0 to lowest at t = 1.

        >>> Path(schedule="cosine", lowest=-3, highest=3).clock(torch.tensor([0.0, 1.0]))
        tensor([ 3., -3.])
        """
        top = self.highest + span
        if self.schedule == "linear":
            return top + t * (self.lowest - top)
        if self.schedule == "cosine":
            ends = (top, self.lowest)
            first, last = (2 / math.pi * math.atan(math.exp(-end / 2)) for end in ends)
            return -2 * torch.log(torch.tan(math.pi / 2 * (first + t * (last - first))))
        first, last = (_vp_time(end) for end in (top, self.lowest))
        s = first + t * (last - first)
        return -torch.log(torch.expm1(0.1 * s + 9.95 * s * s))


def _vp_time(log_snr: float) -> float:
    """The time at which the VP clock with beta from 0.1 to 20 shows a log snr."""
    integral = math.log1p(math.exp(-log_snr)) if log_snr > -700 else -log_snr
    return (-0.1 + math.sqrt(0.01 + 39.8 * integral)) / 19.9
