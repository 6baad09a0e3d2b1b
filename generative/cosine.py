r"""Products of cosines on a box with walls: the basis of fields with no flux through the boundary.

At the middles x = (j + 1/2) / n of n cells an axis, the functions

    e_k(x) = prod_i c(k_i) cos(pi k_i x_i),      c(0) = 1, c(k) = sqrt(2),      0 <= k_i < n_i,

are orthonormal in L^2(dx / V) and in the mean over the points alike, the last one included. They
are the eigenfunctions of the Neumann Laplacian (the discrete cosine transform DCT-II). k counts
half waves: a shell holds the k whose length, per longest side, rounds to its number, and the
frequency in waves is half of it. The transforms are those of `solvers.cosine`, cut to the kept k.

A k belongs to one function on every grid, so fields are analysed and synthesised on any grid of
the box, as far as it resolves them.

    Strang, The discrete cosine transform, SIAM Review 41 (1999), doi:10.1137/S0036144598336745
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from pushforward.generative.addresses import paired
from pushforward.generative.basis import Basis, same_box
from pushforward.generative.extension import appended, finer, unextended
from pushforward.generative.modes import Modes
from pushforward.generative.waves import BANDS, band, beyond, length, ordered, smooth_size
from pushforward.generative.whitening import (
    checked,
    columns,
    live_modes,
    significant_mean,
    used,
    whitened,
)
from pushforward.solvers import Grid, cosine

DEAD = 1e-4  # share of the largest variance of its shell below which a wave counts as cut away


class CosineBasis(Basis):
    """Whitened cosine coefficients; `waves` (M, axis) are the numbers of half waves.

    Fields are given in the middles of cells: point j of n lies at (j + 1/2) / n of a side.
    """

    kind: ClassVar[str] = "cosine"
    bands: ClassVar[int] = BANDS
    localised: ClassVar[bool] = False
    translates: ClassVar[bool] = False
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
    ) -> CosineBasis:
        """The basis fitted to fields: mean, shell-averaged covariance across channels, kept waves.

        `floor` is the smallest variance kept, relative to the largest of its channel. The mean
        keeps only coefficients more than six standard errors from 0.

        Raises ValueError for fewer than two fields, non-finite or constant ones.

        >>> x = (torch.arange(16) + 0.5) / 16
        >>> u = torch.stack([torch.cos(torch.pi * x), torch.cos(3 * torch.pi * x)])[:, None]
        >>> basis = CosineBasis.fit(u, Grid((16,)))
        >>> basis.waves[basis.mask[0]].flatten().tolist()
        [1, 3]
        >>> torch.allclose(basis.synthesise(basis.analyse(u, Grid((16,))), Grid((16,))), u)
        True
        """
        waves = half_waves(grid)
        fields = checked(fields)
        raw = cosine.analyse(fields, grid.shape).flatten(-grid.ndim)[..., _flat(waves, grid.shape)]
        shell = torch.round(length(waves, grid.extent)).long()
        mean = significant_mean(raw, floor)
        live = live_modes((raw - mean).square().mean(0), shell, DEAD)
        parts = whitened(raw, mean, shell, live, floor, apart)
        return cls._kept(grid, parts, waves)

    @property
    def modes(self) -> Modes:
        frequency = self._length / 2
        return Modes(
            self.log_variance, frequency, points=self.grid.size, extent=self.extent, folds=2
        )

    @property
    def band(self) -> Int[Tensor, " mode"]:
        return self._remember(("band",), lambda: band(self._length.round().long()))

    @property
    def _length(self) -> Tensor:
        """|k| of every coefficient in half waves."""
        return length(self.waves, self.extent)

    def read(
        self, fields: Float[Tensor, "... channel *grid"], grid: Grid
    ) -> Float[Tensor, "... channel mode"]:
        index, shown, box = self._slot(grid)
        seen = cosine.analyse(fields, box).flatten(-grid.ndim).index_select(-1, index)
        if len(shown) == len(self.waves):
            return seen
        return seen.new_zeros((*seen.shape[:-1], len(self.waves))).index_copy(-1, shown, seen)

    def place(
        self, raw: Float[Tensor, "... channel mode"], grid: Grid
    ) -> Float[Tensor, "... channel *grid"]:
        index, shown, box = self._slot(grid)
        if len(shown) < len(self.waves):
            raw = raw.index_select(-1, shown)
        u = raw.new_zeros((*raw.shape[:-1], math.prod(box))).index_copy(-1, index, raw)
        return cosine.synthesise(u.unflatten(-1, box), grid.shape)

    def held(self, grid: Grid) -> Bool[Tensor, " mode"]:
        return (self.waves < torch.tensor(grid.shape, device=self.waves.device)).all(1)

    def working_grids(self, oversampling: float = 1.0) -> list[Grid]:
        """Grids that hold half, three quarters and all of the largest wave numbers."""
        box = self.waves.amax(0).tolist()
        shapes = {
            tuple(smooth_size(oversampling * math.ceil(share * k) + 1) for k in box)
            for share in (1 / 2, 3 / 4, 1)
        }
        return [replace(self.grid, shape=shape) for shape in sorted(shapes)]

    def spread(
        self, values: Float[Tensor, "... channel mode"], grid: Grid
    ) -> Float[Tensor, "... channel *grid"]:
        raise ValueError(
            "expected a localised basis to spread values over space, got cosine, whose waves are "
            "everywhere; choose the pixel or haar basis"
        )

    def translate(
        self, x: Float[Tensor, "n channel mode"], shift: Float[Tensor, "n axis"]
    ) -> Float[Tensor, "n channel mode"]:
        raise ValueError(
            "expected a basis of a periodic box to move fields in, got cosine, whose box has "
            "walls; train without translations, or choose the fourier basis"
        )

    def extend(self, grid: Grid, *, floor: float = 1e-16) -> CosineBasis:
        """The basis on a finer grid: its new waves with variances that continue the spectrum.

        Raises ValueError for a grid that is not finer, a basis that was extended already, or fewer
        than two shells to continue from.
        """
        ratios = finer(self.grid, grid)
        waves = half_waves(grid).to(self.waves.device)
        waves = waves[beyond(self.waves[self.mask.any(0)], waves, grid, ratios)]
        new = length(waves, self.extent)
        unextended(self, self._length.round().long())
        parts = appended(self, new.round().long(), (self._length, new), floor)
        return CosineBasis._kept(grid, parts, torch.cat([self.waves, waves]))

    def addresses(self) -> tuple[Int[Tensor, "address word"], Int[Tensor, " mode"] | None]:
        return paired(self.waves)

    @classmethod
    def _kept(cls, grid: Grid, parts: dict[str, Tensor], waves: Tensor) -> CosineBasis:
        """The basis of those waves that any channel uses."""
        some = used(parts)
        return cls(grid, {**columns(parts, some), "waves": waves[some]})

    def _slot(self, grid: Grid) -> tuple[Tensor, Tensor, tuple[int, ...]]:
        """Where the held waves lie in a flattened box of waves, which they are, and the box."""
        same_box(self, grid)
        return self._remember(("slot", grid.shape), lambda: self._find(grid))

    def _find(self, grid: Grid) -> tuple[Tensor, Tensor, tuple[int, ...]]:
        shown = self.held(grid).nonzero()[:, 0]
        waves = self.waves[shown]
        box = tuple(int(k.max()) + 1 if len(k) else 1 for k in waves.T)
        return _flat(waves, box), shown, box


def half_waves(grid: Grid) -> Tensor:
    """The numbers of half waves (n, axis) that a grid resolves, the constant first."""
    return ordered(
        torch.cartesian_prod(*(torch.arange(n) for n in grid.shape)).view(-1, grid.ndim)
    )


def _flat(waves: Tensor, box: tuple[int, ...]) -> Tensor:
    """Flat positions of wave numbers in a tensor of shape `box`."""
    flat = torch.zeros_like(waves[:, 0])
    for k, n in zip(waves.T, box, strict=True):
        flat = flat * n + k
    return flat
