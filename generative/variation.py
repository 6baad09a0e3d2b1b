r"""Variation: one network for a range of paths, and for any of its channels given or left out.

A network that is conditioned on the log snr of every coefficient need not be trained on one path.
Each member of a batch may get its own strength of the hierarchy, its channels times of their own,
or channels that are clean (log snr +inf: a forcing that is known, an initial state) or drowned
(-inf: left out). One network then draws p(u), p(u | f) and p(f | u), along any path of the family
(Gerdes et al., GUD, arXiv:2410.02667, trains a from 0.4 to 1.6 in this way). For that the channels
must be whitened apart; of those whitened together, channel 2 is what channel 1 does not explain,
and only p(f), p(u | f) and p(f, u) can be had, f being the first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.generative.path import Levels


@dataclass(frozen=True)
class Variation:
    """How levels vary over a batch; all zero: one path for all.

    `strengths` is the range of the factor on the path's hierarchy; `clean`, `drowned` are the
    probabilities of a channel to be given or left out, `apart` that of channels with times of
    their own.

    Raises ValueError for a range that is not ordered or probabilities that are none.

    >>> Variation(strengths=(0.4, 1.6), clean=0.1).varies
    True
    """

    strengths: tuple[float, float] = (1.0, 1.0)
    clean: float = 0.0
    drowned: float = 0.0
    apart: float = 0.0

    def __post_init__(self) -> None:
        low, high = self.strengths
        if not 0 <= low <= high:
            raise ValueError(
                f"expected strengths (low, high) with 0 <= low <= high, got {self.strengths}; "
                "swap them"
            )
        least = min(self.clean, self.drowned, self.apart)
        if least < 0 or self.clean + self.drowned > 1 or self.apart > 1:
            raise ValueError(
                f"expected probabilities with clean + drowned <= 1, got clean {self.clean}, "
                f"drowned {self.drowned}, apart {self.apart}; lower them"
            )

    @property
    def varies(self) -> bool:
        """Whether members differ at all."""
        return self != Variation(strengths=(1.0, 1.0))

    def numbers(self, channels: int) -> int:
        """How many uniform numbers a member takes."""
        return 2 + 2 * channels

    def __call__(
        self, levels: Levels, t: Float[Tensor, " batch"], u: Float[Tensor, "batch number"]
    ) -> Float[Tensor, "batch channel mode"]:
        """log snr of a batch at times t, varied by uniform numbers u.

        >>> from pushforward.generative.modes import Modes
        >>> from pushforward.generative.path import Path
        >>> levels, u = Path().on(Modes(torch.zeros(2, 1))), torch.full((1, 6), 0.2)
        >>> Variation(clean=0.3)(levels, torch.ones(1), u)[0, :, 0]    # all clean: nothing to do
        tensor([-4., -4.])
        >>> u[0, 3] = 0.9
        >>> Variation(clean=0.3)(levels, torch.ones(1), u)[0, :, 0]
        tensor([inf, -4.])
        """
        low, high = self.strengths
        strength = low + (high - low) * u[:, 0]
        log_snr = levels(t, strength)
        channels = log_snr.shape[1]
        state, own = u[:, 2 : 2 + channels], u[:, 2 + channels :]
        if self.apart > 0:
            each = [levels(own[:, c], strength)[:, c] for c in range(channels)]
            alone = (u[:, 1] < self.apart)[:, None, None]
            log_snr = torch.where(alone, torch.stack(each, 1), log_snr)
        clean, drowned = state < self.clean, state > 1 - self.drowned
        learns = ~(clean | drowned).all(1, keepdim=True)  # a member with nothing free is wasted
        log_snr = torch.where((clean & learns)[..., None], math.inf, log_snr)
        return torch.where((drowned & learns)[..., None], -math.inf, log_snr)
