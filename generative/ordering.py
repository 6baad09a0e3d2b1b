r"""What sets the coefficients of a path apart: the noise's spectrum, an order of scales, windows.

Noise with the spectrum c of a `Prior` meets data with the spectrum v: at the common level Lambda
the coefficient k has log snr Lambda + log v_k - log c_k. That is all a prior does; it needs no
other place in a model. A `Hierarchy` subtracts a l_k for an order l of the coefficients, and more
than one order adds up. `Windows` lets groups of coefficients take their turns.

GUD's a (arXiv:2410.02667) is `Hierarchy.variance`: l = -log v, and a = 1 is standard diffusion
exactly, since white noise is v_k / c_k = v_k. Its code's `softness` is 1 / a, and the softness of
its columns is 1 / delay; nothing here uses those two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.generative import filters
from pushforward.generative.modes import Modes
from pushforward.solvers import GaussianField


@dataclass(frozen=True)
class Prior:
    """The spectrum of the noise that a path mixes into the data.

    `data` has the data's own spectrum; `white` is independent between grid points, so its share of
    a coefficient shrinks as the grid is refined; `matern` is (-Laplacian + length^-2)^-exponent
    and `squared_exponential` has kernel exp(-r^2 / (2 length^2)), both of trace class, `length` in
    units of the box's longest side. `laplacian`, (-Laplacian)^-exponent, `band`, waves longer than
    about `length`, and `combined`, both, are the filters of Multilevel diffusion (see `filters`):
    `length` is 1 / m for a band of m waves, and `exponent` that of the Laplacian, or of what the
    band's noise falls with beyond it. A kind has no use for the number that is not named here.

    Raises ValueError for a length that is not positive.

    >>> Prior("matern", exponent=1.1, length=0.35).kind
    'matern'
    """

    kind: Literal[
        "data", "white", "matern", "squared_exponential", "laplacian", "band", "combined"
    ] = "data"
    exponent: float = 2.0
    length: float = 0.2

    def __post_init__(self) -> None:
        if self.length <= 0:
            raise ValueError(f"expected length > 0, got {self.length}; give a fraction of the box")

    def offset(self, modes: Modes) -> Float[Tensor, "channel mode"]:
        """log v_k - log c_k; both spectra sum to 1 over a channel's coefficients."""
        if self.kind == "data":
            return torch.zeros_like(modes.log_variance)
        if self.kind == "white":
            return modes.log_variance + math.log(modes.points)
        if modes.frequency is None:
            raise ValueError(
                f"expected a basis of waves for a {self.kind} prior, got one without wave numbers;"
                " choose the fourier or cosine basis, or the data or white prior"
            )
        boundary = "periodic" if modes.folds == 1 else "neumann"
        if self.kind in ("laplacian", "band", "combined"):
            share = filters.log_share(
                self.kind,
                modes.frequency,
                modes.extent,
                boundary,
                exponent=self.exponent,
                length=self.length,
            )
            return modes.log_variance - share.to(modes.log_variance)
        side = max(modes.extent)
        field = (
            GaussianField.matern(self.exponent, self.length * side)
            if self.kind == "matern"
            else GaussianField.squared_exponential(self.length * side)
        )
        k = 2 * math.pi / side * modes.frequency
        share = field.log_share(k, modes.extent, boundary)
        return modes.log_variance - share.to(modes.log_variance)


@dataclass(frozen=True)
class Hierarchy:
    """How strongly each order of the coefficients holds; strengths of several orders add up.

    `variance`: in e-folds of the data's variance (GUD's a: 0 all scales at once, 1 standard
    diffusion, larger ones harder); `wavenumber`: e-folds per unit of |k|; `level`: e-folds per
    level of a wavelet basis. Coefficients that come first in the order are made first.

    >>> Hierarchy(variance=0.5, level=1.0).level
    1.0
    """

    variance: float = 0.0
    wavenumber: float = 0.0
    level: float = 0.0

    def __post_init__(self) -> None:
        if min(self.variance, self.wavenumber, self.level) < 0:
            raise ValueError(
                f"expected strengths >= 0, got {self.variance}, {self.wavenumber}, {self.level}; "
                "change their signs"
            )

    def offset(self, modes: Modes) -> Float[Tensor, "channel mode"]:
        """-sum of a l_k, 0 for the coefficients that come first."""
        out = self.variance * (modes.log_variance - modes.log_variance.max())
        for name, strength, order in (
            ("wavenumber", self.wavenumber, modes.frequency),
            ("level", self.level, modes.level),
        ):
            if strength == 0:
                continue
            if order is None:
                raise ValueError(
                    f"expected a basis whose coefficients have a {name}, got one without; order "
                    "by variance, or choose the basis fourier (wavenumber) or haar (level)"
                )
            out = out - strength * (order - order.min()).to(out)
        return out


@dataclass(frozen=True)
class Windows:
    """Groups of coefficients that take their turns: later ones start to clear up later.

    Groups are columns or rows (last and last but one axis) of a localised basis, wavelet levels,
    or channels (a stack of time frames, say), `size` neighbours at a time, the first one made
    first. Group g of n moves while t - tau_g runs from 0 to 1 - delay, tau_g = delay (n - 1 - g) /
    (n - 1): with delay >= (n - 1) / n the windows are disjoint, which is exact generation of one
    group after the other, with delay = 0 they are one.

    Raises ValueError for a delay outside [0, 1) or a size below 1.

    >>> windows = Windows("channel", delay=0.75)
    >>> windows.disjoint(4), windows.disjoint(5)
    (True, False)
    """

    by: Literal["column", "row", "level", "channel"] = "column"
    delay: float = 0.5
    size: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.delay < 1 or self.size < 1:
            raise ValueError(
                f"expected 0 <= delay < 1 and size >= 1, got {self.delay} and {self.size}; "
                "change the one that is off"
            )

    def disjoint(self, groups: int) -> bool:
        """Whether no two of so many groups ever move at once."""
        return self.delay >= (groups - 1) / groups

    def groups(self, modes: Modes) -> Tensor:
        """The group (channel, mode) of every coefficient, int64."""
        (channels, count), device = modes.log_variance.shape, modes.log_variance.device
        if self.by == "channel":
            key = torch.arange(channels, device=device)[:, None].expand(-1, count)
        elif self.by == "level" and modes.level is not None:
            key = modes.level.expand(channels, -1)
        elif self.by in ("column", "row") and modes.position is not None:
            axis = -1 if self.by == "column" else -2
            if modes.position.shape[1] < -axis:
                raise ValueError("expected two axes for rows, got one; choose column")
            key = modes.position[:, axis].expand(channels, -1)
        else:
            raise ValueError(
                f"expected a basis whose coefficients have a {self.by}, got one without; choose "
                "the basis pixel or haar, or windows by channel"
            )
        return torch.unique(key, return_inverse=True)[1] // self.size

    def local_time(self, t: Tensor, modes: Modes) -> Float[Tensor, "batch channel mode"]:
        """Each coefficient's own time in [0, 1] at times t (batch,)."""
        group = self.groups(modes)
        n = int(group.max()) + 1
        start = self.delay * (n - 1 - group).double() / max(n - 1, 1)
        return ((t[:, None, None] - start.to(t)) / (1 - self.delay)).clamp(0, 1)
