"""What one variable of an ensemble is measured with, fitted on the solver's held-out members.

Scores of different ensembles can be compared, and sums of member rows be added, only when all of
them use the same units, the same points of the distribution functions and the same shells. A
`Yardstick` holds these. It never sees the generated members, so no score depends on what else was
scored beside it.

Distribution functions are kept at quantiles of the solver's values, which resolve narrow peaks,
and at equidistant points over their range, which resolve the tails. A shell is resolved when it is
whole (1 <= k < N / 2; between walls, in half waves, k < N) and holds more than 1e-10 of the
largest one's power: below that a spectrum is round-off, as in the shells that a solver dealiases.

A yardstick is fitted on the first `fitted(grid)` members and no more, so its memory is bounded: a
unit of measurement need not be more exact than that, only the same for all that is measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.solvers import Grid
from pushforward.solvers.diagnostics import (
    gradients,
    power_spectrum,
    shell_sums,
    shells,
)

if TYPE_CHECKING:
    from pushforward.pod import Pod

POINTS = 2048  # quantiles, and again as many intervals of equal length
RESOLVED = 1e-9  # share of the largest power per wave below which there is only round-off
BLOCK = 2**22  # numbers worked on at once
FITTED, NUMBERS = 1024, 2**24  # members that a yardstick is fitted on, and their values: at most


@dataclass(frozen=True)
class Yardstick:
    """What one variable is measured with: fitted once, on the solver's held-out members.

    `mean`, `deviation` (of values) and `slope` (root mean square of derivatives) are in the data's
    units; `points` and `slopes` are where distribution functions are kept, in units of `deviation`
    and `slope`; `shell_power` is the mean power of the centred field per shell; `energy` says that
    the field is a vorticity and its spectrum the kinetic energy's; `resolved` marks the shells
    that count; `modes` are proper orthogonal modes (`pushforward.pod`), where scores need them.

    >>> grid = Grid((16, 16))
    >>> stick = Yardstick.fit(2 + 3 * torch.randn(32, 16, 16), grid)
    >>> round(stick.mean), round(stick.deviation), len(stick.points)
    (2, 3, 4097)
    """

    grid: Grid
    energy: bool
    mean: float
    deviation: float
    slope: float
    points: Float[Tensor, " point"]
    slopes: Float[Tensor, " point"]
    shell_power: Float[Tensor, " shell"]
    resolved: Float[Tensor, " shell"]
    modes: Pod | None = None

    @classmethod
    def fit(
        cls, fields: Float[Tensor, "member ..."], grid: Grid, energy: bool = False
    ) -> Yardstick:
        """Measures the solver's members (member, *grid): the first `fitted(grid)` of them.

        Raises ValueError for non-finite members and for members that are constant in space.
        """
        check(fields, grid)
        u = fields[: fitted(grid)].double()
        mean, deviation = u.mean().item(), u.std(correction=0).item()
        slopes = _ordered((gradients(part, grid) for part in blocks(u)), u.numel() * grid.ndim)
        slope = slopes.square().mean().sqrt().item()
        if not slope > 1e-12 * max(abs(mean), deviation):
            raise ValueError(
                f"expected solver members that vary in space, got mean {mean:.3g} and standard "
                f"deviation {deviation:.3g}; give another time or variable"
            )
        points = _points(_ordered(((part - mean) / deviation for part in blocks(u)), u.numel()))
        power = torch.stack(
            [power_spectrum((part - mean) / deviation, grid).sum(0) for part in blocks(u)]
        ).sum(0) / len(u)
        resolved = _resolved(power, grid)
        return cls(
            grid, energy, mean, deviation, slope, points, _points(slopes / slope), power, resolved
        )

    def standardise(self, fields: Tensor) -> Float[Tensor, "member ..."]:
        """The members less the solver's mean, over its standard deviation, float64."""
        return (fields.double() - self.mean) / self.deviation

    def whiten(self, fields: Tensor) -> Float[Tensor, "member ..."]:
        """The members with the same mean power, 1 over their number, in every resolved shell.

        The constant wave counts as a shell when the domain mean varies from member to member.
        """
        power = self.shell_power
        kept = self.resolved.clone()
        kept[0] = bool(power[0] > RESOLVED * power[1:].max())
        gain = torch.where(kept, (power.clamp_min(1e-300) * kept.sum()).rsqrt(), 0.0)
        u_hat = self.grid.fft(self.standardise(fields))
        return self.grid.ifft(u_hat * gain[shells(self.grid)])


def fitted(grid: Grid) -> int:
    """How many members a yardstick is fitted on at most: 1024, fewer where they are large.

    >>> fitted(Grid((64, 64))), fitted(Grid((256, 256)))
    (1024, 256)
    """
    return max(2, min(FITTED, NUMBERS // grid.size))


def check(fields: Tensor, grid: Grid, name: str = "", first: int = 0) -> None:
    """Raises ValueError for members of another shape, none at all, or non-finite ones.

    `name` is what the ensemble is called in the message, `first` its first member's number.
    """
    shape = tuple(fields.shape)
    if fields.ndim != grid.ndim + 1 or shape[1:] != grid.shape or not len(fields):
        raise ValueError(
            f"expected members of shape (member, {', '.join(map(str, grid.shape))}), got {shape}; "
            "give one variable at one time"
        )
    finite = torch.isfinite(fields).flatten(1).all(1)
    if not bool(finite.all()):
        bad = (~finite).nonzero().flatten() + first
        raise ValueError(
            f"expected finite members, got NaN or infinity in member {int(bad[0])}"
            f"{f' of {name}' if name else ''} ({len(bad)} of {len(fields)}); finish or repair "
            "the ensemble first"
        )


def blocks(fields: Tensor) -> Iterator[Tensor]:
    """The members in order, a few at a time: what is worked on stays small."""
    return iter(fields.split(max(1, BLOCK // max(1, fields[0].numel()))))


def is_vorticity(name: str, grid: Grid) -> bool:
    """Whether a variable's spectrum is the kinetic energy's: a vorticity on a plane.

    >>> is_vorticity("vorticity at t=5", Grid((8, 8)))
    True
    """
    return grid.ndim == 2 and grid.periodic and name.startswith("vorticity")


def _resolved(power: Tensor, grid: Grid) -> Tensor:
    """Which shells are whole and hold more than round-off."""
    number = torch.arange(len(power))
    longest = max(grid.extent)
    first = 2 if grid.periodic else 1  # points to the shortest wave, or half wave
    last = min(n / first * longest / side for n, side in zip(grid.shape, grid.extent, strict=True))
    whole = (number >= 1) & (number < last)
    density = power / shell_sums(torch.ones(grid.spectral_shape).double(), grid)
    return whole & (density > RESOLVED * density[whole].max())


def _ordered(parts: Iterable[Tensor], count: int) -> Tensor:
    """All values of the parts in order, in the memory of one copy."""
    values, at = np.empty(count), 0
    for part in parts:
        values[at : at + part.numel()] = part.flatten().numpy()
        at += part.numel()
    values.sort()
    return torch.from_numpy(values)


def _points(ordered: Tensor) -> Tensor:
    """Where a distribution function is kept: between values at equal ranks, and on a comb."""
    at = torch.linspace(0, len(ordered) - 2, POINTS, dtype=ordered.dtype).round().long()
    comb = torch.linspace(0, 1, POINTS + 1, dtype=ordered.dtype) * (ordered[-1] - ordered[0])
    return torch.cat([(ordered[at] + ordered[at + 1]) / 2, comb + ordered[0]]).sort().values
