r"""Haar's wavelets: means over blocks of cells, and differences between the halves of blocks.

One step takes each block of 2^d cells to its mean and to 2^d - 1 differences (orientations),
orthonormally; the means are the next coarser grid, on which it goes on. Level 0 are the means on
the coarsest grid, level l >= 1 the differences within blocks of which there are 2^{l-1} times as
many an axis; a level is a shell. In L^2(dx / V), with N_l cells on level l,

    z = <u, e>,      e = +-sqrt(N_l / 2^d) on the two halves of a block, 0 elsewhere.

A field is a constant on every cell: on a grid with twice as many points it is repeated, on one
with half as many it is the mean over blocks. Each coefficient is addressed by its level,
orientation and block, which finer grids have too, at the same place of the order.

    Mallat, IEEE Trans. Pattern Anal. 11 (1989), doi:10.1109/34.192463
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from pushforward.generative.addresses import paired
from pushforward.generative.basis import Basis, same_box
from pushforward.generative.extension import appended, finer
from pushforward.generative.modes import Modes
from pushforward.generative.wavelets import analysed, level_numbers, repeated, synthesised
from pushforward.generative.whitening import (
    checked,
    even_mean,
    live_modes,
    significant_mean,
    whitened,
)
from pushforward.solvers import Grid


class HaarBasis(Basis):
    """Whitened Haar coefficients, M = N, coarse to fine; within a level by orientation, block."""

    kind: ClassVar[str] = "haar"
    bands: ClassVar[int] = 12
    localised: ClassVar[bool] = True
    translates: ClassVar[bool] = False
    own: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def fit(
        cls,
        fields: Float[Tensor, "n channel ..."],
        grid: Grid,
        *,
        floor: float = 1e-11,
        apart: bool = False,
        levels: int | None = None,
    ) -> HaarBasis:
        """The basis fitted to fields: mean, a covariance across channels per level.

        `levels` is how often the grid is halved, None as often as it can be. `floor` is the
        smallest variance kept, relative to the largest of its channel.

        Raises ValueError for fewer than two fields, non-finite or constant ones, or levels that
        the grid does not have.

        >>> u = torch.randn(64, 1, 8, 12, generator=torch.Generator().manual_seed(0))
        >>> basis = HaarBasis.fit(u, Grid((8, 12)))
        >>> torch.bincount(basis.shell).tolist()           # 2 x 3 means, then three orientations
        [6, 18, 72]
        """
        most = min((n & -n).bit_length() - 1 for n in grid.shape)
        if most == 0:
            raise ValueError(
                f"expected an even number of points on every axis for haar, got {grid.shape}; "
                "choose another grid, or the cosine or pixel basis"
            )
        depth = most if levels is None else levels
        if not 1 <= depth <= most:
            raise ValueError(
                f"expected 1 to {most} levels on a grid of {grid.shape}, got {depth}; choose fewer"
            )
        raw = analysed(checked(fields), grid.ndim, depth)
        first = math.prod(n >> depth for n in grid.shape)
        mean = significant_mean(raw, floor)
        mean[:, :first] = even_mean(raw[..., :first])
        shell = level_numbers(first, grid.ndim, depth)
        live = live_modes((raw - mean).square().mean(0), shell, floor)
        return cls(grid, whitened(raw, mean, shell, live, floor, apart))

    @property
    def depth(self) -> int:
        """How often the grid is halved."""
        return self.shells - 1

    @property
    def modes(self) -> Modes:
        block, _ = self._blocks()
        blocks = torch.tensor(self._coarsest(), device=self.shell.device)
        position = (block.double() + 0.5) / (blocks << (self.shell - 1).clamp_min(0)[:, None])
        return Modes(
            self.log_variance,
            level=self.shell,
            position=position,
            points=self.grid.size,
            extent=self.extent,
        )

    @property
    def band(self) -> Int[Tensor, " mode"]:
        return self.shell.clamp_max(self.bands - 1)

    def read(
        self, fields: Float[Tensor, "... channel *grid"], grid: Grid
    ) -> Float[Tensor, "... channel mode"]:
        depth, repeats = self._depth(grid)
        for axis, repeat in zip(grid.axes, repeats, strict=True):
            if repeat > 1:
                fields = fields.unflatten(axis, (-1, repeat)).mean(axis)
        raw = analysed(fields, grid.ndim, depth)
        return F.pad(raw, (0, len(self.shell) - raw.shape[-1]))

    def place(
        self, raw: Float[Tensor, "... channel mode"], grid: Grid
    ) -> Float[Tensor, "... channel *grid"]:
        depth, repeats = self._depth(grid)
        return repeated(synthesised(raw, self._coarsest(), depth), repeats)

    def held(self, grid: Grid) -> Bool[Tensor, " mode"]:
        return self.shell <= self._depth(grid)[0]

    def working_grids(self, oversampling: float = 1.0) -> list[Grid]:
        """The grid halved twice, once and not at all, as far as the levels go.

        Whatever `oversampling`: functions of fields that are constant on cells are so, too.
        """
        shapes = [tuple(n >> k for n in self.grid.shape) for k in (2, 1, 0) if k <= self.depth]
        return [
            replace(self.grid, shape=shape)
            for shape in shapes
            if all(n >= 4 and (n % 2 == 0 or not self.grid.periodic) for n in shape)
        ]

    def spread(
        self, values: Float[Tensor, "... channel mode"], grid: Grid
    ) -> Float[Tensor, "... channel *grid"]:
        """The mean over levels of maps that are constant on blocks, orientations averaged."""
        depth, repeats = self._depth(grid)
        shape, end = self._coarsest(), math.prod(self._coarsest())
        total = values[..., :end].unflatten(-1, shape)
        for level in range(1, depth + 1):
            if level > 1:
                shape = tuple(2 * n for n in shape)
                total = repeated(total, (2,) * grid.ndim)
            start, end = end, end << grid.ndim
            parts = values[..., start:end].unflatten(-1, (-1, *shape))
            total = total + parts.mean(-grid.ndim - 1)
        last = 2 if depth else 1
        return repeated(total, tuple(last * repeat for repeat in repeats)) / (depth + 1)

    def translate(
        self, x: Float[Tensor, "n channel mode"], shift: Float[Tensor, "n axis"]
    ) -> Float[Tensor, "n channel mode"]:
        raise ValueError(
            "expected a basis that moves with its fields, got haar, whose blocks stay where they "
            "are; train without translations, or choose the fourier or pixel basis"
        )

    def extend(self, grid: Grid, *, floor: float = 1e-16) -> HaarBasis:
        """The basis on a grid of 2, 4, ... times as many points an axis: new levels.

        Raises ValueError for another grid, or fewer than two levels of differences to continue.
        """
        ratios = finer(self.grid, grid)
        more = math.log2(ratios[0])
        if len(set(ratios)) > 1 or more != int(more):
            raise ValueError(
                f"expected 2, 4, 8, ... times the {self.grid.shape} points on every axis, got "
                f"{grid.shape}; haar's blocks can only be halved"
            )
        first = math.prod(self._coarsest())
        shell = level_numbers(first, grid.ndim, self.depth + int(more)).to(self.shell.device)
        new = shell[len(self.shell) :]
        return HaarBasis(grid, appended(self, new, (_number(self.shell), _number(new)), floor))

    def addresses(self) -> tuple[Int[Tensor, "address word"], Int[Tensor, " mode"] | None]:
        block, orientation = self._blocks()
        tag = (8 * self.shell + orientation) << 16  # blocks stay below 2^16
        words = F.pad(block, (0, max(0, 2 - self.grid.ndim)))
        words[:, 1] += tag
        return paired(words)

    def _coarsest(self) -> tuple[int, ...]:
        """The number of blocks an axis on level 0."""
        return tuple(n >> self.depth for n in self.grid.shape)

    def _depth(self, grid: Grid) -> tuple[int, tuple[int, ...]]:
        """How many levels a grid shows, and how often it repeats the last one's cells an axis.

        Raises ValueError for a grid that does not follow from this one by halving or repeating.
        """
        same_box(self, grid)
        return self._remember(("depth", grid.shape), lambda: self._find(grid))

    def _find(self, grid: Grid) -> tuple[int, tuple[int, ...]]:
        for depth in range(self.depth, -1, -1):
            cells = [n << depth for n in self._coarsest()]
            if all(n % m == 0 for n, m in zip(grid.shape, cells, strict=True)):
                repeats = tuple(n // m for n, m in zip(grid.shape, cells, strict=True))
                if depth == self.depth or set(repeats) == {1}:
                    return depth, repeats
        raise ValueError(
            f"expected a grid of the {self.grid.shape} points that haar was fitted on, halved up "
            f"to {self.depth} times or multiplied by whole numbers, got {grid.shape}; choose one"
        )

    def _blocks(self) -> tuple[Tensor, Tensor]:
        """The block (M, axis) and the orientation (M,) of every coefficient."""
        shape, blocks, orientations = self._coarsest(), [], []
        for level in range(self.depth + 1):
            shape = tuple(2 * n for n in shape) if level > 1 else shape
            count = 1 << self.grid.ndim
            kinds = torch.arange(1 if level else 0, count if level else 1)
            index = torch.cartesian_prod(kinds, *(torch.arange(n) for n in shape))
            orientations.append(index[:, 0])
            blocks.append(index[:, 1:])
        device = self.shell.device
        return torch.cat(blocks).to(device), torch.cat(orientations).to(device)


def _number(level: Tensor) -> Tensor:
    """The number of blocks an axis, relative to level 1; no scale for level 0."""
    return torch.where(level > 0, torch.exp2((level - 1).double()), 0.0)
