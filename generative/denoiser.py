r"""Denoisers: the mean of a whitened field x given xi = x + noise, one log snr per coefficient.

With lambda = log snr, theta = atan(e^{-lambda / 2}) is the angle between signal and noise and

    y = cos(theta) xi = cos(theta) x + sin(theta) eps

has unit variance at every noise level, as x has. A denoiser is written around the Wiener filter,

    D(xi, lambda) = cos(theta) y + sin(theta) F(y, lambda),

whose first term is the exact posterior mean for Gaussian x of unit variance. So F is what is not
Gaussian: an F of zero is the exact Gaussian surrogate, and training starts there. F has a target
of unit variance at every noise level (x and eps turned by 90 degrees), sin(theta) x - cos(theta)
eps, and the loss is its weighted mean square.

In y the probability flow is a rotation at speed F: dy = -F d theta (see `sampler`).

    Karras et al., EDM (2022), arXiv:2206.00364, for preconditioning by the data's variance; here
    the variance is that of every single coefficient.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.generative.backbone import FNO
from pushforward.generative.basis import FourierBasis
from pushforward.solvers import Grid

DROWNED = -5.0  # log snr below which a coefficient says nothing about the others


def angle(log_snr: Tensor) -> Tensor:
    """theta = atan(e^{-log_snr / 2}), from 0 (clean) to pi / 2 (noise).

    >>> round(angle(torch.zeros(1)).item(), 4)
    0.7854
    """
    return torch.atan(torch.exp(-log_snr / 2))


class Denoiser(nn.Module):
    """The contract: subclasses give the correction F; shapes are (batch, channel, mode).

    >>> class Wiener(Denoiser):
    ...     def correction(self, y, log_snr):
    ...         return torch.zeros_like(y)
    >>> round(Wiener()(torch.tensor([[[2.0]]]), torch.zeros(1, 1, 1)).item(), 4)  # half of xi
    1.0
    """

    @abstractmethod
    def correction(self, y: Tensor, log_snr: Tensor) -> Tensor:
        """F(y, lambda)."""

    def forward(self, xi: Tensor, log_snr: Tensor) -> Tensor:
        """E[x | xi], for xi = x + N(0, e^{-log_snr})."""
        theta = angle(log_snr)
        y = torch.cos(theta) * xi
        return torch.cos(theta) * y + torch.sin(theta) * self.correction(y, log_snr)


class GaussianDenoiser(Denoiser):
    """The exact denoiser of x ~ N(0, diag(variance)).

    >>> exact = GaussianDenoiser(torch.tensor([[4.0]]))
    >>> xi, log_snr = torch.tensor([[[2.0]]]), torch.zeros(1, 1, 1)
    >>> round(exact(xi, log_snr).item(), 4)     # 4 / (4 + 1) of it
    1.6
    """

    def __init__(self, variance: Float[Tensor, "channel mode"] | float = 1.0) -> None:
        super().__init__()
        self.register_buffer("variance", torch.as_tensor(variance))

    variance: Tensor

    def correction(self, y: Tensor, log_snr: Tensor) -> Tensor:
        theta = angle(log_snr)
        s, c = torch.sin(theta), torch.cos(theta)
        return s * c * (self.variance - 1) / (self.variance * c**2 + s**2) * y


class MixtureDenoiser(Denoiser):
    """The exact denoiser of a mixture of N(mean_j, diag(variance_j)), for tests of everything
    above.

    `weights` (component,), `means` and `variances` (component, channel, mode).

    >>> one = MixtureDenoiser(torch.ones(1), torch.zeros(1, 1, 1), torch.full((1, 1, 1), 4.0))
    >>> round(one(torch.tensor([[[2.0]]]), torch.zeros(1, 1, 1)).item(), 4)
    1.6
    """

    def __init__(self, weights: Tensor, means: Tensor, variances: Tensor) -> None:
        super().__init__()
        self.log_weights = torch.log(weights / weights.sum())
        self.means, self.variances = means, variances

    def correction(self, y: Tensor, log_snr: Tensor) -> Tensor:
        theta = angle(log_snr)[:, None]
        s, c, y = torch.sin(theta), torch.cos(theta), y[:, None]
        spread = self.variances * c**2 + s**2
        distance = y - c * self.means
        log_p = self.log_weights - 0.5 * (distance**2 / spread + spread.log()).sum((-1, -2))
        mean = self.means + c * self.variances / spread * distance
        x = (torch.softmax(log_p, 1)[..., None, None] * mean).sum(1)
        theta, y = theta[:, 0], y[:, 0]
        return (x - torch.cos(theta) * y) / torch.sin(theta).clamp_min(1e-12)


class NeuralDenoiser(Denoiser):
    """F by a neural operator in physical space, on the basis's working grid.

    A field whose spectrum spans many decades has no one natural size, so the network sees each
    channel in four colours: white (y itself), white where it is between signal and noise, red (the
    Wiener estimate, with the data's spectrum) and pink (half-way). It answers in white and pink,
    which are scaled back to coefficients of unit variance. It is conditioned, in every layer, on
    the mean log snr and on the power of every shell: how energetic a member is decides how it goes
    on.

    >>> from pushforward.solvers import GaussianField
    >>> u = GaussianField.matern(3.0, 0.5, cutoff=5).sample(range(64), Grid((16, 16)))[:, None]
    >>> basis = FourierBasis.fit(u, Grid((16, 16)))
    >>> denoiser = NeuralDenoiser(basis, width=8, modes=4, layers=1)
    >>> x = basis.analyse(u[:2], Grid((16, 16))).float()
    >>> bool(denoiser.correction(x, torch.zeros_like(x)).abs().max() == 0)    # until it is trained
    True
    """

    white: Tensor
    pink: Tensor
    red: Tensor
    certainty: Tensor
    from_white: Tensor
    from_pink: Tensor

    def __init__(
        self,
        basis: FourierBasis,
        *,
        width: int,
        modes: int,
        layers: int,
        oversampling: float = 1.0,
    ) -> None:
        super().__init__()
        self.basis = basis
        self.grids = basis.working_grids(oversampling)
        self.network = FNO(
            4 * basis.channels,
            2 * basis.channels,
            condition=2 * basis.channels * basis.shells,
            width=width,
            modes=modes,
            layers=layers,
            ndim=self.grids[0].ndim,
        )
        # 1 / standard deviation of a shell's power of Gaussian y
        count = basis.shell_sum(basis.mask.float())
        self.register_buffer("certainty", (count / 2).sqrt(), persistent=False)
        deviation = torch.exp(basis.log_variance / 2)
        colours = {"white": deviation**0, "pink": deviation**0.5, "red": deviation}
        for name, colour in colours.items():  # each of unit variance at a point
            colour = colour * basis.mask
            norm = colour.square().sum(-1, keepdim=True).sqrt()
            colour = colour / norm.clamp_min(1e-30)  # a channel may be dropped altogether
            self.register_buffer(name, colour.float(), persistent=False)
            if name != "red":
                back = torch.where(basis.mask, 1 / colour.clamp_min(1e-30), 0.0)
                self.register_buffer(f"from_{name}", back.float(), persistent=False)

    def correction(self, y: Tensor, log_snr: Tensor) -> Tensor:
        sizes = self._sizes(log_snr)
        out = torch.zeros_like(y)
        for size in sorted({*sizes.tolist()}):  # members at alike levels share a grid and a batch
            some = (sizes == size).nonzero()[:, 0]
            out = out.index_copy(0, some, self._on(self.grids[size], y[some], log_snr[some]))
        return out

    def _sizes(self, log_snr: Tensor) -> Tensor:
        """Per member, which is the smallest grid that holds all waves not drowned."""
        seen = (log_snr > DROWNED).any(1).view(len(log_snr), -1, 2).any(2)
        held = torch.stack([self.basis.held(grid) for grid in self.grids])  # (grid, wave)
        return (seen[:, None] & ~held[:-1]).any(2).sum(1)

    def _on(self, grid: Grid, y: Tensor, log_snr: Tensor) -> Tensor:
        """F computed on one grid; 0 for the waves beyond it."""
        theta = angle(log_snr)
        signal = torch.cos(theta) * y
        between = 2 * torch.sin(2 * theta) * y
        seen = [y * self.white, between * self.white, signal * self.pink, signal * self.red]
        level = self.basis.shell_mean(log_snr.clamp(-12, 12)) / 8
        power = (self.basis.shell_mean(y.square()) - 1) * self.certainty
        condition = torch.cat([level, power.clamp(-6, 6)], 1).flatten(1)
        answer = self.network(self.basis.place(torch.cat(seen, 1), grid), condition)
        white, pink = self.basis.read(answer, grid).chunk(2, 1)
        return white * self.from_white + pink * self.from_pink
