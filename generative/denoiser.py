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
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.generative.backbone import Backbone
from pushforward.generative.basis import Basis
from pushforward.generative.precision import pointwise
from pushforward.solvers import Grid

COLOURS = {"white": 0.0, "pink": 0.5, "red": 1.0}  # powers of a coefficient's deviation
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


class NeuralDenoiser(Denoiser):
    """F by a network in physical space, on the basis's working grid.

    A field whose spectrum spans many decades has no one natural size, so the network sees each
    channel in four colours: white (y itself), white where it is between signal and noise, red (the
    Wiener estimate, with the data's spectrum) and pink (half-way). It answers in white and pink,
    which are scaled back to coefficients of unit variance. It is conditioned, in every layer, on
    the mean log snr and on the power of every band of scales: how energetic a member is decides
    how it goes on. Where coefficients have a place, their log snr is a map that it sees, too. A
    network that moves with its fields cannot tell places apart; where the mean varies over the
    box, as under a steady forcing, it sees the mean.

    The bands are those of the basis's kind, whatever its resolution, so a network's weights serve
    a basis of any resolution; each has a gain of its own on the answer.

    >>> from pushforward.generative import Backbone, FourierBasis
    >>> from pushforward.solvers import GaussianField, Grid
    >>> u = GaussianField.matern(3.0, 0.5, cutoff=5).sample(range(64), Grid((16, 16)))[:, None]
    >>> basis = FourierBasis.fit(u, Grid((16, 16)))
    >>> denoiser = NeuralDenoiser(basis, Backbone(width=8, modes=4, layers=1))
    >>> x = basis.analyse(u[:2], Grid((16, 16))).float()
    >>> bool(denoiser.correction(x, torch.zeros_like(x)).abs().max() == 0)    # until it is trained
    True
    """

    white: Tensor
    pink: Tensor
    red: Tensor
    size: Tensor
    certainty: Tensor
    from_white: Tensor
    from_pink: Tensor

    def __init__(self, basis: Basis, backbone: Backbone, *, oversampling: float = 1.0) -> None:
        super().__init__()
        self.basis = basis
        self.grids = basis.working_grids(oversampling)
        moves = basis.translates and basis.grid.periodic
        self.guided = moves and not basis.homogeneous
        self.network = backbone.build(
            (4 + basis.localised + self.guided) * basis.channels,
            2 * basis.channels,
            condition=2 * basis.channels * basis.bands,
            ndim=self.grids[0].ndim,
            periodic=moves,
        ).to(basis.mask.device)
        # 1 / standard deviation of a band's power of Gaussian y
        count = basis.mask.new_zeros((basis.channels, basis.bands), dtype=torch.float32)
        count = count.index_add(1, basis.band, basis.mask.float())
        self.register_buffer("certainty", (count / 2).sqrt(), persistent=False)
        self.gain = nn.Parameter(torch.ones_like(count).repeat(2, 1, 1))
        size = self._shades().square().sum(-1, keepdim=True).sqrt()
        size = size.clamp_min(1e-30)  # a channel may be dropped altogether
        self.register_buffer("size", size.float())
        self._paint()

    def adopt(self, coarse: NeuralDenoiser) -> None:
        """Takes over the network of a denoiser of the same channels on a coarser grid.

        Its weights do not depend on the resolution, nor does the size of a wave in each colour: it
        stays that of the coarse grid. Bands that the coarse grid did not have start at F = 0.
        Raises ValueError when the networks differ.
        """
        ours, theirs = self.network.state_dict(), coarse.network.state_dict()
        if {k: v.shape for k, v in ours.items()} != {k: v.shape for k, v in theirs.items()}:
            raise ValueError(
                "expected a coarse surrogate with the same network and channels, got another; "
                "give both the same backbone and basis"
            )
        self.network.load_state_dict(theirs)
        self.size.copy_(coarse.size)
        with torch.no_grad():
            self.gain.copy_(torch.where(coarse.certainty > 0, coarse.gain, 0.0))
        self._paint()

    def share(self, fine: NeuralDenoiser) -> None:
        """Uses the network of a denoiser on a finer grid itself: what trains one trains both."""
        self.network, self.gain = fine.network, fine.gain
        self.size.copy_(fine.size)
        self._paint()

    def _shades(self) -> Tensor:
        """The deviation of a coefficient to the power of each colour, (colour, channel, mode)."""
        deviation = torch.exp(self.basis.log_variance / 2)
        shades = torch.stack([deviation**power for power in COLOURS.values()])
        return shades * self.basis.mask

    def _paint(self) -> None:
        """What turns coefficients into fields of each colour, of unit variance at a point."""
        for name, shade in zip(COLOURS, self._shades() / self.size, strict=True):
            self.register_buffer(name, shade.float(), persistent=False)
            back = torch.where(self.basis.mask, 1 / shade.clamp_min(1e-30), 0.0)
            self.register_buffer(f"from_{name}", back.float(), persistent=False)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._paint()  # the sizes may be those of a coarser grid

    def correction(self, y: Tensor, log_snr: Tensor) -> Tensor:
        if len(self.grids) == 1:
            return self._on(self.grids[0], y, log_snr)
        sizes = self._sizes(log_snr)
        out = torch.zeros_like(y)
        for size in sorted({*sizes.tolist()}):  # members at alike levels share a grid and a batch
            some = (sizes == size).nonzero()[:, 0]
            out = out.index_copy(0, some, self._on(self.grids[size], y[some], log_snr[some]))
        return out

    def _sizes(self, log_snr: Tensor) -> Tensor:
        """Per member, which is the smallest grid that holds all waves not drowned."""
        seen = (log_snr > DROWNED).any(1)
        held = torch.stack([self.basis.held(grid) for grid in self.grids])  # (grid, mode)
        return (seen[:, None] & ~held[:-1]).any(2).sum(1)

    def _on(self, grid: Grid, y: Tensor, log_snr: Tensor) -> Tensor:
        """F computed on one grid; 0 for the waves beyond it."""
        basis = self.basis
        theta = angle(log_snr)
        signal = torch.cos(theta) * y
        between = 2 * torch.sin(2 * theta) * y
        seen = [y * self.white, between * self.white, signal * self.pink, signal * self.red]
        fields = basis.place(torch.stack(seen, 1), grid).flatten(1, 2)
        depth = log_snr.clamp(-12, 12) / 8
        if basis.localised:
            fields = torch.cat([fields, basis.spread(depth, grid)], 1)
        if self.guided:
            marks = basis.landmarks(grid)
            fields = torch.cat([fields, marks.expand(len(fields), *marks.shape).to(fields)], 1)
        power = basis.band_mean(y.square()) - basis.band_mean(basis.mask.to(y))
        condition = [basis.band_mean(depth), (power * self.certainty).clamp(-6, 6)]
        with pointwise(fields.device):
            answer = self.network(fields, torch.cat(condition, 1).flatten(1)).to(fields)
        answer = basis.read(answer.unflatten(1, (2, -1)), grid) * self.gain[..., basis.band]
        return answer[:, 0] * self.from_white + answer[:, 1] * self.from_pink
