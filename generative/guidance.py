r"""Guidance: conditioning on values of linear functionals, for any denoiser, without retraining.

What is seen is o = H x + h + N(0, R), with m linear functionals H of a field, such as values at
sensors, averages over cells, or parts of a picture; x are whitened coefficients and h is what H
makes of the mean. While a sampler runs, x is known
through xi = x + noise up to a covariance V, and Kalman's update of the estimate D is that of a
denoiser of the conditional law,

    D_o = D + V H^T (H V H^T + R)^{-1} (o - H D - h),

which any sampler takes in place of D. V is diagonal: the Wiener filter's sin(theta)^2, exact for
the Gaussian surrogate, times what a network leaves of it, measured shell by shell (`remainder`).
It acts on functions (H V H^T are numbers between functionals, and the gain V H^T lies in the
Cameron-Martin space of the data), so what is drawn does not depend on a grid. A step costs one
evaluation of the network, nothing is differentiated, and no weight is tuned.

**The start.** The reverse process ends exactly where it should only if it starts so. A draw y of
the noisy end is a draw of (x, noise), and is moved as Matheron's rule moves x: by cos(theta) times
the Kalman gain on what is seen less what the draw shows. That is exact for Gaussian data, so for
these the limit of many steps is Kriging.

    Chung et al., DPS (2022), arXiv:2209.14687, and Song et al., Pi-GDM (2023), OpenReview
    9_gsMA8MRKQ, for guidance; Rozet et al. (2024), arXiv:2405.13712, for the update with a
    covariance; Journel, Huijbregts, Mining geostatistics (1978), for Matheron's rule
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.generative.basis import Basis
from pushforward.generative.denoiser import Denoiser, angle
from pushforward.generative.observation import Observation
from pushforward.solvers import Grid, Use
from pushforward.solvers.interpolation import evaluate
from pushforward.solvers.normals import normals

TOGETHER = 64  # functionals whose rows are worked out at once


@dataclass(frozen=True, eq=False)
class Functionals:
    """Values (functional,) or (batch, functional) of linear functionals seen through noise.

    `rows` (functional, channel, mode) act on whitened coefficients; `variance` (functional,) is
    that of the independent noise, in the values' units squared. What the mean of the fields
    contributes is taken off the values already: see `functionals`, which makes all of it.

    Raises ValueError when the shapes do not match, something is not finite, or the variance of
    some functional is not positive.

    >>> seen = Functionals(torch.ones(1, 1, 2), torch.tensor([1.0]), torch.tensor([2.0]))
    >>> seen.update(torch.zeros(1, 1, 2), torch.ones(1, 2))        # Kriging: 1 / (1 + 1 + 2) each
    tensor([[[0.2500, 0.2500]]])
    """

    rows: Float[Tensor, "functional channel mode"]
    values: Float[Tensor, "*batch functional"]
    variance: Float[Tensor, " functional"]

    def __post_init__(self) -> None:
        count = len(self.rows)
        fits = self.values.ndim in (1, 2) and self.values.shape[-1] == count > 0
        if self.rows.ndim != 3 or not fits or self.variance.shape != (count,):
            raise ValueError(
                "expected rows (functional, channel, mode), values (functional,) or (batch, "
                f"functional) and variances (functional,), got {tuple(self.rows.shape)}, "
                f"{tuple(self.values.shape)} and {tuple(self.variance.shape)}; give all for the "
                "same functionals"
            )
        finite = all(bool(x.isfinite().all()) for x in (self.rows, self.values, self.variance))
        if not finite or not bool((self.variance > 0).all()):
            raise ValueError(
                "expected finite values and variances above 0, got variances down to "
                f"{float(self.variance.min()):g}; leave out what was not seen, and give what is "
                "exact a small deviation"
            )

    def part(self, first: int, last: int) -> Functionals:
        """Those of some members, where they differ."""
        values = self.values if self.values.ndim == 1 else self.values[first:last]
        return replace(self, values=values)

    def to(self, where: Tensor | torch.device) -> Functionals:
        """On a device, or in the type and on the device of a tensor."""
        parts = {name: getattr(self, name).to(where) for name in ("rows", "values", "variance")}
        return replace(self, **parts)

    def noise(self, seed: int, members: Sequence[int]) -> Float[Tensor, "member functional"]:
        """Standard normals of the observation's own noise, addressed by (seed, member)."""
        words = [torch.arange(len(self.rows))]
        return normals(seed, Use.OBSERVATION, members, words).real

    def of(self, x: Float[Tensor, "batch channel mode"]) -> Float[Tensor, "batch functional"]:
        """The functionals of whitened coefficients."""
        return x.flatten(1) @ self.rows.flatten(1).T.to(x)

    def spread(self, g: Float[Tensor, "batch functional"]) -> Float[Tensor, "batch channel mode"]:
        """The adjoint of `of`."""
        return (g @ self.rows.flatten(1).to(g)).unflatten(1, self.rows.shape[1:])

    def factor(self, variance: Float[Tensor, "channel mode"]) -> Float[Tensor, "m m"]:
        """The Cholesky factor of H V H^T + R for independent coefficients, float64.

        Raises ValueError when it is not positive: functionals that repeat each other exactly.
        """
        rows = self.rows.flatten(1).double()
        gram = (rows * variance.flatten().double()) @ rows.T
        gram.diagonal().add_(self.variance)
        found, fault = torch.linalg.cholesky_ex(gram)
        if int(fault) or bool(found.diagonal().min() < 1e-7 * gram.diagonal().max().sqrt()):
            raise ValueError(
                "expected functionals that round-off can tell apart, got some that repeat others; "
                "raise their deviation or leave them out"
            )
        return found

    def update(
        self,
        x: Float[Tensor, "batch channel mode"],
        variance: Float[Tensor, "channel mode"],
        noise: Float[Tensor, "batch functional"] | None = None,
    ) -> Float[Tensor, "batch channel mode"]:
        """Kalman's change V H^T (H V H^T + R)^{-1} (o - H x - noise) of x."""
        short = self.values.to(x) - self.of(x)
        if noise is not None:
            short = short - self.variance.sqrt().to(x) * noise
        return variance.to(x) * self.spread(_solve(self.factor(variance), short))

    def start(
        self,
        y: Float[Tensor, "batch channel mode"],
        log_snr: Float[Tensor, "channel mode"],
        normal: Float[Tensor, "batch channel mode"],
        noise: Float[Tensor, "batch functional"],
        observed: Observation | None = None,
    ) -> Float[Tensor, "batch channel mode"]:
        """A start y of the noisy end at `log_snr`, moved to what is seen (see the module).

        `normal` and `noise` are standard normals beside y's own. Coefficients that are `observed`
        as well have what that says of them as their law; clean ones do not move.
        """
        theta = angle(log_snr).to(y)
        cos, sin = theta.cos(), theta.sin()
        mean, variance = torch.zeros_like(y), torch.ones_like(log_snr)
        if observed is not None:
            known = torch.sigmoid(observed.log_snr.to(y))  # of a variance of 1
            mean = known * torch.where(observed.seen, observed.values, 0.0).to(y)
            variance = 1 - known
        if variance.ndim == 3:
            variance = _shared(variance)
        variance = variance.to(y)
        total = (variance * cos**2 + sin**2).clamp_min(1e-30)
        x = mean + variance * cos / total * (y - cos * mean)
        x = x + (variance * sin**2 / total).sqrt() * normal
        return y + cos * self.update(x, variance, noise)


class Guided(Denoiser):
    """The denoiser of the law given functionals, from that of the law without.

    `left` says what r of a coefficient's variance the denoiser leaves at given levels (channel,
    mode), 1 without it (see `remainder`). The levels must be the same for the whole batch, as a
    sampler's are; raises ValueError otherwise.

    >>> from pushforward.generative.exact import GaussianDenoiser
    >>> seen = Functionals(torch.ones(1, 1, 1), torch.tensor([3.0]), torch.tensor([0.5]))
    >>> guided = Guided(GaussianDenoiser(), seen)
    >>> level = torch.full((1, 1, 1), -40.0)                 # all noise: the Kriging mean 3 / 1.5
    >>> round(guided(torch.zeros(1, 1, 1), level).item(), 4)
    2.0
    """

    def __init__(
        self, denoiser: Denoiser, seen: Functionals, left: Callable[[Tensor], Tensor] | None = None
    ) -> None:
        super().__init__()
        self.denoiser, self.seen, self.left = denoiser, seen, left
        self._gain: tuple[Tensor, Tensor, Tensor] | None = None

    def correction(self, y: Tensor, log_snr: Tensor) -> Tensor:
        level, seen = _shared(log_snr), self.seen
        theta = angle(level).to(y)
        sin, cos = theta.sin(), theta.cos()
        left, factor = self._at(level, sin)
        f = self.denoiser.correction(y, log_snr)
        short = seen.values.to(y) - seen.of(cos * y + sin * f)
        return f + sin * left * seen.spread(_solve(factor, short))

    def _at(self, level: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
        """r and the factor at a level, kept for the next look at the same one."""
        if self._gain is None or not torch.equal(self._gain[0], level):
            left = torch.ones_like(sin) if self.left is None else self.left(level).to(sin)
            self._gain = level, left, self.seen.factor(sin**2 * left)
        return self._gain[1:]


def functionals(
    basis: Basis,
    operator: Callable[[Tensor], Tensor],
    grid: Grid,
    values: Float[Tensor, "*batch functional"],
    deviation: float | Float[Tensor, " functional"],
) -> Functionals:
    """What a linear (or affine) `operator` says of fields on a grid, as functionals.

    `operator` takes one field (channel, *grid) and gives as many numbers as there are `values`.
    `deviation` is that of the noise, in the values' units. Raises ValueError for an operator that
    is not affine, and as `Functionals` does.

    >>> from pushforward.generative import FourierBasis
    >>> from pushforward.solvers import GaussianField
    >>> u = GaussianField.matern(3.0, 0.5, cutoff=5).sample(range(64), Grid((16, 16)))[:, None]
    >>> basis = FourierBasis.fit(u, Grid((16, 16)))
    >>> seen = functionals(basis, lambda v: v.mean((-2, -1)), Grid((16, 16)), torch.ones(1), 0.1)
    >>> seen.rows.abs().sum((0, 1))[1:].max() < 1e-12                  # the mean alone is asked
    tensor(True)
    """

    def act(x: Tensor) -> Tensor:
        return operator(basis.synthesise(x, grid)).flatten()

    zero = torch.zeros_like(basis.mean, dtype=torch.float64)
    offset = act(zero)
    rows = torch.func.jacrev(act, chunk_size=TOGETHER)(zero)
    probe = torch.cos(torch.arange(zero.numel(), dtype=torch.float64)).to(zero).view_as(zero)
    there = rows.flatten(1) @ probe.flatten()
    if not torch.allclose(act(probe) - offset, there, rtol=1e-6, atol=1e-9 * float(there.norm())):
        raise ValueError(
            "expected an operator that is affine in the fields, got one that is not; observe "
            "something linear, such as values, averages or coefficients"
        )
    deviation = torch.as_tensor(deviation, dtype=torch.float64).to(zero).expand(len(offset))
    return Functionals(rows * basis.mask, values.to(zero) - offset, deviation**2)


def at_points(
    basis: Basis,
    points: Float[Tensor, "point axis"],
    channel: int,
    values: Float[Tensor, "*batch point"],
    deviation: float | Float[Tensor, " point"],
    grid: Grid | None = None,
) -> Functionals:
    """Values of a channel at points of the box, in its units: sensors anywhere.

    `grid` is what the functions are looked at on between the points (None: the basis's own).

    >>> from pushforward.generative import FourierBasis
    >>> from pushforward.solvers import GaussianField
    >>> u = GaussianField.matern(3.0, 0.5, cutoff=5).sample(range(64), Grid((16, 16)))[:, None]
    >>> basis = FourierBasis.fit(u, Grid((16, 16)))
    >>> seen = at_points(basis, torch.tensor([[0.1, 0.2]]), 0, torch.ones(1), 0.01)
    >>> seen.rows.shape[0]
    1
    """
    grid = grid or basis.grid
    where = points.to(basis.mask.device)
    return functionals(
        basis,
        lambda fields: evaluate(fields[channel], grid, where),
        grid,
        values,
        deviation,
    )


def together(first: Functionals, *others: Functionals) -> Functionals:
    """All functionals as one observation.

    >>> one = Functionals(torch.ones(1, 1, 2), torch.tensor([1.0]), torch.tensor([2.0]))
    >>> together(one, one).values
    tensor([1., 1.])
    """
    every = (first, *others)
    batch = torch.broadcast_shapes(*(one.values.shape[:-1] for one in every))
    return Functionals(
        torch.cat([one.rows for one in every]),
        torch.cat([one.values.expand(*batch, -1) for one in every], -1),
        torch.cat([one.variance for one in every]),
    )


def _solve(factor: Tensor, right: Float[Tensor, "batch m"]) -> Float[Tensor, "batch m"]:
    return torch.cholesky_solve(right.T.to(factor), factor).T.to(right)


def _shared(log_snr: Tensor) -> Tensor:
    """The level (channel, mode) that all members have."""
    if not bool((log_snr == log_snr[:1]).all()):
        raise ValueError(
            "expected the same levels for all members that are guided, got others; observe the "
            "same coefficients of all, or draw member by member"
        )
    return log_snr[0]
