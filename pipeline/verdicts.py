r"""What a score says beside its floor: is the difference more than chance?

floor_mean, floor_sd, floor_q05, floor_q95   mean, deviation and quantiles over the splits
ratio           value / floor_mean; NaN for unbiased estimates (MMD, energy distances), whose
                floor has mean 0
z               (value - floor_mean) / floor_sd
p               (1 + splits at least as bad) / (1 + splits)
p_family        the same for the farthest of all scores: see `pushforward.multiplicity`, as the
                attribute `chance_most`, how many scores are outside by chance
inside          not worse than the floor's 95% quantile (memorisation: its 5% quantile, since
                only a small distance to the training members is suspicious)
standard_error  over bootstrap resamples of the members of both sides, never of pixels; for
                unbiased estimates near 0 too large, by at most sqrt(3)

Efron, Tibshirani, An Introduction to the Bootstrap (1993), doi:10.1201/9780429246593
Phipson, Smyth (the +1 in p), Stat. Appl. Genet. Mol. Biol. 9, doi:10.2202/1544-6115.1585
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
from pushforward.multiplicity import family_p, most_by_chance
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


MEMORISATION = Title("Nearest-neighbour ratio", "", small=True)


def titles(suite: Sequence[Score | SampleScore] = SUITE) -> dict[str, Title]:
    """The titles of a suite's scores, of those of pairs, and of memorisation, in their order.

    >>> list(titles(()))
    ['mmd', 'riesz_mmd', 'energy_distance', 'memorisation']
    """
    own = {score.name: Title(score.title, score.unit, score.signed) for score in suite}
    pairs = {name: Title(*words, signed=True) for name, words in PAIR_SCORES.items()}
    return own | pairs | {"memorisation": MEMORISATION}


SIGNED = tuple(name for name, words in titles().items() if words.signed)
SMALL_IS_BAD = tuple(name for name, words in titles().items() if words.small)


@dataclass(frozen=True)
class Drawn:
    """A score of one variable on all draws: null splits; per ensemble its value and resamples."""

    null: Tensor
    values: Sequence[Tensor]


Judged = tuple[str, int | None, Drawn]  # a score, the number of its variable (None: all), draws


def verdict(value: float, resamples: Tensor, null: Tensor, title: Title) -> dict[str, Any]:
    """The columns of one score from its value, its bootstrap resamples and its null splits.

    >>> row = verdict(2.0, torch.tensor([1.9, 2.1]), torch.linspace(0, 1, 101), Title("W1", ""))
    >>> row["inside"], row["ratio"], round(row["p"], 4), round(row["z"], 2)
    (False, 4.0, 0.0098, 5.12)
    """
    # of so few different members that there is none
    resamples, null = (drawn[~drawn.isnan()] for drawn in (resamples, null))
    if len(null) == 0:
        value = math.nan
        null = torch.full((1,), math.nan)
    low, high = (torch.quantile(null, q).item() for q in (0.05, 0.95))
    mean = null.mean().item()
    spread = null.std().item() if len(null) > 1 else 0.0
    as_bad = int((null <= value).sum() if title.small else (null >= value).sum())
    return {
        "value": value,
        "standard_error": resamples.std().item() if len(resamples) > 1 else math.nan,
        "floor_mean": mean,
        "floor_sd": spread,
        "floor_q05": low,
        "floor_q95": high,
        "ratio": math.nan if title.signed or mean == 0 else value / mean,
        "z": (value - mean) / spread if spread > 0 else math.nan,
        "p": (1 + as_bad) / (1 + len(null)),
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
        for e, values in enumerate(drawn.values):
            row = verdict(values[0].item(), values[1:], drawn.null, words[name])
            for column, number in row.items():
                columns[column][e, v, s] = number
    facts = dict(attributes)
    if known:
        nulls = torch.stack([drawn.null.double() for drawn in known.values()])
        small = [words[name].small for _, name in known]
        facts["chance_most"] = most_by_chance(nulls, small)
        for e in range(len(ensembles)):
            own = torch.stack([drawn.values[e][0].double() for drawn in known.values()])
            for (v, s), p in zip(at, family_p(own, nulls, small).tolist(), strict=True):
                columns["p_family"][e, v, s] = p
    dims = ("ensemble", "variable", "score")
    return xr.Dataset(
        {name: (dims, values) for name, values in columns.items()},
        coords={
            "ensemble": list(ensembles),
            "variable": list(found),
            "score": names,
            "title": ("score", [words[name].title for name in names]),
            "unit": ("score", [words[name].unit for name in names]),
        },
        attrs=facts,
    )
