r"""Scores of pairs of members: MMD, energy distance, and the nearest training member.

For a kernel k the unbiased estimate (a U-statistic) of the squared distance between two laws is

    mean_{i != i'} k(a_i, a_i') + mean_{j != j'} k(b_j, b_j') - 2 mean_{i, j} k(a_i, b_j),

which has mean 0 when the laws are the same: it can be negative, and only its distribution under
the null says anything. Here d^2 is a mean square over the points and the variables:

    energy_distance  k = -d, d between standardised fields; in units of sigma
    mmd              k = mean over s in {1/4, 1/2, 1, 2, 4} of exp(-d^2 / (2 s^2 m^2)), Gaussian
                     kernels on spectrally whitened fields (`Yardstick.whiten`: every resolved
                     shell counts the same), m^2 the median d^2 of the solver's own pairs. The
                     value is MMD^2. The narrow kernels matter: in many dimensions all d^2 lie
                     near m^2, and only a kernel that is curved there sees more than mean and size.

Both are sums over pairs, so they add over blocks of members too: the row of a member holds its
kernel with every other. Weights count how often a member is drawn; a member is never paired
with itself, which keeps a bootstrap centred.

`nearest` gives every member its distance to the nearest training member; on translation-invariant
data, over all shifts of the periodic grid, through the cross-correlation, one inverse FFT a pair.
A coarse grid, which holds the energetic scales, proposes candidates and the full grid decides.
Memorisation is its mean over generated members over its mean over solver members that were not
trained on: 1 for fresh members, near 0 for copies, whatever their shift.

    Gretton et al., JMLR 13 (2012), jmlr.org/papers/v13/gretton12a.html
    Szekely, Rizzo, J. Stat. Plan. Inference 143 (2013), doi:10.1016/j.jspi.2013.03.018
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.solvers import Grid
from pushforward.yardstick import BLOCK, Yardstick, blocks

WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)
COARSE = {1: 64, 2: 16, 3: 8}  # points an axis on which candidates are looked for
CANDIDATES = 8


def squared_distances(fields: Float[Tensor, "member ..."]) -> Float[Tensor, "member member"]:
    """The mean square differences between members, float64.

    >>> squared_distances(torch.tensor([[0.0, 0.0], [1.0, 3.0]]))
    tensor([[0., 5.],
            [5., 0.]], dtype=torch.float64)
    """
    x = fields.flatten(1)
    gram = torch.zeros(len(x), len(x), dtype=torch.float64)
    for part in x.split(max(1, BLOCK // len(x)), dim=1):
        gram += part.double() @ part.double().T
    norm = gram.diagonal()
    d2 = (norm[:, None] + norm[None, :] - 2 * gram).clamp_min(0) / x.shape[1]
    return d2.fill_diagonal_(0)


def whitened(fields: Tensor, yardstick: Yardstick) -> Float[Tensor, "member ..."]:
    """The spectrally whitened members, float32, block by block."""
    return torch.cat([yardstick.whiten(block).float() for block in blocks(fields)])


def standardised(fields: Tensor, yardstick: Yardstick) -> Float[Tensor, "member ..."]:
    """The standardised members, float32, block by block."""
    return torch.cat([yardstick.standardise(block).float() for block in blocks(fields)])


def gaussian_kernel(d2: Tensor, scale: float) -> Float[Tensor, "member member"]:
    """The mean of five Gaussian kernels of squared distances, with m^2 = `scale`.

    >>> gaussian_kernel(torch.zeros(1), 1.0)
    tensor([1.])
    """
    return torch.stack([torch.exp(-d2 / (2 * width**2 * scale)) for width in WIDTHS]).mean(0)


def median(d2: Float[Tensor, "member member"]) -> float:
    """The median over pairs of different members.

    >>> median(torch.tensor([[0.0, 5.0], [5.0, 0.0]]))
    5.0
    """
    upper = torch.triu_indices(len(d2), len(d2), 1)
    return d2[upper[0], upper[1]].median().item()


def u_statistic(
    kernel: Float[Tensor, "member member"],
    a: Float[Tensor, "draw member"],
    b: Float[Tensor, "draw member"],
) -> Float[Tensor, " draw"]:
    """The unbiased squared distance between the members counted by a and those counted by b.

    Raises ValueError when a draw holds fewer than two different members.

    >>> x = torch.tensor([0.0, 2.0, 10.0, 12.0])
    >>> kernel = -(x[:, None] - x[None, :]).abs()
    >>> u_statistic(kernel, torch.tensor([[1.0, 1, 0, 0]]), torch.tensor([[0.0, 0, 1, 1]])).item()
    16.0
    """
    a, b = a.to(kernel.dtype), b.to(kernel.dtype)
    diagonal = kernel.diagonal()
    across = a @ kernel
    means = []
    for w, row in ((a, across), (b, b @ kernel)):
        pairs = w.sum(-1).square() - w.square().sum(-1)
        if bool((pairs <= 0).any()):
            raise ValueError(
                "expected at least 2 members on either side, got 1; give more members"
            )
        means.append(((row * w).sum(-1) - w.square() @ diagonal) / pairs)
    between = ((across * b).sum(-1) - (a * b) @ diagonal) / (
        a.sum(-1) * b.sum(-1) - (a * b).sum(-1)
    )
    return means[0] + means[1] - 2 * between


def nearest(
    fields: Float[Tensor, "member variable ..."],
    training: Float[Tensor, "example variable ..."],
    grid: Grid,
    translations: bool = True,
) -> Float[Tensor, " member"]:
    """Every member's root mean square distance to the nearest training member, float64.

    With `translations` any periodic shift of a training member counts as that member; between
    walls there are none.

    >>> u = torch.randn(4, 1, 16, 16)
    >>> nearest(u[:2].roll(5, -1), u, Grid((16, 16))).max().item() < 1e-3
    True
    """
    own, theirs = (x.double().square().flatten(1).sum(1) for x in (fields, training))
    if translations and grid.periodic:
        best = _best_shift(fields, training, grid, own, theirs)
    else:
        d2 = own[:, None] + theirs[None, :] - 2 * _gram(fields, training)
        best = d2.amin(1)
    return (best.clamp_min(0) / fields[0].numel()).sqrt()


def _gram(a: Tensor, b: Tensor) -> Tensor:
    x, y = a.flatten(1), b.flatten(1)
    out = torch.zeros(len(x), len(y), dtype=torch.float64)
    step = max(1, BLOCK // max(len(x), len(y)))
    for part, other in zip(x.split(step, 1), y.split(step, 1), strict=True):
        out += part.double() @ other.double().T
    return out


def _best_shift(
    fields: Tensor, training: Tensor, grid: Grid, own: Tensor, theirs: Tensor
) -> Tensor:
    """The smallest |u|^2 + |v|^2 - 2 max_shift <u, v shifted>, over training members v."""
    coarse = replace(grid, shape=tuple(min(n, COARSE[grid.ndim]) for n in grid.shape))
    u, v = (coarse.fft(grid.resample(x.float(), coarse)) for x in (fields, training))
    pairs = max(1, BLOCK // (u[0].numel() + coarse.size))
    rows, columns = max(1, pairs // len(v)), min(len(v), pairs)
    near = torch.empty(len(u), len(v))
    for i, j in product(range(0, len(u), rows), range(0, len(v), columns)):
        cross = (u[i : i + rows, None].conj() * v[None, j : j + columns]).sum(2)
        near[i : i + rows, j : j + columns] = coarse.ifft(cross).flatten(2).amax(2)
    d2 = own[:, None] + theirs[None, :] - 2 * grid.size * near.double()
    chosen = d2.topk(min(CANDIDATES, len(v)), dim=1, largest=False).indices
    best = torch.empty_like(own)
    step = max(1, BLOCK // (fields[0].numel() * chosen.shape[1] * 2))
    for i in range(0, len(fields), step):
        at = chosen[i : i + step]
        u_hat, v_hat = (grid.fft(x.double()) for x in (fields[i : i + step], training[at]))
        lag = grid.ifft((u_hat[:, None].conj() * v_hat).sum(2)).flatten(2).amax(2)
        best[i : i + step] = (own[i : i + step, None] + theirs[at] - 2 * grid.size * lag).amin(1)
    return best
