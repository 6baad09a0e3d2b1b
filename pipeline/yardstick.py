"""What one variable of an ensemble is measured with, fitted on the solver's held-out members.

Scores of different ensembles can be compared, and sums of member rows be added, only when all of
them use the same units, the same points of the distribution functions and the same shells. A
`Yardstick` holds these. It never sees the generated members, so no score depends on what else was
scored beside it.

Distribution functions are kept at quantiles of the solver's values, which resolve narrow peaks,
and at equidistant points over their range, which resolve the tails. A shell is resolved when it is
whole (1 <= k < N / 2; between walls, in half waves, k < N) and holds more than 1e-10 of the
largest one's power: below that a spectrum is round-off, as in the shells that a solver dealiases.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

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

POINTS = 2048  # quantiles, and again as many intervals of equal length
RESOLVED = 1e-9  # share of the largest power per wave below which there is only round-off
BLOCK = 2**22  # numbers worked on at once


@dataclass(frozen=True)
class Yardstick:
    """What one variable is measured with: fitted once, on the solver's held-out members.

    `mean`, `deviation` (of values) and `slope` (root mean square of derivatives) are in the data's
    units; `points` and `slopes` are where distribution functions are kept, in units of `deviation`
    and `slope`; `shell_power` is the mean power of the centred field per shell; `energy` says that
    the field is a vorticity and its spectrum the kinetic energy's; `resolved` marks the shells
    that count.

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

    @classmethod
    def fit(
        cls, fields: Float[Tensor, "member ..."], grid: Grid, energy: bool = False
    ) -> Yardstick:
        """Measures the solver's members (member, *grid).

        Raises ValueError for non-finite members and for members that are constant in space.
        """
        check(fields, grid)
        mean, deviation = fields.double().mean().item(), fields.double().std(correction=0).item()
        slope = gradients(fields.double(), grid).square().mean().sqrt().item()
        if not slope > 1e-12 * max(abs(mean), deviation):
            raise ValueError(
                f"expected solver members that vary in space, got mean {mean:.3g} and standard "
                f"deviation {deviation:.3g}; give another time or variable"
            )
        z = (fields.double() - mean) / deviation
        power = power_spectrum(z, grid).mean(0)
        number = torch.arange(len(power))
        longest = max(grid.extent)
        first = 2 if grid.periodic else 1  # points to the shortest wave, or half wave
        last = min(
            n / first * longest / side for n, side in zip(grid.shape, grid.extent, strict=True)
        )
        whole = (number >= 1) & (number < last)
        density = power / shell_sums(torch.ones(grid.spectral_shape).double(), grid)
        resolved = whole & (density > RESOLVED * density[whole].max())
        derivatives = gradients(fields.double(), grid) / slope
        return cls(
            grid, energy, mean, deviation, slope, _points(z), _points(derivatives), power, resolved
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


def check(fields: Tensor, grid: Grid) -> None:
    """Raises ValueError for members of another shape, none at all, or non-finite ones."""
    shape = tuple(fields.shape)
    if fields.ndim != grid.ndim + 1 or shape[1:] != grid.shape or not len(fields):
        raise ValueError(
            f"expected members of shape (member, {', '.join(map(str, grid.shape))}), got {shape}; "
            "give one variable at one time"
        )
    bad = [i for i in range(len(fields)) if not bool(torch.isfinite(fields[i]).all())]
    if bad:
        raise ValueError(
            f"expected finite members, got NaN or infinity in member {bad[0]} ({len(bad)} in "
            "all); finish or repair the ensemble first"
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


def _points(z: Tensor) -> Tensor:
    """Where a distribution function is kept: between values at equal ranks, and on a comb."""
    ordered = z.flatten().sort().values
    at = torch.linspace(0, len(ordered) - 2, POINTS).round().long()
    comb = (
        torch.linspace(0, 1, POINTS + 1, dtype=z.dtype) * (ordered[-1] - ordered[0]) + ordered[0]
    )
    return torch.cat([(ordered[at] + ordered[at + 1]) / 2, comb]).sort().values
