r"""The orthonormal basis in which a field is whitened: cosines and sines of a periodic box.

A field u (channel, *grid) becomes real coefficients x (channel, M), in pairs per wave k of a half
plane: sqrt(2) Re u_k and sqrt(2) Im u_k are orthonormal in L^2(dx / V). Then the mean m is
subtracted and the channels of each wave are whitened by the inverse Cholesky factor of their
covariance, averaged over shells of |k|:

    x_k = L_k^{-1} (u_k - m_k),    L_k L_k^T = E (u_k - m_k)(u_k - m_k)^T over the shell,

so that E x_k^2 = 1 for every coefficient, whatever the resolution. The squared diagonal of L is
the *reference variance* c_k (of a channel given the ones before it); waves whose variance lies
below `floor` times the largest (those a dealiased solver has cut, say) are dropped: they are
absent from the loss and zero in every sample.

The basis knows no grid spacing: it analyses fields given on any grid that resolves it, and
synthesises on any grid at all, dropping what a coarser one cannot show.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.generative.waves import (
    coefficients,
    flat_index,
    half_plane,
    pair_weight,
    smooth_size,
)
from pushforward.generative.whitening import factors, inverse_factors, live_waves
from pushforward.solvers import Grid, Use, diagnostics, normals

CHANNEL_STRIDE = 1 << 16  # wave numbers stay below it, so channel and wave share one address word


class FourierBasis(nn.Module):
    """Whitened Fourier coefficients of fields with C channels, with fitted mean and spectrum.

    Buffers: `waves` (n, axis) integer wave numbers of a half plane; `mean`, `mask` (C, M);
    `factor`, `inverse` (shell, C, C); `shell` (M,), M = 2 n. Build one with `fit`.
    """

    waves: Tensor
    shell: Tensor
    mean: Tensor
    mask: Tensor
    factor: Tensor
    inverse: Tensor

    def __init__(self, extent: Sequence[float], tensors: dict[str, Tensor]) -> None:
        super().__init__()
        self.extent = tuple(extent)
        for name in ("waves", "shell", "mean", "mask", "factor", "inverse"):
            self.register_buffer(name, tensors[name])
        self._slots: dict[tuple, tuple[Tensor, Tensor, Tensor, Tensor]] = {}

    @classmethod
    def fit(
        cls, fields: Float[Tensor, "n channel ..."], grid: Grid, *, floor: float = 1e-11
    ) -> FourierBasis:
        """The basis fitted to fields: mean, shell-averaged covariance across channels, kept waves.

        `floor` is the smallest variance kept, relative to the largest of its channel. The mean
        keeps only coefficients more than six standard errors from 0, so that noise is not learnt.

        Raises ValueError for fewer than two fields, non-finite or constant ones.

        >>> from pushforward.solvers import GaussianField
        >>> u = GaussianField.matern(3.0, 0.5, cutoff=5).sample(range(64), Grid((16, 16)))[:, None]
        >>> basis = FourierBasis.fit(u, Grid((16, 16)))
        >>> x = basis.analyse(u, Grid((16, 16)))
        >>> torch.allclose(basis.synthesise(x, Grid((16, 16))), u, atol=1e-10)
        True
        """
        if len(fields) < 2 or not torch.isfinite(fields).all():
            raise ValueError(
                f"expected at least 2 finite fields to fit a basis, got {len(fields)} with "
                f"{int((~torch.isfinite(fields)).sum())} non-finite values; remove those members"
            )
        waves = half_plane(grid)
        shell = diagnostics.shells(grid).flatten()[flat_index(waves, grid)]
        raw = coefficients(fields.double(), grid, waves)
        mean = raw.mean(0)
        error = raw.std(0) / math.sqrt(len(raw))
        strong = mean.square() > floor * raw.square().mean(0).amax(-1, keepdim=True)
        mean = torch.where(strong & (mean.abs() > 6 * error), mean, 0.0)
        pair_shell = shell.repeat_interleave(2)
        live = live_waves(raw - mean, pair_shell)
        live[1::2] &= (waves != 0).any(1)  # the constant wave has no imaginary part
        factor = factors(raw - mean, pair_shell, live, floor)
        kept = (factor.diagonal(dim1=-2, dim2=-1)[pair_shell].T > 0) & live  # (C, M)
        used = (kept.any(0) | (mean != 0).any(0)).view(-1, 2).any(1)
        if not kept.any():
            raise ValueError("expected fields that vary, got constant ones; check the simulation")
        columns = used.repeat_interleave(2)
        return cls(
            grid.extent,
            {
                "waves": waves[used],
                "shell": pair_shell[columns],
                "mean": mean[:, columns],
                "mask": kept[:, columns],
                "factor": factor,
                "inverse": inverse_factors(factor),
            },
        )

    @property
    def channels(self) -> int:
        """The number of channels."""
        return self.mean.shape[0]

    @property
    def homogeneous(self) -> bool:
        """Whether the mean is the same everywhere, as that of translation-invariant laws is."""
        varies = (self.waves != 0).any(1).repeat_interleave(2)
        return not bool((self.mean[:, varies] != 0).any())

    @property
    def shells(self) -> int:
        """The number of shells that the kept waves fall into, counted from 0."""
        return int(self.shell.max()) + 1

    @property
    def log_variance(self) -> Float[Tensor, "channel mode"]:
        """log c_k, the largest 0; dropped coefficients hold the smallest kept one."""
        c = 2 * torch.log(self.factor.diagonal(dim1=-2, dim2=-1)[self.shell].T.clamp_min(1e-300))
        c = c - self.scale.log()[:, None] * 2
        lowest = c[self.mask].min()
        return torch.where(self.mask, c, lowest) - c[self.mask].max()

    @property
    def scale(self) -> Float[Tensor, " channel"]:
        """The standard deviation of each channel at a point."""
        covariance = (self.factor @ self.factor.mT).diagonal(dim1=-2, dim2=-1)[self.shell].T
        real = torch.ones_like(self.mask)
        real[:, 1::2] &= (self.waves != 0).any(1)
        return (covariance * real).sum(1).sqrt()

    def analyse(
        self, fields: Float[Tensor, "... channel *grid"], grid: Grid
    ) -> Float[Tensor, "... channel mode"]:
        """The whitened coefficients of fields, in the fields' real type; 0 where dropped."""
        raw = self.read(fields, grid)
        x = self._mix(raw - self.mean.to(raw), self.inverse)
        return x * self.mask.to(x)

    def synthesise(
        self, x: Float[Tensor, "... channel mode"], grid: Grid
    ) -> Float[Tensor, "... channel *grid"]:
        """The fields of whitened coefficients, on any grid of the box."""
        return self.place(self._mix(x * self.mask.to(x), self.factor) + self.mean.to(x), grid)

    def place(
        self, raw: Float[Tensor, "... channel mode"], grid: Grid
    ) -> Float[Tensor, "... channel *grid"]:
        """The fields of plain coefficients (nothing added, nothing whitened), on any grid."""
        index, mirror, shown, mirrored = self._slot(grid)
        z = torch.view_as_complex(raw.unflatten(-1, (-1, 2)).contiguous()) * self._weight(raw)
        u_hat = z.new_zeros((*z.shape[:-1], math.prod(grid.spectral_shape)))
        u_hat = u_hat.index_copy(-1, index, z[..., shown])
        u_hat = u_hat.index_copy(-1, mirror, z[..., mirrored].conj())
        return grid.ifft(u_hat.unflatten(-1, grid.spectral_shape))

    def read(
        self, fields: Float[Tensor, "... channel *grid"], grid: Grid
    ) -> Float[Tensor, "... channel mode"]:
        """The plain coefficients of fields; undoes `place`."""
        return coefficients(fields, grid, self.waves, self._slot(grid))

    def noise(
        self, seed: int, use: Use, members: Sequence[int], step: int = 0
    ) -> Float[Tensor, "member channel mode"]:
        """Standard normals addressed by (seed, member, channel, wave), float32; 0 if dropped."""
        channel = torch.arange(self.channels, device=self.waves.device)[:, None] * CHANNEL_STRIDE
        waves = [self.waves[:, 0] + channel, *(k[None] for k in self.waves.T[1:])]
        g = torch.view_as_real(normals(seed, use, members, waves, step)).flatten(-2)
        return (g * self.mask).float()

    def translate(
        self, x: Float[Tensor, "n channel mode"], shift: Float[Tensor, "n axis"]
    ) -> Float[Tensor, "n channel mode"]:
        """The coefficients of fields moved by `shift`, in fractions of the box (mean left out)."""
        angle = -2 * math.pi * shift.to(x) @ self.waves.T.to(x)
        turn = torch.polar(torch.ones_like(angle), angle)[:, None]
        z = torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous())
        return torch.view_as_real(z * turn).flatten(-2)

    def shell_sum(self, values: Float[Tensor, "... mode"]) -> Float[Tensor, "... shell"]:
        """Sums over the coefficients of each shell."""
        out = values.new_zeros((*values.shape[:-1], self.shells))
        return out.index_add(-1, self.shell, values)

    def shell_mean(self, values: Float[Tensor, "... mode"]) -> Float[Tensor, "... shell"]:
        """Means over the coefficients of each shell; shells without waves give 0."""
        count = torch.bincount(self.shell, minlength=self.shells).clamp_min(1).to(values)
        return self.shell_sum(values) / count

    def working_grids(self, oversampling: float = 1.0) -> list[Grid]:
        """Grids for a network to see the waves on, coarse to fine; the last one holds all of them.

        Each is the smallest that holds half, three quarters or all of the largest wave numbers;
        sizes are even, with no prime factor beyond 5.

        >>> from pushforward.solvers import GaussianField
        >>> u = GaussianField.matern(3.0, 0.5, cutoff=9).sample(range(64), Grid((32, 32)))[:, None]
        >>> [grid.shape[0] for grid in FourierBasis.fit(u, Grid((32, 32))).working_grids()]
        [12, 16, 20]
        """
        band = self.waves.abs().amax(0).tolist()
        shapes = {
            tuple(smooth_size(oversampling * 2 * math.ceil(share * k) + 1) for k in band)
            for share in (1 / 2, 3 / 4, 1)
        }
        return [Grid(shape, self.extent) for shape in sorted(shapes)]

    def held(self, grid: Grid) -> Tensor:
        """Which waves (n,) a grid resolves."""
        half = torch.tensor([n / 2 for n in grid.shape], device=self.waves.device)
        return (self.waves.abs() < half).all(1)

    def _mix(self, x: Tensor, matrices: Tensor) -> Tensor:
        """A C x C matrix per shell applied across channels."""
        per_mode = matrices.to(x)[self.shell]  # (M, C, C)
        if self.channels == 1:
            return x * per_mode[:, 0, 0]
        return torch.einsum("mij,...jm->...im", per_mode, x)

    def _weight(self, like: Tensor) -> Tensor:
        return pair_weight(self.waves).reciprocal().to(like)

    def _slot(self, grid: Grid) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Where the waves lie in a grid's flattened spectrum: index, mirror and their selections.

        Waves with a vanishing last component need their conjugate stored beside them.
        """
        if grid.extent != self.extent:
            raise ValueError(
                f"expected a grid of the box {self.extent} the basis was fitted on, "
                f"got extent {grid.extent}; keep the box and change the number of points"
            )
        key = (grid.shape, self.waves.device)
        if key not in self._slots:
            with torch.inference_mode(False):  # what is remembered must serve training, too
                fits = self.held(grid)
                twin = fits & (self.waves[:, -1] == 0) & (self.waves != 0).any(1)
                shown, mirrored = fits.nonzero()[:, 0], twin.nonzero()[:, 0]
                index, mirror = (
                    flat_index(self.waves[fits], grid),
                    flat_index(-self.waves[twin], grid),
                )
                self._slots[key] = (index, mirror, shown, mirrored)
        return self._slots[key]
