r"""Confidence intervals that hold for any law: of proportions, of quantiles, and of both at once.

Members are independent draws of one law; nothing else is assumed. With alpha = 1 - confidence:

    a proportion    c of n: the alpha/2 quantile of Beta(c, n - c + 1) and the 1 - alpha/2
                    quantile of Beta(c + 1, n - c). Clopper and Pearson's interval covers at least
                    what it says, for every n and p. Wilson's is shorter, and covers less than it
                    says where p is about 1/n, which is where rare events are asked for

    a quantile      K ~ Binomial(n, q) of the members lie at or below the q-quantile, so that it
                    lies between the order statistics x_(l) and x_(u), l the alpha/2 quantile of K
                    and u - 1 its 1 - alpha/2 quantile. Where there are too few members to say, the
                    end is infinite

    a proportion    beyond the q-quantile of another law, of which m members are known: K ~
    beyond a        Binomial(m, q) of these lie at or below it, so it lies between y_(K) and
    quantile        y_(K+1), and C_{K+1} to C_K of the n members lie beyond it. The ends solve

                        sum_K P(K) F_Beta(low;  C_{K+1}, n - C_{K+1} + 1) = alpha/2
                        sum_K P(K) F_Beta(high; C_K + 1, n - C_K)         = 1 - alpha/2

                    Clopper and Pearson's interval, averaged over where the quantile may be: it is
                    theirs for m -> infinity, and the quantile's own for n -> infinity. That it
                    covers in between is seen by trial (tests/pipeline/test_extremes.py)

    Clopper, Pearson, Biometrika 26 (1934), doi:10.1093/biomet/26.4.404
    Brown, Cai, DasGupta, Statistical Science 16 (2001), doi:10.1214/ss/1009213286
    David, Nagaraja, Order Statistics (2003), section 7.1, doi:10.1002/0471722162
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

EDGES = 200  # order statistics at which members beyond are counted, at most
LEFT = 1e-9  # probability of places that are not looked at
HALVINGS = 50

Array = NDArray[np.float64]


def check_confidence(confidence: float) -> float:
    """The confidence, if it is a share."""
    if not 0 < confidence < 1:
        raise ValueError(
            f"expected a confidence between 0 and 1, got {confidence:g}; 0.95 is usual"
        )
    return confidence


def proportion(count: Any, total: Any, confidence: float) -> tuple[Array, Array]:
    """Clopper and Pearson's interval of the probability of what happened `count` times.

    >>> low, high = proportion(np.array([0, 5]), 10, 0.95)
    >>> low.round(3), high.round(3)
    (array([0.   , 0.187]), array([0.308, 0.813]))
    """
    c, n = np.asarray(count, float), np.asarray(total, float)
    tail = (1 - check_confidence(confidence)) / 2
    low = special.betaincinv(np.maximum(c, 1e-300), n - c + 1, tail)
    high = special.betaincinv(c + 1, np.maximum(n - c, 1e-300), 1 - tail)
    return np.where(c > 0, low, 0.0), np.where(c < n, high, 1.0)


def order_statistics(total: int, q: Array, confidence: float) -> NDArray[np.int64]:
    """The ranks of the members that quantiles lie between, (end, quantile); 0, total + 1 are none.

    >>> order_statistics(100, np.array([0.5, 0.999]), 0.95).tolist()
    [[40, 99], [61, 101]]
    """
    tail = (1 - check_confidence(confidence)) / 2
    low, high = (stats.binom.ppf(share, total, q) for share in (tail, 1 - tail))
    return np.stack([low, high + 1]).astype(int)


def places(total: int, q: float) -> tuple[NDArray[np.int64], Array]:
    """Ranks that a q-quantile may lie between, and how likely it lies behind each but the last.

    >>> ranks, likely = places(3, 0.5)
    >>> ranks, likely
    (array([0, 1, 2, 3, 4]), array([0.125, 0.375, 0.375, 0.125]))
    """
    first, last = (int(stats.binom.ppf(share, total, q)) for share in (LEFT, 1 - LEFT))
    ranks = np.unique(np.linspace(max(first, 0), last + 1, EDGES).round().astype(int))
    below = stats.binom.cdf(ranks - 1, total, q)
    return ranks, np.diff(below) / (below[-1] - below[0])


def beyond_quantile(
    beyond: Array, likely: Array, total: int, confidence: float
) -> tuple[Array, Array]:
    """The interval of the probability to lie beyond a quantile that is itself estimated.

    `beyond` (..., rank) counts members beyond the order statistics of `places`.

    >>> beyond_quantile(np.array([[5.0, 5.0]]), np.array([1.0]), 10, 0.95)[0].round(3)
    array([0.187])
    """
    tail = (1 - check_confidence(confidence)) / 2
    later, earlier = beyond[..., 1:], beyond[..., :-1]

    def short(p: Array) -> Array:
        # what has no members beyond has no probability either: its whole law lies at 0
        share = special.betainc(np.maximum(later, 1e-300), total - later + 1, p[..., None])
        return (np.where(later > 0, share, 1.0) * likely).sum(-1)

    def long(p: Array) -> Array:
        share = special.betainc(earlier + 1, np.maximum(total - earlier, 1e-300), p[..., None])
        return (np.where(earlier < total, share, 0.0) * likely).sum(-1)

    shape = beyond.shape[:-1]
    return _where(short, tail, shape), _where(long, 1 - tail, shape)


def _where(share: Any, level: float, shape: tuple[int, ...]) -> Array:
    """Where a rising function of [0, 1] reaches a level, by halving."""
    low, high = np.zeros(shape), np.ones(shape)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        reached = share(middle) >= level
        low, high = np.where(reached, low, middle), np.where(reached, middle, high)
    return np.where(share(np.zeros(shape)) >= level, 0.0, high)
