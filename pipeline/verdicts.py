r"""What a score says beside its floor: is the difference more than chance?

floor_mean, floor_sd, floor_q05, floor_q95   mean, deviation and quantiles over the splits
ratio           value / floor_mean; NaN for unbiased estimates (MMD, energy distances), whose
                floor has mean 0
z               (value - floor_mean) / floor_sd
inside          not worse than the floor's 95% quantile (of the distances to training members,
                which are suspicious when they are small: its 5% quantile)
p               (1 + permutations at least as bad) / (1 + permutations): two sets of the same sizes
                drawn from the ensemble, the reference and the rest of the pool together
p_family        the same for the farthest of all scores: see `pushforward.multiplicity`, as
                chance_most (ensemble,), how many scores have p <= 5% by chance
beyond_floor    (ensemble,): whether scores are outside their floors in greater number, or one is
                farther, than scores between sets of the solver's members are
standard_error  over bootstrap resamples of the members of both sides, never of pixels; for
                unbiased estimates near 0 too large, by at most sqrt(3)

A permutation asks for nothing but that all members be of one law, then its p is right whatever
that law is (to units, bandwidths and modes, which are fitted on solver members). What k members
alone have stands on one side in about 2 (n / N)^k of permutations, n of a side and N all members:
so few that this is more than 1% permutations cannot refuse. A split knows only the extremes that
the solver's members hold: where scores hang on few rare members its limits are too near, and
`inside` and `beyond_floor` are a description, not a test.

Efron, Tibshirani, An Introduction to the Bootstrap (1993), doi:10.1201/9780429246593
Phipson, Smyth (permutations, the +1 in p), doi:10.2202/1544-6115.1585
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from pushforward.distances import PAIR_SCORES
from pushforward.multiplicity import LEVEL, family_p, most_by_chance
from pushforward.scores import SampleScore, Score
from pushforward.suite import SUITE

COLUMNS = (
    "value",
    "standard_error",
    "floor_mean",
    "floor_sd",
    "floor_q05",
    "floor_q95",
    "ratio",
    "z",
    "p",
    "p_family",
)


@dataclass(frozen=True)
class Title:
    """What a score is called; `signed`: mean 0 under the null; `small`: small values are bad."""

    title: str
    unit: str
    signed: bool = False
    small: bool = False


NEAREST = {
    "memorisation": Title("Nearest-neighbour ratio", "", small=True),
    "closest_members": Title("Nearest-neighbour ratio, geometric", "", small=True),
}
MEMORY = "closest_members"  # a family of its own
RESIDUAL = {"residual": Title("Residual of the solver's flow", "")}


def titles(suite: Sequence[Score | SampleScore] = SUITE) -> dict[str, Title]:
    """The titles of a suite's scores, then of all that no suite holds, in their order.

    >>> list(titles(()))
    ['mmd', 'riesz_mmd', 'energy_distance', 'memorisation', 'closest_members', 'residual']
    """
    own = {score.name: Title(score.title, score.unit, score.signed) for score in suite}
    pairs = {name: Title(*words, signed=True) for name, words in PAIR_SCORES.items()}
    return own | pairs | NEAREST | RESIDUAL


SIGNED = tuple(name for name, words in titles().items() if words.signed)
SMALL_IS_BAD = tuple(name for name, words in titles().items() if words.small)


@dataclass(frozen=True)
class Drawn:
    """A score of one variable on all draws: null splits; per ensemble those of `Draws.pair`."""

    null: Tensor
    values: Sequence[Tensor]

    def of(self, ensemble: int) -> tuple[Tensor, Tensor, Tensor]:
        """An ensemble's value, its resamples, and as many permutations as there are splits."""
        values, n = self.values[ensemble].double(), len(self.null)
        return values[0], values[1:-n], values[-n:]


Judged = tuple[str, int | None, Drawn]  # a score, the number of its variable (None: all), draws


def verdict(
    value: float, resamples: Tensor, permuted: Tensor, null: Tensor, title: Title
) -> dict[str, Any]:
    """The columns of one score from its value, resamples, permutations, and null splits.

    >>> null = torch.linspace(0, 1, 101)
    >>> row = verdict(2.0, torch.tensor([1.9, 2.1]), 2 * null, null, Title("W1", ""))
    >>> row["inside"], row["ratio"], round(row["p"], 4), round(row["z"], 2)
    (False, 4.0, 0.0196, 5.12)
    """
    # of so few different members that there is none
    resamples, permuted, null = (x[~x.isnan()] for x in (resamples, permuted, null))
    if len(null) == 0:
        value = math.nan
        null = torch.full((1,), math.nan)
    low, high = (torch.quantile(null, q).item() for q in (0.05, 0.95))
    mean = null.mean().item()
    spread = null.std().item() if len(null) > 1 else 0.0
    as_bad = int((permuted <= value).sum() if title.small else (permuted >= value).sum())
    return {
        "value": value,
        "standard_error": resamples.std().item() if len(resamples) > 1 else math.nan,
        "floor_mean": mean,
        "floor_sd": spread,
        "floor_q05": low,
        "floor_q95": high,
        "ratio": math.nan if title.signed or mean == 0 else value / mean,
        "z": (value - mean) / spread if spread > 0 else math.nan,
        "p": math.nan if math.isnan(value) else (1 + as_bad) / (1 + len(permuted)),
        "inside": bool(value >= low if title.small else value <= high),
    }


def table(
    found: Mapping[str, Mapping[str, Drawn]],
    ensembles: Sequence[str],
    words: Mapping[str, Title],
    attributes: Mapping[str, Any],
) -> xr.Dataset:
    """All verdicts, from draws by variable and score: a Dataset (ensemble, variable, score).

    What a variable has no score for, or one that is NaN, is NaN and not inside; a score that no
    variable has is left out.
    """
    known = {
        (variable, name): drawn
        for variable, scores in found.items()
        for name, drawn in scores.items()
        if not all(bool(values[0].isnan()) for values in drawn.values)
    }
    names = [name for name in words if any(name == score for _, score in known)]
    shape = (len(ensembles), len(found), len(names))
    columns = {column: np.full(shape, np.nan) for column in COLUMNS}
    columns["inside"] = np.zeros(shape, dtype=bool)
    at = [(list(found).index(variable), names.index(name)) for variable, name in known]
    for (v, s), (_, name), drawn in zip(at, known, known.values(), strict=True):
        for e in range(len(ensembles)):
            value, resamples, permuted = drawn.of(e)
            row = verdict(value.item(), resamples, permuted, drawn.null, words[name])
            for column, number in row.items():
                columns[column][e, v, s] = number
    most, beyond = np.zeros(len(ensembles), dtype=int), np.zeros(len(ensembles), dtype=bool)
    for e in range(len(ensembles) if known else 0):
        small = [words[name].small for _, name in known]
        own, _, permuted = zip(*(drawn.of(e) for drawn in known.values()), strict=True)
        values, shuffled = torch.stack(own), torch.stack(permuted)
        splits = torch.stack([drawn.null.double() for drawn in known.values()])
        most[e] = most_by_chance(shuffled, small)
        for (v, s), p in zip(at, _by_family(values, shuffled, list(known), small), strict=True):
            columns["p_family"][e, v, s] = p
        there = ~np.isnan(columns["value"][e])
        outside = int((there & ~columns["inside"][e]).sum())
        far = any(p <= LEVEL for p in _by_family(values, splits, list(known), small))
        beyond[e] = far or outside > most_by_chance(splits, small)
    dims = ("ensemble", "variable", "score")
    data: dict[str, Any] = {name: (dims, values) for name, values in columns.items()}
    return xr.Dataset(
        data | {"chance_most": ("ensemble", most), "beyond_floor": ("ensemble", beyond)},
        coords={
            "ensemble": list(ensembles),
            "variable": list(found),
            "score": names,
            "title": ("score", [words[name].title for name in names]),
            "unit": ("score", [words[name].unit for name in names]),
        },
        attrs=dict(attributes),
    )


def _by_family(
    values: Tensor, nulls: Tensor, known: Sequence[tuple[str, str]], small: Sequence[bool]
) -> list[float]:
    """p_family of every known (variable, score), in the family of memory or that of all others."""
    p = torch.full_like(values, torch.nan)
    for of_memory in (True, False):
        family = [i for i, (_, name) in enumerate(known) if (name == MEMORY) == of_memory]
        if family:
            own = family_p(values[family], nulls[family], [small[i] for i in family])
            p[family] = own.to(p)
    return p.tolist()
