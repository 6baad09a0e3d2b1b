r"""Orthonormal bases in which fields are whitened: what all of them share.

A field u (channel, *grid) has coefficients z_k = <u, e_k> in functions e_k that are orthonormal in
L^2(dx / V), so that the sum of z_k^2 is the mean square of u on every grid. The mean m is
subtracted and the channels are whitened by a Cholesky factor that the coefficients of a *shell*
share (see `whitening`),

    x_k = L_k^{-1} (z_k - m_k),        L_k L_k^T = E (z_k - m_k)(z_k - m_k)^T over the shell,

so that E x_k^2 = 1, whatever the resolution. The squared diagonal of L is the variance v_k (of a
channel given the ones before it). Coefficients whose variance lies below `floor` times the largest
are dropped: absent from the loss, zero in every sample. In data units

    log |d x / d z| = -sum_k log L_kk        over the kept ones.

A basis says which functions e_k are (`read`, `place`), what a path orders them by (`modes`), what
a network is told about them (`bands`) and what they are on another grid of the box.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from pushforward.generative.addresses import draw
from pushforward.generative.modes import Modes
from pushforward.solvers import Grid, Use

SHARED = ("mean", "mask", "shell", "factor", "inverse")


class Basis(nn.Module, ABC):
    """Whitened coefficients of fields with C channels; build one with `fit`.

    Attributes: `grid` (fitted on). Buffers: `mean`, `mask` (C, M); `shell` (M,); `factor`,
    `inverse` (shell, C, C); those named in `own`. `Basis(grid, state_dict)` restores one.

    >>> from pushforward.generative.bases import BASES
    >>> [kind for kind, basis in BASES.items() if basis.localised]
    ['haar', 'pixel']
    """

    kind: ClassVar[str]
    bands: ClassVar[int]  # what a network is conditioned on, the same number on every grid
    localised: ClassVar[bool]  # whether a coefficient has a place: `spread` shows it
    translates: ClassVar[bool]  # whether `translate` moves fields
    own: ClassVar[tuple[str, ...]]

    mean: Tensor
    mask: Tensor
    shell: Tensor
    factor: Tensor
    inverse: Tensor

    def __init__(self, grid: Grid, tensors: dict[str, Tensor]) -> None:
        super().__init__()
        self.grid = grid
        for name in (*SHARED, *self.own):
            self.register_buffer(name, tensors[name])
        self._memory: dict[tuple, Any] = {}

    @classmethod
    @abstractmethod
    def fit(
        cls,
        fields: Float[Tensor, "n channel ..."],
        grid: Grid,
        *,
        floor: float = 1e-11,
        apart: bool = False,
    ) -> Basis:
        """The basis fitted to fields: mean, covariance across channels, kept coefficients.

        `floor` is the smallest variance kept, relative to the largest of its channel. `apart`
        whitens each channel by itself, so that each may be given or left out for itself.

        Raises ValueError for fewer than two fields, non-finite or constant ones.
        """

    @abstractmethod
    def read(
        self, fields: Float[Tensor, "... channel *grid"], grid: Grid
    ) -> Float[Tensor, "... channel mode"]:
        """The plain orthonormal coefficients of fields; undoes `place`."""

    @abstractmethod
    def place(
        self, raw: Float[Tensor, "... channel mode"], grid: Grid
    ) -> Float[Tensor, "... channel *grid"]:
        """The fields of plain coefficients: nothing added, nothing whitened."""

    @property
    @abstractmethod
    def modes(self) -> Modes:
        """What a path orders the coefficients by."""

    @property
    @abstractmethod
    def band(self) -> Int[Tensor, " mode"]:
        """The band of every coefficient, below `bands`."""

    @abstractmethod
    def held(self, grid: Grid) -> Bool[Tensor, " mode"]:
        """Which coefficients a grid resolves."""

    @abstractmethod
    def working_grids(self, oversampling: float = 1.0) -> list[Grid]:
        """Grids for a network to see the fields on, coarse to fine; the last one holds all."""

    @abstractmethod
    def spread(
        self, values: Float[Tensor, "... channel mode"], grid: Grid
    ) -> Float[Tensor, "... channel *grid"]:
        """A value per coefficient as a map over space, for a localised basis."""

    @abstractmethod
    def translate(
        self, x: Float[Tensor, "n channel mode"], shift: Float[Tensor, "n axis"]
    ) -> Float[Tensor, "n channel mode"]:
        """The coefficients of fields moved by `shift`, in fractions of the box (mean left out)."""

    @abstractmethod
    def extend(self, grid: Grid, *, floor: float = 1e-16) -> Basis:
        """The basis on a finer grid of the same box, the spectrum continued; old ones come first.

        Raises ValueError for a grid that is not finer, and where nothing can be continued.
        """

    @abstractmethod
    def addresses(self) -> tuple[Int[Tensor, "address word"], Int[Tensor, " mode"] | None]:
        """The addresses of the coefficients' noise, two normals each, and where to pick them.

        None if the coefficients are the normals in their order.
        """

    @property
    def apart(self) -> bool:
        """Whether channels are whitened by themselves (a single one is)."""
        diagonal = torch.diag_embed(self.factor.diagonal(dim1=-2, dim2=-1))
        return bool((self.factor == diagonal).all())

    @property
    def channels(self) -> int:
        """The number of channels."""
        return self.mean.shape[0]

    @property
    def extent(self) -> tuple[float, ...]:
        """The side lengths of the box."""
        return self.grid.extent

    @property
    def shells(self) -> int:
        """The number of shells that the coefficients fall into, counted from 0."""
        return int(self.shell.max()) + 1

    @property
    def dimensions(self) -> int:
        """The number of kept coefficients, over all channels."""
        return int(self.mask.sum())

    @property
    def log_det(self) -> float:
        """log |d x / d z| of the kept coefficients, z the plain ones of `read`."""
        diagonal = self.inverse.diagonal(dim1=-2, dim2=-1)[self.shell].T
        return float(diagonal[self.mask].log().sum())

    @property
    def homogeneous(self) -> bool:
        """Whether the mean is the same everywhere, as that of translation-invariant laws is."""
        mean = self.place(self.mean, self.grid).flatten(1)
        size = mean.abs().amax(1)
        return bool((mean.amax(1) - mean.amin(1) <= 1e-9 * size).all())

    def landmarks(self, grid: Grid) -> Float[Tensor, "channel ..."]:
        """What of the mean varies over the box, (channel, *grid), of mean square 1 or nothing.

        Where a law differs from place to place these tell the places apart, and what they leave
        alike (a steady forcing by one wave: along it) remains alike.
        """

        def make() -> Tensor:
            mean = self.place(self.mean, grid)
            swing = mean - mean.flatten(1).mean(1).view(-1, *[1] * grid.ndim)
            size = swing.flatten(1).square().mean(1).sqrt().clamp_min(1e-30)
            return (swing / size.view(-1, *[1] * grid.ndim)).float()

        return self._remember(("landmarks", grid.shape), make)

    @property
    def log_variance(self) -> Float[Tensor, "channel mode"]:
        """log v_k, for channels of unit variance at a point; dropped ones hold the smallest kept.

        A channel's v_k sum to 1, less what the channels before it explain.
        """
        v = 2 * torch.log(self.factor.diagonal(dim1=-2, dim2=-1)[self.shell].T.clamp_min(1e-300))
        v = v - self.scale.log()[:, None] * 2
        return torch.where(self.mask, v, v[self.mask].min())

    @property
    def scale(self) -> Float[Tensor, " channel"]:
        """The standard deviation of each channel at a point."""
        covariance = (self.factor @ self.factor.mT).diagonal(dim1=-2, dim2=-1)[self.shell].T
        return (covariance * self.mask.any(0)).sum(1).sqrt()

    def analyse(
        self, fields: Float[Tensor, "... channel *grid"], grid: Grid
    ) -> Float[Tensor, "... channel mode"]:
        """The whitened coefficients of fields, in the fields' real type; 0 where dropped."""
        return self.whiten(self.read(fields, grid))

    def whiten(self, raw: Float[Tensor, "... channel mode"]) -> Float[Tensor, "... channel mode"]:
        """The whitened of plain coefficients; 0 where dropped."""
        x = self._mix(raw - self.mean.to(raw), self.inverse)
        return x * self.mask.to(x)

    def synthesise(
        self, x: Float[Tensor, "... channel mode"], grid: Grid
    ) -> Float[Tensor, "... channel *grid"]:
        """The fields of whitened coefficients, on any grid that the basis has."""
        return self.place(self._mix(x * self.mask.to(x), self.factor) + self.mean.to(x), grid)

    def noise(
        self, seed: int, use: Use, members: Sequence[int], step: int = 0
    ) -> Float[Tensor, "member channel mode"]:
        """Standard normals addressed by (seed, member, channel, mode), float32; 0 if dropped."""
        words, pick = self._remember(("addresses",), self.addresses)
        g = draw(words, pick, self.channels, seed, use, members, step)
        return g.float().mul_(self.mask)

    def shell_sum(self, values: Float[Tensor, "... mode"]) -> Float[Tensor, "... shell"]:
        """Sums over the coefficients of each shell."""
        out = values.new_zeros((*values.shape[:-1], self.shells))
        return out.index_add(-1, self.shell, values)

    def shell_mean(self, values: Float[Tensor, "... mode"]) -> Float[Tensor, "... shell"]:
        """Means over the coefficients of each shell; shells without any give 0."""
        count = torch.bincount(self.shell, minlength=self.shells).clamp_min(1).to(values)
        return self.shell_sum(values) / count

    def band_mean(self, values: Float[Tensor, "... mode"]) -> Float[Tensor, "... band"]:
        """Means over the coefficients of each band that some channel keeps; without any, 0."""
        return values @ self._remember(("bands", values.dtype), self._averages).to(values)

    def _averages(self) -> Tensor:
        """The matrix (M, bands) that averages over bands."""
        member = nn.functional.one_hot(self.band, self.bands).double()
        member = member * self.mask.any(0)[:, None]
        return member / member.sum(0).clamp_min(1)

    def _mix(self, x: Tensor, matrices: Tensor) -> Tensor:
        """A C x C matrix per shell applied across channels."""
        per_mode = matrices.to(x)[self.shell]  # (M, C, C)
        if self.channels == 1:
            return x * per_mode[:, 0, 0]
        return torch.einsum("mij,...jm->...im", per_mode, x)

    def _remember(self, key: tuple, make: Callable[[], Any]) -> Any:
        """What `make` gives, made once per key and device."""
        key = (*key, self.mask.device)
        if key not in self._memory:
            with torch.inference_mode(False):  # what is remembered must serve training, too
                self._memory[key] = make()
        return self._memory[key]


def same_box(basis: Basis, grid: Grid) -> None:
    """Raises ValueError for a grid of another box, or with another boundary."""
    if (grid.extent, grid.boundary) != (basis.extent, basis.grid.boundary):
        raise ValueError(
            f"expected a grid of the box {basis.extent}, {basis.grid.boundary}, that the basis "
            f"was fitted on, got extent {grid.extent}, {grid.boundary}; keep the box and change "
            "the number of points"
        )
