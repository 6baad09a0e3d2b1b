r"""The orthonormal cosine transform at the middles of cells, along the last axes of a tensor.

At the points x_j = (j + 1/2) / n, j = 0..n-1, of an interval the functions

    e_k(x) = c(k) cos(pi k x),    c(0) = 1, c(k) = sqrt 2,    k = 0..n-1 half waves,

are orthonormal in the mean over the points as in L^2(0, 1), so that a sum of squares of
coefficients is a mean square: DCT-II there, DCT-III back, each the other's transpose. Short axes
are multiplied by the table of e_k; long ones are reordered (even points up, odd points down) so
that a real FFT of the same length gives all coefficients (Makhoul). `TABLE` is where the two cross
on one CPU core: 128 x 128 fields in float32 take half the time by tables.

    Strang, The discrete cosine transform, SIAM Review 41 (1999), doi:10.1137/S0036144598336745
    Makhoul, IEEE Trans. Acoust. Speech Signal Process. 28 (1980), doi:10.1109/TASSP.1980.1163351
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

LINE = 64  # bytes of the cache
TABLE = {torch.float32: 384, torch.float64: 256}  # the longest axis that is multiplied by a table


def analyse(
    u: Float[Tensor, ...], count: Sequence[int], table: int | None = None
) -> Float[Tensor, ...]:
    """The first `count` coefficients an axis of fields over the last `len(count)` axes.

    `table` is the longest axis that is multiplied by a table, `TABLE` by default; a single axis
    never is.

    >>> x = (torch.arange(8) + 0.5) / 8
    >>> c = analyse(3 + math.sqrt(2) * torch.cos(2 * math.pi * x), (3,))    # two half waves
    >>> torch.allclose(c, torch.tensor([3.0, 0.0, 1.0]), atol=1e-6)
    True
    """
    for axis, kept in zip(range(-len(count), 0), count, strict=True):
        n = u.shape[axis]
        if n <= _longest(u, len(count), table):
            u = _along(u, _table(kept, n, u.dtype, u.device) / n, axis)
        else:
            u = _forward(u.movedim(axis, -1)).narrow(-1, 0, kept).movedim(-1, axis)
    return u


def synthesise(
    c: Float[Tensor, ...], shape: Sequence[int], table: int | None = None
) -> Float[Tensor, ...]:
    """The fields at `shape` points of coefficients over as many last axes; undoes `analyse`.

    An axis holds its first coefficients, no more than points; the rest is 0.

    >>> synthesise(torch.tensor([3.0, 0.0, 0.0]), (5,)).tolist()
    [3.0, 3.0, 3.0, 3.0, 3.0]
    """
    for axis, n in zip(range(-len(shape), 0), shape, strict=True):
        kept = c.shape[axis]
        if n <= _longest(c, len(shape), table):
            c = _along(c, _table(kept, n, c.dtype, c.device).T, axis)
        else:
            last = pad(c.movedim(axis, -1), (0, n - kept))
            c = _backward(last).movedim(-1, axis)
    return c


def cosines(count: int, points: int, device: torch.device | str = "cpu") -> Tensor:
    """The values (count, points) of the first functions e_k in the middles of cells, float64.

    >>> e = cosines(8, 8)
    >>> torch.allclose(e @ e.T / 8, torch.eye(8).double())
    True
    """
    k = torch.arange(count, dtype=torch.float64, device=device)[:, None]
    x = (torch.arange(points, dtype=torch.float64, device=device) + 0.5) / points
    return torch.where(k > 0, 2.0, 1.0).double().sqrt() * torch.cos(math.pi * k * x)


def _longest(u: Tensor, axes: int, table: int | None) -> float:
    if axes == 1:  # a table would be read once per line
        return 0
    return TABLE.get(u.dtype, math.inf) if table is None else table


@lru_cache(maxsize=64)
def _table(count: int, points: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # what is remembered must serve training, too
        return cosines(count, points, device).to(dtype)


@lru_cache(maxsize=64)
def _turn(n: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """c(k) exp(-i pi k / 2n) / n for k = 0..n/2: from an FFT of n points to coefficients."""
    with torch.inference_mode(False):
        k = torch.arange(n // 2 + 1, dtype=torch.float64, device=device)
        size = torch.where(k > 0, 2.0, 1.0).double().sqrt() / n
        return torch.polar(size, -math.pi / (2 * n) * k).to(dtype.to_complex())


def _along(h: Tensor, matrix: Tensor, axis: int) -> Tensor:
    """h with a matrix (m, n) applied along one of its axes, counted from the end.

    Always in products of the same shape, at addresses alike: how one rounds depends on both, and
    so a member's last bits would depend on its company. Zeros fill what is no whole line.
    """
    m, count = h.shape[axis], len(matrix)
    shape = [*h.shape[:axis], count, *h.shape[axis:][1:]]
    if axis == -1:
        lines = h.shape[-2]
        rows = pad(h.reshape(-1, lines, m), (0, 0, 0, _spare(h, lines, m, count)))
        out = torch.bmm(rows, matrix.T.expand(len(rows), -1, -1))[:, :lines]
    else:
        lines = math.prod(h.shape[axis + 1 :])
        rows = pad(h.reshape(-1, m, lines), (0, _spare(h, lines, m, count)))
        out = torch.bmm(matrix.expand(len(rows), -1, -1), rows)[..., :lines]
    return out.reshape(shape)


def _spare(h: Tensor, lines: int, *lengths: int) -> int:
    """How many lines to add so that matrices of `lines` and a length fill whole lines of cache."""
    line = LINE // h.element_size()
    return -lines % line if any(lines * length % line for length in lengths) else 0


def _forward(u: Tensor) -> Tensor:
    """All coefficients along the last axis."""
    n = u.shape[-1]
    folded = torch.cat([u[..., ::2], u[..., 1::2].flip(-1)], -1)
    w = torch.fft.rfft(folded.contiguous()) * _turn(n, u.dtype, u.device)
    return torch.cat([w.real, -w.imag[..., 1 : (n + 1) // 2].flip(-1)], -1)


def _backward(c: Tensor) -> Tensor:
    """The points along the last axis of all coefficients."""
    n = c.shape[-1]
    half = n // 2 + 1
    # the coefficient n - k belongs to k; there is none for k = 0
    other = pad(c[..., n - half + 1 :].flip(-1), (1, 0))
    w = torch.complex(c[..., :half], -other) / _turn(n, c.dtype, c.device)
    folded = torch.fft.irfft(w.contiguous(), n)
    u = torch.empty_like(folded)
    u[..., ::2] = folded[..., : (n + 1) // 2]
    u[..., 1::2] = folded[..., (n + 1) // 2 :].flip(-1)
    return u
