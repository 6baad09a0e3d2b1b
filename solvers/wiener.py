r"""Stochastic forcing, white in time: du = (L u + N(u)) dt + dW, W a Q-Wiener process.

Q is the covariance operator of a Gaussian field, diagonal in the waves: E|W_k(t)|^2 = q_k t. Over
a step h, a wave with symbol L gathers the Ornstein-Uhlenbeck increment

    eta = int_0^h e^{L (h - s)} dW(s),     E|eta|^2 = v(h) = q (e^{2 h Re L} - 1) / (2 Re L),

which is drawn exactly, and exponential Heun (ETDRK2 with eta in both stages)

    a = e^z u + h phi_1(z) N(u) + eta,     u' = a + h phi_2(z) (N(a) - N(u)),     z = h L,

is of strong order 1 and weak order 2: N sees only the end of the path within a step. A linear
equation is solved exactly in law, whatever the step.

A path does not depend on the step. Over each interval between two moments kept, eta is split in
halves, eta = e^{L h / 2} eta_1 + eta_2, by the bridge

    eta_1 = (conj(e) / (1 + |e|^2)) eta + sqrt(v(h/2) / (1 + |e|^2)) xi,      e = e^{L h / 2},

again and again, every xi at an address of its own (seed, member, interval, node): half the step
follows the same path.

    Lord, Powell, Shardlow, An Introduction to Computational Stochastic PDEs (2014), section 10.5
    Jentzen, Kloeden, Proc. R. Soc. A 465 (2009), doi:10.1098/rspa.2008.0325
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.solvers.gaussian_field import GaussianField, white
from pushforward.solvers.grid import Grid, crop
from pushforward.solvers.normals import Use

BITS = 12  # of an address for the interval, and for the node of its tree


@dataclass(frozen=True)
class Wiener:
    """A Wiener process whose increments over a unit of time are draws of `field`.

    `seed` and the members' numbers name its paths. `drawn_on` is the grid whose waves it has
    (None: those of the grid it is used on).

    >>> from pushforward.solvers import NavierStokes, integrate
    >>> noise = Wiener(GaussianField.matern(4.0, 1 / 3, deviation=0.1, mean=False), seed=1)
    >>> rest = torch.zeros(2, 1, 16, 16, dtype=torch.float64)
    >>> flow = NavierStokes(viscosity=0.01)
    >>> w = integrate(flow, Grid((16, 16)), rest, times=(0.5,), step=0.1, noise=noise)
    >>> bool((w[0] != w[1]).any())
    True
    """

    field: GaussianField
    seed: int = 0
    drawn_on: Grid | None = None


@dataclass(frozen=True)
class Path:
    """The paths of some members on a grid, for one symbol L.

    `entry` (channel, *spectral) says where a unit of forcing enters the equation.
    """

    wiener: Wiener
    members: Sequence[int]
    grid: Grid
    symbol: Tensor
    entry: Tensor

    def level(self, span: float, step: float) -> int:
        """How often an interval is halved until its parts are not longer than a step.

        Raises ValueError where it is too often.
        """
        level = max(math.ceil(math.log2(span / step) - 1e-9), 0)
        if level > BITS:
            raise ValueError(
                f"expected at most {2**BITS} steps between two times with noise, got {span:g} / "
                f"{step:g}; keep more times or lengthen the step"
            )
        return level

    def increments(self, interval: int, span: float, level: int, like: Tensor) -> Iterator[Tensor]:
        """The 2^level increments of an interval, in order, (member, channel, *spectral)."""
        halves = [self._bridge(span / 2**n) for n in range(level)]
        root = self._variance(span).sqrt() * self._draw(interval, 0)

        def split(eta: Tensor, depth: int, place: int) -> Iterator[Tensor]:
            if depth == level:
                yield eta.to(like.dtype)
                return
            carried, share, deviation = halves[depth]
            first = share * eta + deviation * self._draw(interval, 2**depth + place)
            yield from split(first, depth + 1, 2 * place)
            yield from split(eta - carried * first, depth + 1, 2 * place + 1)

        return split(root, 0, 0)

    def _bridge(self, h: float) -> tuple[Tensor, Tensor, Tensor]:
        """What the first half becomes by the end, its share of the whole, its own deviation."""
        e = torch.exp(self.symbol * h / 2)
        total = 1 + e.abs().square()
        return e, e.conj() / total, (self._variance(h / 2) / total).sqrt()

    def _variance(self, h: float) -> Tensor:
        rate = 2 * (self.symbol.real if self.symbol.is_complex() else self.symbol)
        grown = torch.where(rate == 0, h, torch.expm1(rate * h) / torch.where(rate == 0, 1, rate))
        covariance = self.wiener.field.symbol(self.grid, self.symbol.device)
        return covariance * grown * self.entry.abs().square()

    def _draw(self, interval: int, node: int) -> Tensor:
        """White coefficients (member, 1, *spectral), of the waves that the process has."""
        step = interval << BITS | node
        device = self.symbol.device
        xi = white(self.members, self.grid, self.wiener.seed, Use.NOISE, device, step)
        drawn_on = self.wiener.drawn_on
        if drawn_on is not None:
            kept = drawn_on.resolved(1.0, device).to(xi.real.dtype)
            xi = xi * crop(kept, drawn_on, self.grid)
        return xi[:, None]
