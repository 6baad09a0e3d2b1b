r"""What a member looks like, as some 150 numbers: what the classifier of `classifier` is shown.

Of every member, with z = (u - mean) / sigma and w its spectrally whitened form, in which all
resolved shells have the same mean power:

    bands       log10 of the power in at most 16 bands of resolved shells, of equal ratio, and in
                all other waves together, if more than single precision leaves there (1e-10)
    values      mean, log10 of the variance, skewness, log10 of the flatness, least and largest z
    slopes      along each axis log10 of the mean square, skewness and log10 of the flatness
    increments  the means over axes of log10 S_2, log10 (S_4 / S_2^2) and T_3 / T_2^1.5 at each
                distance (`increments`)
    modes       the POD coefficients c_j over their deviations (`pod`), and (c_j)^2
    filters     for 8 fixed random zero-mean filters r of 3 points an axis, spread by 1, 2 and 4
                points, applied to w: log10 <|r|>, <r |r|> / <r^2>, and between neighbouring
                spreads <|r_1| |r_2|> / (<|r_1|> <|r_2|>), by which scales know of each other

Spectra and moments see most of what is wrong with a surrogate; filters and modes see structure. A
network trained to look could see more, at more than a thousand times the cost.

    Mallat, Zhang, Rochette (phase harmonics of scales), Inf. Inference 9 (2020),
    doi:10.1093/imaiai/iaz019
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.increments import COLUMNS, ORDERS, moments_of_increments
from pushforward.solvers import Grid, Use, normals
from pushforward.solvers.diagnostics import gradients, power_spectrum
from pushforward.yardstick import Yardstick

BANDS = 16
FILTERS = 8
SPREADS = (1, 2, 4)
SEED = 20_161_020  # of the filters, here and everywhere
TINY = 1e-20
PART = 2**19  # numbers worked on at once
ROUND_OFF = 1e-10  # share of the variance


def features(
    fields: Float[Tensor, "member ..."], yardstick: Yardstick
) -> Float[Tensor, "member feature"]:
    """All features of members (member, *grid), float64; without `modes` those are left out.

    >>> from dataclasses import replace
    >>> from pushforward.pod import Pod
    >>> grid, u = Grid((32, 32)), torch.randn(40, 32, 32)
    >>> features(u, replace(Yardstick.fit(u, grid), modes=Pod.fit(u, grid))).shape
    torch.Size([40, 166])
    """
    size = max(1, PART // yardstick.grid.size)  # filters make many copies of a member
    return torch.cat([_features(part, yardstick) for part in fields.split(size)])


def bands(resolved: Float[Tensor, " shell"], count: int = BANDS) -> Float[Tensor, "band shell"]:
    """Which resolved shells each band holds, 0 or 1: bands of equal ratio, none of them empty.

    >>> bands(torch.tensor([False, True, True, True, True, False]), 2)
    tensor([[0., 1., 0., 0., 0., 0.],
            [0., 0., 1., 1., 1., 0.]], dtype=torch.float64)
    """
    number = resolved.nonzero().flatten()
    first, last = number[0] - 0.5, number[-1] + 0.5
    place = torch.log(number / first) / torch.log(last / first)
    band = (place * count).floor().long()
    band = torch.unique(band, return_inverse=True)[1]
    out = torch.zeros(int(band.max()) + 1, len(resolved), dtype=torch.float64)
    out[band, number] = 1
    return out


@cache
def filters(ndim: int) -> Float[Tensor, "filter 1 ..."]:
    """Random filters of 3 points an axis, mean 0 and norm 1, the same for ever, float32.

    >>> r = filters(2)
    >>> r.shape, bool(r.sum((-2, -1)).abs().max() < 1e-6)
    (torch.Size([8, 1, 3, 3]), True)
    """
    z = normals(SEED, Use.SCORE, range(FILTERS), [torch.arange(3**ndim)]).real
    z = z - z.mean(1, keepdim=True)
    return (z / z.norm(dim=1, keepdim=True)).view(FILTERS, 1, *[3] * ndim).float()


def _features(fields: Tensor, yardstick: Yardstick) -> Tensor:
    z = yardstick.standardise(fields)
    c = z.new_zeros(len(z), 0) if yardstick.modes is None else yardstick.modes.whiten(fields)
    slopes = gradients(z, yardstick.grid).flatten(2)
    parts = [
        _bands(z, yardstick),
        _values(z.flatten(1)),
        _shape(slopes, slopes.square().mean(2)).flatten(1),
        _increments(z, yardstick),
        c,
        c.square(),
        _filters(yardstick.whiten(fields).float(), yardstick.grid).double(),
    ]
    return torch.cat(parts, 1)


def _log(x: Tensor) -> Tensor:
    return x.clamp_min(TINY).log10()


def _bands(z: Tensor, yardstick: Yardstick) -> Tensor:
    power, kept = power_spectrum(z, yardstick.grid), yardstick.resolved
    rest = power[:, 1:][:, ~kept[1:]].sum(1, keepdim=True).clamp_min(ROUND_OFF)
    return torch.cat([_log(power @ bands(kept).T), rest.log10()], 1)


def _values(z: Tensor) -> Tensor:
    mean = z.mean(1, keepdim=True)
    centred = z - mean
    square = centred.square().mean(1)
    shape = _shape(centred, square)
    return torch.cat([mean, shape, z.amin(1, keepdim=True), z.amax(1, keepdim=True)], 1)


def _shape(x: Tensor, square: Tensor) -> Tensor:
    """log10 of the mean square, skewness, log10 of the flatness of centred values (..., point)."""
    size = square.clamp_min(TINY)
    x2 = x.square()
    skewness = (x2 * x).mean(-1) / size**1.5
    return torch.stack([_log(square), skewness, _log(x2.square().mean(-1) / size.square())], -1)


def _increments(z: Tensor, yardstick: Yardstick) -> Tensor:
    m = moments_of_increments(z, yardstick).unflatten(1, (-1, COLUMNS))
    s2, s4 = (m[..., ORDERS.index(p)] for p in (2, 4))
    t2, t3 = m[..., -2].clamp_min(TINY), m[..., -1]
    rows = torch.stack([_log(s2), _log(s4 / s2.square().clamp_min(TINY)), t3 / t2**1.5], -1)
    if len(set(yardstick.grid.shape)) > 1:
        return rows.flatten(1)  # axes of different lengths: each by itself
    return rows.unflatten(1, (yardstick.grid.ndim, -1)).mean(1).flatten(1)


def _filters(w: Tensor, grid: Grid) -> Tensor:
    convolve = (torch.conv1d, torch.conv2d, torch.conv3d)[grid.ndim - 1]
    mode = "circular" if grid.periodic else "reflect"
    out, sizes = [], []
    for spread in SPREADS:
        if spread >= min(grid.shape):
            break
        padded = torch.nn.functional.pad(w[:, None], [spread] * 2 * grid.ndim, mode=mode)
        r = convolve(padded, filters(grid.ndim), dilation=spread).flatten(2)
        size = r.abs()
        sizes.append(size)
        square = r.square().mean(2).clamp_min(TINY)
        out += [_log(size.mean(2)), (r * size).mean(2) / square]
    for one, other in pairwise(sizes):
        product = (one.mean(2) * other.mean(2)).clamp_min(TINY)
        out.append((one * other).mean(2) / product)
    return torch.cat(out, 1)
