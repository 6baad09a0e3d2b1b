r"""Synthetic interferograms of volcanoes: wrapped phases of sources under a turbulent atmosphere.

DDO and GANO learn 4096 interferograms of volcanoes, 128 x 128 pixels of (cos phi, sin phi), which
are in no public archive. These are no copies of them: a law that has the parts of such pictures,
to do everything again but to meet the numbers of the tables.

    phi = (4 pi / lambda) (n . u + delay) + constant,     wrapped by taking cosine and sine

    u       displacement of a few point sources of pressure in an elastic half space (Mogi), of
            depth d and change of volume dV, at the distance r from above them:
                (u_r, u_z) = (1 - nu) / pi dV (r, d) / (r^2 + d^2)^(3/2)
    n       from the ground to a radar that looks right, of heading h (clockwise from north) and
            incidence i: east -sin i cos h, north sin i sin h, up cos i
    delay   of the air: Kolmogorov's turbulence, spectrum (|k|^2 + l^-2)^(-11/6) on a plane, so
            that its structure function grows like r^(5/3) well below the outer scale l; a linear
            trend, of stratified air over a slope and of orbits; and what decorrelates neighbouring
            pixels, a field of short length

The strengths of turbulence and of decorrelation differ from member to member: there are clear days
and bad ones. Everything before the wrapping is a function of the plane in metres, drawn for
itself; the fields on a torus of twice the scene's sides L, of which the scene is a corner, so that
its sides are open (two points at a distance r are as alike as those at 2 L - r make them). A grid
takes of the fields what it resolves: with a `cutoff` all grids beyond it show one function. With
the numbers preset here the narrowest fringe of a source is 190 m wide, about two usual pixels.

    Mogi, Bulletin of the Earthquake Research Institute 36 (1958)
    Segall, Earthquake and Volcano Deformation (2010), section 7.1
    Fialko, Simons, Agnew, Geophys. Res. Lett. 28 (2001), doi:10.1029/2001GL013174 (look vector)
    Hanssen, Radar Interferometry (2001), section 4.7, doi:10.1007/0-306-47633-9 (turbulence)
    Lim et al., Score-based diffusion models in function space (2023), arXiv:2302.07400
    Rahman et al., Generative adversarial neural operators (2022), arXiv:2205.03017
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.solvers.gaussian_field import GaussianField
from pushforward.solvers.grid import Grid
from pushforward.solvers.normals import Use, uniforms
from pushforward.solvers.white_noise import white

BLOCK = 2**20  # numbers of fields that are drawn at once
TURBULENCE, DECORRELATION, SOURCES, SCENE = range(4)  # steps of the numbers of a member
EAST, NORTH = -1, -2  # axes of a scene
AIR = GaussianField.matern(11 / 6, 4000.0, deviation=0.005)
PIXELS = GaussianField.squared_exponential(80.0, deviation=0.003)


def mogi(
    r: Float[Tensor, ...], depth: Tensor, volume: Tensor, poisson: float = 0.25
) -> tuple[Float[Tensor, ...], Float[Tensor, ...]]:
    """The displacement (outward, upward) of the ground at a distance r from above a point source.

    Lengths in metres, the change of volume in cubic metres.

    >>> _, up = mogi(torch.tensor(0.0), torch.tensor(2000.0), torch.tensor(4e6 * math.pi))
    >>> round(up.item(), 6)         # 3 / 4 of dV / (pi d^2)
    0.75
    """
    scale = (1 - poisson) / math.pi * volume / (r.square() + depth.square()) ** 1.5
    return scale * r, scale * depth


@dataclass(frozen=True)
class Interferograms:
    """Synthetic wrapped phases of ground that moves, seen by a radar through air, as two channels.

    A member has a number of sources, their `depth` (m) and change of `volume` (m^3), each uniform
    between two ends, and a place uniform in the scene. `turbulence` and `decorrelation` are delays
    in metres along the line of sight; a member's are those times a number uniform between the ends
    of `weather` and of `noisiness`. `trend` is the largest slope of the delay along an axis.
    `wavelength` is in metres, `incidence` and `heading` in degrees, here as Sentinel-1 ascends.

    Raises ValueError for ends that are in no order, and for numbers of the wrong sign.

    >>> x = Interferograms().draw([0], Grid((64, 64), (12e3, 12e3), "neumann"))
    >>> x.shape, torch.allclose(x.square().sum(1), torch.ones(()).double())
    (torch.Size([1, 2, 64, 64]), True)
    """

    kind: Literal["interferograms"] = "interferograms"
    sources: tuple[int, int] = (0, 2)
    depth: tuple[float, float] = (2000.0, 6000.0)
    volume: tuple[float, float] = (-3e6, 5e6)
    poisson: float = 0.25
    wavelength: float = 0.0555
    incidence: float = 39.0
    heading: float = -13.0
    turbulence: GaussianField = AIR
    weather: tuple[float, float] = (0.2, 1.8)
    trend: float = 2e-6
    decorrelation: GaussianField | None = PIXELS
    noisiness: tuple[float, float] = (0.0, 1.0)

    channels: ClassVar[dict[str, str]] = {
        "cosine": "cosine of the phase of a synthetic interferogram",
        "sine": "sine of the phase of a synthetic interferogram",
    }
    boundary: ClassVar[tuple[str, ...]] = ("neumann",)

    def __post_init__(self) -> None:
        for name in ("sources", "depth", "volume", "weather", "noisiness"):
            low, high = getattr(self, name)
            object.__setattr__(self, name, (low, high))
            least = -math.inf if name == "volume" else 0.0
            if not -math.inf < low <= high < math.inf or low < least:
                raise ValueError(
                    f"expected {'0 <= ' * (name != 'volume')}lowest <= highest {name}, got {low}, "
                    f"{high}; swap or raise them"
                )
        if self.depth[0] == 0:
            raise ValueError(
                f"expected sources below the ground, got depth {self.depth}; lower them"
            )
        if not (0 < self.wavelength < math.inf and -1 < self.poisson <= 0.5):
            raise ValueError(
                f"expected wavelength > 0 and -1 < poisson <= 1/2, got {self.wavelength} and "
                f"{self.poisson}; change them"
            )
        if not all(math.isfinite(x) for x in (self.incidence, self.heading, self.trend)):
            raise ValueError(
                f"expected finite angles and a finite trend, got {self.incidence}, "
                f"{self.heading}, {self.trend}; correct them"
            )

    @property
    def look(self) -> tuple[float, float, float]:
        """The unit vector (east, north, up) from the ground to the radar.

        >>> [round(part, 3) for part in Interferograms(incidence=30.0, heading=0.0).look]
        [-0.5, 0.0, 0.866]
        """
        i, h = math.radians(self.incidence), math.radians(self.heading)
        return -math.sin(i) * math.cos(h), math.sin(i) * math.sin(h), math.cos(i)

    def check(self, grid: Grid, members: int) -> None:
        """Raises ValueError for a grid that is no plane between walls."""
        if grid.periodic or grid.ndim != 2:
            raise ValueError(
                f"expected a scene of two axes, in metres, between walls, got {grid.ndim} of "
                f"boundary {grid.boundary}; take boundary neumann"
            )
        for field in (self.turbulence, self.decorrelation):
            if field is not None:
                field.symbol(_torus(replace(grid, shape=(4, 4))))

    def draw(
        self, members: Sequence[int], grid: Grid, seed: int = 0
    ) -> Float[Tensor, "member channel y x"]:
        """Cosine and sine of the phase at a grid's points, (member, 2, *grid.shape), float64.

        Raises ValueError as `check` does.
        """
        phase = self.phase(members, grid, seed)
        return torch.stack([phase.cos(), phase.sin()], 1)

    def phase(
        self, members: Sequence[int], grid: Grid, seed: int = 0
    ) -> Float[Tensor, "member y x"]:
        """The phases before they are wrapped, in radians, float64.

        Raises ValueError as `check` does.

        >>> scene, law = Grid((24, 24), (12e3, 12e3), "neumann"), Interferograms()
        >>> torch.equal(law.phase([3], scene), law.phase(range(4), scene)[3:])
        True
        """
        path = self.displacement(members, grid, seed) + self.delay(members, grid, seed)
        constant = _numbers(members, seed, SCENE, [0])[:, :, None]
        return 4 * math.pi / self.wavelength * path + 2 * math.pi * constant

    def displacement(
        self, members: Sequence[int], grid: Grid, seed: int = 0
    ) -> Float[Tensor, "member y x"]:
        """How far the ground moves towards the radar, in metres.

        >>> scene, still = Grid((24, 24), (12e3, 12e3), "neumann"), Interferograms(sources=(0, 0))
        >>> still.displacement([0], scene).abs().max().item()
        0.0
        """
        self.check(grid, len(members))
        y, x = grid.coordinates()
        total = torch.zeros((len(members), *grid.shape), dtype=torch.float64)
        for row in self.chamber(members, grid, seed):
            north, east, depth, volume = (column[:, None, None] for column in row.T)
            dy, dx = y[:, None] - north, x - east
            r = (dy.square() + dx.square()).sqrt()
            out, up = mogi(r, depth, volume, self.poisson)
            away = out / r.clamp_min(1e-9)  # towards the source itself there is no direction
            total += away * (self.look[0] * dx + self.look[1] * dy) + self.look[2] * up
        return total

    def chamber(
        self, members: Sequence[int], grid: Grid, seed: int = 0
    ) -> Float[Tensor, "source member number"]:
        """Place (north, east), depth and change of volume of every source; of absent ones it is 0.

        >>> scene = Grid((24, 24), (12e3, 12e3), "neumann")
        >>> Interferograms(sources=(1, 1)).chamber([0, 1], scene).shape
        torch.Size([1, 2, 4])
        """
        few, most = self.sources
        ends = ((0.0, grid.extent[0]), (0.0, grid.extent[1]), self.depth, self.volume)
        u = [_numbers(members, seed, SOURCES, [4 * s + i for i in range(4)]) for s in range(most)]
        low, high = torch.tensor(ends, dtype=torch.float64).T
        rows = [low + (high - low) * one for one in u]
        count = few + torch.floor(_numbers(members, seed, SCENE, [1])[:, 0] * (most - few + 1))
        for source, row in enumerate(rows):
            row[:, 3] *= source < count
        return torch.stack(rows) if rows else torch.zeros((0, len(members), 4)).double()

    def delay(
        self, members: Sequence[int], grid: Grid, seed: int = 0
    ) -> Float[Tensor, "member y x"]:
        """What air and decorrelation add to the path, in metres.

        Raises ValueError as `check` does.
        """
        self.check(grid, len(members))
        u = _numbers(members, seed, SCENE, [2, 3, 4, 5])[..., None, None]
        y, x = grid.coordinates()
        slopes = self.trend * (2 * u[:, :2] - 1)
        total = slopes[:, 0] * y[:, None] + slopes[:, 1] * x
        for field, step, share, (low, high) in (
            (self.turbulence, TURBULENCE, u[:, 2], self.weather),
            (self.decorrelation, DECORRELATION, u[:, 3], self.noisiness),
        ):
            if field is not None and high > 0:
                total += (low + (high - low) * share) * _corner(field, members, grid, seed, step)
        return total


def _numbers(members: Sequence[int], seed: int, step: int, names: Sequence[int]) -> Tensor:
    """Uniform numbers of members by their names, (member, name)."""
    return uniforms(seed, Use.INITIAL, members, [torch.tensor(names)], step)


def _torus(grid: Grid) -> Grid:
    """The torus of twice a scene's sides."""
    twice = (2 * n for n in grid.shape), (2 * side for side in grid.extent)
    return Grid(tuple(twice[0]), tuple(twice[1]))


def _corner(
    field: GaussianField, members: Sequence[int], grid: Grid, seed: int, step: int
) -> Float[Tensor, "member y x"]:
    """Draws of a field on the torus, at the middles of the scene's cells."""
    torus = _torus(grid)
    north, east = (k * h / 2 for k, h in zip(torus.wavenumbers(), torus.spacing, strict=True))
    half = north + east
    turn = torch.polar(torch.ones_like(half), half)  # waves half a cell on
    count = max(1, BLOCK // torus.size)
    box = (..., *(slice(n) for n in grid.shape))
    out = torch.empty((len(members), *grid.shape), dtype=torch.float64)
    for i in range(0, len(members), count):
        some = members[i : i + count]
        out[i : i + count] = field.color(white(some, torus, seed, step=step) * turn, torus)[box]
    return out
