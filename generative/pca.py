r"""Principal components: the functions along which given fields vary most, and everything else.

A randomised singular value decomposition of the centred fields, every channel scaled to unit
variance, gives the first r components, the columns of U (N, r), in order of variance. All channels
share them, so that a component's channels can be whitened together. The other N - r directions are
the noise floor: they share one variance. They are completed to an orthonormal basis of all grid
points by one block reflector: with U_1 the first r rows of U and S = -(polar factor of U_1),
U_1 = -S H,

    Q = I - W (I + H)^{-1} W^T,     W = U - E S,     E = the first r columns of I,

is symmetric and orthogonal and takes E to U S^T, so its last columns complete U. Coefficients are
(U^T u, (Q u)_2) / sqrt(N): two thin matrix products, and Parseval's identity holds to round-off.

Between the points of the data's grid the components are its waves interpolated, so they are
functions on every grid of the box (an even grid's highest wave, which has no phase, is left out
elsewhere). They are known as well as the data determines them: a rank close to the number of
fields makes the last ones fit noise.

    Schreiber, Parlett, Block reflectors, SIAM J. Numer. Anal. 25 (1988), doi:10.1137/0725014
    Halko, Martinsson, Tropp, Finding structure with randomness (2009), arXiv:0909.4061
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from pushforward.generative.addresses import paired
from pushforward.generative.basis import Basis, same_box
from pushforward.generative.modes import Modes
from pushforward.generative.whitening import checked, live_modes, whitened
from pushforward.solvers import Grid, Use, normals

OVERSAMPLE = 16  # more directions than asked for, so that the last of them is accurate
POWERS = 4  # of the covariance, which bring out the leading components


class PCABasis(Basis):
    """Whitened principal components, M = N, the largest first; those of the tail share a shell.

    Buffers: `components` U (N, r) and `turn` S (r, r), see the module's text.
    """

    kind: ClassVar[str] = "pca"
    bands: ClassVar[int] = 16
    localised: ClassVar[bool] = False
    translates: ClassVar[bool] = False
    own: ClassVar[tuple[str, ...]] = ("components", "turn")

    components: Tensor
    turn: Tensor

    @classmethod
    def fit(
        cls,
        fields: Float[Tensor, "n channel ..."],
        grid: Grid,
        *,
        floor: float = 1e-11,
        apart: bool = False,
        rank: int | None = None,
    ) -> PCABasis:
        """The basis fitted to fields: their mean, `rank` components, and the rest.

        Without a `rank` it is a quarter of the number of fields, at most 256. `floor` is the
        smallest variance kept, relative to the largest of its channel.

        Raises ValueError for fewer than two fields, non-finite or constant ones, or a rank that
        the fields cannot determine.

        >>> from pushforward.solvers import GaussianField
        >>> u = GaussianField.matern(3.0, 0.5).sample(range(64), Grid((16,)))[:, None]
        >>> basis = PCABasis.fit(u, Grid((16,)), rank=4)
        >>> basis.components.shape, basis.dimensions
        (torch.Size([16, 4]), 16)
        """
        fields = checked(fields).flatten(-grid.ndim)
        most = min(len(fields) - 1, grid.size)
        rank = min(max(1, len(fields) // 4), 256, most) if rank is None else rank
        if not 1 <= rank <= most:
            raise ValueError(
                f"expected a rank of 1 to {most} for {len(fields)} fields at {grid.size} points, "
                f"got {rank}; lower it, or give more fields"
            )
        mean = fields.mean(0)
        deviation = (fields - mean).square().mean((0, -1), keepdim=True).sqrt()
        scaled = (fields - mean) / torch.where(deviation > 0, deviation, 1.0)
        components = leading(scaled.flatten(0, 1), rank)
        turn = polar(components[:rank]).neg()
        completed = _complete(components, turn)
        raw, centre = (_read(u / math.sqrt(grid.size), *completed) for u in (fields, mean))
        shell = torch.arange(grid.size).clamp_max(rank)
        live = live_modes((raw - centre).square().mean(0), shell, floor)
        shared = whitened(raw, centre, shell, live, floor, apart)
        return cls(grid, {**shared, "components": components, "turn": turn})

    @property
    def modes(self) -> Modes:
        return Modes(self.log_variance, points=self.grid.size, extent=self.extent)

    @property
    def band(self) -> Int[Tensor, " mode"]:
        """log2 of the component's number, counted from 1."""
        number = torch.arange(1, len(self.shell) + 1, device=self.shell.device)
        return torch.log2(number.double()).floor().long().clamp_max(self.bands - 1)

    def read(
        self, fields: Float[Tensor, "... channel *grid"], grid: Grid
    ) -> Float[Tensor, "... channel mode"]:
        same_box(self, grid)
        u = grid.resample(fields, self.grid).flatten(-grid.ndim)
        return _read(u * self.grid.size**-0.5, *self._completed(fields))

    def place(
        self, raw: Float[Tensor, "... channel mode"], grid: Grid
    ) -> Float[Tensor, "... channel *grid"]:
        same_box(self, grid)
        components, turn, tail = self._completed(raw)
        first, rest = raw[..., : len(turn)], raw[..., len(turn) :]
        inner = rest @ tail
        u = (first - inner) @ components.T + torch.cat([inner @ turn.T, rest], -1)
        u = (u * math.sqrt(self.grid.size)).unflatten(-1, self.grid.shape)
        return self.grid.resample(u, grid)

    def held(self, grid: Grid) -> Bool[Tensor, " mode"]:
        same_box(self, grid)
        return torch.ones_like(self.shell, dtype=torch.bool)

    def working_grids(self, oversampling: float = 1.0) -> list[Grid]:
        return [self.grid]

    def spread(
        self, values: Float[Tensor, "... channel mode"], grid: Grid
    ) -> Float[Tensor, "... channel *grid"]:
        raise ValueError(
            "expected a localised basis to spread values over space, got pca, whose components "
            "are everywhere; choose the pixel or haar basis"
        )

    def translate(
        self, x: Float[Tensor, "n channel mode"], shift: Float[Tensor, "n axis"]
    ) -> Float[Tensor, "n channel mode"]:
        raise ValueError(
            "expected a basis that moves with its fields, got pca, whose components stay where "
            "they are; train without translations, or choose the fourier or pixel basis"
        )

    def extend(self, grid: Grid, *, floor: float = 1e-16) -> PCABasis:
        """Refused, with the reason."""
        raise ValueError(
            "expected a basis with scales to continue on a finer grid, got pca, whose components "
            "have no finer ones beyond them; choose fourier, cosine or haar"
        )

    def addresses(self) -> tuple[Int[Tensor, "address word"], Int[Tensor, " mode"] | None]:
        number = torch.arange(len(self.shell), device=self.shell.device)
        return paired(torch.stack([number % (1 << 16), number >> 16], 1))

    def _completed(self, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """U, S and U_2 (I + H)^{-1} in the type of `like`."""

        def make() -> tuple[Tensor, ...]:
            return tuple(part.to(like.dtype) for part in _complete(self.components, self.turn))

        return self._remember(("completed", like.dtype), make)


def leading(u: Tensor, rank: int) -> Tensor:
    """The first orthonormal right singular vectors (N, rank) of rows (n, N), float64.

    By a randomised range finder with a fixed sketch; exact once the sketch spans the fields.
    """
    width = min(rank + OVERSAMPLE, *u.shape)
    words = [torch.arange(u.shape[1], device=u.device)[:, None], torch.arange(width)[None]]
    sketch = normals(0, Use.PRIOR, [0], [word.to(u.device) for word in words])[0].real
    for _ in range(POWERS):
        sketch = torch.linalg.qr(u.T @ (u @ sketch))[0]
    vectors = torch.linalg.svd(u @ sketch, full_matrices=False)[2][:rank]
    return torch.linalg.qr(sketch @ vectors.T)[0]


def polar(matrix: Tensor) -> Tensor:
    """The orthogonal matrix nearest to a square one."""
    left, _, right = torch.linalg.svd(matrix)
    return left @ right


def _complete(components: Tensor, turn: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """U, S and U_2 (I + H)^{-1}, what `read` and `place` need of the reflector."""
    rank = len(turn)
    core = torch.eye(rank).to(turn) - turn.T @ components[:rank]
    return components, turn, torch.linalg.solve(core, components[rank:], left=False)


def _read(u: Tensor, components: Tensor, turn: Tensor, tail: Tensor) -> Tensor:
    """The coefficients (..., N) of points (..., N): U^T u, then the last ones of Q u."""
    first = u @ components
    top, rest = u[..., : len(turn)], u[..., len(turn) :]
    return torch.cat([first, rest - (first - top @ turn) @ tail.T], -1)
