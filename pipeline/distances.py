r"""Scores of pairs of members: MMD and energy distances.

For a kernel k the unbiased estimate (a U-statistic) of the squared distance between two laws is

    mean_{i != i'} k(a_i, a_i') + mean_{j != j'} k(b_j, b_j') - 2 mean_{i, j} k(a_i, b_j),

which has mean 0 when the laws are the same: it can be negative, and only its distribution under
the null says anything. Here d^2 is a mean square over the points and the variables:

    energy_distance  k = -d, d between standardised fields; in units of sigma
    riesz_mmd        k = -d, d between spectrally whitened fields (`Yardstick.whiten`: every
                     resolved shell counts the same): no bandwidth to choose
    mmd              k = mean over s in {1/4, 1/2, 1, 2, 4} of exp(-d^2 / (2 s^2 m^2)), Gaussian
                     kernels on the same whitened fields, m^2 the median d^2 of the solver's own
                     pairs. The narrow kernels matter: in many dimensions all d^2 lie near m^2, and
                     only a kernel that is curved there sees more than mean and size.

The values of the last two are squared distances. Pairs grow with the square of the members, so
at most `PAIRS` members of a side are paired, and twice as many of the pool; their distances are
taken between blocks of members, and only the matrix of one group is held. Weights count how often
a member is drawn; a member is never paired with itself, which keeps a bootstrap centred.

    Gretton et al., JMLR 13 (2012), jmlr.org/papers/v13/gretton12a.html
    Szekely, Rizzo, J. Stat. Plan. Inference 143 (2013), doi:10.1016/j.jspi.2013.03.018
    Hertrich et al. (Riesz kernels), arXiv:2305.11463
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.members import Members
from pushforward.threads import one_thread
from pushforward.yardstick import BLOCK, Yardstick, blocks

PAIRS = 1024  # members of a side
WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)
HELD = 2**24  # numbers of a block whose distances are taken
MEDIAN = 256  # members whose distances make the bandwidth
PAIR_SCORES = {
    "mmd": ("MMD² (unbiased)", ""),
    "riesz_mmd": ("MMD², Riesz kernel (unbiased)", ""),
    "energy_distance": ("Energy distance (unbiased)", "σ"),
}


def pair_values(
    members: Members,
    a: Float[Tensor, "draw member"],
    b: Float[Tensor, "draw member"],
    sticks: Sequence[Yardstick],
    scales: Sequence[float],
) -> dict[tuple[str, int | None], Tensor]:
    """The scores of pairs of members counted by a and by b: (draw,) by name and variable.

    The number of the variable is None for all together, where there are several; each then weighs
    the same. `scales` are the bandwidths of `median_scales`.

    >>> from pushforward.solvers import Grid
    >>> u = torch.randn(6, 1, 8, 8)
    >>> stick = Yardstick.fit(u[:, 0], Grid((8, 8)))
    >>> a = torch.tensor([[1.0, 1, 1, 0, 0, 0]])
    >>> found = pair_values(Members.of(u), a, a.flip(1), [stick], [1.0])
    >>> sorted(found)
    [('energy_distance', 0), ('mmd', 0), ('riesz_mmd', 0)]
    """
    found: dict[tuple[str, int | None], Tensor] = {}
    totals: list[Tensor] = []

    def judge(squared: Sequence[Tensor], v: int | None, scale: float) -> None:
        plain, white = squared
        found["energy_distance", v] = u_statistic(-plain.sqrt(), a, b)
        found["riesz_mmd", v] = u_statistic(-white.sqrt(), a, b)
        found["mmd", v] = u_statistic(gaussian_kernel(white, scale), a, b)

    with one_thread():
        for v, stick in enumerate(sticks):
            squared = [_of_blocks(members, feature, v) for feature in _features(stick)]
            judge(squared, v, scales[v])
            if len(sticks) > 1:
                totals = [s + t for s, t in zip(squared, totals, strict=True)] if v else squared
        if len(sticks) > 1:
            judge([t / len(sticks) for t in totals], None, scales[-1])
    return found


def median_scales(pool: Members, sticks: Sequence[Yardstick]) -> list[float]:
    """The median d^2 of whitened pairs among the first 256 solver members, by variable.

    Where there are several variables the last number is that of all together.
    """
    few = pool[:MEDIAN]
    squared = [_of_blocks(few, _features(stick)[1], v) for v, stick in enumerate(sticks)]
    if len(sticks) > 1:
        squared.append(torch.stack(squared).mean(0))
    return [median(d2) for d2 in squared]


def squared_distances(fields: Float[Tensor, "member ..."]) -> Float[Tensor, "member member"]:
    """The mean square differences between members, float64.

    >>> squared_distances(torch.tensor([[0.0, 0.0], [1.0, 3.0]]))
    tensor([[0., 5.],
            [5., 0.]], dtype=torch.float64)
    """
    return _squared(gram(fields, fields), fields[0].numel())


def gaussian_kernel(d2: Tensor, scale: float) -> Float[Tensor, "member member"]:
    """The mean of five Gaussian kernels of squared distances, with m^2 = `scale`.

    >>> gaussian_kernel(torch.zeros(1), 1.0)
    tensor([1.])
    """
    kernel = torch.zeros_like(d2)
    for width in WIDTHS:
        kernel += torch.exp(d2 / (-2 * width**2 * scale))
    return kernel / len(WIDTHS)


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


def gram(a: Float[Tensor, "member ..."], b: Float[Tensor, "other ..."]) -> Tensor:
    """All inner products (member, other), float64, in the memory of a few columns.

    >>> gram(torch.ones(1, 3), torch.tensor([[1.0, 2.0, 3.0]])).item()
    6.0
    """
    x, y = a.flatten(1), b.flatten(1)
    out = torch.zeros(len(x), len(y), dtype=torch.float64)
    step = max(1, BLOCK // max(len(x), len(y)))
    for part, other in zip(x.split(step, 1), y.split(step, 1), strict=True):
        out.addmm_(part.double(), other.double().T)
    return out


def _features(stick: Yardstick) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    return stick.standardise, stick.whiten


def _of_blocks(members: Members, feature: Callable[[Tensor], Tensor], variable: int) -> Tensor:
    """The squared distances of all members from blocks of them, of which two are held."""
    number = members.read(0, 1)[0].numel()
    size = max(1, HELD // number)

    def features(part: Members) -> Tensor:
        fields = part.read(0, part.count)[:, variable]
        return torch.cat([feature(block).float() for block in blocks(fields)])

    inner = torch.empty(len(members), len(members), dtype=torch.float64)
    points = 1
    for i, rows in members.blocks(size):
        x = features(rows)
        points = x[0].numel()
        for j, columns in members[i:].blocks(size):
            y = x if j == 0 else features(columns)
            product = gram(x, y)
            inner[i : i + len(x), i + j : i + j + len(y)] = product
            inner[i + j : i + j + len(y), i : i + len(x)] = product.T
    return _squared(inner, points)


def _squared(inner: Tensor, points: int) -> Tensor:
    norm = inner.diagonal()
    d2 = (norm[:, None] + norm[None, :] - 2 * inner).clamp_min(0) / points
    return d2.fill_diagonal_(0)
