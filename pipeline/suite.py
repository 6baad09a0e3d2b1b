"""All scores that an ensemble is judged by, in the order of the table.

A room of scores exports a tuple of `Score` and `SampleScore` values; here it is only listed. The
scores of pairs of members and memorisation, which are made otherwise, are added in
`pushforward.floors`.
"""

from __future__ import annotations

from pushforward import classifier, coherence, fluxes, increments, physics, pod, scales, sliced
from pushforward.scores import SCORES, SampleScore, Score

SUITE: tuple[Score | SampleScore, ...] = (
    *SCORES.values(),
    *scales.SCORES,
    *coherence.SCORES,
    *increments.SCORES,
    *fluxes.SCORES,
    *physics.SCORES,
    *pod.SCORES,
    *sliced.SCORES,
    *classifier.SCORES,
)
