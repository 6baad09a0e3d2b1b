r"""Scores beside the solver's own floor: everything that is compared, measured and judged.

Any two finite ensembles differ, also two of the solver's. Every score of the generated members
against the reference is therefore put beside the same statistic between two disjoint sets of the
same sizes, drawn `splits` times from the pool of held-out solver members (`pushforward.verdicts`
says what follows from it). Both sides hold the same number of members: every distance falls with
it. Whether the difference is more than chance is asked of permutations: as many pairs of sets,
drawn from the ensemble, the reference and the rest of the pool together. The larger the pool, the
rarer the defects that they see: what k of n members alone have stands on one side in 2 (n / N)^k
of them, N all members, which is below 1% from k = 4 where the pool is four times as large as n.

Members are read in blocks (`pushforward.sums`); what is drawn are weights (`pushforward.draws`),
so hundreds of splits are one matrix product. Scores of pairs, the nearest-neighbour ratio and
`limited` sample scores see at most `pairs` members a side and twice as many of the pool.

Where there are several variables, `joint` holds what is of all of them together, and NaN for the
others; in scores of pairs each variable then weighs the same.

What a score has to fit, it fits on solver members alone: units on the first of the pool, and modes
on the training members, since a mode holds more variance of the members that it was fitted to
than of others. Without `training` there are no modes, no scores of modes, and no memorisation.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from numbers import Integral
from typing import Any

import xarray as xr
from torch import Tensor

from pushforward.blocks import Map, mapping
from pushforward.distances import PAIRS
from pushforward.draws import Draws
from pushforward.members import Members
from pushforward.paired import Paired
from pushforward.pod import Pod
from pushforward.scores import SampleScore, Score
from pushforward.solvers import Grid
from pushforward.suite import SUITE
from pushforward.summed import Summed
from pushforward.sums import Sums, suitable
from pushforward.verdicts import Drawn, Judged, table, titles
from pushforward.yardstick import Yardstick, fitted, is_vorticity

JOINT = "joint"  # the variable that stands for all of them
LEAST = {"splits": 1, "bootstrap": 0, "seed": 0, "pairs": 2, "workers": 1}
ALONE = 2**24  # numbers up to which processes cost more than they save


@dataclass(frozen=True)
class Settings:
    """How ensembles are compared, as in `measure`; without `told` there is no progress bar."""

    splits: int = 200
    bootstrap: int = 200
    seed: int = 0
    pairs: int = PAIRS
    translations: bool = True
    suite: tuple[Score | SampleScore, ...] = SUITE
    run: Map = map
    workers: int = 1
    told: str = ""

    def __post_init__(self) -> None:
        for name, least in LEAST.items():
            value = getattr(self, name)
            if not isinstance(value, Integral) or value < least:
                raise ValueError(
                    f"expected a whole number of at least {least} as {name}, got {value!r}; "
                    "raise it or leave it out"
                )

    def draws(self, ensembles: Mapping[str, Members], size: int, pool: int, others: int) -> Draws:
        """Splits, resamples and permutations for sets of this size, as `Draws.make`."""
        options = {"splits": self.splits, "bootstrap": self.bootstrap, "seed": self.seed}
        return Draws.make(ensembles, size, pool, others, **options)


PLAIN = Settings()


def measure(
    ensembles: Mapping[str, Tensor | Members],
    reference: Tensor | Members | None,
    pool: Tensor | Members,
    grid: Grid,
    variables: Sequence[str],
    *,
    training: Tensor | Members | None = None,
    **settings: Any,
) -> xr.Dataset:
    """Every score of every ensemble, with error and floor: a Dataset (ensemble, variable, score).

    All members are (member, variable, *grid); all ensembles and the reference hold as many. The
    `pool` holds held-out solver members, at least twice as many; a `reference` of None is its last
    members. `training` is what the model learnt from. `settings` are those of
    `Settings`: `translations` says that the law does not change under periodic shifts, `pairs`
    bounds the members a side in scores of pairs, and blocks of members go through `run`, or
    through `workers` processes, which changes nothing in the result.

    Raises ValueError for sizes that cannot be compared and for members that are not finite.

    >>> import torch
    >>> u = torch.randn(64, 1, 8, 8)
    >>> scores = measure({"mine": u[:16]}, u[16:32], u[32:], Grid((8, 8)), ["u"], splits=20)
    >>> scores.sizes["ensemble"], scores.value.sel(score="w1").item() < 1
    (1, True)
    """
    given = Settings(**settings)
    return examine(ensembles, reference, pool, grid, variables, training, given).scores


@dataclass(frozen=True)
class Examined:
    """The scores, and the yardsticks and sums that they were made of: plain, then resampled."""

    scores: xr.Dataset
    sticks: tuple[Yardstick, ...]
    ensembles: dict[str, Sums]
    reference: Sums


def examine(
    ensembles: Mapping[str, Tensor | Members],
    reference: Tensor | Members | None,
    pool: Tensor | Members,
    grid: Grid,
    variables: Sequence[str],
    training: Tensor | Members | None = None,
    settings: Settings = PLAIN,
    further: Iterable[Judged] = (),
) -> Examined:
    """As `measure`, with what the curves of a report are made of.

    `further` are scores that are judged together with the others, on as many draws.
    """
    sets = {name: Members.of(fields) for name, fields in ensembles.items()}
    size, everyone = _size(sets), Members.of(pool)
    own = everyone[len(everyone) - size :] if reference is None else Members.of(reference)
    if len(own) != size:
        raise ValueError(
            f"expected as many reference members as an ensemble's {size}, got {len(own)}; "
            "distances fall with either number, take as many of each"
        )
    examples = None if training is None else Members.of(training)
    sticks = yardsticks(everyone, grid, variables, examples)
    total, others = len(everyone), len(everyone) - (size if reference is None else 0)
    draws = settings.draws(sets, size, total, others)
    pairs = settings.pairs
    few = settings.draws(sets, min(size, pairs), min(total, 2 * pairs), min(others, pairs))
    apart, translations = None if reference is None else own, settings.translations
    found: dict[str, dict[str, Drawn]] = {name: {} for name in variables}
    if len(variables) > 1:
        found[JOINT] = {}
    numbers = (len(sets) * size + len(everyone)) * grid.size * len(variables)
    workers = settings.workers if numbers > ALONE else 1
    with mapping(suitable(settings.run, [*sets.values(), everyone, own]), workers) as run:
        options = {"run": run, "told": settings.told}
        summed = Summed(sets, apart, everyone, draws, settings.suite, sticks, grid, **options)
        if twice := summed.doubled():
            warnings.warn(
                f"expected no member twice, got some among {', and '.join(twice)}, which makes "
                "floors and p too small; give each of them once",
                stacklevel=3,
            )
        paired = Paired(sets, own, everyone, few, sticks, **options)
        nearest = () if examples is None else paired.nearest(examples, grid, translations)
        of_sums, of_samples = summed.scores(), summed.samples(few)
        for name, v, drawn in chain(of_sums, of_samples, paired.scores(), nearest, further):
            found[JOINT if v is None and JOINT in found else variables[v or 0]][name] = drawn
    facts = {
        "members": size,
        "pool": len(everyone),
        "splits": settings.splits,
        "bootstrap": settings.bootstrap,
        "seed": settings.seed,
        "pairs": paired.size,
        "fitted": min(len(everyone), fitted(grid)),
    }
    scores = table(found, list(sets), titles(settings.suite), facts)
    plain = 1 + settings.bootstrap
    own_sums = {name: sums.head(plain) for name, sums in summed.ensembles.items()}
    return Examined(scores, sticks, own_sums, summed.solver.head(plain))


def yardsticks(
    pool: Members, grid: Grid, variables: Sequence[str], training: Members | None = None
) -> tuple[Yardstick, ...]:
    """One for every variable: units of the first of the pool, modes of the first of the training.

    >>> import torch
    >>> u = Members.of(torch.randn(8, 1, 8, 8))
    >>> yardsticks(u, Grid((8, 8)), ["u"])[0].modes is None
    True
    """
    fields = pool.head(fitted(grid))
    sticks = [
        Yardstick.fit(fields[:, v], grid, energy=is_vorticity(name, grid))
        for v, name in enumerate(variables)
    ]
    if training is not None and len(training) > 1:
        fields = training.head(fitted(grid))
        sticks = [
            replace(stick, modes=Pod.fit(fields[:, v], grid)) for v, stick in enumerate(sticks)
        ]
    return tuple(sticks)


def _size(ensembles: Mapping[str, Members]) -> int:
    """How many members an ensemble holds."""
    sizes = {name: len(members) for name, members in ensembles.items()}
    if len(set(sizes.values())) != 1:
        raise ValueError(
            f"expected ensembles of one size, got {sizes}; biased distances of different sizes "
            "cannot be compared, take as many members of each"
        )
    return next(iter(sizes.values()))
