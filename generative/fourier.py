r"""Cosines and sines of a periodic box: the basis of fields without walls.

Every wave k of a half plane gives a pair of coefficients, sqrt(2) Re u_k and sqrt(2) Im u_k, which
are orthonormal in L^2(dx / V). A shell holds the waves whose |k|, in units of the lowest wave of
the longest side, rounds to its number. The coefficients of a pair share everything, so a
translation, which turns each pair, leaves the whitened law of a homogeneous field as it is.

The basis knows no grid spacing: it analyses fields given on any grid that resolves it, and
synthesises on any grid at all, dropping what a coarser one cannot show.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from pushforward.generative.basis import Basis, same_box
from pushforward.generative.extension import appended, finer, unextended
from pushforward.generative.modes import Modes
from pushforward.generative.waves import (
    BANDS,
    band,
    beyond,
    coefficients,
    flat_index,
    half_plane,
    length,
    pair_weight,
    smooth_size,
)
from pushforward.generative.whitening import (
    checked,
    columns,
    live_modes,
    significant_mean,
    used,
    whitened,
)
from pushforward.solvers import Grid, diagnostics

DEAD = 1e-4  # share of the largest variance of its shell below which a wave counts as cut away


class FourierBasis(Basis):
    """Whitened Fourier coefficients; `waves` (n, axis) are the wave numbers, M = 2 n."""

    kind: ClassVar[str] = "fourier"
    bands: ClassVar[int] = BANDS
    localised: ClassVar[bool] = False
    translates: ClassVar[bool] = True
    own: ClassVar[tuple[str, ...]] = ("waves",)

    waves: Tensor

    @classmethod
    def fit(
        cls,
        fields: Float[Tensor, "n channel ..."],
        grid: Grid,
        *,
        floor: float = 1e-11,
        apart: bool = False,
    ) -> FourierBasis:
        """The basis fitted to fields: mean, shell-averaged covariance across channels, kept waves.

        `floor` is the smallest variance kept, relative to the largest of its channel. The mean
        keeps only coefficients more than six standard errors from 0, so that noise is not learnt.

        Raises ValueError for fewer than two fields, non-finite or constant ones, and a box with
        walls.

        >>> from pushforward.solvers import GaussianField
        >>> u = GaussianField.matern(3.0, 0.5, cutoff=5).sample(range(64), Grid((16, 16)))[:, None]
        >>> basis = FourierBasis.fit(u, Grid((16, 16)))
        >>> x = basis.analyse(u, Grid((16, 16)))
        >>> torch.allclose(basis.synthesise(x, Grid((16, 16))), u, atol=1e-10)
        True
        """
        if not grid.periodic:
            raise ValueError(
                f"expected the basis cosine, haar, pixel or pca for the boundary {grid.boundary}, "
                "got fourier, whose waves go around the box; choose cosine"
            )
        waves = half_plane(grid)
        raw = coefficients(checked(fields), grid, waves)
        shell = diagnostics.shells(grid).flatten()[flat_index(waves, grid)].repeat_interleave(2)
        mean = significant_mean(raw, floor)
        power = (raw - mean).square().mean(0).unflatten(-1, (-1, 2)).mean(-1)
        live = live_modes(power.repeat_interleave(2, -1), shell, DEAD)
        live[1::2] &= (waves != 0).any(1)  # the constant wave has no imaginary part
        parts = whitened(raw, mean, shell, live, floor, apart)
        return cls._kept(grid, parts, waves)

    @property
    def modes(self) -> Modes:
        return Modes(
            self.log_variance, self._length, points=self.grid.size, extent=self.extent, folds=1
        )

    @property
    def band(self) -> Int[Tensor, " mode"]:
        return self._remember(("band",), lambda: band(self._length.round().long()))

    @property
    def _length(self) -> Tensor:
        """|k| of every coefficient."""
        return length(self.waves, self.extent).repeat_interleave(2)

    def place(
        self, raw: Float[Tensor, "... channel mode"], grid: Grid
    ) -> Float[Tensor, "... channel *grid"]:
        index, mirror, shown, mirrored = self._slot(grid)
        weight = pair_weight(self.waves).reciprocal().to(raw)
        z = torch.view_as_complex(raw.unflatten(-1, (-1, 2)).contiguous()) * weight
        u_hat = z.new_zeros((*z.shape[:-1], math.prod(grid.spectral_shape)))
        u_hat = u_hat.index_copy(-1, index, z[..., shown])
        u_hat = u_hat.index_copy(-1, mirror, z[..., mirrored].conj())
        return grid.ifft(u_hat.unflatten(-1, grid.spectral_shape))

    def read(
        self, fields: Float[Tensor, "... channel *grid"], grid: Grid
    ) -> Float[Tensor, "... channel mode"]:
        return coefficients(fields, grid, self.waves, self._slot(grid))

    def held(self, grid: Grid) -> Bool[Tensor, " mode"]:
        return self._resolved(grid).repeat_interleave(2)

    def working_grids(self, oversampling: float = 1.0) -> list[Grid]:
        """Grids that hold half, three quarters and all of the largest wave numbers.

        Each is the smallest; sizes are even, with no prime factor beyond 5.

        >>> from pushforward.solvers import GaussianField
        >>> u = GaussianField.matern(3.0, 0.5, cutoff=9).sample(range(64), Grid((32, 32)))[:, None]
        >>> [grid.shape[0] for grid in FourierBasis.fit(u, Grid((32, 32))).working_grids()]
        [12, 16, 20]
        """
        box = self.waves.abs().amax(0).tolist()
        shapes = {
            tuple(smooth_size(oversampling * 2 * math.ceil(share * k) + 1) for k in box)
            for share in (1 / 2, 3 / 4, 1)
        }
        return [replace(self.grid, shape=shape) for shape in sorted(shapes)]

    def spread(
        self, values: Float[Tensor, "... channel mode"], grid: Grid
    ) -> Float[Tensor, "... channel *grid"]:
        raise ValueError(
            "expected a localised basis to spread values over space, got fourier, whose waves are "
            "everywhere; choose the pixel or haar basis"
        )

    def translate(
        self, x: Float[Tensor, "n channel mode"], shift: Float[Tensor, "n axis"]
    ) -> Float[Tensor, "n channel mode"]:
        angle = -2 * math.pi * shift.to(x) @ self.waves.T.to(x)
        turn = torch.complex(angle.cos(), angle.sin())[:, None]
        z = torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous())
        return torch.view_as_real(z * turn).flatten(-2)

    def extend(self, grid: Grid, *, floor: float = 1e-16) -> FourierBasis:
        """The basis on a finer grid: its new waves with variances that continue the spectrum.

        A dealiased spectrum is continued to the finer grid's own dealiasing.

        Raises ValueError for a grid that is not finer, a basis that was extended already, or fewer
        than two shells to continue from.

        >>> from pushforward.solvers import GaussianField
        >>> u = GaussianField.power_law(2.0).sample(range(64), Grid((16, 16)))[:, None]
        >>> basis = FourierBasis.fit(u, Grid((16, 16))).extend(Grid((32, 32)))
        >>> int(basis.waves.abs().max())
        15
        """
        ratios = finer(self.grid, grid)
        waves = half_plane(grid).to(self.waves.device)
        kept = self.waves[self.mask.any(0)[::2]]
        waves = waves[beyond(kept, waves, grid, ratios)]
        new = length(waves, self.extent).repeat_interleave(2)
        unextended(self, self._length.round().long())
        parts = appended(self, new.round().long(), (self._length, new), floor)
        return FourierBasis._kept(grid, parts, torch.cat([self.waves, waves]))

    def addresses(self) -> tuple[Int[Tensor, "address word"], Int[Tensor, " mode"] | None]:
        return self.waves, None

    @classmethod
    def _kept(cls, grid: Grid, parts: dict[str, Tensor], waves: Tensor) -> FourierBasis:
        """The basis of those waves that any channel uses."""
        some = used(parts).view(-1, 2).any(1)
        return cls(grid, {**columns(parts, some.repeat_interleave(2)), "waves": waves[some]})

    def _resolved(self, grid: Grid) -> Tensor:
        """Which waves (n,) a grid resolves."""
        half = torch.tensor([n / 2 for n in grid.shape], device=self.waves.device)
        return (self.waves.abs() < half).all(1)

    def _slot(self, grid: Grid) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Where the waves lie in a grid's flattened spectrum: index, mirror and their selections.

        Waves with a vanishing last component need their conjugate stored beside them.
        """
        same_box(self, grid)
        return self._remember(("slot", grid.shape), lambda: self._find(grid))

    def _find(self, grid: Grid) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        fits = self._resolved(grid)
        twin = fits & (self.waves[:, -1] == 0) & (self.waves != 0).any(1)
        shown, mirrored = fits.nonzero()[:, 0], twin.nonzero()[:, 0]
        index, mirror = (
            flat_index(self.waves[fits], grid),
            flat_index(-self.waves[twin], grid),
        )
        return index, mirror, shown, mirrored
