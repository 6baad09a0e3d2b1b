r"""Ensembles side by side: the paths of a basis as the channels of one run of a sampler.

Samplers treat coefficients one by one but for the denoiser. So paths, which differ in their levels
alone, can share a run: channel i follows path i and is denoised by itself. The algebra of a level
is then done for all of them at once: given a component N(m, S) of the mixture, y is
N(c m, W), W = c S c + s^2, with c and s the cosines and sines of the levels, and

    F = s m + (c S s - c s) W^{-1} (y - c m),

the components weighed by their posterior probabilities (see `pushforward.generative.exact`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pushforward.generative import Basis, Counted, CovarianceDenoiser, Denoiser, Dynamics, Sampler
from pushforward.generative.denoiser import angle
from pushforward.generative.sampler import step_times

Levels = Callable[[Tensor], Tensor]


class SideBySide(Denoiser):
    """An exact denoiser of one channel made one of many, each at its own levels."""

    def __init__(self, one: CovarianceDenoiser) -> None:
        super().__init__()
        self.log_weights = one.log_weights[:, None]
        self.means, self.covariances = one.means[:, None], one.covariances[:, None]
        self.log_snr = torch.empty(0)

    def forward(self, xi: Tensor, log_snr: Tensor) -> Tensor:
        return super().forward(xi, log_snr[:1])  # all members share their levels

    def correction(self, y: Tensor, log_snr: Tensor) -> Tensor:
        if not torch.equal(self.log_snr, log_snr[0]):
            self._prepare(log_snr[0])
        distance = y.movedim(0, 1) - self.centre  # component, channel, batch, mode
        white = distance @ self.whitening
        log_p = self.log_density - 0.5 * white.square().sum(-1)
        weight = torch.softmax(log_p, 0)[..., None]
        return (weight * (self.pull + distance @ self.slope)).sum(0).movedim(0, 1)

    def _prepare(self, log_snr: Tensor) -> None:
        """The matrices of levels (channel, mode), which serve as long as these stay."""
        self.log_snr = log_snr.clone()
        s, c = torch.sin(angle(log_snr)), torch.cos(angle(log_snr))
        signal = c[..., :, None] * self.covariances
        factor = torch.linalg.cholesky(signal * c[..., None, :] + torch.diag_embed(s**2))
        eye = torch.eye(s.shape[-1], dtype=s.dtype)
        inverse = torch.linalg.solve_triangular(factor, eye, upper=False)
        self.whitening = inverse.mT
        gain = signal * s[..., None, :] - torch.diag_embed(s * c)
        self.slope = self.whitening @ (inverse @ gain)
        self.centre = (c * self.means)[..., None, :]
        self.pull = (s * self.means)[..., None, :]
        log_det = inverse.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        self.log_density = (self.log_weights + log_det)[..., None]


class Remembered:
    """Levels worked out once for each time, and at once for `times`, in float64."""

    def __init__(self, levels: Levels, times: Tensor) -> None:
        self.levels, self.known = levels, {}
        self(times)

    def __call__(self, t: Tensor) -> Tensor:
        new = t.new_tensor([time for time in dict.fromkeys(t.tolist()) if time not in self.known])
        if len(new):
            self.known |= dict(zip(new.tolist(), self.levels(new), strict=True))
        return torch.stack([self.known[time] for time in t.tolist()])


def fields(
    basis: Basis,
    denoiser: Denoiser,
    levels: Sequence[Levels],
    sampler: Sampler,
    members: int,
    *,
    seed: int,
    dynamics: Dynamics | None = None,
) -> tuple[list[Tensor], int]:
    """Fields (members, 1, *grid) for each of the levels, and the network evaluations of one."""
    generator = torch.Generator().manual_seed(seed)
    shape = (members, len(levels), len(basis.shell))

    def normals(_: int) -> Tensor:
        return torch.randn(shape, generator=generator).double()

    def together(t: Tensor) -> Tensor:
        return torch.cat([one(t) for one in levels], 1)

    counted = Counted(denoiser)
    edges = step_times(sampler.steps).double()
    middles = (edges[1:] + edges[:-1]) / 2
    known = Remembered(together, torch.cat([edges, middles]))
    x = sampler(counted, known, normals, dynamics=dynamics)
    return [
        basis.synthesise(part, basis.grid) for part in x.split(1, 1)
    ], counted.fields // members
