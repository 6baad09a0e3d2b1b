r"""Band-limited functions on any number of points, and pointwise functions without aliases.

A periodic function with waves |k| <= K is told by any n > 2 K points of its period, an even one
with half waves cos(pi k x), k <= K, by any n > K cell centres. Resampling it along an axis is one
matrix, the band's reproducing kernel between both sets of points (x_i and x_j in [0, 1)),

    D_ij = 1/n sum_{|k| <= K} exp(2 pi i k (x_i - x_j))    or
    D_ij = 1/n (1 + 2 sum_{1 <= k <= K} cos(pi k x_i) cos(pi k x_j)).

A nonlinearity makes waves without end. On n points those beyond the band fold back into it, so a
network of pointwise layers is a different operator on every grid. Evaluated on twice as many
points and cut back to the band, they no longer fold to first order; and if the band and thereby
both grids are always the same, the network is exactly one operator, whatever grid its input comes
on (a representation-equivalent one). `Activation` is the first half of that, `BandLimited` the
second.

    Karras et al., Alias-free GANs (2021), arXiv:2106.12423
    Raonic et al., Convolutional neural operators (2023), arXiv:2302.01178
    Bartolucci et al., Are neural operators really neural operators? (2023), arXiv:2305.19913
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache, wraps
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from pushforward.generative.precision import island


def along(h: Tensor, matrix: Tensor, axis: int) -> Tensor:
    """h with a matrix (m, n) applied along one of its axes.

    One product for all other axes; it copies nothing where h is contiguous.
    """
    if axis in (-1, h.ndim - 1):
        return h @ matrix.T
    before, after = h.shape[:axis], h.shape[axis:][1:]
    count = math.prod(before)
    rows = h.reshape(count, h.shape[axis], -1)
    return torch.bmm(matrix.expand(count, -1, -1), rows).view(*before, -1, *after)


def remembered(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A matrix of sizes and a device, made in float64 once for every dtype and device it is asked
    for: `make(*sizes, device)` becomes a function of (*sizes, dtype, device).

    >>> @remembered
    ... def identity(n, device):
    ...     return torch.eye(n, dtype=torch.float64, device=device)
    >>> one = identity(3, torch.float32, torch.device("cpu"))
    >>> one is identity(3, torch.float32, torch.device("cpu")), one.dtype
    (True, torch.float32)
    """

    @lru_cache(maxsize=128)
    @wraps(make)
    def made(*key: Any) -> Tensor:
        *sizes, dtype, device = key
        with torch.inference_mode(False):  # what is remembered must serve training, too
            return make(*sizes, device).to(dtype)

    return made


@remembered
def _kernel(n: int, m: int, periodic: bool, device: torch.device) -> Tensor:
    """D (m, n): from n points to m, with the waves that both resolve."""
    band = (min(n, m) - 1) // 2 if periodic else min(n, m) - 1
    k = math.pi * torch.arange(band + 1, dtype=torch.float64, device=device)
    count = torch.full_like(k, 2)
    count[0] = 1
    shift = 0.0 if periodic else 0.5
    source, target = (
        torch.outer((torch.arange(points, device=device).double() + shift) / points, k)
        for points in (n, m)
    )
    if periodic:
        source, target = 2 * source, 2 * target
    kernel = (target.cos() * count) @ source.cos().T
    if periodic:
        kernel = kernel + (target.sin() * count) @ source.sin().T
    return kernel / n


@island
def resample(
    h: Float[Tensor, "b c ..."], shape: Sequence[int], periodic: bool = True
) -> Float[Tensor, "b c ..."]:
    """The same band-limited functions (batch, channel, *grid) on a grid of another shape, even or
    odd; waves that either grid does not resolve are left out.

    `periodic`: points i/n of a period; else cell centres (i + 1/2)/n between reflecting walls.

    >>> u = torch.sin(2 * math.pi * torch.arange(7) / 7)[None, None]
    >>> back = resample(resample(u, (12,)), (7,))
    >>> torch.allclose(back, u, atol=1e-6)
    True
    """
    last = h.movedim(1, -1)  # networks have their channels last in memory
    for axis, (n, m) in enumerate(zip(h.shape[2:], shape, strict=True), start=1):
        if n != m:
            last = along(last, _kernel(n, m, periodic, h.dtype, h.device), axis)
    return last.movedim(-1, 1)


class Activation(nn.Module):
    """silu at every point; `alias_free`: on twice as many points, then cut back to the grid's
    band.

    >>> h = torch.randn(1, 1, 5)
    >>> Activation()(h).equal(F.silu(h)), Activation(alias_free=True)(h).shape
    (True, torch.Size([1, 1, 5]))
    """

    def __init__(self, alias_free: bool = False, periodic: bool = True) -> None:
        super().__init__()
        self.alias_free, self.periodic = alias_free, periodic

    def forward(self, h: Float[Tensor, "b c ..."]) -> Float[Tensor, "b c ..."]:
        if not self.alias_free:
            return F.silu(h)
        shape = h.shape[2:]
        fine = resample(h, [2 * n for n in shape], self.periodic)
        return resample(F.silu(fine), shape, self.periodic)


class BandLimited(nn.Module):
    """A network that always works with the waves |k_i| <= `band`, on 2 band + 1 points an axis.

    (batch, channels_in, *grid), (batch, condition) -> (batch, channels_out, *grid). What the input
    holds beyond the band is answered by one matrix across channels that depends on the condition
    alone (zero until trained): linear, so it is the same operator on every grid, too. Of an output
    the grid's own waves are returned. A network without aliases (`Activation`) so becomes one
    operator on all grids, to rounding.

    >>> class Square(nn.Module):
    ...     def forward(self, u, condition):
    ...         return u**2
    >>> square = BandLimited(Square(), 1, 1, condition=1, band=4)
    >>> few, many = (torch.cos(2 * math.pi * torch.arange(n) / n)[None, None] for n in (6, 15))
    >>> answers = [square(u, torch.zeros(1, 1)) for u in (few, many)]
    >>> torch.allclose(resample(answers[1], (6,)), answers[0], atol=1e-5)
    True
    """

    def __init__(
        self,
        network: nn.Module,
        channels_in: int,
        channels_out: int,
        *,
        condition: int,
        band: int,
        periodic: bool = True,
    ) -> None:
        super().__init__()
        self.network, self.points, self.periodic = network, 2 * band + 1, periodic
        self.beyond = nn.Linear(condition, channels_out * channels_in)
        nn.init.zeros_(self.beyond.weight)
        nn.init.zeros_(self.beyond.bias)

    def forward(
        self, u: Float[Tensor, "b i ..."], condition: Float[Tensor, "b k"]
    ) -> Float[Tensor, "b o ..."]:
        shape = u.shape[2:]
        within = resample(u, [self.points] * len(shape), self.periodic)
        rest = (u - resample(within, shape, self.periodic)).flatten(2)
        matrix = self.beyond(condition).unflatten(1, (-1, u.shape[1]))
        out = resample(self.network(within, condition), shape, self.periodic)
        return out + (matrix @ rest).view_as(out)
