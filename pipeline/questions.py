"""The questions that people ask of ensembles: one door to the rooms that answer them.

    from pushforward import questions

    questions.moments(u)                          mean, deviation, skewness, kurtosis: `moments`
    questions.quantiles(u, [0.05, 0.95])          with intervals
    questions.spread(u)                           how far members are apart
    questions.amount(u, "enstrophy")              a number a field: `amounts`
    questions.spectrum(u)                         its mean square by scales
    questions.circular_variance(u)                how far angles spread, and
    questions.circular_skewness(u)                how lopsidedly: `circular`
    questions.exceedance(x, 3.0)                  how likely, and
    questions.return_levels(x, [100, 1000])       how high: `extremes`
    questions.nearest(u, field)                   which members are like it: `neighbours`
    questions.closest(u, observation)             and which are like what was seen
    questions.coverage(ensemble, truth)           are truths where it says: `reliability`
    questions.compare(a, b, reference=solver)     all scores of two ensembles: `comparison`

Each takes arrays with a dimension `member`, or Datasets of them, and gives labelled arrays. The
same are methods of the accessor, `u.pushforward.moments()`. docs/questions.md has an example and
the interval of each.
"""

from __future__ import annotations

from pushforward.amounts import AMOUNTS, amount, spectrum
from pushforward.circular import circular_skewness, circular_variance
from pushforward.comparison import compare
from pushforward.extremes import exceedance, return_levels
from pushforward.moments import moments, quantiles, spread
from pushforward.neighbours import closest, nearest
from pushforward.reliability import coverage

__all__ = [
    "AMOUNTS",
    "amount",
    "circular_skewness",
    "circular_variance",
    "closest",
    "compare",
    "coverage",
    "exceedance",
    "moments",
    "nearest",
    "quantiles",
    "return_levels",
    "spectrum",
    "spread",
]
