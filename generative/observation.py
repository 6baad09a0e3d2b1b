r"""Observations: conditioning as where a path starts, for any denoiser, without retraining.

A coefficient seen through noise, y_o = x + N(0, e^{-lambda_o}), is a state of the diffusion: it is
xi at log snr lambda_o. So the reverse diffusion, started there and run on to the data, draws from
p(x | y_o): observed coefficients wait at lambda_o until the path comes by,

    lambda_k(t) = max(path's lambda_k(t), lambda_o,k),

unobserved ones (lambda_o = -inf) come from the path's noisy end, and clean ones (lambda_o = inf)
never move. This is super-resolution (the large scales observed), forecasting (early frames),
in-painting (a basis of pixels) and what a forcing or an initial condition does to a solution.

It is the diffusion of churn 1 that runs the channel in reverse; others have the same marginals
but another joint law of start and end, so with a noisy observation they draw from something else,
and Langevin dynamics forgets what it was given. With clean coefficients every sampler is right.

The start takes y, given the observation, for Gaussian, as the unconditional one does. A
coefficient observed at or above the path's noisy end starts at cos(theta_o) y_o; one observed less
well, or not at all, in what the reverse diffusion makes of it on the way from theta_o to theta_1,
the path's noisy end, r = cos(theta_o) / cos(theta_1):

    y = r cos(theta_o) y_o + sqrt(1 - r^2) z + 2 (sin(theta_o) - sin(theta_1)) / cos(theta_1) F.

F is 0 but for what the other coefficients' observations say about this one (unobserved: the mean
is then cos(theta_1) E[x | y_o], to leading order). One evaluation of the denoiser gives it; on
paths that begin in deep noise it may be left out.

    Gerdes et al., GUD (2024), arXiv:2410.02667, for paths with a level per component.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pushforward.generative.basis import Basis
from pushforward.generative.denoiser import Denoiser, angle
from pushforward.generative.sampler import Levels
from pushforward.solvers import Grid


@dataclass(frozen=True, eq=False)
class Observation:
    """Whitened values seen at some log snr: inf is clean, -inf unobserved (its value is ignored).

    Both have shape (channel, mode), or (batch, channel, mode) where members differ. An observation
    with noise deviation s, in units of the whitened coefficient, has log snr -2 log s.

    Raises ValueError when the shapes do not match, a log snr is NaN, or an observed value is not
    finite.

    >>> seen = Observation(torch.tensor([[0.7, 9.0]]), torch.tensor([[2.0, -torch.inf]]))
    >>> path = lambda t: (5 - 10 * t)[:, None, None].expand(-1, 1, 2)
    >>> seen.levels(path)(torch.tensor([1.0, 0.0]))
    tensor([[[ 2., -5.]],
    <BLANKLINE>
            [[ 5.,  5.]]])
    >>> seen.start(path, torch.zeros(3, 1, 2), churn=1.0)[0]
    tensor([[0.6570, 0.0000]])
    """

    values: Float[Tensor, "*batch channel mode"]
    log_snr: Tensor

    def __post_init__(self) -> None:
        values, log_snr = self.values.shape, self.log_snr.shape
        ranks, batches = {len(values), len(log_snr)}, {*values[:-2], *log_snr[:-2]} - {1}
        if values[-2:] != log_snr[-2:] or not ranks <= {2, 3} or len(batches) > 1:
            raise ValueError(
                "expected values and log snr of shape (channel, mode) or (batch, channel, mode), "
                f"got {tuple(values)} and {tuple(log_snr)}; give both for the same coefficients"
            )
        bad = self.log_snr.isnan() | (self.seen & ~self.values.isfinite())
        if bad.any():
            raise ValueError(
                f"expected a finite value for every observed coefficient, got {int(bad.sum())} "
                "that are not; give them log snr -inf, unobserved"
            )

    @property
    def seen(self) -> Tensor:
        """Which coefficients are observed at all."""
        return self.log_snr > -torch.inf

    def to(self, device: torch.device) -> Observation:
        """On a device."""
        return Observation(self.values.to(device), self.log_snr.to(device))

    def part(self, first: int, last: int) -> Observation:
        """That of some members, where they differ."""
        values, log_snr = (
            one[first:last] if one.ndim == 3 else one for one in (self.values, self.log_snr)
        )
        return Observation(values, log_snr)

    @property
    def noisy(self) -> bool:
        """Whether any coefficient is observed through noise."""
        return bool((self.seen & (self.log_snr < torch.inf)).any())

    def levels(self, levels: Levels) -> Levels:
        """The path that waits for what is observed: (t, channel, mode), with a batch axis after t
        where members observe different coefficients."""

        def waiting(t: Tensor) -> Tensor:
            path, seen = levels(t), self.log_snr
            return torch.maximum(path if seen.ndim == 2 else path[:, None], seen.to(path))

        return waiting

    def start(
        self,
        levels: Levels,
        normal: Float[Tensor, "batch channel mode"],
        *,
        churn: float,
        denoiser: Denoiser | None = None,
    ) -> Float[Tensor, "batch channel mode"]:
        """y at the noisy end of `self.levels(levels)`, for a sampler that runs at this churn.

        `levels` is the unconditional path, `normal` the sampler's standard normals of the start.
        With a denoiser the start is centred on what is observed, for one more evaluation.

        Raises ValueError for a noisy observation and a churn other than 1, or another batch.
        """
        shape = torch.broadcast_shapes(self.values.shape, self.log_snr.shape)
        if shape[-2:] != normal.shape[-2:] or shape[:-2] not in ((), (1,), normal.shape[:1]):
            raise ValueError(
                f"expected normals for an observation of {tuple(shape)}, got "
                f"{tuple(normal.shape)}; draw as many members as were observed"
            )
        if churn != 1 and self.noisy:
            raise ValueError(
                f"expected churn 1 for an observation with noise, got {churn}: only the reverse "
                "diffusion itself draws from the law given a noisy state; set churn to 1"
            )
        end = self.levels(levels)(torch.ones(1, device=normal.device))[0].to(normal)
        seen = self.log_snr.to(normal)
        values = torch.where(self.seen, self.values, 0.0).to(normal)
        cos, cos_end = torch.sigmoid(seen).sqrt(), torch.sigmoid(end).sqrt()
        ratio = torch.where(cos < cos_end, cos / cos_end.clamp_min(1e-30), 1.0)
        y = ratio * cos * values + (1 - ratio**2).sqrt() * normal
        if denoiser is None:
            return y
        at = torch.where(seen > -torch.inf, cos * values, normal)  # an unobserved y says nothing
        f = denoiser.correction(at.expand_as(y), seen.expand_as(y))
        gap = torch.sin(angle(seen)) - torch.sin(angle(end))
        return y + 2 * gap / cos_end.clamp_min(1e-30) * f


def observe(
    basis: Basis,
    fields: Float[Tensor, "channel ..."],
    grid: Grid,
    seen: Bool[Tensor, "channel mode"],
    deviation: float = 0.0,
) -> Observation:
    """The coefficients of a field that are `seen`, as an observation.

    `deviation` is that of independent noise on each orthonormal coefficient, in the fields' units;
    0 is clean. Raises ValueError for a deviation that is negative or not finite, `seen` of another
    shape, and where whitening mixes what is seen with what is not: of channels whitened together,
    those seen must be whole and clean and come first.

    >>> from pushforward.generative.pixel import PixelBasis
    >>> grid = Grid((4, 4))
    >>> u = torch.randn(9, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    >>> basis = PixelBasis.fit(u, grid)
    >>> left = basis.modes.position[None, :, 1] < 0.5
    >>> observe(basis, u[0], grid, left).seen.sum()
    tensor(8)
    """
    if not 0 <= deviation < math.inf or seen.shape != basis.mask.shape:
        raise ValueError(
            f"expected a finite deviation >= 0 and seen of shape {tuple(basis.mask.shape)}, got "
            f"{deviation} and {tuple(seen.shape)}; correct the one that is off"
        )
    raw = basis.read(fields, grid)
    return observed(basis, raw, seen, torch.full_like(raw[:, :1], deviation))


def observed(
    basis: Basis,
    raw: Float[Tensor, "channel mode"],
    seen: Bool[Tensor, "channel mode"],
    deviation: Float[Tensor, "channel one"],
) -> Observation:
    """`observe` of plain coefficients (`basis.read`), with a deviation for every channel."""
    seen = seen & basis.mask
    some = seen.any(1)
    whole = not bool(deviation.any()) and seen.equal(some[:, None] & basis.mask)
    first = not bool((some[1:] & ~some[:-1]).any())
    if not basis.apart and not (whole and first):
        raise ValueError(
            "expected, of channels whitened together, whole and clean ones that come first, got "
            f"channels {some.nonzero().flatten().tolist()} with deviation "
            f"{float(deviation.max()):g}; reorder the channels, observe them whole and clean, or "
            "whiten them apart"
        )
    scale = basis.factor.diagonal(dim1=-2, dim2=-1)[basis.shell].T
    noise = deviation.to(scale)
    level = 2 * torch.log(scale.clamp_min(1e-300) / noise.clamp_min(1e-300))
    level = torch.where(noise > 0, level, torch.inf)
    x = basis.whiten(raw)
    return Observation(torch.where(seen, x, 0.0), torch.where(seen, level, -torch.inf).to(x.dtype))
