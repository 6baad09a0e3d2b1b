r"""The points of the grid themselves: the basis of images, and of standard diffusion.

A coefficient is the value at a point over sqrt(N), which is orthonormal in L^2(dx / V) as far as N
points can tell. All points share one covariance across channels; the mean is that of every point,
or of all of them where no point differs from the others by six standard errors. White noise at
grid points becomes rougher with the grid, so this basis belongs to the grid it was fitted on.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from pushforward.generative.addresses import paired
from pushforward.generative.basis import Basis
from pushforward.generative.modes import Modes
from pushforward.generative.whitening import checked, even_mean, live_modes, whitened
from pushforward.solvers import Grid


class PixelBasis(Basis):
    """Whitened values at grid points, M = N of them; points that never vary are dropped."""

    kind: ClassVar[str] = "pixel"
    bands: ClassVar[int] = 1
    localised: ClassVar[bool] = True
    translates: ClassVar[bool] = True
    own: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def fit(
        cls,
        fields: Float[Tensor, "n channel ..."],
        grid: Grid,
        *,
        floor: float = 1e-11,
        apart: bool = False,
    ) -> PixelBasis:
        """The basis fitted to fields: means, one covariance across channels, points that vary.

        `floor` is the smallest variance kept, relative to the largest of its channel.

        Raises ValueError for fewer than two fields, non-finite or constant ones.

        >>> u = torch.randn(64, 1, 4, 4, generator=torch.Generator().manual_seed(0))
        >>> basis = PixelBasis.fit(3 * u, Grid((4, 4)))
        >>> 2.9 < basis.scale.item() < 3.1
        True
        """
        raw = checked(fields).flatten(-grid.ndim) / math.sqrt(grid.size)
        mean = even_mean(raw)
        shell = torch.zeros(grid.size, dtype=torch.int64)
        live = live_modes((raw - mean).square().mean(0), shell, floor)
        return cls(grid, whitened(raw, mean, shell, live, floor, apart))

    @property
    def modes(self) -> Modes:
        n = torch.tensor(self.grid.shape, device=self.shell.device)
        return Modes(
            self.log_variance,
            position=(self._points().double() + 0.5) / n,
            points=self.grid.size,
            extent=self.extent,
        )

    @property
    def band(self) -> Int[Tensor, " mode"]:
        return torch.zeros_like(self.shell)

    def read(
        self, fields: Float[Tensor, "... channel *grid"], grid: Grid
    ) -> Float[Tensor, "... channel mode"]:
        tied(self, grid)
        return fields.flatten(-grid.ndim) * grid.size**-0.5

    def place(
        self, raw: Float[Tensor, "... channel mode"], grid: Grid
    ) -> Float[Tensor, "... channel *grid"]:
        tied(self, grid)
        return raw.unflatten(-1, grid.shape) * math.sqrt(grid.size)

    def held(self, grid: Grid) -> Bool[Tensor, " mode"]:
        tied(self, grid)
        return torch.ones_like(self.shell, dtype=torch.bool)

    def working_grids(self, oversampling: float = 1.0) -> list[Grid]:
        return [self.grid]

    def spread(
        self, values: Float[Tensor, "... channel mode"], grid: Grid
    ) -> Float[Tensor, "... channel *grid"]:
        tied(self, grid)
        return values.unflatten(-1, grid.shape)

    def translate(
        self, x: Float[Tensor, "n channel mode"], shift: Float[Tensor, "n axis"]
    ) -> Float[Tensor, "n channel mode"]:
        """Fields rolled by the number of whole points nearest to `shift`.

        Raises ValueError between walls.
        """
        if not self.grid.periodic:
            raise ValueError(
                f"expected a periodic box to move fields in, got boundary {self.grid.boundary}; "
                "train without translations"
            )
        n = torch.tensor(self.grid.shape, device=x.device)
        steps = torch.round(shift.to(x.device) * n).long()
        source = (self._points() - steps[:, None]) % n  # (n, N, axis)
        flat = torch.zeros_like(source[..., 0])
        for place, size in zip(source.unbind(-1), self.grid.shape, strict=True):
            flat = flat * size + place
        return x.gather(-1, flat[:, None].expand_as(x))

    def extend(self, grid: Grid, *, floor: float = 1e-16) -> PixelBasis:
        """Refused, with the reason."""
        raise ValueError(
            "expected a basis with scales to continue on a finer grid, got pixel, whose "
            "coefficients are grid points of one size; choose fourier, cosine or haar"
        )

    def addresses(self) -> tuple[Int[Tensor, "address word"], Int[Tensor, " mode"] | None]:
        return paired(self._points())

    def _points(self) -> Tensor:
        """The grid indices (N, axis) of the points."""
        points = torch.cartesian_prod(
            *(torch.arange(n, device=self.shell.device) for n in self.grid.shape)
        )
        return points.view(-1, self.grid.ndim)


def tied(basis: Basis, grid: Grid) -> None:
    """Raises ValueError for another grid than that a basis was fitted on."""
    if grid != basis.grid:
        raise ValueError(
            f"expected the grid {basis.grid.shape} of extent {basis.extent} that the {basis.kind} "
            f"basis was fitted on, got {grid.shape} of extent {grid.extent}; a basis that other "
            "grids have too is fourier, cosine, haar or pca"
        )
