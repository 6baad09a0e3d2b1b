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
        cls, fields: Float[Tensor, "n channel ..."], grid: Grid, *, floor: float = 1e-9
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
        waves = _half_plane(grid)
        shell = diagnostics.shells(grid).flatten()[_index(waves, grid)]
        raw = _coefficients(fields.double(), grid, waves)
        mean = raw.mean(0)
        error = raw.std(0) / math.sqrt(len(raw))
        strong = mean.square() > floor * raw.square().mean(0).amax(-1, keepdim=True)
        mean = torch.where(strong & (mean.abs() > 6 * error), mean, 0.0)
        pair_shell = shell.repeat_interleave(2)
        live = _live(raw - mean, pair_shell)
        live[1::2] &= (waves != 0).any(1)  # the constant wave has no imaginary part
        factor = _factors(raw - mean, pair_shell, live, floor)
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
                "inverse": _inverse(factor),
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
        return _coefficients(fields, grid, self.waves, self._slot(grid))

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
            tuple(_smooth(oversampling * 2 * math.ceil(share * k) + 1) for k in band)
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
        return _pair_weight(self.waves).reciprocal().to(like)

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
                index, mirror = _index(self.waves[fits], grid), _index(-self.waves[twin], grid)
                self._slots[key] = (index, mirror, shown, mirrored)
        return self._slots[key]


def _half_plane(grid: Grid) -> Tensor:
    """The integer waves (n, axis) of one half plane, the constant first, no Nyquist waves."""
    k = torch.stack(torch.broadcast_tensors(*grid.integers()), -1)[grid.resolved()]
    positive = torch.zeros(len(k), dtype=torch.bool)
    undecided = torch.ones(len(k), dtype=torch.bool)
    for component in k.T.flip(0):
        positive |= undecided & (component > 0)
        undecided &= component == 0
    k = k[positive | undecided]
    return torch.tensor(sorted(k.tolist(), key=lambda wave: (sum(n * n for n in wave), wave)))


def _index(waves: Tensor, grid: Grid) -> Tensor:
    """Flat positions of integer waves in a tensor of `grid.spectral_shape`."""
    flat = torch.zeros(len(waves), dtype=torch.int64, device=waves.device)
    for k, n, stride in zip(waves.T, grid.shape, grid.spectral_shape, strict=True):
        flat = flat * stride + torch.where(k < 0, k + n, k)
    return flat


def _pair_weight(waves: Tensor) -> Tensor:
    """What turns u_k into an orthonormal pair: sqrt(2), or 1 for the constant wave."""
    return torch.where((waves == 0).all(1), 1.0, 2.0).double().sqrt()


def _coefficients(
    fields: Tensor, grid: Grid, waves: Tensor, slot: tuple[Tensor, ...] | None = None
) -> Tensor:
    """The orthonormal real coefficients (..., M) of fields; waves beyond the grid give 0."""
    flat = grid.fft(fields).flatten(-grid.ndim)
    weight = _pair_weight(waves).to(fields)
    if slot is None or len(slot[2]) == len(waves):
        z = flat[..., slot[0] if slot else _index(waves, grid)]
    else:
        z = flat.new_zeros((*flat.shape[:-1], len(waves)))
        z = z.index_copy(-1, slot[2], flat[..., slot[0]])
    return torch.view_as_real(z * weight).flatten(-2)


def _live(raw: Tensor, shell: Tensor, least: float = 1e-4) -> Tensor:
    """Which waves (M,) have at least `least` of the largest variance of their shell, in a channel.

    A solver that dealiases in a box empties part of the outer shells.
    """
    power = raw.square().mean(0).unflatten(-1, (-1, 2)).mean(-1)
    number = shell[::2].expand_as(power)
    largest = power.new_zeros(len(power), int(shell.max()) + 1)
    largest = largest.scatter_reduce(1, number, power, "amax")
    return ((power > 0) & (power >= least * largest.gather(1, number))).any(0).repeat_interleave(2)


def _factors(raw: Tensor, shell: Tensor, live: Tensor, floor: float) -> Tensor:
    """Cholesky factors (shell, C, C) of each shell's covariance; below the floor a row is 0."""
    count = int(shell.max()) + 1
    outer = torch.einsum("nim,njm->mij", raw, raw)[live] / len(raw)
    size = torch.bincount(shell[live], minlength=count).clamp_min(1)
    covariance = outer.new_zeros((count, *outer.shape[1:])).index_add(0, shell[live], outer)
    covariance = covariance / size[:, None, None]
    largest = covariance.diagonal(dim1=-2, dim2=-1).amax(0)  # (C,)
    factor = torch.zeros_like(covariance)
    for i in range(covariance.shape[1]):
        rest = covariance[:, i, i] - factor[:, i, :i].square().sum(-1)
        keep = rest > floor * largest[i]
        diagonal = torch.where(keep, rest, 0.0).sqrt()
        factor[:, i, i] = diagonal
        for j in range(i + 1, covariance.shape[1]):
            value = covariance[:, j, i] - (factor[:, j, :i] * factor[:, i, :i]).sum(-1)
            factor[:, j, i] = torch.where(keep, value / diagonal.clamp_min(1e-300), 0.0)
    return factor


def _inverse(factor: Tensor) -> Tensor:
    """The inverse of triangular factors; a dropped channel (zero diagonal) gives a zero row."""
    diagonal = factor.diagonal(dim1=-2, dim2=-1)
    safe = factor + torch.diag_embed((diagonal == 0).double())
    return torch.linalg.inv(safe) * (diagonal > 0)[..., None]


def _smooth(least: float) -> int:
    """The smallest even number of at least 4 above `least` with no prime factor beyond 5."""
    n = max(4, 2 * math.ceil(least / 2))
    while True:
        rest = n
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return n
        n += 2
