r"""Sums of randomly many Gaussian bumps, scaled to between 0 and 1: a law of initial states.

    g(x) = sum_{j <= m} a_j exp(-s_j |x - c_j|^2),      z = (g - min g) / (max g - min g)

with a whole number m, amplitudes a_j, sharpnesses s_j and centres c_j all uniform. Each bump is
repeated in every period of a periodic box, and mirrored in the walls of any other, so that g has
the box's boundary. With the numbers preset here z_1 and z_2 make u = 1 - z_1, v = z_2 half of the
initial states of The Well's Gray-Scott (there on a box of side 2).

The extremes are those on a fixed grid of the box, so that z is one function on every grid.

    Ohana et al., The Well (2024), arXiv:2412.00568
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.solvers.grid import Grid
from pushforward.solvers.normals import Use, uniforms


@dataclass(frozen=True)
class RandomBumps:
    """A field between 0 and 1: bumps of uniformly distributed number, height, width and place.

    `count`, `amplitude` and `sharpness` are the lowest and the highest m, a and s.

    Raises ValueError for ranges that are empty, or reach 0.

    >>> z = RandomBumps().sample([3], Grid((64, 64), (2.0, 2.0)))
    >>> z.shape, bool(z.max() <= 1)
    (torch.Size([1, 64, 64]), True)
    """

    kind: Literal["random_bumps"] = "random_bumps"
    count: tuple[int, int] = (10, 100)
    amplitude: tuple[float, float] = (1.0, 3.0)
    sharpness: tuple[float, float] = (150.0, 300.0)

    reference: ClassVar[dict[int, int]] = {1: 4096, 2: 256, 3: 64}

    def __post_init__(self) -> None:
        for name in ("count", "amplitude", "sharpness"):
            low, high = getattr(self, name)
            object.__setattr__(self, name, (low, high))
            if not 0 < low <= high < math.inf:
                raise ValueError(
                    f"expected 0 < lowest <= highest {name}, got {low}, {high}; swap or raise them"
                )

    def sample(
        self,
        members: Sequence[int],
        grid: Grid,
        seed: int = 0,
        use: Use = Use.INITIAL,
        device: torch.device | str = "cpu",
        step: int = 0,
    ) -> Float[Tensor, "member ..."]:
        """Draws on a grid, float64, shape (member, *grid.shape), addressed by (seed, member).

        `step` numbers further, independent draws of a member.

        >>> law, box = RandomBumps(), (2.0, 2.0)
        >>> coarse, fine = (law.sample([0], Grid((n, n), box)) for n in (16, 48))
        >>> torch.allclose(coarse, fine[:, ::3, ::3])
        True
        """
        bumps = self.bumps(members, grid, seed, use, device, step)
        fixed = replace(grid, shape=(self.reference[grid.ndim],) * grid.ndim)
        g = _sums(bumps, fixed)
        low, high = g.amin(fixed.axes, keepdim=True), g.amax(fixed.axes, keepdim=True)
        return (_sums(bumps, grid) - low) / (high - low)

    def bumps(
        self,
        members: Sequence[int],
        grid: Grid,
        seed: int = 0,
        use: Use = Use.INITIAL,
        device: torch.device | str = "cpu",
        step: int = 0,
    ) -> Float[Tensor, "parameter member bump"]:
        """Height, sharpness and centre (one row an axis) of every bump; absent ones have height 0.

        >>> RandomBumps(count=(3, 3)).bumps([0], Grid((8, 8))).shape
        torch.Size([4, 1, 3])
        """
        most = self.count[1]
        bump = torch.arange(1 + most, device=device)
        number = torch.arange(2 + grid.ndim, device=device)[:, None]
        draws = uniforms(seed, use, members, [bump, number], step).movedim(1, 0)
        low, high = self.count
        m = low + torch.floor(draws[0, :, :1] * (high - low + 1))
        draws = draws[:, :, 1:]
        ranges = (self.amplitude, self.sharpness, *((0.0, length) for length in grid.extent))
        values = torch.stack(
            [a + (b - a) * draw for (a, b), draw in zip(ranges, draws, strict=True)]
        )
        values[0] *= bump[:-1] < m
        return values


def _sums(bumps: Tensor, grid: Grid) -> Tensor:
    """The sum of the bumps at a grid's points: each is a product over the axes."""
    a, s, *centres = bumps
    profiles = [
        _images(x.to(a), c, s, length, grid.periodic)
        for x, c, length in zip(grid.coordinates(), centres, grid.extent, strict=True)
    ]
    letters = "xyz"[: grid.ndim]
    terms = ",".join(f"mj{letter}" for letter in letters)
    return torch.einsum(f"mj,{terms}->m{letters}", a, *profiles)


def _images(x: Tensor, c: Tensor, s: Tensor, length: float, periodic: bool) -> Tensor:
    """exp(-s (x - c)^2) with its images, (member, bump, point)."""
    centres = [c] if periodic else [c, -c]
    period = length if periodic else 2 * length
    reach = 1 + math.ceil(math.sqrt(37 / float(s.min())) / period)  # exp(-37) is round-off
    total = c.new_zeros((*c.shape, len(x)))
    for centre in centres:
        for image in range(-reach, reach + 1):
            distance = x - (centre + image * period)[..., None]
            total += torch.exp(-s[..., None] * distance**2)
    return total
