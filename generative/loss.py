r"""The training loss: a weighted mean square of F's error, in a norm of choice.

F's error in coefficient k, dF_k, is one of the estimate, dD = sin(theta) dF, and of the noise,
d eps = -cos(theta) dF. All losses of the four papers are sums of w_k dF_k^2:

    turn    w = sin(2 theta) + 0.05 cos^2(theta): the speed at which the sampler turns y, and a
            little for what is clean already; relative to the sum at each level, so all count alike
    flat    w = 1 (EDM)
    noise   w = cos^2(theta) c_k^p: |d eps|^2 (DDPM, DDO, Multilevel, GUD)
    data    w = sin^2(theta) (v_k / c_k) c_k^p: |d u|^2
    elbo    w = cos^2(theta) |d lambda_k / dt| / 2: the bound on the likelihood (MDM)

c is the spectrum of the path's noise, v that of the data. p is the norm: 1 is L^2, 0 the
Cameron-Martin norm of N(0, C), 1/2 half-way. Coefficients are orthonormal in L^2(dx / V), so sums
over k are integrals, quadrature weights and all, on every grid. A loss is relative: it is 1, on
average over the path, for an untrained network on data of unit variance.

    Lim et al., DDO (2023), arXiv:2302.07400, for the norms; Kingma, Gao (2023), arXiv:2303.00848
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pushforward.generative.denoiser import Denoiser, angle
from pushforward.generative.path import Levels

CLEAN_WEIGHT = 0.05  # of `turn`, where coefficients are clean; drowned ones are too many to count
NODES = 64  # times at which a weight is averaged over the path


@dataclass(frozen=True)
class Loss:
    """A loss by name and norm: `norm` is p, from 0 (Cameron-Martin) to 1 (L^2).

    Raises ValueError for a norm outside [0, 1], or one given to a weight that has none.

    >>> Loss("noise", norm=1.0)
    Loss(weight='noise', norm=1.0)
    """

    weight: Literal["turn", "flat", "noise", "data", "elbo"] = "turn"
    norm: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.norm <= 1:
            raise ValueError(f"expected a norm from 0 to 1, got {self.norm}; 1 is L^2")
        if self.norm and self.weight not in ("noise", "data"):
            raise ValueError(
                f"expected norm 0 for the weight {self.weight}, got {self.norm}; choose noise or "
                "data for a norm in space"
            )

    def weights(
        self, levels: Levels, t: Float[Tensor, " batch"], log_snr: Float[Tensor, "batch c m"]
    ) -> Float[Tensor, "batch c m"]:
        """w of every coefficient; 0 where it is given clean or left out (log snr +-inf)."""
        theta = angle(log_snr)
        if self.weight == "turn":
            w = torch.sin(2 * theta) + CLEAN_WEIGHT * torch.cos(theta) ** 2
        elif self.weight == "flat":
            w = torch.ones_like(theta)
        elif self.weight == "elbo":
            w = torch.cos(theta) ** 2 * 0.5 * rate(levels, t).to(theta)
        else:
            noise = levels.modes.log_variance.to(theta) - levels.prior.to(theta)  # log c
            w = torch.exp(self.norm * noise)
            if self.weight == "noise":
                w = w * torch.cos(theta) ** 2
            else:
                w = w * torch.exp(levels.prior.to(theta)) * torch.sin(theta) ** 2
        return torch.where(log_snr.isinf(), 0.0, w)


class Objective:
    """A loss on a path, for the coefficients that are kept; call it with a denoiser and a batch.

    >>> from pushforward.generative.exact import GaussianDenoiser
    >>> from pushforward.generative.modes import Modes
    >>> from pushforward.generative.path import Path
    >>> levels = Path().on(Modes(torch.zeros(1, 3)))
    >>> objective = Objective(Loss(), levels, torch.ones(1, 3, dtype=torch.bool))
    >>> x, eps, t = torch.ones(2, 1, 3), torch.zeros(2, 1, 3), torch.ones(2)
    >>> objective(GaussianDenoiser(), x, t, eps).shape
    torch.Size([2])
    """

    def __init__(self, loss: Loss, levels: Levels, mask: Bool[Tensor, "c m"]) -> None:
        self.loss, self.levels, self.mask = loss, levels, mask
        t = ((torch.arange(NODES) + 0.5) / NODES).to(mask.device)
        total = (loss.weights(levels, t, levels(t)) * mask).sum((1, 2))
        self.total = None if loss.weight == "turn" else total.mean()

    def __call__(
        self,
        denoiser: Denoiser,
        x: Float[Tensor, "batch c m"],
        t: Float[Tensor, " batch"],
        eps: Float[Tensor, "batch c m"],
        log_snr: Float[Tensor, "batch c m"] | None = None,
    ) -> Float[Tensor, " batch"]:
        """The loss of every member: x whitened fields, eps normals, at times t.

        `log_snr` replaces the path's levels at t, for training on more than one path.
        """
        log_snr = self.levels(t) if log_snr is None else log_snr
        theta = angle(log_snr)
        sin, cos = torch.sin(theta), torch.cos(theta)
        error = denoiser.correction(cos * x + sin * eps, log_snr) - (sin * x - cos * eps)
        w = self.loss.weights(self.levels, t, log_snr) * self.mask
        total = w.sum((1, 2)).clamp_min(1e-12) if self.total is None else self.total
        return (error.square() * w).sum((1, 2)) / total


def rate(levels: Levels, t: Float[Tensor, " batch"]) -> Float[Tensor, "batch c m"]:
    """-d lambda / dt of every coefficient at times t, by central differences.

    >>> from pushforward.generative.modes import Modes
    >>> from pushforward.generative.path import Path
    >>> levels = Path(lowest=-5, highest=5).on(Modes(torch.zeros(1, 1)))
    >>> round(rate(levels, torch.tensor([0.0, 0.3]))[1].item(), 6)
    10.0
    """
    low, high = ((t.double() + h).clamp(0, 1) for h in (-1e-4, 1e-4))
    return (levels(low) - levels(high)) / (high - low)[:, None, None]
