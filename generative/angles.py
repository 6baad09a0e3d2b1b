r"""Angles along a path: the noise of every coefficient as one number from 0 to pi / 2.

Levels give lambda_k(t), which may be infinite at either end; theta_k = atan(e^{-lambda_k / 2}) is
finite always. Between the nodes of a fine table a path is taken for linear in theta, which is a
path with the same ends as good as the one given: so what is integrated along it needs no
derivative of the levels, and kinks, jumps and clean (theta = 0) coefficients need no care.

Times are even in a *share* of the path, half of it the sum over coefficients of the angles passed,
half the sum of log(1 + snr) lost. The first is what an exact denoiser of smooth densities needs,
whose integrands are bounded in theta; the second keeps some attention on the clean end, where
d log snr / d theta is large, for narrow densities and for networks that err there.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pushforward.generative.denoiser import angle
from pushforward.generative.sampler import Levels

DEPTH_FLOOR = 1e-6  # sin^2 theta below which getting cleaner takes no further share
CHUNK = 64  # nodes of the table looked at together, to bound memory


def log_snr(theta: Tensor) -> Tensor:
    """The inverse of `denoiser.angle`, infinite at theta = 0 and at pi / 2.

    >>> log_snr(angle(torch.tensor([3.0, torch.inf, -torch.inf])))
    tensor([3., inf, -inf])
    """
    inside = -2 * torch.log(torch.tan(theta))
    return torch.where(theta < math.pi / 2, inside, -math.inf)  # tan of a rounded pi / 2 is noise


class Angles:
    """The angles of `levels` for fields like x (batch, channel, mode), and times even along them.

    `kept` (channel, mode) names the coefficients that count; `counted` are those of them that get
    noisy at all. Raises ValueError for levels of another shape, that rise with time, are nan, or
    leave every coefficient clean.

    >>> levels = lambda t: (6 - 12 * t)[:, None, None].expand(-1, 1, 2)
    >>> angles = Angles(levels, torch.zeros(3, 1, 2))
    >>> theta, slope = angles.at(torch.tensor([0.5]))     # half of the way
    >>> theta.shape, bool((slope > 0).all())
    (torch.Size([1, 1, 2]), True)
    """

    def __init__(
        self,
        levels: Levels,
        x: Float[Tensor, "batch channel mode"],
        kept: Bool[Tensor, "channel mode"] | None = None,
        *,
        cells: int = 512,
    ) -> None:
        self.levels = levels
        self.shape = x.shape[1:]
        nodes = torch.linspace(0, 1, cells + 1, dtype=x.dtype, device=x.device)
        first, last = self(nodes[:1])[0], self(nodes[-1:])[0]
        self.counted = last > 0 if kept is None else (last > 0) & kept
        if not self.counted.any():
            raise ValueError(
                "expected a path on which some coefficient gets noisy, got log snr of +inf for "
                "all at t = 1; a clean field has nothing to be scored"
            )
        self.first = first[None]
        mass = self._masses(nodes)
        moving = mass > 0  # a path that rests is not looked at there
        self.begin, self.end = nodes[:-1][moving], nodes[1:][moving]
        self.mass = mass[moving]
        self.share = torch.cat([self.mass.new_zeros(1), self.mass.cumsum(0)])

    def __call__(self, t: Float[Tensor, " time"]) -> Float[Tensor, "time channel mode"]:
        """theta at times t."""
        theta = angle(self.levels(t))
        if theta.shape != (len(t), *self.shape):
            raise ValueError(
                f"expected levels of shape {(len(t), *self.shape)} (time, channel, mode), got "
                f"{tuple(theta.shape)}; make the levels for these fields"
            )
        if theta.isnan().any():
            raise ValueError("expected log snr as numbers or +-inf, got nan; check the levels")
        return theta.to(t.dtype)

    def at(self, share: Float[Tensor, " batch"]) -> tuple[Tensor, Tensor]:
        """theta and d theta / d share, both (batch, channel, mode), at shares from 0 to 1."""
        cell, fraction = self._cell(share)
        begin, end = self(self.begin[cell]), self(self.end[cell])
        width = end - begin
        return begin + fraction[:, None, None] * width, width / self.mass[cell][:, None, None]

    def times(self, steps: int) -> Float[Tensor, " node"]:
        """steps + 1 times from 0 to 1, each step an equal share of the path."""
        even = torch.linspace(0, 1, steps + 1, dtype=self.mass.dtype, device=self.mass.device)
        cell, fraction = self._cell(even)
        times = self.begin[cell] + fraction * (self.end[cell] - self.begin[cell])
        times[0], times[-1] = 0, 1
        return times

    def _cell(self, share: Tensor) -> tuple[Tensor, Tensor]:
        cell = torch.searchsorted(self.share[1:].contiguous(), share.contiguous(), right=True)
        cell = cell.clamp_max(len(self.mass) - 1)
        return cell, ((share - self.share[cell]) / self.mass[cell]).clamp(0, 1)

    def _masses(self, nodes: Tensor) -> Tensor:
        """The share of every cell of the table; they sum to 1."""
        passed, lost = [], []
        for start in range(0, len(nodes) - 1, CHUNK):
            theta = self(nodes[start : start + CHUNK + 1])[:, self.counted]
            width = theta.diff(dim=0)
            if (width < -1e-5).any():
                raise ValueError(
                    "expected levels that fall with time, got log snr that rises between "
                    f"t = {float(nodes[start]):.3g} and {float(nodes[start + len(width)]):.3g}; "
                    "t = 0 is clean and t = 1 noise"
                )
            passed.append(width.sum(1))
            lost.append((theta.sin().square() + DEPTH_FLOOR).log().diff(dim=0).sum(1))
        both = [torch.cat(part).clamp_min(0) for part in (passed, lost)]
        return sum((part / part.sum() / 2 for part in both), torch.zeros_like(both[0]))
