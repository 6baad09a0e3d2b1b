"""The scores in families, each with a sentence on what it sees that the others do not.

A room's scores are one family whatever their number; a score that no family knows stands in the
last one, so that none is ever left out of a table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pushforward import classifier, coherence, fluxes, increments, physics, pod, scales, sliced
from pushforward.distances import PAIR_SCORES
from pushforward.scores import SCORES


@dataclass(frozen=True)
class Family:
    """Scores by name, what they are called together, and what they see."""

    title: str
    sees: str
    names: tuple[str, ...]


def _names(scores: Iterable[object]) -> tuple[str, ...]:
    return tuple(str(getattr(score, "name", "")) for score in scores)


FAMILIES = (
    Family(
        "Spectra and scales",
        "How much power there is at each scale, and where the solver has none; blind to phases.",
        ("log_spectral_distance", *_names(scales.SCORES), *_names(coherence.SCORES)),
    ),
    Family(
        "One point",
        "How often each value and each slope occurs, extremes included, wherever it is.",
        tuple(name for name in SCORES if name != "log_spectral_distance"),
    ),
    Family(
        "Increments",
        "How rare and how strong differences are, scale by scale: intermittency.",
        _names(increments.SCORES),
    ),
    Family(
        "Fluxes",
        "What the nonlinear term moves between scales: zero for anything with random phases.",
        _names(fluxes.SCORES),
    ),
    Family(
        "Physics",
        "How amounts that the equation balances vary from member to member, and whether frames "
        "follow from each other.",
        (*_names(physics.SCORES), "residual"),
    ),
    Family(
        "Modes",
        "Mean, variance and law of the largest patterns in space, even where no translation "
        "leaves the law alone.",
        (*_names(pod.SCORES), *_names(sliced.SCORES)),
    ),
    Family(
        "Classifier",
        "Whatever a trained eye can tell members apart by: 0.5 is guessing, 1 is never wrong.",
        _names(classifier.SCORES),
    ),
    Family(
        "Pairs of members",
        "Whole fields at once, in distances between members: modes that are missing or too many.",
        tuple(PAIR_SCORES),
    ),
    Family(
        "Memorisation",
        "Copies of training members, which every other score takes for good.",
        ("memorisation", "closest_members"),
    ),
)
OTHERS = Family("Others", "What belongs to no family.", ())


def grouped(names: Iterable[str]) -> Iterator[tuple[Family, list[str]]]:
    """The families that any of the names belong to, with these names, in the table's order.

    >>> [(family.title, names) for family, names in grouped(["memorisation", "w1", "mine"])]
    [('One point', ['w1']), ('Memorisation', ['memorisation']), ('Others', ['mine'])]
    """
    given = list(names)
    known = {name for family in FAMILIES for name in family.names}
    for family in FAMILIES:
        own = [name for name in family.names if name in given]
        if own:
            yield family, own
    rest = [name for name in given if name not in known]
    if rest:
        yield OTHERS, rest
