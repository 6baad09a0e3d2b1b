r"""Tails by a law: generalised Pareto excesses over a high threshold, and levels beyond the data.

The k largest of n members exceed the next one, t, by y; their law is taken to be

    P(X - t > y | X > t) = (1 + xi y / sigma)^(-1/xi)        (exp(-y / sigma) at xi = 0),

which is the limit for high thresholds of every law that has one. The level that one member in T
exceeds is then

    z_T = t + sigma / xi ((T zeta)^xi - 1),    zeta = P(X > t), about k / n.

xi, sigma and zeta have the largest likelihood

    l = -k log sigma - (1 + 1/xi) sum log(1 + xi y / sigma) + k log zeta + (n - k) log(1 - zeta),

looked for on a grid that closes in on it. The interval of z_T is its range over all (xi, sigma,
zeta) whose l is at most chi^2_1(confidence) / 2 below the largest: that of the profile likelihood,
which is as skew as what is known of rare levels. xi > -1/2, where likelihoods are regular; of
laws that certainly end more abruptly there is no answer (NaN).

    Pickands, Ann. Stat. 3 (1975), doi:10.1214/aos/1176343003
    Smith, Biometrika 72 (1985), doi:10.1093/biomet/72.1.67
    Coles, An Introduction to Statistical Modeling of Extreme Values (2001), sections 2.6.6, 4.3
    doi:10.1007/978-1-4471-3675-0
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

SHARE, FEWEST, MOST = 0.1, 30, 500  # the tail: a tenth of the members, within these numbers
LEAST, GREATEST = -0.5, 2.0  # of xi
ABRUPT = -0.25  # a law whose xi is certainly below ends more abruptly than a fit here can say
POINTS = 31  # an axis of the grid
FAR = 8.0  # of log-likelihood: what is kept when the grid closes in
NARROWINGS, SHARPENINGS = 2, 3

Array = NDArray[np.float64]


def tail_size(members: int, tail: float | None = None) -> int:
    """How many of the largest members make the tail; 0 where there are too few for one.

    `tail` is a share of the members; without it a tenth, 30 at least and 500 at most, since a
    higher threshold is nearer to the limit. No more than half of them are a tail.

    >>> tail_size(10000), tail_size(112), tail_size(16), tail_size(1000, 0.2)
    (500, 30, 0, 200)
    """
    if tail is not None and not 0 < tail <= 0.5:
        raise ValueError(f"expected a tail of 0 to 0.5 of the members, got {tail:g}; 0.1 is usual")
    wanted = min(max(SHARE * members, FEWEST), MOST) if tail is None else tail * members
    size = round(wanted)
    return size if FEWEST <= size <= members / 2 else 0


def levels(sample: Array, periods: Array, size: int, confidence: float) -> Array:
    """Levels of some periods by a fit to the `size` largest of a sample: (3, period).

    They are the level and the ends of its interval; NaN for periods that lie within the data
    below the tail, and where the tail does not vary.

    >>> draws = stats.expon.ppf((np.arange(1000) + 0.5) / 1000)
    >>> levels(draws, np.array([1e4]), 100, 0.95)[0].round(0)          # log 1e4 = 9.2
    array([9.])
    """
    s = np.sort(sample)
    threshold, y = s[-size - 1], s[-size:] - s[-size - 1]
    none = np.full((3, len(periods)), np.nan)
    if size == 0 or not np.isfinite(s).all() or not y[-1] > 0:
        return none
    mean, share = y.mean(), size / len(s)
    y, drop = y / mean, stats.chi2.ppf(confidence, 1) / 2
    xi, log_sigma, likelihood = _closed_in(y, max(FAR, float(drop)))
    best = _sharpened(y, xi, log_sigma, likelihood)
    highest = max(likelihood.max(), best[2])
    slack = likelihood - (highest - drop)
    kept = slack >= 0
    if best[0] <= LEAST + 1e-6 and xi[kept].max() < ABRUPT:
        return none
    low, high = _rates(size, len(s), slack[kept])
    found = [
        _level(*best[:2], np.array(share), periods),
        np.minimum.reduce(_level(xi[kept], log_sigma[kept], low, periods), initial=np.inf),
        np.maximum.reduce(_level(xi[kept], log_sigma[kept], high, periods), initial=-np.inf),
    ]
    # the grid has no point on the largest likelihood itself
    found[1], found[2] = np.minimum(found[1], found[0]), np.maximum(found[2], found[0])
    return np.where(periods * share < 1, none, threshold + mean * np.stack(found))


def _level(xi: Array, log_sigma: Array, rate: Array, periods: Array) -> Array:
    """Excesses (point, period) that are exceeded once in so many members."""
    log_odds = np.log(np.multiply.outer(rate, periods))
    # sigma (exp(xi l) - 1) / xi, smooth at xi = 0
    return np.exp(log_sigma)[..., None] * log_odds * special.exprel(xi[..., None] * log_odds)


def _likelihood(y: Array, xi: Array, log_sigma: Array) -> Array:
    """The log-likelihood of excesses; -inf where one of them is beyond the law's end."""
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.multiply.outer(np.exp(-log_sigma), y)
        inside = 1 + xi[..., None] * share
        # log(1 + xi v) / xi, which is v at xi = 0
        small = np.abs(xi[..., None]) < 1e-8
        scaled = np.where(small, share, np.log1p(xi[..., None] * share) / xi[..., None])
        total = -len(y) * log_sigma - ((1 + xi[..., None]) * scaled).sum(-1)
    return np.where((inside > 0).all(-1), total, -np.inf)


def _closed_in(y: Array, far: float) -> tuple[Array, Array, Array]:
    """A grid of (xi, log sigma) over what is at most so far below the largest likelihood."""
    box = [(LEAST, GREATEST), (-3.0, 2.0)]
    for narrowing in range(NARROWINGS + 1):
        xi, log_sigma = (part.ravel() for part in _mesh(box))
        likelihood = _likelihood(y, xi, log_sigma)
        if narrowing == NARROWINGS:
            break
        kept = likelihood >= likelihood.max() - far
        box = [
            (max(part[kept].min() - step, least), min(part[kept].max() + step, most))
            for part, (least, most) in ((xi, box[0]), (log_sigma, box[1]))
            for step in [(most - least) / (POINTS - 1)]
        ]
    return xi, log_sigma, likelihood


def _sharpened(
    y: Array, xi: Array, log_sigma: Array, likelihood: Array
) -> tuple[Array, Array, float]:
    """The place of the largest likelihood, on finer and finer grids around the best point."""
    widths = [np.ptp(part) / (POINTS - 1) for part in (xi, log_sigma)]
    place = int(likelihood.argmax())
    centre = [float(xi[place]), float(log_sigma[place])]
    for _ in range(SHARPENINGS):
        box = [(c - 2 * w, c + 2 * w) for c, w in zip(centre, widths, strict=True)]
        a, b = (part.ravel() for part in _mesh(box, 9))
        a = np.maximum(a, LEAST)
        near = _likelihood(y, a, b)
        place = int(near.argmax())
        centre, widths = [float(a[place]), float(b[place])], [w / 2 for w in widths]
    return np.array(centre[0]), np.array(centre[1]), float(near.max())


def _mesh(box: list[tuple[float, float]], points: int = POINTS) -> tuple[Array, ...]:
    return tuple(np.meshgrid(*(np.linspace(a, b, points) for a, b in box)))


def _rates(size: int, total: int, slack: Array) -> tuple[Array, Array]:
    """The least and the largest rate of excesses that cost at most so much log-likelihood."""
    here = size / total
    deviation = 1 / np.sqrt(size * (1 - here))
    away = np.linspace(0, 4 * deviation, 201)
    ends = []
    for sign in (-1, 1):
        rate = special.expit(special.logit(here) + sign * away)
        cost = size * np.log(here / rate) + (total - size) * np.log((1 - here) / (1 - rate))
        ends.append(np.interp(slack, cost, rate))
    return ends[0], ends[1]
