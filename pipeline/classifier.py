r"""The classifier two-sample test: can a trained eye tell generated members from the solver's?

Every member becomes a list of numbers: log powers in bands of shells; mean, variance, skewness,
flatness and extremes of values and the same of slopes; log structure functions and signed third
moments of increments; POD coefficients and their squares; and, since phases carry what these do
not, responses of the spectrally whitened field to fixed random filters (`pushforward.features`).
On k - 1 of k = 5 folds a ridge linear discriminant

    w = (S + lambda (tr S / d) I)^{-1} (m_a - m_b),        lambda = d / n,

S the covariance within the two sides, d features, n members trained on, is fitted in closed form,
and orders the members of the fold left out:

    classifier_auc = P(w . x_a > w . x_b), ties half, the mean over folds weighted by their pairs:

0.5 where no linear rule in these features can tell, 1 where one always can. A member counted more
than once stays within one fold, and the folds of either side are equal in number, so that under
the null every fold's ordering is independent of what it is asked: the mean is 0.5 exactly.
Features are in units of their standard deviations over the members of all draws, which no side
decides; a feature farther than 1000 quartile distances from the median counts as that far, so that
a member that has blown up leaves digits to the others.

    Lopez-Paz, Oquab, Revisiting classifier two-sample tests (2017), arXiv:1610.06545
    Hanley, McNeil (the AUC), Radiology 143 (1982), doi:10.1148/radiology.143.1.7063747
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.features import features
from pushforward.scores import SampleScore

FOLDS = 5
FAR = 1000.0  # quartile distances beyond which a feature is cut off
CHUNK = 2**23  # numbers worked on at once


def held_out_auc(
    x: Float[Tensor, "member feature"],
    a: Float[Tensor, "draw member"],
    b: Float[Tensor, "draw member"],
    ridge: float | None = None,
) -> Float[Tensor, " draw"]:
    """How well members counted by a are told from those counted by b: (draw,), float64.

    `ridge` is lambda, by default features over members trained on. A draw with fewer different
    members on a side than folds has no answer: NaN.

    >>> x = torch.arange(20.0)[:, None]
    >>> a = (torch.arange(20) >= 10).double()[None]
    >>> held_out_auc(x, a, 1 - a).item()
    1.0
    """
    enough = torch.minimum((a > 0).sum(1), (b > 0).sum(1)) >= FOLDS
    auc = torch.full((len(a),), torch.nan, dtype=torch.float64)
    if not bool(enough.any()):
        return auc
    a, b = a[enough], b[enough]
    used = ((a > 0) | (b > 0)).any(0)
    x, a, b = x[used].double(), a[:, used].double(), b[:, used].double()
    x = _within_reach(x)
    x = x - x.mean(0)
    x = x / x.std(0, correction=0).clamp_min(1e-12 * x.abs().amax(0)).clamp_min(1e-300)
    step = max(1, CHUNK // (x.numel() + FOLDS * x.shape[1] ** 2))
    parts = [_auc(x, a[i : i + step], b[i : i + step], ridge) for i in range(0, len(a), step)]
    auc[enough] = torch.cat(parts)
    return auc


def _within_reach(x: Tensor) -> Tensor:
    """Features cut off at `FAR`; what is not finite lies at the end of what is."""
    known = torch.where(x.isfinite(), x, torch.nan)
    low, median, high = torch.nanquantile(known, x.new_tensor([0.25, 0.5, 0.75]), dim=0)
    reach = FAR * torch.maximum(high - median, median - low)
    cut = torch.where(reach > 0, x.clamp(median - reach, median + reach), x)
    return torch.where(x.isnan() | cut.isinf(), median + reach, cut).nan_to_num()


def _auc(x: Tensor, a: Tensor, b: Tensor, ridge: float | None) -> Tensor:
    folds = _folds(a, b)
    values = _held_out(x, a, b, folds, ridge)
    return _ordered(values, folds, a, b)


def _folds(a: Tensor, b: Tensor) -> Tensor:
    """Every member's fold in every draw: the different members of a side, dealt out in turn."""
    ours, theirs = a > 0, (b > 0) & (a == 0)
    return torch.where(ours, ours.cumsum(1), theirs.cumsum(1)) % FOLDS


def _held_out(x: Tensor, a: Tensor, b: Tensor, folds: Tensor, ridge: float | None) -> Tensor:
    """w . x of every member (draw, member), w from the folds that it is not in."""
    inside = torch.nn.functional.one_hot(folds, FOLDS).to(x.dtype).movedim(-1, 1)
    sums = [
        ((w[:, None] * inside).sum(-1), (w[:, None] * inside) @ x) for w in (a, b)
    ]  # (draw, fold), (draw, fold, feature)
    squares = _squares(x, a + b, folds)
    within = squares.sum(1, keepdim=True) - squares
    means, total = [], x.new_zeros(len(a), FOLDS)
    for count, s in sums:
        n = count.sum(1, keepdim=True) - count
        mean = (s.sum(1, keepdim=True) - s) / n[..., None]
        within -= n[..., None, None] * mean[..., :, None] * mean[..., None, :]
        means.append(mean)
        total += n
    within /= total[..., None, None]
    d = x.shape[1]
    strength = d / total if ridge is None else torch.full_like(total, ridge)
    diagonal = within.diagonal(dim1=-2, dim2=-1)
    diagonal += (strength * diagonal.mean(-1) + 1e-12)[..., None]
    w = torch.cholesky_solve((means[0] - means[1])[..., None], torch.linalg.cholesky(within))
    w = w[..., 0]
    return (x @ w.mT).gather(2, folds[..., None])[..., 0]


def _squares(x: Tensor, weights: Tensor, folds: Tensor) -> Tensor:
    """Weighted sums of x x^T over the members of each fold: (draw, fold, feature, feature)."""
    out = x.new_zeros(len(weights), FOLDS, x.shape[1], x.shape[1])
    for i, (w, fold) in enumerate(zip(weights, folds, strict=True)):
        for k in range(FOLDS):
            rows = ((w > 0) & (fold == k)).nonzero().flatten()
            y = x[rows]
            torch.mm(y.T, y * w[rows, None], out=out[i, k])
    return out


def _ordered(values: Tensor, folds: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """The share of pairs (a, b) within a fold that the values put in order, ties half."""
    fold, value, none = torch.cat([folds, folds], 1), torch.cat([values, values], 1), 0 * a
    order = value.sort(stable=True, dim=1).indices
    order = order.gather(1, fold.gather(1, order).sort(stable=True, dim=1).indices)
    fold = fold.gather(1, order)
    shares = []
    for sides in ((a, none, none, b), (none, a, b, none)):  # of equals a's come first, then b's
        ours, theirs = (torch.cat(w, 1).gather(1, order) for w in (sides[:2], sides[2:]))
        sizes = [torch.zeros_like(a[:, :FOLDS]).scatter_add_(1, fold, w) for w in (ours, theirs)]
        mine, yours = sizes
        before = (yours.cumsum(1) - yours).gather(1, fold)  # in earlier folds
        right = (ours * (theirs.cumsum(1) - before)).sum(1)
        shares.append(right / (mine * yours).sum(1))
    return (shares[0] + shares[1]) / 2


SCORES = (SampleScore("classifier_auc", "Classifier (held-out AUC)", "", features, held_out_auc),)
