r"""How far one ensemble of fields is from another: statistics that add, and scores made of them.

A `Statistic` turns every member into one row of numbers; the rows of a set of members add up, in
any order and block by block, and a `Score` is a function of two such sums. Splits, bootstraps and
distributed evaluation are therefore sums of rows: no field is touched twice. With a the scored
ensemble, b the solver's, sigma the standard deviation of the solver's held-out members and
z = (u - mean) / sigma:

    log_spectral_distance  sqrt(mean_k log10(E_a(k) / E_b(k))^2), dex, over whole shells k >= 1
                           with more than 1e-10 of the largest: dealiased shells are left out
    w1, gradient_w1        int |F_a - F_b| dx, Wasserstein-1 between the distributions of z at a
                           point, and of all derivatives of u over their own root mean square
    skewness, flatness     |S_a - S_b|, |K_a - K_b|, S = <z'^3> / <z'^2>^{3/2},
                           K = <z'^4> / <z'^2>^2
    gradient_flatness      the same K of the derivatives: what lost intermittency lowers

F is kept at 4097 fixed points, half of them quantiles of the solver's values and half equidistant
over their range, and linear in between; what lies outside adds its first moment.

A `SampleScore` is for what no sum of rows can say, as the sorting of projections or a classifier:
a function of a few features a member, which are kept for all members, and of how often each
counts. A statistic can be of all variables together (cross spectra): its scores are then the
`joint` ones. More scores of either kind are in other rooms; `pushforward.suite` lists all.
Scores of pairs of members (MMD, energy distance) are in `pushforward.distances`, memorisation in
`pushforward.nearest`, the solver's own floor of every score in `pushforward.floors`.

    Villani, Topics in Optimal Transportation (2003), doi:10.1090/gsm/058
    Bischoff et al., A practical guide to sample-based statistical distances, arXiv:2403.12636
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.solvers import Grid
from pushforward.solvers.diagnostics import energy_spectrum, gradients, power_spectrum
from pushforward.yardstick import Yardstick, blocks, check

Sticks = Yardstick | tuple[Yardstick, ...]  # of one variable, or of all together
NOTHING = 1e-20  # the share of the largest shell at which one without any power is counted


@dataclass(frozen=True)
class Statistic:
    """Rows (member, feature) of members (member, *grid), whose sums over members add up.

    Every row begins with 1, so that a sum knows how many members it holds. A `joint` statistic
    sees members (member, variable, *grid) and a tuple of their yardsticks. `of` must be a function
    of a module or a dataclass that can be called: it travels between processes.

    >>> grid = Grid((16, 16))
    >>> u = torch.randn(8, 16, 16, dtype=torch.float64)
    >>> stick = Yardstick.fit(u, grid)
    >>> whole = SPECTRUM.sum(u, stick)
    >>> torch.allclose(SPECTRUM.sum(u[5:], stick) + SPECTRUM.sum(u[:5], stick), whole)
    True
    """

    name: str
    of: Callable[[Tensor, Any], Tensor]
    joint: bool = False

    def rows(self, fields: Tensor, yardstick: Sticks) -> Float[Tensor, "member feature"]:
        """One row a member, float64."""
        if isinstance(yardstick, Yardstick):
            check(fields, yardstick.grid)
        parts = [self.of(block, yardstick).double() for block in blocks(fields)]
        rows = torch.cat(parts)
        return torch.cat([rows.new_ones(len(rows), 1), rows], dim=1)

    def sum(self, fields: Tensor, yardstick: Sticks) -> Float[Tensor, " feature"]:
        """The rows' sum."""
        return self.rows(fields, yardstick).sum(0)


@dataclass(frozen=True)
class Score:
    """A function of two sums of one statistic: (..., feature), (..., feature) -> (...).

    A value that is NaN says that the variable has no such score. `signed` marks an estimate
    without bias, whose mean under the null is 0.

    >>> grid = Grid((16, 16))
    >>> u = torch.randn(8, 16, 16, dtype=torch.float64)
    >>> round(score("log_spectral_distance", 10 * u, u, grid), 12)    # power 100 times as large
    2.0
    """

    name: str
    title: str
    unit: str
    statistic: Statistic
    of: Callable[[Tensor, Tensor, Any], Tensor]
    signed: bool = False

    def __call__(self, a: Tensor, b: Tensor, yardstick: Sticks) -> Float[Tensor, ...]:
        """The score of the sums a against the solver's sums b."""
        return self.of(a[..., 1:] / a[..., :1], b[..., 1:] / b[..., :1], yardstick)


@dataclass(frozen=True)
class SampleScore:
    """A function of features (member, d), float32, and of how often every member is drawn.

    `features` makes them from members (member, *grid) of one variable, block by block, and gives
    None for a variable that has none. Both functions travel between processes, so they must be of
    a module. Where there are several variables, all of their features side by side make the score
    of all together. With `joint` there is only that one, and `features` sees members (member,
    variable, *grid) and a tuple of their yardsticks, even of a single variable. `of` gets the
    features of all members that take part and the weights (draw, member) of either side, whole
    numbers, and gives one value a draw. With `limited` it sees no more members than scores of
    pairs do.

    >>> def gap(x, a, b):
    ...     return (a @ x / a.sum(1, keepdim=True) - b @ x / b.sum(1, keepdim=True))[:, 0]
    >>> mean = SampleScore("mean", "Mean", "", lambda u, s: u.flatten(1).mean(1, True), gap)
    >>> mean.of(torch.tensor([[1.0], [5.0]]), torch.tensor([[2.0, 0]]), torch.tensor([[0.0, 1]]))
    tensor([-4.])
    """

    name: str
    title: str
    unit: str
    features: Callable[[Tensor, Any], Tensor | None]
    of: Callable[[Tensor, Tensor, Tensor], Tensor]
    signed: bool = False
    limited: bool = False
    joint: bool = False


def score(name: str, a: Tensor, b: Tensor, grid: Grid, energy: bool = False) -> float:
    """One score of members a against the solver's members b, both (member, *grid).

    Raises ValueError for an unknown name.

    >>> x = torch.randn(64, 8, 8)
    >>> round(score("w1", x + 0.5 * x.std(correction=0), x, Grid((8, 8))), 2)
    0.5
    """
    if name not in SCORES:
        raise ValueError(f"expected one of {', '.join(SCORES)}, got {name!r}; choose one of them")
    stick, chosen = Yardstick.fit(b, grid, energy), SCORES[name]
    sums = [chosen.statistic.sum(fields, stick) for fields in (a, b)]
    return chosen(sums[0], sums[1], stick).item()


def _spectrum(fields: Tensor, yardstick: Yardstick) -> Tensor:
    spectrum = energy_spectrum if yardstick.energy else power_spectrum
    return spectrum(yardstick.standardise(fields), yardstick.grid)


def _values(fields: Tensor, yardstick: Yardstick) -> Tensor:
    return _distribution(yardstick.standardise(fields).flatten(1), yardstick.points)


def _slopes(fields: Tensor, yardstick: Yardstick) -> Tensor:
    derivatives = gradients(fields.double(), yardstick.grid) / yardstick.slope
    return _distribution(derivatives.flatten(1), yardstick.slopes)


def _distribution(z: Tensor, points: Tensor) -> Tensor:
    """Four raw moments, the first moments of what lies outside the points, F at the points."""
    moments = [z.pow(order).mean(1) for order in range(1, 5)]
    outside = [(points[0] - z).clamp_min(0).mean(1), (z - points[-1]).clamp_min(0).mean(1)]
    count = torch.searchsorted(
        z.sort(1).values, points.expand(len(z), -1).contiguous(), right=True
    )
    return torch.cat([torch.stack(moments + outside, 1), count / z.shape[1]], dim=1)


def _log_spectral(a: Tensor, b: Tensor, yardstick: Yardstick) -> Tensor:
    a, b = a[..., yardstick.resolved], b[..., yardstick.resolved]
    largest = b.amax(-1, keepdim=True)
    ratio = a.clamp_min(NOTHING * largest) / b.clamp_min(NOTHING * largest)
    return ratio.log10().square().mean(-1).sqrt()


def _wasserstein(a: Tensor, b: Tensor, points: Tensor) -> Tensor:
    """The integral of |F_a - F_b|, both linear between points."""
    outside = (a[..., 4:6] - b[..., 4:6]).abs().sum(-1)
    gap = a[..., 6:] - b[..., 6:]
    left, right = gap[..., :-1], gap[..., 1:]
    size = left.abs() + right.abs()
    crossing = (left.square() + right.square()) / size.clamp_min(1e-300)
    height = torch.where(left * right < 0, crossing, size) / 2
    return outside + (height * points.diff()).sum(-1)


def _central(m: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The second, third and fourth central moments from raw ones."""
    m1, m2, m3, m4 = m[..., :4].unbind(-1)
    c3 = m3 - 3 * m1 * m2 + 2 * m1**3
    return m2 - m1**2, c3, m4 - 4 * m1 * m3 + 6 * m1**2 * m2 - 3 * m1**4


def _skewness(m: Tensor) -> Tensor:
    c2, c3, _ = _central(m)
    return c3 / c2**1.5


def _flatness(m: Tensor) -> Tensor:
    c2, _, c4 = _central(m)
    return c4 / c2**2


SPECTRUM = Statistic("spectrum", _spectrum)
VALUES = Statistic("values", _values)
SLOPES = Statistic("slopes", _slopes)
STATISTICS = (SPECTRUM, VALUES, SLOPES)
SCORES = {
    entry.name: entry
    for entry in (
        Score("log_spectral_distance", "Log-spectral distance", "dex", SPECTRUM, _log_spectral),
        Score("w1", "One-point W₁", "σ", VALUES, lambda a, b, s: _wasserstein(a, b, s.points)),
        Score(
            "gradient_w1", "Gradient W₁", "σ", SLOPES, lambda a, b, s: _wasserstein(a, b, s.slopes)
        ),
        Score(
            "skewness", "Skewness", "", VALUES, lambda a, b, s: (_skewness(a) - _skewness(b)).abs()
        ),
        Score(
            "flatness", "Flatness", "", VALUES, lambda a, b, s: (_flatness(a) - _flatness(b)).abs()
        ),
        Score(
            "gradient_flatness",
            "Gradient flatness",
            "",
            SLOPES,
            lambda a, b, s: (_flatness(a) - _flatness(b)).abs(),
        ),
    )
}
