r"""Denoisers with one preconditioning for a whole field, beside the library's per coefficient.

With sigma^2 the mean square of the noise at a point over that of the data, theta = atan(sigma),

    scalar    D(u) = cos^2(theta) u + sin(theta) s F(cos(theta) u / s)     Karras et al., table 1
    none      D(u) = s F(u / s)

u is the noisy field, s the data's deviation: only the unit of measurement. The network is the same
kind and size as the library's, hears the same condition, and sees and answers one field a channel.
It works on the whole grid at every level: which waves are drowned in noise is knowledge of single
coefficients. The loss is the mean square, over space, of F's error: what its authors train it by.

    Karras et al., EDM (2022), arXiv:2206.00364
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from pushforward.generative import Surrogate
from pushforward.generative.denoiser import NeuralDenoiser, angle
from pushforward.generative.loss import Loss, Objective
from pushforward.generative.path import Levels
from pushforward.solvers import Grid

Kind = Literal["scalar", "none"]


class WholeField(NeuralDenoiser):
    """The denoiser around a network that sees noisy fields, not whitened coefficients.

    `seed` draws the network. It answers `correction`, as the library's samplers ask for it.
    """

    deviation: Tensor

    def __init__(self, surrogate: Surrogate, kind: Kind, seed: int) -> None:
        basis, backbone = surrogate.basis, surrogate.architecture.backbone
        super().__init__(basis, backbone)
        self.kind: Kind = kind
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = backbone.build(
                basis.channels,
                basis.channels,
                condition=2 * basis.channels * basis.bands,
                ndim=basis.grid.ndim,
                periodic=basis.grid.periodic,
            )
        self.gain.requires_grad_(False)  # there are no bands to weigh
        self.grids = self.grids[-1:]
        deviation = torch.exp(basis.log_variance / 2) * basis.mask
        self.register_buffer("deviation", deviation.float(), persistent=False)

    def scales(self, log_snr: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What u is multiplied by in D, in F, and F by in D; (batch, 1, 1), units of s."""
        theta = field_angle(log_snr, self.deviation.square())
        if self.kind == "none":
            one = torch.ones_like(theta)
            return 0 * one, one, one
        return torch.cos(theta).square(), torch.cos(theta), torch.sin(theta)

    def _on(self, grid: Grid, y: Tensor, log_snr: Tensor) -> Tensor:
        basis, theta = self.basis, angle(log_snr)
        skip, scale, out = self.scales(log_snr)
        unit = self.deviation.square().sum().sqrt()
        xi = y / torch.cos(theta)
        seen = basis.place(scale * xi * self.deviation / unit, grid)
        depth = log_snr.clamp(-12, 12) / 8
        power = basis.band_mean(y.square()) - basis.band_mean(basis.mask.to(y))
        condition = [basis.band_mean(depth), (power * self.certainty).clamp(-6, 6)]
        answer = basis.read(self.network(seen, torch.cat(condition, 1).flatten(1)), grid)
        answer = torch.where(basis.mask, out * unit * answer / self.deviation, 0.0)
        # D - cos(theta_k) y over sin(theta_k), with skip - cos^2(theta_k) where it is small, too
        differs = torch.sin(theta).square() - (1 - skip)
        return (differs * xi + answer) / torch.sin(theta)


@dataclass(frozen=True)
class NetworkError(Loss):
    """The loss that is the mean square, over space, of what such a network gets wrong."""

    kind: Kind = "scalar"

    def weights(self, levels: Levels, t: Tensor, log_snr: Tensor) -> Tensor:
        variance = levels.modes.log_variance.to(log_snr).exp()
        weight = variance * torch.sin(angle(log_snr)).square()
        if self.kind == "scalar":
            weight = weight / torch.sin(field_angle(log_snr, variance)).square()
        return weight


def field_angle(log_snr: Tensor, variance: Tensor) -> Tensor:
    """theta of a whole field: atan of the noise's deviation at a point over the data's."""
    noise = (variance * torch.exp(-log_snr)).sum((1, 2), keepdim=True)
    return torch.atan((noise / variance.sum()).sqrt())


def install(surrogate: Surrogate, kind: Kind, seed: int) -> None:
    """Gives an untrained surrogate such a denoiser, and the loss that goes with it."""
    denoiser = WholeField(surrogate, kind, seed)
    surrogate.denoiser = denoiser
    loss = NetworkError("data", norm=1.0, kind=kind)
    surrogate.objective = Objective(loss, surrogate.levels, surrogate.basis.mask)
    # so that the loss of a network that answers 0 is 1, as the library's are
    surrogate.objective.total = denoiser.deviation.square().sum()
